//! MPEG-DASH of a vhost.

use std::path::PathBuf;
use std::time::Duration;

use crate::app::config::scope::Scope;

/// The `dash` block of a vhost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dash {
    /// Whether streams are written as DASH.
    pub enabled: bool,
    /// How long a segment is to be.
    pub fragment: Duration,
    /// How often players ask for the manifest again.
    pub update_period: Duration,
    /// The folder of all files.
    pub path: String,
    /// The manifest below it.
    pub mpd_file: String,
    /// How many segments the manifest lists, at least one.
    pub window_size: usize,
    /// Whether segments that have left the window are deleted.
    pub cleanup: bool,
    /// All files are deleted when nothing was published for so long; zero is never.
    pub dispose: Duration,
}

impl Dash {
    pub(crate) fn read(dash: &Scope<'_>) -> Self {
        Dash {
            enabled: dash.flag("enabled"),
            fragment: dash.duration("dash_fragment"),
            update_period: dash.duration("dash_update_period"),
            path: dash.text("dash_path"),
            mpd_file: dash.text("dash_mpd_file"),
            window_size: (dash.size("dash_window_size") as usize).max(1),
            cleanup: dash.flag("dash_cleanup"),
            dispose: dash.duration("dash_dispose"),
        }
    }

    /// A file below the folder of all files.
    pub fn place(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}/{name}", self.path))
    }
}
