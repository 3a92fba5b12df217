//! Clocks: a monotonic one for waits and rates, the wall clock for names and logs. The only place that reads them.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Readings of two clocks that are so near each other are of one moment.
const AT_ONCE: Duration = Duration::from_millis(5);
/// How often that is tried.
const READINGS: usize = 5;

/// A moment of the monotonic clock, microseconds since the process first asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Moment(u64);

impl Moment {
    /// Later than every other moment.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// The moment it is now.
    pub fn now() -> Self {
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        // 584,000 years fit.
        Moment(elapsed.as_micros() as u64)
    }

    /// The moment that far from now; saturates at [`Moment::NEVER`].
    pub fn after(delay: Duration) -> Self {
        Self::now() + delay
    }

    /// Time from `earlier` until this moment, zero if it lies before.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Microseconds since the clock's origin.
    pub fn as_micros(self) -> u64 {
        self.0
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, delay: Duration) -> Moment {
        Moment(
            self.0
                .saturating_add(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

/// Wall-clock time since 1970-01-01 UTC.
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Both clocks at one moment, as far as one thread can tell: the wall clock's reading is that of [`unix_time`].
pub fn both() -> (Moment, Duration) {
    let mut nearest = (Duration::MAX, Moment::default(), Duration::ZERO);
    // The thread may be held up between the readings.
    for _ in 0..READINGS {
        let before = Moment::now();
        let wall = unix_time();
        let apart = Moment::now().since(before);
        if apart < nearest.0 {
            nearest = (apart, before, wall);
        }
        if apart <= AT_ONCE {
            break;
        }
    }
    (nearest.1, nearest.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_add_and_saturate() {
        let now = Moment::now();
        assert_eq!((now + Duration::from_millis(5)).since(now), Duration::from_millis(5));
        assert_eq!(now + Duration::MAX, Moment::NEVER);
        assert_eq!(now.since(now + Duration::from_secs(1)), Duration::ZERO);
        assert!(Moment::now() >= now);
        let (monotonic, wall) = both();
        assert!(monotonic >= now && wall <= unix_time());
    }
}
