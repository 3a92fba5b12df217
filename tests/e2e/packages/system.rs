//! A throw-away copy of this system to install packages on: what is changed there goes to memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::program::{Ended, Program, run, run_starter};
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

/// Makes the copy in `layers/root`. Services are started there, whatever the machine's own policy is: many containers forbid it.
const COPY: &str = "set -e
    mkdir layers
    mount -t tmpfs none layers
    cd layers
    mkdir upper work root
    mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
    mount --rbind /dev root/dev
    rm -f root/usr/sbin/policy-rc.d";

/// Starts systemd in the copy, as the first process of its own kind of machine, without the services of this one.
const BOOT: &str = "
    mount -t proc proc root/proc
    mount -t sysfs sysfs root/sys
    mount -t cgroup2 cgroup2 root/sys/fs/cgroup
    mount -t tmpfs none root/run
    rm -rf root/etc/systemd/system/*.wants
    ip link set lo up
    export container=test
    exec chroot root /lib/systemd/systemd --system --log-target=console --show-status=no --unit=multi-user.target";

/// Its programs, as processes of the test's own system or of the copy's.
pub struct System {
    folder: WorkDir,
    /// What a command has to begin with to be run there.
    entry: Vec<String>,
    /// Where its files are.
    root: PathBuf,
    booted: Option<(Program, i32)>,
}

impl System {
    /// One whose programs are processes of this system. Only in namespaces of the test's own (see `hosts::apart`), which
    /// take the mounts away.
    #[track_caller]
    pub fn new() -> Self {
        let folder = WorkDir::new("system");
        let script = format!("{COPY}\nmount --rbind /proc root/proc");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(&*folder);
        run("mount", &folder, 10, &mut command).ok();
        let root = folder.join("layers/root");
        System {
            entry: vec!["chroot".to_owned(), root.display().to_string()],
            root,
            folder,
            booted: None,
        }
    }

    /// One that systemd runs, with processes and a network of its own.
    #[track_caller]
    pub fn boot() -> Self {
        let folder = WorkDir::new("system");
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--cgroup",
            "--fork",
            "--kill-child",
        ]);
        command
            .args(["sh", "-c", &format!("{COPY}\n{BOOT}")])
            .current_dir(&*folder);
        let machine = Program::start("systemd", &folder, &mut command);
        let first = wait_for("systemd to start", 20, || {
            let children = format!("/proc/{0}/task/{0}/children", machine.pid());
            let child: i32 = fs::read_to_string(children).ok()?.trim().parse().ok()?;
            let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
            (name.trim() == "systemd").then_some(child)
        });
        let entry = format!("nsenter --all --root --wd --target {first}");
        let system = System {
            entry: entry.split(' ').map(str::to_owned).collect(),
            root: PathBuf::from(format!("/proc/{first}/root")),
            folder,
            booted: Some((machine, first)),
        };
        wait_for("systemd to be ready", 40, || {
            let state = system.run("systemctl", &["is-system-running"]).output;
            ["running", "degraded"].contains(&state.trim()).then_some(())
        });
        system
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of it, by its path there.
    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.file(path)).unwrap_or_default()
    }

    /// Runs a program there, which may leave others running.
    #[track_caller]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Ended {
        let mut command = self.command(program, arguments);
        run_starter(name(program), &self.folder, 60, &mut command)
    }

    /// Starts a program there.
    #[track_caller]
    pub fn start(&self, program: &str, arguments: &[&str]) -> Program {
        Program::start(name(program), &self.folder, &mut self.command(program, arguments))
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.entry[0]);
        command.args(&self.entry[1..]).arg(program).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive").current_dir("/");
        if self.booted.is_none() {
            // What an init of System V would tell; without one, services are not started.
            command.envs([("RUNLEVEL", "2"), ("PREVLEVEL", "N")]);
        }
        command
    }

    /// Processes of this system (not of a booted one) that run this program.
    pub fn processes(&self, program: &str) -> Vec<i32> {
        let program = self.file(program);
        let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        ids.filter(|id| {
            let path = fs::read_link(format!("/proc/{id}/exe")).unwrap_or_default();
            // A program that was replaced is marked as deleted.
            path.to_string_lossy().trim_end_matches(" (deleted)") == program.to_string_lossy()
        })
        .collect()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        match &self.booted {
            // All others there end with it, and the mounts go with them.
            Some((_, first)) => {
                let _ = kill(Pid::from_raw(*first), Signal::SIGKILL);
            }
            None => {
                for id in self.processes("/usr/local/srs/objs/srs") {
                    let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
                }
                // Else the folder of the test could not be removed.
                let mut command = Command::new("umount");
                let _ = command
                    .args(["--lazy", "--recursive"])
                    .arg(self.folder.join("layers"))
                    .status();
            }
        }
    }
}

fn name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}
