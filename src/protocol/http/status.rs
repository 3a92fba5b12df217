//! Status codes and their phrases (RFC 9110 section 15).

macro_rules! statuses {
    ($($name:ident $code:literal $reason:literal)*) => {
        impl Status {
            $(#[doc = $reason] pub const $name: Status = Status { code: $code, reason: $reason };)*
        }
    };
}

/// The result of a request, as its answer tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    code: u16,
    reason: &'static str,
}

impl Status {
    /// Three digits.
    pub fn code(self) -> u16 {
        self.code
    }

    /// The phrase beside the code, which is the body of a plain error answer too.
    pub fn reason(self) -> &'static str {
        self.reason
    }

    /// Whether answers with this status have no body, nor headers that tell its length.
    pub fn has_no_body(self) -> bool {
        self.code < 200 || self.code == 204 || self.code == 304
    }
}

statuses! {
    CONTINUE 100 "Continue"
    SWITCHING_PROTOCOLS 101 "Switching Protocols"
    OK 200 "OK"
    CREATED 201 "Created"
    NO_CONTENT 204 "No Content"
    PARTIAL_CONTENT 206 "Partial Content"
    MOVED_PERMANENTLY 301 "Moved Permanently"
    FOUND 302 "Found"
    NOT_MODIFIED 304 "Not Modified"
    BAD_REQUEST 400 "Bad Request"
    UNAUTHORIZED 401 "Unauthorized"
    FORBIDDEN 403 "Forbidden"
    NOT_FOUND 404 "Not Found"
    METHOD_NOT_ALLOWED 405 "Method Not Allowed"
    REQUEST_TIMEOUT 408 "Request Timeout"
    LENGTH_REQUIRED 411 "Length Required"
    PAYLOAD_TOO_LARGE 413 "Request Entity Too Large"
    URI_TOO_LONG 414 "Request-URI Too Long"
    RANGE_NOT_SATISFIABLE 416 "Requested Range Not Satisfiable"
    TOO_MANY_REQUESTS 429 "Too Many Requests"
    EXPECTATION_FAILED 417 "Expectation Failed"
    HEADERS_TOO_LARGE 431 "Request Header Fields Too Large"
    INTERNAL_SERVER_ERROR 500 "Internal Server Error"
    NOT_IMPLEMENTED 501 "Not Implemented"
    SERVICE_UNAVAILABLE 503 "Service Unavailable"
    VERSION_NOT_SUPPORTED 505 "HTTP Version Not Supported"
}
