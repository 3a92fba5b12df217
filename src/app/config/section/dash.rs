//! MPEG-DASH of a vhost.

use std::path::PathBuf;
use std::time::Duration;

use crate::app::config::scope::Scope;

/// Shorter chunks would have more heads than media.
const CHUNK_MIN: Duration = Duration::from_millis(40);

/// How players get segments while they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowLatency {
    /// How long a chunk is to be.
    pub chunk: Duration,
    /// How far players are to stay behind the publisher.
    pub target: Duration,
}

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
    /// Whether, and how, players get segments while they are written.
    pub low_latency: Option<LowLatency>,
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
            low_latency: dash.flag("dash_low_latency").then(|| LowLatency {
                chunk: dash.duration("dash_chunk").max(CHUNK_MIN),
                target: dash.duration("dash_target_latency"),
            }),
            dispose: dash.duration("dash_dispose"),
        }
    }

    /// A file below the folder of all files.
    pub fn place(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}/{name}", self.path))
    }
}
