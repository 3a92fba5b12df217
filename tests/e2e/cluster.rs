//! Clusters on one machine: every stream fetched once, each role killed in turn, and servers of others as peers.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::bystander::numbered_header;
use crate::support::clients::Ffmpeg;
use crate::support::flv::{self, Tag, VIDEO, assert_same_media};
use crate::support::media::Sample;
use crate::support::nginx::Nginx;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

/// Players of the two edges together.
const PLAYERS: usize = 500;
/// Threads that they share.
const THREADS: usize = 4;
/// How long the publisher of numbered frames goes on, a frame every 40 ms.
const FRAMES: u32 = 200;
const FRAME_MS: u64 = 40;
const KEYFRAME_EVERY: u32 = 25;

fn edge_of(origins: &[u16]) -> Setup {
    let origins: Vec<_> = origins.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    Setup::default().vhost(&format!("cluster {{ mode remote; origin {}; }}", origins.join(" ")))
}

fn publish(server: &Server) -> Program {
    let publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("s"));
    server.wait_for_line(&["start publish"]);
    publisher
}

fn play(port: u16) -> Rtmp {
    let mut player = Rtmp::connect(port, "live").expect("connect").play("s").expect("play");
    player.wait_for_media().expect("media");
    player
}

#[track_caller]
fn assert_plays_sample(port: u16) {
    let played = play(port).collect_media(Duration::from_secs(2));
    assert_same_media(&flv::read(&Sample::H264Aac.path()), &played, 30);
}

fn plays_of(origin: &Server) -> usize {
    let log = origin.log();
    let is_play = |line: &&str| line.contains("client identified") && line.contains("rtmp-play");
    log.lines().filter(is_play).count()
}

/// A frame whose payload tells its number.
fn numbered(number: u32) -> Tag {
    let kind: u8 = if number.is_multiple_of(KEYFRAME_EVERY) {
        0x17
    } else {
        0x27
    };
    let mut payload = vec![kind, 1, 0, 0, 0];
    payload.extend(number.to_be_bytes());
    payload.extend(std::iter::repeat_n(number as u8, 500));
    Tag {
        kind: VIDEO,
        timestamp: number * FRAME_MS as u32,
        payload,
    }
}

fn number_of(tag: &Tag) -> Option<u32> {
    let is_frame = tag.kind == VIDEO && !tag.is_header();
    let number = tag.payload.get(5..9).filter(|_| is_frame)?;
    number.try_into().ok().map(u32::from_be_bytes)
}

/// Checks that a player got frames as they were published, one after the other, and gives how many.
#[track_caller]
fn check_frames(received: &[Tag]) -> usize {
    let numbers: Vec<u32> = received.iter().filter_map(number_of).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    for tag in received {
        if let Some(number) = number_of(tag) {
            assert!(
                tag.payload == numbered(number).payload,
                "frame {number} has changed on the way"
            );
        }
    }
    numbers.len()
}

#[test]
fn five_hundred_players_at_two_edges_cost_the_origin_two() {
    let origin = Server::start();
    let edges = [(); 2].map(|()| edge_of(&[origin.port()]).globals("max_connections 1000;\n").start());
    let mut publisher = Rtmp::connect(origin.port(), "live")
        .and_then(|session| session.publish("live", "s"))
        .expect("publish");
    publisher.send_tag(&numbered_header()).expect("send the header");
    let counts: Vec<usize> = thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..FRAMES {
                publisher.send_tag(&numbered(number)).expect("send a frame");
                thread::sleep(Duration::from_millis(FRAME_MS));
            }
            // Players shall see the end of their own time, not that of the stream.
            thread::sleep(Duration::from_secs(8));
        });
        let players: Vec<_> = (0..THREADS)
            .map(|part| {
                let edges = &edges;
                scope.spawn(move || {
                    let own = (part..PLAYERS).step_by(THREADS);
                    let mut players: Vec<_> = own.map(|number| play(edges[number % 2].port())).collect();
                    thread::sleep(Duration::from_secs(2));
                    let collect = |player: &mut Rtmp| player.collect_media(Duration::from_millis(5));
                    let received: Vec<_> = players.iter_mut().map(collect).collect();
                    received.iter().map(|tags| check_frames(tags)).collect::<Vec<_>>()
                })
            })
            .collect();
        players
            .into_iter()
            .flat_map(|part| part.join().expect("players"))
            .collect()
    });
    assert_eq!(counts.len(), PLAYERS);
    let (fewest, most) = (
        counts.iter().min().expect("counts"),
        counts.iter().max().expect("counts"),
    );
    println!("{PLAYERS} players got {fewest} to {most} frames each, bytes as published");
    assert!(*fewest >= 10, "{counts:?}");
    assert_eq!(plays_of(&origin), 2, "one connection for each edge");
}

