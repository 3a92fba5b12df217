//! Bit rates over sliding windows, from a counter of bytes.

use std::time::Duration;

/// The windows that logs and statistics show beside the present rate.
const WINDOWS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(300)];

/// The rate of one direction of one connection or stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    bytes: u64,
    at: Duration,
    now_kbps: u64,
    windows: [Window; WINDOWS.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    began: Duration,
    bytes: u64,
    kbps: Option<u64>,
}

/// Kilobits (1,000 bits) a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kbps {
    /// Since the previous sample.
    pub now: u64,
    /// Over the last whole 30 seconds, or since the start.
    pub seconds_30: u64,
    /// Over the last whole 5 minutes, or since the start.
    pub minutes_5: u64,
}

impl Rate {
    /// Takes a sample: `bytes` in all until `time`, both counted from the start.
    pub fn sample(&mut self, time: Duration, bytes: u64) {
        if time <= self.at {
            return;
        }
        self.now_kbps = kbps(bytes.saturating_sub(self.bytes), time - self.at);
        (self.bytes, self.at) = (bytes, time);
        for (window, span) in self.windows.iter_mut().zip(WINDOWS) {
            let age = time.saturating_sub(window.began);
            if age >= span {
                *window = Window {
                    began: time,
                    bytes,
                    kbps: Some(kbps(bytes - window.bytes.min(bytes), age)),
                };
            }
        }
    }

    /// The rates as of the last sample.
    pub fn kbps(&self) -> Kbps {
        let window = |index: usize| {
            let window = &self.windows[index];
            window.kbps.unwrap_or_else(|| kbps(self.bytes, self.at))
        };
        Kbps {
            now: self.now_kbps,
            seconds_30: window(0),
            minutes_5: window(1),
        }
    }
}

fn kbps(bytes: u64, span: Duration) -> u64 {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
    // Bits a millisecond are kilobits a second.
    bytes.saturating_mul(8) / millis
}

/// `now,30 s,5 min`, as periodic log lines show it.
impl std::fmt::Display for Kbps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{}", self.now, self.seconds_30, self.minutes_5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_shows_in_all_windows() {
        let mut rate = Rate::default();
        for second in 1..=400u64 {
            rate.sample(Duration::from_secs(second), second * 125_000);
        }
        assert_eq!(
            rate.kbps(),
            Kbps {
                now: 1000,
                seconds_30: 1000,
                minutes_5: 1000
            }
        );
        assert_eq!(rate.kbps().to_string(), "1000,1000,1000");
    }

    #[test]
    fn windows_lag_behind_a_change() {
        let mut rate = Rate::default();
        rate.sample(Duration::from_secs(30), 3_750_000);
        rate.sample(Duration::from_secs(31), 3_750_000);
        let kbps = rate.kbps();
        assert_eq!((kbps.now, kbps.seconds_30), (0, 1000));
    }

    #[test]
    fn time_that_stands_still_changes_nothing() {
        let mut rate = Rate::default();
        rate.sample(Duration::ZERO, 100);
        assert_eq!(rate.kbps().now, 0);
    }
}
