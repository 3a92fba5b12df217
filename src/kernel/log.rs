//! The log: the line format that SRS users grep, and where lines go.
//!
//! Code logs with the `log` crate's macros and names levels as SRS 5 and later do.

mod panic;
pub mod trace;

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::core::clock::unix_time;
use crate::core::crash;
use crate::core::id::ContextId;
use crate::core::limits::LOG_LINE_BYTES;
use crate::core::log_file::LogFile;
use crate::core::mini_http;

use super::error::errno_text;

struct Logger {
    writer: LogFile,
    coloured: AtomicBool,
    utc: AtomicBool,
    zone: TimeZone,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Sends log lines to standard output until [`open`] says where they go; also takes over panic reports.
///
/// # Errors
/// When another logger was installed before.
pub fn install() -> io::Result<()> {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    let writer = LogFile::stdout()?;
    let logger = LOGGER.get_or_init(|| Logger {
        writer,
        coloured: AtomicBool::new(true),
        utc: AtomicBool::new(false),
        zone,
    });
    log::set_logger(logger).map_err(io::Error::other)?;
    trace::set_level(LevelFilter::Info);
    std::panic::set_hook(Box::new(panic::report));
    Ok(())
}

/// Sends lines of `level` and worse to `file` from now on, or to standard output without one.
///
/// # Errors
/// When the file cannot be opened; lines then go on to where they went.
pub fn open(file: Option<&Path>, level: LevelFilter, utc: bool) -> io::Result<()> {
    let Some(logger) = LOGGER.get() else { return Ok(()) };
    match file {
        None => logger.writer.switch_to_stdout()?,
        Some(path) => logger.writer.switch_to_file(path)?,
    }
    logger.coloured.store(file.is_none(), Ordering::Relaxed);
    logger.utc.store(utc, Ordering::Relaxed);
    trace::set_level(level);
    Ok(())
}

/// Closes and opens the log file again, after it was moved away for rotation.
pub fn reopen() {
    if let Some(logger) = LOGGER.get() {
        logger.writer.reopen();
    }
}

/// Hands writing over to a thread, so that a slow disk delays nobody; call it after the last fork.
pub fn start_background() {
    if let Some(logger) = LOGGER.get() {
        logger.writer.start_background();
    }
}

/// Has fatal signals reported in the log from now on; to be called by the worker.
///
/// # Errors
/// The system's.
pub fn report_crashes() -> io::Result<()> {
    LOGGER
        .get()
        .map_or(Ok(()), |logger| crash::install(logger.writer.clone()))
}

/// Waits until all lines are written, at most for `limit`.
pub fn flush(limit: Duration) {
    if let Some(logger) = LOGGER.get() {
        logger.writer.flush(limit);
    }
}

/// The latest failure to write or open the log, told once.
pub fn take_error() -> Option<io::Error> {
    LOGGER.get().and_then(|logger| logger.writer.take_error())
}

/// Lines that were dropped because the disk did not keep up.
pub fn dropped_lines() -> u64 {
    LOGGER.get().map_or(0, |logger| logger.writer.dropped())
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // may tells each of its system calls.
        trace::passes(metadata.level()) && !metadata.target().starts_with("may")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            mini_http::heed_log(record);
            return;
        }
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
        let utc = self.utc.load(Ordering::Relaxed);
        let zone = if utc { TimeZone::UTC } else { self.zone.clone() };
        let time = Timestamp::from_duration(unix_time().try_into().unwrap_or_default()).unwrap_or_default();
        let context = ContextId::current();
        let stamp = Stamp {
            time,
            zone,
            context,
            errno,
        };
        let mut line = stamp.line(record.level(), &record.args().to_string());
        if line.len() > LOG_LINE_BYTES {
            return;
        }
        if self.coloured.load(Ordering::Relaxed) {
            colour(record.level(), &mut line);
        } else {
            line.push('\n');
        }
        self.writer.write(line.as_bytes());
    }

    fn flush(&self) {
        self.writer.flush(Duration::from_secs(1));
    }
}

