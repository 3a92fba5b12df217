//! Writes messages as chunks (RTMP specification 1.0, section 5.3.1).
//!
//! The first chunk of a message has a type 0 or type 1 header, all others type 3. An extended timestamp is repeated in
//! type 3 chunks, as Flash, FFmpeg and librtmp expect.

use super::{DEFAULT_CHUNK_SIZE, EXTENDED_MARK};
use crate::core::limits::{RTMP_CHUNK_BYTES_MAX, RTMP_MESSAGE_BYTES};
use crate::kernel::buf::Put;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The extended timestamp that a header carried; its message's other chunks carry it too.
pub type Extended = Option<u32>;

/// The writer of whole messages; it knows our chunk size, and no more: it never compresses headers.
#[derive(Clone, Debug)]
pub struct Encoder {
    chunk_size: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// A writer of chunks of 128 bytes.
    pub fn new() -> Self {
        Encoder {
            chunk_size: DEFAULT_CHUNK_SIZE,
        }
    }

    /// Our chunk size, bytes.
    pub fn chunk_size(&self) -> usize {
        self.chunk_size
    }

    /// Sets our chunk size, clamped to 1 and the longest message; the peer must have been told by a SetChunkSize message
    /// before.
    pub fn set_chunk_size(&mut self, size: usize) {
        self.chunk_size = size.clamp(1, RTMP_CHUNK_BYTES_MAX);
    }

    /// Appends a message to `out`. `timestamp` is in milliseconds.
    ///
    /// # Errors
    /// [`ErrorCode::RtmpMsgSize`] if the payload's length does not fit 24 bits; `out` is as it was then.
    pub fn encode(
        &self,
        out: &mut Vec<u8>,
        chunk_stream: u32,
        kind: u8,
        timestamp: u32,
        stream_id: u32,
        payload: &[u8],
    ) -> Result<()> {
        let length = payload.len();
        if length > RTMP_MESSAGE_BYTES {
            let text = format!("message of type {kind} has {length} bytes, more than {RTMP_MESSAGE_BYTES}");
            return Err(Error::new(ErrorCode::RtmpMsgSize, text));
        }
        out.reserve(16 + length + length / self.chunk_size * 8);
        let extended = write_full_header(out, chunk_stream, kind, length, timestamp, stream_id);
        write_payload_chunks(out, chunk_stream, payload, self.chunk_size, extended);
        Ok(())
    }
}

/// Appends a type 0 header: absolute `timestamp` (milliseconds) and all fields. `length` is the payload's, at most
/// [`RTMP_MESSAGE_BYTES`]; `chunk_stream` is 2 to 65599. [`write_payload_chunks`] goes on from what it gives.
pub fn write_full_header(
    out: &mut Vec<u8>,
    chunk_stream: u32,
    kind: u8,
    length: usize,
    timestamp: u32,
    stream_id: u32,
) -> Extended {
    write_basic_header(out, 0, chunk_stream);
    out.put_u24(timestamp.min(EXTENDED_MARK));
    put_length(out, length);
    out.put_u8(kind);
    out.put_slice(&stream_id.to_le_bytes());
    write_extended(out, timestamp)
}

/// Appends a type 1 header: `delta` milliseconds after the chunk stream's last message, on the same message stream.
/// Limits as [`write_full_header`].
pub fn write_delta_header(out: &mut Vec<u8>, chunk_stream: u32, kind: u8, length: usize, delta: u32) -> Extended {
    write_basic_header(out, 1, chunk_stream);
    out.put_u24(delta.min(EXTENDED_MARK));
    put_length(out, length);
    out.put_u8(kind);
    write_extended(out, delta)
}

/// Appends a payload after its message's header, with type 3 headers between chunks of `chunk_size` bytes (at least 1).
pub fn write_payload_chunks(
    out: &mut Vec<u8>,
    chunk_stream: u32,
    payload: &[u8],
    chunk_size: usize,
    extended: Extended,
) {
    for (index, chunk) in payload.chunks(chunk_size.max(1)).enumerate() {
        if index > 0 {
            write_basic_header(out, 3, chunk_stream);
            if let Some(timestamp) = extended {
                out.put_u32(timestamp);
            }
        }
        out.put_slice(chunk);
    }
}

fn write_extended(out: &mut Vec<u8>, timestamp: u32) -> Extended {
    if timestamp < EXTENDED_MARK {
        return None;
    }
    out.put_u32(timestamp);
    Some(timestamp)
}

fn write_basic_header(out: &mut Vec<u8>, format: u8, chunk_stream: u32) {
    let format = format << 6;
    match chunk_stream {
        ..64 => out.put_u8(format | chunk_stream as u8),
        64..320 => out.put_slice(&[format, (chunk_stream - 64) as u8]),
        _ => {
            let [low, high, ..] = (chunk_stream - 64).to_le_bytes();
            out.put_slice(&[format | 1, low, high]);
        }
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    debug_assert!(length <= RTMP_MESSAGE_BYTES, "message of {length} bytes");
    out.put_u24(length as u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_message_is_one_chunk_with_a_full_header() {
        let mut out = Vec::new();
        Encoder::new().encode(&mut out, 3, 20, 0x010203, 1, b"abc").unwrap();
        assert_eq!(out, b"\x03\x01\x02\x03\x00\x00\x03\x14\x01\x00\x00\x00abc");
    }

    #[test]
    fn chunks_after_the_first_have_one_byte_headers() {
        let mut out = Vec::new();
        let extended = write_delta_header(&mut out, 6, 9, 5, 40);
        write_payload_chunks(&mut out, 6, b"abcde", 2, extended);
        assert_eq!(out, b"\x46\x00\x00\x28\x00\x00\x05\x09ab\xc6cd\xc6e");
    }

    #[test]
    fn an_extended_timestamp_is_repeated_in_each_chunk() {
        let mut out = Vec::new();
        let extended = write_full_header(&mut out, 7, 8, 3, 0xff_ffff, 1);
        assert_eq!(extended, Some(0xff_ffff));
        write_payload_chunks(&mut out, 7, b"abc", 2, extended);
        assert_eq!(
            out,
            b"\x07\xff\xff\xff\x00\x00\x03\x08\x01\x00\x00\x00\x00\xff\xff\xffab\xc7\x00\xff\xff\xffc"
        );
        assert_eq!(write_full_header(&mut out, 7, 8, 3, 0xff_fffe, 1), None);
    }

    #[test]
    fn chunk_stream_ids_take_one_to_three_bytes() {
        let basic = |id| {
            let mut out = Vec::new();
            write_basic_header(&mut out, 3, id);
            out
        };
        assert_eq!(basic(2), [0xc2]);
        assert_eq!(basic(63), [0xff]);
        assert_eq!(basic(64), [0xc0, 0]);
        assert_eq!(basic(319), [0xc0, 255]);
        assert_eq!(basic(320), [0xc1, 0, 1]);
        assert_eq!(basic(65_599), [0xc1, 255, 255]);
    }

    #[test]
    fn a_message_that_no_header_can_describe_is_refused() {
        let mut out = vec![1];
        let payload = vec![0; RTMP_MESSAGE_BYTES + 1];
        let error = Encoder::new().encode(&mut out, 6, 9, 0, 1, &payload).unwrap_err();
        assert_eq!(error.code(), ErrorCode::RtmpMsgSize);
        assert_eq!(out, [1]);
    }
}
