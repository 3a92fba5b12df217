//! Periodic log lines: each role prints one every `pithy_print_ms`, its clients in turn.

use std::cell::Cell;
use std::time::Duration;

use crate::app::stat::Carrier;
use crate::core::clock::Moment;
use crate::kernel::rate::{Kbps, Rate};

/// How often one of so many players looks whether it is its turn to print, as long as it has nothing else to do: some
/// of them do so each second, and a line is late by a few seconds at most.
pub fn look(players: usize) -> Duration {
    let seconds = players.div_ceil(10).clamp(5, 600);
    Duration::from_secs(seconds as u64)
}

/// The turn of one role's clients.
#[derive(Debug, Default)]
pub struct Turn {
    next: Cell<Option<Moment>>,
}

impl Turn {
    /// Whether the caller prints now; it is nobody's turn again for `interval`. The first call starts the first interval.
    pub fn take(&self, interval: Duration) -> bool {
        let now = Moment::now();
        let due = self.next.get().is_some_and(|next| now >= next);
        if due || self.next.get().is_none() {
            self.next.set(Some(now + interval));
        }
        due
    }
}

/// Progress of one connection, for its periodic lines.
#[derive(Debug)]
pub struct Progress {
    since: Moment,
    sent: Rate,
    received: Rate,
}

impl Progress {
    /// Counts from now on.
    pub fn new() -> Self {
        Progress {
            since: Moment::now(),
            sent: Rate::default(),
            received: Rate::default(),
        }
    }

    /// Milliseconds since the start.
    pub fn millis(&self) -> u128 {
        Moment::now().since(self.since).as_millis()
    }

    /// The rates of what carries it: out and in.
    pub fn sample(&mut self, carrier: &dyn Carrier) -> (Kbps, Kbps) {
        let time = Moment::now().since(self.since);
        self.sent.sample(time, carrier.sent_bytes());
        self.received.sample(time, carrier.received_bytes());
        (self.sent.kbps(), self.received.kbps())
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_prints_once_in_an_interval() {
        let turn = Turn::default();
        assert!(!turn.take(Duration::ZERO));
        assert!(turn.take(Duration::from_secs(60)));
        assert!(!turn.take(Duration::from_secs(60)));
    }
}
