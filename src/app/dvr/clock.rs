//! The times in a file: each begins anew, corrected as `time_jitter` says.

use crate::app::config::section::play::TimeJitter;
use crate::app::source::Clock;

/// The timeline of one file.
#[derive(Debug)]
pub struct FileClock {
    clock: Clock,
    /// The file's time of its first message, milliseconds: not 0 where it goes on from an earlier one.
    offset_ms: i64,
    /// The publisher's time of the first message.
    origin: Option<i64>,
}

impl FileClock {
    /// For a file whose first message has this time, milliseconds; unless `time_jitter` is off.
    pub fn new(jitter: TimeJitter, offset_ms: u32) -> Self {
        FileClock {
            clock: Clock::new(jitter),
            offset_ms: offset_ms.into(),
            origin: None,
        }
    }

    /// The file's time of a message, milliseconds modulo 2^32.
    pub fn stamp(&mut self, timestamp: u32) -> u32 {
        let time = self.clock.stamp(timestamp);
        self.origin.get_or_insert(time);
        self.now_ms()
    }

    /// The time of the newest message.
    pub fn now_ms(&self) -> u32 {
        match self.clock.jitter() {
            TimeJitter::Off => self.clock.now() as u32,
            TimeJitter::Full | TimeJitter::Zero => (self.offset_ms + self.length_ms().max(0)) as u32,
        }
    }

    /// From the first message to the newest.
    pub fn length_ms(&self) -> i64 {
        self.origin.map_or(0, |origin| self.clock.now() - origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(jitter: TimeJitter, offset_ms: u32, times: &[u32]) -> (Vec<u32>, i64) {
        let mut clock = FileClock::new(jitter, offset_ms);
        let stamps = times.iter().map(|time| clock.stamp(*time)).collect();
        (stamps, clock.length_ms())
    }

    #[test]
    fn time_begins_anew_unless_it_is_not_to_be_corrected() {
        let times = [5000, 5040, 5030, 9000, 9040];
        assert_eq!(stamps(TimeJitter::Full, 0, &times), (vec![0, 40, 30, 40, 80], 80));
        assert_eq!(stamps(TimeJitter::Zero, 0, &times), (vec![0, 40, 30, 4000, 4040], 4040));
        assert_eq!(stamps(TimeJitter::Off, 0, &times), (times.to_vec(), 4040));
        assert_eq!(
            stamps(TimeJitter::Zero, 0, &[100, 60]).0,
            [0, 0],
            "never before the beginning"
        );
    }

    #[test]
    fn a_file_that_goes_on_has_later_times() {
        assert_eq!(stamps(TimeJitter::Full, 700, &[5, 45]), (vec![700, 740], 40));
        assert_eq!(stamps(TimeJitter::Zero, 700, &[5, 45]), (vec![700, 740], 40));
        let wrapped = stamps(TimeJitter::Off, 700, &[u32::MAX - 9, 30]);
        assert_eq!(wrapped, (vec![u32::MAX - 9, 30], 40));
    }
}
