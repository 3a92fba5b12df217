//! The client's side of one exchange: the address, the request's bytes, and the answer as its bytes arrive
//! (RFC 9112 sections 3, 4 and 6.3).

use bytes::BytesMut;

use super::body::{BodyLength, BodyReader, Piece};
use super::headers::Headers;
use crate::core::limits::{HTTP_HEAD_BYTES, HTTP_HEADERS, HTTP_TARGET_BYTES};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// How many interim answers (status 1xx) may come before the answer.
const INTERIM_MAX: usize = 16;

/// An absolute `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it asks for TLS.
    pub is_https: bool,
    /// The host name or address, IPv6 without brackets.
    pub host: String,
    /// The TCP port, from 1.
    pub port: u16,
    /// Path and query as given, with a `/` at the front.
    pub target: String,
    authority: String,
}

impl Url {
    /// Reads a URL. A fragment is left out; user and password are refused, since we would not send them.
    ///
    /// # Errors
    /// [`ErrorCode::HttpParseUrl`], which shows the URL.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |cause: &str| Error::new(ErrorCode::HttpParseUrl, format!("URL {}: {cause}", printable(text)));
        if text.len() > HTTP_TARGET_BYTES || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(bad("it is too long, or holds blanks or control characters"));
        }
        let (schema, rest) = text.split_once("://").ok_or_else(|| bad("it has no schema"))?;
        let is_https = match schema.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(bad("its schema is neither http nor https")),
        };
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = split_port(authority).ok_or_else(|| bad("its host or port is malformed"))?;
        let default = if is_https { 443 } else { 80 };
        let port = match port {
            "" => default,
            digits => digits
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| bad("its port is no port"))?,
        };
        Ok(Url {
            is_https,
            host: host.to_owned(),
            port,
            target: if target.starts_with('/') {
                target.to_owned()
            } else {
                format!("/{target}")
            },
            authority: authority.to_owned(),
        })
    }
}

/// Host without brackets, and the port's digits if any; `None` for what is neither.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                if behind.is_empty() {
                    ""
                } else {
                    behind.strip_prefix(':')?
                },
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let plain = !host.is_empty() && !host.contains(['@', '\\']);
    (digits && plain).then_some((host, port))
}

/// The bytes of a request with its body. `agent` is the User-Agent; none of the texts may hold a line end.
pub fn request_bytes(method: &str, url: &Url, agent: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nConnection: Keep-Alive\r\nContent-Length: {}\r\nUser-Agent: {agent}\r\n\
         Content-Type: application/json\r\n\r\n",
        url.target,
        url.authority,
        body.len(),
    );
    [head.as_bytes(), body].concat()
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code, 200 to 599 from any sane server.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body, decoded from its chunks.
    pub body: Vec<u8>,
}

/// Puts an answer together from the bytes of a connection.
#[derive(Debug)]
pub struct AnswerReader {
    buffer: BytesMut,
    interim: usize,
    body_limit: usize,
    answer: Option<(Answer, Body)>,
}

#[derive(Debug)]
enum Body {
    Told(BodyReader),
    /// All that comes until the server closes.
    UntilClose,
}

impl AnswerReader {
    /// For the answer to any request but HEAD and CONNECT; a body larger than `body_limit` bytes is refused.
    pub fn new(body_limit: usize) -> Self {
        AnswerReader {
            buffer: BytesMut::new(),
            interim: 0,
            body_limit,
            answer: None,
        }
    }

