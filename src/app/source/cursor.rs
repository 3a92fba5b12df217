//! How far a consumer is.

use std::cell::Cell;

/// A position in the journal that the source sees, so that it keeps what its consumers still need.
#[derive(Debug)]
pub struct Cursor {
    /// The next message to send.
    pub next: Cell<u64>,
    /// Whether somebody plays; what only follows a publication keeps no stream alive and is no viewer.
    pub plays: bool,
}

impl Cursor {
    /// A player that begins with message `next`.
    pub fn at(next: u64) -> Self {
        Cursor {
            next: Cell::new(next),
            plays: true,
        }
    }

    /// The same for one that follows without playing.
    pub fn following(next: u64) -> Self {
        Cursor {
            plays: false,
            ..Cursor::at(next)
        }
    }
}
