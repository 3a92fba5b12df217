//! Where an edge gets streams from, whom an origin asks, and the registry that they share, while streams go on.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::site::{Endless, Site, next_frame};
use crate::support::bystander::numbered_header;
use crate::support::callbacks::{Callbacks, OK, body};
use crate::support::port::Port;
use crate::support::redis::Redis;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

/// A server with a vhost `there.com`, where `s` and `web` are published.
struct Origin {
    server: Server,
    http: Port,
    _publishers: [Endless; 2],
}

impl Origin {
    fn start(vhost: &str) -> Self {
        let http = Port::free();
        let http_server = format!(
            "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n",
            http.number()
        );
        let remux = "min_latency on; http_remux { enabled on; }";
        let server = Setup::default()
            .globals(&http_server)
            .vhosts(&format!(
                "vhost __defaultVhost__ {{ {remux} {vhost} }}\nvhost there.com {{ {remux} }}\n"
            ))
            .allow_error("code=")
            .start();
        let publisher = |stream: &str| {
            let client = Rtmp::connect(server.port(), "live").and_then(|client| client.publish("live", stream));
            let mut client = client.expect("publish");
            client.send_tag(&numbered_header()).expect("send the header");
            Endless::start(client)
        };
        let publishers = ["s", "web"].map(publisher);
        Origin {
            server,
            http,
            _publishers: publishers,
        }
    }

    fn at(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    /// Who plays from it, by the log.
    fn lines(&self, parts: &[&str]) -> usize {
        let log = self.server.log();
        log.lines()
            .filter(|line| parts.iter().all(|part| line.contains(part)))
            .count()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, parts: &[&str]) {
        wait_for(what, 15, || (self.lines(parts) > 0).then_some(()));
    }
}

/// Who accepts RTMP connections and hands over what the first second of each brings.
fn listen() -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let place = listener.local_addr().expect("an address").to_string();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            if sender.send(take(socket).unwrap_or_default()).is_err() {
                return;
            }
        }
    });
    (place, receiver)
}

fn take(mut socket: TcpStream) -> std::io::Result<Vec<u8>> {
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut hello = [0; 1537];
    socket.read_exact(&mut hello)?;
    socket.write_all(&[&[3][..], &[0; 1536], &hello[1..]].concat())?;
    socket.read_exact(&mut [0; 1536])?;
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = socket.read(&mut part) {
        all.extend(&part[..count]);
    }
    Ok(all)
}

fn edge(settings: &str) -> String {
    format!("min_latency on; http_remux {{ enabled on; }} cluster {{ mode remote; {settings} }}")
}

#[test]
fn an_edge_asks_the_new_origins() {
    let [mut first, second] = [Origin::start(""), Origin::start("")];
    let site = Site::start("", &edge(&format!("origin {};", first.at())));
    let mut player = site.play("s");
    next_frame(&mut player);
    // It stays with the one that it has until that goes, and then asks the new one.
    site.reload("", &edge(&format!("origin {};", second.at())));
    next_frame(&mut player);
    assert_eq!(second.lines(&["rtmp-play"]), 0);
    first.server.kill();
    second.wait_for("cluster.origin while it is played", &["rtmp-play"]);
    let mut frames = 0;
    wait_for("the player to go on", 15, || {
        next_frame(&mut player);
        frames += 1;
        (frames > 100).then_some(())
    });
}

#[test]
fn new_pulls_go_by_the_new_settings() {
    let origin = Origin::start("");
    let setup = Setup::default().allow_error("token traverse");
    let site = Site::start_with(setup, "", &edge(&format!("origin {};", origin.at())));
    let mut player = site.play("s");
    next_frame(&mut player);
    site.reload("", &edge(&format!("origin {}; vhost there.com;", origin.at())));
    // A stream is asked for once while it is played: each of these is one of its own.
    let pull = |stream: &str| Rtmp::connect(site.server.port(), "live").and_then(|client| client.play(stream));
    let _player = pull("a").expect("play");
    origin.wait_for("cluster.vhost", &["rtmp-play", "there.com"]);
    let (listener, heard) = listen();
    for (switch, tells) in [("off", false), ("on", true)] {
        site.reload("", &edge(&format!("origin {listener}; debug_srs_upnode {switch};")));
        let app = format!("app-{switch}");
        let player = Rtmp::connect(site.server.port(), &app).and_then(|client| client.play("s"));
        let player = player.expect("play");
        let holds = |said: &[u8], text: &str| said.windows(text.len()).any(|part| part == text.as_bytes());
        let said = wait_for("the edge to connect", 15, || {
            let said = heard.recv_timeout(Duration::from_secs(2)).ok()?;
            holds(&said, &app).then_some(said)
        });
        assert_eq!(holds(&said, "srs_sig"), tells, "cluster.debug_srs_upnode {switch}");
        drop(player);
    }
    let at_http = format!("127.0.0.1:{}", origin.http.number());
    site.reload("", &edge(&format!("origin {at_http}; protocol flv;")));
    let _player = pull("web").expect("play");
    origin.wait_for("cluster.protocol flv", &["http Flv player"]);
    let before = origin.lines(&["rtmp-play"]);
    site.reload(
        "",
        &edge(&format!("origin {}; protocol flv; follow_client on;", origin.at())),
    );
    let _player = pull("follow").expect("play");
    wait_for("cluster.follow_client on", 15, || {
        (origin.lines(&["rtmp-play"]) > before).then_some(())
    });

    let refusing = Callbacks::start(|target| {
        Some(if target.contains("connect") {
            body("1")
        } else {
            OK.to_owned()
        })
    });
    let strict = Setup::default().vhost(&refusing.block()).allow_error("code=").start();
    for (switch, plays) in [("off", true), ("on", false)] {
        let settings = format!("origin 127.0.0.1:{}; token_traverse {switch};", strict.port());
        site.reload("", &edge(&settings));
        assert_eq!(
            pull(&format!("token{switch}")).is_ok(),
            plays,
            "cluster.token_traverse {switch}"
        );
    }
    assert!(player.is_open());
}

