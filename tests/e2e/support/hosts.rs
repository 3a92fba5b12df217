//! Several hosts on one machine: network namespaces that a bridge joins, each with an address of its own.
//!
//! The whole test runs in namespaces of its own (see [`apart`]), so nothing of the machine's network is touched, no right is
//! needed that a user lacks, and the kernel takes all of it away with the last process in it.

use std::env;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

use super::program::run;
use super::workdir::WorkDir;

/// Tells a test that it is the one in namespaces of its own.
const APART: &str = "SRS_E2E_APART";

/// Runs the test of this path, whose body `act` is, once more in a network and a view of the file system of its own.
#[track_caller]
pub fn apart(test: &str, act: impl FnOnce()) {
    if env::var_os(APART).is_some() {
        return act();
    }
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    // Names of networks are files there.
    let script = "mount -t tmpfs none /run && ip link set lo up && exec \"$0\" \"$@\"";
    command.args(["--net", "--mount", "sh", "-c", script]);
    command.arg(env::current_exe().expect("the path of this program"));
    command.args(["--exact", test, "--nocapture"]).env(APART, "1");
    let folder = WorkDir::new("apart");
    let ended = run("unshare", &folder, 120, &mut command).ok();
    assert!(
        ended.output.contains("1 passed"),
        "{test} is not found:\n{}",
        ended.output
    );
    println!("{}", ended.output);
}

/// A network of hosts. Dropping it removes it.
pub struct Hosts {
    bridge: String,
    names: Vec<String>,
}

impl Hosts {
    /// So many hosts that reach each other.
    #[track_caller]
    pub fn new(count: usize) -> Self {
        let mut hosts = Hosts {
            bridge: "bridge".to_owned(),
            names: Vec::new(),
        };
        ip(&["netns", "add", &hosts.bridge]);
        ip(&["-n", &hosts.bridge, "link", "add", "bridge", "type", "bridge"]);
        ip(&["-n", &hosts.bridge, "link", "set", "bridge", "up"]);
        for number in 0..count {
            hosts.add(number, &format!("host{number}"));
        }
        hosts
    }

    fn add(&mut self, number: usize, name: &str) {
        ip(&["netns", "add", name]);
        self.names.push(name.to_owned());
        let end = format!("h{number}");
        ip(&[
            "-n",
            &self.bridge,
            "link",
            "add",
            &end,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            name,
        ]);
        ip(&["-n", &self.bridge, "link", "set", &end, "master", "bridge", "up"]);
        ip(&["-n", name, "link", "set", "lo", "up"]);
        ip(&[
            "-n",
            name,
            "addr",
            "add",
            &format!("{}/24", self.address(number)),
            "dev",
            "eth0",
        ]);
        ip(&["-n", name, "link", "set", "eth0", "up"]);
    }

    /// The address of a host.
    pub fn address(&self, number: usize) -> String {
        format!("10.99.0.{}", number + 1)
    }

    /// Cuts a host off from all others, or joins it again.
    pub fn connect(&self, number: usize, is_connected: bool) {
        let state = if is_connected { "up" } else { "down" };
        ip(&["-n", &self.bridge, "link", "set", &format!("h{number}"), state]);
    }

    /// Has packets to a host lost and delayed, such as `delay 40ms loss 2%`; false where the kernel cannot do that.
    pub fn disturb(&self, number: usize, how: &str) -> bool {
        let end = format!("h{number}");
        let mut command = Command::new("tc");
        command.args(["-n", &self.bridge, "qdisc", "add", "dev", &end, "root", "netem"]);
        command.args(how.split(' '));
        command.output().is_ok_and(|output| output.status.success())
    }

    /// Does something on a host: its threads and programs have the host's network.
    pub fn on<T: Send>(&self, number: usize, act: impl FnOnce() -> T + Send) -> T {
        let path = PathBuf::from("/run/netns").join(&self.names[number]);
        std::thread::scope(|scope| {
            let acting = scope.spawn(move || {
                let namespace = File::open(&path).unwrap_or_else(|e| panic!("open {}: {e}", path.display()));
                setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).expect("enter a network namespace");
                act()
            });
            acting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in self.names.iter().chain([&self.bridge]) {
            // What is left of it goes with the last process in it.
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}

#[track_caller]
fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("run ip (apt-get install iproute2): {e}"));
    assert!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}
