//! HDS of a vhost.

use std::time::Duration;

use crate::app::config::scope::Scope;

/// The `hds` block of a vhost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hds {
    /// Whether streams are written as HDS.
    pub enabled: bool,
    /// How long a fragment is to be.
    pub fragment: Duration,
    /// How much media is kept.
    pub window: Duration,
    /// The folder of all files.
    pub path: String,
}

impl Hds {
    pub(crate) fn read(hds: &Scope<'_>) -> Self {
        Hds {
            enabled: hds.flag("enabled"),
            fragment: hds.duration("hds_fragment"),
            window: hds.duration("hds_window"),
            path: hds.text("hds_path"),
        }
    }
}
