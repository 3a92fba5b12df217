//! HTTP: requests with their bodies, and what header fields and URLs hold.

use bytes::BytesMut;

use super::{Pieces, check_error, checked, split_seed};
use crate::core::limits::{HTTP_TARGET_BYTES, WEBSOCKET_FRAME_BYTES};
use crate::kernel::error::Error;
use crate::protocol::http::Refusal;
use crate::protocol::http::answer::AnswerReader;
use crate::protocol::http::body::{BodyReader, Piece};
use crate::protocol::http::client::{Url, request_bytes};
use crate::protocol::http::headers::Headers;
use crate::protocol::http::query::Query;
use crate::protocol::http::range::Range;
use crate::protocol::http::request::{Request, RequestReader};
use crate::protocol::http::{date, path, percent};
use crate::protocol::websocket;

/// Two bytes of seed, then what a client sends on one connection.
///
/// Laws: requests and their bodies do not depend on how the bytes are cut, and hold no more than came; paths name nothing
/// above their root.
pub fn request(input: &[u8]) {
    let Some((seed, bytes)) = split_seed(input) else {
        return;
    };
    let whole = read_all(std::iter::once(bytes));
    let cut = read_all(Pieces::new(bytes, seed));
    let (bodies, fault) = &whole;
    assert!(bodies.iter().map(|(_, body)| body.len()).sum::<usize>() <= bytes.len());
    // Beyond that, which of two bounds is passed first depends on what is there.
    if bytes.len() < HTTP_TARGET_BYTES {
        assert_eq!(whole, cut, "cuts of seed {seed} change what is read");
    } else {
        assert_eq!(fault.is_some(), cut.1.is_some(), "seed {seed}");
    }
}

/// Each request in short, with as much of its body as came; and the status of what was refused.
type Requests = (Vec<(String, Vec<u8>)>, Option<u16>);

fn read_all<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Requests {
    let (mut reader, mut body) = (RequestReader::default(), None);
    let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if let Err(refusal) = pull(&mut reader, &mut body, &mut buffer, &mut seen) {
            let status = refusal.status.code();
            assert!((400..600).contains(&status));
            check_error(&Error::from(refusal));
            return (seen, Some(status));
        }
    }
    (seen, None)
}

fn pull(
    reader: &mut RequestReader,
    body: &mut Option<BodyReader>,
    buffer: &mut BytesMut,
    seen: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), Refusal> {
    loop {
        let Some(open) = body else {
            let Some(request) = reader.pull(buffer)? else {
                return Ok(());
            };
            check_path(&request.path);
            *body = Some(BodyReader::new(request.body));
            seen.push((in_short(&request), Vec::new()));
            continue;
        };
        match (open.pull(buffer)?, seen.last_mut()) {
            (None, _) => return Ok(()),
            (Some(Piece::End), _) => *body = None,
            (Some(Piece::Data(data)), Some((_, all))) => {
                assert!(!data.is_empty());
                all.extend_from_slice(&data);
            }
            (Some(Piece::Data(_)), None) => panic!("a body without a request"),
        }
    }
}

fn in_short(request: &Request) -> String {
    let (alive, vhost) = (request.wants_keep_alive(), request.vhost_name());
    assert!(!request.host.contains(char::is_control));
    format!("{request:?} {alive} {} {vhost:?}", request.expects_continue())
}

fn check_path(path: &str) {
    if path == "*" {
        return;
    }
    assert!(
        path.starts_with('/') && !path.contains("//") && !path.contains('\\'),
        "{path:?}"
    );
    assert!(
        !path.split('/').any(|segment| matches!(segment, "." | "..")),
        "{path:?}"
    );
    assert!(!path.contains(char::is_control), "{path:?}");
    assert_eq!(path::resolve(&percent::encode_path(path)).as_deref(), Ok(path));
}

