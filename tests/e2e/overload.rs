//! A server with more load than it can carry: who is turned away, who is not, and how it recovers.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::bystander::Bystander;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::rtmp::{Rtmp, closes_within};
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

/// Percent of a processor that the bystander alone stays below, and the load goes far beyond.
const LITTLE: u32 = 5;
/// Above what any server can use.
const NEVER: u32 = 100_000;

struct Site {
    server: Server,
    http: Port,
    api: Port,
    exporter: Port,
}

impl Site {
    /// With these thresholds of high, critical and dying water.
    fn start(thresholds: [u32; 3], more: &str) -> Self {
        let (http, api, exporter) = (Port::free(), Port::free(), Port::free());
        let [high, critical, dying] = thresholds;
        let server = Setup::default()
            .globals(&format!(
                "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}
                http_api {{ enabled on; listen 127.0.0.1:{}; }}
                exporter {{ enabled on; listen 127.0.0.1:{}; }}
                circuit_breaker {{ high_threshold {high}; critical_threshold {critical}; dying_threshold {dying}; dying_pulse 3; }}
                {more}\n",
                http.number(),
                api.number(),
                exporter.number()
            ))
            .vhost("min_latency on; http_remux { enabled on; } hls { enabled on; hls_path ./html; hls_fragment 1; }")
            .start();
        server.wait_for_line(&["signal installed"]);
        Site {
            server,
            http,
            api,
            exporter,
        }
    }

    /// The body and the status of a page.
    #[track_caller]
    fn get(&self, port: &Port, path: &str) -> (String, u32) {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "2", "-w", "\n%{http_code}"]);
        command.arg(format!("http://127.0.0.1:{}{path}", port.number()));
        // A player that is let in stays until the time is over.
        let output = run("curl", self.server.folder(), 10, &mut command).output;
        let line = output
            .lines()
            .rfind(|line| line.len() == 3 && line.parse::<u32>().is_ok());
        let status = line.and_then(|line| line.parse().ok()).unwrap_or(0);
        (output, status)
    }

    #[track_caller]
    fn metric(&self, name: &str) -> u64 {
        let (page, _) = self.get(&self.exporter, "/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("{name} in {page}"))
    }

    /// The level that the API tells.
    #[track_caller]
    fn water(&self) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "5"]);
        command.arg(format!("http://127.0.0.1:{}/api/v1/summaries", self.api.number()));
        let output = run("curl", self.server.folder(), 10, &mut command).ok().output;
        let value: serde_json::Value = serde_json::from_str(output.trim()).unwrap_or_else(|e| panic!("{output}: {e}"));
        value["data"]["self"]["water_level"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Real load: a publisher and players of it, each message of which is sent at once, until it is stopped.
    fn load(&self, players: u32) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_srs-bench"));
        let url = self.server.url("load");
        command
            .args(["publish", &url, "--bitrate", "1m", "and", "play", &url, "-n"])
            .args([&players.to_string(), "--delay", "500ms"])
            .args(["--rate", "1000", "--verify", "--time", "0", "--json", "load.json"])
            .current_dir(self.server.folder());
        Program::start("srs-bench", self.server.folder(), &mut command)
    }

    /// Ends the load; nobody of it may have been cut off or have missed anything.
    fn finish(&self, mut load: Program) {
        load.signal(Signal::SIGINT);
        let ended = load.wait(30);
        let result = fs::read_to_string(self.server.file("load.json")).unwrap_or_default();
        let result: serde_json::Value = serde_json::from_str(&result).unwrap_or_default();
        assert_eq!(result["good"], true, "{}\n{result:#}", ended.output);
    }
}

fn is_refused(port: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else {
        return true;
    };
    closes_within(&mut socket, 1)
}

fn is_player_refused(port: u16) -> bool {
    match Rtmp::connect(port, "live").and_then(|client| client.play("load")) {
        Ok(_) => false,
        Err(error) => {
            assert!(error.to_string().contains("NetStream.Play.Failed"), "{error}");
            true
        }
    }
}

#[test]
fn in_dying_water_who_is_there_is_served_and_nobody_else() {
    let site = Site::start([LITTLE, LITTLE, LITTLE], "");
    let server = &site.server;
    let bystander = Bystander::start(server.port());
    assert_eq!(
        (site.water().as_str(), site.metric("srs_circuit_breaker_state")),
        ("normal", 0)
    );
    wait_for("the playlist", 10, || {
        server.file("html/live/bystander.m3u8").exists().then_some(())
    });
    let load = site.load(300);
    let line = server.wait_for_line(&["[WARN]", "circuit breaker: dying water", "cpu="]);
    println!("{line}");
    assert_eq!(site.get(&site.http, "/readyz").1, 503);
    assert!(site.get(&site.http, "/readyz").0.contains("the server is overloaded"));
    assert_eq!(site.get(&site.http, "/healthz").1, 200);
    assert_eq!(site.metric("srs_circuit_breaker_state"), 3);
    assert_eq!(site.water(), "dying");
    assert!(is_refused(server.port()));
    server.wait_for_line(&["[WARN]", "is refused, the server is overloaded (dying water)"]);
    assert_eq!(site.get(&site.http, "/live/bystander.flv").1, 503);
    assert_eq!(site.get(&site.http, "/live/bystander.m3u8").1, 503);
    assert!(site.metric("srs_overload_refused_total") >= 3);
    bystander.assert_flows();
    site.finish(load);
    server.wait_for_line(&["[INFO]", "circuit breaker: normal water", "over after"]);
    wait_for("room for others", 10, || (!is_refused(server.port())).then_some(()));
    assert_eq!(site.get(&site.http, "/readyz").1, 200);
    let (page, status) = site.get(&site.http, "/live/bystander.flv");
    assert!(status == 200 && !page.is_empty(), "{status}");
    bystander.finish();
}

