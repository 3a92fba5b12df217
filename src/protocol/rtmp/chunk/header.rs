//! Chunk headers as they are written (RTMP specification 5.3.1): the broadcast path builds its bytes from these.

use crate::kernel::buf::Put;

/// The timestamp field's value that announces an extended timestamp.
const EXTENDED: u32 = 0xff_ffff;

/// A chunk stream id between 2 and 63, which takes one byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkStream(u8);

impl ChunkStream {
    /// Protocol control messages.
    pub const CONTROL: ChunkStream = ChunkStream(2);
    /// Commands of the connection.
    pub const CONNECTION: ChunkStream = ChunkStream(3);
    /// Metadata.
    pub const METADATA: ChunkStream = ChunkStream(4);
    /// Commands of a message stream.
    pub const STREAM: ChunkStream = ChunkStream(5);
    /// Video.
    pub const VIDEO: ChunkStream = ChunkStream(6);
    /// Audio.
    pub const AUDIO: ChunkStream = ChunkStream(7);

    /// The id on the wire.
    pub fn id(self) -> u32 {
        u32::from(self.0)
    }
}

/// Bytes that a message of `length` takes at most: headers, extended timestamps and payload.
pub fn message_bytes(length: usize, chunk_bytes: usize) -> usize {
    16 + length + length / chunk_bytes.max(1) * 5
}

/// Appends a basic header and a message header of type 0 with an absolute timestamp, ms. Gives the extended timestamp
/// that the message's further chunks repeat, if there is one.
pub fn put_full_header(
    out: &mut Vec<u8>,
    stream: ChunkStream,
    kind: u8,
    timestamp: u32,
    length: usize,
    stream_id: u32,
) -> Option<u32> {
    out.put_u8(stream.0);
    out.put_u24(timestamp.min(EXTENDED));
    put_length_and_kind(out, length, kind);
    // The one little-endian field of the protocol.
    out.put_slice(&stream_id.to_le_bytes());
    let extended = (timestamp >= EXTENDED).then_some(timestamp);
    if let Some(extended) = extended {
        out.put_u32(extended);
    }
    extended
}

/// Appends a basic header and a message header of type 1; `delta` is the difference to the previous message of this
/// chunk stream, ms, below 0xffffff.
pub fn put_delta_header(out: &mut Vec<u8>, stream: ChunkStream, kind: u8, delta: u32, length: usize) {
    debug_assert!(delta < EXTENDED);
    out.put_u8(0x40 | stream.0);
    out.put_u24(delta);
    put_length_and_kind(out, length, kind);
}

fn put_length_and_kind(out: &mut Vec<u8>, length: usize, kind: u8) {
    // Messages are bounded by 24 bits where they come in.
    out.put_u24(length as u32);
    out.put_u8(kind);
}

/// Appends a message's payload in chunks: headers of type 3 between them, each with the extended timestamp if there is one.
pub fn put_payload(
    out: &mut Vec<u8>,
    stream: ChunkStream,
    payload: &[u8],
    extended: Option<u32>,
    chunk_bytes: usize,
) {
    for (index, chunk) in payload.chunks(chunk_bytes.max(1)).enumerate() {
        if index > 0 {
            out.put_u8(0xc0 | stream.0);
            if let Some(extended) = extended {
                out.put_u32(extended);
            }
        }
        out.put_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_header_has_twelve_bytes_and_the_stream_id_reversed() {
        let mut out = Vec::new();
        assert_eq!(put_full_header(&mut out, ChunkStream::VIDEO, 9, 0x01_0203, 0x00_0405, 1), None);
        assert_eq!(out, [6, 1, 2, 3, 0, 4, 5, 9, 1, 0, 0, 0]);
    }

    #[test]
    fn long_times_are_extended_and_repeated() {
        let mut out = Vec::new();
        let extended = put_full_header(&mut out, ChunkStream::AUDIO, 8, 0xff_ffff, 3, 1);
        assert_eq!(extended, Some(0xff_ffff));
        put_payload(&mut out, ChunkStream::AUDIO, b"abc", extended, 2);
        assert_eq!(out[1..4], [0xff, 0xff, 0xff]);
        assert_eq!(out[12..], [0, 0xff, 0xff, 0xff, b'a', b'b', 0xc7, 0, 0xff, 0xff, 0xff, b'c']);
    }

    #[test]
    fn a_delta_header_has_eight_bytes() {
        let mut out = Vec::new();
        put_delta_header(&mut out, ChunkStream::AUDIO, 8, 23, 2);
        put_payload(&mut out, ChunkStream::AUDIO, b"ab", None, 128);
        assert_eq!(out, [0x47, 0, 0, 23, 0, 0, 2, 8, b'a', b'b']);
        assert!(out.len() <= message_bytes(2, 128));
    }
}
