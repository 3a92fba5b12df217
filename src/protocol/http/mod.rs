//! HTTP/1.0 and 1.1 (RFC 9110, RFC 9112) as state machines over bytes: request heads, bodies, response heads, and the
//! pieces of meaning that files need. Sockets, clocks and what is served belong to `app`.

pub mod answer;
pub mod body;
pub mod client;
pub mod conditional;
pub mod date;
pub mod headers;
pub mod mime;
pub mod path;
pub mod percent;
pub mod query;
pub mod range;
pub mod request;
pub mod response;
pub mod status;

use self::status::Status;
use crate::kernel::error::Error;
use crate::kernel::error_code::ErrorCode;

/// Why a request is not served: what the peer is told, and what the log is told. The connection cannot go on.
#[derive(Debug)]
pub struct Refusal {
    /// The answer's status.
    pub status: Status,
    /// What was found.
    pub error: Error,
}

impl Refusal {
    /// A fault of the peer's bytes.
    #[track_caller]
    #[cold]
    pub fn new(status: Status, code: ErrorCode, message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Refusal {
            status,
            error: Error::new(code, message),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}
