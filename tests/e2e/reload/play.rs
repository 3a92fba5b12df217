//! What players that play already, and those that come, see of changed `play` settings.

use std::thread;
use std::time::{Duration, Instant};

use super::site::{Site, frame_at, next_frame, send};
use crate::support::amf::{self, Amf};
use crate::support::bystander::{number_of, numbered_frame, numbered_header};
use crate::support::flv::{AUDIO, DATA, Tag};
use crate::support::rtmp::Rtmp;

/// Each message is sent as it comes.
const PROMPT: &str = "min_latency on;";

fn play(settings: &str) -> String {
    format!("{PROMPT} play {{ {settings} }}")
}

fn audio(timestamp: u32) -> Tag {
    Tag {
        kind: AUDIO,
        timestamp,
        payload: b"\xaf\x01\x21\x10".to_vec(),
    }
}

/// Metadata that asks for `atc`.
fn bravo_metadata() -> Tag {
    let properties = Amf::object(&[("bravo_atc", Amf::text("true"))]);
    Tag {
        kind: DATA,
        timestamp: 0,
        payload: amf::encode(&[Amf::text("onMetaData"), properties]),
    }
}

/// A stream whose frames are 10 s apart, which is a jump, and one who plays it.
struct Jumps {
    publisher: Rtmp,
    player: Rtmp,
    number: u32,
    shown: u32,
}

impl Jumps {
    const STEP: u32 = 10_000;

    fn start(site: &Site) -> Self {
        let mut publisher = site.publish("jumps");
        let mut player = site.play("jumps");
        publisher.send_tag(&frame_at(0, 500_000)).expect("send a frame");
        let (number, shown) = next_frame(&mut player);
        assert!(number == 0 && shown < 100, "its time begins at zero, not at {shown}");
        Jumps {
            publisher,
            player,
            number,
            shown,
        }
    }

    fn time(&self) -> u32 {
        500_000 + self.number * Self::STEP
    }

    /// What the player sees of the next jump, ms.
    fn step(&mut self) -> u32 {
        self.number += 1;
        let frame = frame_at(self.number, self.time());
        self.publisher.send_tag(&frame).expect("send a frame");
        let (number, shown) = next_frame(&mut self.player);
        assert_eq!(number, self.number, "who plays misses nothing");
        shown.wrapping_sub(std::mem::replace(&mut self.shown, shown))
    }

    /// The time of the first frame that somebody who comes now sees.
    fn first_of_another(&self, site: &Site) -> u32 {
        let (number, time) = next_frame(&mut site.play("jumps"));
        assert_eq!(number, 0, "the group of pictures begins with frame 0");
        time
    }
}

#[test]
fn time_jitter_and_atc_change_the_clock_of_who_plays_and_of_who_comes() {
    let site = Site::start("", PROMPT);
    let mut jumps = Jumps::start(&site);
    assert_eq!(jumps.step(), 10, "time_jitter full takes jumps out");

    site.reload("", &play("time_jitter off;"));
    assert_eq!(jumps.step(), Jumps::STEP, "time_jitter off: jumps stay");
    let begin = jumps.first_of_another(&site);
    assert!(begin > 400_000, "time_jitter off: the publisher's time, not {begin}");
    site.reload("", &play("time_jitter zero;"));
    assert_eq!(jumps.step(), Jumps::STEP, "time_jitter zero: jumps stay");
    assert_eq!(jumps.first_of_another(&site), 0, "time_jitter zero: from zero on");
    site.reload("", PROMPT);
    assert_eq!(jumps.step(), 10, "time_jitter full again");

    site.reload("", &play("atc on;"));
    assert_eq!(jumps.step(), Jumps::STEP, "atc on: jumps stay");
    let begin = jumps.first_of_another(&site);
    assert!(begin > 400_000, "atc on: the publisher's time, not {begin}");
    site.reload("", PROMPT);
    assert_eq!(jumps.step(), 10, "atc off again");

    // What the metadata asked for before is granted by the reload, and not forgotten at the next one.
    jumps.publisher.send_tag(&bravo_metadata()).expect("send metadata");
    assert_eq!(jumps.step(), 10, "atc_auto off: metadata changes nothing");
    site.reload("", &play("atc_auto on;"));
    assert_eq!(jumps.step(), Jumps::STEP, "atc_auto on: the metadata turns atc on");
    site.reload("pithy_print_ms 5000;\n", &play("atc_auto on; queue_length 20;"));
    assert_eq!(
        jumps.step(),
        Jumps::STEP,
        "atc_auto stays on when something else changes"
    );
    site.reload("", PROMPT);
    assert_eq!(jumps.step(), 10, "atc_auto off again");
}

#[test]
fn mix_correct_puts_a_running_stream_in_order() {
    let site = Site::start("", PROMPT);
    let mut publisher = site.publish("mixed");
    let mut player = site.play("mixed");
    let mut round = |begin: u32| {
        let messages = [
            frame_at(begin, begin * 10),
            frame_at(begin + 1, begin * 10 + 40),
            audio(begin * 10 + 10),
            audio(begin * 10 + 30),
        ];
        for message in messages {
            publisher.send_tag(&message).expect("send a message");
        }
    };
    let mut next = |count: usize| -> Vec<u32> {
        let mut times = Vec::new();
        while times.len() < count {
            let message = player.receive().expect("a message");
            if message.is_media() && !message.clone().into_tag().is_header() {
                times.push(message.timestamp);
            }
        }
        times
    };
    round(0);
    assert_eq!(next(4), [0, 40, 10, 30], "mix_correct off: as they came");
    site.reload("", &play("mix_correct on;"));
    round(10);
    round(20);
    assert_eq!(next(4), [100, 110, 130, 140], "mix_correct on: by their times");
    // What it holds back is not lost when it is turned off.
    site.reload("", PROMPT);
    round(30);
    let rest = [200, 210, 230, 240, 300, 340, 310, 330];
    assert_eq!(next(8), rest, "mix_correct off again");
}

