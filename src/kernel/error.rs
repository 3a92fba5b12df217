//! The error that travels up the layers: a code, what was being done at each hop, and where.
//!
//! It is built where the fault is ([`Error::new`], [`Error::io`]) and wrapped on the way up with what was being done
//! ([`Wrap::wrap`]); the top of a coroutine logs it once.

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};
use std::io;
use std::panic::Location;

use super::error_code::ErrorCode;
use crate::core::id::ContextId;

/// The result of everything that can fail above `core`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A code, and a stack of messages with their places, innermost first.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    code: ErrorCode,
    frames: Vec<Frame>,
}

struct Frame {
    message: Cow<'static, str>,
    place: &'static Location<'static>,
    context: ContextId,
    errno: i32,
}

impl Error {
    /// A fault found here.
    #[track_caller]
    #[cold]
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_errno(code, 0, message.into(), Location::caller())
    }

    /// A fault that the operating system reported; keeps its errno. A timeout becomes [`ErrorCode::SocketTimeout`]
    /// whatever `code` says.
    #[track_caller]
    #[cold]
    pub fn io(code: ErrorCode, cause: &io::Error, message: impl Into<Cow<'static, str>>) -> Self {
        let code = if cause.kind() == io::ErrorKind::TimedOut {
            ErrorCode::SocketTimeout
        } else {
            code
        };
        let message = message.into();
        match cause.raw_os_error() {
            Some(errno) => Self::with_errno(code, errno, message, Location::caller()),
            None => Self::with_errno(code, 0, format!("{message}: {cause}").into(), Location::caller()),
        }
    }

    fn with_errno(code: ErrorCode, errno: i32, message: Cow<'static, str>, place: &'static Location<'static>) -> Self {
        let frame = Frame {
            message,
            place,
            context: ContextId::current(),
            errno,
        };
        Error {
            inner: Box::new(Inner {
                code,
                frames: vec![frame],
            }),
        }
    }

    /// Adds what was being done when the error came by.
    #[track_caller]
    #[cold]
    #[must_use]
    pub fn wrap(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        let (message, place) = (message.into(), Location::caller());
        self.inner.frames.push(Frame {
            message,
            place,
            context: ContextId::current(),
            errno: 0,
        });
        self
    }

    /// The code of the innermost fault.
    pub fn code(&self) -> ErrorCode {
        self.inner.code
    }

    /// The operating system's error number, 0 if it had no part in it.
    pub fn errno(&self) -> i32 {
        self.inner.frames[0].errno
    }

    /// Whether the peer simply left: it closed or reset the connection. Such an end is not logged as an error.
    pub fn is_client_gone(&self) -> bool {
        use ErrorCode::*;
        matches!(self.code(), SocketRead | SocketReadFully | SocketWrite | SocketClosed)
    }

    /// The innermost message, which says what was found.
    pub fn message(&self) -> &str {
        &self.inner.frames[0].message
    }

    /// One line: `code=N(Short) : outermost : … : innermost`, and what the operating system said.
    pub fn summary(&self) -> String {
        let mut text = format!("code={}({})", self.code().number(), self.code().short());
        self.write_messages(&mut text);
        if self.errno() != 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {}", errno_text(self.errno()));
        }
        text
    }

    fn write_messages(&self, text: &mut String) {
        for frame in self.inner.frames.iter().rev() {
            // Writing to a String cannot fail.
            let _ = write!(text, " : {}", frame.message);
        }
    }
}

/// The full form: the summary with the code's meaning, then a line for each frame, outermost first.
impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code();
        let mut text = format!("code={}({})({})", code.number(), code.short(), code.meaning());
        self.write_messages(&mut text);
        let pid = std::process::id();
        for (depth, frame) in self.inner.frames.iter().enumerate().rev() {
            let (file, line) = (frame.place.file(), frame.place.line());
            let function = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
            let _ = write!(
                text,
                "\nthread [{pid}][{}]: {function}() [./{file}:{line}][errno={}]",
                frame.context, frame.errno
            );
            if depth == 0 && frame.errno != 0 {
                let _ = write!(text, "({})", errno_text(frame.errno));
            }
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// The operating system's text for an error number, as strerror gives it.
pub fn errno_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    // std appends " (os error N)".
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Adds to a failed result what was being done.
pub trait Wrap<T> {
    /// Wraps an error with a fixed text.
    fn wrap(self, message: &'static str) -> Result<T>;
    /// Wraps an error with a text that is only built when there is one.
    fn wrap_with(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Wrap<T> for Result<T> {
    #[track_caller]
    #[inline]
    fn wrap(self, message: &'static str) -> Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(error.wrap(message)),
        }
    }

    #[track_caller]
    #[inline]
    fn wrap_with(self, message: impl FnOnce() -> String) -> Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(error.wrap(message())),
        }
    }
}

/// Turns an operating system's error into ours, naming the code and what was tried.
pub trait IoWrap<T> {
    /// See [`Error::io`].
    fn io_wrap(self, code: ErrorCode, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T> IoWrap<T> for io::Result<T> {
    #[track_caller]
    #[inline]
    fn io_wrap(self, code: ErrorCode, message: impl FnOnce() -> String) -> Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(cause) => Err(Error::io(code, &cause, message())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_runs_from_the_outermost_hop_to_the_fault() {
        let error = Error::new(ErrorCode::ConfigInvalid, "illegal vhost.play.foo of a").wrap("check normal");
        assert_eq!(
            error.summary(),
            "code=1023(ConfigInvalid) : check normal : illegal vhost.play.foo of a"
        );
        assert_eq!(error.message(), "illegal vhost.play.foo of a");
    }

    #[test]
    fn full_text_names_each_place_and_the_errno() {
        let cause = io::Error::from_raw_os_error(libc::EAGAIN);
        let failed: Result<()> = Err(Error::io(
            ErrorCode::PidFileProcessExists,
            &cause,
            "srs is already running!",
        ));
        let text = failed.wrap("acquire pid file").unwrap_err().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("code=1035(PidFileProcessExists)("));
        assert!(lines[0].ends_with(" : acquire pid file : srs is already running!"));
        assert!(lines[1].contains("kernel/error() [./src/kernel/error.rs:"));
        assert!(lines[2].ends_with("[errno=11](Resource temporarily unavailable)"));
    }

    #[test]
    fn a_timeout_keeps_its_own_code() {
        let error = Error::io(ErrorCode::SocketRead, &io::ErrorKind::TimedOut.into(), "read chunk");
        assert_eq!(error.code(), ErrorCode::SocketTimeout);
        assert!(!error.is_client_gone());
    }
}