    /// Takes bytes as they came; gives the answer once it is whole. Holds at most [`HTTP_HEAD_BYTES`], the body's limit
    /// and what was given last.
    ///
    /// # Errors
    /// [`ErrorCode::HttpParseHeader`] or [`ErrorCode::HttpChunkHeader`] for bytes that are no answer,
    /// [`ErrorCode::HttpContentLength`] for a body beyond the limit; no later call makes sense then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Answer>> {
        self.buffer.extend_from_slice(bytes);
        while self.answer.is_none() {
            if !self.read_head()? {
                return Ok(None);
            }
        }
        if !self.read_body()? {
            return Ok(None);
        }
        Ok(self.answer.take().map(|(answer, _)| answer))
    }

    /// The answer when the server closes now.
    ///
    /// # Errors
    /// [`ErrorCode::HttpResponseEof`] when it is not whole.
    pub fn end(self) -> Result<Answer> {
        match self.answer {
            Some((answer, Body::UntilClose)) => Ok(answer),
            Some(_) => Err(Error::new(ErrorCode::HttpResponseEof, "HTTP answer ends in its body")),
            None => {
                let text = format!("HTTP answer ends in its head, after {} bytes", self.buffer.len());
                Err(Error::new(ErrorCode::HttpResponseEof, text))
            }
        }
    }

    /// Gives whether there was a head.
    fn read_head(&mut self) -> Result<bool> {
        let mut fields = [httparse::EMPTY_HEADER; HTTP_HEADERS];
        let mut parsed = httparse::Response::new(&mut fields);
        let length = match parsed.parse(&self.buffer) {
            Ok(httparse::Status::Complete(length)) if length <= HTTP_HEAD_BYTES => length,
            Ok(httparse::Status::Partial) if self.buffer.len() <= HTTP_HEAD_BYTES => return Ok(false),
            Ok(_) => return Err(bad_head(format!("more than {HTTP_HEAD_BYTES} bytes"))),
            Err(error) => return Err(bad_head(error)),
        };
        let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
            return Err(bad_head("no status line"));
        };
        let mut headers = Headers::default();
        for field in parsed.headers.iter() {
            headers.push(field.name, String::from_utf8_lossy(field.value).trim());
        }
        let _ = self.buffer.split_to(length);
        match status {
            // The peer would speak another protocol from here on.
            101 => return Err(bad_head("status 101 that nobody asked for")),
            100..200 => {
                self.interim += 1;
                if self.interim > INTERIM_MAX {
                    return Err(bad_head(format!("more than {INTERIM_MAX} interim answers")));
                }
                return Ok(true);
            }
            _ => {}
        }
        let body = body_of(status, minor == 1, &headers)?;
        let answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        self.answer = Some((answer, body));
        Ok(true)
    }

    /// Gives whether the body has ended.
    fn read_body(&mut self) -> Result<bool> {
        let Some((answer, body)) = &mut self.answer else {
            return Ok(false);
        };
        let limit = self.body_limit;
        let mut take = |data: &[u8]| {
            if data.len() > limit.saturating_sub(answer.body.len()) {
                let text = format!("HTTP answer has a body of more than {limit} bytes");
                return Err(Error::new(ErrorCode::HttpContentLength, text));
            }
            answer.body.extend_from_slice(data);
            Ok(())
        };
        match body {
            Body::UntilClose => {
                take(&self.buffer.split())?;
                Ok(false)
            }
            Body::Told(reader) => {
                while let Some(piece) = reader.pull(&mut self.buffer)? {
                    match piece {
                        Piece::Data(data) => take(&data)?,
                        Piece::End => return Ok(true),
                    }
                }
                Ok(false)
            }
        }
    }
}

fn body_of(status: u16, is_http11: bool, headers: &Headers) -> Result<Body> {
    if matches!(status, 204 | 304) {
        return Ok(Body::Told(BodyReader::new(BodyLength::Exact(0))));
    }
    let told = headers.get("Content-Length").is_some() || headers.get("Transfer-Encoding").is_some();
    if !told {
        return Ok(Body::UntilClose);
    }
    // The rules of requests are the strict ones, and right for answers that tell a length too.
    Ok(Body::Told(BodyReader::new(BodyLength::of_request(is_http11, headers)?)))
}

