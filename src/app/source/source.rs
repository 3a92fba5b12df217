//! One stream: who publishes it, what it starts with, and the journal that its consumers read.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::clock::Clock;
use super::courier::Courier;
use super::gop::GopTracker;
use super::journal::{Entry, Journal};
use super::mix::MixQueue;
use super::positions::Positions;
use super::view::{View, Views};
use super::waiters::Waiters;
use crate::app::config::section::play::{Play, TimeJitter};
use crate::core::clock::Moment;
use crate::core::id::ContextId;
use crate::core::limits::{SOURCE_GOP_BYTES, SOURCE_HEADERS, SOURCE_JOURNAL_BYTES};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};

/// Messages between two looks at which of the old ones are still needed.
const TRIM_EVERY: u64 = 32;
/// So many bytes make a batch due before its time: were they not sent, those that follow would push them out.
const PRESSING_BYTES: usize = SOURCE_JOURNAL_BYTES / 4;

/// A stream by its URL key; lives in the table as long as somebody uses it.
pub struct Source {
    url: String,
    vhost: String,
    state: RefCell<State>,
    play: RefCell<Rc<Play>>,
    publisher: Cell<Option<ContextId>>,
    /// Where the newest publication ended.
    last_message: RefCell<Rc<PublicationEnd>>,
    positions: RefCell<Positions>,
    views: Views,
    courier: Rc<Courier>,
    /// When a publisher came, or the last publisher or consumer left.
    idle_since: Cell<Moment>,
    published: Cell<u64>,
    /// How much sound is kept for players to come.
    kept_sound: Cell<Duration>,
}

/// What a message changes.
pub struct State {
    pub(super) journal: Journal,
    pub(super) clock: Clock,
    pub(super) waiters: Waiters,
    gop: GopTracker,
    mix: Option<MixQueue>,
    /// The publication's metadata asks for `atc`.
    wants_atc: bool,
    /// The first message of this publication.
    begin: u64,
    /// What is before this message is due, whatever the time.
    pressing: u64,
    /// What the messages from there on cost.
    since_pressing: usize,
    metadata: Option<Header>,
    /// The newest sequence header, and the newest presentation header, of each track of each kind.
    headers: Vec<Header>,
}

/// A message that new players need, and its number in the journal.
struct Header {
    number: u64,
    entry: Entry,
}

impl State {
    /// What a player that begins with message `from` has missed: metadata, then the headers of all tracks.
    pub(super) fn start_headers(&self, from: u64) -> impl Iterator<Item = &Entry> {
        let known = self.metadata.iter().chain(&self.headers);
        known
            .filter(move |header| header.number < from)
            .map(|header| &header.entry)
    }

    /// The earliest clock of audio and video in `from..to`: the player's time 0.
    pub(super) fn earliest_clock(&self, from: u64, to: u64) -> i64 {
        let batch = self.journal.from(from).take((to - from) as usize);
        let media = batch.filter(|(_, entry)| entry.frame.kind != Kind::Data && !entry.frame.facts.sequence_header);
        media.map(|(_, entry)| entry.clock).min().unwrap_or(self.clock.now())
    }
}

impl Source {
    /// A stream that nobody publishes yet.
    pub fn new(url: String, vhost: String, play: Rc<Play>) -> Rc<Self> {
        let state = State {
            journal: Journal::default(),
            clock: Clock::new(effective_jitter(&play, play.atc)),
            waiters: Waiters::default(),
            gop: GopTracker::default(),
            mix: play.mix_correct.then(MixQueue::default),
            wants_atc: false,
            begin: 0,
            pressing: 0,
            since_pressing: 0,
            metadata: None,
            headers: Vec::new(),
        };
        Rc::new(Source {
            url,
            vhost,
            state: RefCell::new(state),
            play: RefCell::new(play),
            publisher: Cell::new(None),
            last_message: RefCell::default(),
            positions: RefCell::default(),
            views: Views::default(),
            courier: Rc::default(),
            idle_since: Cell::new(Moment::now()),
            published: Cell::new(0),
            kept_sound: Cell::new(Duration::ZERO),
        })
    }

