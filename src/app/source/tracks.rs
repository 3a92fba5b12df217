//! Which tracks a stream has, for formats that must tell before the first frame.

use super::place::Place;
use crate::kernel::frame::{Codec, Frame, Kind};

/// Which tracks a stream has, or a player wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tracks {
    /// Sound.
    pub audio: bool,
    /// Pictures.
    pub video: bool,
}

impl Tracks {
    /// Sound and pictures.
    pub const BOTH: Tracks = Tracks {
        audio: true,
        video: true,
    };
    /// Neither.
    pub const NONE: Tracks = Tracks {
        audio: false,
        video: false,
    };

    /// Those that a stream has, as far as its headers and what waits at this place tell; `None` while there is neither.
    /// Messages of codecs that `carries` refuses do not count, those without a known one do. A track whose header alone
    /// is there, while frames of the other one come, is counted out.
    pub fn guess(place: &Place, carries: impl Fn(Codec) -> bool) -> Option<Tracks> {
        let state = place.source().state();
        let (mut headers, mut frames) = (Tracks::NONE, Tracks::NONE);
        let waiting = state.journal.from(place.next()).map(|(_, entry)| &entry.frame);
        let known = state.start_headers(u64::MAX).map(|entry| &entry.frame);
        let counts = |frame: &&Frame| frame.facts.codec.is_none_or(&carries);
        for frame in known.chain(waiting).filter(counts) {
            let seen = if frame.facts.sequence_header {
                &mut headers
            } else {
                &mut frames
            };
            match frame.kind {
                Kind::Audio => seen.audio = true,
                Kind::Video => seen.video = true,
                Kind::Data => {}
            }
        }
        let found = if frames == Tracks::NONE { headers } else { frames };
        (found != Tracks::NONE).then_some(found)
    }

    /// Those of both.
    pub fn and(self, other: Tracks) -> Tracks {
        Tracks {
            audio: self.audio && other.audio,
            video: self.video && other.video,
        }
    }

    /// Whether messages of this kind belong to one of them; data belongs to all.
    pub fn have(self, kind: Kind) -> bool {
        match kind {
            Kind::Audio => self.audio,
            Kind::Video => self.video,
            Kind::Data => true,
        }
    }
}
