//! rtmpdump (librtmp): the simple and the complex handshake, and payloads untouched in its file.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::clients::{Ffmpeg, rtmpdump};
use crate::support::flv::{self, assert_same_media};
use crate::support::media::Sample;
use crate::support::server::Server;

#[track_caller]
fn dump(options: &[&str]) {
    let server = Server::start();
    let (file, url) = (Sample::H264Aac.path(), server.url("dump"));
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &file, &url);
    let dumped = server.file("dumped.flv");
    let mut player = rtmpdump(server.folder(), &url, &dumped, options);
    thread::sleep(Duration::from_secs(4));
    let output = player.output();
    assert!(
        player.is_running() && !output.contains("ERROR"),
        "rtmpdump complains:\n{output}"
    );
    player.signal(Signal::SIGINT);
    player.wait(5);
    assert_same_media(&flv::read(&file), &flv::read(&dumped), 50);
    let pictures = Ffmpeg::Debian.decode(server.folder(), &dumped);
    assert!(pictures >= 50, "3 seconds of 25 pictures hold {pictures}");
}

#[test]
fn with_the_simple_handshake() {
    dump(&[]);
}

#[test]
fn with_the_complex_handshake() {
    // A hash of a player makes rtmpdump prove itself, and check the server's digest ("Server not genuine").
    dump(&["--swfhash", &"5a".repeat(32), "--swfsize", "4096"]);
}
