//! The command line, exit codes, pid file, daemon, signals and log file.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::bystander::Bystander;
use crate::support::port::Port;
use crate::support::program::{Ended, Program, run};
use crate::support::rtmp::Rtmp;
use crate::support::server::{PROGRAM, Setup};
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

fn srs(folder: &Path, arguments: &[&str]) -> Ended {
    run(
        "srs",
        folder,
        10,
        Command::new(PROGRAM).args(arguments).current_dir(folder),
    )
}

/// A server in a folder of its own, started by hand because its start or end is what is looked at.
struct Own {
    folder: WorkDir,
    port: Port,
}

impl Own {
    /// Writes `srs.conf`; `replace` changes parts of the usual configuration.
    fn new(globals: &str, replace: &[(&str, &str)]) -> Self {
        let (folder, port) = (WorkDir::new("process"), Port::free());
        let mut text = Setup::default().globals(globals).configuration(port.number());
        for (old, new) in replace {
            assert!(text.contains(old), "the configuration has no {old:?}");
            text = text.replace(old, new);
        }
        fs::write(folder.join("srs.conf"), text).expect("write the configuration");
        Own { folder, port }
    }

    #[track_caller]
    fn start(&self) -> Program {
        let mut command = Command::new(PROGRAM);
        command.args(["-c", "srs.conf"]).current_dir(&*self.folder);
        Program::start("srs", &self.folder, &mut command)
    }

    #[track_caller]
    fn wait_until_it_listens(&self) {
        wait_for("the server to listen", 10, || {
            TcpStream::connect(("127.0.0.1", self.port.number())).ok()
        });
    }

    fn pid_in_file(&self) -> Option<i32> {
        fs::read_to_string(self.folder.join("srs.pid")).ok()?.parse().ok()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }
}

/// Ends a daemon, which is no child of ours, by the pid that it wrote.
struct EndDaemon<'a>(&'a Own);

impl Drop for EndDaemon<'_> {
    fn drop(&mut self) {
        if let Some(pid) = self.0.pid_in_file() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[test]
fn help_is_printed_when_asked_for_or_without_arguments() {
    let folder = WorkDir::new("cli");
    for arguments in [&[][..], &["-h"], &["-?"], &["--help"], &["word"]] {
        let help = srs(&folder, arguments).ok().output;
        assert!(
            help.contains("-c") && help.contains("-t") && help.contains("-v"),
            "{arguments:?} prints:\n{help}"
        );
    }
}

#[test]
fn version_is_three_numbers_and_nothing_else() {
    let folder = WorkDir::new("cli");
    let version = srs(&folder, &["-v"]).ok().output;
    let parts: Vec<_> = version.trim_end().split('.').map(str::parse::<u32>).collect();
    assert!(
        parts.len() == 3 && parts.iter().all(Result::is_ok),
        "-v prints {version:?}"
    );
    assert_eq!(srs(&folder, &["-V"]).ok().output, version);
    assert_eq!(srs(&folder, &["--version"]).ok().output, version);
    let signature = srs(&folder, &["-g"]).ok().output;
    assert!(
        signature.starts_with(&format!("SRS/{}(", version.trim_end())),
        "-g prints {signature:?}"
    );
    assert_eq!(srs(&folder, &["-G"]).ok().output, signature);
}

#[test]
fn a_bad_option_or_no_file_is_an_error() {
    let folder = WorkDir::new("cli");
    for arguments in [&["-x"][..], &["-c"], &["-t"], &["-c", "missing.conf"]] {
        srs(&folder, arguments).exits_with(255);
    }
}

#[test]
fn help_and_version_win_over_a_run() {
    let own = Own::new("", &[]);
    assert!(srs(&own.folder, &["-c", "srs.conf", "-h"]).ok().output.contains("-c"));
    assert!(srs(&own.folder, &["-v", "-c", "srs.conf"]).ok().output.trim().len() < 20);
}

#[test]
fn a_second_server_with_the_same_pid_file_is_refused() {
    let own = Own::new("", &[]);
    let mut first = own.start();
    own.wait_until_it_listens();
    assert_eq!(
        own.pid_in_file(),
        Some(first.pid() as i32),
        "decimal digits and no newline"
    );
    let second = own.start().wait(10).exits_with(11);
    assert!(
        second.output.contains("code=1035(PidFileProcessExists)"),
        "{}",
        second.output
    );
    assert!(first.is_running());
    first.stop().ok();
    own.start().stop();
}

#[test]
fn a_port_in_use_ends_the_server() {
    let own = Own::new("", &[]);
    let _owner = std::net::TcpListener::bind(("127.0.0.1", own.port.number())).expect("take the port");
    // 1002 & 255
    let ended = own.start().wait(10).exits_with(234);
    assert!(ended.output.contains("code=1002("), "{}", ended.output);
    assert!(
        ended.output.contains(&own.port.number().to_string()),
        "the port is not named:\n{}",
        ended.output
    );
}

#[test]
fn fast_quit_by_sigterm_and_sigint() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let own = Own::new("", &[]);
        let mut server = own.start();
        own.wait_until_it_listens();
        let mut client = Rtmp::connect(own.port.number(), "live")
            .expect("connect")
            .play("s")
            .expect("play");
        server.signal(signal);
        server.wait(3).ok();
        assert!(client.is_closed_within(1));
    }
}

