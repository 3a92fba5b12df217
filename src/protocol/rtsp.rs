//! RTSP messages (RFC 2326): requests, answers, and the packets between them (10.12).

use bytes::{Buf, Bytes, BytesMut};

use crate::core::limits::{HTTP_HEADERS, RTSP_BODY_BYTES, RTSP_HEAD_BYTES};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::headers::Headers;

/// What a peer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A request.
    Request(Request),
    /// A packet of a channel that both agreed on.
    Packet {
        /// The channel.
        channel: u8,
        /// The packet.
        data: Bytes,
    },
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, as it was written.
    pub method: String,
    /// What it is about.
    pub uri: String,
    /// The header fields.
    pub headers: Headers,
    /// The body; empty if there is none.
    pub body: Bytes,
}

impl Request {
    /// The path of the URI without its parameters, as it was written: `/live/s` of `rtsp://host:554/live/s?x`.
    pub fn path(&self) -> &str {
        let rest = self.uri.split_once("://").map_or(self.uri.as_str(), |(_, rest)| rest);
        let path = rest.find('/').map_or("", |at| &rest[at..]);
        path.split('?').next().unwrap_or_default()
    }

    /// The host of the URI, without port.
    pub fn host(&self) -> &str {
        let rest = self.uri.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        host.split(':').next().unwrap_or_default()
    }
}

/// Takes the next item off the front of what a peer sent; none if it needs more. Answers, which nobody asked for, are
/// passed over. Fails with [`ErrorCode::RtspToken`] or [`ErrorCode::RtspHeaderEof`] on what is no message or too long.
pub fn pull(buffer: &mut BytesMut) -> Result<Option<Item>> {
    loop {
        // Empty lines before a message are allowed.
        while buffer.first().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            buffer.advance(1);
        }
        if buffer.first() == Some(&b'$') {
            return Ok(pull_packet(buffer));
        }
        let Some((head_bytes, head)) = find_head(buffer)? else {
            return Ok(None);
        };
        let (mut request, is_answer) = parse_head(&head)?;
        let body_bytes = body_bytes(&request.headers)?;
        if buffer.len() < head_bytes + body_bytes {
            return Ok(None);
        }
        buffer.advance(head_bytes);
        request.body = buffer.split_to(body_bytes).freeze();
        if !is_answer {
            return Ok(Some(Item::Request(request)));
        }
    }
}

/// An answer; `headers` are behind `CSeq`, and `Content-Length` is not needed, as there is no body.
pub fn answer(status: u16, reason: &str, sequence: &str, headers: &[(&str, String)]) -> Vec<u8> {
    let mut text = format!("RTSP/1.0 {status} {reason}\r\nCSeq: {sequence}\r\n");
    text += "Cache-Control: no-store\r\nPragma: no-cache\r\n";
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    (text + "\r\n").into_bytes()
}

/// A packet of a channel, as it goes between messages; none above 64 KB.
pub fn packet(channel: u8, data: &[u8]) -> Option<Vec<u8>> {
    let [high, low] = u16::try_from(data.len()).ok()?.to_be_bytes();
    Some([&[b'$', channel, high, low], data].concat())
}

fn pull_packet(buffer: &mut BytesMut) -> Option<Item> {
    let [_, channel, high, low] = *buffer.first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if buffer.len() < 4 + length {
        return None;
    }
    buffer.advance(4);
    let data = buffer.split_to(length).freeze();
    Some(Item::Packet { channel, data })
}

/// The head with its empty line: how many bytes it has, and its text.
fn find_head(buffer: &BytesMut) -> Result<Option<(usize, String)>> {
    let window = &buffer[..buffer.len().min(RTSP_HEAD_BYTES)];
    let end = window.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        if buffer.len() >= RTSP_HEAD_BYTES {
            let text = format!("RTSP head does not end within {RTSP_HEAD_BYTES} bytes");
            return Err(Error::new(ErrorCode::RtspHeaderEof, text));
        }
        return Ok(None);
    };
    match std::str::from_utf8(&window[..end]) {
        Ok(head) => Ok(Some((end + 4, head.to_owned()))),
        Err(_) => Err(Error::new(ErrorCode::RtspToken, "RTSP head is not UTF-8")),
    }
}