/// A path, a query, a date and a range, one after the other with line feeds between.
///
/// Laws: paths name nothing above their root; a date reads back as it is written; a range lies inside what it is of.
pub fn fields(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (raw_path, query, time, range) = (line(), line(), line(), line());
    if let Ok(path) = path::resolve(raw_path) {
        check_path(&path);
    }
    let query = Query::new(query);
    for (name, _) in query.pairs().take(50) {
        assert!(query.get(&name).is_some());
    }
    if let Some(seconds) = date::parse(time) {
        assert_eq!(date::parse(&date::format(seconds)), Some(seconds), "{time}");
    }
    for size in [0, 1, 1000, u64::MAX] {
        for part in [Range::parse(range, size), Range::parse_span(range, size)] {
            if let Range::Part { first, last } = part {
                assert!(first <= last && last < size, "{part:?} of {size}");
            }
        }
    }
}

/// What a body of an answer may have in these tests, bytes.
const ANSWER_BODY_BYTES: usize = 1000;

/// Two bytes of seed, then what a server answers until it closes.
///
/// Laws: the answer does not depend on how the bytes are cut; its body keeps to its bound.
pub fn answer(input: &[u8]) {
    let Some((seed, bytes)) = split_seed(input) else {
        return;
    };
    let whole = read_answer(std::iter::once(bytes));
    assert_eq!(
        whole,
        read_answer(Pieces::new(bytes, seed)),
        "cuts of seed {seed} change the answer"
    );
}

fn read_answer<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<(u16, Vec<u8>)> {
    let mut reader = AnswerReader::new(ANSWER_BODY_BYTES);
    for piece in pieces {
        match checked(reader.push(piece)) {
            Some(None) => {}
            Some(Some(answer)) => {
                assert!(answer.body.len() <= ANSWER_BODY_BYTES);
                return Some((answer.status, answer.body));
            }
            None => return None,
        }
    }
    let answer = checked(reader.end())?;
    assert!(answer.body.len() <= ANSWER_BODY_BYTES);
    Some((answer.status, answer.body))
}

/// The URL of a callback. Laws: what is accepted makes one request, whose head no part of the URL ends early.
pub fn client_url(input: &[u8]) {
    let Some(url) = checked(Url::parse(&String::from_utf8_lossy(input))) else {
        return;
    };
    assert!(!url.host.is_empty() && url.port != 0 && url.target.starts_with('/'));
    let mut bytes = BytesMut::from(&request_bytes("POST", &url, "us", b"{}")[..]);
    let heads = bytes.windows(4).filter(|end| *end == b"\r\n\r\n").count();
    assert_eq!(heads, 1, "{url:?}");
    // Servers may find a fault in it, as in a path that steps out of the root.
    if let Ok(request) = RequestReader::default().pull(&mut bytes) {
        assert!(request.is_some() && &bytes[..] == b"{}", "{url:?}");
    }
}

/// Two bytes of seed, a key and a line feed, then a client's frames.
///
/// Laws: frames do not depend on how the bytes are cut; none is above its bound; control frames are short and whole.
pub fn websocket(input: &[u8]) {
    let Some((seed, bytes)) = split_seed(input) else {
        return;
    };
    let key_bytes = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (key, frames) = bytes.split_at(key_bytes);
    let mut headers = Headers::default();
    headers.push("Sec-WebSocket-Version", "13");
    headers.push("Sec-WebSocket-Key", String::from_utf8_lossy(key));
    // SHA-1 in base64.
    assert!(checked(websocket::accept(&headers)).is_none_or(|accept| accept.len() == 28));
    let frames = frames.get(1..).unwrap_or_default();
    let whole = read_frames(std::iter::once(frames));
    assert_eq!(
        whole,
        read_frames(Pieces::new(frames, seed)),
        "cuts of seed {seed} change the frames"
    );
    for frame in &whole.0 {
        assert!(frame.payload.len() <= WEBSOCKET_FRAME_BYTES);
        let is_control = matches!(
            frame.opcode,
            websocket::Opcode::Close | websocket::Opcode::Ping | websocket::Opcode::Pong
        );
        assert!(!is_control || frame.is_final && frame.payload.len() <= 125);
        let answer = websocket::control_frame(websocket::Opcode::Pong, &frame.payload);
        assert_eq!(answer.len(), 2 + frame.payload.len().min(125));
    }
    assert!(whole.0.iter().map(|frame| frame.payload.len() + 6).sum::<usize>() <= frames.len());
}

fn read_frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<websocket::ClientFrame>, Option<String>) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match websocket::take_frame(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    check_error(&error);
                    return (frames, Some(error.summary()));
                }
            }
        }
    }
    (frames, None)
}
