//! The two process-wide hooks: cancels print nothing, and a stack overflow says what it is before it ends the process.

use std::panic;
use std::ptr;
use std::sync::{Once, OnceLock};

use crate::context::{Error, top};

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Who handled them before.
static BEFORE: [OnceLock<libc::sigaction>; 2] = [const { OnceLock::new() }; 2];

/// Installs both hooks, once.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !matches!(info.payload().downcast_ref(), Some(Error::Cancel | Error::Done)) {
                before(info);
            }
        }));
        watch_guard_pages();
    });
}

fn watch_guard_pages() {
    for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
        // SAFETY: a zeroed `sigaction` is a valid one; the handler calls only what a signal handler may.
        unsafe {
            let (mut new, mut old): (libc::sigaction, libc::sigaction) = (std::mem::zeroed(), std::mem::zeroed());
            new.sa_sigaction = on_fault as *const () as usize;
            new.sa_flags = (libc::SA_SIGINFO | libc::SA_ONSTACK) as _;
            libc::sigemptyset(&mut new.sa_mask);
            if libc::sigaction(signal, &new, &mut old) == 0 {
                let _ = before.set(old);
            }
        }
    }
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    const TEXT: &[u8] = b"\na coroutine has overflowed its stack\n";
    // SAFETY: the system gives a valid `info`; the innermost context runs, so it is alive.
    unsafe {
        let address = (*info).si_addr() as usize;
        let context = top();
        if !context.is_null() && (*context).guard.contains(&address) {
            libc::write(2, TEXT.as_ptr().cast(), TEXT.len());
            libc::abort();
        }
        // Not ours: on return the fault happens again, under the handler from before.
        let before = BEFORE[usize::from(signal == libc::SIGBUS)].get();
        let before = before.copied().unwrap_or_else(|| std::mem::zeroed());
        libc::sigaction(signal, &before, ptr::null_mut());
    }
}
