//! An edge and its origins: ours, and nginx-rtmp.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::callbacks::{Callbacks, OK};
use crate::support::clients::Ffmpeg;
use crate::support::flv::{self, assert_same_media};
use crate::support::media::Sample;
use crate::support::nginx::Nginx;
use crate::support::port::Port;
use crate::support::program::Program;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;
use crate::support::web::Web;

/// An edge of the servers at these ports; `more` is for its vhost.
fn edge(origins: &[u16], more: &str) -> Web {
    let origins: Vec<_> = origins.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    Web::start(Setup::default().vhost(&format!(
        "cluster {{ mode remote; origin {}; }} http_remux {{ enabled on; }} {more}",
        origins.join(" ")
    )))
}

fn publish(folder: &Path, url: &str) -> Program {
    Ffmpeg::Debian.publish(folder, &Sample::H264Aac.path(), url)
}

#[track_caller]
fn assert_plays_sample(port: u16) {
    let mut player = Rtmp::connect(port, "live").expect("connect").play("s").expect("play");
    player.wait_for_media().expect("media");
    let played = player.collect_media(Duration::from_secs(2));
    assert_same_media(&flv::read(&Sample::H264Aac.path()), &played, 30);
}

fn plays_of(origin: &Server) -> usize {
    let log = origin.log();
    let is_play = |line: &&str| line.contains("client identified") && line.contains("rtmp-play");
    log.lines().filter(is_play).count()
}

#[test]
fn a_stream_is_played_from_the_origin_once_and_only_while_somebody_plays() {
    let origin = Server::start();
    let _publisher = publish(origin.folder(), &origin.url("s"));
    origin.wait_for_line(&["start publish"]);
    let edge = edge(&[origin.port()], "");
    let folder = edge.server.folder();
    let recordings = ["a", "b", "c"].map(|name| edge.server.file(&format!("{name}.flv")));
    let mut players: Vec<_> = recordings
        .iter()
        .enumerate()
        .map(|(index, file)| {
            let url = match index {
                0 => edge.url("/live/s.flv"),
                _ => edge.server.url("s"),
            };
            Ffmpeg::Debian.record(folder, &[], &url, 4, file)
        })
        .collect();
    assert_plays_sample(edge.server.port());
    for (player, file) in players.iter_mut().zip(&recordings) {
        player.wait(30).ok();
        assert!(Ffmpeg::Debian.decode(folder, file) >= 95, "{}", file.display());
    }
    assert_eq!(plays_of(&origin), 1, "one connection for all");
    edge.server.wait_for_line(&["no longer played from an origin"]);
    origin.wait_for_line(&["client disconnect peer"]);
    assert_plays_sample(edge.server.port());
    assert_eq!(plays_of(&origin), 2, "it comes back");
}

#[test]
fn nginx_is_an_origin() {
    let edge_folder = crate::support::workdir::WorkDir::new("origin");
    let origin = Nginx::start(&edge_folder, "");
    let _publisher = publish(&edge_folder, &origin.url("s"));
    let edge = edge(&[origin.port()], "");
    assert_plays_sample(edge.server.port());
}

#[test]
fn what_is_published_at_an_edge_is_the_origins() {
    let origin = Server::start();
    let edge = edge(&[1, origin.port()], "");
    let _publisher = publish(edge.server.folder(), &edge.server.url("s"));
    origin.wait_for_line(&["client identified", "publish", "stream=s,"]);
    assert_plays_sample(origin.port());
    assert_plays_sample(edge.server.port());
    let refused = Rtmp::connect(edge.server.port(), "live").and_then(|session| session.publish("live", "s"));
    assert!(refused.is_err(), "another one publishes it");
    edge.server.wait_for_line(&["StreamBusy"]);
}

#[test]
fn a_publisher_is_told_when_its_origin_goes() {
    let origin = Server::start();
    let edge = Web::start(
        Setup::default()
            .vhost(&format!(
                "cluster {{ mode remote; origin 127.0.0.1:{}; }}",
                origin.port()
            ))
            .allow_error("serve error"),
    );
    let mut publisher = publish(edge.server.folder(), &edge.server.url("s"));
    origin.wait_for_line(&["start publish"]);
    drop(origin);
    wait_for("the publisher to be closed", 10, || {
        (!publisher.is_running()).then_some(())
    });
    let mut publisher = publish(edge.server.folder(), &edge.server.url("s"));
    wait_for("the next one to be refused", 10, || {
        (!publisher.is_running()).then_some(())
    });
}

