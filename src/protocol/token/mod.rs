//! What a client shows to be let in: a signature over the URL, or a JSON Web Token. No clock and no socket: the caller
//! tells the time.

#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(not(feature = "jwt"))]
pub mod no_jwt;
#[cfg(feature = "jwt")]
mod pattern;
pub mod signature;
pub mod ticket;

use std::net::IpAddr;

#[cfg(not(feature = "jwt"))]
pub use no_jwt as jwt;

/// What a client wants, in the words that are signed.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// `play` or `publish`.
    pub action: &'a str,
    /// `/APP/STREAM`.
    pub stream: &'a str,
    /// Where it is.
    pub client: IpAddr,
}

/// When it is, and how far that may be wrong.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Unix time, seconds.
    pub unix_seconds: u64,
    /// What clocks may differ, seconds.
    pub skew: u64,
}

impl Now {
    /// Whether a time is over, with the patience that the clocks need.
    pub fn is_past(self, unix_seconds: u64) -> bool {
        unix_seconds.saturating_add(self.skew) < self.unix_seconds
    }

    /// Whether a time is still to come, with the same patience.
    pub fn is_before(self, unix_seconds: u64) -> bool {
        self.unix_seconds.saturating_add(self.skew) < unix_seconds
    }
}
