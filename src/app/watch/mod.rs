//! The server watches itself: how loaded it is, how it does, and what time it is.
//!
//! Each second the load goes through the circuit breaker (`circuit_breaker`), which tells whom to turn away while there is
//! too much of it. A line tells now and then how the process does (`threads`), and warnings tell of timers that are late and
//! of a clock that jumps. Limits of the system are watched before they bite. See `docs/operations.md`.

mod breaker;
mod clock;
pub mod limits;
mod monitor;
mod overload;

use std::rc::Rc;
use std::time::Duration;

pub use self::breaker::{Sample, Water};
use self::clock::ClockWatch;
pub use self::limits::Limits;
use self::monitor::Monitor;
pub use self::overload::Overload;
use super::server::Server;
use crate::core::clock::{self as clocks, Moment};
use crate::core::{coroutine, machine, runtime};

/// The span of one sample of the load.
const TICK: Duration = Duration::from_secs(1);

/// Watches until the process ends. Yields.
pub fn run(server: &Rc<Server>) {
    let (mut meter, mut monitor) = (Meter::begin(), Monitor::begin());
    let mut clock = ClockWatch::begin(clocks::both());
    loop {
        coroutine::sleep(TICK);
        let (config, sample) = (server.config(), meter.sample());
        server.overload.observe(sample, &config.circuit_breaker);
        if let Some(jump) = clock.look(clocks::both()) {
            log::warn!("{jump}");
        }
        if monitor.observe(sample, config.threads.interval) {
            monitor.report(server);
        }
    }
}

/// Measures the load since the sample before.
struct Meter {
    since: Moment,
    used: Duration,
}

impl Meter {
    fn begin() -> Self {
        runtime::take_lag();
        Meter {
            since: Moment::now(),
            used: machine::thread_cpu_time(),
        }
    }

    fn sample(&mut self) -> Sample {
        let (now, used) = (Moment::now(), machine::thread_cpu_time());
        let span = now.since(self.since).as_secs_f64().max(0.001);
        let cpu_percent = used.saturating_sub(self.used).as_secs_f64() / span * 100.0;
        (self.since, self.used) = (now, used);
        Sample {
            cpu_percent,
            lag: runtime::take_lag(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::runtime::run;

    #[test]
    fn a_thread_that_is_kept_busy_has_load_and_lag() {
        run(|| {
            let mut meter = Meter::begin();
            coroutine::spawn("sleeper", || coroutine::sleep(Duration::from_millis(1)));
            coroutine::yield_now();
            let until = machine::thread_cpu_time() + Duration::from_millis(50);
            while machine::thread_cpu_time() < until {}
            coroutine::sleep(Duration::from_millis(1));
            let busy = meter.sample();
            assert!(
                busy.cpu_percent > 0.0 && busy.lag >= Duration::from_millis(40),
                "{busy:?}"
            );
            coroutine::sleep(Duration::from_millis(200));
            let idle = meter.sample();
            assert!(idle.cpu_percent < 100.0, "{idle:?}");
        })
        .unwrap();
    }
}
