//! A coroutine's stack: anonymous pages above one without access, which an overflow hits.

use std::io;
use std::ops::Range;
use std::ptr;

/// What a stack of an odd size is filled with, to tell how much of it was used.
const PAINT: usize = 0x5a5a_5a5a;

pub(crate) struct Stack {
    base: *mut u8,
    mapped_bytes: usize,
    page_bytes: usize,
    /// As it was asked for.
    words: usize,
}

impl Stack {
    /// # Panics
    /// When the system refuses the memory.
    pub(crate) fn new(words: usize) -> Self {
        // SAFETY: no preconditions.
        let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let bytes = words.checked_mul(size_of::<usize>());
        let mapped_bytes = bytes
            .and_then(|bytes| bytes.max(page_bytes).checked_next_multiple_of(page_bytes))
            .and_then(|bytes| bytes.checked_add(page_bytes))
            .expect("the size of a coroutine's stack fits the address space");
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, wherever the system likes.
        let base = unsafe { libc::mmap(ptr::null_mut(), mapped_bytes, access, kind, -1, 0) };
        assert!(
            base != libc::MAP_FAILED,
            "no memory for a coroutine's stack: {}",
            last_error()
        );
        let stack = Stack {
            base: base.cast(),
            mapped_bytes,
            page_bytes,
            words,
        };
        // SAFETY: the first page of our own mapping.
        let refused = unsafe { libc::mprotect(base, page_bytes, libc::PROT_NONE) };
        assert!(refused == 0, "no guard page for a coroutine's stack: {}", last_error());
        if stack.is_painted() {
            // SAFETY: these words are ours, and nothing runs on them yet.
            stack.words_upward().for_each(|word| unsafe { word.write(PAINT) });
        }
        stack
    }

    /// The address behind its last word.
    pub(crate) fn top(&self) -> *mut u8 {
        self.base.wrapping_add(self.mapped_bytes)
    }

    /// The addresses of the page without access.
    pub(crate) fn guard(&self) -> Range<usize> {
        let base = self.base as usize;
        base..base + self.page_bytes
    }

    /// An odd size asks for exact figures of use.
    fn is_painted(&self) -> bool {
        self.words % 2 == 1
    }

    fn words_upward(&self) -> impl Iterator<Item = *mut usize> {
        let low = self.base.wrapping_add(self.page_bytes).cast::<usize>();
        let count = (self.mapped_bytes - self.page_bytes) / size_of::<usize>();
        (0..count).map(move |index| low.wrapping_add(index))
    }

    /// The size as it was asked for, and the words used at most. `may` takes two equal figures for an overflow, which is
    /// the guard page's business, so the latter stays below the former.
    pub(crate) fn usage(&self) -> (usize, usize) {
        let most = self.words.saturating_sub(1);
        if !self.is_painted() {
            return (self.words, most);
        }
        // SAFETY: these words are ours; the stack is not in use while its generator is looked at.
        let is_clean = |word: &*mut usize| unsafe { word.read() } == PAINT;
        let used = self.words_upward().skip_while(is_clean).count();
        (self.words, used.min(most))
    }
}

fn last_error() -> io::Error {
    io::Error::last_os_error()
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nothing uses any more.
        unsafe { libc::munmap(self.base.cast(), self.mapped_bytes) };
    }
}
