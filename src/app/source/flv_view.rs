//! The FLV view: the journal as FLV tags, once for all players. Their timestamps are the source's clock; each player
//! copies a batch and takes its own zero off.

use std::rc::Rc;

use super::consumer::Consumer;
use super::encoded::Encoded;
use super::journal::Entry;
use super::parcel::{Parcel, Terms};
use super::place::Place;
use super::source::{Source, State};
use super::tracks::Tracks;
use super::view::{Batch, Batches, View, ViewList, Views};
use crate::kernel::flv::mux::{TAG_OVERHEAD_BYTES, TimestampFields, put_tag, rebase_timestamps};
use crate::kernel::frame::Kind;

/// A player that takes FLV tags: HTTP-FLV, FLV over WebSocket.
pub type FlvConsumer = Consumer<FlvView>;

impl FlvConsumer {
    /// Joins the source: what comes next is the stream's metadata, its sequence headers and its newest GOP.
    pub fn join(source: &Rc<Source>) -> Self {
        Consumer::at(Place::join(source), (), Tracks::BOTH)
    }

    /// Leaves out messages of the tracks that are not wanted.
    pub fn set_wanted(&mut self, wanted: Tracks) {
        self.player = wanted;
    }
}

/// The journal as tags, from the message on that the first player started with.
#[derive(Debug)]
pub struct FlvView {
    /// Tags with the source's clock; of each message, its kind.
    encoded: Encoded<Kind>,
}

impl View for FlvView {
    type Key = ();
    type Mark = Kind;

    fn begin(_: (), first: u64, _: &State) -> Self {
        FlvView {
            encoded: Encoded::new(first),
        }
    }

    fn key(&self) {}

    fn encoded(&self) -> &Encoded<Kind> {
        &self.encoded
    }

    fn encoded_mut(&mut self) -> &mut Encoded<Kind> {
        &mut self.encoded
    }

    fn list(views: &Views) -> &ViewList<Self> {
        &views.flv
    }
}

impl Batches for FlvView {
    /// The tracks that it wants.
    type Player = Tracks;

    fn append(&mut self, entry: &Entry) {
        let room = entry.frame.payload.len() + TAG_OVERHEAD_BYTES;
        // Players' clocks count modulo 2^32.
        self.encoded
            .push(entry.frame.kind, room, |out| put_entry(out, entry, entry.clock as u32));
    }

    fn write(&self, wanted: &mut Tracks, place: &mut Place, batch: &Batch<'_>, out: &mut Vec<u8>) {
        if place.needs_headers {
            let before = out.len();
            let time = place.header_time(batch.state, batch.from, batch.to);
            let headers = batch.state.start_headers(batch.from);
            for header in headers.filter(|header| wanted.have(header.frame.kind)) {
                put_entry(out, header, time);
            }
            place.needs_headers = batch.base.is_none() && out.len() == before;
        }
        if let Some(base) = batch.base {
            let begin = out.len();
            self.copy(*wanted, batch.from, batch.to, out);
            rebase_timestamps(&mut out[begin..], base as u32);
        }
    }

    fn terms(wanted: &Tracks, place: &Place) -> Option<Terms> {
        let has_begun = place.base().is_some() && !place.needs_headers;
        has_begun.then(|| Terms {
            wanted: *wanted,
            ..Terms::default()
        })
    }

    fn fill(&self, parcel: &mut Parcel) {
        self.copy(parcel.terms.wanted, parcel.from, parcel.to, &mut parcel.bytes);
        parcel.times = Some(TimestampFields::find(&parcel.bytes));
    }
}

impl FlvView {
    fn copy(&self, wanted: Tracks, from: u64, to: u64, out: &mut Vec<u8>) {
        if wanted == Tracks::BOTH {
            return self.encoded.copy(from, to, out);
        }
        for number in from..to {
            if self.encoded.mark(number).is_some_and(|kind| wanted.have(*kind)) {
                self.encoded.copy(number, number + 1, out);
            }
        }
    }
}

/// Appends a message as a tag with this timestamp, ms.
fn put_entry(out: &mut Vec<u8>, entry: &Entry, timestamp: u32) {
    let frame = &entry.frame;
    // RTMP bounds a message as FLV bounds a tag, so it fits; one that did not would be left out whole.
    let _ = put_tag(out, frame.kind, timestamp, &frame.payload);
}
