//! The MP4 view: the journal as fragments of MP4, once for all players. Their times are the source's clock; each player
//! copies a batch and takes its own zero off.
//!
//! A player has one initialisation segment for as long as it plays: it ends where the stream's codec parameters change,
//! as no player takes another `moov` in the same response.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::consumer::Consumer;
use super::encoded::Encoded;
use super::journal::Entry;
use super::place::Place;
use super::source::{Source, State};
use super::tracks::Tracks;
use super::view::{Batch, Batches, View, ViewList, Views};
use crate::app::config::section::play::TimeJitter;
use crate::kernel::mp4::fragment;
use crate::kernel::mp4::movie::VIDEO_TRACK;
use crate::kernel::mp4::{Fragment, Muxer, MuxerOptions};

/// The longest fragment: with more the head of a fragment hardly gets smaller, see `benches/mp4_overhead.rs`.
const LONGEST_PART: Duration = Duration::from_millis(200);
/// Initialisation segments that players who come late may still need.
const KEPT_INITS: usize = 4;

/// A player that takes fragmented MP4: HTTP-MP4.
pub type Mp4Consumer = Consumer<Mp4View>;

impl Mp4Consumer {
    /// Joins the source; nothing comes before [`Mp4Consumer::set_tracks`].
    pub fn join(source: &Rc<Source>) -> Self {
        // A player of `mw_latency` is sent no sooner anyway. At most 200.
        let part_ms = source.play().mw_latency.min(LONGEST_PART).as_millis() as u32;
        Consumer::at(Place::join(source), (Tracks::NONE, part_ms), Seat::default())
    }

    /// Tells which tracks the stream has: what comes next is their initialisation segment and the newest GOP.
    pub fn set_tracks(&mut self, tracks: Tracks) {
        let (_, part_ms) = self.view.borrow().key;
        self.view = self.place.source().view((tracks, part_ms), self.place.next());
    }

    /// Whether nothing follows: the stream's codec parameters changed.
    pub fn is_over(&self) -> bool {
        self.player.is_over
    }
}

/// What is kept for a player.
#[derive(Clone, Copy, Default, Debug)]
pub struct Seat {
    /// The number of its initialisation segment; 0 before that is known.
    init: u32,
    /// It has had that segment.
    has_init: bool,
    /// It has had an independent fragment since its place last jumped.
    has_entered: bool,
    /// The muxer's time at the player's zero, milliseconds.
    zero: Option<i64>,
    /// The player's time of the next fragment, where that is not told by its zero; milliseconds.
    resume_at: i64,
    is_over: bool,
}

/// The journal as fragments, from some message on. A fragment stands with the message that ends it.
#[derive(Debug)]
pub struct Mp4View {
    encoded: Encoded<Option<Fragment>>,
    key: (Tracks, u32),
    muxer: Muxer,
    inits: VecDeque<Init>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Init {
    number: u32,
    segment: Vec<u8>,
    sample_rate: u32,
}

impl View for Mp4View {
    /// The tracks, and how long fragments are in milliseconds.
    type Key = (Tracks, u32);
    type Mark = Option<Fragment>;

    fn begin(key: (Tracks, u32), first: u64, state: &State) -> Self {
        let (tracks, part_ms) = key;
        let mut muxer = Muxer::new(MuxerOptions {
            audio: tracks.audio,
            video: tracks.video,
            part_ms,
            segment_type: false,
        });
        let waiting = state.journal.from(first).map(|(_, entry)| entry);
        for (index, entry) in state.start_headers(first).chain(waiting).enumerate() {
            // All headers; of the messages, as many as tell of each track how it is coded.
            if muxer.is_configured() && index >= state.start_headers(first).count() {
                break;
            }
            // The error comes again when it is written.
            let _ = muxer.prime(&entry.frame);
        }
        Mp4View {
            encoded: Encoded::new(first),
            key,
            muxer,
            inits: VecDeque::new(),
            scratch: Vec::new(),
        }
    }

    fn key(&self) -> (Tracks, u32) {
        self.key
    }

    fn encoded(&self) -> &Encoded<Option<Fragment>> {
        &self.encoded
    }

    fn encoded_mut(&mut self) -> &mut Encoded<Option<Fragment>> {
        &mut self.encoded
    }

    fn list(views: &Views) -> &ViewList<Self> {
        &views.mp4
    }
}

impl Batches for Mp4View {
    type Player = Seat;

