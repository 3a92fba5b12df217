//! Which web pages may hold a vhost's players and publishers.

use crate::app::config::scope::Scope;

/// The `refer` block of a vhost. An empty list allows everyone; otherwise the host of the client's page must end with
/// one of the list's values.
#[derive(Clone, Debug, PartialEq)]
pub struct Refer {
    /// Whether pages are looked at.
    pub enabled: bool,
    /// Whether players over HTTP are looked at too.
    pub http: bool,
    /// Host suffixes for everyone.
    pub all: Vec<String>,
    /// Host suffixes for publishers.
    pub publish: Vec<String>,
    /// Host suffixes for players.
    pub play: Vec<String>,
}

impl Refer {
    pub(crate) fn read(refer: &Scope<'_>) -> Self {
        Refer {
            enabled: refer.flag("enabled"),
            http: refer.flag("http"),
            all: refer.texts("all"),
            publish: refer.texts("publish"),
            play: refer.texts("play"),
        }
    }
}