#[test]
fn queue_length_decides_what_a_slow_player_misses() {
    let site = Site::start("", "play { queue_length 60; }");
    let mut publisher = site.publish("long");
    let mut player = site.play("long");
    // More than what the sockets hold, and four seconds of media.
    let mut burst = |begin: u32| {
        for number in begin..begin + 200 {
            let mut frame = numbered_frame(number);
            frame.payload.resize(100_000, 1);
            publisher.send_tag(&frame).expect("send a frame");
        }
    };
    burst(0);
    for number in 0..180 {
        assert_eq!(next_frame(&mut player).0, number, "queue_length 60 keeps all of it");
    }
    site.reload("", "play { queue_length 1; }");
    burst(200);
    let mut last = 179;
    let mut missed = 0;
    while last < 370 {
        let (number, _) = next_frame(&mut player);
        missed += number - last - 1;
        if number != last + 1 {
            assert!(number.is_multiple_of(50), "it goes on at a keyframe, not at {number}");
        }
        last = number;
    }
    assert!(missed > 0, "queue_length 1 lets a player that is slow miss something");
}

/// How many headers come before frame `number`.
fn headers_before(player: &mut Rtmp, number: u32) -> usize {
    let mut headers = 0;
    loop {
        let message = player.receive().expect("a message");
        if !message.is_media() {
            continue;
        }
        let tag = message.into_tag();
        headers += usize::from(tag.is_header());
        if number_of(&tag) == Some(number) {
            return headers;
        }
    }
}

#[test]
fn repeated_headers_and_long_groups_of_pictures_are_left_out() {
    let site = Site::start("", PROMPT);
    let mut publisher = site.publish("s");
    send(&mut publisher, 0..1);
    let mut player = site.play("s");
    headers_before(&mut player, 0);
    let mut repeat = |number: u32| {
        publisher.send_tag(&numbered_header()).expect("send the header again");
        send(&mut publisher, number..number + 1);
        headers_before(&mut player, number)
    };
    assert_eq!(repeat(1), 1, "reduce_sequence_header off");
    site.reload("", &play("reduce_sequence_header on;"));
    assert_eq!(repeat(2), 0, "reduce_sequence_header on");
    site.reload("", PROMPT);
    assert_eq!(repeat(3), 1, "reduce_sequence_header off again");

    send(&mut publisher, 50..100);
    assert_eq!(next_frame(&mut site.play("s")).0, 50, "gop_cache_max_frames 2500");
    site.reload("", &play("gop_cache_max_frames 10;"));
    send(&mut publisher, 100..120);
    let mut late = site.play("s");
    late.wait_for_media().expect("the header");
    send(&mut publisher, 120..121);
    assert_eq!(
        next_frame(&mut late).0,
        120,
        "gop_cache_max_frames 10: the group is too long"
    );
    site.reload("", &play("gop_cache off;"));
    send(&mut publisher, 150..160);
    let mut late = site.play("s");
    late.wait_for_media().expect("the header");
    send(&mut publisher, 160..161);
    assert_eq!(next_frame(&mut late).0, 160, "gop_cache off");
    site.reload("", PROMPT);
    send(&mut publisher, 200..210);
    assert_eq!(next_frame(&mut site.play("s")).0, 200, "gop_cache on again");
}

#[test]
fn what_waits_for_a_full_batch_goes_out_when_batches_shrink() {
    let large = "play { mw_latency 60000; mw_msgs 0; }";
    let site = Site::start("", large);
    let mut publisher = site.publish("s");
    let mut player = site.play("s");
    // Who plays has the first message at once, and waits for a batch then.
    send(&mut publisher, 0..1);
    assert_eq!(next_frame(&mut player).0, 0);
    for (number, settings) in [
        (1, "play { mw_latency 0; mw_msgs 0; }"),
        (21, PROMPT),
        (41, "play { mw_latency 1; mw_msgs 5; }"),
    ] {
        site.reload("", large);
        send(&mut publisher, number..number + 20);
        thread::sleep(Duration::from_millis(150));
        assert!(
            !player.has_input().expect("look"),
            "mw_latency 60000 is kept before {settings}"
        );
        site.reload("", settings);
        for number in number..number + 20 {
            assert_eq!(next_frame(&mut player).0, number, "{settings}");
        }
    }
    site.reload("", "play { mw_latency 1; mw_msgs 100; }");
    send(&mut publisher, 61..81);
    thread::sleep(Duration::from_millis(150));
    assert!(!player.has_input().expect("look"), "mw_msgs 100 waits for more");
    site.reload("", "play { mw_latency 1; mw_msgs 1; }");
    for number in 61..81 {
        assert_eq!(next_frame(&mut player).0, number, "mw_msgs 1");
    }

    site.reload("", &play("send_min_interval 50;"));
    let begin = Instant::now();
    send(&mut publisher, 81..91);
    for number in 81..91 {
        assert_eq!(next_frame(&mut player).0, number, "send_min_interval 50");
    }
    let pace = begin.elapsed();
    assert!(
        pace > Duration::from_millis(400),
        "send_min_interval 50: ten messages took {pace:?}"
    );
}
