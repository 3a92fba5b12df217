//! The memory of a coroutine's stack: pages that were touched once stay, although only the begin of a connection needed them.

use std::hint::black_box;

use super::CURRENT;

/// What is left alone below the present depth: the callee's frame, and what the machine may use below a frame.
const KEPT_BYTES: usize = 1024;
/// The unit that memory is given back in. Where pages are larger, the system refuses and nothing changes.
const PAGE_BYTES: usize = 4096;
/// How far the first frame may lie from the stack's end: what may keeps there, and the closure that the coroutine runs.
const HEAD_BYTES: usize = 4 * PAGE_BYTES;

/// Where the running coroutine's stack begins to be used.
#[inline(never)]
pub(super) fn depth() -> usize {
    let here = 0u8;
    black_box(&raw const here) as usize
}

/// Gives the memory back that the running coroutine has used deeper in its stack than it is now. One system call: for
/// those who wait for long at this depth, such as players. Without effect outside a coroutine.
pub fn trim() {
    let Some((top, bytes)) = CURRENT.with_borrow(|current| {
        let task = current.as_ref()?;
        Some((task.stack_top.get(), task.stack_bytes as usize))
    }) else {
        return;
    };
    let Some((lowest, length)) = unused(top, bytes, depth()) else {
        return;
    };
    // SAFETY: the range is inside of this coroutine's own stack and below all that is in use, so nobody has a reference
    // into it, and what is read there later was written before. Frames to come find zeroes as on a new stack.
    let _ = unsafe { libc::madvise(lowest as *mut libc::c_void, length, libc::MADV_DONTNEED) };
}

/// The whole pages of a stack that lie deeper than `depth`: where they begin, and how many bytes they are.
fn unused(top: usize, bytes: usize, depth: usize) -> Option<(usize, usize)> {
    let lowest = top.checked_sub(bytes)?.next_multiple_of(PAGE_BYTES) + HEAD_BYTES;
    let end = depth.checked_sub(KEPT_BYTES)? / PAGE_BYTES * PAGE_BYTES;
    let length = end.checked_sub(lowest).filter(|length| *length > 0)?;
    Some((lowest, length))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{sleep, spawn};
    use super::*;
    use crate::core::runtime::run;

    #[inline(never)]
    fn use_deeply() -> u8 {
        let room = black_box([7u8; 80 << 10]);
        room[black_box(40 << 10)]
    }

    #[test]
    fn only_whole_pages_inside_the_stack_are_given_back() {
        let top = 0x7f10_0f80;
        let (lowest, length) = unused(top, 128 << 10, top - 6000).unwrap();
        assert!(lowest % PAGE_BYTES == 0 && length % PAGE_BYTES == 0);
        assert!(lowest > top - (128 << 10) && lowest + length < top - 6000);
        assert!(length > 90 << 10, "{length}");
        assert_eq!(unused(top, 128 << 10, top - (120 << 10)), None);
        assert_eq!(unused(4096, 128 << 10, 4000), None);
    }

    /// Bytes that frames have left in the unused part of the running coroutine's stack.
    #[inline(never)]
    fn leftovers() -> usize {
        let (top, bytes) = CURRENT.with_borrow(|current| {
            let task = current.as_ref().unwrap();
            (task.stack_top.get(), task.stack_bytes as usize)
        });
        let (lowest, length) = unused(top, bytes, depth()).unwrap();
        let (mut at, mut count) = (lowest, 0);
        while at < lowest + length {
            // SAFETY: an address of this coroutine's own stack, of which nobody has a reference.
            count += usize::from(unsafe { (at as *const u8).read_volatile() } != 0);
            at += 1;
        }
        count
    }

    #[test]
    fn what_a_coroutine_needs_no_more_is_free_and_it_goes_on() {
        run(|| {
            let deep: Vec<_> = (0..10)
                .map(|number: u64| {
                    spawn("deep", move || {
                        assert_eq!(use_deeply(), 7);
                        assert!(leftovers() > 64 << 10);
                        trim();
                        let left = leftovers();
                        assert!(left < PAGE_BYTES, "{left}");
                        sleep(Duration::from_millis(10));
                        assert_eq!(use_deeply(), 7);
                        number
                    })
                })
                .collect();
            let sum: u64 = deep.into_iter().map(|deep| deep.join().unwrap()).sum();
            assert_eq!(sum, 45);
        })
        .unwrap();
    }
}
