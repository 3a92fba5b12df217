//! A player's place in a stream: a cursor into the journal, its own timeline, and whether it has what it starts with.
//! What it is sent, and how that is encoded, is the matter of its consumer.

use std::rc::Rc;
use std::time::Duration;

use super::cursor::Cursor;
use super::source::{Source, State};
use super::waiters::{Target, Waiter};
use crate::app::config::section::play::TimeJitter;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine;

/// Time between the last message before a gap and the first one after it on a corrected timeline, ms.
const GAP_MS: i64 = 10;

/// When a player is sent what has come in: `mw_msgs` and `mw_latency`.
#[derive(Clone, Copy, Debug)]
pub struct MergedWrite {
    /// More messages than this must wait.
    pub messages: u32,
    /// They must span more than this.
    pub latency: Duration,
}

/// One player's place; leaves the source when dropped.
pub struct Place {
    source: Rc<Source>,
    cursor: Rc<Cursor>,
    waiter: Rc<Waiter>,
    /// The source's clock at the player's time 0, ms; unknown until its first message.
    base: Option<i64>,
    /// The player's time after a gap, ms.
    resume_at: i64,
    /// The source's clock of the last message taken, ms.
    taken_clock: Option<i64>,
    /// Headers must go out before the next message.
    pub needs_headers: bool,
    dropped: u64,
}

impl Place {
    /// Joins the source at its newest keyframe, for the running coroutine.
    pub fn join(source: &Rc<Source>) -> Self {
        Place::join_at(source, source.start_number())
    }

    /// Joins the source with message `number`, for the running coroutine.
    pub fn join_at(source: &Rc<Source>, number: u64) -> Self {
        Self::join_with(source, number, Waiter::new())
    }

    /// Joins the source with message `number`; `waiter` is who learns that a batch is due.
    pub fn join_with(source: &Rc<Source>, number: u64, waiter: Rc<Waiter>) -> Self {
        Self::join_as(source, Cursor::at(number), waiter)
    }

    /// Joins the source where `cursor` stands; `waiter` is who learns that a batch is due.
    pub fn join_as(source: &Rc<Source>, cursor: Cursor, waiter: Rc<Waiter>) -> Self {
        let cursor = Rc::new(cursor);
        source.add_cursor(&cursor);
        Place {
            source: source.clone(),
            cursor,
            waiter,
            base: None,
            resume_at: 0,
            taken_clock: None,
            needs_headers: true,
            dropped: 0,
        }
    }

    /// The source.
    pub fn source(&self) -> &Rc<Source> {
        &self.source
    }

    /// The next message to send.
    pub fn next(&self) -> u64 {
        self.cursor.next.get()
    }

    /// Messages that were passed over because the player was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Where the player's time goes on since it jumped, ms; none while it runs on from its zero.
    pub fn resumes_at(&self) -> Option<i64> {
        self.base.is_none().then_some(self.resume_at)
    }

    /// Milliseconds of media taken, on the player's timeline.
    pub fn taken_ms(&self) -> i64 {
        match (self.base, self.taken_clock) {
            (Some(base), Some(clock)) => (clock - base).max(0),
            _ => 0,
        }
    }

    /// Notes that messages `next..to` go out, and gives the source's clock at the player's time 0.
    pub fn advance(&mut self, state: &State, to: u64) -> i64 {
        let from = self.next();
        let jitter = state.clock.jitter();
        let resume_at = self.resume_at;
        let base = *self.base.get_or_insert_with(|| match jitter {
            TimeJitter::Off => 0,
            TimeJitter::Full | TimeJitter::Zero => state.earliest_clock(from, to) - resume_at,
        });
        if let Some(last) = to.checked_sub(1).and_then(|last| state.journal.get(last)) {
            self.taken_clock = Some(last.clock);
        }
        self.cursor.next.set(to);
        base
    }

    /// The time of headers that go out before messages `from..to`, on the player's timeline, ms.
    pub fn header_time(&self, state: &State, from: u64, to: u64) -> u32 {
        let clock = state.earliest_clock(from, to);
        match (state.clock.jitter(), self.base) {
            (TimeJitter::Off, _) => clock as u32,
            (_, Some(base)) => (clock - base).max(0) as u32,
            (_, None) => self.resume_at as u32,
        }
    }

    /// Goes on at the newest keyframe if the source no longer has what would come next; gives whether it did.
    pub fn jump_if_lost(&mut self) -> bool {
        if self.next() >= self.source.state().journal.first() {
            return false;
        }
        let start = self.source.start_number();
        self.dropped += start - self.next();
        self.cursor.next.set(start);
        self.needs_headers = true;
        if self.source.state().clock.jitter() == TimeJitter::Full && self.taken_clock.is_some() {
            self.resume_at = self.taken_ms() + GAP_MS;
            self.base = None;
        }
        true
    }

    /// How much media waits for the player.
    pub fn waiting(&self) -> Duration {
        let state = self.source.state();
        let oldest = state.journal.from(self.next()).next().map(|(_, entry)| entry.clock);
        let span = oldest.map_or(0, |oldest| state.clock.now() - oldest);
        Duration::from_millis(span.try_into().unwrap_or(0))
    }

    /// Whether a batch is due.
    pub fn is_due(&self, merged: MergedWrite) -> bool {
        let state = self.source.state();
        let end = state.journal.end();
        if self.next() >= end {
            return false;
        }
        let target = self.target(merged);
        let clock = state.clock.now();
        end > target.number && (clock > target.clock || self.taken_clock.is_none_or(|taken| clock < taken))
    }

    /// All players of a source share the boundaries of its timeline at which batches are due: sending to many in one go
    /// costs less than sending to each at its own moment.
    fn target(&self, merged: MergedWrite) -> Target {
        let latency = i64::try_from(merged.latency.as_millis()).unwrap_or(i64::MAX);
        match self.taken_clock {
            Some(taken) if latency > 0 => Target {
                clock: taken.div_euclid(latency).saturating_add(1).saturating_mul(latency),
                number: self.next() + u64::from(merged.messages),
            },
            _ => Target {
                clock: i64::MIN,
                number: self.next(),
            },
        }
    }

    /// Asks to be told once when a batch is due.
    pub fn enter(&self, merged: MergedWrite) {
        self.source.state_mut().waiters.enter(&self.waiter, self.target(merged));
    }

    /// Waits until a batch is due, the peer sent something, or `deadline`. Yields.
    pub fn wait(&self, merged: MergedWrite, stream: &Stream, deadline: Moment) {
        if self.is_due(merged) || stream.is_readable() {
            return;
        }
        self.enter(merged);
        stream.watch_readable(coroutine::Waker::current());
        coroutine::park(deadline);
        stream.forget_reader();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.source.remove_cursor(&self.cursor);
    }
}
