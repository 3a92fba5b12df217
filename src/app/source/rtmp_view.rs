//! The RTMP view: the journal encoded as chunks, once for all players.
//!
//! Each player's timeline starts at its own zero, and still the bytes are the same for all: a message header of type 1
//! carries the difference to the previous message of its chunk stream. A player only needs its own header of type 0 for
//! the first message that it gets on each chunk stream (it is then *in step* with the track), and for the rare message
//! whose difference a header of type 1 cannot tell: one that steps back, or by more than 24 bits.

use std::collections::VecDeque;

use super::journal::{Entry, Journal};
use crate::app::config::section::play::TimeJitter;
use crate::kernel::frame::Kind;
use crate::protocol::rtmp::chunk::{self, id};

/// Bytes of one slab; a message that is larger gets a slab of its own.
const SLAB_BYTES: usize = 64 << 10;
/// The first timestamp difference that needs an extended field.
const EXTENDED: i64 = 0xff_ffff;
/// The message stream that everything is sent on.
const STREAM_ID: u32 = 1;

/// What shares one chunk stream and one sequence of timestamp differences.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Track {
    /// Chunk stream 7.
    Audio,
    /// Chunk stream 6.
    Video,
    /// Chunk stream 4; every message has a header of type 0 and a time that is the same for all.
    Data,
}

impl From<Kind> for Track {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Audio => Track::Audio,
            Kind::Video => Track::Video,
            Kind::Data => Track::Data,
        }
    }
}

/// Which tracks a player has had a message of type 0 on.
#[derive(Clone, Copy, Default, Debug)]
pub struct InStep([bool; 2]);

impl InStep {
    fn has(self, track: Track) -> bool {
        match track {
            Track::Audio => self.0[0],
            Track::Video => self.0[1],
            Track::Data => true,
        }
    }

    fn set(&mut self, track: Track) {
        match track {
            Track::Audio => self.0[0] = true,
            Track::Video => self.0[1] = true,
            Track::Data => {}
        }
    }
}

#[derive(Clone, Copy)]
struct Message {
    start: u64,
    track: Track,
    /// Each player needs a header of its own.
    own_header: bool,
}

struct Slab {
    start: u64,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct TrackState {
    clock: Option<i64>,
    newest: Option<u64>,
}

/// The encoded journal, from the message on that the first player started with.
pub struct RtmpView {
    chunk_bytes: usize,
    first: u64,
    messages: VecDeque<Message>,
    slabs: VecDeque<Slab>,
    end: u64,
    tracks: [TrackState; 2],
    newest_own_header: Option<u64>,
}

impl RtmpView {
    /// An empty view that begins with message `first`, for players whose chunk size is `chunk_bytes`.
    pub fn new(chunk_bytes: usize, first: u64) -> Self {
        RtmpView {
            chunk_bytes,
            first,
            messages: VecDeque::new(),
            slabs: VecDeque::new(),
            end: 0,
            tracks: [TrackState::default(); 2],
            newest_own_header: None,
        }
    }

    /// The chunk size that the bytes were made for.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// The oldest message that it can give.
    pub fn first(&self) -> u64 {
        self.first
    }

