//! Several workers are one server: streams published at one play from all, one publisher a stream, and a worker that dies
//! is replaced while the others play on.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::bystander::Bystander;
use crate::support::clients::Ffmpeg;
use crate::support::media::Sample;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;
use crate::support::web::Web;

/// With this chance all players of a test go to one of two workers: one in a million.
const PLAYERS: usize = 20;

pub fn two_workers() -> Setup {
    Setup::default().globals("workers 2;\n")
}

/// Waits until all workers listen.
pub fn wait_ready(server: &Server) {
    server.wait_for_line(&["master of 2 workers"]);
    server.wait_for_lines(2, &["worker ", " is there"]);
}

/// The process numbers of the workers, by place.
pub fn workers(server: &Server) -> Vec<u32> {
    let log = server.log();
    let ready = |number: usize| {
        let line = log
            .lines()
            .rfind(|line| line.contains(&format!("worker {number} is ready, pid=")));
        line.and_then(|line| line.rsplit_once("pid=")?.1.trim().parse().ok())
    };
    (0..2).map(|number| ready(number).expect("a worker")).collect()
}

/// The workers whose log lines hold these parts.
pub fn tell(server: &Server, parts: &[&str]) -> BTreeSet<u32> {
    let log = server.log();
    let lines = log.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
    lines.filter_map(writer).collect()
}

/// The process that wrote a log line.
pub fn writer(line: &str) -> Option<u32> {
    line.split("][").nth(2)?.parse().ok()
}

pub fn play(server: &Server, stream: &str) -> Rtmp {
    Rtmp::connect(server.port(), "live")
        .and_then(|client| client.play(stream))
        .expect("play")
}

#[test]
fn a_stream_plays_from_every_worker_before_and_after_its_publisher_comes() {
    let server = two_workers().start();
    wait_ready(&server);
    let mut players: Vec<Rtmp> = (0..PLAYERS).map(|_| play(&server, "bystander")).collect();
    let bystander = Bystander::start(server.port());
    players.extend((0..PLAYERS).map(|_| play(&server, "bystander")));
    for player in &mut players {
        player.wait_for_media().expect("media at every player");
    }
    assert_eq!(tell(&server, &["start play"]), workers(&server).into_iter().collect());
    // Once for the worker, whoever plays.
    assert_eq!(server.log().matches("is pulled from worker").count(), 1);
    assert_eq!(tell(&server, &["client identified", "type=fmle-publish"]).len(), 1);
    bystander.finish();
    drop(players);
    server.wait_for_line(&["is no longer pulled from worker"]);
}

#[test]
fn one_client_publishes_a_stream_whichever_worker_it_comes_to() {
    let server = two_workers().allow_error("code=1028").start();
    wait_ready(&server);
    let first = Bystander::start(server.port());
    for _ in 0..PLAYERS {
        let second = Rtmp::connect(server.port(), "live").and_then(|client| client.publish("live", "bystander"));
        assert!(second.is_err(), "two publishers on one stream");
    }
    server.wait_for_line(&["StreamBusy", "has its publisher"]);
    server.wait_for_line(&["StreamBusy", "published by"]);
    first.finish();
    // The name is free at every worker at once.
    for _ in 0..PLAYERS {
        wait_for("the name to be free", 5, || {
            let next = Rtmp::connect(server.port(), "live").and_then(|client| client.publish("live", "bystander"));
            next.ok()
        });
    }
}

#[test]
fn players_over_http_play_from_every_worker() {
    let web = Web::start(two_workers().vhost("http_remux { enabled on; mount [vhost]/[app]/[stream].flv; }"));
    wait_ready(&web.server);
    let _publisher = web.publish(Sample::H264Aac);
    web.server.wait_for_line(&["client identified", "fmle-publish"]);
    for number in 0.. {
        let file = web.server.file(&format!("{number}.flv"));
        let mut player = Ffmpeg::Debian.record(web.server.folder(), &[], &web.url("/live/s.flv"), 1, &file);
        player.wait(20).ok();
        assert!(Ffmpeg::Debian.decode(web.server.folder(), &file) > 10);
        if tell(&web.server, &["http Flv player"]).len() == 2 {
            break;
        }
        assert!(number < PLAYERS, "one worker alone got {PLAYERS} players");
    }
}

#[test]
fn a_worker_that_is_killed_is_replaced_and_the_others_play_on() {
    let server = two_workers().allow_error("the next one starts in").start();
    wait_ready(&server);
    let publish = || Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("again"));
    let mut publisher = publish();
    let line = server.wait_for_line(&["client identified", "type=fmle-publish"]);
    let publishing = writer(&line).expect("a process number");
    let other = workers(&server)
        .into_iter()
        .find(|pid| *pid != publishing)
        .expect("another worker");

    // Those at the publisher's worker do not notice.
    let players = players_of_a_dying_worker(&server, other);
    assert!(publisher.is_running(), "the publisher was disturbed");
    for mut player in players {
        assert!(
            !player.collect_media(Duration::from_millis(500)).is_empty(),
            "a player stands still"
        );
    }

    // Those at another one play on when there is a publisher again.
    let mut players = players_of_a_dying_worker(&server, publishing);
    publisher.wait(10);
    for player in &mut players {
        player.collect_media(Duration::from_millis(50));
    }
    publisher = publish();
    for mut player in players {
        wait_for("media of the new publisher", 10, || {
            (!player.collect_media(Duration::from_millis(100)).is_empty()).then_some(())
        });
    }
    assert!(publisher.is_running(), "the new publisher was disturbed");
}

/// Kills a worker while many play and waits for the next one; gives the players that are left.
fn players_of_a_dying_worker(server: &Server, pid: u32) -> Vec<Rtmp> {
    let mut players: Vec<Rtmp> = (0..PLAYERS).map(|_| play(server, "again")).collect();
    for player in &mut players {
        player.wait_for_media().expect("media");
    }
    let ready = || server.log().matches(" is ready, pid=").count();
    let before = ready();
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("kill a worker");
    wait_for("the next worker", 10, || (ready() > before).then_some(()));
    players.retain_mut(Rtmp::is_open);
    assert!(
        (1..PLAYERS).contains(&players.len()),
        "{} of {PLAYERS} players are left",
        players.len()
    );
    players
}

#[test]
fn the_server_ends_with_its_workers() {
    for signal in [Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGKILL] {
        let server = two_workers()
            .globals("grace_start_wait 50; grace_final_wait 50;\n")
            .start();
        wait_ready(&server);
        let pids = workers(&server);
        let master = fs::read_to_string(server.file("srs.pid")).expect("the pid file");
        assert_eq!(master, server.pid().to_string());
        let ended = server.end_by(signal);
        if signal != Signal::SIGKILL {
            assert_eq!(ended.code(), Some(0), "{signal}");
        }
        wait_for("the workers to end", 10, || {
            pids.iter()
                .all(|pid| !fs::exists(format!("/proc/{pid}")).unwrap_or(true))
                .then_some(())
        });
    }
}
