//! Who waits for more of a stream, ordered by what they wait for, so that a message wakes only those it concerns.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use crate::core::coroutine::Waker;

/// What a consumer waits for: the journal beyond this message and its timeline beyond this moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Target {
    /// The newest message's clock must exceed this, ms; `i64::MIN` for any.
    pub clock: i64,
    /// The journal's end must exceed this number.
    pub number: u64,
}

impl Target {
    /// What is never passed.
    pub const NEVER: Target = Target {
        clock: i64::MAX,
        number: u64::MAX,
    };

    /// Whether a journal that ends with number `end` and this clock has passed it.
    pub fn is_passed(self, end: u64, clock: i64) -> bool {
        end > self.number && (clock > self.clock || self.clock == i64::MIN)
    }

    /// What is passed when one of the two is, or before.
    pub fn min_each(self, other: Target) -> Target {
        Target {
            clock: self.clock.min(other.clock),
            number: self.number.min(other.number),
        }
    }
}

/// A coroutine's place among the waiters; it has at most one entry at a time.
pub struct Waiter {
    waker: Waker,
    entered: Cell<Option<Target>>,
}

impl Waiter {
    /// A place for the running coroutine.
    pub fn new() -> Rc<Self> {
        Rc::new(Waiter {
            waker: Waker::current(),
            entered: Cell::new(None),
        })
    }

    fn tell(&self) {
        self.entered.set(None);
        self.waker.wake();
    }
}

struct Item<K> {
    key: K,
    waiter: Rc<Waiter>,
}

impl<K: Ord> PartialEq for Item<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Ord> Eq for Item<K> {}

impl<K: Ord> PartialOrd for Item<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord> Ord for Item<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// All who wait on one source.
#[derive(Default)]
pub struct Waiters {
    by_clock: BinaryHeap<Reverse<Item<Target>>>,
    /// Those whose clock has come and whose number has not.
    by_number: BinaryHeap<Reverse<Item<u64>>>,
}

impl Waiters {
    /// Enters a waiter, unless it stands there for the same or an earlier target.
    pub fn enter(&mut self, waiter: &Rc<Waiter>, target: Target) {
        if waiter
            .entered
            .get()
            .is_some_and(|entered| entered.clock <= target.clock && entered.number <= target.number)
        {
            return;
        }
        waiter.entered.set(Some(target));
        self.by_clock.push(Reverse(Item {
            key: target,
            waiter: waiter.clone(),
        }));
    }

    /// Tells those whose targets are reached.
    pub fn reach(&mut self, end: u64, clock: i64) {
        while self
            .by_clock
            .peek()
            .is_some_and(|Reverse(item)| clock > item.key.clock || item.key.clock == i64::MIN)
        {
            let Some(Reverse(item)) = self.by_clock.pop() else {
                break;
            };
            if end > item.key.number {
                item.waiter.tell();
            } else {
                self.by_number.push(Reverse(Item {
                    key: item.key.number,
                    waiter: item.waiter,
                }));
            }
        }
        while self.by_number.peek().is_some_and(|Reverse(item)| end > item.key) {
            if let Some(Reverse(item)) = self.by_number.pop() {
                item.waiter.tell();
            }
        }
    }

    /// Tells everybody: the timeline jumped back, or the stream ended.
    pub fn wake_all(&mut self) {
        for Reverse(item) in self.by_clock.drain() {
            item.waiter.tell();
        }
        for Reverse(item) in self.by_number.drain() {
            item.waiter.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::runtime::run;

    fn waiting(waiter: &Waiter) -> bool {
        waiter.entered.get().is_some()
    }

    #[test]
    fn both_the_clock_and_the_number_must_be_passed() {
        run(|| {
            let mut waiters = Waiters::default();
            let waiter = Waiter::new();
            waiters.enter(&waiter, Target { clock: 350, number: 8 });
            waiters.reach(20, 350);
            assert!(waiting(&waiter));
            waiters.reach(8, 400);
            assert!(waiting(&waiter));
            waiters.reach(9, 400);
            assert!(!waiting(&waiter));
        })
        .unwrap();
    }

    #[test]
    fn entering_twice_for_the_same_leaves_one_entry() {
        run(|| {
            let mut waiters = Waiters::default();
            let waiter = Waiter::new();
            for _ in 0..3 {
                waiters.enter(
                    &waiter,
                    Target {
                        clock: i64::MIN,
                        number: 0,
                    },
                );
            }
            assert_eq!(waiters.by_clock.len(), 1);
            waiters.reach(1, -5);
            assert!(!waiting(&waiter));
            waiters.enter(&waiter, Target { clock: 10, number: 0 });
            waiters.wake_all();
            assert!(!waiting(&waiter));
        })
        .unwrap();
    }
}
