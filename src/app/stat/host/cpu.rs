//! Processor time: of this process (/proc/self/stat) and of the machine (/proc/stat), see proc(5).

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{numbers, ratio};

/// The numbers of /proc/self/stat from the fourth field on, as proc(5) and the HTTP API call them.
const FIELDS: [&str; 41] = [
    "ppid",
    "pgrp",
    "session",
    "tty_nr",
    "tpgid",
    "flags",
    "minflt",
    "cminflt",
    "majflt",
    "cmajflt",
    "utime",
    "stime",
    "cutime",
    "cstime",
    "priority",
    "nice",
    "num_threads",
    "itrealvalue",
    "starttime",
    "vsize",
    "rss",
    "rsslim",
    "startcode",
    "endcode",
    "startstack",
    "kstkesp",
    "kstkeip",
    "signal",
    "blocked",
    "sigignore",
    "sigcatch",
    "wchan",
    "nswap",
    "cnswap",
    "exit_signal",
    "processor",
    "rt_priority",
    "policy",
    "delayacct_blkio_ticks",
    "guest_time",
    "cguest_time",
];
const UTIME: usize = 10;
const STIME: usize = 11;

/// /proc/self/stat. As data of the HTTP API it has all fields.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessCpu {
    /// Whether it was read.
    pub ok: bool,
    /// When, milliseconds since 1970.
    pub sample_time: u64,
    /// The share of one core since the sample before: 1.0 is a whole core.
    pub percent: f64,
    /// The process id.
    pub pid: i64,
    /// The program's name, in parentheses.
    pub comm: String,
    /// The state's letter.
    pub state: String,
    values: [i64; FIELDS.len()],
}

impl Default for ProcessCpu {
    fn default() -> Self {
        ProcessCpu {
            ok: false,
            sample_time: 0,
            percent: 0.0,
            pid: 0,
            comm: String::new(),
            state: String::new(),
            values: [0; FIELDS.len()],
        }
    }
}

impl ProcessCpu {
    pub(super) fn read(text: &str, now_ms: u64, before: &Self, ticks_a_second: u64) -> Self {
        let mut sample = ProcessCpu {
            sample_time: now_ms,
            ..ProcessCpu::default()
        };
        // The name may hold blanks and parentheses, so the last one ends it.
        let Some((name, rest)) = text.rsplit_once(')') else {
            return sample;
        };
        let Some((pid, name)) = name.split_once(" (") else {
            return sample;
        };
        let mut words = rest.split_ascii_whitespace();
        sample.pid = pid.parse().unwrap_or(0);
        sample.comm = format!("({name})");
        sample.state = words.next().unwrap_or_default().to_owned();
        let mut count = 0;
        for (value, word) in sample.values.iter_mut().zip(words) {
            // One of them, rsslim, is unsigned and may be all ones, which clients know as -1.
            *value = word.parse().unwrap_or_else(|_| word.parse::<u64>().unwrap_or(0) as i64);
            count += 1;
        }
        // Old kernels have no guest times.
        sample.ok = count > STIME;
        let span = now_ms.saturating_sub(before.sample_time).max(1);
        if before.ok {
            let used = sample.ticks().saturating_sub(before.ticks());
            sample.percent = ratio(used * 1000, ticks_a_second * span);
        }
        sample
    }

    fn ticks(&self) -> u64 {
        u64::try_from(self.values[UTIME].saturating_add(self.values[STIME])).unwrap_or(0)
    }
}

