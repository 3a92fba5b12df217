//! An edge that plays from its origins over HTTP.

use std::time::Duration;

use crate::support::clients::Ffmpeg;
use crate::support::flv::{self, assert_same_media};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::Program;
use crate::support::rtmp::Rtmp;
use crate::support::server::Setup;
use crate::support::wait::wait_for;
use crate::support::web::Web;

const REMUX: &str = "http_remux { enabled on; }";

fn origin(setup: Setup) -> (Web, Program) {
    let origin = Web::start(setup);
    let publisher = origin.publish(Sample::H264Aac);
    origin.server.wait_for_line(&["start publish"]);
    (origin, publisher)
}

/// The port of a server for HTTP.
fn port_of(web: &Web) -> String {
    let url = web.url("");
    url.rsplit(':').next().expect("a port").to_owned()
}

fn edge(cluster: &str) -> Web {
    Web::start(Setup::default().vhost(&format!("cluster {{ mode remote; {cluster} }} {REMUX}")))
}

#[track_caller]
fn assert_plays_sample(port: u16) {
    let mut player = Rtmp::connect(port, "live").expect("connect").play("s").expect("play");
    player.wait_for_media().expect("media");
    let played = player.collect_media(Duration::from_secs(2));
    assert_same_media(&flv::read(&Sample::H264Aac.path()), &played, 30);
}

fn http_plays_of(origin: &Web) -> usize {
    let log = origin.server.log();
    log.lines().filter(|line| line.contains("http Flv player")).count()
}

#[test]
fn a_stream_is_played_from_the_origin_over_http_once() {
    let (origin, _publisher) = origin(Setup::default().vhost(REMUX));
    let edge = edge(&format!("origin 127.0.0.1:{}; protocol flv;", port_of(&origin)));
    let file = edge.server.file("played.flv");
    let mut player = Ffmpeg::Debian.record(edge.server.folder(), &[], &edge.url("/live/s.flv"), 4, &file);
    assert_plays_sample(edge.server.port());
    player.wait(30).ok();
    assert!(Ffmpeg::Debian.decode(edge.server.folder(), &file) >= 95);
    assert_eq!(http_plays_of(&origin), 1, "one request for all");
    assert!(!origin.server.log().contains("rtmp-play"));
    edge.server.wait_for_line(&["no longer played from an origin"]);
    origin.server.wait_for_line(&["HTTP client", "left, code=1004"]);
    assert_plays_sample(edge.server.port());
    assert_eq!(http_plays_of(&origin), 2, "it comes back");
}

#[test]
fn the_vhost_is_told_over_http_too() {
    let (origin, _publisher) = origin(Setup::default().vhosts(&format!(
        "vhost __defaultVhost__ {{ }} vhost there.example {{ {REMUX} }}"
    )));
    let there = origin.server.url("s?vhost=there.example");
    let _publisher = Ffmpeg::Debian.publish(origin.server.folder(), &Sample::H264Aac.path(), &there);
    origin.server.wait_for_lines(2, &["start publish"]);
    let edge = edge(&format!(
        "origin 127.0.0.1:{}; protocol flv; vhost there.example;",
        port_of(&origin)
    ));
    assert_plays_sample(edge.server.port());
    origin.server.wait_for_line(&["http Flv player", "vhost=there.example"]);
}

#[test]
fn players_do_not_notice_that_an_origin_goes() {
    let origins = [(); 2].map(|()| origin(Setup::default().vhost(REMUX)));
    let ports = origins.each_ref().map(|(origin, _)| port_of(origin));
    let edge = edge(&format!(
        "origin 127.0.0.1:{} 127.0.0.1:{}; protocol flv;",
        ports[0], ports[1]
    ));
    let file = edge.server.file("played.flv");
    let mut player = Ffmpeg::Debian.record(edge.server.folder(), &[], &edge.url("/live/s.flv"), 8, &file);
    wait_for("a pull", 10, || (http_plays_of(&origins[0].0) == 1).then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    let [first, second] = origins;
    drop(first);
    player.wait(30).ok();
    assert_eq!(http_plays_of(&second.0), 1);
    let times = flv::picture_times(&file);
    assert!(times.len() >= 150 && times.is_sorted(), "{times:?}");
}

#[test]
fn an_origin_may_be_asked_as_the_client_asks() {
    // An origin has one port for each protocol: what is asked at the wrong one tells how it was asked.
    let (origin, _publisher) = origin(Setup::default().vhost(REMUX));
    let http = edge(&format!("origin 127.0.0.1:{}; follow_client on;", port_of(&origin)));
    let file = http.server.file("played.flv");
    let mut player = Ffmpeg::Debian.record(http.server.folder(), &[], &http.url("/live/s.flv"), 2, &file);
    player.wait(30).ok();
    assert!(Ffmpeg::Debian.decode(http.server.folder(), &file) >= 45);
    assert_eq!(http_plays_of(&origin), 1);
    let rtmp = edge(&format!(
        "origin 127.0.0.1:{}; follow_client on; protocol flv;",
        origin.server.port()
    ));
    assert_plays_sample(rtmp.server.port());
    assert_eq!(http_plays_of(&origin), 1);
}

#[test]
fn an_origin_that_has_nothing_is_passed_over() {
    let (origin, _publisher) = origin(Setup::default().vhost(REMUX));
    let without = Web::start(Setup::default());
    let free = Port::free();
    let edge = edge(&format!(
        "origin 127.0.0.1:{} 127.0.0.1:{} 127.0.0.1:{}; protocol flv;",
        free.number(),
        port_of(&without),
        port_of(&origin)
    ));
    assert_plays_sample(edge.server.port());
    edge.server.wait_for_line(&["status 404"]);
}
