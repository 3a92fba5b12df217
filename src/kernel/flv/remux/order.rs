//! Puts sound and pictures in the order of their times, as RTMP players expect them; multiplexes send one well before
//! the other.

use std::collections::VecDeque;

use crate::core::limits::{REMUX_AUDIO_FRAMES, REMUX_BYTES, REMUX_VIDEO_FRAMES};
use crate::kernel::frame::{Frame, Kind};

/// How long one kind waits for the other, by its own times, milliseconds.
const WAIT_MS: u32 = 1000;
/// A step of this many milliseconds within one kind is a new beginning: nothing waits for times of the old one.
const JUMP_MS: u32 = 10_000;

/// Two queues, from which the older message comes out as soon as it is known which one that is.
///
/// A kind that falls silent is waited for once, for a second or so many messages; then the other goes on alone until it
/// comes back.
#[derive(Debug, Default)]
pub struct Interleaver {
    audio: Lane,
    video: Lane,
    ready: VecDeque<Frame>,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Frame>,
    /// Of their payload.
    bytes: usize,
    /// The other kind waits for it.
    is_expected: bool,
    newest: Option<u32>,
}

impl Interleaver {
    /// Says which kinds there are; a kind that is not expected is not waited for.
    pub fn expect(&mut self, audio: bool, video: bool) {
        self.audio.is_expected = audio;
        self.video.is_expected = video;
        self.sort();
    }

    /// Adds a message. Its kind is expected from now on; data comes out at once.
    pub fn push(&mut self, frame: Frame) {
        let newest = match frame.kind {
            Kind::Audio => self.audio.newest,
            Kind::Video => self.video.newest,
            Kind::Data => return self.ready.push_back(frame),
        };
        if newest.is_some_and(|newest| distance(frame.timestamp, newest).unsigned_abs() > JUMP_MS) {
            self.release();
        }
        let is_full = match frame.kind {
            Kind::Audio => self.audio.push(frame, REMUX_AUDIO_FRAMES),
            _ => self.video.push(frame, REMUX_VIDEO_FRAMES),
        };
        if is_full {
            self.give_up();
        }
        self.sort();
    }

    /// The next message; none if the other kind is waited for.
    pub fn pop(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// Lets everything out: nothing more comes, or times begin anew.
    pub fn release(&mut self) {
        let expected = (self.audio.is_expected, self.video.is_expected);
        self.expect(false, false);
        (self.audio.is_expected, self.video.is_expected) = expected;
        (self.audio.newest, self.video.newest) = (None, None);
    }

    /// The kind of which nothing waits is not waited for any longer.
    fn give_up(&mut self) {
        self.audio.is_expected &= !self.audio.waiting.is_empty();
        self.video.is_expected &= !self.video.waiting.is_empty();
    }

    fn sort(&mut self) {
        loop {
            let (audio, video) = (self.audio.waiting.front(), self.video.waiting.front());
            let lane = match (audio, video) {
                (Some(audio), Some(video)) if distance(video.timestamp, audio.timestamp) <= 0 => &mut self.video,
                (Some(_), Some(_)) => &mut self.audio,
                (Some(_), None) if !self.video.is_expected => &mut self.audio,
                (None, Some(_)) if !self.audio.is_expected => &mut self.video,
                _ => return,
            };
            self.ready.extend(lane.pop());
        }
    }
}

impl Lane {
    /// Adds a message and says whether more of them may not wait.
    fn push(&mut self, frame: Frame, limit: usize) -> bool {
        let newest = frame.timestamp;
        self.is_expected = true;
        self.newest = Some(newest);
        self.bytes += frame.payload.len();
        self.waiting.push_back(frame);
        let oldest = self.waiting.front().map_or(newest, |frame| frame.timestamp);
        self.waiting.len() >= limit || self.bytes > REMUX_BYTES || distance(newest, oldest) > WAIT_MS as i32
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.waiting.pop_front()?;
        self.bytes -= frame.payload.len();
        Some(frame)
    }
}

/// How much later one timestamp is than another, milliseconds; they wrap.
fn distance(later: u32, earlier: u32) -> i32 {
    later.wrapping_sub(earlier) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: Kind, timestamp: u32) -> Frame {
        Frame::new(kind, timestamp, bytes::Bytes::new())
    }

    fn drain(order: &mut Interleaver) -> Vec<(Kind, u32)> {
        std::iter::from_fn(|| order.pop())
            .map(|frame| (frame.kind, frame.timestamp))
            .collect()
    }

    #[test]
    fn times_rise_over_both_kinds_and_their_wrap() {
        let mut order = Interleaver::default();
        order.expect(true, true);
        let start = u32::MAX - 100;
        for number in 0..10 {
            order.push(frame(Kind::Video, start.wrapping_add(number * 40)));
        }
        assert!(order.pop().is_none());
        for number in 0..18 {
            order.push(frame(Kind::Audio, start.wrapping_add(number * 23)));
        }
        order.release();
        let times: Vec<u32> = drain(&mut order)
            .iter()
            .map(|(_, time)| time.wrapping_sub(start))
            .collect();
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(times.len(), 28);
    }

    #[test]
    fn a_kind_that_is_silent_is_waited_for_once() {
        let mut order = Interleaver::default();
        order.expect(true, true);
        let mut outs = Vec::new();
        for number in 0..60 {
            order.push(frame(Kind::Video, number * 40));
            outs.push(drain(&mut order).len());
        }
        let first = outs.iter().position(|count| *count > 0).unwrap();
        assert!((25..=26).contains(&first), "{first}");
        assert!(outs[first + 1..].iter().all(|count| *count == 1));
        // It comes back and is waited for again.
        order.push(frame(Kind::Audio, 2400));
        order.push(frame(Kind::Video, 2440));
        order.push(frame(Kind::Video, 2480));
        assert_eq!(drain(&mut order), [(Kind::Audio, 2400)]);
    }

    #[test]
    fn nobody_waits_for_what_is_not_there() {
        let mut order = Interleaver::default();
        order.expect(false, true);
        order.push(frame(Kind::Video, 0));
        order.push(frame(Kind::Data, 0));
        assert_eq!(drain(&mut order), [(Kind::Video, 0), (Kind::Data, 0)]);
    }

    #[test]
    fn a_jump_lets_the_old_times_out() {
        let mut order = Interleaver::default();
        order.push(frame(Kind::Audio, 900_000));
        order.push(frame(Kind::Video, 900_010));
        order.push(frame(Kind::Video, 900_050));
        order.push(frame(Kind::Video, 1_000));
        order.push(frame(Kind::Audio, 1_010));
        order.push(frame(Kind::Video, 1_040));
        let times: Vec<u32> = drain(&mut order).iter().map(|(_, time)| *time).collect();
        assert_eq!(times, [900_000, 900_010, 900_050, 1_000, 1_010]);
    }

    #[test]
    fn the_queue_is_bounded_by_count_too() {
        let mut order = Interleaver::default();
        order.expect(true, true);
        for _ in 0..10_000 {
            order.push(frame(Kind::Video, 5));
            assert!(order.video.waiting.len() <= REMUX_VIDEO_FRAMES);
            drain(&mut order);
        }
    }
}
