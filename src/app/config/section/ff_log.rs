//! Logs of child processes.

use std::path::{Path, PathBuf};

use crate::app::config::scope::Scope;

/// Where FFmpeg's words go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FfLog {
    /// `ff_log_dir`: the folder; `None` when it is `/dev/null`.
    pub folder: Option<PathBuf>,
    /// `ff_log_level`: how much FFmpeg says; empty leaves it to FFmpeg.
    pub level: String,
}

impl FfLog {
    pub(crate) fn read(root: &Scope<'_>) -> Self {
        let folder = PathBuf::from(root.text("ff_log_dir"));
        FfLog {
            folder: (folder != Path::new("/dev/null")).then_some(folder),
            level: root.text("ff_log_level"),
        }
    }
}
