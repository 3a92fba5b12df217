//! What a vhost does for its players.

use std::time::Duration;

use crate::app::config::scope::Scope;

/// The most messages that one write may be made to wait for.
pub(crate) const MW_MSGS_MAX: u32 = 128;

/// The `play` block of a vhost.
#[derive(Clone, Debug, PartialEq)]
pub struct Play {
    /// Whether new players start with the newest group of pictures.
    pub gop_cache: bool,
    /// Above this many frames the kept group is dropped; 0 is no limit.
    pub gop_cache_max_frames: u32,
    /// How much media may wait for a slow player before it jumps ahead.
    pub queue_length: Duration,
    /// How timestamps are corrected.
    pub time_jitter: TimeJitter,
    /// Whether timestamps are passed on as the encoder made them.
    pub atc: bool,
    /// Whether audio and video are put in the order of their timestamps.
    pub mix_correct: bool,
    /// Whether the stream's metadata may turn `atc` on.
    pub atc_auto: bool,
    /// How long messages are gathered into one write; zero with `min_latency` unless set.
    pub mw_latency: Duration,
    /// How many messages are gathered into one write at least, at most 128; zero with `min_latency` unless set.
    pub mw_msgs: u32,
    /// The shortest time between two messages of one player; zero is no limit.
    pub send_min_interval: Duration,
    /// Whether a sequence header that equals the last one is left out.
    pub reduce_sequence_header: bool,
}

/// How timestamps are corrected for players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeJitter {
    /// Start at zero, never run backwards, no gaps.
    Full,
    /// Start at zero.
    Zero,
    /// As they come.
    Off,
}

impl TimeJitter {
    /// Reads the word, `None` for one that is none and counts as off.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "full" => Some(TimeJitter::Full),
            "zero" => Some(TimeJitter::Zero),
            "off" => Some(TimeJitter::Off),
            _ => None,
        }
    }
}

impl Default for Play {
    /// What a vhost without a `play` block has.
    fn default() -> Self {
        Play {
            gop_cache: true,
            gop_cache_max_frames: 2500,
            queue_length: Duration::from_secs(30),
            time_jitter: TimeJitter::Full,
            atc: false,
            mix_correct: false,
            atc_auto: false,
            mw_latency: Duration::from_millis(350),
            mw_msgs: 8,
            send_min_interval: Duration::ZERO,
            reduce_sequence_header: false,
        }
    }
}

impl Play {
    pub(crate) fn read(play: &Scope<'_>, min_latency: bool) -> Self {
        let unless_set = |name: &str| min_latency && play.given(name).is_none();
        Play {
            gop_cache: play.flag("gop_cache"),
            gop_cache_max_frames: play.size("gop_cache_max_frames"),
            queue_length: play.duration("queue_length"),
            time_jitter: TimeJitter::parse(&play.text("time_jitter")).unwrap_or(TimeJitter::Off),
            atc: play.flag("atc"),
            mix_correct: play.flag("mix_correct"),
            atc_auto: play.flag("atc_auto"),
            mw_latency: if unless_set("mw_latency") {
                Duration::ZERO
            } else {
                play.duration("mw_latency")
            },
            mw_msgs: if unless_set("mw_msgs") {
                0
            } else {
                play.size("mw_msgs").min(MW_MSGS_MAX)
            },
            send_min_interval: play.duration("send_min_interval"),
            reduce_sequence_header: play.flag("reduce_sequence_header"),
        }
    }
}
