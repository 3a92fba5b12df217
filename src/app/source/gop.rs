//! Where a new player starts: the newest group of pictures, as a number in the journal.

use crate::kernel::frame::{Frame, Kind};

/// So many audio messages in a row without video mean that the video is gone.
const PURE_AUDIO: u32 = 115;

/// Follows the stream and remembers the message that begins the newest GOP.
#[derive(Debug, Default)]
pub struct GopTracker {
    start: Option<u64>,
    frames: u32,
    audio_run: u32,
}

impl GopTracker {
    /// Takes note of message `number`; `max_frames` 0 is no limit.
    pub fn follow(&mut self, number: u64, frame: &Frame, max_frames: u32) {
        if frame.facts.sequence_header {
            return;
        }
        match frame.kind {
            Kind::Video => {
                self.audio_run = 0;
                if frame.facts.keyframe {
                    self.start = Some(number);
                    self.frames = 0;
                }
            }
            Kind::Audio => {
                self.audio_run = self.audio_run.saturating_add(1);
                if self.audio_run > PURE_AUDIO {
                    self.clear();
                }
            }
            Kind::Data => return,
        }
        if self.start.is_some() {
            self.frames += 1;
            if max_frames > 0 && self.frames > max_frames {
                self.clear();
            }
        }
    }

    /// Forgets the GOP: the stream ended, or its codec changed.
    pub fn clear(&mut self) {
        self.start = None;
        self.frames = 0;
    }

    /// The number of the keyframe that begins the newest GOP.
    pub fn start(&self) -> Option<u64> {
        self.start
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn video(key: bool) -> Frame {
        Frame::new(
            Kind::Video,
            0,
            Bytes::from_static(if key { b"\x17\x01\0\0\0" } else { b"\x27\x01\0\0\0" }),
        )
    }

    fn audio() -> Frame {
        Frame::new(Kind::Audio, 0, Bytes::from_static(b"\xaf\x01\x21"))
    }

    #[test]
    fn begins_at_the_newest_keyframe() {
        let mut gop = GopTracker::default();
        let frames = [
            audio(),
            video(false),
            video(true),
            audio(),
            video(false),
            video(true),
            video(false),
        ];
        let starts: Vec<_> = (0..)
            .zip(&frames)
            .map(|(number, frame)| {
                gop.follow(number, frame, 0);
                gop.start()
            })
            .collect();
        assert_eq!(starts, [None, None, Some(2), Some(2), Some(2), Some(5), Some(5)]);
    }

    #[test]
    fn sequence_headers_neither_begin_nor_count() {
        let mut gop = GopTracker::default();
        let header = Frame::new(Kind::Video, 0, Bytes::from_static(b"\x17\x00\0\0\0"));
        gop.follow(0, &header, 1);
        assert_eq!(gop.start(), None);
    }

    #[test]
    fn pure_audio_and_endless_gops_are_dropped() {
        let mut gop = GopTracker::default();
        gop.follow(0, &video(true), 0);
        for number in 1..=115 {
            gop.follow(number, &audio(), 0);
        }
        assert_eq!(gop.start(), Some(0));
        gop.follow(116, &audio(), 0);
        assert_eq!(gop.start(), None);

        gop.follow(117, &video(true), 2);
        gop.follow(118, &video(false), 2);
        assert_eq!(gop.start(), Some(117));
        gop.follow(119, &video(false), 2);
        assert_eq!(gop.start(), None);
    }
}