/// The longest time without media that a player sees in `seconds` while `harm` is done to its servers, and its messages.
fn longest_gap(mut player: Rtmp, seconds: u64, harm: impl FnOnce()) -> (Duration, usize) {
    let watching = thread::spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let (mut last, mut longest, mut messages) = (Instant::now(), Duration::ZERO, 0);
        while Instant::now() < deadline {
            let message = player.receive().expect("the player's connection");
            if message.is_media() {
                longest = longest.max(last.elapsed());
                last = Instant::now();
                messages += 1;
            }
        }
        (longest, messages)
    });
    thread::sleep(Duration::from_secs(1));
    harm();
    watching.join().expect("a player")
}

#[test]
fn each_role_may_be_killed_under_load() {
    // Two of each inner role, so that one may go: origins, middle edges; players are at the outer edge.
    let mut origins = [Server::start(), Server::start()];
    let _publishers = origins.each_ref().map(publish);
    let above = origins.each_ref().map(Server::port);
    let mut middles = [(); 2].map(|()| edge_of(&above).start());
    let outer_port = Port::free();
    let between = middles.each_ref().map(Server::port);
    let outer = || edge_of(&between).port(&outer_port).start();
    let mut edge = outer();
    let load: Vec<_> = (0..50).map(|_| play(edge.port())).collect();
    assert_eq!(origins.iter().map(plays_of).sum::<usize>(), 1);

    let busy = usize::from(plays_of(&origins[1]) > 0);
    let (gap, messages) = longest_gap(play(edge.port()), 8, || origins[busy].kill());
    println!("an origin is killed: the longest gap of a player two levels below is {gap:?}");
    assert!(messages > 100 && edge.log().contains("is played from"));

    let busy = usize::from(plays_of(&middles[1]) > 0);
    let (gap, messages) = longest_gap(play(edge.port()), 8, || middles[busy].kill());
    println!("a middle edge is killed: the longest gap of a player below is {gap:?}");
    assert!(messages > 100);
    let still = load.into_iter().filter_map(|mut player| player.is_open().then_some(()));
    assert_eq!(still.count(), 50, "players at the outer edge stay connected throughout");

    let player = play(edge.port());
    edge.kill();
    let killed = Instant::now();
    drop((player, edge));
    let edge = outer();
    wait_for("the outer edge to play again", 20, || {
        let session = Rtmp::connect(edge.port(), "live").ok()?;
        let mut player = session.play("s").ok()?;
        player.wait_for_media().ok()
    });
    println!(
        "the outer edge is killed and started again: a player that reconnects has media after {:?}",
        killed.elapsed()
    );
}

#[test]
fn nginx_pulls_from_an_edge() {
    let origin = Server::start();
    let _publisher = publish(&origin);
    let edge = edge_of(&[origin.port()]).start();
    let nginx = Nginx::start(edge.folder(), &format!("pull rtmp://127.0.0.1:{}/live;", edge.port()));
    assert_plays_sample(nginx.port());
}

#[test]
fn ffmpeg_plays_and_publishes_at_every_level() {
    let origin = Server::start();
    let middle = edge_of(&[origin.port()]).start();
    let outer = edge_of(&[middle.port()]).start();
    let _publisher = Ffmpeg::Eight.publish(outer.folder(), &Sample::H264Aac.path(), &outer.url("s"));
    origin.wait_for_line(&["start publish"]);
    for server in [&origin, &middle, &outer] {
        let file = server.file("played.flv");
        Ffmpeg::Eight
            .record(server.folder(), &[], &server.url("s"), 2, &file)
            .wait(30)
            .ok();
        assert!(Ffmpeg::Debian.decode(server.folder(), &file) >= 40);
    }
}

