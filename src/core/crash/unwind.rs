//! The return addresses on a stack, by the unwinder that panics use.

use std::ffi::{c_int, c_void};

type Visit = extern "C" fn(*mut c_void, *mut c_void) -> c_int;

unsafe extern "C" {
    // The unwinder is linked into every program that can panic.
    fn _Unwind_Backtrace(visit: Visit, argument: *mut c_void) -> c_int;
    #[cfg(not(target_arch = "arm"))]
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
    #[cfg(target_arch = "arm")]
    fn _Unwind_VRS_Get(context: *mut c_void, class: u32, register: u32, form: u32, value: *mut c_void) -> c_int;
}

/// Goes on to the next frame, or ends: codes of the unwinder.
const GO_ON: c_int = 0;
const END: c_int = 5;

struct Walk<'f> {
    frames: &'f mut [usize],
    count: usize,
}

/// Where the running code would return to, innermost first, its own place before them; gives how many there are.
pub(super) fn frames(frames: &mut [usize]) -> usize {
    let mut walk = Walk { frames, count: 0 };
    // SAFETY: `visit` takes what is passed here, during the call.
    unsafe { _Unwind_Backtrace(visit, (&raw mut walk).cast()) };
    walk.count
}

/// The same for what a signal has interrupted, as its handler's third argument tells.
pub(super) fn interrupted_frames(into: &mut [usize], context: *mut c_void) -> usize {
    let count = frames(into);
    let Some(place) = interrupted_place(context) else {
        return count;
    };
    match into[..count].iter().position(|frame| *frame == place) {
        // Those before it are the handler's.
        Some(handler) => {
            into.copy_within(handler..count, 0);
            count - handler
        }
        // The unwinder did not find its way; this is still known.
        None => {
            let kept = count.min(into.len() - 1);
            into.copy_within(..kept, 1);
            into[0] = place;
            kept + 1
        }
    }
}

extern "C" fn visit(context: *mut c_void, argument: *mut c_void) -> c_int {
    // SAFETY: it is what `frames` passes, and nobody else uses it meanwhile.
    let walk = unsafe { &mut *argument.cast::<Walk<'_>>() };
    let place = place_of(context);
    let Some(slot) = walk.frames.get_mut(walk.count).filter(|_| place != 0) else {
        return END;
    };
    *slot = place;
    walk.count += 1;
    GO_ON
}

#[cfg(not(target_arch = "arm"))]
fn place_of(context: *mut c_void) -> usize {
    // SAFETY: the unwinder passes its context.
    unsafe { _Unwind_GetIP(context) }
}

/// There is no such function in the ABI of 32-bit ARM: it is register 15, without the bit that tells the instruction set.
#[cfg(target_arch = "arm")]
fn place_of(context: *mut c_void) -> usize {
    let mut value = 0usize;
    // SAFETY: the unwinder passes its context; the class of core registers in 32 bits writes 4 bytes.
    unsafe { _Unwind_VRS_Get(context, 0, 15, 0, (&raw mut value).cast()) };
    value & !1
}

/// The instruction that a signal has interrupted, where it is known how the system tells.
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
fn interrupted_place(context: *mut c_void) -> Option<usize> {
    // SAFETY: the system passes a ucontext_t to handlers with SA_SIGINFO.
    let context = unsafe { context.cast::<libc::ucontext_t>().as_ref() }?;
    usize::try_from(context.uc_mcontext.gregs[libc::REG_RIP as usize]).ok()
}

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "aarch64"))]
fn interrupted_place(context: *mut c_void) -> Option<usize> {
    // SAFETY: as above.
    let context = unsafe { context.cast::<libc::ucontext_t>().as_ref() }?;
    usize::try_from(context.uc_mcontext.pc).ok()
}

#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn interrupted_place(_: *mut c_void) -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn deep(depth: u32, into: &mut [usize]) -> usize {
        match depth {
            0 => std::hint::black_box(frames(into)),
            _ => std::hint::black_box(deep(depth - 1, into)),
        }
    }

    #[test]
    fn each_call_is_a_frame() {
        let mut all = [0; 256];
        let (near, far) = (deep(1, &mut all), deep(40, &mut all));
        assert!(near > 2 && far == near + 39, "{near} {far}");
        assert_eq!(deep(40, &mut [0; 8]), 8, "no more than there is room for");
    }
}
