//! What a new player gets at once. Batching is off (`min_latency`), so that nothing waits for more.

use std::time::Duration;

use crate::support::bystander::{number_of, numbered_frame, numbered_header};
use crate::support::flv::{AUDIO, Tag, VIDEO};
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};

/// One keyframe and 149 other frames (three seconds), sent in one go.
fn one_group() -> Vec<Tag> {
    let mut tags = vec![numbered_header(), numbered_frame(0)];
    let others = (1..150).map(|number| {
        let mut tag = numbered_frame(number);
        tag.payload[0] = 0x27;
        tag
    });
    tags.extend(others);
    tags
}

#[track_caller]
fn publish(server: &Server, tags: &[Tag]) -> Rtmp {
    let mut publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", "gop")
        .expect("publish");
    tags.iter().for_each(|tag| publisher.send_tag(tag).expect("send"));
    // Until the server has read it all.
    std::thread::sleep(Duration::from_millis(500));
    publisher
}

#[track_caller]
fn play(server: &Server) -> Vec<Tag> {
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("gop")
        .expect("play");
    player.collect_media(Duration::from_secs(1))
}

#[test]
fn on_a_new_player_gets_the_last_group_of_pictures() {
    let server = Setup::default().vhost("min_latency on;").start();
    let _publisher = publish(&server, &one_group());
    let played = play(&server);
    assert_eq!(
        played.first().map(|tag| &tag.payload),
        Some(&numbered_header().payload),
        "the header comes first"
    );
    let numbers: Vec<_> = played.iter().filter_map(number_of).collect();
    assert!(numbers.into_iter().eq(0..150), "the whole group, from its keyframe");
}

#[test]
fn on_only_the_last_group_is_kept() {
    let server = Setup::default().vhost("min_latency on;").start();
    let mut tags = one_group();
    tags.extend((150..200).map(numbered_frame));
    let _publisher = publish(&server, &tags);
    let numbers: Vec<_> = play(&server).iter().filter_map(number_of).collect();
    assert!(
        numbers.iter().copied().eq(150..200),
        "from the last keyframe: {numbers:?}"
    );
}

#[test]
fn off_a_new_player_gets_the_header_only() {
    let server = Setup::default()
        .vhost("min_latency on; play { gop_cache off; }")
        .start();
    let _publisher = publish(&server, &one_group());
    let played = play(&server);
    let payloads: Vec<_> = played.iter().map(|tag| &tag.payload).collect();
    assert_eq!(payloads, [&numbered_header().payload]);
}

#[test]
fn above_its_bound_the_cache_is_cleared() {
    let server = Setup::default()
        .vhost("min_latency on; play { gop_cache_max_frames 100; }")
        .start();
    let _publisher = publish(&server, &one_group());
    let played = play(&server);
    let old = played
        .iter()
        .filter_map(number_of)
        .filter(|&number| number < 100)
        .count();
    assert_eq!(old, 0, "frames of a group that is larger than the bound");
}

#[test]
fn audio_alone_is_not_cached() {
    let server = Setup::default().vhost("min_latency on;").start();
    let header = Tag {
        kind: AUDIO,
        timestamp: 0,
        payload: vec![0xaf, 0, 0x12, 0x10],
    };
    let frame = |number: u32| Tag {
        kind: AUDIO,
        timestamp: number * 23,
        payload: vec![0xaf, 1, number as u8, 1, 2, 3],
    };
    let mut tags = vec![header.clone()];
    tags.extend((0..100).map(frame));
    let _publisher = publish(&server, &tags);
    let played = play(&server);
    assert!(played.iter().all(|tag| tag.kind != VIDEO));
    assert_eq!(
        played.iter().map(|tag| &tag.payload).collect::<Vec<_>>(),
        [&header.payload]
    );
}
