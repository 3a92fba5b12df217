//! Request heads: the request line and the header fields, with what the connection has to know of them.

use bytes::{Buf, BytesMut};

use super::Refusal;
use super::body::BodyLength;
use super::headers::Headers;
use super::path;
use super::query::Query;
use super::status::Status;
use crate::core::limits::{HTTP_HEAD_BYTES, HTTP_HEADERS, HTTP_TARGET_BYTES};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// Bytes of a request line beside its target: the longest method, the version, blanks and line end.
const LINE_BYTES: usize = 64;

/// What the peer wants done (RFC 9110 section 9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Read.
    Get,
    /// Read the head of the answer only.
    Head,
    /// Hand something in.
    Post,
    /// Put something in place.
    Put,
    /// Change a part.
    Patch,
    /// Remove.
    Delete,
    /// Ask what may be asked; browsers do before they ask another site.
    Options,
    /// Any other.
    Other,
}

impl Method {
    fn of(name: &str) -> Self {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }

    /// The method's name in requests; `-` for those that are not told apart.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other => "-",
        }
    }
}

/// One request, without its body.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// Whether it is HTTP/1.1 rather than 1.0.
    pub is_http11: bool,
    /// The path, decoded and safe (see [`path::resolve`]); `*` for a request about the server as a whole.
    pub path: String,
    /// The query.
    pub query: Query,
    /// Path and query as the peer wrote them.
    pub target: String,
    /// The name or address that the peer used for this server, in lower case, without port and brackets; empty when it
    /// told none.
    pub host: String,
    /// All header fields.
    pub headers: Headers,
    /// How long the body is.
    pub body: BodyLength,
}

impl Request {
    /// Whether the peer wants to use the connection for another request.
    pub fn wants_keep_alive(&self) -> bool {
        if self.headers.has_token("Connection", "close") {
            return false;
        }
        self.is_http11 || self.headers.has_token("Connection", "keep-alive")
    }

    /// Whether the peer holds its body back until it is told to go on.
    pub fn expects_continue(&self) -> bool {
        self.is_http11 && self.headers.has_token("Expect", "100-continue")
    }

    /// The vhost that the peer asks for: by parameter `vhost`, else `domain`, else by the host's name.
    pub fn vhost_name(&self) -> String {
        let by_query = |name| self.query.get(name).filter(|value| !value.is_empty());
        by_query("vhost")
            .or_else(|| by_query("domain"))
            .unwrap_or_else(|| self.host.clone())
    }

    /// Reads a whole head.
    fn parse(head: &[u8]) -> Result<Self, Refusal> {
        let mut fields = [httparse::EMPTY_HEADER; HTTP_HEADERS];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(bad_head("it ends early")),
            Err(error) => return Err(refuse_head(error)),
        }
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(bad_head("it has no request line"));
        };
        if target.len() > HTTP_TARGET_BYTES {
            return Err(target_too_long(target.len()));
        }
        let mut headers = Headers::default();
        for field in parsed.headers.iter() {
            headers.push(field.name, String::from_utf8_lossy(field.value).trim());
        }
        let (authority, target) = split_authority(target);
        let (raw_path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = Method::of(method);
        let path = match raw_path {
            "*" if method == Method::Options => raw_path.to_owned(),
            _ => path::resolve(raw_path).map_err(|cause| bad_path(raw_path, cause))?,
        };
        Ok(Request {
            method,
            is_http11: minor == 1,
            path,
            query: Query::new(query),
            target: target.to_owned(),
            host: read_host(authority, &headers)?,
            body: BodyLength::of_request(minor == 1, &headers)?,
            headers,
        })
    }
}

/// Cuts request heads off the bytes of a connection, looking at each byte once however they are split.
#[derive(Debug, Default)]
pub struct RequestReader {
    /// How many bytes of the buffer have been looked through for the head's end.
    scanned: usize,
}

