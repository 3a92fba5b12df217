//! The source's clock: turns the publisher's 32-bit timestamps into a timeline that players can follow.
//!
//! It runs once for each message, not once for each player: what differs between players is only where their own
//! timeline starts, and the consumer subtracts that.

use crate::app::config::section::play::TimeJitter;

/// A step beyond this, either way, is a jump and not jitter, ms.
const JUMP_MS: i64 = 250;
/// What a jump is replaced with, ms.
const STEP_MS: i64 = 10;

/// The timeline of one source.
#[derive(Debug)]
pub struct Clock {
    jitter: TimeJitter,
    /// The publisher's latest timestamp.
    latest: Option<u32>,
    /// The timeline's latest value, ms.
    now: i64,
    /// What the timeline is ahead of the publisher's time, ms: corrections add up.
    ahead: i64,
}

impl Clock {
    /// A clock before its first message.
    pub fn new(jitter: TimeJitter) -> Self {
        Clock {
            jitter,
            latest: None,
            now: 0,
            ahead: 0,
        }
    }

    /// Takes another correction from the next message on. The timeline goes on without a jump.
    pub fn set_jitter(&mut self, jitter: TimeJitter) {
        self.jitter = jitter;
    }

    /// The correction in force.
    pub fn jitter(&self) -> TimeJitter {
        self.jitter
    }

    /// The timeline's value for a message with this timestamp, ms.
    ///
    /// With [`TimeJitter::Full`] it never goes below zero, and a step of more than 250 ms becomes 10 ms. Otherwise it is
    /// the publisher's own time, continued past the wrap of 32 bits.
    pub fn stamp(&mut self, timestamp: u32) -> i64 {
        // The difference modulo 2^32, so that a wrap is a small step.
        let step = self
            .latest
            .map(|latest| i64::from(timestamp.wrapping_sub(latest) as i32));
        self.latest = Some(timestamp);
        self.now = match (self.jitter, step) {
            (TimeJitter::Full, None) => self.now,
            (TimeJitter::Full, Some(step)) if step.abs() > JUMP_MS => self.now + STEP_MS,
            (TimeJitter::Full, Some(step)) => (self.now + step).max(0),
            (_, None) => i64::from(timestamp),
            (_, Some(step)) => self.now + step,
        };
        if self.jitter == TimeJitter::Full {
            self.ahead = self.now - i64::from(timestamp);
        }
        self.now
    }

    /// The timeline's value at the publisher's time 0, ms: it is not 0 where times were corrected before.
    pub fn publisher_zero(&self) -> i64 {
        self.ahead
    }

    /// The timeline's latest value, ms.
    pub fn now(&self) -> i64 {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(jitter: TimeJitter, timestamps: &[u32]) -> Vec<i64> {
        let mut clock = Clock::new(jitter);
        timestamps.iter().map(|&timestamp| clock.stamp(timestamp)).collect()
    }

    #[test]
    fn full_keeps_jitter_and_replaces_jumps() {
        let input = [5_000, 5_040, 5_030, 5_290, 9_000, 9_040, 100, 140];
        assert_eq!(stamps(TimeJitter::Full, &input), [0, 40, 30, 40, 50, 90, 100, 140]);
    }

    #[test]
    fn full_never_goes_below_zero() {
        assert_eq!(stamps(TimeJitter::Full, &[100, 0, 20]), [0, 0, 20]);
    }

    #[test]
    fn time_goes_on_past_each_wrap() {
        for wrap in [1u32 << 24, 1 << 31, 0] {
            let input = [wrap.wrapping_sub(40), wrap, wrap.wrapping_add(40)];
            let start = i64::from(input[0]);
            assert_eq!(stamps(TimeJitter::Zero, &input), [start, start + 40, start + 80]);
            assert_eq!(stamps(TimeJitter::Full, &input), [0, 40, 80]);
        }
    }

    #[test]
    fn off_follows_the_publisher_back() {
        assert_eq!(
            stamps(TimeJitter::Off, &[10_000, 10_040, 0, 40]),
            [10_000, 10_040, 0, 40]
        );
    }

    #[test]
    fn a_correction_that_ends_makes_no_jump_and_the_publishers_time_is_known() {
        let mut clock = Clock::new(TimeJitter::Full);
        assert_eq!([5_000, 5_040, 9_000].map(|time| clock.stamp(time)), [0, 40, 50]);
        clock.set_jitter(TimeJitter::Off);
        assert_eq!([9_040, 19_040].map(|time| clock.stamp(time)), [90, 10_090]);
        assert_eq!(10_090 - clock.publisher_zero(), 19_040);
        clock.set_jitter(TimeJitter::Full);
        assert_eq!([29_040, 29_080].map(|time| clock.stamp(time)), [10_100, 10_140]);
    }
}
