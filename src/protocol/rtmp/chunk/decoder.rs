//! Reads messages from a chunk stream (RTMP specification 1.0, section 5.3.1), tolerant where senders in the wild differ.
//!
//! - Payloads are copied once, from the read buffer to a buffer of their own. Splitting them off the read buffer would
//!   save the copy, but a packet lives in the journal for seconds and would pin the whole read buffer, which then could
//!   not be filled again either. Blocks that short messages share were tried: no less CPU, an eighth more memory.
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
            let Some(chunk) = self.next_chunk(input)? else {
                return Ok(None);
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

    /// The chunk under way, or the next one, behind whose headers `input` is then; `None` if those are not all there yet.
    fn next_chunk(&mut self, input: &mut &[u8]) -> Result<Option<OpenChunk>> {
        if let Some(chunk) = self.open.take() {
            return Ok(Some(chunk));
        }
        let Some(header) = self.read_header(input)? else {
            return Ok(None);
        };
        *input = &input[header.size..];
        self.begin_chunk(header).map(Some)
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
mod tests;
