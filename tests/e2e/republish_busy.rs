//! One publisher a stream: the second is refused, and the name is free as soon as the first is gone.

use std::time::Duration;

use crate::support::bystander::Bystander;
use crate::support::clients::Ffmpeg;
use crate::support::media::Sample;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};

#[test]
fn the_second_publisher_is_refused_and_the_first_goes_on() {
    let server = Setup::default().allow_error("code=1028").start();
    let first = Bystander::start(server.port());
    for _ in 0..3 {
        let second = Rtmp::connect(server.port(), "live")
            .expect("connect")
            .publish("live", "bystander");
        assert!(second.is_err(), "two publishers on one stream");
    }
    server.wait_for_lines(3, &["code=1028(StreamBusy)"]);
    first.finish();
}

#[test]
fn a_second_ffmpeg_ends_with_an_error() {
    let server = Setup::default().allow_error("code=1028").start();
    let (file, url) = (Sample::H264Aac.path(), server.url("busy"));
    let mut first = Ffmpeg::Debian.publish(server.folder(), &file, &url);
    server.wait_for_line(&["client identified", "publish"]);
    std::thread::sleep(Duration::from_secs(1));
    let mut second = Ffmpeg::Debian.publish(server.folder(), &file, &url);
    let ended = second.wait(10);
    assert!(
        !ended.status.success(),
        "the second publisher ended well:\n{}",
        ended.output
    );
    assert!(first.is_running(), "the first publisher was thrown out");
}

#[test]
fn the_name_is_free_as_soon_as_its_publisher_is_gone() {
    let server = Server::start();
    for round in 0..20 {
        let publisher = Rtmp::connect(server.port(), "live")
            .expect("connect")
            .publish("live", "again");
        let mut publisher = publisher.unwrap_or_else(|e| panic!("publish for the {round}. time: {e}"));
        let lines = server
            .log()
            .lines()
            .filter(|line| line.contains("client disconnect peer"))
            .count();
        // Half of them leave without a word in the middle of a message, as a lost connection does.
        if round % 2 == 1 {
            publisher
                .send_raw(&[6, 0, 0, 0, 0, 0xff, 0xff, 9, 1, 0, 0, 0, 0x27])
                .expect("send half a message");
        }
        drop(publisher);
        server.wait_for_lines(lines + 1, &["client disconnect peer"]);
    }
}
