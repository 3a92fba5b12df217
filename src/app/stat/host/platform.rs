//! Uptime, load and processors (/proc/uptime, /proc/loadavg).

use nix::unistd::{SysconfVar, sysconf};

/// The machine as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Platform {
    /// Whether it was read.
    pub ok: bool,
    /// When, milliseconds since 1970.
    pub sample_time: u64,
    /// Seconds since boot.
    pub uptime: f64,
    /// Seconds that the processors were idle, all together.
    pub idle_time: f64,
    /// The load average over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Processors that are there.
    pub cpus: u64,
    /// Processors that are used.
    pub cpus_online: u64,
}

impl Platform {
    pub(super) fn read(uptime: &str, loadavg: &str, now_ms: u64) -> Self {
        let mut times = decimals(uptime);
        let mut loads = decimals(loadavg);
        let up = times.next();
        let count = |which| match sysconf(which) {
            Ok(Some(count)) => u64::try_from(count).unwrap_or(0),
            _ => 0,
        };
        Platform {
            ok: up.is_some(),
            sample_time: now_ms,
            uptime: up.unwrap_or(0.0),
            idle_time: times.next().unwrap_or(0.0),
            load: std::array::from_fn(|_| loads.next().unwrap_or(0.0)),
            cpus: count(SysconfVar::_NPROCESSORS_CONF),
            cpus_online: count(SysconfVar::_NPROCESSORS_ONLN),
        }
    }
}

fn decimals(text: &str) -> impl Iterator<Item = f64> {
    let words = text.split_ascii_whitespace();
    words.map_while(|word| word.parse().ok().filter(|value: &f64| value.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_and_load_are_read() {
        let platform = Platform::read("2966.40 4368.81\n", "2.00 1.13 0.72 1/500 1234\n", 7);
        assert_eq!((platform.uptime, platform.idle_time), (2966.4, 4368.81));
        assert_eq!(platform.load, [2.0, 1.13, 0.72]);
    }
}
