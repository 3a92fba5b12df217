//! Reads messages from a chunk stream (RTMP specification 1.0, section 5.3.1), tolerant where senders in the wild differ.
//!
//! - Payloads are copied once, from the read buffer to a buffer of their own. Splitting them off the read buffer would
//!   save the copy, but a packet lives in the journal for seconds and would pin the whole read buffer, which then could
//!   not be filled again either.
//! - Timestamps are kept modulo 2^32, as the specification counts them. SRS keeps 31 bits; the difference shows after
//!   24.8 days of a stream's own clock.
//! - A type 3 chunk may or may not repeat the extended timestamp: the specification was read both ways. Inside a message
//!   its next bytes are compared with the one that is known. At the start of a message it is always there, since senders
//!   use it there for a new difference.
//! - A type 3 chunk that starts a message adds the last difference again; after a type 0 chunk the timestamp itself is
//!   that difference (section 5.3.1.2.4; FFmpeg, librtmp and SRS do so on both sides).

mod skim;

use bytes::{Buf, Bytes, BytesMut};

pub use self::skim::Part;

use super::{DEFAULT_CHUNK_SIZE, EXTENDED_MARK};
use crate::core::limits::{RTMP_CHUNK_BYTES_MAX, RTMP_CHUNK_BYTES_MIN, RTMP_CHUNK_STREAMS, RTMP_PARTIAL_BYTES};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// What is reserved for a message of unknown honesty, bytes; more follows as its data comes.
const FIRST_RESERVE_BYTES: usize = 64 << 10;
/// How many bytes are reserved for each byte that came, once a message proves to be longer than the first reserve.
const RESERVE_FACTOR: usize = 16;

/// A message as the chunk stream carries it; what it means is the message layer's matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Message type id, audio 8, video 9, ….
    pub kind: u8,
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// Message stream id.
    pub stream_id: u32,
    /// The id of the chunk stream that it came on, 2 to 65599.
    pub chunk_stream: u32,
    /// The whole payload.
    pub payload: Bytes,
}

/// The reader of one peer's chunk stream. It owns no socket; feed it with what was read.
#[derive(Debug)]
pub struct Decoder {
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// The chunk whose payload is under way.
    open: Option<OpenChunk>,
    /// Bytes reserved for the unfinished messages of all chunk streams.
    reserved: usize,
    fresh_type1: bool,
}

#[derive(Debug)]
struct OpenChunk {
    stream: usize,
    left: usize,
}

/// What one chunk stream remembers from header to header.
#[derive(Debug)]
struct ChunkStream {
    id: u32,
    kind: u8,
    stream_id: u32,
    length: usize,
    timestamp: u32,
    /// The last timestamp field as sent, extended or not: the time itself in a type 0 header, else a difference.
    field: u32,
    extended: bool,
    /// The message under way; `None` between messages.
    partial: Option<Vec<u8>>,
    /// Bytes of the message under way that were handed on and not kept.
    skimmed: usize,
}

/// A chunk's headers as sent; what its format leaves out is `None`.
#[derive(Debug)]
struct ChunkHeader {
    format: u8,
    id: u32,
    /// The place of its chunk stream; `None` for a new one.
    stream: Option<usize>,
    /// How many bytes the headers take.
    size: usize,
    field: Option<u32>,
    extended: bool,
    length_kind: Option<(usize, u8)>,
    stream_id: Option<u32>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A reader for a peer that has not sent anything, with chunks of 128 bytes.
    pub fn new() -> Self {
        Decoder {
            chunk_size: DEFAULT_CHUNK_SIZE,
            streams: Vec::new(),
            open: None,
            reserved: 0,
            fresh_type1: false,
        }
    }

    /// The peer's chunk size, bytes.
    pub fn chunk_size(&self) -> usize {
        self.chunk_size
    }

