//! A player's place in a stream: a cursor into the journal, its own timeline, and whether it has what it starts with.
//! What it is sent, and how that is encoded, is the matter of its consumer.

use std::rc::Rc;
use std::time::Duration;

use super::courier::Courier;
use super::positions::{Parked, Role, Spot};
use super::source::{Source, State};
use super::waiters::Waiter;
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
    /// Of its position among those of the source.
    index: usize,
    waiter: Rc<Waiter>,
    /// The source's clock at the player's time 0, ms; unknown until its first message.
    base: Option<i64>,
    /// The player's time after a gap, ms.
    resume_at: i64,
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
        Self::join_as(source, Role::Player, number)
    }

    /// Joins the source with message `number`, for the running coroutine.
    pub fn join_as(source: &Rc<Source>, role: Role, number: u64) -> Self {
        Place {
            source: source.clone(),
            index: source.positions_mut().enter(role, number),
            waiter: Waiter::new(),
            base: None,
            resume_at: 0,
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
        self.spot().next
    }

    /// Messages taken so far.
    pub fn taken(&self) -> u64 {
        self.spot().taken
    }

    fn spot(&self) -> Spot {
        self.source.positions().spot(self.index)
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
        match (self.base, self.spot().taken_clock) {
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
            TimeJitter::Off => state.clock.publisher_zero(),
            TimeJitter::Full | TimeJitter::Zero => state.earliest_clock(from, to) - resume_at,
        });
        let last = to.checked_sub(1).and_then(|last| state.journal.get(last));
        let clock = last.map(|entry| entry.clock);
        self.source.positions_mut().at(self.index).spot.advance(to, clock);
        base
    }

    /// The time of headers that go out before messages `from..to`, on the player's timeline, ms.
    pub fn header_time(&self, state: &State, from: u64, to: u64) -> u32 {
        let clock = state.earliest_clock(from, to);
        match (state.clock.jitter(), self.base) {
            (_, Some(base)) => (clock - base).max(0) as u32,
            (TimeJitter::Off, None) => (clock - state.clock.publisher_zero()) as u32,
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
        self.source.positions_mut().at(self.index).spot.next = start;
        self.needs_headers = true;
        if self.source.state().clock.jitter() == TimeJitter::Full && self.spot().taken_clock.is_some() {
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
        let (end, clock) = self.source.end_and_clock();
        let spot = self.spot();
        spot.is_due(merged, end, clock) || self.source.presses(spot.next)
    }

    /// Asks to be told once when a batch is due.
    pub fn enter(&self, merged: MergedWrite) {
        self.source
            .state_mut()
            .waiters
            .enter(&self.waiter, self.spot().target(merged));
    }

    /// Waits until a batch is due, or while the courier sends if it is told how; until the peer sent something, or
    /// `deadline`. Yields.
    pub fn wait(&self, parked: Option<Parked>, merged: MergedWrite, stream: &Stream, deadline: Moment) {
        if self.is_due(merged) || stream.is_readable() {
            return;
        }
        match parked {
            Some(parked) => self.park(parked),
            None => self.enter(merged),
        }
        stream.watch_readable(coroutine::Waker::current());
        coroutine::park(deadline);
        stream.forget_reader();
        self.unpark();
    }

    /// The source's clock at the player's time 0, ms; none before its first message.
    pub fn base(&self) -> Option<i64> {
        self.base
    }

    /// Leaves the sending to the courier, until the coroutine takes it back with [`Place::unpark`].
    pub fn park(&self, parked: Parked) {
        Courier::start(&self.source);
        let mut positions = self.source.positions_mut();
        let position = positions.at(self.index);
        self.source.courier().expect(position.spot.target(parked.merged));
        position.parked = Some(parked);
    }

    /// Ends [`Place::park`].
    pub fn unpark(&self) {
        self.source.positions_mut().at(self.index).parked = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.source.remove(self.index);
    }
}
