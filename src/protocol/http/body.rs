//! Message bodies: how long they are, and the chunked coding both ways (RFC 9112 sections 6 and 7).
//!
//! Where two readers could see two lengths, the message is refused: that is how requests are smuggled past a proxy.

use bytes::{Bytes, BytesMut};

use super::Refusal;
use super::headers::Headers;
use super::status::Status;
use crate::core::limits::{HTTP_CHUNK_LINE_BYTES, HTTP_TRAILER_BYTES};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// What tells the end of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyLength {
    /// So many bytes; 0 when there is no body.
    Exact(u64),
    /// The chunked coding.
    Chunked,
}

impl BodyLength {
    /// The length of a request's body.
    ///
    /// # Errors
    /// Status 400 for two lengths or one that is no number, 501 for a transfer coding other than chunked.
    pub fn of_request(is_http11: bool, headers: &Headers) -> Result<Self, Refusal> {
        let mut codings = headers.all("Transfer-Encoding");
        let length = read_length(headers)?;
        let Some(coding) = codings.next() else {
            return Ok(BodyLength::Exact(length.unwrap_or(0)));
        };
        if length.is_some() {
            return Err(bad_length("Content-Length beside Transfer-Encoding"));
        }
        if !is_http11 || codings.next().is_some() {
            return Err(bad_length("Transfer-Encoding twice, or in HTTP/1.0"));
        }
        if !coding.eq_ignore_ascii_case("chunked") {
            let message = format!("HTTP transfer coding {} is not chunked", printable(coding));
            return Err(Refusal::new(
                Status::NOT_IMPLEMENTED,
                ErrorCode::HttpParseHeader,
                message,
            ));
        }
        Ok(BodyLength::Chunked)
    }
}

fn read_length(headers: &Headers) -> Result<Option<u64>, Refusal> {
    let mut lengths = headers.all("Content-Length");
    let Some(text) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err(bad_length("Content-Length twice"));
    }
    // `parse` alone would take a plus sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(length) if digits => Ok(Some(length)),
        _ => Err(bad_length(format!("Content-Length {}", printable(text)))),
    }
}

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some bytes, at least one.
    Data(Bytes),
    /// There is no more; what follows is the next message.
    End,
}

/// Cuts a body off the bytes of a connection as they arrive.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are to come.
    Exact(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    /// So many bytes of trailer lines were dropped.
    Trailer(usize),
    Done,
}

impl BodyReader {
    /// Reads a body of this length.
    pub fn new(length: BodyLength) -> Self {
        let state = match length {
            BodyLength::Exact(0) => State::Done,
            BodyLength::Exact(length) => State::Exact(length),
            BodyLength::Chunked => State::ChunkSize,
        };
        BodyReader { state }
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How many bytes of the body are to come at least; `None` when only its end will tell.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Exact(remaining) => Some(remaining),
            State::Done => Some(0),
            _ => None,
        }
    }

    /// Takes the next piece off the front of `buffer`; `None` needs more bytes.
    ///
    /// # Errors
    /// Status 400 on a chunk that is malformed or lines that are too long; no later call makes sense then.
    pub fn pull(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, Refusal> {
        loop {
            match self.state {
                State::Done => return Ok(Some(Piece::End)),
                State::Exact(remaining) | State::ChunkData(remaining) => return Ok(self.take_data(remaining, buffer)),
                State::ChunkSize => {
                    let Some(line) = take_line(buffer, HTTP_CHUNK_LINE_BYTES)? else {
                        return Ok(None);
                    };
                    self.state = match chunk_size(&line)? {
                        0 => State::Trailer(0),
                        size => State::ChunkData(size),
                    };
                }
                State::ChunkEnd => match take_line(buffer, 0)? {
                    Some(_) => self.state = State::ChunkSize,
                    None => return Ok(None),
                },
                State::Trailer(dropped) => {
                    let Some(line) = take_line(buffer, HTTP_TRAILER_BYTES - dropped)? else {
                        return Ok(None);
                    };
                    let dropped = (dropped + line.len() + 2).min(HTTP_TRAILER_BYTES);
                    self.state = if line.is_empty() {
                        State::Done
                    } else {
                        State::Trailer(dropped)
                    };
                }
            }
        }
    }

    fn take_data(&mut self, remaining: u64, buffer: &mut BytesMut) -> Option<Piece> {
        if buffer.is_empty() {
            return None;
        }
        let count = usize::try_from(remaining).unwrap_or(usize::MAX).min(buffer.len());
        let data = buffer.split_to(count).freeze();
        let rest = remaining - count as u64;
        self.state = match (self.state, rest) {
            (State::ChunkData(_), 0) => State::ChunkEnd,
            (State::ChunkData(_), rest) => State::ChunkData(rest),
            (_, 0) => State::Done,
            (_, rest) => State::Exact(rest),
        };
        Some(Piece::Data(data))
    }
}