    fn end_number(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    /// Encodes what the journal has got since the last call.
    pub fn extend(&mut self, journal: &Journal, jitter: TimeJitter) {
        if self.end_number() < journal.first() {
            // Nobody followed for so long that messages are gone; the next ones have no predecessor.
            *self = RtmpView::new(self.chunk_bytes, journal.first());
        }
        let next = self.end_number();
        for (number, entry) in journal.from(next) {
            self.append(number, entry, jitter);
        }
    }

    /// Forgets all before message `number`.
    pub fn trim(&mut self, number: u64) {
        let count = number.min(self.end_number()).saturating_sub(self.first);
        self.messages.drain(..count as usize);
        self.first += count;
        let keep = self.messages.front().map_or(self.end, |message| message.start);
        while self
            .slabs
            .front()
            .is_some_and(|slab| slab.start + slab.bytes.len() as u64 <= keep)
        {
            self.slabs.pop_front();
        }
    }

    fn append(&mut self, number: u64, entry: &Entry, jitter: TimeJitter) {
        let track = Track::from(entry.frame.kind);
        let payload = &entry.frame.payload;
        let (delta, own_header) = match self.track_mut(track) {
            Some(state) => {
                let delta = state.clock.map(|clock| entry.clock - clock);
                state.clock = Some(entry.clock);
                state.newest = Some(number);
                match delta {
                    Some(delta) if (0..EXTENDED).contains(&delta) => (delta as u32, false),
                    _ => (0, true),
                }
            }
            None => (0, false),
        };
        if own_header {
            self.newest_own_header = Some(number);
        }
        // Headers of types 0 and 1, and one byte before each further chunk (five with an extended timestamp).
        let room = 16 + payload.len() + payload.len() / self.chunk_bytes * 5;
        let full = self
            .slabs
            .back()
            .is_none_or(|slab| slab.bytes.len() + room > slab.bytes.capacity());
        if full {
            self.slabs.push_back(Slab {
                start: self.end,
                bytes: Vec::with_capacity(room.max(SLAB_BYTES)),
            });
        }
        self.messages.push_back(Message {
            start: self.end,
            track,
            own_header,
        });
        let chunk_bytes = self.chunk_bytes;
        let Some(slab) = self.slabs.back_mut() else { return };
        let before = slab.bytes.len();
        match track {
            Track::Data => encode_absolute(&mut slab.bytes, entry, data_time(entry, jitter), chunk_bytes),
            Track::Audio | Track::Video => {
                let (stream, kind) = chunk_stream(entry.frame.kind);
                let extended = chunk::write_delta_header(&mut slab.bytes, stream, kind, payload.len(), delta);
                chunk::write_payload_chunks(&mut slab.bytes, stream, payload, chunk_bytes, extended);
            }
        }
        self.end += (slab.bytes.len() - before) as u64;
    }

    fn track_mut(&mut self, track: Track) -> Option<&mut TrackState> {
        match track {
            Track::Audio => Some(&mut self.tracks[0]),
            Track::Video => Some(&mut self.tracks[1]),
            Track::Data => None,
        }
    }

    /// Whether all messages from `number` on are the same for a player that is in step with these tracks.
    pub fn is_shared_from(&self, number: u64, in_step: InStep) -> bool {
        let none_since = |newest: Option<u64>| newest.is_none_or(|newest| newest < number);
        none_since(self.newest_own_header)
            && self
                .tracks
                .iter()
                .zip(in_step.0)
                .all(|(state, ok)| ok || none_since(state.newest))
    }

    /// The end of a batch from `number` on: as many messages as fit `limit` bytes, at least one if there is one.
    pub fn batch_end(&self, number: u64, limit: usize) -> u64 {
        let begin = self.index(number);
        let Some(first) = self.messages.get(begin) else {
            return number;
        };
        if self.end - first.start <= limit as u64 {
            return self.end_number();
        }
        let until = first.start + limit as u64;
        // Message i fits if it ends, that is its successor starts, within the limit.
        let fitting = self
            .messages
            .partition_point(|message| message.start <= until)
            .saturating_sub(1);
        self.first + fitting.max(begin + 1) as u64
    }

    fn index(&self, number: u64) -> usize {
        number.saturating_sub(self.first).min(self.messages.len() as u64) as usize
    }

    /// The bytes of messages `from..to`, in pieces.
    pub fn slices(&self, from: u64, to: u64) -> impl Iterator<Item = &[u8]> {
        let offset = |number| {
            self.messages
                .get(self.index(number))
                .map_or(self.end, |message| message.start)
        };
        let (begin, end) = (offset(from), offset(to));
        let skip = self
            .slabs
            .partition_point(|slab| slab.start + slab.bytes.len() as u64 <= begin);
        self.slabs
            .range(skip..)
            .take_while(move |slab| slab.start < end)
            .map(move |slab| {
                let from = begin.saturating_sub(slab.start) as usize;
                let to = ((end - slab.start) as usize).min(slab.bytes.len());
                &slab.bytes[from..to]
            })
    }

    /// Appends messages `from..to` to `out` for a player whose timeline starts at `base`, with headers of its own where
    /// it needs them; brings it in step.
    pub fn copy(&self, journal: &Journal, from: u64, to: u64, base: i64, in_step: &mut InStep, out: &mut Vec<u8>) {
        for number in from..to {
            let Some(message) = self.messages.get(self.index(number)) else {
                return;
            };
            if in_step.has(message.track) && !message.own_header {
                self.slices(number, number + 1)
                    .for_each(|piece| out.extend_from_slice(piece));
            } else if let Some(entry) = journal.get(number) {
                encode_absolute(out, entry, (entry.clock - base).max(0) as u32, self.chunk_bytes);
                in_step.set(message.track);
            }
        }
    }
}

/// Appends a whole message with a header of type 0 and this timestamp, ms.
pub fn encode_absolute(out: &mut Vec<u8>, entry: &Entry, timestamp: u32, chunk_bytes: usize) {
    let (stream, kind) = chunk_stream(entry.frame.kind);
    let payload = &entry.frame.payload;
    let extended = chunk::write_full_header(out, stream, kind, payload.len(), timestamp, STREAM_ID);
    chunk::write_payload_chunks(out, stream, payload, chunk_bytes, extended);
}

/// Metadata has time 0 on a corrected timeline, and the publisher's otherwise.
fn data_time(entry: &Entry, jitter: TimeJitter) -> u32 {
    match jitter {
        TimeJitter::Full | TimeJitter::Zero => 0,
        TimeJitter::Off => entry.clock as u32,
    }
}

/// The chunk stream and the message type.
fn chunk_stream(kind: Kind) -> (u32, u8) {
    match kind {
        Kind::Audio => (id::AUDIO, 8),
        Kind::Video => (id::VIDEO, 9),
        Kind::Data => (id::METADATA, 18),
    }
}

impl std::fmt::Debug for RtmpView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "RtmpView({}..{}, {} slabs)",
            self.first,
            self.end_number(),
            self.slabs.len()
        )
    }
}
