//! A daemon's start and end: forks, pid file, log over the forks, signals to the process. It forks before any thread, so it
//! has no test harness; it starts itself as the daemon.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::Pid;
use srs_may::core::clock::Moment;
use srs_may::core::coroutine;
use srs_may::core::log_file::LogFile;
use srs_may::core::runtime::run;
use srs_may::core::setup::{PidFile, PidFileStep, daemonize, parent_id, raise_file_limit};
use srs_may::core::signal::{Signal, Signals, block};

const ROLE: &str = "--daemon-in";
const LIFE: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(ROLE) => be_daemon(Path::new(arguments.get(1).expect("a folder"))),
        // Test runners ask first what there is.
        Some("--list") if arguments.iter().any(|word| word == "--ignored") => {}
        Some("--list") => println!("a_daemon_starts_takes_signals_and_ends: test"),
        _ => {
            a_daemon_starts_takes_signals_and_ends();
            println!("test a_daemon_starts_takes_signals_and_ends ... ok");
        }
    }
}

/// The start sequence of the server, in small.
fn be_daemon(folder: &Path) {
    let log = LogFile::open(folder.join("daemon.log")).unwrap();
    let say = |line: &str| log.write(format!("{line}\n").as_bytes());
    say("before the forks");
    let limit = raise_file_limit().unwrap();
    assert!(limit.after >= limit.before);
    let blocked = block(&[Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGTERM]).unwrap();
    daemonize().unwrap();
    let _pid_file = match PidFile::acquire(folder.join("daemon.pid")) {
        Ok(pid_file) => pid_file,
        Err(error) if error.step == PidFileStep::AlreadyRunning => return say("already running"),
        Err(error) => return say(&error.to_string()),
    };
    log.start_background();
    let to_coroutine = log.clone();
    run(move || {
        let say = |line: &str| to_coroutine.write(format!("{line}\n").as_bytes());
        let signals = Signals::new(blocked).unwrap();
        say(&format!("ready, parent {}", parent_id()));
        loop {
            // A test that failed leaves no daemon for ever.
            let Some(signal) = signals.recv_until(Moment::after(LIFE)).unwrap() else {
                return;
            };
            say(signal.as_str());
            match signal {
                Signal::SIGUSR1 => to_coroutine.reopen(),
                Signal::SIGTERM => break,
                // Other coroutines go on between signals.
                _ => coroutine::sleep(Duration::from_millis(1)),
            }
        }
    })
    .unwrap();
    say("the end");
    assert!(log.flush(Duration::from_secs(5)));
}

fn a_daemon_starts_takes_signals_and_ends() {
    let folder = std::env::temp_dir().join(format!("srs-setup-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (log, pid_file) = (folder.join("daemon.log"), folder.join("daemon.pid"));
    let starter = start(&folder);
    wait_for(&log, "ready");
    let daemon: i32 = fs::read_to_string(&pid_file).unwrap().parse().unwrap();
    assert_ne!(daemon, starter, "the daemon is a grandchild");
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("before the forks\nready"), "{text}");
    // Adopted: both that came between have ended.
    assert!(!text.contains(&format!("parent {starter}\n")), "{text}");
    let mode = fs::metadata(&pid_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o644, 0, "mode {mode:o}");

    // A second one is refused, and the number of the first stays.
    start(&folder);
    wait_for(&log, "already running");
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), daemon.to_string());
    let refused = PidFile::acquire(&pid_file).unwrap_err();
    assert_eq!(refused.step, PidFileStep::AlreadyRunning);

    let send = |signal| kill(Pid::from_raw(daemon), signal).unwrap();
    send(Signal::SIGHUP);
    wait_for(&log, "SIGHUP");
    // Rotation: the next lines go to a new file.
    let moved = folder.join("daemon.log.1");
    fs::rename(&log, &moved).unwrap();
    send(Signal::SIGUSR1);
    wait_until("a new log", || log.exists());
    send(Signal::SIGTERM);
    wait_for(&log, "SIGTERM\nthe end\n");
    wait_until("the daemon's end", || is_gone(daemon));
    assert!(fs::read_to_string(&moved).unwrap().contains("SIGHUP\n"));

    // The file stays for the service script; its lock went with the process.
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), daemon.to_string());
    fs::write(&pid_file, "stale content that must go").unwrap();
    let ours = PidFile::acquire(&pid_file).unwrap();
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), std::process::id().to_string());
    drop(ours);
    fs::remove_dir_all(&folder).unwrap();
}

/// Starts a daemon; gives the number of the first process, which has ended well.
fn start(folder: &Path) -> i32 {
    let program = std::env::current_exe().unwrap();
    let mut first = Command::new(program).arg(ROLE).arg(folder).spawn().unwrap();
    assert!(first.wait().unwrap().success());
    first.id() as i32
}

fn wait_for(file: &Path, text: &str) {
    let what = format!("{text:?} in {}", file.display());
    wait_until(&what, || {
        fs::read_to_string(file).is_ok_and(|content| content.contains(text))
    });
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ended; a zombie counts, since its new parent may be slow.
fn is_gone(process: i32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).map_or(true, |stat| stat.contains(") Z "))
}
