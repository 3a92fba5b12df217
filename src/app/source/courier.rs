//! The courier: one coroutine for each source that sends what is due to players whose sockets take it at once.
//!
//! Waking a coroutine for each batch of each player costs more than the sending itself: every switch touches a cold stack.
//! So a player's coroutine stays parked while all goes well. The courier goes over the positions of all players, sends
//! each its parcel, and calls a coroutine only for what may wait: a socket that is full, a gap, headers of its own.

use std::cell::{Cell, RefCell};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::parcel::Parcels;
use super::source::Source;
use super::waiters::Target;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::sync::Condition;

/// Players served in a row before other coroutines run.
const ROUND: usize = 256;
/// How long the stream pauses before a batch goes out that is not full; once or twice that.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the courier is to do for parked players, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Errand {
    /// Send batches that are due.
    SendDue,
    /// Send all there is: the timeline jumped back, or the stream pauses.
    SendAll,
    /// The same, and call those who leave with a publication.
    End,
}

/// One errand, as far as it is done.
struct Walk {
    errand: Errand,
    /// What comes later is for the next errand, so that players who are at the same message stay so.
    limit: u64,
    /// The source's clock.
    clock: i64,
    /// Whose turn it is.
    index: usize,
    /// When the next batch may be due for somebody who was passed.
    next: Target,
}

/// What waits for the courier of one source.
pub struct Courier {
    errand: Cell<Option<Errand>>,
    /// No batch is due for a parked player before this.
    earliest: Cell<Target>,
    called: Condition,
    runs: Cell<bool>,
    parcels: RefCell<Parcels>,
}

impl Default for Courier {
    fn default() -> Self {
        Courier {
            errand: Cell::new(None),
            earliest: Cell::new(Target::NEVER),
            called: Condition::new(),
            runs: Cell::new(false),
            parcels: RefCell::default(),
        }
    }
}

impl Courier {
    /// The journal ends with number `end` and this clock now.
    pub fn reach(&self, end: u64, clock: i64) {
        if self.earliest.get().is_passed(end, clock) {
            self.go(Errand::SendDue);
        }
    }

    /// Somebody parked for whom a batch is due then.
    pub fn expect(&self, target: Target) {
        self.earliest.set(self.earliest.get().min_each(target));
    }

    /// All is sent soon, due or not.
    pub fn flush(&self) {
        self.go(Errand::SendAll);
    }

    /// The publication ended: all is sent, and those who leave with it are called.
    pub fn end(&self) {
        self.go(Errand::End);
    }

    /// Lets it see whether there are players.
    pub fn wake(&self) {
        self.called.notify_all();
    }

    fn go(&self, errand: Errand) {
        self.errand.set(self.errand.get().max(Some(errand)));
        self.wake();
    }

    /// Whether its coroutine exists.
    #[cfg(test)]
    pub fn runs(&self) -> bool {
        self.runs.get()
    }

    /// Starts the coroutine unless it runs; it ends with the source's last player.
    pub fn start(source: &Rc<Source>) {
        let courier = source.courier();
        if courier.runs.replace(true) {
            return;
        }
        let (courier, source) = (courier.clone(), Rc::downgrade(source));
        coroutine::spawn("courier", move || courier.run(&source));
    }

    fn run(&self, source: &Weak<Source>) {
        let mut flushed = 0;
        loop {
            let Some(source) = source.upgrade().filter(|source| source.consumer_count() > 0) else {
                self.runs.set(false);
                return;
            };
            if let Some(errand) = self.errand.take() {
                self.walk(&source, errand);
                continue;
            }
            let end = source.end();
            let deadline = match end == flushed {
                true => Moment::NEVER,
                false => Moment::after(PATIENCE),
            };
            // A source ends with its last player, not with its courier.
            let idle = Rc::downgrade(&source);
            drop(source);
            let is_called = self.called.wait_until(deadline);
            if let Some(source) = idle.upgrade().filter(|source| !is_called && source.end() == end) {
                source.flush();
                flushed = end;
            }
        }
    }

    /// Does an errand for all players. Yields.
    fn walk(&self, source: &Source, errand: Errand) {
        self.earliest.set(Target::NEVER);
        let (limit, clock) = source.end_and_clock();
        let mut walk = Walk {
            errand,
            limit,
            clock,
            index: 0,
            next: Target::NEVER,
        };
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.round(source, &mut walk))) {
                Ok(true) => coroutine::yield_now(),
                Ok(false) => break,
                // One player's fault is not the others': its coroutine sees the end of the connection.
                Err(_) => source.abandon(walk.index.saturating_sub(1)),
            }
        }
        self.parcels.borrow_mut().clear();
        self.expect(walk.next);
        // What came in between may have made a batch due already.
        let (end, clock) = source.end_and_clock();
        self.reach(end, clock);
    }

    /// Serves some players; gives whether there are more.
    fn round(&self, source: &Source, walk: &mut Walk) -> bool {
        let state = source.state();
        let mut positions = source.positions_mut();
        let mut parcels = self.parcels.borrow_mut();
        let mut served = 0;
        for position in positions.from(walk.index) {
            walk.index += 1;
            let Some(parked) = &position.parked else { continue };
            if walk.errand == Errand::End && !parked.stays {
                position.call();
                continue;
            }
            let is_due = walk.errand > Errand::SendDue || position.spot.is_due(parked.merged, walk.limit, walk.clock);
            if is_due && !parcels.send(&mut position.spot, walk.limit, parked, &state) {
                position.call();
            } else {
                walk.next = walk.next.min_each(position.spot.target(parked.merged));
            }
            served += usize::from(is_due);
            if served == ROUND {
                return true;
            }
        }
        false
    }
}

impl Source {
    /// Ends the connection of the player with this index: sending to it panicked.
    fn abandon(&self, index: usize) {
        let mut positions = self.positions_mut();
        let position = positions.at(index);
        if let Some(parked) = &position.parked {
            let _ = parked.stream.shutdown(Shutdown::Both);
        }
        position.call();
    }
}
