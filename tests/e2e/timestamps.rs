//! What a player's clock shows for each `time_jitter`, and the places where 24 and 32 bits end.

use std::time::Duration;

use crate::support::bystander::{numbered_frame, numbered_header};
use crate::support::flv::Tag;
use crate::support::rtmp::Rtmp;
use crate::support::server::Setup;

/// Publishes frames with these times and gives the times that a player sees (of frames, not of the header).
#[track_caller]
fn times_through(jitter: &str, times: &[u32]) -> Vec<u32> {
    // No batching, so that the last frames come too.
    let server = Setup::default()
        .vhost(&format!("min_latency on; play {{ time_jitter {jitter}; }}"))
        .start();
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("time")
        .expect("play");
    let mut publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", "time")
        .expect("publish");
    let header = Tag {
        timestamp: times[0],
        ..numbered_header()
    };
    publisher.send_tag(&header).expect("send");
    for (number, &timestamp) in times.iter().enumerate() {
        publisher
            .send_tag(&Tag {
                timestamp,
                ..numbered_frame(number as u32)
            })
            .expect("send");
    }
    let played = player.collect_media(Duration::from_secs(1));
    let frames: Vec<u32> = played
        .iter()
        .filter(|tag| !tag.is_header())
        .map(|tag| tag.timestamp)
        .collect();
    assert_eq!(frames.len(), times.len(), "frames that came");
    frames
}

fn steps(from: u32, step: u32, count: u32) -> Vec<u32> {
    (0..count).map(|number| from.wrapping_add(number * step)).collect()
}

fn differences(times: &[u32]) -> Vec<u32> {
    times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect()
}

#[test]
fn full_starts_near_zero_and_keeps_differences() {
    let played = times_through("full", &steps(123_456, 40, 50));
    assert!(played[0] < 100, "starts at {}", played[0]);
    assert_eq!(differences(&played), [40; 49]);
}

#[test]
fn full_replaces_jumps_by_ten_milliseconds() {
    let mut times = steps(1000, 40, 10);
    times.extend(steps(500_000, 40, 10));
    times.extend(steps(2000, 40, 10));
    let mut expected = vec![40; 29];
    (expected[9], expected[19]) = (10, 10);
    assert_eq!(differences(&times_through("full", &times)), expected);
}

#[test]
fn off_touches_nothing() {
    let times = steps(123_456, 40, 50);
    assert_eq!(times_through("off", &times), times);
}

#[test]
fn off_crosses_the_end_of_24_bits() {
    // Larger times are written as extended ones, in each chunk's header.
    let times = steps(0xff_ffff - 400, 40, 50);
    assert_eq!(times_through("off", &times), times);
}

#[test]
fn full_crosses_the_end_of_24_bits() {
    let played = times_through("full", &steps(0xff_ffff - 400, 40, 50));
    assert_eq!(differences(&played), [40; 49]);
}

#[test]
fn full_crosses_the_end_of_31_bits() {
    let played = times_through("full", &steps(0x7fff_ffff - 400, 40, 50));
    let differences = differences(&played);
    // The wrap itself may count as a jump.
    assert!(
        differences.iter().filter(|&&step| step != 40).count() <= 1,
        "{differences:?}"
    );
    assert!(played.is_sorted());
}

#[test]
fn zero_subtracts_the_first_time() {
    let played = times_through("zero", &steps(123_456, 40, 50));
    assert_eq!(played, steps(0, 40, 50));
}