    /// Takes over the chunk size that the peer set; it holds from the next chunk on. Sizes above the longest message
    /// mean the same as that.
    ///
    /// # Errors
    /// [`ErrorCode::RtmpChunkSize`] for less than 128, which would make us work for each byte.
    pub fn set_chunk_size(&mut self, size: u32) -> Result<()> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size < RTMP_CHUNK_BYTES_MIN {
            return Err(Error::new(
                ErrorCode::RtmpChunkSize,
                format!("chunk size {size} is below {RTMP_CHUNK_BYTES_MIN}"),
            ));
        }
        self.chunk_size = size.min(RTMP_CHUNK_BYTES_MAX);
        Ok(())
    }

    /// Drops the unfinished message of a chunk stream, as the peer asked (section 5.4.2).
    pub fn abort(&mut self, chunk_stream: u32) {
        // An Abort message comes in chunks of its own, so no chunk of another stream is under way.
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == chunk_stream)
            && let Some(partial) = stream.partial.take()
        {
            self.reserved -= partial.capacity();
        }
    }

    /// Whether a chunk stream began with a type 1 header (librtmp's ping does); it is taken as if its time began at 0.
    pub fn began_with_type1(&self) -> bool {
        self.fresh_type1
    }

    /// Whether no message is half read.
    pub fn is_idle(&self) -> bool {
        self.open.is_none() && self.streams.iter().all(|stream| stream.partial.is_none())
    }

    /// Takes bytes from `input` until a message is whole; `None` when more input is needed. What stays in `input` then
    /// is less than one chunk's headers.
    ///
    /// # Errors
    /// [`ErrorCode::RtmpChunkStart`], [`ErrorCode::RtmpPacketSize`] and [`ErrorCode::RtmpMsgSize`] for a peer that breaks
    /// the rules or our bounds; the connection is of no use any more.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Message>> {
        let mut rest = &input[..];
        let result = self.decode_slice(&mut rest);
        let used = input.len() - rest.len();
        input.advance(used);
        result
    }

    /// As [`Decoder::decode`], for a buffer that the caller keeps; moves `input` on.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn decode_slice(&mut self, input: &mut &[u8]) -> Result<Option<Message>> {
        loop {
            let chunk = match self.open.take() {
                Some(chunk) => chunk,
                None => match self.read_header(input)? {
                    Some(header) => {
                        *input = &input[header.size..];
                        self.begin_chunk(header)?
                    }
                    None => return Ok(None),
                },
            };
            let (head, tail) = input.split_at(chunk.left.min(input.len()));
            self.append(chunk.stream, head)?;
            *input = tail;
            if head.len() < chunk.left {
                let left = chunk.left - head.len();
                self.open = Some(OpenChunk { left, ..chunk });
                return Ok(None);
            }
            if let Some(message) = self.finish(chunk.stream) {
                return Ok(Some(message));
            }
        }
    }

    /// Reads a chunk's headers without changing any state; `None` if they are not all there yet.
    fn read_header(&self, input: &[u8]) -> Result<Option<ChunkHeader>> {
        let Some((format, id, basic_size)) = read_basic_header(input) else {
            return Ok(None);
        };
        let index = self.streams.iter().position(|stream| stream.id == id);
        let stream = index.map(|index| &self.streams[index]);
        check_start(format, id, stream)?;
        let fields = &input[basic_size..];
        let message_size = [11, 7, 3, 0][usize::from(format)];
        if fields.len() < message_size {
            return Ok(None);
        }
        let mut header = ChunkHeader {
            format,
            id,
            stream: index,
            size: basic_size + message_size,
            field: (format < 3).then(|| u24(fields)),
            extended: stream.is_some_and(|stream| stream.extended),
            length_kind: (format < 2).then(|| (u24(&fields[3..]) as usize, fields[6])),
            stream_id: (format == 0).then(|| u32::from_le_bytes([fields[7], fields[8], fields[9], fields[10]])),
        };
        if let Some(field) = header.field {
            header.extended = field == EXTENDED_MARK;
        }
        if header.extended {
            let continued = stream.filter(|stream| format == 3 && stream.partial.is_some());
            match read_extended(&fields[message_size..], continued.map(|stream| stream.field)) {
                ExtendedTimestamp::Incomplete => return Ok(None),
                ExtendedTimestamp::Absent => {}
                ExtendedTimestamp::Present(value) => {
                    header.field = Some(value);
                    header.size += 4;
                }
            }
        }
        Ok(Some(header))
    }

    /// Applies a chunk's headers: starts a message, or goes on with the one under way.
    fn begin_chunk(&mut self, header: ChunkHeader) -> Result<OpenChunk> {
        let index = match header.stream {
            Some(index) => index,
            None => self.add_stream(&header)?,
        };
        let chunk_size = self.chunk_size;
        let stream = &mut self.streams[index];
        let have = match &stream.partial {
            Some(partial) => {
                if let Some((length, _)) = header.length_kind
                    && length != stream.length
                {
                    let text = format!(
                        "message length {} of chunk stream {} became {length}",
                        stream.length, stream.id
                    );
                    return Err(Error::new(ErrorCode::RtmpPacketSize, text));
                }
                partial.len() + stream.skimmed
            }
            None => {
                stream.start_message(&header);
                0
            }
        };
        let left = chunk_size.min(stream.length - have);
        Ok(OpenChunk { stream: index, left })
    }

    fn add_stream(&mut self, header: &ChunkHeader) -> Result<usize> {
        if self.streams.len() >= RTMP_CHUNK_STREAMS {
            let text = format!("chunk stream {} is one more than {RTMP_CHUNK_STREAMS}", header.id);
            return Err(Error::new(ErrorCode::RtmpChunkStart, text));
        }
        self.fresh_type1 |= header.format == 1;
        self.streams.push(ChunkStream {
            id: header.id,
            kind: 0,
            stream_id: 0,
            length: 0,
            timestamp: 0,
            field: 0,
            extended: false,
            partial: None,
            skimmed: 0,
        });
        Ok(self.streams.len() - 1)
    }

    /// Copies payload bytes to a message, and reserves more room in step with what came.
    fn append(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        let stream = &mut self.streams[index];
        let Some(partial) = &mut stream.partial else {
            return Ok(());
        };
        let need = partial.len() + bytes.len();
        let before = partial.capacity();
        if need > before {
            let wanted = need
                .saturating_mul(RESERVE_FACTOR)
                .max(FIRST_RESERVE_BYTES)
                .min(stream.length);
            let reserved = self.reserved - before + wanted;
            if reserved > RTMP_PARTIAL_BYTES {
                let text = format!("unfinished messages take {reserved} bytes, more than {RTMP_PARTIAL_BYTES}");
                return Err(Error::new(ErrorCode::RtmpMsgSize, text));
            }
            partial.reserve_exact(wanted - partial.len());
            self.reserved = self.reserved - before + partial.capacity();
        }
        partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Gives the message of a chunk stream if its last byte has come.
    fn finish(&mut self, index: usize) -> Option<Message> {
        let stream = &mut self.streams[index];
        let partial = stream.partial.take_if(|partial| partial.len() >= stream.length)?;
        self.reserved -= partial.capacity();
        Some(Message {
            kind: stream.kind,
            timestamp: stream.timestamp,
            stream_id: stream.stream_id,
            chunk_stream: stream.id,
            payload: Bytes::from(partial),
        })
    }
}

