//! A new program takes over the listening sockets (SIGUSR2): nobody is refused, and who is there stays.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;

use crate::support::bystander::Bystander;
use crate::support::port::Port;
use crate::support::rtmp::Rtmp;
use crate::support::server::{PROGRAM, Server, Setup};
use crate::support::wait::wait_for;
use crate::support::web::get;
use crate::workers::wait_ready;

/// Clients that connect one after the other, and must all be let in.
struct Visitors {
    stop: Arc<AtomicBool>,
    visiting: thread::JoinHandle<usize>,
}

impl Visitors {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let over = stop.clone();
        let visiting = thread::spawn(move || {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                Rtmp::connect(port, "live").unwrap_or_else(|error| panic!("visitor {count}: {error}"));
                count += 1;
            }
            count
        });
        Visitors { stop, visiting }
    }

    fn finish(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.visiting.join().expect("a visitor was refused (see above)")
    }
}

fn pid_in_file(server: &Server) -> Option<u32> {
    fs::read_to_string(server.file("srs.pid")).ok()?.parse().ok()
}

/// Hands over while visitors come and a stream is played, then ends the old program by its last client's leaving.
fn hand_over(mut server: Server) {
    let bystander = Bystander::start(server.port());
    let visitors = Visitors::start(server.port());
    let old = server.pid();
    assert_eq!(pid_in_file(&server), Some(old));
    server.signal(Signal::SIGUSR2);
    let new = wait_for("the pid file to change its owner", 20, || {
        pid_in_file(&server).filter(|pid| *pid != old)
    });
    // For a while both are there, and the old one refuses nobody.
    thread::sleep(Duration::from_millis(500));
    bystander.assert_flows();
    assert!(visitors.finish() > 10, "hardly anybody came");
    // The same name is free at the new one.
    let again = Bystander::start(server.port());
    bystander.finish();
    server.wait_until_ended(20);
    again.assert_flows();
    assert_eq!(pid_in_file(&server), Some(new));
    again.finish();
    end(&server, new);
}

/// Ends a program that has taken over.
fn end(server: &Server, new: u32) {
    kill(Pid::from_raw(new.cast_signed()), Signal::SIGTERM).expect("end the new program");
    wait_for("the new program to end", 10, || {
        let log = server.log();
        let ended = log
            .lines()
            .any(|line| line.contains(&format!("[{new}]")) && line.contains("signal SIGTERM"));
        let is_there = std::net::TcpStream::connect(("127.0.0.1", server.port())).is_ok();
        (ended && !is_there).then_some(())
    });
}

fn short_grace() -> Setup {
    Setup::default().globals("grace_start_wait 50; grace_final_wait 50;\n")
}

#[test]
fn one_process_hands_over_to_another() {
    hand_over(short_grace().start());
}

#[test]
fn workers_hand_over_to_workers() {
    let server = short_grace().globals("workers 2;\n").start();
    wait_ready(&server);
    hand_over(server);
}

#[test]
fn a_program_that_does_not_start_changes_nothing() {
    let server = short_grace()
        .allow_error("no_such_directive")
        .allow_error("hand-over failed")
        .start();
    let bystander = Bystander::start(server.port());
    let file = server.file("srs.conf");
    let good = fs::read_to_string(&file).expect("the configuration");
    fs::write(&file, good.clone() + "no_such_directive on;\n").expect("write a bad file");
    let old = server.pid();
    for _ in 0..2 {
        server.signal(Signal::SIGUSR2);
        server.wait_for_line(&["hand-over failed, this server goes on", "does not listen, it ended"]);
        bystander.assert_flows();
        assert_eq!(pid_in_file(&server), Some(old));
    }
    bystander.finish();
    // Once the file is good it works.
    fs::write(&file, good).expect("write a good file");
    hand_over(server);
}

#[test]
fn what_the_parent_watches_is_not_handed_over() {
    let server = Setup::default()
        .globals("asprocess on;\n")
        .allow_error("hand-over failed")
        .start();
    server.signal(Signal::SIGUSR2);
    server.wait_for_line(&["hand-over failed", "asprocess"]);
    Bystander::start(server.port()).finish();
}

