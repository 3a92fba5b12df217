//! An answer of a server as its bytes arrive, in parts or as a whole (RFC 9112 sections 4 and 6.3).

use bytes::{Bytes, BytesMut};

use super::body::{BodyLength, BodyReader, Piece};
use super::headers::Headers;
use crate::core::limits::{HTTP_HEAD_BYTES, HTTP_HEADERS};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// How many interim answers (status 1xx) may come before the answer.
const INTERIM_MAX: usize = 16;

/// What comes before the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code, 200 to 599 from any sane server.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Comes once, first.
    Head(Head),
    /// Some bytes of the body, at least one, decoded from its chunks.
    Data(Bytes),
    /// The body is whole.
    End,
}

/// Cuts the answer to any request but HEAD and CONNECT into parts as the bytes of a connection arrive
/// ([`push`](Self::push)) and gives each as soon as it is there ([`pull`](Self::pull)).
///
/// Holds at most [`HTTP_HEAD_BYTES`] and what was given last, if the caller pulls until nothing comes.
#[derive(Debug, Default)]
pub struct AnswerParts {
    buffer: BytesMut,
    interim: usize,
    body: Option<Body>,
}

#[derive(Debug)]
enum Body {
    Told(BodyReader),
    /// All that comes until the server closes.
    UntilClose,
}

impl AnswerParts {
    /// Adds the bytes that follow those pushed before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next part; none if it needs more bytes.
    ///
    /// # Errors
    /// [`ErrorCode::HttpParseHeader`] or [`ErrorCode::HttpChunkHeader`] for bytes that are no answer; no later call makes
    /// sense then.
    pub fn pull(&mut self) -> Result<Option<Part>> {
        match &mut self.body {
            None => self.pull_head(),
            Some(Body::UntilClose) => {
                let data = self.buffer.split().freeze();
                Ok((!data.is_empty()).then_some(Part::Data(data)))
            }
            Some(Body::Told(reader)) => Ok(match reader.pull(&mut self.buffer)? {
                Some(Piece::Data(data)) => Some(Part::Data(data)),
                Some(Piece::End) => Some(Part::End),
                None => None,
            }),
        }
    }

    /// Whether the answer is whole when the server closes now.
    ///
    /// # Errors
    /// [`ErrorCode::HttpResponseEof`] when it is not.
    pub fn end(&self) -> Result<()> {
        let text = match &self.body {
            Some(Body::UntilClose) => return Ok(()),
            Some(Body::Told(reader)) if reader.is_done() => return Ok(()),
            Some(Body::Told(_)) => "HTTP answer ends in its body".to_owned(),
            None => format!("HTTP answer ends in its head, after {} bytes", self.buffer.len()),
        };
        Err(Error::new(ErrorCode::HttpResponseEof, text))
    }

    fn pull_head(&mut self) -> Result<Option<Part>> {
        loop {
            let Some((head, is_http11)) = self.read_head()? else {
                return Ok(None);
            };
            match head.status {
                // The peer would speak another protocol from here on.
                101 => return Err(bad_head("status 101 that nobody asked for")),
                100..200 => {
                    self.interim += 1;
                    if self.interim > INTERIM_MAX {
                        return Err(bad_head(format!("more than {INTERIM_MAX} interim answers")));
                    }
                }
                _ => {
                    self.body = Some(body_of(head.status, is_http11, &head.headers)?);
                    return Ok(Some(Part::Head(head)));
                }
            }
        }
    }

    /// Gives a head, and whether it is of HTTP/1.1.
    fn read_head(&mut self) -> Result<Option<(Head, bool)>> {
        let mut fields = [httparse::EMPTY_HEADER; HTTP_HEADERS];
        let mut parsed = httparse::Response::new(&mut fields);
        let length = match parsed.parse(&self.buffer) {
            Ok(httparse::Status::Complete(length)) if length <= HTTP_HEAD_BYTES => length,
            Ok(httparse::Status::Partial) if self.buffer.len() <= HTTP_HEAD_BYTES => return Ok(None),
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
        Ok(Some((Head { status, headers }, minor == 1)))
    }
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
    parts: AnswerParts,
    body_limit: usize,
    answer: Option<Answer>,
}

impl AnswerReader {
    /// For the answer to any request but HEAD and CONNECT; a body larger than `body_limit` bytes is refused.
    pub fn new(body_limit: usize) -> Self {
        AnswerReader {
            parts: AnswerParts::default(),
            body_limit,
            answer: None,
        }
    }

    /// Takes bytes as they came; gives the answer once it is whole. Holds at most [`HTTP_HEAD_BYTES`], the body's limit
    /// and what was given last.
    ///
    /// # Errors
    /// Those of [`AnswerParts::pull`], and [`ErrorCode::HttpContentLength`] for a body beyond the limit; no later call
    /// makes sense then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Answer>> {
        self.parts.push(bytes);
        while let Some(part) = self.parts.pull()? {
            match part {
                Part::Head(Head { status, headers }) => {
                    self.answer = Some(Answer {
                        status,
                        headers,
                        body: Vec::new(),
                    });
                }
                Part::Data(data) => self.take(&data)?,
                Part::End => return Ok(self.answer.take()),
            }
        }
        Ok(None)
    }

    /// The answer when the server closes now.
    ///
    /// # Errors
    /// [`ErrorCode::HttpResponseEof`] when it is not whole.
    pub fn end(self) -> Result<Answer> {
        self.parts.end()?;
        let taken = || Error::new(ErrorCode::HttpResponseEof, "HTTP answer was taken already");
        self.answer.ok_or_else(taken)
    }

    fn take(&mut self, data: &[u8]) -> Result<()> {
        let Some(answer) = &mut self.answer else {
            return Ok(());
        };
        if data.len() > self.body_limit.saturating_sub(answer.body.len()) {
            let text = format!("HTTP answer has a body of more than {} bytes", self.body_limit);
            return Err(Error::new(ErrorCode::HttpContentLength, text));
        }
        answer.body.extend_from_slice(data);
        Ok(())
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
        }
    }
}