/// The request without its body, and whether it is an answer.
fn parse_head(head: &str) -> Result<(Request, bool)> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(uri), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(Error::new(
            ErrorCode::RtspToken,
            "RTSP request line without three words",
        ));
    };
    let is_answer = method.starts_with("RTSP/");
    if !is_answer && !version.starts_with("RTSP/1.") {
        return Err(Error::new(ErrorCode::RtspToken, "RTSP request line without RTSP/1.0"));
    }
    let mut request = Request {
        method: method.to_owned(),
        uri: uri.to_owned(),
        ..Request::default()
    };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return Err(Error::new(ErrorCode::RtspToken, "RTSP header line without colon"));
        };
        if request.headers.len() >= HTTP_HEADERS {
            let text = format!("RTSP request of more than {HTTP_HEADERS} header lines");
            return Err(Error::new(ErrorCode::RtspToken, text));
        }
        request.headers.push(name.trim(), value.trim());
    }
    Ok((request, is_answer))
}

fn body_bytes(headers: &Headers) -> Result<usize> {
    let Some(text) = headers.get("Content-Length") else {
        return Ok(0);
    };
    match text.parse::<usize>() {
        Ok(length) if length <= RTSP_BODY_BYTES => Ok(length),
        _ => Err(Error::new(
            ErrorCode::RtspToken,
            format!("RTSP Content-Length is no number up to {RTSP_BODY_BYTES}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"ANNOUNCE rtsp://127.0.0.1:554/live/s.sdp?x=1 RTSP/1.0\r\nContent-Type: application/sdp\r\n\
        CSeq: 2\r\nContent-Length: 5\r\n\r\nv=0\r\n$\x01\x00\x03abc\r\nRTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n\
        OPTIONS * RTSP/1.0\r\nCSeq: 3\r\n\r\n";

    fn pull_all(bytes: &[u8], step: usize) -> Result<Vec<Item>> {
        let (mut buffer, mut items) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(item) = pull(&mut buffer)? {
                items.push(item);
            }
        }
        Ok(items)
    }

    #[test]
    fn requests_and_packets_come_in_pieces_of_any_size() {
        let whole = pull_all(STREAM, STREAM.len()).unwrap();
        for step in 1..40 {
            assert_eq!(pull_all(STREAM, step).unwrap(), whole);
        }
        let [Item::Request(announce), packet, Item::Request(options)] = &whole[..] else {
            panic!("{whole:?}");
        };
        assert_eq!((announce.method.as_str(), announce.path()), ("ANNOUNCE", "/live/s.sdp"));
        assert_eq!((announce.host(), &announce.body[..]), ("127.0.0.1", &b"v=0\r\n"[..]));
        assert_eq!(announce.headers.get("cseq"), Some("2"));
        let expected = Item::Packet {
            channel: 1,
            data: Bytes::from_static(b"abc"),
        };
        assert_eq!(*packet, expected);
        assert_eq!(
            (options.method.as_str(), options.path(), options.host()),
            ("OPTIONS", "", "")
        );
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"OPTIONS\r\n\r\n",
            b"OPTIONS * RTSP/1.0\r\nnonsense\r\n\r\n",
            b"OPTIONS * RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n",
            b"OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
            b"\xff\xfe * RTSP/1.0\r\n\r\n",
        ] {
            assert_eq!(pull_all(bytes, 100).unwrap_err().code(), ErrorCode::RtspToken);
        }
        let endless = vec![b'a'; RTSP_HEAD_BYTES + 1];
        assert_eq!(pull_all(&endless, 1000).unwrap_err().code(), ErrorCode::RtspHeaderEof);
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..3000 {
            let mut changed = STREAM.to_vec();
            let at = random.usize(..changed.len());
            changed[at] = random.u8(..);
            let _ = pull_all(&changed, random.usize(1..99));
        }
    }

    #[test]
    fn answers_and_packets_are_written() {
        let text = answer(200, "OK", "7", &[("Session", "abc".to_owned())]);
        assert!(text.starts_with(b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n") && text.ends_with(b"Session: abc\r\n\r\n"));
        assert_eq!(packet(3, b"ab").unwrap(), b"$\x03\x00\x02ab");
        assert!(packet(0, &[0; 70_000]).is_none());
    }
}
