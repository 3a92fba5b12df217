//! The server's side of WebSocket (RFC 6455): the handshake's answer, and frames in both directions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use sha1::{Digest, Sha1};

use super::http::headers::Headers;
use crate::core::limits::WEBSOCKET_FRAME_BYTES;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// What the accept key is made with (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a client's key, decoded.
const KEY_BYTES: usize = 16;
/// The most bytes that a frame's header from a server has.
const SERVER_HEADER_BYTES: usize = 10;
/// The most bytes that a control frame carries (section 5.5).
const CONTROL_BYTES: usize = 125;

/// The end of a connection by a side that has done what it came for: status 1000 (section 7.4.1).
pub const NORMAL_CLOSE: [u8; 2] = 1000u16.to_be_bytes();

/// What a frame is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opcode {
    /// A further part of a message.
    Continuation,
    /// A message of text.
    Text,
    /// A message of bytes.
    Binary,
    /// The end.
    Close,
    /// To be answered with the same payload.
    Ping,
    /// The answer.
    Pong,
}

impl Opcode {
    fn parse(code: u8) -> Option<Self> {
        Some(match code {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return None,
        })
    }

    fn code(self) -> u8 {
        match self {
            Opcode::Continuation => 0,
            Opcode::Text => 1,
            Opcode::Binary => 2,
            Opcode::Close => 8,
            Opcode::Ping => 9,
            Opcode::Pong => 10,
        }
    }

    fn is_control(self) -> bool {
        self.code() >= 8
    }
}

/// Whether a request's header fields ask for WebSocket.
pub fn is_upgrade(headers: &Headers) -> bool {
    headers.has_token("Upgrade", "websocket") && headers.has_token("Connection", "upgrade")
}

/// The `Sec-WebSocket-Accept` that answers a client's header fields (section 4.2.2).
///
/// # Errors
/// [`ErrorCode::HttpParseHeader`] for another version than 13, and for a key that is none.
pub fn accept(headers: &Headers) -> Result<String> {
    let version = headers.get("Sec-WebSocket-Version").unwrap_or_default();
    if version != "13" {
        return Err(fault(format!(
            "Sec-WebSocket-Version {}, 13 is spoken",
            printable(version)
        )));
    }
    let key = headers.get("Sec-WebSocket-Key").unwrap_or_default();
    if !STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES) {
        return Err(fault(format!(
            "Sec-WebSocket-Key {} is not {KEY_BYTES} bytes in base64",
            printable(key)
        )));
    }
    Ok(accept_key(key))
}

fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.finalize())
}

/// The header of a server's unfragmented frame with a payload of `bytes` bytes.
#[derive(Clone, Copy, Debug)]
pub struct FrameHeader {
    bytes: [u8; SERVER_HEADER_BYTES],
    length: usize,
}

impl FrameHeader {
    /// A header for the payload that follows.
    pub fn new(opcode: Opcode, bytes: usize) -> Self {
        let mut header = [0; SERVER_HEADER_BYTES];
        // FIN; a server does not mask.
        header[0] = 0x80 | opcode.code();
        let length = if bytes <= CONTROL_BYTES {
            header[1] = bytes as u8;
            2
        } else if let Ok(bytes) = u16::try_from(bytes) {
            header[1] = 126;
            header[2..4].copy_from_slice(&bytes.to_be_bytes());
            4
        } else {
            header[1] = 127;
            header[2..].copy_from_slice(&(bytes as u64).to_be_bytes());
            SERVER_HEADER_BYTES
        };
        FrameHeader { bytes: header, length }
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A server's control frame; what is beyond 125 bytes of the payload is left out.
pub fn control_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(CONTROL_BYTES)];
    [FrameHeader::new(opcode, payload.len()).as_bytes(), payload].concat()
}

/// A client's frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFrame {
    /// What it is for.
    pub opcode: Opcode,
    /// Whether the message ends with it.
    pub is_final: bool,
    /// Its payload, unmasked.
    pub payload: Bytes,
}