#[test]
fn an_origin_sends_players_on_by_the_new_settings() {
    let http = Port::free();
    let other = Setup::default()
        .globals(&format!(
            "http_api {{ enabled on; listen 127.0.0.1:{}; }}\n",
            http.number()
        ))
        .vhost("cluster { origin_cluster on; }")
        .start();
    let publisher = Rtmp::connect(other.port(), "live").and_then(|client| client.publish("live", "far"));
    let mut publisher = publisher.expect("publish");
    publisher.send_tag(&numbered_header()).expect("send the header");
    let _publisher = Endless::start(publisher);
    let site = Site::start_with(Setup::default().allow_error("code="), "", "min_latency on;");
    let near = Endless::start(site.publish("near"));
    let play = || Rtmp::connect(site.server.port(), "live").and_then(|client| client.play("far"));
    let coworkers = format!("coworkers 127.0.0.1:{};", http.number());
    // Its own API knows of no other origin.
    let alone = format!("coworkers 127.0.0.1:{};", site.http.number());
    site.reload("", &format!("min_latency on; cluster {{ origin_cluster on; {alone} }}"));
    let lost = play().and_then(|mut player| player.wait_for_media());
    assert!(lost.is_err(), "cluster.origin_cluster on: nobody has it");
    site.server.wait_for_line(&["ret=3092"]);
    site.reload(
        "",
        &format!("min_latency on; cluster {{ origin_cluster on; {coworkers} }}"),
    );
    let sent_on = play().and_then(|mut player| player.wait_for_media());
    assert!(sent_on.is_err(), "cluster.coworkers: it is elsewhere");
    site.server.wait_for_line(&["ret=2997"]);
    site.reload(
        "",
        &format!("min_latency on; cluster {{ origin_cluster off; {coworkers} }}"),
    );
    let before = site.server.log().matches("ret=2997").count();
    let waiting = site.play("far");
    site.server.wait_for_line(&["start play"]);
    assert_eq!(
        site.server.log().matches("ret=2997").count(),
        before,
        "cluster.origin_cluster off: it waits here"
    );
    drop(waiting);
    near.finish();
}

#[test]
fn the_registry_follows() {
    let folder = WorkDir::new("redis");
    let (one, two) = (Redis::start(&folder, ""), Redis::start(&folder, "secret"));
    let cluster = "min_latency on; cluster { origin_cluster on; }";
    let site = Site::start("", cluster);
    // It is published before there is a registry.
    let publisher = Endless::start(site.publish("s"));
    let registry = |redis: &Redis, more: &str| {
        let block = format!(
            "registry {{ enabled on; address 127.0.0.1:{}; {more} }}\n",
            redis.port()
        );
        let before = site.server.log().matches("registry: connected to").count();
        site.reload(&block, cluster);
        site.server.wait_for_lines(before + 1, &["registry: connected to"]);
    };
    let holds = |redis: &Redis, what: &str, command: &str, part: &str| {
        wait_for(what, 15, || redis.ask(command).contains(part).then_some(()));
    };
    registry(&one, "advertise 10.0.0.1:1935;");
    holds(
        &one,
        "registry.enabled on, address, advertise",
        "GET srs:stream:/live/s",
        "10.0.0.1:1935",
    );
    registry(&one, "advertise 10.0.0.2:1935; prefix other:;");
    holds(
        &one,
        "registry.prefix, advertise",
        "GET other:stream:/live/s",
        "10.0.0.2:1935",
    );
    registry(&one, "prefix leased:; lease 3600;");
    wait_for("registry.lease 3600", 15, || {
        let left: i64 = one
            .ask("TTL leased:stream:/live/s")
            .trim_start_matches(':')
            .parse()
            .ok()?;
        (left > 3000).then_some(())
    });
    registry(&one, "database 3; prefix third:;");
    let third = "EVAL \"redis.call('SELECT', 3) return redis.call('GET', KEYS[1])\" 1 third:stream:/live/s";
    holds(&one, "registry.database 3", third, "rtmp");
    registry(&two, "password secret;");
    holds(&two, "registry.address and password", "GET srs:stream:/live/s", "rtmp");
    assert_eq!(two.ask("ACL SETUSER media on >word ~* +@all"), "+OK");
    registry(&two, "username media; password word; prefix user:;");
    holds(&two, "registry.username", "GET user:stream:/live/s", "rtmp");

    registry(&two, "password secret; timeout 1500;");
    holds(&two, "registry.password again", "GET srs:stream:/live/s", "rtmp");
    two.signal(Signal::SIGSTOP);
    let begin = Instant::now();
    let mut late = site.publish("late");
    let waited = begin.elapsed();
    two.signal(Signal::SIGCONT);
    assert!(
        waited > Duration::from_millis(1200),
        "registry.timeout 1500: {waited:?}"
    );
    site.server
        .wait_for_line(&["registry: ", "late is published here unregistered for now"]);
    assert!(late.is_open());
    site.reload("registry { enabled off; }\n", cluster);
    site.server.wait_for_line(&["the connection to Redis has ended"]);
    publisher.finish();
}