#[test]
fn origins_and_coworkers_may_have_ipv6_addresses_and_vhosts_of_their_own() {
    let [api, other_api] = [Port::free(), Port::free()];
    let ports = [Port::free(), Port::free()];
    let origin = |index: usize, own: &Port, other: &Port| {
        let number = ports[index].number();
        Setup::default()
            .globals(&format!("http_api {{ enabled on; listen [::1]:{}; }}\n", own.number()))
            .vhosts(&format!(
                "vhost __defaultVhost__ {{ }} vhost a.example {{ cluster {{ origin_cluster on; coworkers [::1]:{0}; }} }}\n\
                 vhost b.example {{ cluster {{ origin_cluster on; coworkers [::1]:{0}; }} }}",
                other.number()
            ))
            .listen(&format!("127.0.0.1:{number} [::1]:{number}"))
            .port(&ports[index])
            .start()
    };
    let origins = [origin(0, &api, &other_api), origin(1, &other_api, &api)];
    let _publisher = Ffmpeg::Debian.publish(
        origins[0].folder(),
        &Sample::H264Aac.path(),
        &origins[0].url("s?vhost=a.example"),
    );
    origins[0].wait_for_line(&["start publish"]);
    let play_at = |port: u16, vhost: &str| {
        let session = Rtmp::connect_as(port, "live", &format!("rtmp://{vhost}/live")).expect("connect");
        session
            .play("s")
            .and_then(|mut player| player.wait_for_media().map(|()| player))
    };
    play_at(origins[1].port(), "a.example").expect_err("a redirect");
    origins[1].wait_for_line(&["ret=2997", "a.example"]);
    play_at(origins[1].port(), "b.example").expect_err("nobody has it in this vhost");
    origins[1].wait_for_line(&["ret=3092", "b.example"]);
    // An edge that reaches the wrong origin over IPv6 is sent to the right one, and keeps the vhost.
    let edge = Setup::default()
        .vhosts(&format!(
            "vhost a.example {{ cluster {{ mode remote; origin [::1]:{}; }} }} vhost __defaultVhost__ {{ }}",
            origins[1].port()
        ))
        .start();
    let mut player = play_at(edge.port(), "a.example").expect("play at the edge");
    let played = player.collect_media(Duration::from_secs(2));
    assert_same_media(&flv::read(&Sample::H264Aac.path()), &played, 30);
    assert!(edge.log().contains("the origin sends"));
}

#[test]
fn figures_tell_of_pulls_and_pushes() {
    let (origin, exporter) = (Server::start(), Port::free());
    let _publisher = publish(&origin);
    let edge = edge_of(&[origin.port()])
        .globals(&format!(
            "exporter {{ enabled on; listen 127.0.0.1:{}; }}\n",
            exporter.number()
        ))
        .start();
    let _player = play(edge.port());
    let _pushed = Ffmpeg::Debian.publish(edge.folder(), &Sample::H264Aac.path(), &edge.url("pushed"));
    origin.wait_for_lines(2, &["start publish"]);
    let figures = || {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "5"]);
        command.arg(format!("http://127.0.0.1:{}/metrics", exporter.number()));
        run("curl", edge.folder(), 10, &mut command).ok().output
    };
    let figure = |text: &str, name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.parse().expect("a number")
    };
    wait_for("bytes both ways", 10, || {
        let text = figures();
        let bytes = |name: &str| figure(&text, name) > 10_000.0;
        (bytes("srs_edge_pull_bytes_total") && bytes("srs_edge_push_bytes_total")).then_some(())
    });
    let text = figures();
    for (name, value) in [
        ("srs_edge_pulls", 1.0),
        ("srs_edge_pulls_total", 1.0),
        ("srs_edge_pull_failures_total", 0.0),
        ("srs_edge_pushes", 1.0),
        ("srs_edge_pushes_total", 1.0),
        ("srs_edge_push_failures_total", 0.0),
    ] {
        assert_eq!(figure(&text, name), value, "{name}");
    }
}
