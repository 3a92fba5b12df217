//! The system's clock against the monotonic one: whether it was set meanwhile.

use std::fmt;
use std::time::Duration;

use crate::core::clock::Moment;

/// Smaller differences are drift and the time between two readings; NTP slews by half a millisecond a second.
const TOLERANCE: Duration = Duration::from_millis(100);

/// The last reading of both clocks.
#[derive(Debug)]
pub struct ClockWatch {
    monotonic: Moment,
    wall: Duration,
}

/// The system's clock has moved otherwise than time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Whether it is ahead of where it should be.
    is_ahead: bool,
    by: Duration,
    /// What has passed since the reading before.
    within: Duration,
}

impl ClockWatch {
    /// From the first reading, which is of one moment.
    pub fn begin((monotonic, wall): (Moment, Duration)) -> Self {
        ClockWatch { monotonic, wall }
    }

    /// Takes the next reading; gives the jump since the one before, if there was one.
    pub fn look(&mut self, (monotonic, wall): (Moment, Duration)) -> Option<Jump> {
        let within = monotonic.since(self.monotonic);
        let expected = self.wall + within;
        *self = ClockWatch { monotonic, wall };
        let by = wall.abs_diff(expected);
        (by >= TOLERANCE).then_some(Jump {
            is_ahead: wall > expected,
            by,
            within,
        })
    }
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_ahead { '+' } else { '-' };
        write!(
            f,
            "the system's clock jumped by {sign}{} ms within {} ms: it was set, or the machine slept; times in the log, in \
             file names and in playlists jump too",
            self.by.as_millis(),
            self.within.as_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(monotonic_ms: u64, wall_ms: u64) -> (Moment, Duration) {
        (
            Moment::default() + Duration::from_millis(monotonic_ms),
            Duration::from_millis(wall_ms),
        )
    }

    #[test]
    fn time_that_passes_is_no_jump() {
        let mut watch = ClockWatch::begin(at(1000, 1_000_000));
        assert_eq!(watch.look(at(2000, 1_001_000)), None);
        // It drifts by less each time.
        assert_eq!(watch.look(at(3000, 1_002_099)), None);
        assert_eq!(watch.look(at(4000, 1_003_000)), None);
        // However long the process did not run.
        assert_eq!(watch.look(at(4_004_000, 5_003_000)), None);
    }

    #[test]
    fn jumps_are_told_once_with_their_direction() {
        let mut watch = ClockWatch::begin(at(0, 1_000_000));
        let ahead = watch.look(at(1000, 4_601_000)).unwrap().to_string();
        assert!(ahead.contains("jumped by +3600000 ms within 1000 ms"), "{ahead}");
        assert_eq!(watch.look(at(2000, 4_602_000)), None);
        let back = watch.look(at(3000, 4_602_500)).unwrap().to_string();
        assert!(back.contains("jumped by -500 ms within 1000 ms"), "{back}");
        assert_eq!(watch.look(at(4000, 4_603_500)), None);
    }
}
