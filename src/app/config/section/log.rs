//! Where the log goes and what is in it.

use std::path::PathBuf;

use log::LevelFilter;

use super::process::is_in_docker;
use crate::app::config::host::Host;
use crate::app::config::scope::Scope;

/// Settings of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// `srs_log_tank` with `srs_log_file`.
    pub tank: Tank,
    /// `srs_log_level_v2`, else `srs_log_level`: the least severe level that is written.
    pub level: LevelFilter,
    /// `utc_time`, as it was at the start.
    pub utc: bool,
}

/// What the log is written to.
#[derive(Clone, Debug, PartialEq)]
pub enum Tank {
    /// Standard output.
    Console,
    /// A file, appended to.
    File(PathBuf),
}

impl Log {
    pub(crate) fn read(root: &Scope<'_>, host: &Host) -> Self {
        let file = is_to_file(root, host);
        let level = match root.given("srs_log_level_v2") {
            Some(given) => level_v2(&given.text),
            None => level_v1(&root.text("srs_log_level")),
        };
        Log {
            tank: if file {
                Tank::File(root.text("srs_log_file").into())
            } else {
                Tank::Console
            },
            level: level.unwrap_or(LevelFilter::Off),
            utc: root.flag("utc_time"),
        }
    }
}

/// Whether the log goes to a file: with any text but `console`, and by default outside of containers.
pub(crate) fn is_to_file(root: &Scope<'_>, host: &Host) -> bool {
    match root.given("srs_log_tank") {
        Some(given) => given.text != "console",
        None => !is_in_docker(root, host),
    }
}

/// A level by its old name, `None` for a text that is none and turns the log off.
pub(crate) fn level_v1(text: &str) -> Option<LevelFilter> {
    match text {
        "verbose" => Some(LevelFilter::Trace),
        "info" => Some(LevelFilter::Debug),
        "trace" => Some(LevelFilter::Info),
        "warn" => Some(LevelFilter::Warn),
        "error" => Some(LevelFilter::Error),
        _ => None,
    }
}

/// A level by its new name, `None` for a text that is none and turns the log off.
pub(crate) fn level_v2(text: &str) -> Option<LevelFilter> {
    match text {
        "trace" => Some(LevelFilter::Trace),
        "debug" => Some(LevelFilter::Debug),
        "info" => Some(LevelFilter::Info),
        "warn" => Some(LevelFilter::Warn),
        "error" => Some(LevelFilter::Error),
        _ => None,
    }
}
