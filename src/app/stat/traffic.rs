//! Bytes and rates, and what carries them.

use std::cell::Cell;
use std::net::Shutdown;

use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::kernel::rate::Rate;

/// What carries a client's media: a connection, or a session over datagrams or many requests.
pub trait Carrier {
    /// Bytes from the client so far.
    fn received_bytes(&self) -> u64;
    /// Bytes to the client so far.
    fn sent_bytes(&self) -> u64;
    /// Ends the client soon; `false` when that cannot be done from outside.
    fn kick(&self) -> bool;
}

impl Carrier for Stream {
    fn received_bytes(&self) -> u64 {
        Stream::received_bytes(self)
    }

    fn sent_bytes(&self) -> u64 {
        Stream::sent_bytes(self)
    }

    fn kick(&self) -> bool {
        // Its coroutine notices at its next read or write. An error means that it is closed already.
        let _ = self.shutdown(Shutdown::Both);
        true
    }
}

/// Bytes both ways, as of the last sample, and their rates.
pub struct Traffic {
    since: Moment,
    received: Cell<u64>,
    sent: Cell<u64>,
    received_rate: Cell<Rate>,
    sent_rate: Cell<Rate>,
    sampled_ms: Cell<u64>,
}

impl Traffic {
    /// Counts from now on.
    pub(super) fn new() -> Self {
        Traffic {
            since: Moment::now(),
            received: Cell::new(0),
            sent: Cell::new(0),
            received_rate: Cell::default(),
            sent_rate: Cell::default(),
            sampled_ms: Cell::new(0),
        }
    }

    pub(super) fn add(&self, received: u64, sent: u64) {
        self.received.set(self.received.get().wrapping_add(received));
        self.sent.set(self.sent.get().wrapping_add(sent));
    }

    pub(super) fn sample(&self, now: Moment) {
        let time = now.since(self.since);
        let sample = |rate: &Cell<Rate>, bytes: u64| {
            let mut changed = rate.get();
            changed.sample(time, bytes);
            rate.set(changed);
        };
        sample(&self.received_rate, self.received.get());
        sample(&self.sent_rate, self.sent.get());
        self.sampled_ms.set(super::host::wall_ms());
    }

    /// Bytes from clients.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Bytes to clients.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Kilobits a second from clients, over the last full 30 seconds.
    pub fn received_kbps(&self) -> u64 {
        self.received_rate.get().kbps().seconds_30
    }

    /// Kilobits a second to clients, over the last full 30 seconds.
    pub fn sent_kbps(&self) -> u64 {
        self.sent_rate.get().kbps().seconds_30
    }

    /// When rates were computed last, milliseconds since 1970; 0 if they were not yet.
    pub fn sampled_ms(&self) -> u64 {
        self.sampled_ms.get()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_come_with_samples() {
        let traffic = Traffic::new();
        for second in 1..=61u32 {
            traffic.add(125_000, 250_000);
            traffic.sample(traffic.since + Duration::from_secs(second.into()));
        }
        assert_eq!((traffic.received(), traffic.sent()), (61 * 125_000, 61 * 250_000));
        assert_eq!((traffic.received_kbps(), traffic.sent_kbps()), (1000, 2000));
        assert!(traffic.sampled_ms() > 0);
    }
}