#[test]
fn the_api_orders_it_too() {
    let api = Port::free();
    let http_api = format!(
        "http_api {{ enabled on; listen 127.0.0.1:{}; raw_api {{ enabled on; allow_reload on; }} }}\n",
        api.number()
    );
    for workers in ["", "workers 2;\n"] {
        let mut server = short_grace().globals(&http_api).globals(workers).start();
        server.wait_for_line(&["HTTP-API listen at"]);
        if !workers.is_empty() {
            wait_ready(&server);
        }
        let old = server.pid();
        let (_, body) = get(api.number(), "/api/v1/raw?rpc=upgrade");
        assert_eq!(body, "{\"code\":0}");
        server.wait_until_ended(20);
        let new = pid_in_file(&server).expect("a number in the pid file");
        assert_ne!(new, old);
        let said: Value = wait_for("the new program's answer", 10, || {
            serde_json::from_str(&get(api.number(), "/api/v1/versions").1).ok()
        });
        assert_eq!(said["pid"], new.to_string(), "{said}");
        end(&server, new);
    }
}

/// It never listens: clients that it accepted would be cut off.
#[test]
fn a_program_that_cannot_hold_the_pid_file_changes_nothing() {
    let other = short_grace().start();
    let server = short_grace()
        .allow_error("hand-over failed")
        .allow_error("PidFileProcessExists")
        .start();
    let bystander = Bystander::start(server.port());
    let visitors = Visitors::start(server.port());
    let file = server.file("srs.conf");
    let good = fs::read_to_string(&file).expect("the configuration");
    let theirs = format!("pid {};", other.file("srs.pid").display());
    fs::write(&file, good.replace("pid srs.pid;", &theirs)).expect("write a bad file");
    server.signal(Signal::SIGUSR2);
    server.wait_for_line(&["hand-over failed, this server goes on", "does not listen, it ended"]);
    bystander.assert_flows();
    assert!(visitors.finish() > 0, "nobody came");
    assert_eq!(pid_in_file(&server), Some(server.pid()));
    assert_eq!(pid_in_file(&other), Some(other.pid()));
    bystander.finish();
    // The lock is back as well, which shows where another server wants the file, and it can be passed on.
    fs::write(&file, good).expect("write the good file");
    let mut second = Command::new(PROGRAM);
    let second = second.arg("-c").arg(&file).current_dir(server.folder()).output();
    assert_eq!(second.expect("start a second server").status.code(), Some(11));
    hand_over(server);
}

/// While a new program reads its configuration, which takes for ever here, the server is as it always is.
#[test]
fn signals_are_heeded_meanwhile() {
    let server = short_grace()
        .allow_error("hand-over failed")
        .allow_error("reload failed")
        .start();
    let bystander = Bystander::start(server.port());
    let endless = server.file("endless.conf");
    mkfifo(&endless, Mode::S_IRUSR | Mode::S_IWUSR).expect("a file that never ends");
    let mut configuration = OpenOptions::new()
        .append(true)
        .open(server.file("srs.conf"))
        .expect("the file");
    writeln!(configuration, "include {};", endless.display()).expect("write the configuration");
    server.signal(Signal::SIGUSR2);
    server.wait_for_line(&["hand over to"]);
    server.signal(Signal::SIGUSR2);
    server.wait_for_line(&["hand-over failed", "a new program is being started already"]);
    server.signal(Signal::SIGUSR1);
    server.wait_for_line(&["log file reopened"]);
    bystander.assert_flows();
    let new = wait_for("the new program", 10, || child_of(server.pid()));
    bystander.finish();
    assert_eq!(server.end_by(Signal::SIGTERM).code(), Some(0));
    wait_for("the new program's end", 10, || {
        (!std::path::Path::new(&format!("/proc/{new}")).exists()).then_some(())
    });
}

/// The process that another one has started.
fn child_of(parent: u32) -> Option<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).ok()?.flatten();
    let mut lists = threads.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.find_map(|list| list.split_whitespace().next()?.parse().ok())
}