/// A line of at most `limit` bytes, without its end; `None` needs more bytes. Only CR LF ends one: where others take a
/// bare LF, they would see other chunks.
fn take_line(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, Refusal> {
    let window = &buffer[..buffer.len().min(limit.saturating_add(2))];
    let Some(at) = window.iter().position(|byte| *byte == b'\n') else {
        let full = window.len() >= limit.saturating_add(2);
        let wrong = limit == 0 && window.first().is_some_and(|byte| *byte != b'\r');
        if full || wrong {
            return Err(bad_chunk(format!("no line end within {limit} bytes")));
        }
        return Ok(None);
    };
    if at == 0 || window[at - 1] != b'\r' {
        return Err(bad_chunk("a line that LF alone ends"));
    }
    let mut line = buffer.split_to(at + 1);
    line.truncate(at - 1);
    Ok(Some(line.freeze()))
}

fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
    let end = line
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(line.len());
    let (digits, extension) = line.split_at(end);
    let extension_fits = matches!(extension.first(), None | Some(b';' | b' ' | b'\t'))
        && extension
            .iter()
            .all(|byte| *byte == b'\t' || (b' '..=b'~').contains(byte))
        && extension
            .iter()
            .find(|byte| !b" \t".contains(byte))
            .is_none_or(|byte| *byte == b';');
    // Sixteen digits fit 64 bits.
    if digits.is_empty() || digits.len() > 16 || !extension_fits {
        return Err(bad_chunk(format!(
            "size line {}",
            printable(&String::from_utf8_lossy(line))
        )));
    }
    let value = |sum: u64, digit: &u8| (sum << 4) | u64::from(char::from(*digit).to_digit(16).unwrap_or(0));
    Ok(digits.iter().fold(0, value))
}

#[cold]
fn bad_length(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Status::BAD_REQUEST,
        ErrorCode::HttpParseHeader,
        format!("HTTP body length: {cause}"),
    )
}

#[cold]
fn bad_chunk(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Status::BAD_REQUEST,
        ErrorCode::HttpChunkHeader,
        format!("HTTP chunk: {cause}"),
    )
}

