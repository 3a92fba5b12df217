//! What each file must begin with.

use crate::core::limits::SOURCE_HEADERS;
use crate::kernel::frame::{Frame, Kind};

/// The metadata and the newest headers of all tracks of a publication.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    metadata: Option<Frame>,
    tracks: Vec<Frame>,
}

impl Headers {
    /// Takes note of script data that holds metadata.
    pub fn see_data(&mut self, frame: &Frame) {
        if frame.payload.starts_with(b"\x02\x00\x0aonMetaData") {
            self.metadata = Some(frame.clone());
        }
    }

    /// Takes note of a sequence header, or of one that tells how to show what follows.
    pub fn see(&mut self, frame: &Frame) {
        let key = |frame: &Frame| (frame.kind == Kind::Video, frame.facts.track, frame.facts.presentation);
        if let Some(known) = self.tracks.iter_mut().find(|known| key(known) == key(frame)) {
            *known = frame.clone();
        } else if self.tracks.len() < SOURCE_HEADERS {
            self.tracks.push(frame.clone());
        }
    }

    /// The publisher's metadata.
    pub fn metadata(&self) -> Option<&Frame> {
        self.metadata.as_ref()
    }

    /// The headers of all tracks, each with this time.
    pub fn tracks(&self, timestamp: u32) -> impl Iterator<Item = Frame> {
        self.tracks.iter().map(move |header| Frame {
            timestamp,
            ..header.clone()
        })
    }

    /// Whether there are headers of pictures.
    pub fn has_video(&self) -> bool {
        self.tracks.iter().any(|header| header.kind == Kind::Video)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: Kind, payload: &'static [u8]) -> Frame {
        Frame::new(kind, 7, payload.into())
    }

    #[test]
    fn the_newest_header_of_each_track_is_kept() {
        let mut headers = Headers::default();
        headers.see_data(&frame(Kind::Data, b"\x02\x00\x0aonTextData"));
        assert!(headers.metadata().is_none() && !headers.has_video());
        headers.see_data(&frame(Kind::Data, b"\x02\x00\x0aonMetaData\x08"));
        assert!(headers.metadata().is_some());
        headers.see(&frame(Kind::Audio, b"\xaf\x00\x12\x10"));
        headers.see(&frame(Kind::Video, b"\x17\x00\0\0\0\x01"));
        headers.see(&frame(Kind::Video, b"\x96\x00avc1\x01\x01\x64"));
        headers.see(&frame(Kind::Audio, b"\xaf\x00\x11\x90"));
        let tracks: Vec<_> = headers.tracks(90).collect();
        assert_eq!(tracks.len(), 3);
        assert_eq!(
            (tracks[0].timestamp, &tracks[0].payload[..]),
            (90, &b"\xaf\x00\x11\x90"[..])
        );
        assert!(headers.has_video());
        for track in 0..=u8::MAX {
            let body = [&[0x96, 0x00][..], b"avc1", &[track, 1, 0x64]].concat();
            headers.see(&Frame::new(Kind::Video, 0, body.into()));
        }
        assert_eq!(headers.tracks(0).count(), SOURCE_HEADERS);
    }
}
