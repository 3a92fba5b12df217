//! A vhost that serves bandwidth tests.

use std::time::Duration;

use crate::app::config::scope::Scope;

/// The `bandcheck` block of a vhost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bandcheck {
    /// Whether clients of this vhost get a bandwidth test in place of streams.
    pub enabled: bool,
    /// What they must bring in their tcUrl, as `key=KEY`.
    pub key: String,
    /// The shortest time between two tests of the whole server.
    pub interval: Duration,
    /// What a test may take, kilobits a second.
    pub limit_kbps: u32,
}

impl Bandcheck {
    pub(crate) fn read(bandcheck: &Scope<'_>) -> Self {
        Bandcheck {
            enabled: bandcheck.flag("enabled"),
            key: bandcheck.text("key"),
            interval: bandcheck.duration("interval"),
            limit_kbps: bandcheck.size("limit_kbps"),
        }
    }
}
