//! A player may come before its publisher, and stays when the publisher goes and comes back.

use std::time::Duration;

use crate::support::bystander::{number_of, numbered_frame, numbered_header};
use crate::support::clients::Ffmpeg;
use crate::support::flv::Tag;
use crate::support::media::Sample;
use crate::support::rtmp::{Message, Rtmp, send_paced};
use crate::support::server::Server;

#[track_caller]
fn publish_frames(server: &Server, stream: &str, numbers: std::ops::Range<u32>) {
    let mut publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", stream)
        .expect("publish");
    let mut tags = vec![numbered_header()];
    tags.extend(numbers.map(numbered_frame));
    // The header shares the time of the first frame.
    tags[0].timestamp = tags[1].timestamp;
    send_paced(&mut publisher, &tags).expect("send");
    // Time for the last batch to reach the players.
    std::thread::sleep(Duration::from_millis(500));
}

fn frames(messages: &[Message]) -> Vec<u32> {
    let tags: Vec<Tag> = messages
        .iter()
        .filter(|m| m.is_media())
        .cloned()
        .map(Message::into_tag)
        .collect();
    tags.iter().filter_map(number_of).collect()
}

#[test]
fn ffmpeg_waits() {
    let server = Server::start();
    let (url, recording) = (server.url("later"), server.file("played.flv"));
    let mut player = Ffmpeg::Debian.record(server.folder(), &[], &url, 2, &recording);
    server.wait_for_line(&["client identified", "type=rtmp-play"]);
    std::thread::sleep(Duration::from_secs(1));
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &url);
    player.wait(30).ok();
    assert!(Ffmpeg::Debian.decode(server.folder(), &recording) >= 25);
}

#[test]
fn a_player_stays_while_the_publisher_changes() {
    let server = Server::start();
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("back")
        .expect("play");
    publish_frames(&server, "back", 0..75);
    publish_frames(&server, "back", 1000..1075);
    let numbers = frames(&player.collect(Duration::from_millis(500)));
    assert!(numbers.contains(&50), "nothing of the first publisher: {numbers:?}");
    assert!(numbers.contains(&1050), "nothing of the second publisher: {numbers:?}");
}

#[test]
fn timestamps_go_on_when_the_publisher_comes_back() {
    let server = Server::start();
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("time")
        .expect("play");
    publish_frames(&server, "time", 5000..5075);
    publish_frames(&server, "time", 0..75);
    let played = player.collect_media(Duration::from_millis(500));
    let times: Vec<u32> = played.iter().map(|tag| tag.timestamp).collect();
    assert!(times.len() > 100, "{} messages of two publishers", times.len());
    assert!(times.is_sorted(), "time runs backwards: {times:?}");
    assert!(times.last() < Some(&10_000), "time jumps: {times:?}");
}

#[test]
fn a_late_player_of_an_ended_stream_gets_nothing_old() {
    let server = Server::start();
    publish_frames(&server, "ended", 0..60);
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("ended")
        .expect("play");
    let numbers = frames(&player.collect(Duration::from_secs(1)));
    assert!(numbers.is_empty(), "frames of a stream that is over: {numbers:?}");
}

#[test]
fn streams_leave_no_memory_behind() {
    let server = Server::start();
    let mut held = Vec::new();
    for round in 0..3 {
        for stream in 0..20 {
            let name = format!("gone-{round}-{stream}");
            let client = Rtmp::connect(server.port(), "live")
                .expect("connect")
                .publish("live", &name);
            let mut publisher = client.expect("publish");
            publisher.send_tag(&numbered_header()).expect("send");
            // A megabyte of one group of pictures.
            (1..1250).for_each(|_| publisher.send_tag(&numbered_frame(1)).expect("send"));
        }
        // Sources go some seconds after their last client.
        std::thread::sleep(Duration::from_secs(7));
        held.push(server.resident_kilobytes());
    }
    assert!(
        held[2] < held[0] + 10_000,
        "resident kilobytes after each round of 20 streams: {held:?}"
    );
}