    fn append(&mut self, entry: &Entry) {
        let mut frame = entry.frame.clone();
        // The muxer's clock counts modulo 2^32 as well.
        frame.timestamp = entry.clock as u32;
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        let fragment = self.muxer.write(&frame, &mut bytes).unwrap_or_else(|error| {
            log::debug!("message is left out of MP4: {}", error.summary());
            None
        });
        if let Some(fragment) = fragment {
            self.keep_init(fragment.init);
        }
        self.encoded
            .push(fragment, bytes.len(), |out| out.extend_from_slice(&bytes));
        self.scratch = bytes;
    }

    fn jump(seat: &mut Seat, place: &Place) {
        seat.has_entered = false;
        if let Some(resume_at) = place.resumes_at() {
            seat.resume_at = resume_at;
            seat.zero = None;
        }
    }

    fn enter(&self, seat: &mut Seat, next: u64) -> u64 {
        if seat.has_entered || seat.is_over {
            return next;
        }
        let end = self.encoded.end();
        let mut entries = (next..end).filter(|number| self.fragment(*number).is_some_and(|found| found.independent));
        let Some(entry) = entries.next() else {
            return end;
        };
        let init = self.fragment(entry).map_or(0, |found| found.init);
        if seat.init == 0 {
            seat.init = init;
        } else if seat.init != init {
            seat.is_over = true;
            return next;
        }
        entry
    }

    fn stop(&self, seat: &Seat, from: u64) -> u64 {
        if seat.is_over {
            return from;
        }
        let others = |number: &u64| self.fragment(*number).is_some_and(|found| found.init != seat.init);
        (from..self.encoded.end()).find(others).unwrap_or(u64::MAX)
    }

    fn write(&self, seat: &mut Seat, _: &mut Place, batch: &Batch<'_>, out: &mut Vec<u8>) {
        let begin = out.len();
        if batch.to > batch.from && !seat.has_entered {
            let Some((entry, init)) = self.entry(batch.from) else {
                seat.is_over = true;
                return;
            };
            if !seat.has_init {
                out.extend_from_slice(&init.segment);
                seat.has_init = true;
            }
            seat.has_entered = true;
            seat.zero.get_or_insert(match batch.state.clock.jitter() {
                TimeJitter::Off => batch.state.clock.publisher_zero(),
                TimeJitter::Full | TimeJitter::Zero => entry.start_ms - seat.resume_at,
            });
        }
        self.encoded.copy(batch.from, batch.to, out);
        self.take_zero_off(seat, out.get_mut(begin..).unwrap_or_default());
        let behind = self.fragment(batch.to);
        seat.is_over |= seat.init != 0 && behind.is_some_and(|behind| behind.init != seat.init);
    }

    fn finish(&self, seat: &Seat, out: &mut Vec<u8>) {
        let begin = out.len();
        let fragment = self.muxer.clone().flush(out);
        if !seat.has_entered || fragment.is_none_or(|fragment| fragment.init != seat.init) {
            return out.truncate(begin);
        }
        self.take_zero_off(seat, out.get_mut(begin..).unwrap_or_default());
    }
}

impl Mp4View {
    fn fragment(&self, number: u64) -> Option<&Fragment> {
        self.encoded.mark(number)?.as_ref()
    }

    fn entry(&self, number: u64) -> Option<(&Fragment, &Init)> {
        let entry = self.fragment(number)?;
        let init = self.inits.iter().find(|init| init.number == entry.init)?;
        Some((entry, init))
    }

    fn keep_init(&mut self, number: u32) {
        if self.inits.back().is_some_and(|newest| newest.number == number) {
            return;
        }
        let mut segment = Vec::new();
        self.muxer.init(&mut segment);
        let sound = self.muxer.tracks().iter().find(|track| !track.is_video());
        self.inits.push_back(Init {
            number,
            segment,
            sample_rate: sound.map_or(1, |track| track.timescale),
        });
        if self.inits.len() > KEPT_INITS {
            self.inits.pop_front();
        }
    }

    fn take_zero_off(&self, seat: &Seat, bytes: &mut [u8]) {
        let Some(zero) = seat.zero else { return };
        let init = self.inits.iter().find(|init| init.number == seat.init);
        let rate = init.map_or(1, |init| i64::from(init.sample_rate));
        fragment::shift(bytes, |track| match track {
            VIDEO_TRACK => zero.saturating_mul(90),
            _ => zero.saturating_mul(rate) / 1000,
        });
    }
}
