//! What one address may ask of the server.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::rtmp::{Rtmp, closes_within};
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

/// The ports of live streams over HTTP and of metrics.
struct Ports {
    media: Port,
    metrics: Port,
}

impl Ports {
    fn free() -> Self {
        Ports {
            media: Port::free(),
            metrics: Port::free(),
        }
    }

    fn number(&self) -> u16 {
        self.media.number()
    }
}

fn start(media: &Ports, globals: &str) -> Server {
    let server = Setup::default()
        .globals(&format!(
            "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\nexporter {{ enabled on; listen 127.0.0.1:{}; }}\n{globals}",
            media.number(),
            media.metrics.number()
        ))
        .vhost("http_remux { enabled on; }")
        .start();
    server.wait_for_line(&["HTTP-Server listen at"]);
    server
}

fn metric(media: &Ports, server: &Server) -> u64 {
    let mut command = Command::new("curl");
    command.args(["-sS", &format!("http://127.0.0.1:{}/metrics", media.metrics.number())]);
    let page = run("curl", server.folder(), 10, &mut command).ok().output;
    let value = page
        .lines()
        .find_map(|line| line.strip_prefix("srs_connections_refused_total "));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("the metric in {page}"))
}

fn curl(server: &Server, media: &Ports, fields: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["-sS", "-N", "-o", "played", "-w", "%{http_code}"]);
    for field in fields {
        command.args(["-H", field]);
    }
    command.arg(format!("http://127.0.0.1:{}/live/s.flv", media.number()));
    command.current_dir(server.folder());
    command
}

#[test]
fn an_address_has_so_many_connections_over_all_ports() {
    let media = Ports::free();
    let server = start(&media, "limits { connections_per_ip 3; }");
    let connect = |port| TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let held: Vec<_> = [server.port(), server.port(), media.number()].map(connect).into();
    let mut fourth = connect(media.number());
    assert!(closes_within(&mut fourth, 5));
    let mut fifth = connect(server.port());
    assert!(closes_within(&mut fifth, 5));
    server.wait_for_line(&["[WARN]", "127.0.0.1 is refused", "limits.connections_per_ip"]);
    assert_eq!(metric(&media, &server), 2);
    drop(held);
    wait_for("room for others", 10, || Rtmp::connect(server.port(), "live").ok());
}

#[test]
fn a_flood_is_logged_in_few_lines() {
    let media = Ports::free();
    let server = start(&media, "limits { new_connections_per_ip 5; }");
    for _ in 0..200 {
        let _ = TcpStream::connect(("127.0.0.1", server.port()));
    }
    wait_for("refusals", 10, || (metric(&media, &server) > 150).then_some(()));
    let lines = server
        .log()
        .lines()
        .filter(|line| line.contains("limits.new_connections_per_ip"))
        .count();
    assert!((1..=5).contains(&lines), "{lines} lines");
    std::thread::sleep(Duration::from_millis(1200));
    Rtmp::connect(server.port(), "live").expect("a place a second later");
}

#[test]
fn exempt_addresses_are_not_counted_and_a_reload_changes_limits() {
    let media = Ports::free();
    let server = start(&media, "limits { connections_per_ip 1; exempt 127.0.0.0/8; }");
    let _held: Vec<_> = (0..4)
        .map(|_| Rtmp::connect(server.port(), "live").expect("connect"))
        .collect();
    assert_eq!(metric(&media, &server), 0);
}

#[test]
fn behind_a_proxy_clients_are_counted_by_their_own_addresses() {
    let media = Ports::free();
    let server = start(&media, "trusted_proxies 127.0.0.1;\nlimits { connections_per_ip 1; }");
    let play = |client: &str| {
        let mut command = curl(&server, &media, &[&format!("X-Forwarded-For: {client}")]);
        Program::start("curl", server.folder(), &mut command)
    };
    let first = play("192.0.2.1");
    server.wait_for_line(&["http Flv player", "ip=192.0.2.1"]);
    let status = |client: &str| {
        let mut command = curl(&server, &media, &[&format!("X-Forwarded-For: {client}")]);
        command.args(["--max-time", "1"]);
        let output = run("curl", server.folder(), 10, &mut command).output;
        output[output.len() - 3..].to_owned()
    };
    assert_eq!(status("192.0.2.1"), "429");
    assert_eq!(status("192.0.2.2"), "200");
    drop(first);
    wait_for("the player to leave", 10, || {
        (status("192.0.2.1") == "200").then_some(())
    });
}