    /// The stream's key: `[vhost]/app/stream`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name of the vhost whose settings are in force.
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// The context id of the connection that publishes.
    pub fn publisher(&self) -> Option<ContextId> {
        self.publisher.get()
    }

    /// How many play.
    pub fn consumer_count(&self) -> usize {
        self.positions.borrow().players()
    }

    /// Messages in the GOP cache, for logs.
    pub fn gop_messages(&self) -> u64 {
        let state = self.state.borrow();
        state.gop.start().map_or(0, |start| state.journal.end() - start)
    }

    /// Since when nobody has used it; `None` while somebody does.
    pub fn idle_since(&self) -> Option<Moment> {
        let used = self.publisher.get().is_some() || self.consumer_count() > 0;
        (!used).then(|| self.idle_since.get())
    }

    /// Since when it has had no player, counted from the start of the publication at the earliest.
    pub fn unwatched_since(&self) -> Option<Moment> {
        (self.consumer_count() == 0).then(|| self.idle_since.get())
    }

    /// Takes the stream's settings from a new configuration; in force from the next message on.
    pub fn set_play(&self, play: Rc<Play>) {
        let mut state = self.state.borrow_mut();
        state.follow_atc(&play);
        match (play.mix_correct, &state.mix) {
            (true, None) => state.mix = Some(MixQueue::default()),
            (false, Some(_)) => {
                drop(state);
                self.drain_mix();
                self.state.borrow_mut().mix = None;
            }
            _ => {}
        }
        self.play.replace(play);
    }

    /// Keeps so much sound for players of AAC and MP3 to come.
    pub fn keep_sound(&self, span: Duration) {
        self.kept_sound.set(span);
    }

    /// Makes the running connection the stream's publisher until the result is dropped.
    ///
    /// # Errors
    /// [`ErrorCode::StreamBusy`] when another one publishes.
    pub fn publish(self: &Rc<Self>) -> Result<Publication> {
        if let Some(other) = self.publisher.get() {
            let text = format!("stream {} is busy, published by {other}", self.url);
            return Err(Error::new(ErrorCode::StreamBusy, text));
        }
        self.publisher.set(Some(ContextId::current()));
        self.last_message.take();
        self.idle_since.set(Moment::now());
        Ok(Publication { source: self.clone() })
    }

