//! The server under test: the real program with a configuration of the test's, on a free port.
//!
//! With `SRS_E2E_SERVER=nginx-rtmp` in the environment the scenarios run against nginx-rtmp instead, as far as it can
//! do what they ask: so one tells a client's or a test's fault from the server's.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::nginx::Nginx;
use super::port::Port;
use super::program::{Program, tail};
use super::wait::wait_for;
use super::workdir::WorkDir;

/// The program that the tests test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_srs");

/// What a server is to be started with.
#[derive(Debug, Default)]
pub struct Setup {
    globals: String,
    vhosts: String,
    default_vhost: Option<String>,
    chunk_size: Option<u32>,
    port: Option<u16>,
    listen: Option<String>,
    environment: Vec<(&'static str, String)>,
    allowed_errors: Vec<&'static str>,
    small_disk: Option<&'static str>,
}

impl Setup {
    /// Directives for the outermost level of the configuration.
    pub fn globals(mut self, directives: &str) -> Self {
        self.globals += directives;
        self
    }

    /// Directives for the default vhost.
    pub fn vhost(mut self, directives: &str) -> Self {
        *self.default_vhost.get_or_insert_default() += directives;
        self
    }

    /// Whole `vhost` blocks instead of the default one (which can be among them).
    pub fn vhosts(mut self, blocks: &str) -> Self {
        self.vhosts += blocks;
        self
    }

    /// The chunk size that the server sends with.
    pub fn chunk_size(mut self, bytes: u32) -> Self {
        self.chunk_size = Some(bytes);
        self
    }

    /// The port to listen on, which the test itself holds: servers can follow one another there.
    pub fn port(mut self, port: &Port) -> Self {
        self.port = Some(port.number());
        self
    }

    /// Where to listen for RTMP, instead of the port on 127.0.0.1.
    pub fn listen(mut self, addresses: &str) -> Self {
        self.listen = Some(addresses.to_owned());
        self
    }

    /// A variable for the server's environment.
    pub fn environment(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// A part of ERROR lines that this scenario brings about on purpose.
    pub fn allow_error(mut self, part: &'static str) -> Self {
        self.allowed_errors.push(part);
        self
    }

    /// Gives this folder a disk of its own, of 1 MiB, which only the server sees.
    pub fn small_disk(mut self, folder: &'static str) -> Self {
        self.small_disk = Some(folder);
        self
    }

    /// The program, in a mount namespace of its own if it has a small disk.
    fn program(&self, folder: &Path) -> Command {
        let Some(disk) = self.small_disk else {
            return Command::new(PROGRAM);
        };
        fs::create_dir(folder.join(disk)).expect("create the folder of the small disk");
        let mut command = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let script = format!("mount -t tmpfs -o size=1m none {disk} && exec \"$0\" \"$@\"");
        command.args(["--mount", "sh", "-c", &script, PROGRAM]);
        command
    }

    /// Starts the server and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Server {
        let folder = WorkDir::new("server");
        if let Some(port) = self.port {
            return self.start_real(folder, port, None);
        }
        let port = Port::free();
        match env::var("SRS_E2E_SERVER").as_deref() {
            Ok("nginx-rtmp") => self.start_nginx(folder, port),
            Ok(other) => panic!("SRS_E2E_SERVER={other} is not known; nginx-rtmp is, and leaving it out"),
            Err(_) => self.start_real(folder, port.number(), Some(port)),
        }
    }

    fn start_real(self, folder: WorkDir, port: u16, held: Option<Port>) -> Server {
        let file = folder.join("srs.conf");
        fs::write(&file, self.configuration(port)).expect("write the server's configuration");
        let mut command = self.program(&folder);
        command.arg("-c").arg(&file).current_dir(&*folder);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut program = Program::start("srs", &folder, &mut command);
        wait_for("the server to listen", 10, || {
            assert!(program.is_running(), "the server ended:\n{}", program.output());
            program.output().contains("RTMP listen at").then_some(())
        });
        Server {
            program: Running::Real(program),
            allowed_errors: self.allowed_errors,
            port,
            folder,
            has_ended: false,
            _port: held,
            is_killed: false,
        }
    }

    fn start_nginx(self, folder: WorkDir, port: Port) -> Server {
        let nginx = Nginx::start_on(port, &folder, "drop_idle_publisher 10s;");
        Server {
            port: nginx.port(),
            program: Running::StandIn(nginx),
            allowed_errors: self.allowed_errors,
            folder,
            has_ended: false,
            _port: None,
            is_killed: false,
        }
    }

