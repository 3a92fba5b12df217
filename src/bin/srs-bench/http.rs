//! The answer of an HTTP server, its body given as it passes.

use std::rc::Rc;

use srs_may::app::stream::Stream;
use srs_may::kernel::error::{Error, IoWrap, Result};
use srs_may::kernel::error_code::ErrorCode;
use srs_may::protocol::http::client::Url;

use crate::line::Way;

/// The longest head of an answer, bytes.
const HEAD_BYTES: usize = 8 << 10;
/// The longest size line of a chunk, bytes.
const CHUNK_LINE_BYTES: usize = 256;

/// What tells the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Bytes(u64),
    UntilClose,
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailer,
    Done,
}

/// One request's answer.
pub struct Answer {
    state: State,
    /// The status code, 0 before the head has come.
    pub status: u16,
    /// Whether the connection can take another request.
    pub keeps_open: bool,
    /// Where it sends us.
    pub location: Option<String>,
}

impl Answer {
    /// To a request that was just sent.
    pub fn new() -> Self {
        Answer {
            state: State::Head,
            status: 0,
            keeps_open: true,
            location: None,
        }
    }

    /// Whether all of it has come.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes bytes and gives those of the body to `body`; tells how many were used.
    ///
    /// # Errors
    /// [`ErrorCode::HttpParseHeader`] or [`ErrorCode::HttpChunkHeader`]; those of `body`.
    pub fn take(&mut self, input: &[u8], body: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<usize> {
        let mut rest = input;
        loop {
            match self.state {
                State::Done => break,
                State::Head => match find(rest, b"\r\n\r\n") {
                    Some(end) => {
                        self.read_head(&rest[..end])?;
                        rest = &rest[end + 4..];
                    }
                    None if rest.len() > HEAD_BYTES => {
                        return Err(Error::new(
                            ErrorCode::HttpParseHeader,
                            "the head of the answer has no end",
                        ));
                    }
                    None => break,
                },
                State::UntilClose => {
                    body(rest)?;
                    return Ok(input.len());
                }
                State::Bytes(left) | State::ChunkData(left) => {
                    if rest.is_empty() {
                        break;
                    }
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    body(&rest[..count])?;
                    rest = &rest[count..];
                    let left = left - count as u64;
                    self.state = match self.state {
                        State::Bytes(_) if left > 0 => State::Bytes(left),
                        State::Bytes(_) => State::Done,
                        _ if left > 0 => State::ChunkData(left),
                        _ => State::ChunkEnd,
                    };
                }
                State::ChunkSize | State::ChunkEnd | State::Trailer => match find(rest, b"\r\n") {
                    Some(end) => {
                        self.read_line(&rest[..end])?;
                        rest = &rest[end + 2..];
                    }
                    None if rest.len() > CHUNK_LINE_BYTES => {
                        return Err(Error::new(ErrorCode::HttpChunkHeader, "a chunk's size line has no end"));
                    }
                    None => break,
                },
            }
        }
        Ok(input.len() - rest.len())
    }

    fn read_head(&mut self, head: &[u8]) -> Result<()> {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let Some(status) = status.filter(|_| status_line.starts_with("HTTP/1.")) else {
            return Err(Error::new(ErrorCode::HttpParseHeader, "the answer has no status line"));
        };
        self.status = status;
        self.keeps_open = status_line.starts_with("HTTP/1.1");
        self.state = State::UntilClose;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => self.state = State::ChunkSize,
                "content-length" if self.state != State::ChunkSize => {
                    let length = value.parse();
                    let length = length.map_err(|_| Error::new(ErrorCode::HttpParseHeader, "Content-Length"))?;
                    self.state = if length == 0 { State::Done } else { State::Bytes(length) };
                }
                "connection" if value.eq_ignore_ascii_case("close") => self.keeps_open = false,
                "location" => self.location = Some(value.to_owned()),
                _ => {}
            }
        }
        if self.state == State::UntilClose {
            self.keeps_open = false;
        }
        Ok(())
    }

    fn read_line(&mut self, line: &[u8]) -> Result<()> {
        self.state = match self.state {
            State::ChunkSize => {
                let text = std::str::from_utf8(line).unwrap_or_default();
                let digits = text.split(';').next().unwrap_or_default().trim();
                let size = u64::from_str_radix(digits, 16);
                match size.map_err(|_| Error::new(ErrorCode::HttpChunkHeader, "the size of a chunk"))? {
                    0 => State::Trailer,
                    size => State::ChunkData(size),
                }
            }
            State::Trailer if line.is_empty() => State::Done,
            State::Trailer => State::Trailer,
            _ => State::ChunkSize,
        };
        Ok(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Sends a GET. Yields.
///
/// # Errors
/// [`ErrorCode::SocketWrite`].
pub fn ask(stream: &Stream, url: &Url) -> Result<()> {
    let default_port = if url.is_https { 443 } else { 80 };
    let brackets = if url.host.contains(':') { ["[", "]"] } else { ["", ""] };
    let port = if url.port == default_port {
        String::new()
    } else {
        format!(":{}", url.port)
    };
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: {}{}{}{port}\r\nUser-Agent: srs-bench\r\nAccept: */*\r\n\r\n",
        url.target, brackets[0], url.host, brackets[1]
    );
    let written = stream.write_all(head.as_bytes());
    written.io_wrap(ErrorCode::SocketWrite, || "send the request".to_owned())
}

/// Connects as a URL wants it. Yields.
///
/// # Errors
/// Those of [`Way::connect`].
pub fn connect(way: &Way, url: &Url, number: usize) -> Result<Rc<Stream>> {
    way.connect(&url.host, url.port, url.is_https, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_in_steps(bytes: &[u8], step: usize) -> Result<(Answer, Vec<u8>)> {
        let (mut answer, mut rest, mut body) = (Answer::new(), Vec::new(), Vec::new());
        for piece in bytes.chunks(step) {
            rest.extend_from_slice(piece);
            let used = answer.take(&rest, &mut |part| {
                body.extend_from_slice(part);
                Ok(())
            })?;
            rest.drain(..used);
        }
        Ok((answer, body))
    }

    #[test]
    fn bodies_of_all_kinds_come_whole() {
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\n wo\r\n0\r\nt: v\r\n\r\n";
        let sized = "HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhello wo";
        let endless = "HTTP/1.0 200 OK\r\n\r\nhello wo";
        for (text, status, done, keeps) in [
            (chunked, 200, true, true),
            (sized, 404, true, false),
            (endless, 200, false, false),
        ] {
            for step in [1, 7, 1000] {
                let (answer, body) = body_in_steps(text.as_bytes(), step).unwrap();
                assert_eq!(body, b"hello wo", "{text}");
                assert_eq!(
                    (answer.status, answer.is_done(), answer.keeps_open),
                    (status, done, keeps)
                );
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(body_in_steps(text.as_bytes(), 3).is_err());
        }
        assert!(body_in_steps(&[b'x'; 10_000], 1000).is_err());
    }
}
