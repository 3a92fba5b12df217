//! A line every five seconds that tells how the process does.

use std::fs;
use std::time::Duration;

use crate::core::clock::Moment;
use crate::core::coroutine;

const PERIOD: Duration = Duration::from_secs(5);

/// Logs until the process ends. Yields.
pub fn run() {
    let mut before = (Moment::now(), cpu_time());
    loop {
        coroutine::sleep(PERIOD);
        let now = (Moment::now(), cpu_time());
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
            resident_bytes() >> 20,
            coroutine::live_count()
        );
    }
}

/// CPU time that the process has used, user and system.
pub fn cpu_time() -> Duration {
    use nix::sys::time::TimeValLike;
    let Ok(usage) = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF) else {
        return Duration::ZERO;
    };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Resident memory of the process, bytes; 0 if /proc does not tell.
pub fn resident_bytes() -> u64 {
    // Not a disk: the kernel answers at once.
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .unwrap_or(4096);
    pages * u64::try_from(page).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_used_time_and_memory() {
        let mut x = 0u64;
        while cpu_time().is_zero() {
            x = std::hint::black_box(x + 1);
        }
        assert!(resident_bytes() > 100_000);
    }
}
