//! What operators do to a running server and ask it: reloads by a changed file, `-s`, health.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::bystander::Bystander;
use crate::support::port::Port;
use crate::support::program::{Ended, run};
use crate::support::rtmp::Rtmp;
use crate::support::server::{PROGRAM, Server, Setup};

fn change(server: &Server, name: &str, from: &str, to: &str) {
    let file = server.file(name);
    let text = fs::read_to_string(&file).expect("read the configuration");
    assert!(text.contains(from), "{from} in {text}");
    // As editors do it: another file takes its place.
    let beside = server.file("beside.tmp");
    fs::write(&beside, text.replace(from, to)).expect("write the configuration");
    fs::rename(beside, file).expect("replace the configuration");
}

fn steer(server: &Server, word: &str) -> Ended {
    let mut command = Command::new(PROGRAM);
    command
        .args(["-s", word, "-c", "srs.conf"])
        .current_dir(server.folder());
    run("srs", server.folder(), 10, &mut command)
}

#[test]
fn a_changed_file_is_a_reload_and_a_bad_one_is_not() {
    let server = Setup::default()
        .globals("inotify_auto_reload on; max_connections 100;\n")
        .allow_error("reload failed")
        .start();
    server.wait_for_line(&["changes of the configuration", "are watched"]);
    let bystander = Bystander::start(server.port());
    change(&server, "srs.conf", "max_connections 100", "max_connectionz 100");
    server.wait_for_line(&["reload failed", "max_connectionz"]);
    // Changes while it waits after a reload are not lost.
    fs::write(server.file("included.conf"), "pithy_print_ms 9000;\n").expect("write another file");
    let more = "max_connections 101; include included.conf";
    change(&server, "srs.conf", "max_connectionz 100", more);
    server.wait_for_line(&["reload success"]);
    change(&server, "included.conf", "9000", "8000");
    server.wait_for_lines(2, &["reload success"]);
    bystander.finish();
}

#[test]
fn without_the_directive_a_changed_file_waits_for_a_signal() {
    let server = Setup::default().globals("max_connections 100;\n").start();
    change(&server, "srs.conf", "max_connections 100", "max_connections 101");
    let ended = steer(&server, "reload").ok();
    assert!(ended.output.contains("SIGHUP"), "{}", ended.output);
    server.wait_for_line(&["reload success"]);
    assert!(!server.log().contains("has changed, reload"));
}

#[test]
fn words_steer_the_server_with_the_pid_file() {
    let server = Setup::default().start();
    steer(&server, "reopen").ok();
    server.wait_for_line(&["log file reopened"]);
    let refused = steer(&server, "nonsense").exits_with(255);
    assert!(
        refused.output.contains("reload, reopen, stop, quit, upgrade"),
        "{}",
        refused.output
    );
    // A pid file that is left behind names nobody.
    fs::write(
        server.file("left.conf"),
        "listen 1; daemon off; pid left.pid; vhost __defaultVhost__ { }\n",
    )
    .unwrap();
    fs::write(server.file("left.pid"), std::process::id().to_string()).unwrap();
    for _ in 0..2 {
        let mut command = Command::new(PROGRAM);
        command
            .args(["-s", "stop", "-c", "left.conf"])
            .current_dir(server.folder());
        let refused = run("srs", server.folder(), 10, &mut command);
        assert!(
            !refused.status.success() && refused.output.contains("no server runs"),
            "{}",
            refused.output
        );
        let _ = fs::remove_file(server.file("left.pid"));
    }
    assert!(Rtmp::connect(server.port(), "live").is_ok());
}

#[test]
fn health_tells_who_lives_and_who_is_ready() {
    let (http, api) = (Port::free(), Port::free());
    let server = Setup::default()
        .globals(&format!(
            "http_server {{ enabled on; listen 127.0.0.1:{}; }}
            http_api {{ enabled on; listen 127.0.0.1:{}; auth {{ enabled on; username u; password p; }} }}
            grace_start_wait 5000;\n",
            http.number(),
            api.number()
        ))
        .start();
    server.wait_for_line(&["signal installed"]);
    let get = |port: &Port, path: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "5", "-w", "%{http_code}"]);
        command.arg(format!("http://127.0.0.1:{}{path}", port.number()));
        run("curl", server.folder(), 10, &mut command).ok().output
    };
    for port in [&http, &api] {
        assert_eq!(get(port, "/healthz"), "ok\n200");
        assert_eq!(get(port, "/readyz"), "ok\n200");
    }
    server.signal(Signal::SIGQUIT);
    server.wait_for_line(&["graceful quit, listeners close in"]);
    for port in [&http, &api] {
        assert_eq!(get(port, "/healthz"), "ok\n200");
        assert_eq!(get(port, "/readyz"), "the server ends\n503");
    }
}
