//! Parcels: batches as they go out, in one piece. All players who stand at the same message are sent the same one.

use std::rc::Rc;

use super::positions::{Parked, Spot};
use super::rtmp_view::InStep;
use super::source::State;
use super::tracks::Tracks;
use crate::kernel::flv::mux::TimestampFields;
use crate::protocol::http::body::{CHUNK_END, chunk_line};
use crate::protocol::websocket::{FrameHeader, Opcode};

/// Bytes of one parcel at most, unless a single message is larger. What a slow socket does not take of it is kept for
/// that player alone.
pub const PARCEL_BYTES: usize = 128 << 10;
/// Parcels kept while a batch is sent to all: players stand at few different messages.
const SHELF: usize = 8;
/// A buffer above this is not kept from batch to batch, bytes.
const KEPT_BYTES: usize = 256 << 10;

/// What is put around a batch for its transport.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Envelope {
    /// Nothing.
    #[default]
    Bare,
    /// An HTTP chunk.
    Chunk,
    /// A WebSocket message.
    Message,
}

/// What a player's bytes depend on besides its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Of RTMP: the tracks that the player has had a message on.
    pub in_step: InStep,
    /// Of FLV: the tracks that the player wants.
    pub wanted: Tracks,
    /// Of HTTP.
    pub envelope: Envelope,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            in_step: InStep::default(),
            wanted: Tracks::BOTH,
            envelope: Envelope::Bare,
        }
    }
}

/// Makes parcels: a view.
pub trait Packer {
    /// Puts the journal's messages from `parcel.from` on into the parcel, as many as it holds and at least one, and says
    /// where it ends; gives false when a player's own coroutine must do so, because its bytes are not those of others.
    fn pack(&self, state: &State, parcel: &mut Parcel) -> bool;
}

/// A batch for all who stand at one message.
pub struct Parcel {
    packer: Option<Rc<dyn Packer>>,
    /// What its bytes depend on.
    pub terms: Terms,
    /// Its first message.
    pub from: u64,
    /// It ends before this one.
    pub limit: u64,
    /// Behind its last message.
    pub to: u64,
    /// The messages' bytes.
    pub bytes: Vec<u8>,
    /// Where bytes count from the player's time 0, if they do.
    pub times: Option<TimestampFields>,
    /// The source's clock of the last message, ms.
    clock: Option<i64>,
    is_shared: bool,
}

impl Parcel {
    fn new() -> Self {
        Parcel {
            packer: None,
            terms: Terms::default(),
            from: 0,
            limit: 0,
            to: 0,
            bytes: Vec::new(),
            times: None,
            clock: None,
            is_shared: false,
        }
    }

    fn is_for(&self, from: u64, parked: &Parked) -> bool {
        self.from == from
            && self.terms == parked.terms
            && self
                .packer
                .as_ref()
                .is_some_and(|packer| Rc::ptr_eq(packer, &parked.packer))
    }

    fn pack(&mut self, from: u64, limit: u64, parked: &Parked, state: &State) {
        self.packer = Some(parked.packer.clone());
        self.terms = parked.terms;
        (self.from, self.limit, self.to) = (from, limit, from);
        self.bytes.clear();
        self.times = None;
        self.is_shared = false;
        // A gap is a matter between the player and its place.
        self.is_shared = from >= state.journal.first() && parked.packer.pack(state, self) && self.to > from;
        self.clock = state.journal.get(self.to.saturating_sub(1)).map(|entry| entry.clock);
        if !self.bytes.is_empty() {
            self.close();
        }
    }

    /// Puts the envelope around the bytes.
    fn close(&mut self) {
        let bytes = self.bytes.len();
        let begin = match self.terms.envelope {
            Envelope::Bare => return,
            Envelope::Chunk => chunk_line(bytes).into_bytes(),
            Envelope::Message => FrameHeader::new(Opcode::Binary, bytes).as_bytes().to_vec(),
        };
        self.bytes.splice(..0, begin.iter().copied());
        if let Some(times) = &mut self.times {
            times.shift(begin.len());
        }
        if self.terms.envelope == Envelope::Chunk {
            self.bytes.extend_from_slice(CHUNK_END);
        }
    }

    /// The bytes as a player gets them whose time 0 is `base`.
    fn bytes_at(&mut self, base: i64) -> &[u8] {
        if let Some(times) = &mut self.times {
            // Players' clocks count modulo 2^32.
            times.rebase(&mut self.bytes, base as u32);
        }
        &self.bytes
    }
}

/// What the courier has packed while it sends one batch to all.
#[derive(Default)]
pub struct Parcels {
    shelf: Vec<Parcel>,
    /// Where the last player's stands.
    last: usize,
    /// Which goes first when another one is needed.
    oldest: usize,
}

impl Parcels {
    /// Sends a parked player the messages before `limit` as far as its socket takes them at once; gives false when the
    /// rest is for its coroutine.
    pub fn send(&mut self, spot: &mut Spot, limit: u64, parked: &Parked, state: &State) -> bool {
        while spot.next < limit {
            let Some(parcel) = self.fetch(spot.next, limit, parked, state) else {
                return false;
            };
            let (to, clock) = (parcel.to, parcel.clock);
            let bytes = parcel.bytes_at(parked.base);
            let sent = match bytes.is_empty() {
                true => Ok(0),
                false => parked.stream.try_write(bytes),
            };
            // An error comes again when the coroutine sends.
            let Ok(taken) = sent else { return false };
            spot.advance(to, clock);
            if taken < bytes.len() {
                parked.recipient.keep(&bytes[taken..]);
                return false;
            }
        }
        true
    }

    /// The parcel for a parked player; none when its bytes are its own.
    fn fetch(&mut self, from: u64, limit: u64, parked: &Parked, state: &State) -> Option<&mut Parcel> {
        let is_it = |parcel: &Parcel| parcel.is_for(from, parked);
        if !self.shelf.get(self.last).is_some_and(is_it) {
            self.last = match self.shelf.iter().position(is_it) {
                Some(index) => index,
                None => self.pack(from, limit, parked, state),
            };
        }
        Some(&mut self.shelf[self.last]).filter(|parcel| parcel.is_shared)
    }

    fn pack(&mut self, from: u64, limit: u64, parked: &Parked, state: &State) -> usize {
        let index = if self.shelf.len() < SHELF {
            self.shelf.push(Parcel::new());
            self.shelf.len() - 1
        } else {
            self.oldest = (self.oldest + 1) % SHELF;
            self.oldest
        };
        self.shelf[index].pack(from, limit, parked, state);
        index
    }

    /// Forgets all parcels, as the journal may have gone on; a buffer of usual size stays for the next ones.
    pub fn clear(&mut self) {
        self.shelf.truncate(1);
        if let Some(parcel) = self.shelf.first_mut() {
            parcel.packer = None;
            parcel.bytes.clear();
            parcel.bytes.shrink_to(KEPT_BYTES);
        }
        (self.last, self.oldest) = (0, 0);
    }
}
