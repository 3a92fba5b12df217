//! `srs -s WORD`: steers the server that runs with the same configuration, by the signal that stands for the word.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::config::Origin;
use crate::core::setup;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// The words and their signals.
const WORDS: [(&str, Signal); 5] = [
    ("reload", Signal::SIGHUP),
    ("reopen", Signal::SIGUSR1),
    ("stop", Signal::SIGTERM),
    ("quit", Signal::SIGQUIT),
    ("upgrade", Signal::SIGUSR2),
];

/// The signal of a word.
pub fn signal_of(word: &str) -> Option<Signal> {
    let known = WORDS.iter().find(|(known, _)| *known == word);
    known.map(|(_, signal)| *signal)
}

/// The words, for the usage text.
pub fn words() -> String {
    WORDS.map(|(word, _)| word).join(", ")
}

/// Sends `signal` to the process that holds the pid file's lock; gives its number. A pid file that was left behind has none,
/// so nobody else is hit.
///
/// # Errors
/// Those of the configuration; [`ErrorCode::PidFileAcquire`] when no server runs with it, or the signal may not be sent.
pub fn send(origin: &Origin, signal: Signal) -> Result<i32> {
    let loaded = origin.load().wrap("load configuration")?;
    let process = &loaded.config.process;
    let file = process.work_dir.join(&process.pid);
    let holder = holder(&file)?;
    let Some(holder) = holder else {
        let text = format!("no server runs with pid file {}", file.display());
        return Err(Error::new(ErrorCode::PidFileAcquire, text));
    };
    kill(Pid::from_raw(holder), signal)
        .map_err(std::io::Error::from)
        .io_wrap(ErrorCode::PidFileAcquire, || {
            format!("send {signal} to process {holder}")
        })?;
    Ok(holder)
}

fn holder(file: &Path) -> Result<Option<i32>> {
    match setup::lock_holder(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.io_wrap(ErrorCode::PidFileAcquire, || format!("pid file {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_signals() {
        assert_eq!(signal_of("reload"), Some(Signal::SIGHUP));
        assert_eq!(signal_of("quit"), Some(Signal::SIGQUIT));
        assert_eq!(signal_of("term"), None);
        assert_eq!(words(), "reload, reopen, stop, quit, upgrade");
    }

    #[test]
    fn a_file_that_nobody_has_locked_has_no_holder() {
        assert_eq!(holder(Path::new("/nonexistent/srs.pid")).unwrap(), None);
        let file = std::env::temp_dir().join(format!("srs-may-steer-{}", std::process::id()));
        std::fs::write(&file, "1").unwrap();
        assert_eq!(holder(&file).unwrap(), None);
        std::fs::remove_file(&file).unwrap();
    }
}
