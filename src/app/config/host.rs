//! What a configuration is checked against on the machine that it shall run on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::ifaddrs::getifaddrs;

use crate::core::resources::file_limit;

/// Facts of the machine; tests make them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// How many files the process may have open.
    pub open_files: u64,
    /// How many addresses the machine has, loopback ones only if there are no others.
    pub addresses: usize,
    /// Whether the process runs in a container.
    pub in_docker: bool,
    /// Whether the programs that a configuration names are looked for.
    pub looks_for_programs: bool,
}

impl Host {
    /// A machine for tests, where no program is looked for.
    #[cfg(test)]
    pub const TEST: Host = Host {
        open_files: 65_536,
        addresses: 2,
        in_docker: false,
        looks_for_programs: false,
    };

    /// Asks the operating system; what it does not tell does not refuse a configuration.
    pub fn detect() -> Self {
        Host {
            open_files: file_limit().unwrap_or(u64::MAX),
            addresses: count_addresses(),
            in_docker: fs::read_to_string("/proc/1/cgroup").is_ok_and(|text| text.contains("/docker")),
            looks_for_programs: true,
        }
    }

    /// Whether a program of this name can be started, as far as it is looked for: by its path, or by PATH when it has no
    /// slash.
    pub fn has_program(&self, name: &str) -> bool {
        let runs = |path: &Path| {
            let mode = fs::metadata(path).map(|file| if file.is_file() { file.mode() } else { 0 });
            mode.is_ok_and(|mode| mode & 0o111 != 0)
        };
        if !self.looks_for_programs || name.contains('/') {
            return !self.looks_for_programs || runs(Path::new(name));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| runs(&folder.join(name)))
    }
}

fn count_addresses() -> usize {
    let Ok(interfaces) = getifaddrs() else { return 1 };
    let (mut outside, mut loopback) = (0, 0);
    for interface in interfaces {
        let Some(address) = interface.address else { continue };
        let is_loopback = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => v4.ip().is_loopback(),
            (_, Some(v6)) => v6.ip().is_loopback(),
            _ => continue,
        };
        *(if is_loopback { &mut loopback } else { &mut outside }) += 1;
    }
    if outside > 0 { outside } else { loopback }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_files_and_addresses() {
        let host = Host::detect();
        assert!(host.open_files > 0);
        assert!(host.addresses > 0);
    }

    #[test]
    fn programs_are_looked_for() {
        let host = Host::detect();
        assert!(host.has_program("sh") && host.has_program("/bin/sh"));
        // A folder, a file that may not be run, and nothing.
        for name in ["/tmp", "/etc/passwd", "./none/ffmpeg", "no-such-program", ""] {
            assert!(!host.has_program(name), "{name}");
        }
    }
}
