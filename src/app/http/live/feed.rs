//! What a player is fed with: the bytes of its format, from its place in the stream.

use std::rc::Rc;
use std::time::Duration;

use crate::app::config::section::http_remux::{Format, HttpRemux};
use crate::app::source::{AudioConsumer, FlvConsumer, Place, Source, Tracks, TsConsumer};
use crate::core::clock::Moment;
use crate::kernel::codec::AudioCodec;
use crate::kernel::flv::mux::file_start;

/// How long a player waits for the stream's other track before its file header tells that there is none.
const SETTLE: Duration = Duration::from_millis(350);

/// A stream in one format, from one player's place on.
pub enum Feed {
    /// FLV: a file header, then tags.
    Flv(FlvFeed),
    /// MPEG transport packets.
    Ts(TsConsumer),
    /// Bare sound.
    Audio(AudioConsumer),
}

impl Feed {
    /// Joins the stream.
    pub fn join(source: &Rc<Source>, remux: &HttpRemux, format: Format) -> Self {
        match format {
            Format::Flv => Feed::Flv(FlvFeed::join(source, remux)),
            Format::Ts => Feed::Ts(TsConsumer::join(source)),
            Format::Aac => Feed::Audio(AudioConsumer::join(source, AudioCodec::Aac)),
            Format::Mp3 => Feed::Audio(AudioConsumer::join(source, AudioCodec::Mp3)),
        }
    }

    /// The player's place.
    pub fn place(&self) -> &Place {
        match self {
            Feed::Flv(feed) => &feed.consumer.place,
            Feed::Ts(consumer) => &consumer.place,
            Feed::Audio(consumer) => &consumer.place,
        }
    }

    /// Appends what is sent next to `out`; gives how many messages that took, 0 when there is nothing to send yet.
    pub fn take_batch(&mut self, out: &mut Vec<u8>) -> u64 {
        match self {
            Feed::Flv(feed) => feed.take_batch(out),
            Feed::Ts(consumer) => consumer.take_batch(out),
            Feed::Audio(consumer) => consumer.take_batch(out),
        }
    }
}

/// FLV of one player.
pub struct FlvFeed {
    consumer: FlvConsumer,
    flags: Flags,
    drop_if_not_match: bool,
}

/// What the file header tells.
enum Flags {
    Told,
    Fixed(Tracks),
    Guess {
        /// When the stream was first seen to have something.
        since: Option<Moment>,
    },
}

impl FlvFeed {
    fn join(source: &Rc<Source>, remux: &HttpRemux) -> Self {
        let fixed = Tracks {
            audio: remux.has_audio,
            video: remux.has_video,
        };
        FlvFeed {
            consumer: FlvConsumer::join(source),
            flags: if remux.guess_has_av {
                Flags::Guess { since: None }
            } else {
                Flags::Fixed(fixed)
            },
            drop_if_not_match: remux.drop_if_not_match,
        }
    }

    fn take_batch(&mut self, out: &mut Vec<u8>) -> u64 {
        if !matches!(self.flags, Flags::Told) {
            let Some(tracks) = self.tracks() else { return 0 };
            out.extend_from_slice(&file_start(tracks.audio, tracks.video));
            if self.drop_if_not_match {
                self.consumer.set_wanted(tracks);
            }
            self.flags = Flags::Told;
        }
        self.consumer.take_batch(out)
    }

    /// The tracks to tell, once that is known. Sound may come a little after the first picture, or before it: a stream
    /// that just begins is given time.
    fn tracks(&mut self) -> Option<Tracks> {
        let since = match &mut self.flags {
            Flags::Told => return None,
            Flags::Fixed(tracks) => return Some(*tracks),
            Flags::Guess { since } => since,
        };
        let tracks = self.consumer.guess_tracks()?;
        let now = Moment::now();
        let waited = now.since(*since.get_or_insert(now));
        let settled = (tracks.audio && tracks.video) || waited >= SETTLE || self.consumer.place.waiting() >= SETTLE;
        settled.then_some(tracks)
    }
}
