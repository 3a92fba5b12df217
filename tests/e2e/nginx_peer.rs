//! nginx-rtmp as another server: it pushes to us and pulls from us.

use std::time::Duration;

use crate::support::clients::Ffmpeg;
use crate::support::flv::{self, assert_same_media};
use crate::support::media::Sample;
use crate::support::nginx::Nginx;
use crate::support::rtmp::Rtmp;
use crate::support::server::Server;

#[track_caller]
fn assert_plays_sample(port: u16, stream: &str) {
    let mut player = Rtmp::connect(port, "live")
        .expect("connect")
        .play(stream)
        .expect("play");
    player.wait_for_media().expect("media");
    let played = player.collect_media(Duration::from_secs(3));
    assert_same_media(&flv::read(&Sample::H264Aac.path()), &played, 50);
}

#[test]
fn nginx_pushes_to_us() {
    let server = Server::start();
    let nginx = Nginx::start(
        server.folder(),
        &format!("push rtmp://127.0.0.1:{}/live;", server.port()),
    );
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &nginx.url("pushed"));
    assert_plays_sample(server.port(), "pushed");
}

#[test]
fn nginx_pulls_from_us() {
    let server = Server::start();
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("pulled"));
    let nginx = Nginx::start(
        server.folder(),
        &format!("pull rtmp://127.0.0.1:{}/live;", server.port()),
    );
    assert_plays_sample(nginx.port(), "pulled");
}
