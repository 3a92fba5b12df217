//! An RTMP player: chunks that are the same for all players, and headers of its own where it needs them.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;

use super::place::Place;
use super::rtmp_view::{InStep, RtmpView, encode_absolute};
use super::source::{Source, State};
use crate::app::config::section::play::TimeJitter;
use crate::core::tcp::TcpStream;
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

impl RtmpConsumer {
    /// Joins the source: what comes next is the stream's metadata, its sequence headers and its newest GOP.
    pub fn join(source: &Rc<Source>, chunk_bytes: usize) -> Self {
        let place = Place::join(source);
        RtmpConsumer {
            view: source.rtmp_view(chunk_bytes, place.next()),
            place,
            in_step: InStep::default(),
        }
    }

    /// Sends what there is, at most `limit` messages; gives how many. A new player gets the stream's headers even while
    /// there is no message for it. Yields.
    ///
    /// # Errors
    /// The stream's: the peer left, or took nothing for the write timeout.
    pub fn send(&mut self, stream: &TcpStream, limit: u64) -> io::Result<u64> {
        if self.place.jump_if_lost() {
            self.in_step = InStep::default();
        }
        let from = self.place.next();
        let rest = self.send_ready(stream, limit)?;
        stream.write_all(&rest)?;
        Ok(self.place.next() - from)
    }

    /// Sends as much as the socket takes at once; gives what is left of it.
    fn send_ready(&mut self, stream: &TcpStream, limit: u64) -> io::Result<Vec<u8>> {
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
        if self.place.needs_headers || !view.is_shared_from(from, self.in_step) {
            return Ok(self.encode_own(&state, &view, to));
        }
        if to == from {
            return Ok(Vec::new());
        }
        self.place.advance(&state, to);
        try_send(stream, &view, from, to)
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
fn try_send(stream: &TcpStream, view: &RtmpView, from: u64, to: u64) -> io::Result<Vec<u8>> {
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
