//! Warnings.
use super::{diagnostic::Warning, env::Env, syntax::Tree};
pub(super) fn lint(_tree: &Tree, _env: Env<'_>, _warnings: &mut Vec<Warning>) {}
