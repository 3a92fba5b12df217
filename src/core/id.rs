//! Context ids: the eight characters that tie log lines, errors and API entries of one connection together.

use std::cell::Cell;
use std::fmt;

/// Eight characters of `[0-9a-z]`; a coroutine hands its own to those it spawns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId([u8; 8]);

thread_local! {
    static CURRENT: Cell<ContextId> = const { Cell::new(ContextId(*b"00000000")) };
}

impl ContextId {
    /// A new random id.
    pub fn generate() -> Self {
        const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        ContextId(std::array::from_fn(|_| ALPHABET[fastrand::usize(..ALPHABET.len())]))
    }

    /// The id of the running coroutine (of the thread, outside one).
    pub fn current() -> Self {
        CURRENT.get()
    }

    /// Gives the running coroutine this id from now on.
    pub fn enter(self) {
        CURRENT.set(self);
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // The bytes are ASCII by construction.
        std::str::from_utf8(&self.0).unwrap_or("????????")
    }

    /// The id as two numbers, neither of which is 0.
    pub fn to_halves(self) -> [u32; 2] {
        let [a, b, c, d, e, f, g, h] = self.0;
        [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
    }

    /// The id of [`ContextId::to_halves`].
    pub fn from_halves(halves: [u32; 2]) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (halves[0].to_ne_bytes(), halves[1].to_ne_bytes());
        ContextId([a, b, c, d, e, f, g, h])
    }

    /// Reads back an id that was shown; `None` unless it is eight characters of `[0-9a-z]`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 8] = text.as_bytes().try_into().ok()?;
        let valid = bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
        valid.then_some(ContextId(bytes))
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_eight_characters_and_read_back() {
        let id = ContextId::generate();
        assert_eq!(id.as_str().len(), 8);
        assert_eq!(ContextId::parse(id.as_str()), Some(id));
        assert_eq!(ContextId::from_halves(id.to_halves()), id);
        assert_eq!(ContextId::parse("ABCDEFGH"), None);
        assert_eq!(ContextId::parse("abc"), None);
    }

    #[test]
    fn enter_makes_it_current() {
        let id = ContextId::generate();
        id.enter();
        assert_eq!(ContextId::current(), id);
    }
}
