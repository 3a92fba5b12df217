//! What stands in for JSON Web Tokens in a build without the feature `jwt`: no key can be read and no token is valid.

use super::{Now, Wish};

const ABSENT: &str = "this server is built without the feature jwt";

/// None can come into being.
#[derive(Clone, Debug, PartialEq)]
pub enum PublicKey {}

impl PublicKey {
    /// Fails.
    ///
    /// # Errors
    /// The feature is missing.
    pub fn parse(_: &[u8]) -> Result<Self, String> {
        Err(ABSENT.to_owned())
    }
}

/// Fails.
///
/// # Errors
/// The feature is missing.
pub fn verify(_: &[Vec<u8>], _: &[PublicKey], _: &str, _: Wish<'_>, _: Now, _: bool) -> Result<(), String> {
    Err(ABSENT.to_owned())
}