impl Serialize for ProcessCpu {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ok", &self.ok)?;
        map.serialize_entry("sample_time", &self.sample_time)?;
        map.serialize_entry("percent", &self.percent)?;
        map.serialize_entry("pid", &self.pid)?;
        map.serialize_entry("comm", &self.comm)?;
        map.serialize_entry("state", &self.state)?;
        for (name, value) in FIELDS.iter().zip(&self.values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The first line of /proc/stat: ticks of all processors since boot.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MachineCpu {
    /// Whether it was read.
    pub ok: bool,
    /// When, milliseconds since 1970.
    pub sample_time: u64,
    /// The busy share of all processors since the sample before, 0 to 1.
    pub percent: f64,
    /// In programs.
    pub user: u64,
    /// In programs of low priority.
    pub nice: u64,
    /// In the kernel.
    pub sys: u64,
    /// Idle.
    pub idle: u64,
    /// Idle while a disk works.
    pub iowait: u64,
    /// In interrupts.
    pub irq: u64,
    /// In soft interrupts.
    pub softirq: u64,
    /// Taken by the machine that this one is virtual on.
    pub steal: u64,
    /// Given to virtual machines; part of `user`.
    pub guest: u64,
}

impl MachineCpu {
    pub(super) fn read(text: &str, now_ms: u64, before: &Self) -> Self {
        let line = text.lines().find(|line| line.starts_with("cpu ")).unwrap_or_default();
        let mut values = numbers(line);
        let mut next = || values.next();
        let Some(user) = next() else {
            return MachineCpu {
                sample_time: now_ms,
                ..MachineCpu::default()
            };
        };
        let mut next = || next().unwrap_or(0);
        let mut sample = MachineCpu {
            ok: true,
            sample_time: now_ms,
            percent: 0.0,
            user,
            nice: next(),
            sys: next(),
            idle: next(),
            iowait: next(),
            irq: next(),
            softirq: next(),
            steal: next(),
            guest: next(),
        };
        if before.ok {
            let total = sample.total().saturating_sub(before.total());
            // The counter of idle time may go back a little.
            let idle = sample.idle.saturating_sub(before.idle).min(total);
            sample.percent = ratio(total - idle, total);
        }
        sample
    }

    /// Guest time is in user time already.
    fn total(&self) -> u64 {
        let parts = [
            self.user,
            self.nice,
            self.sys,
            self.idle,
            self.iowait,
            self.irq,
            self.softirq,
            self.steal,
        ];
        parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) b (c)) S 1 2 3 0 -1 4194560 100 200 3 4 500 250 7 8 20 0 2 0 12345 1000000 4096 \
                        18446744073709551615 1 2 3 4 5 0 0 4096 1234 0 0 0 17 1 0 0 6 0 0 9 9\n";

    #[test]
    fn the_process_uses_a_share_of_a_core() {
        let first = ProcessCpu::read(
            &STAT.replace(" 500 250 ", " 400 200 "),
            1000,
            &ProcessCpu::default(),
            100,
        );
        assert!(first.ok && first.percent == 0.0);
        let second = ProcessCpu::read(STAT, 4000, &first, 100);
        assert_eq!(
            (second.pid, second.comm.as_str(), second.state.as_str()),
            (42, "(a) b (c))", "S")
        );
        assert_eq!(second.percent, 0.5);
        let json = serde_json::to_value(&second).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            names[..7],
            ["ok", "sample_time", "percent", "pid", "comm", "state", "ppid"]
        );
        assert_eq!((names.len(), names[46]), (47, "cguest_time"));
        assert_eq!(
            (&json["rss"], &json["rsslim"], &json["tpgid"]),
            (&4096.into(), &(-1).into(), &(-1).into())
        );
    }

    #[test]
    fn the_machine_is_busy_when_it_is_not_idle() {
        let first = MachineCpu::read("cpu  100 0 50 800 10 1 2 3 4 0\ncpu0 1 1\n", 1, &MachineCpu::default());
        let second = MachineCpu::read("cpu  140 0 60 850 10 1 2 3 4 0\n", 2, &first);
        assert_eq!((second.user, second.guest, second.percent), (140, 4, 0.5));
        let back = MachineCpu::read("cpu  140 0 60 840 10 1 2 3 4 0\n", 3, &second);
        assert_eq!(back.percent, 0.0);
        let old = MachineCpu::read("cpu  1 2 3 4\n", 1, &MachineCpu::default());
        assert!(old.ok && old.idle == 4 && old.guest == 0);
    }
}
