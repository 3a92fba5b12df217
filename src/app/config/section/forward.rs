//! Other servers that get a vhost's streams.

use crate::app::config::scope::Scope;

/// The `forward` block of a vhost.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// Whether streams are forwarded.
    pub enabled: bool,
    /// Where to, as written: `host`, `host:port` or a URL.
    pub destinations: Vec<String>,
    /// Who is asked for each stream where to, in place of `destinations`.
    pub backend: Option<String>,
}

impl Forward {
    pub(crate) fn read(forward: &Scope<'_>) -> Self {
        Forward {
            enabled: forward.flag("enabled"),
            destinations: forward.texts("destination"),
            backend: Some(forward.text("backend")).filter(|backend| !backend.is_empty()),
        }
    }
}