/// What ends a chunked body that has no trailer.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What ends each chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The line before a chunk of `bytes` bytes, which must not be 0: that would end the body.
pub fn chunk_line(bytes: usize) -> String {
    debug_assert_ne!(bytes, 0);
    format!("{bytes:x}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(*name, *value);
        }
        headers
    }

    fn length(fields: &[(&str, &str)]) -> Result<BodyLength, u16> {
        BodyLength::of_request(true, &headers(fields)).map_err(|refusal| refusal.status.code())
    }

    #[test]
    fn one_length_is_told() {
        assert_eq!(length(&[]), Ok(BodyLength::Exact(0)));
        assert_eq!(length(&[("content-length", "12")]), Ok(BodyLength::Exact(12)));
        assert_eq!(length(&[("Transfer-Encoding", "Chunked")]), Ok(BodyLength::Chunked));
    }

    #[test]
    fn two_lengths_are_refused() {
        let chunked = ("Transfer-Encoding", "chunked");
        let cases: &[&[(&str, &str)]] = &[
            &[("Content-Length", "1"), chunked],
            &[chunked, ("Content-Length", "0")],
            &[("Content-Length", "1"), ("Content-Length", "2")],
            &[("Content-Length", "1"), ("Content-Length", "1")],
            &[("Content-Length", "1, 1")],
            &[("Content-Length", "+1")],
            &[("Content-Length", "-1")],
            &[("Content-Length", "0x1")],
            &[("Content-Length", "")],
            &[("Content-Length", "18446744073709551616")],
            &[chunked, chunked],
        ];
        for fields in cases {
            assert_eq!(length(fields), Err(400), "{fields:?}");
        }
        for coding in [
            "gzip, chunked",
            "identity",
            "chunked, chunked",
            "xchunked",
            "\"chunked\"",
        ] {
            assert_eq!(length(&[("Transfer-Encoding", coding)]), Err(501), "{coding}");
        }
        let old = BodyLength::of_request(false, &headers(&[chunked])).unwrap_err();
        assert_eq!(old.status, Status::BAD_REQUEST);
    }

    type Parts = (Vec<u8>, Vec<u8>);

    /// The body and what is left behind it; `None` when it is not whole.
    fn read(length: BodyLength, parts: &[&[u8]]) -> Result<Option<Parts>, u16> {
        let mut reader = BodyReader::new(length);
        let (mut buffer, mut body) = (BytesMut::new(), Vec::new());
        for part in parts {
            buffer.extend_from_slice(part);
            while let Some(piece) = reader.pull(&mut buffer).map_err(|refusal| refusal.status.code())? {
                match piece {
                    Piece::Data(data) => body.extend_from_slice(&data),
                    Piece::End => break,
                }
            }
        }
        Ok(reader.is_done().then(|| (body, buffer.to_vec())))
    }

    const CHUNKED: &[u8] = b"5\r\nhello\r\n00A;x=\"y\"\r\n0123456789\r\n0 ; z\r\nTrailer: t\r\n\r\nGET";

    #[test]
    fn chunks_are_read_however_they_are_split() {
        let expected = Ok(Some((b"hello0123456789".to_vec(), b"GET".to_vec())));
        for cut in 0..=CHUNKED.len() {
            let (head, tail) = CHUNKED.split_at(cut);
            assert_eq!(read(BodyLength::Chunked, &[head, tail]), expected, "{cut}");
            let unfinished = read(BodyLength::Chunked, &[head]);
            assert_eq!(unfinished.unwrap().is_some(), cut >= CHUNKED.len() - 3, "{cut}");
        }
        let bytes: Vec<&[u8]> = CHUNKED.chunks(1).collect();
        assert_eq!(read(BodyLength::Chunked, &bytes), expected);
    }

    #[test]
    fn an_exact_length_ends_where_it_says() {
        assert_eq!(
            read(BodyLength::Exact(3), &[b"a", b"bcd"]),
            Ok(Some((b"abc".to_vec(), b"d".to_vec())))
        );
        assert_eq!(read(BodyLength::Exact(3), &[b"ab"]), Ok(None));
        assert_eq!(read(BodyLength::Exact(0), &[b"x"]), Ok(Some((vec![], b"x".to_vec()))));
        assert_eq!(BodyReader::new(BodyLength::Exact(u64::MAX)).remaining(), Some(u64::MAX));
    }

    #[test]
    fn malformed_chunks_are_refused() {
        let cases: &[&[u8]] = &[
            b"\r\n",
            b"x\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b" 1\r\n",
            b"0x1\r\n",
            b"1 1\r\n",
            b"1,\r\n",
            b"1;\x01\r\n",
            b"5\nhello\r\n",
            b"5\r\nhello0\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"10000000000000000\r\n",
            b"0\r\na: b\n\r\n",
        ];
        for bytes in cases {
            assert_eq!(
                read(BodyLength::Chunked, &[bytes]),
                Err(400),
                "{}",
                bytes.escape_ascii()
            );
        }
        let long = vec![b'1'; HTTP_CHUNK_LINE_BYTES + 2];
        assert_eq!(read(BodyLength::Chunked, &[&long]), Err(400));
        let trailer = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(HTTP_TRAILER_BYTES / 6 + 1)].concat();
        assert_eq!(read(BodyLength::Chunked, &[&trailer]), Err(400));
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut bytes = Vec::new();
        for part in [&b"a"[..], &[7; 5000]] {
            bytes.extend_from_slice(chunk_line(part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(CHUNK_END);
        }
        bytes.extend_from_slice(LAST_CHUNK);
        let expected = [&b"a"[..], &[7; 5000]].concat();
        assert_eq!(read(BodyLength::Chunked, &[&bytes]), Ok(Some((expected, vec![]))));
    }

    #[test]
    fn mutations_never_panic() {
        let mut random = fastrand::Rng::with_seed(6);
        for _ in 0..5000 {
            let mut bytes = CHUNKED.to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = if random.bool() {
                    random.u8(..)
                } else {
                    b"\r\n0f;"[random.usize(..5)]
                };
            }
            let cut = random.usize(..bytes.len());
            let _ = read(BodyLength::Chunked, &[&bytes[..cut], &bytes[cut..]]);
        }
    }
}