impl RequestReader {
    /// Takes the next head off the front of `buffer`; `None` needs more bytes. Holds no bytes itself: a caller that
    /// reads a little at a time keeps at most [`HTTP_HEAD_BYTES`] and what it read last.
    ///
    /// # Errors
    /// Heads that are malformed or too large; no later call makes sense then.
    pub fn pull(&mut self, buffer: &mut BytesMut) -> Result<Option<Request>, Refusal> {
        if self.scanned == 0 {
            // Some clients send a line end too many behind a body (RFC 9112 section 2.2).
            let blank = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            buffer.advance(blank);
        }
        match buffer.first() {
            None => return Ok(None),
            Some(first) if first.is_ascii_alphabetic() => {}
            Some(first) => return Err(bad_head(format!("it begins with byte {first:#04x}"))),
        }
        let Some(end) = find_end(buffer, self.scanned) else {
            self.scanned = buffer.len();
            return check_unfinished(buffer).map(|()| None);
        };
        if end > HTTP_HEAD_BYTES {
            return Err(head_too_large());
        }
        self.scanned = 0;
        Request::parse(&buffer.split_to(end)).map(Some)
    }
}

/// Where the head ends: behind the first empty line. Bytes before `scanned` hold no whole one.
fn find_end(buffer: &[u8], scanned: usize) -> Option<usize> {
    let mut at = scanned.saturating_sub(3);
    loop {
        let rest = buffer.get(at..)?;
        at += rest.iter().position(|byte| *byte == b'\n')? + 1;
        match buffer.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

fn check_unfinished(buffer: &[u8]) -> Result<(), Refusal> {
    let line = buffer.get(..HTTP_TARGET_BYTES + LINE_BYTES);
    if line.is_some_and(|line| !line.contains(&b'\n')) {
        return Err(target_too_long(buffer.len()));
    }
    if buffer.len() > HTTP_HEAD_BYTES {
        return Err(head_too_large());
    }
    Ok(())
}

/// Takes the authority off an absolute target, as proxies send it.
fn split_authority(target: &str) -> (Option<&str>, &str) {
    let Some(scheme) = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")) else {
        return (None, target);
    };
    let rest = target.get(scheme.len()..).unwrap_or_default();
    match rest.find(['/', '?']) {
        Some(at) if rest[at..].starts_with('/') => (Some(&rest[..at]), &rest[at..]),
        _ => (Some(rest), "/"),
    }
}

fn read_host(authority: Option<&str>, headers: &Headers) -> Result<String, Refusal> {
    if headers.all("Host").count() > 1 {
        return Err(bad_head("it has several Host fields"));
    }
    // Some players send none, though HTTP/1.1 demands it.
    let text = authority.or_else(|| headers.get("Host")).unwrap_or_default();
    host_of(text).ok_or_else(|| bad_head(format!("its host is {}", printable(text))))
}

/// The host of `host:port` or `[address]:port`; `None` when it has letters that no host has.
fn host_of(text: &str) -> Option<String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .map(|(host, port)| (host, port.strip_prefix(':').unwrap_or(port)))?,
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_v6 = text.starts_with('[');
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || (is_v6 && b":%".contains(&byte));
    let fits = host.bytes().all(legal) && port.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| host.to_ascii_lowercase())
}

#[cold]
fn refuse_head(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::new(
            Status::HEADERS_TOO_LARGE,
            ErrorCode::HttpParseHeader,
            format!("HTTP head has more than {HTTP_HEADERS} fields"),
        ),
        httparse::Error::Version => Refusal::new(
            Status::VERSION_NOT_SUPPORTED,
            ErrorCode::HttpParseHeader,
            "HTTP head is not of version 1",
        ),
        error => bad_head(error.to_string()),
    }
}

#[cold]
fn bad_head(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Status::BAD_REQUEST,
        ErrorCode::HttpParseHeader,
        format!("HTTP head: {cause}"),
    )
}

#[cold]
fn bad_path(raw: &str, cause: &str) -> Refusal {
    let message = format!("HTTP path {}: {cause}", printable(raw));
    Refusal::new(Status::BAD_REQUEST, ErrorCode::HttpUrlNotClean, message)
}

