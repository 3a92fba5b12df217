//! Waiting for something to become true, with a bound.

use std::time::{Duration, Instant};

/// Asks `condition` every 20 ms until it gives a value; fails the test after `seconds`, saying what was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, seconds: u64, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {seconds} s in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
