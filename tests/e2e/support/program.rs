//! A child program in a process group of its own, which does not outlive its test.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// A running program whose output goes to a file.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    output: PathBuf,
    /// Whether what the program started may outlive it.
    leaves_children: bool,
}

/// How a program ended, and everything that it printed (both streams).
#[derive(Debug)]
pub struct Ended {
    pub name: String,
    pub status: ExitStatus,
    pub output: String,
}

impl Ended {
    /// Fails the test unless the program ended with status 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits_with(0)
    }

    /// Fails the test unless the program ended with this status.
    #[track_caller]
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{} ended with {} (signal {:?}):\n{}",
            self.name,
            self.status,
            self.status.signal(),
            self.output
        );
        self
    }
}

impl Program {
    /// Starts the command; its output goes to `<folder>/<name>.out`.
    #[track_caller]
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let output = (0..)
            .map(|n| folder.join(format!("{name}.{n}.out")))
            .find(|path| !path.exists())
            .expect("an unused file name");
        let file = File::create(&output).unwrap_or_else(|e| panic!("create {}: {e}", output.display()));
        let also = file.try_clone().expect("second handle of an output file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(also)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| {
                panic!(
                    "start {name} ({:?}): {e}; {}",
                    command.get_program(),
                    how_to_install(name)
                )
            });
        Program {
            name: name.to_owned(),
            child,
            output,
            leaves_children: false,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the program has printed so far.
    pub fn output(&self) -> String {
        let bytes = fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to the program itself.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.pid() as i32), signal);
    }

    /// Waits for the end; fails the test when it does not come within `seconds`.
    #[track_caller]
    pub fn wait(&mut self, seconds: u64) -> Ended {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for a child") {
                return Ended {
                    name: self.name.clone(),
                    status,
                    output: self.output(),
                };
            }
            assert!(
                Instant::now() < deadline,
                "{} still runs after {seconds} s; its output:\n{}",
                self.name,
                tail(&self.output(), 40)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks the program to end (SIGTERM) and waits up to five seconds for it.
    #[track_caller]
    pub fn stop(&mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.wait(5)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.leaves_children && !self.is_running() {
            return;
        }
        // The group may hold the program's own children, even when the program itself has ended.
        let _ = killpg(Pid::from_raw(self.pid() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- output of {} ----\n{}", self.name, tail(&self.output(), 60));
        }
    }
}

/// Runs a command to its end, at most `seconds`.
#[track_caller]
pub fn run(name: &str, folder: &Path, seconds: u64, command: &mut Command) -> Ended {
    Program::start(name, folder, command).wait(seconds)
}

/// [`run`] of a program that starts a daemon: what it leaves running is the caller's to end.
#[track_caller]
pub fn run_starter(name: &str, folder: &Path, seconds: u64, command: &mut Command) -> Ended {
    let mut program = Program::start(name, folder, command);
    program.leaves_children = true;
    program.wait(seconds)
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn how_to_install(name: &str) -> &'static str {
    match name {
        "ffmpeg8" | "ffprobe8" => "run scripts/clients.sh",
        "rtmpdump" => "apt-get install rtmpdump",
        "gst-launch-1.0" => {
            "apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
             gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav"
        }
        "cvlc" => "apt-get install vlc-bin vlc-plugin-base",
        "nginx" => "apt-get install nginx libnginx-mod-rtmp",
        _ => "run scripts/clients.sh, or install it with apt-get",
    }
}
