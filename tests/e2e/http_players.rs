//! Players over HTTP: whether they may play, who they are behind proxies, and what callback servers are told of them.

use std::process::Command;

use serde_json::Value;

use crate::support::bystander::{numbered_frame, numbered_header};
use crate::support::callbacks::{Callbacks, body, yes};
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

struct Site {
    server: Server,
    media: Port,
    api: Port,
    _publisher: Rtmp,
}

impl Site {
    /// A server with `live/s`; `globals` and `directives` are for the outermost level and for the default vhost.
    fn start(globals: &str, directives: &str) -> Self {
        let (media, api) = (Port::free(), Port::free());
        let globals = format!(
            "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n\
             http_api {{ enabled on; listen 127.0.0.1:{}; }}\n{globals}",
            media.number(),
            api.number()
        );
        let server = Setup::default()
            .globals(&globals)
            .vhost(&format!("http_remux {{ enabled on; }} {directives}"))
            .start();
        server.wait_for_line(&["HTTP-API listen at"]);
        let client = Rtmp::connect(server.port(), "live").expect("connect");
        let mut publisher = client.publish("live", "s").expect("publish");
        publisher.send_tag(&numbered_header()).expect("send a header");
        publisher.send_tag(&numbered_frame(0)).expect("send a frame");
        Site {
            server,
            media,
            api,
            _publisher: publisher,
        }
    }

    fn command(&self, target: &str, fields: &[&str]) -> Command {
        let mut command = Command::new("curl");
        command.args(["-sS", "-N", "-o", "played"]);
        for field in fields {
            command.args(["-H", field]);
        }
        command.arg(format!("http://127.0.0.1:{}{target}", self.media.number()));
        command.current_dir(self.server.folder());
        command
    }

    fn play(&self, target: &str, fields: &[&str]) -> Program {
        Program::start("curl", self.server.folder(), &mut self.command(target, fields))
    }

    /// The status of the answer, from a player that does not stay.
    #[track_caller]
    fn status(&self, target: &str, fields: &[&str]) -> String {
        let mut command = self.command(target, fields);
        command.args(["--max-time", "1", "-w", "%{http_code}"]);
        let output = run("curl", self.server.folder(), 10, &mut command).output;
        output[output.len() - 3..].to_owned()
    }

    #[track_caller]
    fn players(&self, count: usize) -> Vec<Value> {
        wait_for(&format!("{count} players"), 10, || {
            let mut command = Command::new("curl");
            command.arg("-sS");
            command.arg(format!("http://127.0.0.1:{}/api/v1/clients/", self.api.number()));
            let answer = run("curl", self.server.folder(), 10, &mut command).ok().output;
            let answer: Value = serde_json::from_str(&answer).ok()?;
            let clients = answer["clients"].as_array()?.iter();
            let players: Vec<Value> = clients.filter(|client| client["type"] == "flv-play").cloned().collect();
            (players.len() == count).then_some(players)
        })
    }
}

fn hooks(callbacks: &Callbacks) -> String {
    let lines = ["on_connect", "on_close", "on_play", "on_stop"]
        .map(|event| format!("{event} http://127.0.0.1:{}/{event};", callbacks.port));
    format!("http_hooks {{ enabled on; {} }}", lines.join(" "))
}

#[test]
fn a_player_is_asked_for_and_its_end_is_told() {
    let callbacks = Callbacks::start(yes);
    let site = Site::start("", &hooks(&callbacks));
    callbacks.wait_for(&["on_connect"]);
    let player = site.play("/live/s.flv?tk=9&b", &["Referer: http://a.com/page"]);
    callbacks.wait_for(&["on_connect", "on_play"]);
    let id = site.players(1)[0]["id"].clone();
    drop(player);
    callbacks.wait_for(&["on_connect", "on_play", "on_stop"]);
    let bodies = callbacks.bodies();
    let (play, stop) = (&bodies[1], &bodies[2]);
    let fields = |body: &Value| body.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let common = ["server_id", "service_id", "action", "client_id", "ip", "vhost", "app"];
    let more = ["stream", "tcUrl", "param", "pageUrl", "stream_url", "stream_id"];
    assert_eq!(fields(play), [&common[..], &more].concat());
    let more = ["tcUrl", "stream", "param", "stream_url", "stream_id"];
    assert_eq!(fields(stop), [&common[..], &more].concat());
    for body in [play, stop] {
        assert_eq!((&body["client_id"], &body["ip"]), (&id, &"127.0.0.1".into()));
        assert_eq!((&body["stream"], &body["param"]), (&"s".into(), &"?tk=9&b".into()));
        assert_eq!(body["tcUrl"], "rtmp://__defaultVhost__/live");
        assert_eq!((&body["app"], &body["stream_url"]), (&"live".into(), &"/live/s".into()));
        assert!(body["stream_id"].as_str().is_some_and(|id| id.starts_with("vid-")));
    }
    assert_eq!(play["pageUrl"], "http://a.com/page");
}