#[test]
fn players_do_not_notice_that_an_origin_goes() {
    let origins = [Server::start(), Server::start()];
    let _publishers: Vec<_> = origins
        .iter()
        .map(|origin| {
            let publisher = publish(origin.folder(), &origin.url("s"));
            origin.wait_for_line(&["start publish"]);
            publisher
        })
        .collect();
    let edge = edge(&[origins[0].port(), origins[1].port()], "");
    let file = edge.server.file("played.flv");
    let mut player = Ffmpeg::Debian.record(edge.server.folder(), &[], &edge.url("/live/s.flv"), 8, &file);
    wait_for("a pull", 10, || (plays_of(&origins[0]) == 1).then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    let [first, second] = origins;
    drop(first);
    player.wait(30).ok();
    assert_eq!(plays_of(&second), 1);
    let times = flv::picture_times(&file);
    assert!(times.len() >= 150 && times.is_sorted(), "{times:?}");
}

#[test]
fn an_origin_decides_about_clients_of_the_edge() {
    let callbacks = Callbacks::start(|_| Some(OK.to_owned()));
    let refusing = Callbacks::start(|target| {
        let refusal = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1".to_owned();
        Some(if target.contains("connect") {
            refusal
        } else {
            OK.to_owned()
        })
    });
    for (callbacks, plays) in [(callbacks, true), (refusing, false)] {
        let origin = Setup::default().vhost(&callbacks.block()).allow_error("code=").start();
        let edge = Web::start(
            Setup::default()
                .vhost(&format!(
                    "cluster {{ mode remote; origin 127.0.0.1:{}; token_traverse on; }}",
                    origin.port()
                ))
                .allow_error("token traverse"),
        );
        let session = Rtmp::connect(edge.server.port(), "live").expect("connect");
        assert_eq!(session.play("s").is_ok(), plays);
    }
}

#[test]
fn files_are_made_of_the_edges_own_stream() {
    let origin = Server::start();
    let _publisher = publish(origin.folder(), &origin.url("s"));
    origin.wait_for_line(&["start publish"]);
    let edge = edge(
        &[origin.port()],
        "hls { enabled on; hls_path ./html; hls_fragment 1; hls_window 10; hls_ctx off; }\n\
         dash { enabled on; dash_path ./html; dash_fragment 1; }",
    );
    let (status, text) = edge.get("/live/s.m3u8");
    assert_eq!(status, 200);
    assert!(text.contains("#EXTINF:"), "{text}");
    let file = edge.server.file("played.flv");
    let url = edge.url("/live/s.mpd");
    Ffmpeg::Debian
        .record(edge.server.folder(), &[], &url, 3, &file)
        .wait(40)
        .ok();
    assert!(Ffmpeg::Debian.decode(edge.server.folder(), &file) >= 70);
    assert_eq!(plays_of(&origin), 1);
    assert!(fs::exists(edge.file("s.mpd")).is_ok_and(|is_there| is_there));
}

#[test]
fn three_levels() {
    let origin = Server::start();
    let _publisher = publish(origin.folder(), &origin.url("s"));
    origin.wait_for_line(&["start publish"]);
    let middle = edge(&[origin.port()], "");
    let outer = edge(&[middle.server.port()], "");
    assert_plays_sample(outer.server.port());
}

#[test]
fn origins_of_a_cluster_send_players_to_each_other() {
    let ports = [Port::free(), Port::free()];
    let origins = [(0, 1), (1, 0)].map(|(own, other): (usize, usize)| {
        let [own, other] = [own, other].map(|index| ports[index].number());
        Setup::default()
            .globals(&format!("http_api {{ enabled on; listen 127.0.0.1:{own}; }}\n"))
            .vhost(&format!(
                "cluster {{ origin_cluster on; coworkers 127.0.0.1:1 127.0.0.1:{other}; }}"
            ))
            .start()
    });
    let _publisher = publish(origins[0].folder(), &origins[0].url("s"));
    origins[0].wait_for_line(&["start publish"]);
    let play = |stream: &str| {
        let session = Rtmp::connect(origins[1].port(), "live").expect("connect");
        session.play(stream).and_then(|mut player| player.wait_for_media())
    };
    play("s").expect_err("a redirect");
    let there = format!("rtmp://127.0.0.1:{}/live", origins[0].port());
    origins[1].wait_for_line(&["ret=2997", &there]);
    play("none").expect_err("nobody has it");
    origins[1].wait_for_line(&["ret=3092"]);
    assert_plays_sample(origins[0].port());
    let edge = edge(&[origins[1].port()], "");
    assert_plays_sample(edge.server.port());
    assert!(edge.server.log().contains("the origin sends"));
}
