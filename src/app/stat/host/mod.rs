//! How process and machine do: what /proc and getrusage tell, sampled now and then.
//!
//! /proc is no disk: the kernel answers at once, so it is read on the thread.

mod cpu;
mod memory;
mod network;
mod platform;
mod process;

use std::cell::{Ref, RefCell};
use std::fs;
use std::io::Read;

pub use self::cpu::{MachineCpu, ProcessCpu};
pub use self::memory::{Disks, Memory};
pub use self::network::{Devices, Sockets, device_address, reachable_address};
pub use self::platform::Platform;
pub use self::process::{Rusage, SelfInfo};
use crate::core::clock;

/// The largest file of /proc that is read, bytes; that of a machine with a thousand processors is below.
const PROC_BYTES: u64 = 1 << 20;

/// The newest samples.
#[derive(Default)]
pub struct Host {
    /// What does not change.
    pub process: SelfInfo,
    rusage: RefCell<Rusage>,
    process_cpu: RefCell<ProcessCpu>,
    machine_cpu: RefCell<MachineCpu>,
    memory: RefCell<Memory>,
    disks: RefCell<Disks>,
    platform: RefCell<Platform>,
    devices: RefCell<Devices>,
    sockets: RefCell<Sockets>,
    /// The names of the disks that count; all when empty.
    counted_disks: RefCell<Vec<String>>,
}

impl Host {
    /// No samples, as while `stats` is off.
    pub fn unsampled() -> Self {
        Host {
            process: SelfInfo::look(),
            ..Host::default()
        }
    }

    /// The first samples; rates come with the second ones.
    pub fn sampled() -> Self {
        let host = Host::unsampled();
        host.sample_cpu();
        host.sample_memory();
        host.sample_network();
        host
    }

    /// Samples the use of the processors.
    pub fn sample_cpu(&self) {
        let now = wall_ms();
        self.rusage.replace(Rusage::sample(now));
        let machine = MachineCpu::read(&read("/proc/stat"), now, &self.machine_cpu.borrow());
        let process = ProcessCpu::read(
            &read("/proc/self/stat"),
            now,
            &self.process_cpu.borrow(),
            process::ticks_a_second(),
        );
        self.machine_cpu.replace(machine);
        self.process_cpu.replace(process);
    }

    /// Samples memory and disks.
    pub fn sample_memory(&self) {
        let now = wall_ms();
        self.memory.replace(Memory::read(&read("/proc/meminfo"), now));
        let disks = Disks::read(
            &read("/proc/vmstat"),
            &read("/proc/diskstats"),
            now,
            &self.disks.borrow(),
            &self.counted_disks.borrow(),
        );
        self.disks.replace(disks);
    }

    /// Counts the work of these disks from the next sample on; of all when there are none.
    pub fn count_disks(&self, names: &[String]) {
        self.counted_disks.replace(names.to_vec());
    }

    /// Samples the machine's load, network and sockets.
    pub fn sample_network(&self) {
        let now = wall_ms();
        self.platform
            .replace(Platform::read(&read("/proc/uptime"), &read("/proc/loadavg"), now));
        self.devices
            .replace(Devices::read(&read("/proc/net/dev"), &network::public_devices(), now));
        let sockets = Sockets::read(
            &read("/proc/net/sockstat"),
            &read("/proc/net/sockstat6"),
            &read("/proc/net/snmp"),
        );
        self.sockets.replace(sockets);
    }

    /// What getrusage told.
    pub fn rusage(&self) -> Ref<'_, Rusage> {
        self.rusage.borrow()
    }

    /// The process's share of the processors.
    pub fn process_cpu(&self) -> Ref<'_, ProcessCpu> {
        self.process_cpu.borrow()
    }

    /// The machine's processors.
    pub fn machine_cpu(&self) -> Ref<'_, MachineCpu> {
        self.machine_cpu.borrow()
    }

    /// Memory.
    pub fn memory(&self) -> Ref<'_, Memory> {
        self.memory.borrow()
    }

    /// Disks.
    pub fn disks(&self) -> Ref<'_, Disks> {
        self.disks.borrow()
    }

    /// Uptime, load, processors.
    pub fn platform(&self) -> Ref<'_, Platform> {
        self.platform.borrow()
    }

    /// Bytes of the network devices.
    pub fn devices(&self) -> Ref<'_, Devices> {
        self.devices.borrow()
    }

    /// Sockets of the machine.
    pub fn sockets(&self) -> Ref<'_, Sockets> {
        self.sockets.borrow()
    }
}

/// Wall-clock time, milliseconds since 1970.
pub fn wall_ms() -> u64 {
    u64::try_from(clock::unix_time().as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970 as a date and a time of UTC.
pub fn date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(0);
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    moment.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A file of /proc; empty when the kernel has none, as in some containers.
fn read(path: &str) -> String {
    let mut text = String::new();
    if let Ok(file) = fs::File::open(path) {
        // What is not text is not one of these files.
        let _ = file.take(PROC_BYTES).read_to_string(&mut text);
    }
    text
}

/// The numbers of a line, behind its first word.
fn numbers(line: &str) -> impl Iterator<Item = u64> {
    line.split_ascii_whitespace()
        .skip(1)
        .map(|word| word.parse().unwrap_or(0))
}

/// The number behind a name at the start of a line.
fn value_of(text: &str, name: &str) -> Option<u64> {
    let fits = |line: &&str| line.split([' ', ':', '\t']).next() == Some(name);
    text.lines().find(fits).and_then(|line| numbers(line).next())
}

/// A part of a whole, 0 of nothing.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_sampled() {
        let host = Host::sampled();
        assert!(host.rusage().ok && host.rusage().ru_maxrss > 0);
        assert!(host.process_cpu().ok && host.machine_cpu().ok && host.memory().ok);
        assert!(host.memory().total > 10_000 && host.platform().uptime > 0.0);
        assert!(host.platform().cpus_online >= 1 && host.platform().cpus >= host.platform().cpus_online);
        let mut x = 0u64;
        while host.process_cpu().percent == 0.0 {
            for _ in 0..10_000_000 {
                x = std::hint::black_box(x + 1);
            }
            host.sample_cpu();
        }
        assert!(host.process_cpu().percent < 64.0 && host.machine_cpu().percent <= 1.0);
    }

    #[test]
    fn dates_are_readable() {
        assert_eq!(date(0), "1970-01-01 00:00:00");
        assert_eq!(date(1_795_373_596), "2026-11-22 18:53:16");
        assert_eq!(date(u64::MAX), "1970-01-01 00:00:00");
    }

    #[test]
    fn files_that_are_missing_or_broken_give_nothing() {
        assert_eq!(read("/proc/no/such/file"), "");
        for text in ["", "\n", ":", "cpu", "cpu a b", "\u{fffd}", "MemTotal:", "12 ( S 1"] {
            assert!(!ProcessCpu::read(text, 1, &ProcessCpu::default(), 100).ok, "{text}");
            assert!(!Memory::read(text, 1).ok, "{text}");
            MachineCpu::read(text, 1, &MachineCpu::default());
            Disks::read(text, text, 1, &Disks::default(), &[]);
            Platform::read(text, text, 1);
            Devices::read(text, &[], 1);
            Sockets::read(text, text, text);
        }
    }
}
