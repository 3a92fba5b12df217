//! A new program takes over the listening sockets (SIGUSR2): nobody is refused, and who is there stays.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::bystander::Bystander;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;
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
        server.wait_for_line(&["hand-over failed, this server goes on", "ended instead of listening"]);
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
