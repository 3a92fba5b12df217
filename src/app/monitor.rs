//! A line every five seconds that tells how the process does.

use std::time::Duration;

use crate::core::clock::Moment;
use crate::core::{coroutine, machine};

const PERIOD: Duration = Duration::from_secs(5);

/// Logs until the process ends. Yields.
pub fn run() {
    let mut before = (Moment::now(), machine::cpu_time());
    loop {
        coroutine::sleep(PERIOD);
        let now = (Moment::now(), machine::cpu_time());
        let wall = now.0.since(before.0).as_secs_f64().max(0.001);
        let percent = now.1.saturating_sub(before.1).as_secs_f64() / wall * 100.0;
        before = now;
        let dropped = crate::kernel::log::dropped_lines();
        let lost = if dropped > 0 {
            format!(", {dropped} log lines lost")
        } else {
            String::new()
        };
        log::info!(
            "Hybrid cpu={percent:.2}%,{}MB, coroutines={}{lost}",
            machine::resident_bytes() >> 20,
            coroutine::live_count()
        );
    }
}
