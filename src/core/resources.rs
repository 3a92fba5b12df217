//! What the system lets the process have, and how much of it is used: descriptors, memory maps, memory.
//!
//! The figures are the kernel's own, under /proc and /sys/fs/cgroup, so no disk is waited for; but a process with many
//! descriptors and maps has long lists of them, which are read in pieces while others run.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};

use super::{coroutine, machine};

/// Where control groups are.
const GROUPS: &str = "/sys/fs/cgroup";
/// What is read of the list of maps at a time, bytes: the kernel gives a page at most.
const PIECE_BYTES: usize = 4 << 10;

/// How much of something is used, of how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What is used.
    pub used: u64,
    /// What may be used, above 0.
    pub limit: u64,
}

/// All of it; `None` for what the system does not tell or does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Descriptors, against RLIMIT_NOFILE.
    pub open_files: Option<Usage>,
    /// Memory maps, against vm.max_map_count.
    pub memory_maps: Option<Usage>,
    /// Resident memory, bytes, against the least of the control group's limits and the machine's memory.
    pub memory: Option<Usage>,
    /// Whether the control group limits memory, and not the machine.
    pub is_grouped: bool,
}

/// Looks at all of it. Takes about a microsecond for each map, and on kernels before 6.2 for each descriptor. Yields.
pub fn look() -> Resources {
    let machine = value(&read("/proc/meminfo"), "MemTotal:").map(|kilobytes| kilobytes.saturating_mul(1024));
    let group = group_memory(Path::new(GROUPS), &read("/proc/self/cgroup"));
    let group = group.filter(|group| machine.is_none_or(|machine| *group < machine));
    Resources {
        open_files: usage(open_files(), file_limit()),
        memory_maps: usage(memory_maps(), read("/proc/sys/vm/max_map_count").trim().parse().ok()),
        memory: usage(Some(machine::resident_bytes()), group.or(machine)),
        is_grouped: group.is_some(),
    }
}

fn usage(used: Option<u64>, limit: Option<u64>) -> Option<Usage> {
    let (used, limit) = (used?, limit?);
    (used > 0 && limit > 0).then_some(Usage { used, limit })
}

/// How many files the process may have open, if the system tells.
pub fn file_limit() -> Option<u64> {
    // The width of the type differs between C libraries.
    #[allow(clippy::useless_conversion)]
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft.into())
}

fn open_files() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    // Its size is how many there are, since Linux 6.2; before, it was 0.
    match fs::metadata(FOLDER).map(|folder| folder.len()) {
        Ok(count) if count > 0 => Some(count),
        // One is that of the folder itself.
        _ => Some((fs::read_dir(FOLDER).ok()?.inspect(|_| coroutine::tick()).count() as u64).saturating_sub(1)),
    }
}

/// One line of the list for each.
fn memory_maps() -> Option<u64> {
    let mut list = File::open("/proc/self/maps").ok()?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut lines = 0;
    loop {
        coroutine::tick();
        match list.read(&mut piece).ok()? {
            0 => return Some(lines),
            count => lines += piece[..count].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
}

/// The least memory, bytes, that a group of the process or one around it may have: `text` is /proc/self/cgroup (see
/// cgroups(7)), `root` where groups are mounted.
fn group_memory(root: &Path, text: &str) -> Option<u64> {
    let limits = text.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (base, file) = match controllers {
            "" if number == "0" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        least(&base, path, file)
    });
    limits.min()
}

/// Of the folder and all above it, down to `base`. In a container its path is often that of the machine, which is not
/// there; then `base` itself is the container's.
fn least(base: &Path, path: &str, file: &str) -> Option<u64> {
    let own: PathBuf = base.join(path.trim_start_matches('/'));
    let folders = own.ancestors().take_while(|folder| folder.starts_with(base));
    // The text for no limit is no number, or one above all memory.
    let limits = folders.filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok());
    limits.min()
}

fn value(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_and_mapped_is_counted() {
        let before = look();
        let opened: Vec<_> = (0..40).map(|_| File::open("/proc/self/stat").unwrap()).collect();
        let after = look();
        let used = |usage: Option<Usage>| usage.unwrap().used;
        // Other tests close files meanwhile.
        assert!(used(after.open_files) + 20 >= used(before.open_files) + opened.len() as u64);
        assert!(after.open_files.unwrap().limit > 40 && used(after.open_files) > 40);
        assert!(used(after.memory_maps) > 10 && after.memory_maps.unwrap().limit > 1000);
        let memory = after.memory.unwrap();
        assert!(memory.used > 100_000 && memory.used < memory.limit, "{memory:?}");
    }

    #[test]
    fn the_tightest_group_limits() {
        let root = std::env::temp_dir().join(format!("srs-groups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let limit = |text: &str| group_memory(&root, text);
        assert_eq!(limit("0::/a/b\n"), None);
        write("a/memory.max", "1000\n");
        write("a/b/memory.max", "max\n");
        assert_eq!(limit("0::/a/b\n"), Some(1000));
        write("a/b/memory.max", "300\n");
        assert_eq!(limit("0::/a/b\n"), Some(300));
        // In a container.
        write("memory.max", "2000\n");
        assert_eq!(limit("0::/system.slice/docker-1.scope\n"), Some(2000));
        // Version 1.
        write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/memory.limit_in_bytes", "500\n");
        assert_eq!(limit("3:cpu,cpuacct:/c\n4:memory:/c\n"), Some(500));
        assert_eq!(limit("4:memory:/../../c\n0::/a\n"), Some(500));
        assert_eq!(
            (limit(""), limit("4:memory\n"), limit("4:pids:/a\n")),
            (None, None, None)
        );
        fs::remove_dir_all(root).unwrap();
    }
}
