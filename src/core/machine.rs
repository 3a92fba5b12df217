//! What the kernel tells of this process and its machine: cheap calls, and files under /proc, which never wait for a disk.

use std::fs;
use std::io;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::{SysconfVar, sysconf};

/// CPU time that the process has used, all its threads, user and system.
pub fn cpu_time() -> Duration {
    used(UsageWho::RUSAGE_SELF)
}

/// CPU time that the calling thread has used: for a coroutine that is the one of all coroutines.
pub fn thread_cpu_time() -> Duration {
    used(UsageWho::RUSAGE_THREAD)
}

fn used(who: UsageWho) -> Duration {
    let Ok(usage) = getrusage(who) else {
        return Duration::ZERO;
    };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Resident memory of the process, bytes; 0 if /proc does not tell.
pub fn resident_bytes() -> u64 {
    resident_bytes_of(std::process::id()).unwrap_or(0)
}

/// Resident memory of a process, bytes.
///
/// # Errors
/// `NotFound` when there is none of this number.
pub fn resident_bytes_of(pid: u32) -> io::Result<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
    Ok(pages * u64::try_from(page).unwrap_or(4096))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_used_time_and_memory() {
        let mut x = 0u64;
        while thread_cpu_time().is_zero() {
            x = std::hint::black_box(x + 1);
        }
        let own = thread_cpu_time();
        assert!(cpu_time() >= own);
        assert!(resident_bytes() > 100_000);
    }
}
