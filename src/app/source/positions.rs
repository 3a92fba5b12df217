//! Where the consumers of one source stand: a record for each, side by side in memory. The courier looks at all of them
//! for each batch, and of a player that keeps up at nothing else.

use std::rc::Rc;

use super::parcel::{Packer, Terms};
use super::place::MergedWrite;
use super::recipient::Recipient;
use super::waiters::Target;
use crate::app::stream::Stream;

/// What a consumer is to its source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It plays.
    Player,
    /// It only follows a publication: it keeps no stream alive and is no viewer.
    Follower,
}

/// A position in the journal.
#[derive(Clone, Copy, Default, Debug)]
pub struct Spot {
    /// The next message to send.
    pub next: u64,
    /// The source's clock of the last message taken, ms.
    pub taken_clock: Option<i64>,
    /// Messages taken so far.
    pub taken: u64,
}

/// One consumer's position, and who sends to it.
#[derive(Default)]
pub struct Position {
    role: Option<Role>,
    /// Where it is.
    pub spot: Spot,
    /// While its coroutine waits and the courier sends for it.
    pub parked: Option<Parked>,
}

/// A player whose coroutine waits: how the courier sends to it.
pub struct Parked {
    /// Its connection, which takes bytes as they are.
    pub stream: Rc<Stream>,
    /// What makes the bytes.
    pub packer: Rc<dyn Packer>,
    /// What they depend on.
    pub terms: Terms,
    /// The source's clock at the player's time 0, ms.
    pub base: i64,
    /// When a batch is due.
    pub merged: MergedWrite,
    /// Whether it goes on with the next publication.
    pub stays: bool,
    /// The one whose matter it is when this does not suffice.
    pub recipient: Rc<Recipient>,
}

impl Spot {
    /// Notes that messages `next..to` are taken, the last of them with this clock.
    pub fn advance(&mut self, to: u64, clock: Option<i64>) {
        self.taken += to.saturating_sub(self.next);
        self.taken_clock = clock.or(self.taken_clock);
        self.next = to;
    }

    /// What must be passed for a batch to be due.
    ///
    /// All players of a source share the boundaries of its timeline at which batches are due: sending to many in one go
    /// costs less than sending to each at its own moment.
    pub fn target(&self, merged: MergedWrite) -> Target {
        let latency = i64::try_from(merged.latency.as_millis()).unwrap_or(i64::MAX);
        match self.taken_clock {
            Some(taken) if latency > 0 => Target {
                clock: taken.div_euclid(latency).saturating_add(1).saturating_mul(latency),
                number: self.next.saturating_add(u64::from(merged.messages)),
            },
            _ => Target {
                clock: i64::MIN,
                number: self.next,
            },
        }
    }

    /// Whether a batch is due of a journal that ends with number `end` and this clock.
    pub fn is_due(&self, merged: MergedWrite, end: u64, clock: i64) -> bool {
        if self.next >= end {
            return false;
        }
        let target = self.target(merged);
        end > target.number && (clock > target.clock || self.taken_clock.is_none_or(|taken| clock < taken))
    }
}

impl Position {
    /// Leaves what comes next to its coroutine.
    pub fn call(&mut self) {
        if let Some(parked) = self.parked.take() {
            parked.recipient.call();
        }
    }
}

/// The positions of a source's consumers; each keeps its index until it leaves.
#[derive(Default)]
pub struct Positions {
    all: Vec<Position>,
    free: Vec<usize>,
    players: usize,
}

impl Positions {
    /// Enters a consumer that begins with message `next`; gives its index.
    pub fn enter(&mut self, role: Role, next: u64) -> usize {
        self.players += usize::from(role == Role::Player);
        let spot = Spot {
            next,
            ..Spot::default()
        };
        let position = Position {
            role: Some(role),
            spot,
            parked: None,
        };
        if let Some(index) = self.free.pop() {
            self.all[index] = position;
            return index;
        }
        self.all.push(position);
        self.all.len() - 1
    }

    /// Takes a consumer out.
    pub fn leave(&mut self, index: usize) {
        let left = std::mem::take(&mut self.all[index]);
        self.players -= usize::from(left.role == Some(Role::Player));
        self.free.push(index);
        if self.free.len() == self.all.len() {
            *self = Positions::default();
        }
    }

    /// How many play.
    pub fn players(&self) -> usize {
        self.players
    }

    /// Where a consumer is.
    pub fn spot(&self, index: usize) -> Spot {
        self.all[index].spot
    }

    /// A consumer's position, to be changed.
    pub fn at(&mut self, index: usize) -> &mut Position {
        &mut self.all[index]
    }

    /// Those from `index` on, maybe some that are nobody's.
    pub fn from(&mut self, index: usize) -> &mut [Position] {
        let index = index.min(self.all.len());
        &mut self.all[index..]
    }

    /// The first message that somebody still needs.
    pub fn slowest(&self) -> Option<u64> {
        let taken = self.all.iter().filter(|position| position.role.is_some());
        taken.map(|position| position.spot.next).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_index_is_used_again_and_memory_given_back() {
        let mut positions = Positions::default();
        let first = positions.enter(Role::Player, 7);
        let second = positions.enter(Role::Follower, 3);
        assert_eq!((positions.players(), positions.slowest()), (1, Some(3)));
        positions.leave(second);
        assert_eq!(positions.slowest(), Some(7));
        assert_eq!(positions.enter(Role::Player, 9), second);
        positions.leave(first);
        positions.leave(second);
        assert_eq!((positions.players(), positions.slowest()), (0, None));
        assert_eq!(positions.all.capacity(), 0);
    }

    #[test]
    fn batches_are_due_at_boundaries_that_all_share() {
        let merged = MergedWrite {
            messages: 2,
            latency: Duration::from_millis(100),
        };
        let mut position = Spot::default();
        assert!(position.is_due(merged, 1, 0), "the first message at once");
        for clock in [0, 50, 99] {
            position.advance(1, Some(clock));
            let expected = Target { clock: 100, number: 3 };
            assert_eq!(position.target(merged), expected, "after {clock} ms");
        }
        assert!(!position.is_due(merged, 3, 120), "too few messages");
        assert!(!position.is_due(merged, 9, 100), "not beyond the boundary");
        assert!(position.is_due(merged, 4, 101));
        assert!(position.is_due(merged, 4, 98), "the clock stepped back");
        assert_eq!(position.taken, 1);
    }
}
