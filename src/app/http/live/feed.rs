//! What a player is fed with: the bytes of its format, from its place in the stream.

use std::rc::Rc;
use std::time::Duration;

use crate::app::config::section::http_remux::{Format, HttpRemux};
use crate::app::source::{AudioConsumer, FlvConsumer, Mp4Consumer, Parked, Place, Source, Tracks, TsConsumer, Way};
use crate::core::clock::Moment;
use crate::kernel::codec::{AudioCodec, Codec};
use crate::kernel::flv::mux::file_start;
use crate::kernel::mp4;

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
    /// MP4: an initialisation segment, then fragments.
    Mp4(Mp4Feed),
}

impl Feed {
    /// Joins the stream.
    pub fn join(source: &Rc<Source>, remux: &HttpRemux, format: Format) -> Self {
        match format {
            Format::Flv => Feed::Flv(FlvFeed::join(source, remux)),
            Format::Ts => Feed::Ts(TsConsumer::join(source)),
            Format::Aac => Feed::Audio(AudioConsumer::join(source, AudioCodec::Aac)),
            Format::Mp3 => Feed::Audio(AudioConsumer::join(source, AudioCodec::Mp3)),
            Format::Mp4 => Feed::Mp4(Mp4Feed::join(source, remux)),
        }
    }

    /// The player's place.
    pub fn place(&self) -> &Place {
        match self {
            Feed::Flv(feed) => &feed.consumer.place,
            Feed::Ts(consumer) => &consumer.place,
            Feed::Audio(consumer) => &consumer.place,
            Feed::Mp4(feed) => &feed.consumer.place,
        }
    }

    /// Appends what is sent next to `out`; gives how many messages that took, 0 when there is nothing to send yet.
    pub fn take_batch(&mut self, out: &mut Vec<u8>) -> u64 {
        match self {
            Feed::Flv(feed) => feed.take_batch(out),
            Feed::Ts(consumer) => consumer.take_batch(out),
            Feed::Audio(consumer) => consumer.take_batch(out),
            Feed::Mp4(feed) => feed.take_batch(out),
        }
    }

    /// What the courier needs to send for it; none while its coroutine must.
    pub fn parked(&self, way: &Way<'_>) -> Option<Parked> {
        match self {
            Feed::Flv(feed) if matches!(feed.flags, Flags::Told) => feed.consumer.parked(way),
            Feed::Ts(consumer) => consumer.parked(way),
            Feed::Audio(consumer) => consumer.parked(way),
            Feed::Flv(_) | Feed::Mp4(_) => None,
        }
    }

    /// Appends what is held back until more comes: the stream has ended.
    pub fn finish(&self, out: &mut Vec<u8>) {
        match self {
            Feed::Flv(_) | Feed::Audio(_) => {}
            Feed::Ts(consumer) => consumer.finish(out),
            Feed::Mp4(feed) => feed.consumer.finish(out),
        }
    }

    /// Whether the format cannot go on though the stream does: its codec parameters changed.
    pub fn is_over(&self) -> bool {
        matches!(self, Feed::Mp4(feed) if feed.consumer.is_over())
    }
}

/// Waits until it is known which tracks a stream has.
#[derive(Default)]
struct Guess {
    /// When the stream was first seen to have something.
    since: Option<Moment>,
}

impl Guess {
    /// The tracks, once that is known. Sound may come a little after the first picture, or before it: a stream that just
    /// begins is given time, unless all that are `wanted` are there.
    fn settle(&mut self, place: &Place, wanted: Tracks, carries: impl Fn(Codec) -> bool) -> Option<Tracks> {
        let tracks = Tracks::guess(place, carries)?.and(wanted);
        let now = Moment::now();
        let waited = now.since(*self.since.get_or_insert(now));
        let settled = tracks == wanted || waited >= SETTLE || place.waiting() >= SETTLE;
        (settled && tracks != Tracks::NONE).then_some(tracks)
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
    Guess(Guess),
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
                Flags::Guess(Guess::default())
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

    /// The tracks to tell, once that is known.
    fn tracks(&mut self) -> Option<Tracks> {
        match &mut self.flags {
            Flags::Told => None,
            Flags::Fixed(tracks) => Some(*tracks),
            Flags::Guess(guess) => guess.settle(&self.consumer.place, Tracks::BOTH, |_| true),
        }
    }
}

/// MP4 of one player. The movie box tells how each track is coded, so a track that is not there cannot be told, whatever
/// the configuration says; it can only leave one out.
pub struct Mp4Feed {
    consumer: Mp4Consumer,
    /// The tracks that it may have.
    wanted: Tracks,
    /// Until it is known which of them there are.
    guess: Option<Guess>,
}

impl Mp4Feed {
    fn join(source: &Rc<Source>, remux: &HttpRemux) -> Self {
        let told = Tracks {
            audio: remux.has_audio,
            video: remux.has_video,
        };
        Mp4Feed {
            consumer: Mp4Consumer::join(source),
            wanted: if remux.guess_has_av { Tracks::BOTH } else { told },
            guess: Some(Guess::default()),
        }
    }

    fn take_batch(&mut self, out: &mut Vec<u8>) -> u64 {
        if let Some(guess) = &mut self.guess {
            let Some(tracks) = guess.settle(&self.consumer.place, self.wanted, mp4::Muxer::carries) else {
                return 0;
            };
            self.consumer.set_tracks(tracks);
            self.guess = None;
        }
        self.consumer.take_batch(out)
    }
}
