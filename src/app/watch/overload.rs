//! How overloaded the server is, and who is turned away or put off for it.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::time::Duration;

use super::breaker::{Breaker, Sample, Water};
use crate::app::config::section::circuit_breaker::CircuitBreaker;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::sync::Condition;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// How often refused connections are logged.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// The circuit breaker's part of the server.
#[derive(Default)]
pub struct Overload {
    breaker: RefCell<Breaker>,
    water: Cell<Water>,
    /// When the water was normal last.
    rose: Cell<Moment>,
    changed: Condition,
    refused: Cell<u64>,
    /// The next line of a refused connection may be written then.
    log_at: Cell<Moment>,
    unlogged: Cell<u64>,
}

impl Overload {
    /// Takes the load of one more second. Logs each change of the level.
    pub fn observe(&self, sample: Sample, settings: &CircuitBreaker) {
        let before = self.water.get();
        let water = self.breaker.borrow_mut().observe(sample, settings);
        if before == Water::Normal {
            self.rose.set(Moment::now());
        }
        if water != before {
            self.water.set(water);
            self.tell(before, sample);
            self.changed.notify_all();
        }
    }

    fn tell(&self, before: Water, sample: Sample) {
        let water = self.water.get();
        let (name, cpu, lag) = (water.name(), sample.cpu_percent, sample.lag.as_millis());
        let effect = match water {
            Water::Normal => format!("over after {} s", Moment::now().since(self.rose.get()).as_secs()),
            Water::High => "ingesters and transcoders start later".to_owned(),
            Water::Critical => "new players are refused while it lasts".to_owned(),
            Water::Dying => "all new clients are refused".to_owned(),
        };
        let line = format!("circuit breaker: {name} water, cpu={cpu:.2}%, lag={lag}ms, {effect}");
        match water > before {
            true => log::warn!("{line}"),
            false => log::info!("{line}"),
        }
    }

    /// The level.
    pub fn water(&self) -> Water {
        self.water.get()
    }

    /// How many clients were refused.
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Whether a new player may come.
    ///
    /// # Errors
    /// [`ErrorCode::ConnectionsExceed`]: the server is overloaded.
    pub fn admit_player(&self) -> Result<()> {
        if !self.breaker.borrow().refuses_players() {
            return Ok(());
        }
        self.refused.set(self.refused.get() + 1);
        let text = format!(
            "no new players, the server is overloaded ({} water)",
            self.water().name()
        );
        Err(Error::new(ErrorCode::ConnectionsExceed, text))
    }

    /// Whether a client that just connected may stay, to publish or to play. Logs refusals, not each of them.
    pub fn admit(&self, client: impl Display) -> bool {
        if self.water() != Water::Dying {
            return true;
        }
        self.refused.set(self.refused.get() + 1);
        let now = Moment::now();
        if now < self.log_at.get() {
            self.unlogged.set(self.unlogged.get() + 1);
            return false;
        }
        self.log_at.set(now + LOG_PAUSE);
        let more = self.unlogged.take();
        log::warn!("{client} is refused, the server is overloaded (dying water); {more} more since the last such line");
        false
    }

    /// Waits until what is not urgent may begin, `deadline`, or an interrupt. Yields.
    pub fn wait_for_calm(&self, deadline: Moment) {
        while self.water() >= Water::High && !coroutine::is_interrupted() {
            if !self.changed.wait_until(deadline) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::app::config::section::circuit_breaker::Mark;
    use crate::core::runtime::run;

    const SETTINGS: CircuitBreaker = CircuitBreaker {
        enabled: true,
        high: Mark {
            threshold: 10,
            pulse: 1,
        },
        critical: Mark {
            threshold: 20,
            pulse: 1,
        },
        dying: Mark {
            threshold: 30,
            pulse: 2,
        },
    };

    fn observe(overload: &Overload, cpu_percent: f64) {
        let lag = Duration::ZERO;
        overload.observe(Sample { cpu_percent, lag }, &SETTINGS);
    }

    #[test]
    fn clients_are_refused_by_level() {
        let overload = Overload::default();
        let admits = |percent| {
            observe(&overload, percent);
            (overload.admit_player().is_ok(), overload.admit("192.0.2.1:1"))
        };
        let fine = (true, true);
        assert_eq!([11.0, 21.0, 21.0].map(admits), [fine; 3]);
        assert_eq!(admits(21.0), (false, true));
        assert_eq!([31.0, 31.0].map(admits), [(false, true), (false, false)]);
        assert_eq!(overload.refused(), 4);
        assert_eq!(admits(0.0), fine);
        for _ in 0..2 {
            observe(&overload, 31.0);
        }
        let refused = overload.admit_player().unwrap_err();
        assert_eq!(refused.code(), ErrorCode::ConnectionsExceed);
        assert!(refused.to_string().contains("dying water"), "{refused}");
    }

    #[test]
    fn what_is_not_urgent_waits_for_calm() {
        run(|| {
            let overload = Rc::new(Overload::default());
            let far = || Moment::after(Duration::from_secs(60));
            overload.wait_for_calm(far());
            observe(&overload, 11.0);
            overload.wait_for_calm(Moment::after(Duration::from_millis(5)));
            assert_eq!(overload.water(), Water::High);
            let waiting = overload.clone();
            let waiter = coroutine::spawn("waiter", move || waiting.wait_for_calm(far()));
            coroutine::yield_now();
            observe(&overload, 21.0);
            coroutine::yield_now();
            assert!(!waiter.is_done());
            observe(&overload, 0.0);
            waiter.join().unwrap();
        })
        .unwrap();
    }
}
