//! How far a consumer is.

use std::cell::Cell;

/// A position in the journal that the source sees, so that it keeps what its consumers still need.
#[derive(Debug)]
pub struct Cursor {
    /// The next message to send.
    pub next: Cell<u64>,
}

impl Cursor {
    /// A consumer that begins with message `next`.
    pub fn at(next: u64) -> Self {
        Cursor { next: Cell::new(next) }
    }
}
