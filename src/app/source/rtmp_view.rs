//! The RTMP view: the journal encoded as chunks, once for all players.
//!
//! Each player's timeline starts at its own zero, and still the bytes are the same for all: a message header of type 1
//! carries the difference to the previous message of its chunk stream. A player only needs its own header of type 0 for
//! the first message that it gets on each chunk stream (it is then *in step* with the track), and for the rare message
//! whose difference a header of type 1 cannot tell: one that steps back, or by more than 24 bits.

use std::cell::RefCell;

use super::encoded::Encoded;
use super::journal::{Entry, Journal};
use super::parcel::{PARCEL_BYTES, Packer, Parcel};
use super::source::State;
use super::view::{View, ViewList, Views};
use crate::app::config::section::play::TimeJitter;
use crate::kernel::frame::Kind;
use crate::protocol::rtmp::chunk::{self, id};

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
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
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

/// What is remembered of each message.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    track: Track,
    /// Each player needs a header of its own.
    own_header: bool,
}

#[derive(Clone, Copy, Default, Debug)]
struct TrackState {
    clock: Option<i64>,
    newest: Option<u64>,
}

/// The encoded journal, from the message on that the first player started with.
#[derive(Debug)]
pub struct RtmpView {
    chunk_bytes: usize,
    /// The messages as all players get them.
    pub encoded: Encoded<Mark>,
    tracks: [TrackState; 2],
    newest_own_header: Option<u64>,
}

impl View for RtmpView {
    /// Bytes of a chunk.
    type Key = usize;
    type Mark = Mark;

    fn begin(chunk_bytes: usize, first: u64, _: &State) -> Self {
        RtmpView::new(chunk_bytes, first)
    }

    fn key(&self) -> usize {
        self.chunk_bytes
    }

    fn encoded(&self) -> &Encoded<Mark> {
        &self.encoded
    }

    fn encoded_mut(&mut self) -> &mut Encoded<Mark> {
        &mut self.encoded
    }

    fn list(views: &Views) -> &ViewList<Self> {
        &views.rtmp
    }
}

impl RtmpView {
    /// An empty view that begins with message `first`, for players whose chunk size is `chunk_bytes`.
    pub fn new(chunk_bytes: usize, first: u64) -> Self {
        RtmpView {
            chunk_bytes,
            encoded: Encoded::new(first),
            tracks: [TrackState::default(); 2],
            newest_own_header: None,
        }
    }

    /// The chunk size that the bytes were made for.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Encodes what the journal has got since the last call.
    pub fn extend(&mut self, journal: &Journal, jitter: TimeJitter) {
        if self.encoded.end() < journal.first() {
            // Nobody followed for so long that messages are gone; the next ones have no predecessor.
            *self = RtmpView::new(self.chunk_bytes, journal.first());
        }
        for (number, entry) in journal.from(self.encoded.end()) {
            self.append(number, entry, jitter);
        }
    }

    fn append(&mut self, number: u64, entry: &Entry, jitter: TimeJitter) {
        let track = Track::from(entry.frame.kind);
        let (delta, own_header) = self.step(track, number, entry.clock);
        if own_header {
            self.newest_own_header = Some(number);
        }
        let payload = &entry.frame.payload;
        let chunk_bytes = self.chunk_bytes;
        // Headers of types 0 and 1, and one byte before each further chunk (five with an extended timestamp).
        let room = 16 + payload.len() + payload.len() / chunk_bytes * 5;
        self.encoded.push(Mark { track, own_header }, room, |out| match track {
            Track::Data => encode_absolute(out, entry, data_time(entry, jitter), chunk_bytes),
            Track::Audio | Track::Video => {
                let (stream, kind) = chunk_stream(entry.frame.kind);
                let extended = chunk::write_delta_header(out, stream, kind, payload.len(), delta);
                chunk::write_payload_chunks(out, stream, payload, chunk_bytes, extended);
            }
        });
    }

    /// The difference to the track's previous message, and whether a header of type 1 cannot tell it.
    fn step(&mut self, track: Track, number: u64, clock: i64) -> (u32, bool) {
        let Some(state) = self.track_mut(track) else {
            return (0, false);
        };
        let before = state.clock.replace(clock);
        state.newest = Some(number);
        match before.map(|before| clock - before) {
            Some(delta) if (0..EXTENDED).contains(&delta) => (delta as u32, false),
            _ => (0, true),
        }
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

    /// Appends messages `from..to` to `out` for a player whose timeline starts at `base`, with headers of its own where
    /// it needs them; brings it in step.
    pub fn copy(&self, journal: &Journal, from: u64, to: u64, base: i64, in_step: &mut InStep, out: &mut Vec<u8>) {
        for number in from..to {
            let Some(mark) = self.encoded.mark(number) else { return };
            if in_step.has(mark.track) && !mark.own_header {
                self.encoded.copy(number, number + 1, out);
            } else if let Some(entry) = journal.get(number) {
                encode_absolute(out, entry, (entry.clock - base).max(0) as u32, self.chunk_bytes);
                in_step.set(mark.track);
            }
        }
    }
}

impl Packer for RefCell<RtmpView> {
    fn pack(&self, state: &State, parcel: &mut Parcel) -> bool {
        let mut view = self.borrow_mut();
        view.extend(&state.journal, state.clock.jitter());
        if !view.is_shared_from(parcel.from, parcel.terms.in_step) {
            return false;
        }
        parcel.to = view.encoded.batch_end(parcel.from, PARCEL_BYTES).min(parcel.limit);
        view.encoded.copy(parcel.from, parcel.to, &mut parcel.bytes);
        true
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
