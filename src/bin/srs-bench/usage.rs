//! What a process uses, ours or another one's, as the kernel tells.

use std::io;
use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;
use srs_may::core::machine::resident_bytes_of;

/// What one or several processes have used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// CPU time, user and system, since they started.
    pub cpu: Duration,
    /// Resident memory, bytes.
    pub resident: u64,
}

impl Usage {
    /// Of this process.
    pub fn ours() -> Self {
        Self::of(&[std::process::id()]).unwrap_or_default()
    }

    /// Of all these processes together.
    ///
    /// # Errors
    /// `NotFound` if one of them does not exist.
    pub fn of(pids: &[u32]) -> io::Result<Self> {
        let mut sum = Usage::default();
        for pid in pids {
            let number = i32::try_from(*pid).map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
            let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(number))?;
            sum.cpu += Duration::from(clock.now()?);
            sum.resident += resident_bytes_of(*pid)?;
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_usage_grows() {
        let before = Usage::ours();
        let mut x = 0u64;
        while Usage::ours().cpu <= before.cpu {
            x = std::hint::black_box(x + 1);
        }
        assert!(before.resident > 100_000);
        assert!(Usage::of(&[u32::MAX]).is_err());
    }
}
