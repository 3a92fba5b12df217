//! Free ports that no other test takes meanwhile.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};

use nix::fcntl::{Flock, FlockArg};

use super::workdir::target;

/// Below the range that the system hands out to clients, so that no client's own port is in the way.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// A port that belongs to this test until it is dropped: a locked file stands for it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: Flock<File>,
}

impl Port {
    pub fn free() -> Self {
        let folder = target().join("ports");
        fs::create_dir_all(&folder).expect("create the folder of port locks");
        for _ in 0..1000 {
            let number = fastrand::u16(RANGE);
            let file = File::create(folder.join(number.to_string())).expect("create a port's lock file");
            let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
                continue;
            };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Port { number, _lock: lock };
            }
        }
        panic!("no free port in {RANGE:?} after 1000 tries");
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}
