//! The TS view: the journal as transport packets, once for all players. Their times are the source's clock: a transport
//! stream may begin at any.

use std::rc::Rc;

use super::consumer::Consumer;
use super::encoded::Encoded;
use super::journal::Entry;
use super::parcel::Terms;
use super::place::Place;
use super::source::{Source, State};
use super::view::{Batch, Batches, View, ViewList, Views};
use crate::kernel::codec::{AudioCodec, Codec};
use crate::kernel::ts::{Muxer, MuxerOptions};

/// A player that takes transport packets: HTTP-TS.
pub type TsConsumer = Consumer<TsView>;

impl TsConsumer {
    /// Joins the source: what comes next is the program's tables and the newest GOP.
    pub fn join(source: &Rc<Source>) -> Self {
        Consumer::at(Place::join(source), (), Entrance::default())
    }
}

/// How a player comes in.
#[derive(Clone, Copy, Default, Debug)]
pub struct Entrance {
    /// It has had tables since its place last jumped.
    has_entered: bool,
    /// Bytes of its first message that come before the tables.
    skip: usize,
}

/// The journal as packets, from some message on.
#[derive(Debug)]
pub struct TsView {
    /// Packets; of each message, where in its bytes tables stand that a player may enter at.
    encoded: Encoded<Option<usize>>,
    muxer: Muxer,
    scratch: Vec<u8>,
}

impl View for TsView {
    type Key = ();
    type Mark = Option<usize>;

    fn begin(_: (), first: u64, state: &State) -> Self {
        let mut view = TsView {
            encoded: Encoded::new(first),
            muxer: Muxer::new(MuxerOptions {
                audio: headerless_sound(state),
                ..MuxerOptions::default()
            }),
            scratch: Vec::new(),
        };
        for header in state.start_headers(first) {
            view.encode(header, &mut Vec::new());
        }
        view
    }

    fn key(&self) {}

    fn encoded(&self) -> &Encoded<Option<usize>> {
        &self.encoded
    }

    fn encoded_mut(&mut self) -> &mut Encoded<Option<usize>> {
        &mut self.encoded
    }

    fn list(views: &Views) -> &ViewList<Self> {
        &views.ts
    }
}

impl Batches for TsView {
    type Player = Entrance;

    fn append(&mut self, entry: &Entry) {
        let mut packets = std::mem::take(&mut self.scratch);
        packets.clear();
        let enter = self.encode(entry, &mut packets);
        self.encoded
            .push(enter, packets.len(), |out| out.extend_from_slice(&packets));
        self.scratch = packets;
    }

    fn jump(player: &mut Entrance, _: &Place) {
        player.has_entered = false;
    }

    fn enter(&self, player: &mut Entrance, next: u64) -> u64 {
        if player.has_entered {
            return next;
        }
        let end = self.encoded.end();
        let mut entries = (next..end).filter_map(|number| Some((number, (*self.encoded.mark(number)?)?)));
        let (from, skip) = entries.next().unwrap_or((end, 0));
        player.skip = skip;
        from
    }

    fn write(&self, player: &mut Entrance, _: &mut Place, batch: &Batch<'_>, out: &mut Vec<u8>) {
        if batch.to == batch.from {
            return;
        }
        player.has_entered = true;
        let begin = out.len();
        self.encoded.copy(batch.from, batch.to, out);
        let skip = std::mem::take(&mut player.skip);
        out.drain(begin..(begin + skip).min(out.len()));
    }

    fn terms(player: &Entrance, _: &Place) -> Option<Terms> {
        (player.has_entered && player.skip == 0).then(Terms::default)
    }

    fn finish(&self, player: &Entrance, out: &mut Vec<u8>) {
        if player.has_entered {
            let _ = self.muxer.clone().flush(out);
        }
    }
}

impl TsView {
    fn encode(&mut self, entry: &Entry, packets: &mut Vec<u8>) -> Option<usize> {
        let mut frame = entry.frame.clone();
        // The muxer's clock counts modulo 2^32 as well.
        frame.timestamp = entry.clock as u32;
        match self.muxer.write(&frame, packets) {
            Ok(written) => written.entry,
            Err(error) => {
                log::debug!("message is left out of TS: {}", error.summary());
                None
            }
        }
    }
}

/// MP3, if that is the stream's newest sound: it has no sequence header, so only the journal tells. The first tables are
/// then right, though pictures come first.
fn headerless_sound(state: &State) -> Option<AudioCodec> {
    let sounds = state
        .journal
        .from(0)
        .filter_map(|(_, entry)| match entry.frame.facts.codec {
            Some(Codec::Audio(codec)) => Some(codec),
            _ => None,
        });
    sounds.last().filter(|codec| *codec == AudioCodec::Mp3)
}