#[test]
fn in_critical_water_publishers_may_come_and_players_may_not() {
    let site = Site::start([LITTLE, LITTLE, NEVER], "");
    let server = &site.server;
    let bystander = Bystander::start(server.port());
    let load = site.load(300);
    server.wait_for_line(&["[WARN]", "circuit breaker: critical water"]);
    wait_for("players to be refused", 10, || {
        is_player_refused(server.port()).then_some(())
    });
    server.wait_for_line(&[
        "[WARN]",
        "server disconnect. ret=1074",
        "no new players, the server is overloaded",
    ]);
    assert_eq!(site.get(&site.http, "/live/bystander.flv").1, 503);
    let publisher = Rtmp::connect(server.port(), "live").and_then(|client| client.publish("live", "late"));
    publisher.expect("a publisher is let in");
    assert_eq!(site.get(&site.http, "/readyz").1, 200);
    bystander.assert_flows();
    site.finish(load);
    server.wait_for_line(&["circuit breaker: normal water"]);
    let player = Rtmp::connect(server.port(), "live").and_then(|client| client.play("bystander"));
    player.expect("a player is let in");
    bystander.finish();
}

#[test]
fn in_high_water_transcoders_wait_and_a_reload_switches_it_off() {
    let site = Site::start([LITTLE, NEVER, NEVER], "");
    let server = &site.server;
    let with_exec =
        "vhost other { transcode { enabled on; ffmpeg ./coder; engine e { enabled on; vcodec copy; acodec copy;
        output rtmp://127.0.0.1:[port]/[app]?vhost=[vhost]/[stream]_[engine]; } } }\n";
    let file = server.file("srs.conf");
    let text = fs::read_to_string(&file).expect("read the configuration");
    let text = text + with_exec;
    fs::write(&file, &text).expect("write the configuration");
    fs::write(server.file("coder"), "#!/bin/sh\nexec sleep 60\n").expect("write the coder");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(server.file("coder"), mode).expect("make it a program");
    server.signal(Signal::SIGHUP);
    server.wait_for_line(&["reload success"]);
    let load = site.load(300);
    server.wait_for_line(&["[WARN]", "circuit breaker: high water", "start later"]);
    let tc_url = format!("rtmp://127.0.0.1:{}/live?vhost=other", server.port());
    let publisher = Rtmp::connect_as(server.port(), "live", &tc_url);
    let publisher = publisher.and_then(|client| client.publish("live", "s"));
    let _publisher = publisher.expect("publish");
    server.wait_for_line(&["transcode", "its start is put off"]);
    assert!(!server.log().contains("started pid="));
    // The load goes on.
    fs::write(
        &file,
        text.replace("circuit_breaker {", "circuit_breaker { enabled off;"),
    )
    .expect("change it");
    server.signal(Signal::SIGHUP);
    server.wait_for_line(&["circuit breaker: normal water"]);
    server.wait_for_line(&["transcode", "started pid="]);
    site.finish(load);
}

#[test]
fn a_reload_changes_thresholds_and_pulses() {
    let site = Site::start([NEVER, NEVER, NEVER], "");
    let server = &site.server;
    let set = |block: &str| {
        let file = server.file("srs.conf");
        let text = fs::read_to_string(&file).expect("read the configuration");
        let (before, rest) = text.split_once("circuit_breaker {").expect("the block");
        let (_, after) = rest.split_once('}').expect("the end of the block");
        fs::write(&file, format!("{before}circuit_breaker {{ {block} }}{after}")).expect("write it");
        server.signal(Signal::SIGHUP);
    };
    let others =
        |names: &[&str]| -> String { names.iter().map(|name| format!("{name}_threshold {NEVER}; ")).collect() };
    let load = site.load(300);
    let high = format!("high_threshold {LITTLE}; high_pulse 3600; ");
    set(&(high.clone() + &others(&["critical", "dying"])));
    server.wait_for_line(&["[WARN]", "circuit breaker: high water"]);
    let critical = format!("{high} critical_threshold {LITTLE}; critical_pulse 6; ");
    set(&(critical.clone() + &others(&["dying"])));
    server.wait_for_line(&["[WARN]", "circuit breaker: critical water"]);
    set(&format!("{critical} dying_threshold {LITTLE}; dying_pulse 2;"));
    server.wait_for_line(&["[WARN]", "circuit breaker: dying water"]);
    site.finish(load);
    // Both last longer than they do by default.
    server.wait_for_line(&["[INFO]", "circuit breaker: critical water"]);
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(site.water(), "critical");
    server.wait_for_line(&["[INFO]", "circuit breaker: high water"]);
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(site.water(), "high");
    set("enabled off;");
    server.wait_for_line(&["[INFO]", "circuit breaker: normal water"]);
}
