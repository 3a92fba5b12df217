//! `mix_correct`: audio and video in the order of their timestamps, for publishers that interleave badly.

use std::collections::VecDeque;

use crate::kernel::frame::{Frame, Kind};

/// So many of one kind with none of the other mean that the other is not there.
const PURE: usize = 10;

/// Holds messages back until their order is known.
#[derive(Debug, Default)]
pub struct MixQueue {
    /// In the order of their timestamps; equal ones as they came.
    waiting: VecDeque<Frame>,
    audio: usize,
    video: usize,
}

impl MixQueue {
    /// Takes a message in.
    pub fn push(&mut self, frame: Frame) {
        match frame.kind {
            Kind::Audio => self.audio += 1,
            Kind::Video => self.video += 1,
            Kind::Data => {}
        }
        // Modulo 2^32, so that the order survives a wrap.
        let later = |other: &Frame| (other.timestamp.wrapping_sub(frame.timestamp) as i32) > 0;
        let index = self
            .waiting
            .iter()
            .rposition(|other| !later(other))
            .map_or(0, |index| index + 1);
        self.waiting.insert(index, frame);
    }

    /// The earliest message, once at least one of each kind, or ten of one kind alone, wait.
    pub fn pop(&mut self) -> Option<Frame> {
        let mixed = self.audio > 0 && self.video > 0;
        let pure = (self.audio == 0 && self.video >= PURE) || (self.video == 0 && self.audio >= PURE);
        if mixed || pure { self.take_first() } else { None }
    }

    /// The earliest message, whatever waits: the stream ended.
    pub fn drain(&mut self) -> Option<Frame> {
        self.take_first()
    }

    fn take_first(&mut self) -> Option<Frame> {
        let frame = self.waiting.pop_front()?;
        match frame.kind {
            Kind::Audio => self.audio -= 1,
            Kind::Video => self.video -= 1,
            Kind::Data => {}
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(kind: Kind, timestamp: u32) -> Frame {
        Frame::new(kind, timestamp, Bytes::from_static(b"\xaf\x01"))
    }

    #[test]
    fn orders_by_timestamp_across_a_wrap() {
        let mut queue = MixQueue::default();
        for timestamp in [u32::MAX - 10, 20, 60] {
            queue.push(frame(Kind::Video, timestamp));
        }
        assert!(queue.pop().is_none());
        queue.push(frame(Kind::Audio, 5));
        let order: Vec<_> = std::iter::from_fn(|| queue.drain())
            .map(|frame| frame.timestamp)
            .collect();
        assert_eq!(order, [u32::MAX - 10, 5, 20, 60]);
    }

    #[test]
    fn a_lone_kind_passes_after_ten() {
        let mut queue = MixQueue::default();
        for timestamp in 0..9 {
            queue.push(frame(Kind::Audio, timestamp));
            assert!(queue.pop().is_none());
        }
        queue.push(frame(Kind::Audio, 9));
        assert_eq!(queue.pop().map(|frame| frame.timestamp), Some(0));
        assert!(queue.pop().is_none());
    }
}