#[cold]
fn bad_head(cause: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::HttpParseHeader, format!("HTTP answer's head: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&[u8]]) -> Result<Option<Answer>> {
        let mut reader = AnswerReader::new(1000);
        for part in parts {
            if let Some(answer) = reader.push(part)? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    fn code(bytes: &[u8]) -> ErrorCode {
        read(&[bytes]).unwrap_err().code()
    }

    const CHUNKED: &[u8] =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\n{\"cod\r\n5\r\ne\":0}\r\n0\r\n\r\n";
    const EXACT: &[u8] = b"HTTP/1.0 201 Created\r\nContent-Length: 1\r\n\r\n0";

    #[test]
    fn urls_are_taken_apart() {
        let cases = [
            ("http://a.com", "a.com", 80, "/"),
            ("HTTP://a.com:8085/api?x=1&y=%20", "a.com", 8085, "/api?x=1&y=%20"),
            ("http://a.com?x=1", "a.com", 80, "/?x=1"),
            ("http://[::1]:81/p#f", "::1", 81, "/p"),
            ("https://a.com/", "a.com", 443, "/"),
        ];
        for (text, host, port, target) in cases {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.host.as_str(), url.port, url.target.as_str()),
                (host, port, target),
                "{text}"
            );
            assert_eq!(url.is_https, text.starts_with("https"));
        }
        for text in [
            "",
            "a.com",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a:0/",
            "http://a:65536/",
            "http://a:x/",
            "http://[::1",
            "http://[a]/",
            "http://[::1]x/",
            "http://u:p@a/",
            "http://a/\r\nX: y",
            "http://a/b c",
            "http://a:+1/",
        ] {
            assert_eq!(
                Url::parse(text).unwrap_err().code(),
                ErrorCode::HttpParseUrl,
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_request_has_its_fields_and_body() {
        let url = Url::parse("http://[::1]:8085/api?x=1").unwrap();
        let bytes = String::from_utf8(request_bytes("POST", &url, "SRS/7", b"{}")).unwrap();
        assert!(bytes.starts_with("POST /api?x=1 HTTP/1.1\r\nHost: [::1]:8085\r\n"));
        assert!(
            bytes.contains("\r\nContent-Length: 2\r\n") && bytes.contains("\r\nContent-Type: application/json\r\n")
        );
        assert!(bytes.ends_with("\r\n\r\n{}"));
    }

    #[test]
    fn answers_are_read_however_they_are_split() {
        for (bytes, status, body) in [(CHUNKED, 200, &b"{\"code\":0}"[..]), (EXACT, 201, b"0")] {
            for cut in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(cut);
                let answer = read(&[head, tail]).unwrap().unwrap();
                assert_eq!((answer.status, answer.body.as_slice()), (status, body), "{cut}");
                if cut < bytes.len() {
                    let mut reader = AnswerReader::new(1000);
                    assert_eq!(reader.push(head).unwrap(), None, "{cut}");
                    assert_eq!(reader.end().unwrap_err().code(), ErrorCode::HttpResponseEof, "{cut}");
                }
            }
            let bytes: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&bytes).unwrap().unwrap().body, body);
        }
    }

    #[test]
    fn without_a_length_the_close_ends_it() {
        let mut reader = AnswerReader::new(1000);
        assert_eq!(reader.push(b"HTTP/1.1 200 OK\r\n\r\nab").unwrap(), None);
        assert_eq!(reader.push(b"c").unwrap(), None);
        assert_eq!(reader.end().unwrap().body, b"abc");
        assert_eq!(read(&[b"HTTP/1.1 204 No\r\n\r\n"]).unwrap().unwrap().body, b"");
    }

    #[test]
    fn what_is_no_answer_or_too_large_is_refused() {
        assert_eq!(code(b"garbage\r\n\r\n"), ErrorCode::HttpParseHeader);
        assert_eq!(code(b"HTTP/1.1 101 Up\r\n\r\n"), ErrorCode::HttpParseHeader);
        assert_eq!(code(&b"HTTP/1.1 100 Go\r\n\r\n".repeat(20)), ErrorCode::HttpParseHeader);
        assert_eq!(
            code(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
            ErrorCode::HttpParseHeader
        );
        assert_eq!(
            code(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            ErrorCode::HttpChunkHeader
        );
        let long = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'a'; HTTP_HEAD_BYTES]].concat();
        assert_eq!(code(&long), ErrorCode::HttpParseHeader);
        for head in ["Content-Length: 1001\r\n", ""] {
            let large = [format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes(), vec![b'a'; 1001]].concat();
            assert_eq!(code(&large), ErrorCode::HttpContentLength);
        }
    }

    #[test]
    fn mutations_never_panic() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..5000 {
            let mut bytes = CHUNKED.to_vec();
            for _ in 0..random.usize(1..5) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let cut = random.usize(..bytes.len());
            let _ = read(&[&bytes[..cut], &bytes[cut..]]);
            let _ = Url::parse(&String::from_utf8_lossy(&bytes[..cut]));
        }
    }
}
