//! Memory (/proc/meminfo) and disks (/proc/vmstat, /proc/diskstats), see proc(5).

use serde::Serialize;

use super::{ratio, value_of};

/// Memory of the machine, KiB.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// Whether it was read.
    pub ok: bool,
    /// When, milliseconds since 1970.
    pub sample_time: u64,
    /// The share of the memory that programs use, 0 to 1.
    pub percent_ram: f64,
    /// The share of the swap space in use, 0 to 1.
    pub percent_swap: f64,
    /// All that is not free.
    #[serde(rename = "MemActive")]
    pub active: u64,
    /// What programs use: not free, and no cache.
    #[serde(rename = "RealInUse")]
    pub in_use: u64,
    /// What programs could get.
    #[serde(rename = "NotInUse")]
    pub not_in_use: u64,
    /// All.
    #[serde(rename = "MemTotal")]
    pub total: u64,
    /// Unused.
    #[serde(rename = "MemFree")]
    pub free: u64,
    /// Cached blocks.
    #[serde(rename = "Buffers")]
    pub buffers: u64,
    /// Cached files.
    #[serde(rename = "Cached")]
    pub cached: u64,
    /// All swap space.
    #[serde(rename = "SwapTotal")]
    pub swap_total: u64,
    /// Unused swap space.
    #[serde(rename = "SwapFree")]
    pub swap_free: u64,
}

impl Memory {
    pub(super) fn read(text: &str, now_ms: u64) -> Self {
        let value = |name| value_of(text, name).unwrap_or(0);
        let total = value("MemTotal");
        let (free, buffers, cached) = (value("MemFree"), value("Buffers"), value("Cached"));
        let (swap_total, swap_free) = (value("SwapTotal"), value("SwapFree"));
        let active = total.saturating_sub(free);
        let in_use = active.saturating_sub(buffers).saturating_sub(cached);
        Memory {
            ok: total > 0,
            sample_time: now_ms,
            percent_ram: ratio(in_use, total),
            percent_swap: ratio(swap_total.saturating_sub(swap_free), swap_total),
            active,
            in_use,
            not_in_use: total - in_use,
            total,
            free,
            buffers,
            cached,
            swap_total,
            swap_free,
        }
    }
}

/// What disks do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disks {
    /// Whether it was read.
    pub ok: bool,
    /// When, milliseconds since 1970.
    pub sample_time: u64,
    /// KiB a second from all disks, since the sample before.
    pub read_kbytes: u64,
    /// KiB a second to all disks, since the sample before.
    pub write_kbytes: u64,
    /// The share of the time that the busiest disk worked, 0 to 1.
    pub busy: f64,
    paged_in: u64,
    paged_out: u64,
    /// Milliseconds of work since boot, by disk.
    worked: Vec<(String, u64)>,
}

impl Disks {
    /// `counted` are the names of the disks that count; all when empty.
    pub(super) fn read(vmstat: &str, diskstats: &str, now_ms: u64, before: &Self, counted: &[String]) -> Self {
        let paged = (value_of(vmstat, "pgpgin"), value_of(vmstat, "pgpgout"));
        let mut sample = Disks {
            ok: paged.0.is_some(),
            sample_time: now_ms,
            paged_in: paged.0.unwrap_or(0),
            paged_out: paged.1.unwrap_or(0),
            worked: diskstats
                .lines()
                .filter_map(worked)
                .filter(|(name, _)| counts(name, counted))
                .collect(),
            ..Disks::default()
        };
        let span = now_ms.saturating_sub(before.sample_time);
        if before.ok && span > 0 {
            let a_second = |now: u64, before: u64| now.saturating_sub(before).saturating_mul(1000) / span;
            sample.read_kbytes = a_second(sample.paged_in, before.paged_in);
            sample.write_kbytes = a_second(sample.paged_out, before.paged_out);
            let worked = sample.worked.iter().filter_map(|(name, now)| {
                let (_, then) = before.worked.iter().find(|(known, _)| known == name)?;
                Some(now.saturating_sub(*then))
            });
            sample.busy = ratio(worked.max().unwrap_or(0).min(span), span);
        }
        sample
    }
}

/// The name and the work of one line of /proc/diskstats: the tenth number behind the name, milliseconds.
fn worked(line: &str) -> Option<(String, u64)> {
    let mut words = line.split_ascii_whitespace().skip(2);
    let name = words.next()?;
    Some((name.to_owned(), words.nth(9)?.parse().ok()?))
}

fn counts(name: &str, counted: &[String]) -> bool {
    match counted {
        // Not disks that are files or memory.
        [] => !name.starts_with("loop") && !name.starts_with("ram"),
        _ => counted.iter().any(|found| found == name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       1000 kB\nMemFree:         300 kB\nMemAvailable:    600 kB\n\
                           Buffers:          50 kB\nCached:          150 kB\nSwapCached: 7 kB\nSwapTotal: 200 kB\n\
                           SwapFree: 150 kB\n";

    #[test]
    fn caches_are_not_in_use() {
        let memory = Memory::read(MEMINFO, 9);
        assert!(memory.ok);
        assert_eq!((memory.active, memory.in_use, memory.not_in_use), (700, 500, 500));
        assert_eq!(
            (memory.percent_ram, memory.percent_swap, memory.cached),
            (0.5, 0.25, 150)
        );
        assert_eq!(Memory::read("MemTotal: 5 kB\n", 1).percent_swap, 0.0);
    }

    #[test]
    fn disks_are_as_busy_as_the_busiest() {
        let stats = |a, b| {
            format!(
                "   8       0 sda 1 2 3 4 5 6 7 8 0 {a} 9\n   8  1 sda1 1 2 3 4 5 6 7 8 0 {b} 9\n 7 0 loop0 1 2 3 4 5 6 7 8 0 99999 9\n"
            )
        };
        let first = Disks::read(
            "nr_free 1\npgpgin 1000\npgpgout 500\n",
            &stats(100, 50),
            1000,
            &Disks::default(),
            &[],
        );
        assert!(first.ok && first.busy == 0.0 && first.read_kbytes == 0);
        let second = |before: &Disks, counted: &[String]| {
            Disks::read("pgpgin 3000\npgpgout 600\n", &stats(600, 60), 3000, before, counted)
        };
        let all = second(&first, &[]);
        assert_eq!((all.read_kbytes, all.write_kbytes, all.busy), (1000, 50, 0.25));
        assert_eq!(second(&first, &["sda1".to_owned()]).busy, 0.005);
        assert_eq!(second(&first, &["sdb".to_owned()]).busy, 0.0);
    }
}
