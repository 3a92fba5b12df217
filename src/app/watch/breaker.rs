//! The circuit breaker's decision: seconds of load in, a water level out. No clock, no sockets.

use std::time::Duration;

use crate::app::config::section::circuit_breaker::{CircuitBreaker, Mark};

/// A loop that is so late counts as load above each threshold, whatever the processor's share is: others take the
/// processor, or something holds the thread up. Players hold a second or two.
const LATE: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// Seconds of critical water in a row before players are refused: many that join together take a second or two.
const PATIENCE: u32 = 3;

/// The load of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// What the server's thread used, percent of one processor.
    pub cpu_percent: f64,
    /// How late the event loop was at most.
    pub lag: Duration,
}

impl Sample {
    fn is_above(&self, mark: Mark, late: Duration) -> bool {
        self.cpu_percent > f64::from(mark.threshold) || self.lag >= late
    }
}

/// How overloaded the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Water {
    /// Not at all.
    #[default]
    Normal,
    /// Comfort is put off.
    High,
    /// Who plays and publishes is served before who comes.
    Critical,
    /// Nobody else can be served.
    Dying,
}

impl Water {
    /// For logs and the API.
    pub fn name(self) -> &'static str {
        match self {
            Water::Normal => "normal",
            Water::High => "high",
            Water::Critical => "critical",
            Water::Dying => "dying",
        }
    }

    /// For metrics, 0 to 3.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// What it remembers of the seconds before.
#[derive(Debug, Default)]
pub struct Breaker {
    /// Seconds that high water still lasts.
    high: u32,
    /// The same of critical water.
    critical: u32,
    /// Seconds in a row above the threshold of dying, no more than count.
    dying: u32,
    /// Seconds in a row of critical water, no more than count.
    critical_row: u32,
    water: Water,
}

impl Breaker {
    /// Takes the load of one more second; gives the level from now on.
    pub fn observe(&mut self, sample: Sample, settings: &CircuitBreaker) -> Water {
        if !settings.enabled {
            *self = Breaker::default();
            return self.water;
        }
        let [high, critical, dying] = LATE;
        let lasting = |left: u32, mark: Mark, late| match sample.is_above(mark, late) {
            true => mark.pulse,
            false => left.saturating_sub(1),
        };
        self.high = lasting(self.high, settings.high, high);
        self.critical = lasting(self.critical, settings.critical, critical);
        self.dying = match sample.is_above(settings.dying, dying) {
            true => self.dying.saturating_add(1).min(settings.dying.pulse),
            false => 0,
        };
        self.water = match self {
            _ if self.dying >= settings.dying.pulse => Water::Dying,
            _ if self.critical > 0 => Water::Critical,
            _ if self.high > 0 => Water::High,
            _ => Water::Normal,
        };
        self.critical_row = match self.water >= Water::Critical {
            true => self.critical_row.saturating_add(1).min(PATIENCE),
            false => 0,
        };
        self.water
    }

    /// Whether new players are refused.
    pub fn refuses_players(&self) -> bool {
        self.water == Water::Dying || self.critical_row >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: CircuitBreaker = CircuitBreaker {
        enabled: true,
        high: Mark {
            threshold: 90,
            pulse: 2,
        },
        critical: Mark {
            threshold: 95,
            pulse: 1,
        },
        dying: Mark {
            threshold: 99,
            pulse: 5,
        },
    };

    fn cpu(cpu_percent: f64) -> Sample {
        Sample {
            cpu_percent,
            lag: Duration::ZERO,
        }
    }

    fn late(millis: u64) -> Sample {
        Sample {
            cpu_percent: 1.0,
            lag: Duration::from_millis(millis),
        }
    }

    /// The first letters of the levels after each sample.
    fn levels(breaker: &mut Breaker, samples: impl IntoIterator<Item = Sample>) -> String {
        samples
            .into_iter()
            .map(|sample| breaker.observe(sample, &SETTINGS).name().as_bytes()[0] as char)
            .collect()
    }

    fn after(samples: &[f64]) -> String {
        levels(&mut Breaker::default(), samples.iter().copied().map(cpu))
    }

    #[test]
    fn high_and_critical_water_last_from_the_last_hit() {
        assert_eq!(after(&[50.0, 90.0, 90.1, 10.0, 10.0, 10.0]), "nnhhnn");
        assert_eq!(after(&[91.0, 10.0, 91.0, 10.0, 10.0]), "hhhhn");
        assert_eq!(after(&[96.0, 10.0, 10.0]), "chn");
        assert_eq!(after(&[96.0, 96.0, 92.0, 10.0, 10.0]), "cchhn");
    }

    #[test]
    fn dying_water_takes_seconds_in_a_row_and_ends_at_once() {
        assert_eq!(after(&[100.0; 7]), "ccccddd");
        assert_eq!(after(&[100.0, 100.0, 100.0, 100.0, 98.0, 100.0]), "cccccc");
        assert_eq!(after(&[100.0, 100.0, 100.0, 100.0, 100.0, 98.0, 1.0, 1.0]), "ccccdchn");
    }

    #[test]
    fn a_late_loop_is_load_too() {
        let mut breaker = Breaker::default();
        let samples = [late(499), late(500), late(1000), late(0), late(0), late(0)];
        assert_eq!(levels(&mut breaker, samples), "nhchnn");
        assert_eq!(levels(&mut breaker, [late(2000); 5]), "ccccd");
    }

    #[test]
    fn a_burst_of_players_is_let_in() {
        let mut breaker = Breaker::default();
        let refused = |breaker: &mut Breaker, sample| {
            breaker.observe(sample, &SETTINGS);
            breaker.refuses_players()
        };
        let burst = [97.0, 97.0, 50.0, 97.0, 97.0, 97.0, 97.0, 50.0].map(|percent| refused(&mut breaker, cpu(percent)));
        assert_eq!(burst, [false, false, false, false, false, true, true, false]);
        // Dying water refuses them however short it has to last.
        let short = CircuitBreaker {
            dying: Mark {
                threshold: 99,
                pulse: 1,
            },
            ..SETTINGS
        };
        let mut breaker = Breaker::default();
        assert_eq!(breaker.observe(cpu(100.0), &short), Water::Dying);
        assert!(breaker.refuses_players());
    }

    #[test]
    fn switched_off_it_forgets() {
        let mut breaker = Breaker::default();
        levels(&mut breaker, [cpu(100.0); 9]);
        let off = CircuitBreaker {
            enabled: false,
            ..SETTINGS
        };
        assert_eq!(breaker.observe(cpu(100.0), &off), Water::Normal);
        assert!(!breaker.refuses_players());
        assert_eq!(levels(&mut breaker, [cpu(100.0)]), "c");
    }

    #[test]
    fn a_reload_may_shorten_what_lasts() {
        let mut breaker = Breaker::default();
        let slow = CircuitBreaker {
            dying: Mark {
                threshold: 99,
                pulse: 50,
            },
            ..SETTINGS
        };
        for _ in 0..9 {
            assert_eq!(breaker.observe(cpu(100.0), &slow), Water::Critical);
        }
        assert_eq!(breaker.observe(cpu(100.0), &SETTINGS), Water::Dying);
    }
}