#[cold]
fn target_too_long(bytes: usize) -> Refusal {
    let message = format!("HTTP target of {bytes} bytes or more, {HTTP_TARGET_BYTES} are allowed");
    Refusal::new(Status::URI_TOO_LONG, ErrorCode::HttpParseUrl, message)
}

#[cold]
fn head_too_large() -> Refusal {
    let message = format!("HTTP head is above {HTTP_HEAD_BYTES} bytes");
    Refusal::new(Status::HEADERS_TOO_LARGE, ErrorCode::HttpParseHeader, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Request, u16> {
        let mut buffer = BytesMut::from(text);
        match RequestReader::default().pull(&mut buffer) {
            Ok(Some(request)) => Ok(request),
            Ok(None) => Err(0),
            Err(refusal) => Err(refusal.status.code()),
        }
    }

    fn get(target: &str, fields: &str) -> Result<Request, u16> {
        parse(&format!("GET {target} HTTP/1.1\r\n{fields}\r\n"))
    }

    const FULL: &str = "POST /live/a%20b.flv?vhost=v.com&x=1 HTTP/1.1\r\nHost: Example.COM:8080\r\nA: b \r\n\
                        Content-Length: 3\r\n\r\n";

    #[test]
    fn a_head_is_read() {
        let request = parse(FULL).unwrap();
        assert_eq!(request.method, Method::Post);
        assert_eq!(request.path, "/live/a b.flv");
        assert_eq!(request.query.raw(), "vhost=v.com&x=1");
        assert_eq!(request.target, "/live/a%20b.flv?vhost=v.com&x=1");
        assert_eq!(request.host, "example.com");
        assert_eq!(request.vhost_name(), "v.com");
        assert_eq!(request.headers.get("a"), Some("b"));
        assert_eq!(request.body, BodyLength::Exact(3));
        assert!(request.is_http11 && request.wants_keep_alive());
    }

    #[test]
    fn split_at_every_byte_it_is_the_same() {
        let bytes = FULL.as_bytes();
        for cut in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..cut]);
            let mut reader = RequestReader::default();
            assert!(reader.pull(&mut buffer).unwrap().is_none(), "{cut}");
            buffer.extend_from_slice(&bytes[cut..]);
            buffer.extend_from_slice(b"abcGET /");
            assert_eq!(reader.pull(&mut buffer).unwrap().unwrap().host, "example.com");
            assert_eq!(&buffer[..], b"abcGET /");
        }
        let mut reader = RequestReader::default();
        let mut buffer = BytesMut::new();
        let pulled: Vec<bool> = bytes
            .iter()
            .map(|byte| {
                buffer.extend_from_slice(&[*byte]);
                reader.pull(&mut buffer).unwrap().is_some()
            })
            .collect();
        assert_eq!(pulled.iter().position(|whole| *whole), Some(bytes.len() - 1));
    }

    #[test]
    fn requests_may_follow_each_other() {
        let mut buffer = BytesMut::from("\r\n\r\nGET /1 HTTP/1.1\r\n\r\n\r\nGET /2 HTTP/1.0\n\nGET /3");
        let mut reader = RequestReader::default();
        assert_eq!(reader.pull(&mut buffer).unwrap().unwrap().path, "/1");
        let second = reader.pull(&mut buffer).unwrap().unwrap();
        assert!(second.path == "/2" && !second.is_http11 && !second.wants_keep_alive());
        assert!(reader.pull(&mut buffer).unwrap().is_none());
    }

    #[test]
    fn what_is_kept_alive() {
        let alive = |version: &str, field: &str| {
            parse(&format!("GET / HTTP/1.{version}\r\n{field}\r\n\r\n"))
                .unwrap()
                .wants_keep_alive()
        };
        assert!(alive("1", "a: b") && alive("0", "Connection: Keep-Alive"));
        assert!(!alive("0", "a: b") && !alive("1", "connection: x, CLOSE"));
        assert!(!alive("0", "Connection: close, keep-alive"));
    }

    #[test]
    fn hosts_are_read() {
        let host = |text: &str| get("/", &format!("Host: {text}\r\n")).map(|request| request.host);
        assert_eq!(host("[::1]:8080").as_deref(), Ok("::1"));
        assert_eq!(host("[::1]").as_deref(), Ok("::1"));
        assert_eq!(host("127.0.0.1").as_deref(), Ok("127.0.0.1"));
        assert_eq!(host("").as_deref(), Ok(""));
        for text in ["a b", "a/b", "[::1", "a:b", "::1", "a\"", "[::1]x", "<a>"] {
            assert_eq!(host(text), Err(400), "{text}");
        }
        assert_eq!(get("/", "Host: a\r\nHost: b\r\n").err(), Some(400));
        assert_eq!(get("/", "").unwrap().host, "");
        let absolute = get("http://v.com:80/a?b=c", "Host: x\r\n").unwrap();
        assert_eq!(
            (absolute.host.as_str(), absolute.path.as_str(), absolute.query.raw()),
            ("v.com", "/a", "b=c")
        );
        assert_eq!(get("HTTP://v.com", "").unwrap().path, "/");
    }

    #[test]
    fn the_vhost_is_named_by_parameter_or_host() {
        let vhost = |target: &str| get(target, "Host: h\r\n").unwrap().vhost_name();
        assert_eq!(vhost("/?vhost=a&domain=b"), "a");
        assert_eq!(vhost("/?domain=b"), "b");
        assert_eq!(vhost("/?vhost="), "h");
    }

    #[test]
    fn malformed_heads_get_a_status() {
        let cases = [
            ("GET / HTTP/2.0\r\n\r\n", 505),
            ("GET / HTTP/1.1\r\nA b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nA: b\0\r\n\r\n", 400),
            ("GET  / HTTP/1.1\r\n\r\n", 400),
            ("GET / x HTTP/1.1\r\n\r\n", 505),
            ("GET /\r\n\r\n", 400),
            ("G\x01T / HTTP/1.1\r\n\r\n", 400),
            ("\x16\x03\x01", 400),
            ("GET * HTTP/1.1\r\n\r\n", 400),
            ("GET a HTTP/1.1\r\n\r\n", 400),
            ("GET /a/%2e%2e/b HTTP/1.1\r\n\r\n", 400),
        ];
        for (text, status) in cases {
            assert_eq!(parse(text).err(), Some(status), "{text:?}");
        }
        assert_eq!(parse("OPTIONS * HTTP/1.1\r\n\r\n").unwrap().path, "*");
    }

    #[test]
    fn large_heads_are_refused() {
        let many = "a: b\r\n".repeat(HTTP_HEADERS + 1);
        assert_eq!(get("/", &many).err(), Some(431));
        assert_eq!(
            get("/", &"a: b\r\n".repeat(HTTP_HEADERS)).unwrap().headers.len(),
            HTTP_HEADERS
        );
        let long = format!("a: {}\r\n", "x".repeat(HTTP_HEAD_BYTES));
        assert_eq!(get("/", &long).err(), Some(431));
        assert_eq!(parse(&format!("GET / HTTP/1.1\r\n{long}")).err(), Some(431));
        let fits = format!("a: {}\r\n", "x".repeat(HTTP_HEAD_BYTES - 30));
        assert!(get("/", &fits).is_ok());
        let target = format!("/{}", "x".repeat(HTTP_TARGET_BYTES));
        assert_eq!(get(&target, "").err(), Some(414));
        assert_eq!(parse(&format!("GET {target}{target}")).err(), Some(414));
    }

    #[test]
    fn mutations_never_panic() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..5000 {
            let mut bytes = FULL.as_bytes().to_vec();
            for _ in 0..random.usize(1..5) {
                let at = random.usize(..bytes.len());
                match random.u8(..3) {
                    0 => bytes[at] = random.u8(..),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b"\r\n :%/\0.?"[random.usize(..9)]),
                }
            }
            let mut buffer = BytesMut::from(&bytes[..]);
            let _ = RequestReader::default().pull(&mut buffer);
        }
    }
}