/// Takes a client's frame off the front of `buffer`; `None` when more bytes are needed.
///
/// # Errors
/// [`ErrorCode::HttpParseHeader`]: reserved bits or an unknown opcode, no mask, a control frame that is long or
/// fragmented, a payload above [`WEBSOCKET_FRAME_BYTES`]. The connection cannot go on.
pub fn take_frame(buffer: &mut BytesMut) -> Result<Option<ClientFrame>> {
    let &[first, second, ..] = &buffer[..] else {
        return Ok(None);
    };
    let opcode = Opcode::parse(first & 0x0f).filter(|_| first & 0x70 == 0);
    let opcode = opcode.ok_or_else(|| fault(format!("WebSocket frame begins with {first:#04x}")))?;
    let is_final = first & 0x80 != 0;
    if second & 0x80 == 0 {
        return Err(fault("WebSocket frame of a client is not masked".to_owned()));
    }
    let (length_bytes, length) = match second & 0x7f {
        126 => match buffer.get(2..4) {
            Some(&[high, low]) => (2, u64::from(u16::from_be_bytes([high, low]))),
            _ => return Ok(None),
        },
        127 => match buffer.get(2..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => (8, u64::from_be_bytes(*bytes)),
            None => return Ok(None),
        },
        short => (0, u64::from(short)),
    };
    if opcode.is_control() && (length > CONTROL_BYTES as u64 || !is_final) {
        return Err(fault(format!(
            "WebSocket {opcode:?} frame of {length} bytes, final: {is_final}"
        )));
    }
    if length > WEBSOCKET_FRAME_BYTES as u64 {
        return Err(fault(format!(
            "WebSocket frame of {length} bytes, at most {WEBSOCKET_FRAME_BYTES} are taken"
        )));
    }
    let (mask_at, length) = (2 + length_bytes, length as usize);
    let Some(&mask) = buffer.get(mask_at..).and_then(|rest| rest.first_chunk::<4>()) else {
        return Ok(None);
    };
    if buffer.len() < mask_at + 4 + length {
        return Ok(None);
    }
    buffer.advance(mask_at + 4);
    let mut payload = buffer.split_to(length);
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Some(ClientFrame {
        opcode,
        is_final,
        payload: payload.freeze(),
    }))
}

fn fault(text: String) -> Error {
    Error::new(ErrorCode::HttpParseHeader, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = FrameHeader::new(Opcode::Binary, payload.len()).as_bytes().to_vec();
        frame[0] = first;
        frame[1] |= 0x80;
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn take(bytes: &[u8]) -> Result<Option<ClientFrame>> {
        take_frame(&mut BytesMut::from(bytes))
    }

    #[test]
    fn the_example_of_the_standard_is_accepted() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut headers = Headers::default();
        headers.push("Upgrade", "WebSocket");
        headers.push("Connection", "keep-alive, Upgrade");
        assert!(is_upgrade(&headers));
        assert!(accept(&headers).is_err());
        headers.push("Sec-WebSocket-Version", "13");
        assert!(accept(&headers).is_err());
        headers.push("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&headers).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn headers_tell_each_length() {
        let header = |bytes| FrameHeader::new(Opcode::Binary, bytes).as_bytes().to_vec();
        assert_eq!(header(0), [0x82, 0]);
        assert_eq!(header(125), [0x82, 125]);
        assert_eq!(header(126), [0x82, 126, 0, 126]);
        assert_eq!(header(65_535), [0x82, 126, 0xff, 0xff]);
        assert_eq!(header(65_536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn the_masked_hello_of_the_standard_is_read() {
        let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let frame = take(&bytes).unwrap().unwrap();
        assert_eq!(
            (frame.opcode, frame.is_final, &frame.payload[..]),
            (Opcode::Text, true, &b"Hello"[..])
        );
    }

    #[test]
    fn frames_of_each_length_are_read_once_whole() {
        for length in [0, 1, 125, 126, 1000] {
            let payload: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let bytes = masked(0x82, &payload);
            for cut in 0..bytes.len() {
                assert_eq!(take(&bytes[..cut]).unwrap(), None, "{cut} of {length}");
            }
            let mut buffer = BytesMut::from(&[&bytes[..], b"x"].concat()[..]);
            assert_eq!(take_frame(&mut buffer).unwrap().unwrap().payload, payload);
            assert_eq!(&buffer[..], b"x");
        }
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        let unmasked = [0x82, 1, 0];
        let huge = [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        for bytes in [
            &unmasked[..],
            &huge,
            &masked(0xc2, b""),
            &masked(0x83, b""),
            &masked(0x09, b""),
            &masked(0x89, &[0; 126]),
            &masked(0x82, &vec![0; WEBSOCKET_FRAME_BYTES + 1]),
        ] {
            assert!(take(bytes).is_err(), "{:02x?}", &bytes[..2]);
        }
    }

    #[test]
    fn mutations_never_panic() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..4000 {
            let mut bytes = masked(0x82, &[7; 200]);
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..16);
                bytes[at] = random.u8(..);
            }
            let _ = take(&bytes[..random.usize(..bytes.len())]);
        }
    }
}
