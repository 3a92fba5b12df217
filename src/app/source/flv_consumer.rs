//! A player that takes FLV tags: HTTP-FLV, FLV over WebSocket.

use std::cell::RefCell;
use std::rc::Rc;

use super::flv_view::{FlvView, encode_tag};
use super::place::Place;
use super::source::Source;
use crate::kernel::flv::mux::rebase_timestamps;
use crate::kernel::frame::Kind;

/// Bytes of one batch at most, unless a single message is larger.
const BATCH_BYTES: usize = 128 << 10;

/// Which tracks a stream has, or a player wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tracks {
    /// Sound.
    pub audio: bool,
    /// Pictures.
    pub video: bool,
}

/// One player of one source.
pub struct FlvConsumer {
    /// Where it is.
    pub place: Place,
    view: Rc<RefCell<FlvView>>,
    wanted: Tracks,
}

impl FlvConsumer {
    /// Joins the source: what comes next is the stream's metadata, its sequence headers and its newest GOP.
    pub fn join(source: &Rc<Source>) -> Self {
        let place = Place::join(source);
        FlvConsumer {
            view: source.flv_view(place.next()),
            place,
            wanted: Tracks {
                audio: true,
                video: true,
            },
        }
    }

    /// Leaves out messages of the tracks that are not wanted.
    pub fn set_wanted(&mut self, wanted: Tracks) {
        self.wanted = wanted;
    }

    /// The tracks that the stream has, as far as its headers and what waits for this player tell; `None` while there
    /// is neither. A track whose header alone is there, while frames of the other one come, is counted out.
    pub fn guess_tracks(&self) -> Option<Tracks> {
        let state = self.place.source().state();
        let mut headers = Tracks {
            audio: false,
            video: false,
        };
        let mut frames = headers;
        let waiting = state.journal.from(self.place.next()).map(|(_, entry)| &entry.frame);
        for frame in state.start_headers(u64::MAX).map(|entry| &entry.frame).chain(waiting) {
            let seen = if frame.facts.sequence_header {
                &mut headers
            } else {
                &mut frames
            };
            match frame.kind {
                Kind::Audio => seen.audio = true,
                Kind::Video => seen.video = true,
                Kind::Data => {}
            }
        }
        let found = if frames.audio || frames.video { frames } else { headers };
        (found.audio || found.video).then_some(found)
    }

    /// Appends the next batch to `out`: tags on the player's timeline, after headers where it needs them. Gives how
    /// many messages it took.
    pub fn take_batch(&mut self, out: &mut Vec<u8>) -> u64 {
        self.place.jump_if_lost();
        let source = self.place.source().clone();
        let state = source.state();
        let view = self.view.clone();
        let mut view = view.borrow_mut();
        view.extend(&state.journal);
        let from = self.place.next();
        let to = view.encoded.batch_end(from, BATCH_BYTES);
        let base = (to > from).then(|| self.place.advance(&state, to));
        if self.place.needs_headers {
            let before = out.len();
            let time = self.place.header_time(&state, from, to);
            for header in state.start_headers(from).filter(|header| self.wants(header.frame.kind)) {
                encode_tag(out, header, time);
            }
            self.place.needs_headers = base.is_none() && out.len() == before;
        }
        if let Some(base) = base {
            let begin = out.len();
            self.copy(&view, from, to, out);
            rebase_timestamps(&mut out[begin..], base as u32);
        }
        to - from
    }

    fn copy(&self, view: &FlvView, from: u64, to: u64, out: &mut Vec<u8>) {
        if self.wanted.audio && self.wanted.video {
            return view.encoded.copy(from, to, out);
        }
        for number in from..to {
            if view.encoded.mark(number).is_some_and(|kind| self.wants(*kind)) {
                view.encoded.copy(number, number + 1, out);
            }
        }
    }

    fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::Audio => self.wanted.audio,
            Kind::Video => self.wanted.video,
            Kind::Data => true,
        }
    }
}
