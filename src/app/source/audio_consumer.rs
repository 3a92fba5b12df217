//! A player that takes bare sound: HTTP-AAC and HTTP-MP3.

use std::cell::RefCell;
use std::rc::Rc;

use super::audio_view::AudioView;
use super::place::Place;
use super::source::Source;
use crate::kernel::codec::AudioCodec;

/// Bytes of one batch at most, unless a single message is larger.
const BATCH_BYTES: usize = 128 << 10;

/// One player of one source.
pub struct AudioConsumer {
    /// Where it is.
    pub place: Place,
    view: Rc<RefCell<AudioView>>,
}

impl AudioConsumer {
    /// Joins the source at the oldest sound that it keeps for new players.
    pub fn join(source: &Rc<Source>, codec: AudioCodec) -> Self {
        let place = Place::join_at(source, source.sound_start_number());
        AudioConsumer {
            view: source.audio_view(codec, place.next()),
            place,
        }
    }

    /// Appends the next batch to `out`, maybe no bytes. Gives how many messages it took.
    pub fn take_batch(&mut self, out: &mut Vec<u8>) -> u64 {
        self.place.jump_if_lost();
        let source = self.place.source().clone();
        let state = source.state();
        let view = self.view.clone();
        let mut view = view.borrow_mut();
        view.extend(&state.journal);
        let from = self.place.next();
        let to = view.encoded.batch_end(from, BATCH_BYTES);
        if to > from {
            self.place.advance(&state, to);
            view.encoded.copy(from, to, out);
        }
        to - from
    }
}
