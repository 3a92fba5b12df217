//! A good stream beside a bad guest: a publisher and a player whose media must go on flowing.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::flv::{Tag, VIDEO};
use super::rtmp::Rtmp;
use super::wait::wait_for;

/// Publishes numbered frames on `live/bystander` and plays them back, checking that none is missing.
#[derive(Debug)]
pub struct Bystander {
    stop: Arc<AtomicBool>,
    played: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

const FRAME_MS: u32 = 20;

impl Bystander {
    #[track_caller]
    pub fn start(port: u16) -> Self {
        let (stop, played) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let publisher = Rtmp::connect(port, "live").and_then(|client| client.publish("live", "bystander"));
        let publisher = publisher.expect("publish the good stream");
        let player = Rtmp::connect(port, "live").and_then(|client| client.play("bystander"));
        let player = player.expect("play the good stream");
        let player_ended = Arc::new(AtomicBool::new(false));
        let threads = vec![
            thread::spawn({
                let player_ended = player_ended.clone();
                // Until the player has ended: it waits for one more batch.
                move || publish(publisher, &player_ended)
            }),
            thread::spawn({
                let (stop, played) = (stop.clone(), played.clone());
                move || {
                    let ended = panic::catch_unwind(AssertUnwindSafe(|| play(player, &stop, &played)));
                    player_ended.store(true, Ordering::Relaxed);
                    ended.unwrap_or_else(|panic| panic::resume_unwind(panic));
                }
            }),
        ];
        let bystander = Bystander { stop, played, threads };
        bystander.assert_flows();
        bystander
    }

    /// Fails the test unless fifty more frames (a second's worth) come within five seconds.
    #[track_caller]
    pub fn assert_flows(&self) {
        let before = self.played.load(Ordering::Relaxed);
        wait_for("the good stream to go on", 5, || {
            let broken = self.threads.iter().any(JoinHandle::is_finished);
            assert!(!broken, "the good stream broke");
            (self.played.load(Ordering::Relaxed) >= before + 50).then_some(())
        });
    }

    /// Ends the stream; fails the test when any frame was lost, changed or out of order.
    #[track_caller]
    pub fn finish(self) {
        self.assert_flows();
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            assert!(thread.join().is_ok(), "the good stream was disturbed (see above)");
        }
    }
}

/// The H.264 set-up (320x180, baseline) that goes before numbered frames.
pub fn numbered_header() -> Tag {
    let payload = AVC_CONFIGURATION.chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).expect("hexadecimal digits");
        u8::from_str_radix(digits, 16).expect("hexadecimal digits")
    });
    Tag {
        kind: VIDEO,
        timestamp: 0,
        payload: payload.collect(),
    }
}

/// Made by x264.
const AVC_CONFIGURATION: &[u8] = b"17000000000142c00cffe100196742c00cd901419f9f01\
    1000000300100000030320f142a48001000568cb83cb20";

/// A well-formed frame with its number in it (the slice itself is nonsense); every 50th is a keyframe.
pub fn numbered_frame(number: u32) -> Tag {
    const SIZE: usize = 800;
    let (flags, nal_type) = if number.is_multiple_of(50) {
        (0x17, 0x65)
    } else {
        (0x27, 0x41)
    };
    let mut payload = vec![flags, 1, 0, 0, 0];
    payload.extend((SIZE as u32).to_be_bytes());
    payload.push(nal_type);
    payload.extend(number.to_be_bytes());
    payload.resize(5 + 4 + SIZE, number as u8 | 1);
    Tag {
        kind: VIDEO,
        timestamp: number * FRAME_MS,
        payload,
    }
}

/// The number in a frame of [`numbered_frame`]; `None` for headers.
pub fn number_of(tag: &Tag) -> Option<u32> {
    let bytes = tag.payload.get(10..14).filter(|_| !tag.is_header())?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn publish(mut client: Rtmp, stop: &AtomicBool) {
    client
        .send_tag(&numbered_header())
        .expect("publish the good stream's header");
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        client
            .send_tag(&numbered_frame(number))
            .expect("publish a frame of the good stream");
        thread::sleep(Duration::from_millis(FRAME_MS.into()));
    }
}

fn play(mut client: Rtmp, stop: &AtomicBool, played: &AtomicUsize) {
    let mut last = None;
    while !stop.load(Ordering::Relaxed) {
        let message = client.receive().expect("play the good stream");
        if message.kind != VIDEO {
            continue;
        }
        let tag = message.into_tag();
        let Some(number) = number_of(&tag) else {
            continue;
        };
        assert_eq!(
            tag.payload,
            numbered_frame(number).payload,
            "frame {number} came changed"
        );
        assert!(
            last.is_none_or(|last| number == last + 1),
            "frame {number} came after {last:?}"
        );
        last = Some(number);
        played.fetch_add(1, Ordering::Relaxed);
    }
}
