//! What the server tells of itself: how it does, clocks and timers, limits of the system before they bite.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::bystander::Bystander;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::server::{PROGRAM, Server, Setup};
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

/// Lines that tell how the process does.
fn reports(server: &Server) -> usize {
    server.log().lines().filter(|line| line.contains("Hybrid cpu=")).count()
}

#[test]
fn a_line_comes_each_interval_and_tells_late_timers() {
    let server = Setup::default().globals("threads { interval 1; }\n").start();
    wait_for("three lines", 4, || (reports(&server) >= 3).then_some(()));
    let line = server.wait_for_line(&["Hybrid cpu=", "MB, coroutines="]);
    for part in ["%,", "lag=", "ms", "water=normal"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    server.signal(Signal::SIGSTOP);
    thread::sleep(Duration::from_millis(2500));
    server.signal(Signal::SIGCONT);
    let line = server.wait_for_line(&["[WARN]", "timers were late by up to "]);
    let millis = line
        .split_once("by up to ")
        .and_then(|(_, rest)| rest.split_once(" ms"));
    let millis: u64 = millis.and_then(|(millis, _)| millis.parse().ok()).expect("a number");
    // It slept for at most a second of the time that it was stopped.
    assert!(millis >= 1400, "{line}");
    assert!(!server.log().contains("clock jumped"), "a stop is no jump of the clock");
}

/// Between the server and the C library: the system's clock is ahead by what a file says.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, now);
    if (id == CLOCK_REALTIME) {
        long seconds = 0;
        FILE *file = fopen("ahead", "r");
        if (file) {
            if (fscanf(file, "%ld", &seconds) == 1) now->tv_sec += seconds;
            fclose(file);
        }
    }
    return failed;
}
"#;

#[test]
fn a_clock_that_is_set_is_told() {
    let folder = WorkDir::new("clock");
    fs::write(folder.join("clock.c"), CLOCK).expect("write the source");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"])
        .current_dir(&*folder);
    run("cc", &folder, 60, &mut compiler).ok();
    let library = folder.join("clock.so").display().to_string();
    let server = Setup::default().environment("LD_PRELOAD", &library).start();
    server.wait_for_line(&["signal installed"]);
    let bystander = Bystander::start(server.port());
    let set = |seconds: &str| {
        // Read whole or not at all.
        fs::write(server.file("next"), seconds).expect("write the offset");
        fs::rename(server.file("next"), server.file("ahead")).expect("set the clock");
    };
    set("3600");
    let line = server.wait_for_line(&["[WARN]", "the system's clock jumped by +", " ms within "]);
    let millis = line.split_once("by +").and_then(|(_, rest)| rest.split_once(" ms"));
    let millis: u64 = millis.and_then(|(millis, _)| millis.parse().ok()).expect("a number");
    assert!(millis.abs_diff(3_600_000) < 1000, "{line}");
    set("3590");
    server.wait_for_line(&["[WARN]", "the system's clock jumped by -"]);
    bystander.finish();
    let log = server.log();
    assert_eq!(log.matches("clock jumped by").count(), 2, "{log}");
}

#[test]
fn a_reload_changes_the_interval() {
    let server = Setup::default().globals("threads { interval 3600; }\n").start();
    server.wait_for_line(&["signal installed"]);
    let file = server.file("srs.conf");
    let text = fs::read_to_string(&file).expect("read the configuration");
    fs::write(&file, text.replace("interval 3600", "interval 1")).expect("write it");
    assert_eq!(reports(&server), 0);
    server.signal(Signal::SIGHUP);
    wait_for("lines", 10, || (reports(&server) >= 2).then_some(()));
}

/// Lets the running server have so many descriptors.
fn limit_files(server: &Server, count: usize) {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &server.pid().to_string(), &format!("--nofile={count}:{count}")]);
    run("prlimit", server.folder(), 5, &mut command).ok();
}

#[test]
fn files_are_told_before_they_run_out() {
    const FILES: usize = 256;
    let exporter = Port::free();
    let server = Setup::default()
        .globals(&format!(
            "threads {{ interval 1; }}\nexporter {{ enabled on; listen 127.0.0.1:{}; }}\n",
            exporter.number()
        ))
        .start();
    server.wait_for_line(&["Exporter listen at"]);
    let bystander = Bystander::start(server.port());
    limit_files(&server, FILES);
    let mut idle = Vec::new();
    let mut open_until = |percent: usize| {
        while server.open_files() * 100 < FILES * percent {
            let before = server.open_files();
            idle.push(TcpStream::connect(("127.0.0.1", server.port())).expect("connect"));
            wait_for("the server to accept", 5, || {
                (server.open_files() > before).then_some(())
            });
        }
    };
    open_until(82);
    let line = server.wait_for_line(&["[WARN]", "open files: ", " of 256 (8", "%) in use", "ulimit -n"]);
    println!("{line}");
    open_until(96);
    server.wait_for_line(&["[WARN]", "open files: ", " of 256 (9"]);
    let metrics = || {
        let mut command = Command::new("curl");
        command.args(["-sS", &format!("http://127.0.0.1:{}/metrics", exporter.number())]);
        run("curl", server.folder(), 10, &mut command).ok().output
    };
    let value = |name: &str| -> u64 {
        let page = metrics();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.and_then(|value| value.parse().ok());
        value.unwrap_or_else(|| panic!("{name} in {page}"))
    };
    assert_eq!(value("srs_open_files_limit"), FILES as u64);
    assert!(value("srs_open_files") >= 230);
    assert!(value("srs_memory_maps") > 100 && value("srs_memory_maps") < value("srs_memory_maps_limit"));
    assert!(value("srs_memory") < value("srs_memory_limit"));
    // Each is told once.
    thread::sleep(Duration::from_millis(2500));
    let told = |level: &str| {
        let log = server.log();
        log.lines()
            .filter(|line| line.contains("open files: ") && line.contains(level))
            .count()
    };
    assert_eq!(told("[WARN]"), 2);
    drop(idle);
    server.wait_for_line(&["[INFO]", "open files: ", "the limit is far again"]);
    assert_eq!(told("[INFO]"), 1);
    bystander.finish();
}

#[test]
fn a_server_that_is_given_few_files_tells_it() {
    // As many clients as the check lets in, of 1024 files: 890 and some make 87 %.
    let mut command = Command::new("sh");
    let port = Port::free();
    let folder = WorkDir::new("few-files");
    let conf = format!(
        "listen 127.0.0.1:{};\ndaemon off;\nsrs_log_tank console;\npid srs.pid;\nmax_connections 890;\nthreads {{ interval 1; }}\nvhost __defaultVhost__ {{ }}\n",
        port.number()
    );
    fs::write(folder.join("srs.conf"), conf).expect("write the configuration");
    command
        .args(["-c", "ulimit -n 1024; exec \"$0\" -c srs.conf", PROGRAM])
        .current_dir(&*folder);
    let mut server = Program::start("srs", &folder, &mut command);
    wait_for("the server to listen", 10, || {
        server.output().contains("RTMP listen at").then_some(())
    });
    let idle: Vec<_> = (0..850)
        .map(|_| TcpStream::connect(("127.0.0.1", port.number())).expect("connect"))
        .collect();
    wait_for("the warning", 20, || {
        let log = server.output();
        let mut lines = log.lines();
        lines
            .any(|line| line.contains("[WARN]") && line.contains(" of 1024 (8") && line.contains("ulimit -n"))
            .then_some(())
    });
    drop(idle);
    wait_for("the limit to be far again", 20, || {
        server.output().contains("the limit is far again").then_some(())
    });
    server.stop().ok();
}
