//! A player's coroutine as the courier knows it: whom it calls when there is something that it cannot do itself.

use std::cell::{Cell, RefCell};

use crate::core::coroutine::Waker;

/// The coroutine of one player.
pub struct Recipient {
    waker: Waker,
    /// The courier found something that may wait: the coroutine's turn.
    is_called: Cell<bool>,
    /// What the socket did not take when the courier sent.
    rest: RefCell<Vec<u8>>,
}

impl Recipient {
    /// The running coroutine; it has something to do.
    pub fn current() -> Self {
        Recipient {
            waker: Waker::current(),
            is_called: Cell::new(true),
            rest: RefCell::default(),
        }
    }

    /// Has the coroutine take its turn.
    pub fn call(&self) {
        self.is_called.set(true);
        self.waker.wake();
    }

    /// Whether it is the coroutine's turn.
    pub fn is_called(&self) -> bool {
        self.is_called.get()
    }

    /// Keeps bytes that must be written before anything else.
    pub(super) fn keep(&self, rest: &[u8]) {
        self.rest.replace(rest.to_vec());
    }

    /// Begins the coroutine's turn; gives the bytes that it must write before anything else.
    pub fn take_turn(&self) -> Vec<u8> {
        self.is_called.set(false);
        self.rest.take()
    }
}