    pub(super) fn state(&self) -> Ref<'_, State> {
        self.state.borrow()
    }

    pub(super) fn state_mut(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Where a new consumer begins: at the newest keyframe, else with the next message.
    pub(super) fn start_number(&self) -> u64 {
        let state = self.state.borrow();
        let gop = state.gop.start().filter(|_| self.play.borrow().gop_cache);
        // While the cache was off, the GOP's beginning may have been forgotten.
        gop.filter(|start| *start >= state.journal.first())
            .unwrap_or(state.journal.end())
    }

    /// Where the running publication begins, and what will tell its end.
    pub(super) fn publication(&self) -> (u64, Rc<PublicationEnd>) {
        (self.state.borrow().begin, self.last_message.borrow().clone())
    }

    pub(super) fn courier(&self) -> &Rc<Courier> {
        &self.courier
    }

    /// The number that the next message will get.
    pub(super) fn end(&self) -> u64 {
        self.state.borrow().journal.end()
    }

    /// Has everybody sent what there is, full batch or not.
    pub(super) fn flush(&self) {
        self.state.borrow_mut().waiters.wake_all();
        self.courier.flush();
    }

    /// Where a new player of sound alone begins: with what is kept for it, else with the next message.
    pub(super) fn sound_start_number(&self) -> u64 {
        let state = self.state.borrow();
        let kept = self.kept_sound.get();
        if kept.is_zero() {
            return state.journal.end();
        }
        let span = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        state.journal.within(span).max(state.begin)
    }

    /// Whether the messages from `next` on are so many bytes that they are due at once.
    pub(super) fn presses(&self, next: u64) -> bool {
        next < self.state.borrow().pressing
    }

    /// The number that the next message will get, and the clock now, ms.
    pub(super) fn end_and_clock(&self) -> (u64, i64) {
        let state = self.state.borrow();
        (state.journal.end(), state.clock.now())
    }

    pub(super) fn positions(&self) -> Ref<'_, Positions> {
        self.positions.borrow()
    }

    pub(super) fn positions_mut(&self) -> RefMut<'_, Positions> {
        self.positions.borrow_mut()
    }

    /// Takes out the consumer with this position.
    pub(super) fn remove(&self, index: usize) {
        self.positions.borrow_mut().leave(index);
        if self.consumer_count() == 0 {
            // It ends with the last player.
            self.courier.wake();
        }
        self.idle_since.set(Moment::now());
    }

    /// The view of this kind and key that still has message `start`, made if there is none.
    pub(super) fn view<V: View>(&self, key: V::Key, start: u64) -> Rc<RefCell<V>> {
        V::list(&self.views).find_or_begin(key, start, &self.state.borrow())
    }

    /// How its players are sent to.
    pub(super) fn play(&self) -> Rc<Play> {
        self.play.borrow().clone()
    }

    fn ingest(&self, frame: Frame) {
        let mut state = self.state.borrow_mut();
        let Some(mix) = state.mix.as_mut().filter(|_| frame.kind != Kind::Data) else {
            self.append(&mut state, frame);
            return;
        };
        mix.push(frame);
        while let Some(frame) = state.mix.as_mut().and_then(MixQueue::pop) {
            self.append(&mut state, frame);
        }
    }

    fn drain_mix(&self) {
        let mut state = self.state.borrow_mut();
        while let Some(frame) = state.mix.as_mut().and_then(MixQueue::drain) {
            self.append(&mut state, frame);
        }
    }

    fn append(&self, state: &mut State, frame: Frame) {
        let play = self.play.borrow().clone();
        let before = state.clock.now();
        let clock = match frame.kind {
            // Metadata has no place of its own on the timeline.
            Kind::Data => before,
            Kind::Audio | Kind::Video => state.clock.stamp(frame.timestamp),
        };
        if !state.keep_header(&frame, clock, play.reduce_sequence_header) {
            return;
        }
        let number = state.journal.end();
        state.gop.follow(number, &frame, play.gop_cache_max_frames);
        let entry = Entry { frame, clock };
        let cost = entry.cost();
        state.journal.push(entry);
        if state.presses(cost) || clock < before - i64::from(u8::MAX) {
            state.waiters.wake_all();
            self.courier.flush();
        } else {
            let end = state.journal.end();
            state.waiters.reach(end, clock);
            self.courier.reach(end, clock);
        }
        if number.is_multiple_of(TRIM_EVERY) || state.journal.bytes() > SOURCE_JOURNAL_BYTES {
            self.trim(state, &play);
        }
    }

    /// Forgets what no consumer needs any more, or is too slow to get.
    fn trim(&self, state: &mut State, play: &Play) {
        if state
            .gop
            .start()
            .is_some_and(|start| state.journal.bytes_from(start) > SOURCE_GOP_BYTES)
        {
            state.gop.clear();
        }
        let mut keep = state.journal.end();
        if play.gop_cache
            && let Some(start) = state.gop.start()
        {
            keep = start;
        }
        let kept_sound = self.kept_sound.get();
        if !kept_sound.is_zero() {
            let span = i64::try_from(kept_sound.as_millis()).unwrap_or(i64::MAX);
            keep = keep.min(state.journal.within(span));
        }
        let slowest = self.positions.borrow().slowest();
        if let Some(slowest) = slowest.filter(|&slowest| slowest < keep) {
            let span = i64::try_from(play.queue_length.as_millis()).unwrap_or(i64::MAX);
            keep = slowest.max(state.journal.within(span)).min(keep);
        }
        state
            .journal
            .trim(keep.max(state.journal.within_bytes(SOURCE_JOURNAL_BYTES)));
        let keep = state.journal.first();
        self.views.trim(keep);
    }
}