impl ChunkStream {
    fn start_message(&mut self, header: &ChunkHeader) {
        if let Some(field) = header.field {
            self.field = field;
        }
        self.extended = header.extended;
        if let Some((length, kind)) = header.length_kind {
            self.length = length;
            self.kind = kind;
        }
        if let Some(stream_id) = header.stream_id {
            self.stream_id = stream_id;
        }
        self.timestamp = match header.format {
            0 => self.field,
            _ => self.timestamp.wrapping_add(self.field),
        };
        self.partial = Some(Vec::new());
    }
}

/// The format, the chunk stream id and how many bytes told them (section 5.3.1.1); `None` if bytes are missing.
fn read_basic_header(input: &[u8]) -> Option<(u8, u32, usize)> {
    let first = *input.first()?;
    let format = first >> 6;
    match first & 0x3f {
        0 => Some((format, 64 + u32::from(*input.get(1)?), 2)),
        1 => {
            let (low, high) = (*input.get(1)?, *input.get(2)?);
            Some((format, 64 + u32::from(u16::from_le_bytes([low, high])), 3))
        }
        id => Some((format, u32::from(id), 1)),
    }
}

/// Refuses headers that lean on a header that never came, or that start a message inside another.
fn check_start(format: u8, id: u32, stream: Option<&ChunkStream>) -> Result<()> {
    let text = match stream {
        None if format >= 2 => format!("chunk stream {id} begins with header type {format}"),
        Some(stream) if format == 0 && stream.partial.is_some() => {
            let have = stream.partial.as_ref().map_or(0, Vec::len);
            format!(
                "chunk stream {id} starts a message after {have} of {} bytes",
                stream.length
            )
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorCode::RtmpChunkStart, text))
}