    /// The configuration as text.
    pub fn configuration(&self, port: u16) -> String {
        let listen = self.listen.clone().unwrap_or_else(|| format!("127.0.0.1:{port}"));
        let mut text = format!("listen {listen};\ndaemon off;\nsrs_log_tank console;\npid srs.pid;\n");
        // The default (1000) asks for more file descriptors than many systems give by default.
        if !self.globals.contains("max_connections") {
            text += "max_connections 500;\n";
        }
        if let Some(bytes) = self.chunk_size {
            text += &format!("chunk_size {bytes};\n");
        }
        text += &self.globals;
        match (&self.default_vhost, self.vhosts.is_empty()) {
            (None, false) => {}
            (directives, _) => {
                text += &format!(
                    "vhost __defaultVhost__ {{\n{}\n}}\n",
                    directives.as_deref().unwrap_or("")
                )
            }
        }
        text + &self.vhosts
    }
}

#[derive(Debug)]
enum Running {
    Real(Program),
    StandIn(Nginx),
}

/// A running server. Dropping it ends it, and fails the test when its log tells of a panic or of an error that the
/// scenario did not ask for.
#[derive(Debug)]
pub struct Server {
    program: Running,
    allowed_errors: Vec<&'static str>,
    port: u16,
    folder: WorkDir,
    /// The scenario has ended it.
    has_ended: bool,
    _port: Option<Port>,
    is_killed: bool,
}

impl Server {
    /// A server with the default vhost and nothing special.
    #[track_caller]
    pub fn start() -> Self {
        Setup::default().start()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder for what the test writes; removed with the server.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}", self.port)
    }

    pub fn pid(&self) -> u32 {
        match &self.program {
            Running::Real(program) => program.pid(),
            Running::StandIn(nginx) => nginx.pid(),
        }
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).unwrap_or_else(|e| panic!("send {signal}: {e}"));
    }

    /// Sends it a signal that ends it, and gives how it ended.
    #[track_caller]
    pub fn end_by(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        let Running::Real(program) = &mut self.program else {
            panic!("the stand-in ends otherwise");
        };
        let ended = program.wait(20).status;
        self.has_ended = true;
        ended
    }

    /// Waits until it ends by itself, as the scenario wants it.
    #[track_caller]
    pub fn wait_until_ended(&mut self, seconds: u64) {
        let Running::Real(program) = &mut self.program else {
            panic!("the stand-in does not end");
        };
        program.wait(seconds).ok();
        self.has_ended = true;
    }

    /// Whether this is the stand-in, whose log is not ours.
    pub fn is_stand_in(&self) -> bool {
        matches!(self.program, Running::StandIn(_))
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        match &self.program {
            Running::Real(program) => {
                // It gathers lines for 20 ms before it writes them.
                std::thread::sleep(Duration::from_millis(60));
                program.output()
            }
            Running::StandIn(_) => String::new(),
        }
    }

    /// Waits until one log line holds all of these parts, and gives it.
    #[track_caller]
    pub fn wait_for_line(&self, parts: &[&str]) -> String {
        self.wait_for_lines(1, parts)
    }

    /// Waits until so many log lines hold all of these parts, and gives the last.
    #[track_caller]
    pub fn wait_for_lines(&self, count: usize, parts: &[&str]) -> String {
        if self.is_stand_in() {
            return String::new();
        }
        wait_for(&format!("{count} log line(s) with {parts:?}"), 10, || {
            let log = self.log();
            // The last line may be half written.
            let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let mut fitting = whole
                .lines()
                .filter(|line| parts.iter().all(|part| line.contains(part)));
            fitting.nth(count - 1).map(str::to_owned)
        })
    }

    /// Memory that the server holds now (resident), in kilobytes.
    pub fn resident_kilobytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    }

    /// How many files and sockets the server has open.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }

    /// How many coroutines there are, by the next of the lines that the server logs every five seconds.
    #[track_caller]
    pub fn next_coroutine_count(&self) -> u32 {
        const PARTS: [&str; 2] = ["Hybrid cpu=", "coroutines="];
        let log = self.log();
        let is_count = |line: &&str| PARTS.iter().all(|part| line.contains(part));
        let line = self.wait_for_lines(log.lines().filter(is_count).count() + 1, &PARTS);
        let count = line.split_once(PARTS[1]).map_or("", |(_, count)| count);
        let count: String = count.chars().take_while(char::is_ascii_digit).collect();
        count.parse().unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    /// Ends it as a machine that fails does: without a word to anybody.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        if let Running::Real(program) = &mut self.program {
            program.wait(5);
        }
        self.is_killed = true;
    }

    fn finish(&mut self) {
        let Running::Real(program) = &mut self.program else {
            return;
        };
        if self.is_killed {
            return;
        }
        assert!(
            self.has_ended || program.is_running(),
            "the server ended by itself:\n{}",
            tail(&program.output(), 40)
        );
        if !self.has_ended {
            program.stop().ok();
        }
        let log = program.output();
        let bad = log.lines().find(|line| self.is_bad(line));
        assert_eq!(bad, None, "the server's log holds a line that it should not");
    }

    fn is_bad(&self, line: &str) -> bool {
        // The level is the second field; peers' texts may hold anything.
        let level = line.split(']').nth(1);
        let is_error = level == Some("[ERROR") && !self.allowed_errors.iter().any(|part| line.contains(part));
        is_error || line.contains("panicked")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.finish();
        }
    }
}