#[test]
fn graceful_quit_by_sigquit_waits_for_clients() {
    let own = Own::new("grace_start_wait 100;\ngrace_final_wait 100;\n", &[]);
    let mut server = own.start();
    own.wait_until_it_listens();
    let bystander = Bystander::start(own.port.number());
    server.signal(Signal::SIGQUIT);
    wait_for("the listener to close", 5, || {
        TcpStream::connect(("127.0.0.1", own.port.number()))
            .is_err()
            .then_some(())
    });
    bystander.assert_flows();
    assert!(server.is_running(), "gone although clients are there");
    bystander.finish();
    server.wait(5).ok();
}

#[test]
fn sigterm_is_graceful_when_forced() {
    let own = Own::new(
        "grace_start_wait 1500;\ngrace_final_wait 100;\nforce_grace_quit on;\n",
        &[],
    );
    let mut server = own.start();
    own.wait_until_it_listens();
    let began = Instant::now();
    server.signal(Signal::SIGTERM);
    server.wait(10).ok();
    assert!(
        began.elapsed() > Duration::from_millis(1500),
        "ended after {:?}",
        began.elapsed()
    );
}

#[test]
fn sigusr1_reopens_the_log_file() {
    let own = Own::new(
        "",
        &[("srs_log_tank console;", "srs_log_tank file; srs_log_file srs.log;")],
    );
    let mut server = own.start();
    wait_for("the log file", 10, || {
        own.read("srs.log").contains("RTMP listen at").then_some(())
    });
    fs::rename(own.folder.join("srs.log"), own.folder.join("srs.log.1")).expect("rename the log");
    server.signal(Signal::SIGUSR1);
    wait_for("a new log file", 5, || {
        own.folder.join("srs.log").exists().then_some(())
    });
    let client = Rtmp::connect(own.port.number(), "live")
        .expect("connect")
        .play("after-rotation");
    wait_for("a line in the new file", 5, || {
        own.read("srs.log").contains("stream=after-rotation").then_some(())
    });
    assert!(
        !own.read("srs.log.1").contains("after-rotation"),
        "the old file still grows"
    );
    drop(client);
    server.stop().ok();
}

#[test]
fn sighup_reloads_and_a_bad_file_changes_nothing() {
    let own = Own::new("", &[]);
    let mut server = own.start();
    own.wait_until_it_listens();
    let bystander = Bystander::start(own.port.number());
    let good = own.read("srs.conf");
    fs::write(own.folder.join("srs.conf"), "listen 1935;\nno_such_directive on;\n").expect("write a bad file");
    server.signal(Signal::SIGHUP);
    wait_for("the error of the reload", 5, || {
        server.output().contains("no_such_directive").then_some(())
    });
    bystander.assert_flows();
    // A name that the default vhost serves until the reload.
    let play =
        || Rtmp::connect_as(own.port.number(), "live", "rtmp://new.com/live").and_then(|client| client.play("s"));
    play().expect("play before the reload");
    let vhost = "vhost new.com { enabled off; }\n";
    fs::write(own.folder.join("srs.conf"), good + vhost).expect("write a good file");
    server.signal(Signal::SIGHUP);
    wait_for("the reload to take effect", 10, || play().is_err().then_some(()));
    bystander.finish();
    server.stop().ok();
}

#[test]
fn a_daemon_leaves_its_parent_and_writes_its_pid() {
    let log = "srs_log_tank file; srs_log_file srs.log;";
    let own = Own::new("", &[("daemon off;", "daemon on;"), ("srs_log_tank console;", log)]);
    let _end = EndDaemon(&own);
    let mut parent = own.start();
    let parent_pid = parent.pid() as i32;
    parent.wait(5).ok();
    own.wait_until_it_listens();
    let pid = wait_for("the pid file", 5, || own.pid_in_file());
    assert_ne!(pid, parent_pid);
    wait_for("its line in the log", 5, || {
        own.read("srs.log").contains("RTMP listen at").then_some(())
    });
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("signal the daemon");
    wait_for("the daemon to end", 5, || {
        kill(Pid::from_raw(pid), None).is_err().then_some(())
    });
}

