//! A line now and then that tells how the process does, and a warning when its timers are late.

use std::time::Duration;

use super::breaker::Sample;
use crate::app::server::Server;
use crate::core::clock::Moment;
use crate::core::{coroutine, machine};

/// Timers that are so late are worth a warning: players notice.
const LATE: Duration = Duration::from_millis(200);

/// What it compares with.
pub struct Monitor {
    since: Moment,
    used: Duration,
    /// The latest timer since the last line.
    lag: Duration,
}

impl Monitor {
    /// Watches from now on.
    pub fn begin() -> Self {
        Monitor {
            since: Moment::now(),
            used: machine::cpu_time(),
            lag: Duration::ZERO,
        }
    }

    /// Takes the load of a part of the period; gives whether the period is over.
    pub fn observe(&mut self, sample: Sample, period: Duration) -> bool {
        self.lag = self.lag.max(sample.lag);
        // Samples come a little later than each second.
        Moment::now().since(self.since) + super::TICK / 2 >= period
    }

    /// Logs how the process did since the last line.
    pub fn report(&mut self, server: &Server) {
        let (now, used) = (Moment::now(), machine::cpu_time());
        let wall = now.since(self.since);
        let cpu = used.saturating_sub(self.used).as_secs_f64() / wall.as_secs_f64().max(0.001) * 100.0;
        let lag = std::mem::take(&mut self.lag);
        (self.since, self.used) = (now, used);
        let lost = match crate::kernel::log::dropped_lines() {
            0 => String::new(),
            lines => format!(", {lines} log lines lost"),
        };
        log::info!(
            "Hybrid cpu={cpu:.2}%,{}MB, coroutines={}, lag={}ms, water={}{lost}",
            machine::resident_bytes() >> 20,
            coroutine::live_count(),
            lag.as_millis(),
            server.overload.water().name(),
        );
        if let Some(line) = lateness(lag, wall) {
            log::warn!("{line}");
        }
    }
}

fn lateness(lag: Duration, period: Duration) -> Option<String> {
    (lag >= LATE).then(|| {
        format!(
            "timers were late by up to {} ms in the last {:.1} s: the processor is too busy, or the process did not run",
            lag.as_millis(),
            period.as_secs_f64()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_timers_are_told_with_how_late() {
        let period = Duration::from_secs(5);
        assert_eq!(lateness(Duration::from_millis(199), period), None);
        let line = lateness(Duration::from_millis(1234), period).unwrap();
        assert!(
            line.starts_with("timers were late by up to 1234 ms in the last 5.0 s"),
            "{line}"
        );
    }

    #[test]
    fn the_latest_of_a_period_counts() {
        let mut monitor = Monitor::begin();
        for (millis, expected) in [(30, 30), (500, 500), (10, 500)] {
            let sample = Sample {
                cpu_percent: 0.0,
                lag: Duration::from_millis(millis),
            };
            assert!(!monitor.observe(sample, Duration::from_secs(3600)));
            assert_eq!(monitor.lag, Duration::from_millis(expected));
        }
        assert!(monitor.observe(Sample::default(), super::super::TICK / 2));
    }
}
