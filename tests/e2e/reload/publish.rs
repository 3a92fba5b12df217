//! What publishers that publish already, those that come, and all connections, see of changed settings.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::site::{Endless, Site, get, next_frame, send};
use crate::support::bystander::numbered_header;
use crate::support::rtmp::{Message, Rtmp, SET_CHUNK_SIZE};

const ACKNOWLEDGEMENT: u8 = 3;
const WINDOW_SIZE: u8 = 5;

#[test]
fn publishers_follow_their_time_limits() {
    let site = Site::start("", "publish { normal_timeout 60000; firstpkt_timeout 60000; }");
    let mut publisher = site.publish("s");
    send(&mut publisher, 0..10);
    site.reload("", "publish { firstpkt_timeout 300; }");
    let silent = Rtmp::connect(site.server.port(), "live").and_then(|client| client.publish("live", "silent"));
    let is_closed = silent.expect("publish").is_closed_within(10);
    assert!(is_closed, "firstpkt_timeout 300: no media for longer than that");
    assert!(publisher.is_open(), "firstpkt_timeout is over for who has sent media");
    site.reload("", "publish { normal_timeout 500; }");
    send(&mut publisher, 10..11);
    assert!(
        publisher.is_closed_within(10),
        "normal_timeout 500: silent for longer than it may be"
    );

    let publisher = site.publish("idle");
    let publisher = Endless::start(publisher);
    let settings = "vhost __defaultVhost__ { publish { kickoff_for_idle 0.5; } }";
    assert_eq!(site.try_reload("", settings)["err"], 0);
    site.server.wait_for_line(&["server disconnect", "nobody has watched"]);
    drop(publisher);
}

/// How long three frames take, each sent when the one before has come.
fn time_of_three(publisher: &mut Rtmp, player: &mut Rtmp, first: u32) -> Duration {
    let begin = Instant::now();
    for number in first..first + 3 {
        // Apart, so that each has its progress line where one is due every millisecond.
        thread::sleep(Duration::from_millis(5));
        send(publisher, number..number + 1);
        assert_eq!(next_frame(player).0, number);
    }
    begin.elapsed()
}

#[test]
fn reads_are_merged_from_the_next_message_on() {
    let site = Site::start("pithy_print_ms 1;\n", "min_latency on;");
    let (mut publisher, mut player) = (site.publish("s"), site.play("s"));
    time_of_three(&mut publisher, &mut player, 0);
    site.server.wait_for_line(&["<- CPB", "mr=0/350"]);
    for (first, latency) in [(10, 100), (20, 250)] {
        let settings = format!("min_latency on; publish {{ mr on; mr_latency {latency}; }}");
        site.reload("pithy_print_ms 1;\n", &settings);
        let took = time_of_three(&mut publisher, &mut player, first);
        let least = Duration::from_millis(latency * 2 - 20);
        assert!(
            took > least,
            "publish.mr on, mr_latency {latency}: three reads took {took:?}"
        );
    }
    site.reload("pithy_print_ms 1;\n", "min_latency on; publish { mr off; }");
    time_of_three(&mut publisher, &mut player, 30);
    site.server.wait_for_lines(2, &["<- CPB", "mr=0/350"]);

    // The spelling of old.
    site.reload(
        "pithy_print_ms 1;\n",
        "min_latency on; mr { enabled on; latency 77; } publish_normal_timeout 7000;",
    );
    time_of_three(&mut publisher, &mut player, 40);
    site.server.wait_for_line(&["<- CPB", "mr=1/77", "pnt=7000"]);
}

#[test]
fn parameter_sets_are_read_from_the_next_header_on() {
    let site = Site::start("", "");
    let mut publisher = site.publish("s");
    let mut width = |number: u32| -> Value {
        publisher.send_tag(&numbered_header()).expect("send the header again");
        send(&mut publisher, number..number + 1);
        // The server is past the header when the frame after it has come to a player.
        let mut player = site.play("s");
        send(&mut publisher, 50..100);
        next_frame(&mut player);
        let (_, streams) = get(site.http.number(), "/api/v1/streams/");
        let streams: Value = serde_json::from_str(&streams).expect("JSON");
        streams["streams"][0]["video"]["width"].clone()
    };
    assert_eq!(width(0), 320, "parse_sps on");
    site.reload("", "publish { parse_sps off; }");
    assert_ne!(width(1), 320, "parse_sps off: the size is not read");
    site.reload("", "");
    assert_eq!(width(2), 320, "parse_sps on again");
}

/// What the server has said first of this kind.
fn value(client: &Rtmp, kind: u8) -> Option<u32> {
    let message = client.seen.iter().find(|message| message.kind == kind)?;
    Some(u32::from_be_bytes(message.payload.get(..4)?.try_into().ok()?))
}

#[test]
fn chunks_and_acknowledgements_change_for_who_connects() {
    let site = Site::start("", "min_latency on;");
    let (mut publisher, mut player) = (site.publish("s"), site.play("s"));
    let connect = || Rtmp::connect(site.server.port(), "live").expect("connect");
    let before = connect();
    assert_eq!(value(&before, SET_CHUNK_SIZE), Some(60_000));
    assert_eq!(value(&before, WINDOW_SIZE), Some(2_500_000));

    site.reload("chunk_size 4096;\n", "min_latency on;");
    assert_eq!(value(&connect(), SET_CHUNK_SIZE), Some(4096), "chunk_size 4096");
    site.reload("chunk_size 4096;\n", "min_latency on; chunk_size 512;");
    let mut small = connect().play("s").expect("play");
    assert_eq!(value(&small, SET_CHUNK_SIZE), Some(512), "vhost.chunk_size 512");
    send(&mut publisher, 0..10);
    for number in 0..10 {
        assert_eq!(
            next_frame(&mut player).0,
            number,
            "who plays already goes on in chunks of 60000"
        );
        assert_eq!(next_frame(&mut small).0, number, "in chunks of 512");
    }

    site.reload("", "min_latency on; out_ack_size 100000; in_ack_size 2000;");
    let client = connect();
    assert_eq!(value(&client, WINDOW_SIZE), Some(100_000), "out_ack_size 100000");
    let mut late = client.publish("live", "late").expect("publish");
    late.send_tag(&numbered_header()).expect("send the header");
    send(&mut late, 0..10);
    let told = late.receive_until(|message: &Message| message.kind == ACKNOWLEDGEMENT);
    assert!(told.is_ok(), "in_ack_size 2000: {told:?}");
    send(&mut publisher, 10..60);
    for number in 10..60 {
        assert_eq!(next_frame(&mut player).0, number);
    }
    let told = publisher.has_input().expect("look");
    assert!(!told, "in_ack_size stays 0 for who publishes already");
    site.reload("", "min_latency on; out_ack_size 0;");
    assert_eq!(value(&connect(), WINDOW_SIZE), None, "out_ack_size 0: it is not told");
}
