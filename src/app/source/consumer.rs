//! A player that is sent batches of a view: all of HTTP.

use std::cell::RefCell;
use std::rc::Rc;

use super::parcel::{Envelope, Terms};
use super::place::{MergedWrite, Place};
use super::positions::Parked;
use super::recipient::Recipient;
use super::view::{Batch, Batches};
use crate::app::stream::Stream;

/// Bytes of one batch at most, unless a single message is larger.
const BATCH_BYTES: usize = 128 << 10;

/// How batches get to a player.
pub struct Way<'w> {
    /// Its connection.
    pub stream: &'w Rc<Stream>,
    /// What the connection wants around a batch.
    pub envelope: Envelope,
    /// When one is due.
    pub merged: MergedWrite,
    /// Its coroutine.
    pub recipient: &'w Rc<Recipient>,
}

/// One player of one source.
pub struct Consumer<V: Batches> {
    /// Where it is.
    pub place: Place,
    /// What its view keeps for it.
    pub(super) player: V::Player,
    pub(super) view: Rc<RefCell<V>>,
}

impl<V: Batches> Consumer<V> {
    /// Takes a place in the view of this key.
    pub(super) fn at(place: Place, key: V::Key, player: V::Player) -> Self {
        let view = place.source().view(key, place.next());
        Consumer { place, player, view }
    }

    /// Appends the next batch to `out`, maybe no bytes. Gives how many messages it took or passed over.
    pub fn take_batch(&mut self, out: &mut Vec<u8>) -> u64 {
        if self.place.jump_if_lost() {
            V::jump(&mut self.player, &self.place);
        }
        let source = self.place.source().clone();
        let state = source.state();
        let mut view = self.view.borrow_mut();
        view.extend(&state.journal);
        let next = self.place.next();
        let from = view.enter(&mut self.player, next);
        let stop = view.stop(&self.player, from).max(next);
        let to = view.encoded().batch_end(from, BATCH_BYTES).min(stop);
        let batch = Batch {
            state: &state,
            from,
            to,
            base: (to > next).then(|| self.place.advance(&state, to)),
        };
        view.write(&mut self.player, &mut self.place, &batch, out);
        to - next
    }

    /// What the courier needs to send for it; none while it has had nothing, or its bytes are its own.
    pub fn parked(&self, way: &Way<'_>) -> Option<Parked>
    where
        V: 'static,
    {
        let terms = V::terms(&self.player, &self.place)?;
        Some(Parked {
            stream: way.stream.clone(),
            packer: self.view.clone(),
            terms: Terms {
                envelope: way.envelope,
                ..terms
            },
            base: self.place.base()?,
            merged: way.merged,
            stays: false,
            recipient: way.recipient.clone(),
        })
    }

    /// Appends what the view holds back, once all messages are taken and the stream has ended.
    pub fn finish(&self, out: &mut Vec<u8>) {
        let view = self.view.borrow();
        if self.place.next() == view.encoded().end() {
            view.finish(&self.player, out);
        }
    }
}