impl State {
    /// Counts the newest message, which costs so much; gives whether all that is there becomes due by its bytes.
    fn presses(&mut self, cost: usize) -> bool {
        self.since_pressing += cost;
        let presses = self.since_pressing > PRESSING_BYTES;
        if presses {
            (self.pressing, self.since_pressing) = (self.journal.end(), 0);
        }
        presses
    }

    /// Corrects times as the settings and the metadata say, from the next message on.
    fn follow_atc(&mut self, play: &Play) {
        let is_untouched = play.atc || (play.atc_auto && self.wants_atc);
        self.clock.set_jitter(effective_jitter(play, is_untouched));
    }

    /// Remembers metadata and headers; gives whether players shall get this message.
    fn keep_header(&mut self, frame: &Frame, clock: i64, reduce: bool) -> bool {
        let number = self.journal.end();
        // Most messages are no headers: their payloads are not to be shared for nothing.
        let header = || Header {
            number,
            entry: Entry {
                frame: frame.clone(),
                clock,
            },
        };
        if frame.kind == Kind::Data {
            let is_kept = is_metadata(&frame.payload);
            if is_kept && reduce && self.metadata.is_some() {
                return false;
            }
            if is_kept {
                self.metadata = Some(header());
            }
            return true;
        }
        if !frame.facts.sequence_header && !frame.facts.presentation {
            return true;
        }
        let key = header_key(frame);
        let Some(known) = self
            .headers
            .iter_mut()
            .find(|known| header_key(&known.entry.frame) == key)
        else {
            if self.headers.len() < SOURCE_HEADERS {
                self.headers.push(header());
                // Audio before video, as players of old expect it.
                self.headers.sort_by_key(|known| header_key(&known.entry.frame));
            }
            return true;
        };
        let repeated = known.entry.frame.payload == frame.payload;
        if repeated && reduce {
            return false;
        }
        *known = header();
        if !repeated && frame.facts.is_video_sequence_header() {
            // Older pictures would be decoded with the wrong parameters.
            self.gop.clear();
        }
        true
    }
}

/// What tells apart the headers that a new player needs: kind, track, and sequence header before presentation.
fn header_key(frame: &Frame) -> (bool, u8, bool) {
    (frame.kind == Kind::Video, frame.facts.track, frame.facts.presentation)
}

/// Whether a data message's first value is the string `onMetaData`.
fn is_metadata(payload: &Bytes) -> bool {
    payload.starts_with(b"\x02\x00\x0aonMetaData")
}

/// `atc` means that players get the publisher's time untouched.
fn effective_jitter(play: &Play, atc: bool) -> TimeJitter {
    if atc { TimeJitter::Off } else { play.time_jitter }
}

/// The number of the message after a publication's last one, once it has ended.
pub(super) type PublicationEnd = Cell<Option<u64>>;

/// The right to publish a stream; dropping it ends the publication.
pub struct Publication {
    source: Rc<Source>,
}

impl Publication {
    /// Appends a message and wakes those who wait for it.
    pub fn push(&self, frame: Frame) {
        self.source.published.set(self.source.published.get() + 1);
        self.source.ingest(frame);
    }

    /// Turns `atc` on because the metadata says so (`bravo_atc`), if the vhost allows it with `atc_auto`.
    pub fn request_atc(&self) {
        let play = self.source.play.borrow().clone();
        let mut state = self.source.state.borrow_mut();
        state.wants_atc = true;
        state.follow_atc(&play);
    }

    /// The stream.
    pub fn source(&self) -> &Rc<Source> {
        &self.source
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        self.source.drain_mix();
        self.source.publisher.set(None);
        self.source.idle_since.set(Moment::now());
        let play = self.source.play.borrow().clone();
        let mut state = self.source.state.borrow_mut();
        state.gop.clear();
        state.begin = state.journal.end();
        self.source.last_message.borrow().set(Some(state.begin));
        state.wants_atc = false;
        state.follow_atc(&play);
        if !play.reduce_sequence_header {
            state.metadata = None;
            state.headers.clear();
        }
        state.waiters.wake_all();
        self.source.courier.end();
        self.source.trim(&mut state, &play);
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.url)
    }
}
