//! An RTMP player: chunks that are the same for all players, and headers of its own where it needs them.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;

use super::parcel::Terms;
use super::place::{MergedWrite, Place};
use super::positions::Parked;
use super::recipient::Recipient;
use super::rtmp_view::{InStep, RtmpView, encode_absolute};
use super::source::{Source, State};
use crate::app::config::section::play::TimeJitter;
use crate::app::stream::Stream;
use crate::kernel::frame::Kind;

/// Bytes sent with one system call at most; what a slow socket does not take of it is kept for that player alone.
const BATCH_BYTES: usize = 128 << 10;
/// Pieces of one system call: slabs are at least half as large as a batch.
const BATCH_SLICES: usize = 8;

/// One player of one source.
pub struct RtmpConsumer {
    /// Where it is.
    pub place: Place,
    view: Rc<RefCell<RtmpView>>,
    in_step: InStep,
}

/// What a socket was offered.
#[derive(Debug)]
pub struct Offered {
    /// How many messages went out, or stand in `rest`.
    pub messages: u64,
    /// What the socket did not take; it must be written before anything else.
    pub rest: Vec<u8>,
}

impl RtmpConsumer {
    /// Joins the source: what comes next is the stream's metadata, its sequence headers and its newest GOP.
    pub fn join(source: &Rc<Source>, chunk_bytes: usize) -> Self {
        let place = Place::join(source);
        RtmpConsumer {
            view: source.view(chunk_bytes, place.next()),
            place,
            in_step: InStep::default(),
        }
    }

    /// Sends what the socket takes at once of what there is, at most `limit` messages. A new player gets the stream's
    /// headers even while there is no message for it.
    ///
    /// # Errors
    /// The stream's: the peer left.
    pub fn offer(&mut self, stream: &Stream, limit: u64) -> io::Result<Offered> {
        if self.place.jump_if_lost() {
            self.in_step = InStep::default();
        }
        let source = self.place.source().clone();
        let state = source.state();
        let view = self.view.clone();
        let mut view = view.borrow_mut();
        view.extend(&state.journal, state.clock.jitter());
        let from = self.place.next();
        let to = view
            .encoded
            .batch_end(from, BATCH_BYTES)
            .min(from.saturating_add(limit));
        let own = self.place.needs_headers || !view.is_shared_from(from, self.in_step);
        let rest = if own {
            self.encode_own(&state, &view, to)
        } else {
            self.send_shared(stream, &state, &view, to)?
        };
        Ok(Offered {
            messages: to - from,
            rest,
        })
    }

    /// What the courier needs to send for it; none while it needs headers of its own.
    pub fn parked(&self, stream: &Rc<Stream>, merged: MergedWrite, recipient: &Rc<Recipient>) -> Option<Parked> {
        let base = self.place.base().filter(|_| !self.place.needs_headers)?;
        Some(Parked {
            stream: stream.clone(),
            packer: self.view.clone(),
            terms: Terms {
                in_step: self.in_step,
                ..Terms::default()
            },
            base,
            merged,
            stays: true,
            recipient: recipient.clone(),
        })
    }

    fn send_shared(&mut self, stream: &Stream, state: &State, view: &RtmpView, to: u64) -> io::Result<Vec<u8>> {
        let from = self.place.next();
        if to == from {
            return Ok(Vec::new());
        }
        self.place.advance(state, to);
        try_send(stream, view, from, to)
    }

    /// Messages up to `to`, with the headers that this player needs.
    fn encode_own(&mut self, state: &State, view: &RtmpView, to: u64) -> Vec<u8> {
        let from = self.place.next();
        let base = (to > from).then(|| self.place.advance(state, to));
        let mut bytes = Vec::new();
        if self.place.needs_headers {
            let time = self.place.header_time(state, from, to);
            for header in state.start_headers(from) {
                let is_data = header.frame.kind == Kind::Data && state.clock.jitter() != TimeJitter::Off;
                encode_absolute(&mut bytes, header, if is_data { 0 } else { time }, view.chunk_bytes());
            }
            self.place.needs_headers = base.is_none() && bytes.is_empty();
        }
        if let Some(base) = base {
            view.copy(&state.journal, from, to, base, &mut self.in_step, &mut bytes);
        }
        bytes
    }
}

/// Offers the shared bytes to the socket without waiting; gives a copy of what it did not take.
fn try_send(stream: &Stream, view: &RtmpView, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut slices = [IoSlice::new(&[]); BATCH_SLICES];
    let mut count = 0;
    for (slot, piece) in slices.iter_mut().zip(view.encoded.slices(from, to)) {
        *slot = IoSlice::new(piece);
        count += 1;
    }
    let mut taken = stream.try_write_vectored(&slices[..count])?;
    let mut rest = Vec::new();
    for piece in view.encoded.slices(from, to) {
        let skipped = taken.min(piece.len());
        rest.extend_from_slice(&piece[skipped..]);
        taken -= skipped;
    }
    Ok(rest)
}