/// What a line tells beside its level and message.
struct Stamp {
    time: Timestamp,
    zone: TimeZone,
    context: ContextId,
    errno: i32,
}

impl Stamp {
    fn line(&self, level: Level, message: &str) -> String {
        let time = self.time.to_zoned(self.zone.clone());
        crash::set_utc_offset(time.offset().seconds());
        let mut line = String::with_capacity(message.len() + 64);
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            "[{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}][{}][{}][{}]",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.millisecond(),
            level,
            std::process::id(),
            self.context,
        );
        if level <= Level::Warn {
            let _ = write!(line, "[{}]", self.errno);
        }
        line.push(' ');
        push_printable(&mut line, message);
        if level == Level::Error && self.errno != 0 {
            let _ = write!(line, "({})", errno_text(self.errno));
        }
        line
    }
}

/// Peers choose names that are logged: control characters must neither begin a line of their own nor steer a terminal.
/// Line feeds stay, since errors have several lines; those of peers are escaped where their text comes in.
fn push_printable(line: &mut String, message: &str) {
    for character in message.chars() {
        if character.is_control() && character != '\n' && character != '\t' {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

/// Text that a peer sent, fit for one log line: control characters are escaped, and it ends after 1,024 bytes, escapes
/// counted, so that several such texts fit a line that is not dropped for its length.
pub fn printable(text: &str) -> String {
    const LONGEST: usize = 1024;
    let mut safe = String::with_capacity(text.len().min(LONGEST));
    for character in text.chars() {
        if safe.len() >= LONGEST {
            safe.push('…');
            break;
        }
        if character.is_control() {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

fn colour(level: Level, line: &mut String) {
    let escape = match level {
        Level::Error => "\x1b[31m",
        Level::Warn => "\x1b[33m",
        _ => {
            line.push('\n');
            return;
        }
    };
    line.insert_str(0, escape);
    line.push_str("\n\x1b[0m");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(errno: i32) -> Stamp {
        let time = Timestamp::from_millisecond(1_795_375_517_544).unwrap();
        Stamp {
            time,
            zone: TimeZone::UTC,
            context: ContextId::parse("66140591").unwrap(),
            errno,
        }
    }

    #[test]
    fn lines_have_the_fields_that_scripts_read() {
        let pid = std::process::id();
        assert_eq!(
            stamp(22).line(Level::Info, "RTMP listen at tcp://0.0.0.0:1935, fd=8"),
            format!("[2026-11-22 19:25:17.544][INFO][{pid}][66140591] RTMP listen at tcp://0.0.0.0:1935, fd=8")
        );
        assert_eq!(
            stamp(22).line(Level::Warn, "stats"),
            format!("[2026-11-22 19:25:17.544][WARN][{pid}][66140591][22] stats")
        );
        assert_eq!(
            stamp(11).line(Level::Error, "srs is already running!"),
            format!(
                "[2026-11-22 19:25:17.544][ERROR][{pid}][66140591][11] srs is already running!\
                 (Resource temporarily unavailable)"
            )
        );
    }

    #[test]
    fn colours_end_after_the_line() {
        let mut line = "x".to_owned();
        colour(Level::Error, &mut line);
        assert_eq!(line, "\x1b[31mx\n\x1b[0m");
        let mut line = "x".to_owned();
        colour(Level::Info, &mut line);
        assert_eq!(line, "x\n");
    }

    #[test]
    fn a_peers_text_cannot_forge_lines() {
        assert_eq!(printable("a\r\n[2026]\x1b[31m"), "a\\r\\n[2026]\\u{1b}[31m");
        assert_eq!(printable(&"x".repeat(1024)), "x".repeat(1024));
        assert_eq!(printable(&"x".repeat(2000)).chars().count(), 1025);
        assert!(printable(&"\u{1b}".repeat(2000)).len() < 1040, "escapes count");
    }
}