enum ExtendedTimestamp {
    Incomplete,
    Absent,
    Present(u32),
}

/// Reads the extended timestamp; with `expected`, only if it is that one, for then it may as well be payload. Payload is
/// told from it by the first byte that differs, so that a short last chunk need not wait for the next one.
fn read_extended(input: &[u8], expected: Option<u32>) -> ExtendedTimestamp {
    if let Some(expected) = expected
        && !input
            .iter()
            .zip(expected.to_be_bytes())
            .all(|(have, want)| *have == want)
    {
        return ExtendedTimestamp::Absent;
    }
    match input.first_chunk() {
        Some(bytes) => ExtendedTimestamp::Present(u32::from_be_bytes(*bytes)),
        None => ExtendedTimestamp::Incomplete,
    }
}

/// Three bytes, big-endian; the caller has checked that they are there.
fn u24(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtmp::chunk::{Encoder, write_delta_header, write_full_header, write_payload_chunks};

    /// Feeds `bytes` in pieces of `step` and gathers what comes out.
    fn decode_in_steps(decoder: &mut Decoder, bytes: &[u8], step: usize) -> Result<Vec<Message>> {
        let mut input = BytesMut::new();
        let mut messages = Vec::new();
        for piece in bytes.chunks(step) {
            input.extend_from_slice(piece);
            while let Some(message) = decoder.decode(&mut input)? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    fn decode(bytes: &[u8]) -> Result<Vec<Message>> {
        decode_in_steps(&mut Decoder::new(), bytes, usize::MAX)
    }

    fn code(bytes: &[u8]) -> ErrorCode {
        decode(bytes).unwrap_err().code()
    }

    fn times(bytes: &[u8]) -> Vec<u32> {
        decode(bytes).unwrap().iter().map(|message| message.timestamp).collect()
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index % 251) as u8).collect()
    }

    #[test]
    fn messages_come_back_at_every_size_step_and_chunk_size() {
        for chunk_size in [128, 4096, 65_536] {
            let mut encoder = Encoder::new();
            encoder.set_chunk_size(chunk_size);
            let mut bytes = Vec::new();
            let sizes = [0, 1, 127, 128, 129, 300, 65_536, 70_000];
            for (index, size) in sizes.into_iter().enumerate() {
                let (id, time) = (6 + index as u32 % 2, 40 * index as u32);
                encoder.encode(&mut bytes, id, 9, time, 1, &pattern(size)).unwrap();
            }
            for step in [1, 7, 4096, usize::MAX] {
                let mut decoder = Decoder::new();
                decoder.set_chunk_size(chunk_size as u32).unwrap();
                let messages = decode_in_steps(&mut decoder, &bytes, step).unwrap();
                let got: Vec<usize> = messages.iter().map(|message| message.payload.len()).collect();
                assert_eq!(got, sizes, "chunk size {chunk_size}, step {step}");
                for (index, message) in messages.iter().enumerate() {
                    assert_eq!(message.payload, pattern(sizes[index]));
                    assert_eq!((message.kind, message.stream_id), (9, 1));
                    assert_eq!(message.timestamp, 40 * index as u32);
                }
                assert!(decoder.is_idle());
                assert_eq!(decoder.reserved, 0);
            }
        }
    }

    #[test]
    fn chunk_streams_interleave() {
        let bytes = [
            &b"\x06\x00\x00\x0a\x00\x00\x82\x09\x01\x00\x00\x00"[..],
            &[b'v'; 128],
            b"\x07\x00\x00\x0b\x00\x00\x81\x08\x01\x00\x00\x00",
            &[b'a'; 128],
            b"\xc6vv",
            b"\xc7a",
        ]
        .concat();
        let messages = decode(&bytes).unwrap();
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].kind, messages[0].timestamp), (9, 10));
        assert_eq!(messages[0].payload, vec![b'v'; 130]);
        assert_eq!((messages[1].kind, messages[1].timestamp), (8, 11));
        assert_eq!(messages[1].payload, vec![b'a'; 129]);
    }

    #[test]
    fn the_four_header_types_count_time_as_the_specification_says() {
        let bytes = [
            &b"\x04\x00\x03\xe8\x00\x00\x01\x08\x01\x00\x00\x00a"[..], // 1000
            b"\x44\x00\x00\x14\x00\x00\x02\x08bb",                     // + 20
            b"\x84\x00\x00\x15cc",                                     // + 21
            b"\xc4dd",                                                 // + 21 again
        ]
        .concat();
        let messages = decode(&bytes).unwrap();
        let got: Vec<_> = messages.iter().map(|m| (m.timestamp, &m.payload[..])).collect();
        assert_eq!(got, [(1000, &b"a"[..]), (1020, b"bb"), (1041, b"cc"), (1062, b"dd")]);
        assert!(messages.iter().all(|message| message.stream_id == 1));
    }

    #[test]
    fn type_3_after_type_0_adds_the_timestamp_itself() {
        assert_eq!(
            times(b"\x04\x00\x03\xe8\x00\x00\x01\x08\x01\x00\x00\x00a\xc4b\xc4c"),
            [1000, 2000, 3000]
        );
    }

    #[test]
    fn two_and_three_byte_ids_name_the_same_chunk_stream() {
        let bytes = b"\x00\x05\x00\x00\x01\x00\x00\x01\x08\x01\x00\x00\x00a\xc1\x05\x00b\x01\xff\xff\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00";
        let ids: Vec<u32> = decode(bytes).unwrap().iter().map(|m| m.chunk_stream).collect();
        assert_eq!(ids, [69, 69, 65_599]);
    }

    #[test]
    fn extended_timestamps_work_in_both_styles() {
        for time in [0xff_ffff_u32, 0x100_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            for repeats in [true, false] {
                let mut bytes = Vec::new();
                for _ in 0..2 {
                    let extended = write_full_header(&mut bytes, 6, 9, 300, time, 1);
                    let extended = extended.filter(|_| repeats);
                    write_payload_chunks(&mut bytes, 6, &pattern(300), 128, extended);
                }
                for step in [1, usize::MAX] {
                    let messages = decode_in_steps(&mut Decoder::new(), &bytes, step).unwrap();
                    assert_eq!(messages.len(), 2, "time {time:#x}, repeats {repeats}, step {step}");
                    for message in messages {
                        assert_eq!(message.timestamp, time);
                        assert_eq!(message.payload, pattern(300));
                    }
                }
            }
        }
    }

    #[test]
    fn a_short_last_chunk_without_the_extended_timestamp_needs_no_more_input() {
        let mut bytes = Vec::new();
        write_full_header(&mut bytes, 6, 9, 129, 0x0100_0000, 1);
        write_payload_chunks(&mut bytes, 6, &[7; 129], 128, None);
        assert_eq!(times(&bytes), [0x0100_0000]);
    }

    #[test]
    fn extended_differences_stand_in_types_1_2_and_at_the_start_of_type_3() {
        let bytes = [
            &b"\x04\x00\x00\x05\x00\x00\x01\x08\x01\x00\x00\x00a"[..],
            b"\x44\xff\xff\xff\x00\x00\x01\x08\x01\x00\x00\x00b",
            b"\x84\xff\xff\xff\x02\x00\x00\x00c",
            b"\xc4\x03\x00\x00\x00d",
            b"\x84\x00\x00\x01e",
            b"\xc4f",
        ]
        .concat();
        assert_eq!(
            times(&bytes),
            [5, 0x0100_0005, 0x0300_0005, 0x0600_0005, 0x0600_0006, 0x0600_0007]
        );
    }

    #[test]
    fn time_wraps_at_32_bits_and_nowhere_before() {
        for start in [0xff_fff0_u32, 0x7fff_fff0, 0xffff_fff0] {
            let mut bytes = Vec::new();
            write_full_header(&mut bytes, 6, 9, 0, start, 1);
            write_delta_header(&mut bytes, 6, 9, 0, 0x20);
            write_delta_header(&mut bytes, 6, 9, 0, u32::MAX);
            let second = start.wrapping_add(0x20);
            assert_eq!(times(&bytes), [start, second, second.wrapping_sub(1)]);
        }
    }

    #[test]
    fn a_fresh_chunk_stream_may_begin_with_type_1_only() {
        let mut decoder = Decoder::new();
        let ping = b"\x42\x00\x00\x07\x00\x00\x06\x04\x00\x03\x00\x00\x00\x00";
        let messages = decode_in_steps(&mut decoder, ping, 1).unwrap();
        assert_eq!((messages[0].timestamp, messages[0].stream_id), (7, 0));
        assert!(decoder.began_with_type1());
        assert_eq!(code(b"\x82\x00\x00\x07"), ErrorCode::RtmpChunkStart);
        assert_eq!(code(b"\xc2"), ErrorCode::RtmpChunkStart);
    }

    #[test]
    fn a_message_neither_starts_nor_changes_its_length_inside_another() {
        let begun = [&b"\x06\x00\x00\x00\x00\x01\x00\x09\x01\x00\x00\x00"[..], &[0; 128]].concat();
        let with = |tail: &[u8]| [&begun[..], tail].concat();
        let again = with(b"\x06\x00\x00\x00\x00\x01\x00\x09\x01\x00\x00\x00");
        assert_eq!(code(&again), ErrorCode::RtmpChunkStart);
        let shorter = with(b"\x46\x00\x00\x00\x00\x00\x90\x09");
        assert_eq!(code(&shorter), ErrorCode::RtmpPacketSize);
        // The same length again is odd but harmless; the message keeps its first time.
        let same = [with(b"\x46\x00\x00\x05\x00\x01\x00\x09"), vec![0; 128]].concat();
        assert_eq!(times(&same), [0]);
    }

    #[test]
    fn chunk_sizes_have_a_floor_and_a_ceiling() {
        let mut decoder = Decoder::new();
        for size in [0, 1, 127] {
            assert_eq!(
                decoder.set_chunk_size(size).unwrap_err().code(),
                ErrorCode::RtmpChunkSize
            );
        }
        assert_eq!(decoder.chunk_size(), 128);
        for size in [128, 65_536, RTMP_CHUNK_BYTES_MAX as u32] {
            decoder.set_chunk_size(size).unwrap();
            assert_eq!(decoder.chunk_size(), size as usize);
        }
        decoder.set_chunk_size(u32::MAX).unwrap();
        assert_eq!(decoder.chunk_size(), RTMP_CHUNK_BYTES_MAX);
    }

    #[test]
    fn a_chunk_size_set_in_mid_message_holds_from_the_next_chunk() {
        let mut decoder = Decoder::new();
        let mut input = BytesMut::from(&b"\x06\x00\x00\x00\x00\x01\x2c\x09\x01\x00\x00\x00"[..]);
        input.extend_from_slice(&[1; 100]);
        assert_eq!(decoder.decode(&mut input).unwrap(), None);
        decoder.set_chunk_size(200).unwrap();
        input.extend_from_slice(&[1; 28]);
        input.extend_from_slice(b"\xc6");
        input.extend_from_slice(&[2; 172]);
        let message = decoder.decode(&mut input).unwrap().unwrap();
        assert_eq!(message.payload, [[1; 128].as_slice(), &[2; 172]].concat());
    }

    #[test]
    fn abort_drops_the_unfinished_message() {
        let mut decoder = Decoder::new();
        let mut input = BytesMut::from(&b"\x06\x00\x00\x00\x00\x01\x2c\x09\x01\x00\x00\x00"[..]);
        input.extend_from_slice(&[1; 128]);
        assert_eq!(decoder.decode(&mut input).unwrap(), None);
        decoder.abort(6);
        decoder.abort(99);
        assert_eq!(decoder.reserved, 0);
        input.extend_from_slice(b"\x06\x00\x00\x00\x00\x00\x01\x09\x01\x00\x00\x00x");
        assert_eq!(decoder.decode(&mut input).unwrap().unwrap().payload, &b"x"[..]);
    }

    #[test]
    fn a_header_alone_reserves_little() {
        let mut decoder = Decoder::new();
        let mut input = BytesMut::from(&b"\x06\x00\x00\x00\xff\xff\xff\x09\x01\x00\x00\x00x"[..]);
        assert_eq!(decoder.decode(&mut input).unwrap(), None);
        assert!(decoder.reserved <= FIRST_RESERVE_BYTES);
    }

    #[test]
    fn unfinished_messages_are_bounded_over_all_chunk_streams() {
        let mut decoder = Decoder::new();
        // Each chunk stream gets all but the last byte of a message of two thirds of the bound.
        let length = RTMP_PARTIAL_BYTES / 3 * 2;
        let [_, high, middle, low] = u32::try_from(length).unwrap().to_be_bytes();
        decoder.set_chunk_size(length as u32 - 1).unwrap();
        let mut codes = Vec::new();
        for id in 3..5 {
            let mut input = BytesMut::from(&[id, 0, 0, 0, high, middle, low, 9, 1, 0, 0, 0][..]);
            input.resize(input.len() + length - 1, 0);
            codes.push(decoder.decode(&mut input).map_err(|error| error.code()));
        }
        assert_eq!(codes, [Ok(None), Err(ErrorCode::RtmpMsgSize)]);
        assert!(decoder.reserved <= RTMP_PARTIAL_BYTES);
    }

    #[test]
    fn chunk_streams_are_bounded() {
        let mut bytes = Vec::new();
        for id in 0..=RTMP_CHUNK_STREAMS as u32 {
            write_full_header(&mut bytes, 3 + id, 8, 0, 0, 1);
        }
        let mut decoder = Decoder::new();
        let mut input = BytesMut::from(&bytes[..]);
        for _ in 0..RTMP_CHUNK_STREAMS {
            assert!(decoder.decode(&mut input).unwrap().is_some());
        }
        assert_eq!(
            decoder.decode(&mut input).unwrap_err().code(),
            ErrorCode::RtmpChunkStart
        );
    }

    #[test]
    fn every_prefix_gives_whole_messages_only() {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for time in [5, 0x0100_0000] {
            let extended = write_full_header(&mut bytes, 300, 9, 200, time, 1);
            write_payload_chunks(&mut bytes, 300, &pattern(200), 128, extended);
            ends.push(bytes.len());
        }
        for end in 0..=bytes.len() {
            let whole = ends.iter().filter(|message_end| **message_end <= end).count();
            assert_eq!(decode(&bytes[..end]).unwrap().len(), whole, "{end} bytes");
        }
    }

    #[test]
    fn mutated_bytes_never_panic_and_stay_in_bounds() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut valid = Vec::new();
        for index in 0..6 {
            let extended = write_full_header(&mut valid, 4 + index % 3, 9, 150, index * 0x80_0000, 1);
            write_payload_chunks(&mut valid, 4 + index % 3, &pattern(150), 128, extended);
        }
        for _ in 0..4000 {
            let mut bytes = valid.clone();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let mut decoder = Decoder::new();
            let step = random.usize(1..400);
            if let Ok(messages) = decode_in_steps(&mut decoder, &bytes, step) {
                assert!(messages.iter().map(|m| m.payload.len()).sum::<usize>() <= bytes.len());
            }
            assert!(decoder.streams.len() <= RTMP_CHUNK_STREAMS);
            let held: usize = decoder
                .streams
                .iter()
                .filter_map(|s| s.partial.as_ref())
                .map(Vec::capacity)
                .sum();
            assert_eq!(held, decoder.reserved);
        }
    }
}
