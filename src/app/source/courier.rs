//! The courier: one coroutine for each source that sends what is due to players whose sockets take it at once.
//!
//! Waking a coroutine for each batch of each player costs more than the sending itself: every switch touches a cold stack.
//! So a player's coroutine stays parked while all goes well. The courier sends for it, and wakes it only for what may
//! wait: a socket that is full, a gap, headers of its own.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::source::Source;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::sync::Condition;

/// Players served in a row before other coroutines run.
const ROUND: usize = 1024;
/// How long a batch that is not full waits when the stream pauses.
const PATIENCE: Duration = Duration::from_secs(1);

/// Somebody for whom the courier sends. Never yields.
pub trait Deliver {
    /// Sends what is there, or wakes the one whose matter it is.
    fn deliver(&self);

    /// Ends the connection: delivering to it panicked.
    fn abandon(&self);
}

/// What waits for the courier of one source.
#[derive(Default)]
pub struct Courier {
    due: RefCell<Vec<Rc<dyn Deliver>>>,
    called: Condition,
    runs: Cell<bool>,
}

impl Courier {
    /// Has `deliver` called soon.
    pub fn call(&self, delivery: Rc<dyn Deliver>) {
        self.due.borrow_mut().push(delivery);
    }

    /// Lets the courier see what it was called for, and that the stream goes on.
    pub fn wake(&self) {
        self.called.notify_all();
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
            for (index, delivery) in self.due.take().iter().enumerate() {
                // One player's fault is not the others'.
                if catch_unwind(AssertUnwindSafe(|| delivery.deliver())).is_err() {
                    delivery.abandon();
                }
                if index % ROUND == ROUND - 1 {
                    coroutine::yield_now();
                }
            }
            let Some(end) = source
                .upgrade()
                .filter(|source| source.consumer_count() > 0)
                .map(|source| source.end())
            else {
                self.due.take();
                self.runs.set(false);
                return;
            };
            if !self.due.borrow().is_empty() {
                continue;
            }
            let deadline = if end == flushed {
                Moment::NEVER
            } else {
                Moment::after(PATIENCE)
            };
            if !self.called.wait_until(deadline)
                && let Some(source) = source.upgrade()
                && source.end() == end
            {
                source.flush();
                flushed = end;
            }
        }
    }
}