#[test]
fn work_dir_is_where_files_go() {
    let own = Own::new("work_dir sub;\n", &[]);
    fs::create_dir(own.folder.join("sub")).expect("create the folder");
    let mut server = own.start();
    own.wait_until_it_listens();
    assert!(own.folder.join("sub/srs.pid").exists());
    server.stop().ok();
    fs::remove_dir_all(own.folder.join("sub")).expect("remove the folder");
    own.start().wait(5).exits_with(255);
}

#[test]
fn the_server_id_stays_over_restarts() {
    let own = Own::new("", &[]);
    let id = || {
        let mut server = own.start();
        own.wait_until_it_listens();
        server.stop().ok();
        own.read("srs.id")
    };
    let first = id();
    assert!(!first.is_empty(), "srs.id is empty or missing");
    assert_eq!(id(), first);
}

#[test]
fn settings_from_the_environment_alone() {
    let (folder, port) = (WorkDir::new("env"), Port::free());
    let mut command = Command::new(PROGRAM);
    command.arg("-e").current_dir(&*folder);
    let settings = [
        ("SRS_LISTEN", port.number().to_string()),
        ("SRS_PID", "env.pid".into()),
        ("SRS_MAX_CONNECTIONS", "100".into()),
    ];
    let mut server = Program::start("srs", &folder, command.envs(settings));
    wait_for("the server to listen", 10, || {
        TcpStream::connect(("127.0.0.1", port.number())).ok()
    });
    assert!(folder.join("env.pid").exists());
    server.stop().ok();
}

#[test]
fn lines_of_a_start_that_scripts_look_for() {
    let server = Setup::default().start();
    let log = server.log();
    let position = |part: &str| log.find(part).unwrap_or_else(|| panic!("no {part:?} in:\n{log}"));
    assert!(
        log.lines().next().is_some_and(|line| line.contains("XCORE-SRS/")),
        "the first line:\n{log}"
    );
    position(&format!("RTMP listen at tcp://127.0.0.1:{}, fd=", server.port()));
    server.wait_for_line(&["signal installed, reload=1, reopen=10, fast_quit=15, grace_quit=3"]);
}

#[test]
fn every_log_line_has_time_level_pid_and_context() {
    let own = Own::new(
        "",
        &[("srs_log_tank console;", "srs_log_tank file; srs_log_file srs.log;")],
    );
    let mut server = own.start();
    own.wait_until_it_listens();
    // An end that is logged as an error, with further lines for its frames.
    let mut guest = TcpStream::connect(("127.0.0.1", own.port.number())).expect("connect");
    std::io::Write::write_all(&mut guest, &[0x47; 1537]).expect("send");
    let _ = guest.read(&mut [0; 16]);
    wait_for("an error", 5, || own.read("srs.log").contains("[ERROR]").then_some(()));
    let pid = server.pid().to_string();
    server.stop().ok();
    let log = own.read("srs.log");
    assert!(!log.contains('\u{1b}'), "colours in the file");
    for line in log.lines().filter(|line| !line.starts_with("thread [")) {
        let fields: Vec<&str> = line.split(['[', ']']).filter(|field| !field.is_empty()).collect();
        let [time, level, line_pid, context, ..] = fields[..] else {
            panic!("too few fields: {line}");
        };
        assert!(is_time(time), "time of {line}");
        assert!(["INFO", "WARN", "ERROR"].contains(&level), "level of {line}");
        assert_eq!(line_pid, pid, "{line}");
        let is_id = context.len() == 8
            && context
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
        assert!(is_id, "context id of {line}");
        let errno = fields.get(4).is_some_and(|field| field.parse::<i32>().is_ok());
        assert_eq!(errno, level != "INFO", "errno of {line}");
    }
}

/// Whether a text looks like `2026-11-22 19:25:17.544`.
fn is_time(text: &str) -> bool {
    const PATTERN: &str = "0000-00-00 00:00:00.000";
    let fits = |(byte, pattern): (u8, u8)| {
        if pattern == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == pattern
        }
    };
    text.len() == PATTERN.len() && text.bytes().zip(PATTERN.bytes()).all(fits)
}