#[test]
fn a_refused_player_gets_a_403_and_leaves_no_trace() {
    let callbacks = Callbacks::start(|target| {
        let code = if target == "/on_play" { 7 } else { 0 };
        Some(body(&format!("{{\"code\":{code}}}")))
    });
    let site = Site::start("", &hooks(&callbacks));
    assert_eq!(site.status("/live/s.flv", &[]), "403");
    site.server.wait_for_line(&["http player is refused, code=3064"]);
    callbacks.wait_for(&["on_connect", "on_play"]);
    site.players(0);
    let upgrade = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==",
    ];
    assert_eq!(site.status("/live/s.flv", &upgrade), "403");
    callbacks.wait_for(&["on_connect", "on_play", "on_play"]);
}

#[test]
fn an_accepted_player_whose_upgrade_fails_is_told_to_have_stopped() {
    let callbacks = Callbacks::start(yes);
    let site = Site::start("", &hooks(&callbacks));
    let broken = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
    assert_eq!(site.status("/live/s.flv", &broken), "400");
    callbacks.wait_for(&["on_connect", "on_play", "on_stop"]);
    site.players(0);
}

#[test]
fn rules_of_addresses_hold_for_players_over_http() {
    let rules = "security { enabled on; allow publish all; deny play 192.0.2.0/24; allow play 203.0.113.7 2001:db8::/32; allow play 2001:db8::/32; }";
    let site = Site::start("trusted_proxies 127.0.0.1;\n", rules);
    let from = |address: &str| site.status("/live/s.flv", &[&format!("X-Forwarded-For: {address}")]);
    assert_eq!(site.status("/live/s.flv", &[]), "403");
    site.server
        .wait_for_line(&["http player is refused, code=1054(SecurityAllow)", "127.0.0.1"]);
    assert_eq!(from("192.0.2.9"), "403");
    site.server
        .wait_for_line(&["http player is refused, code=1053(SecurityDeny)", "192.0.2.9"]);
    assert_eq!(from("203.0.113.7"), "200");
    assert_eq!(from("203.0.113.7, 192.0.2.9"), "403");
    assert_eq!(from("[2001:db8::9]:4711"), "200");
    assert_eq!(from("unknown"), "403");
}

#[test]
fn rules_of_addresses_hold_for_sessions_of_hls() {
    let rules = "hls { enabled on; hls_ctx on; hls_path ./html; } security { enabled on; allow publish all; allow play 192.0.2.0/24; }";
    let site = Site::start("trusted_proxies 127.0.0.1;\n", rules);
    let folder = site.server.file("html/live");
    std::fs::create_dir_all(&folder).expect("create a folder");
    std::fs::write(folder.join("p.m3u8"), "#EXTM3U\n").expect("write a playlist");
    assert_eq!(site.status("/live/p.m3u8", &[]), "403");
    assert_eq!(site.status("/live/p.m3u8", &["X-Forwarded-For: 192.0.2.7"]), "200");
    site.server.wait_for_line(&["HLS session ", ", ip=192.0.2.7, "]);
}

#[test]
fn a_trusted_proxy_tells_who_plays() {
    let callbacks = Callbacks::start(yes);
    let site = Site::start("trusted_proxies ::1 127.0.0.0/8;\n", &hooks(&callbacks));
    let player = site.play(
        "/live/s.flv",
        &["X-Forwarded-For: 203.0.113.66, 192.0.2.7", "X-Forwarded-For: 127.0.0.9"],
    );
    assert_eq!(site.players(1)[0]["ip"], "192.0.2.7");
    site.server
        .wait_for_line(&["HTTP #0 127.0.0.1:", " for 192.0.2.7 GET http://"]);
    site.server.wait_for_line(&["player, ip=192.0.2.7, "]);
    drop(player);
    callbacks.wait_for(&["on_connect", "on_play", "on_stop"]);
    assert!(callbacks.bodies()[1..].iter().all(|body| body["ip"] == "192.0.2.7"));
    for (field, ip) in [
        ("X-Real-IP: 192.0.2.8", "192.0.2.8"),
        ("Forwarded: for=\"[2001:db8::8]:80\";proto=https", "2001:db8::8"),
        ("X-Forwarded-For: garbage", "127.0.0.1"),
    ] {
        let player = site.play("/live/s.flv", &[field]);
        assert_eq!(site.players(1)[0]["ip"], ip, "{field}");
        drop(player);
        site.players(0);
    }
}

#[test]
fn without_trusted_proxies_nobody_is_believed() {
    let site = Site::start("", "");
    let fields = [
        "X-Forwarded-For: 192.0.2.7",
        "X-Real-IP: 192.0.2.7",
        "Forwarded: for=192.0.2.7",
    ];
    let _player = site.play("/live/s.flv", &fields);
    assert_eq!(site.players(1)[0]["ip"], "127.0.0.1");
    assert!(!site.server.log().contains("192.0.2.7"));
}
