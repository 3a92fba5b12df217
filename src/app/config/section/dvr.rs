//! Recording of a vhost's streams.

use std::time::Duration;

use super::play::TimeJitter;
use crate::app::config::scope::Scope;

/// The name below the folder that `dvr_path` is where it names no file.
const DEFAULT_NAME: &str = "/[stream].[timestamp].flv";

/// The `dvr` block of a vhost.
#[derive(Clone, Debug, PartialEq)]
pub struct Dvr {
    /// Whether streams can be recorded.
    pub enabled: bool,
    /// Which ones are recorded whenever they are published.
    pub apply: DvrApply,
    /// When a file ends, as written: an unknown word fails at publish.
    pub plan: String,
    /// The template of file names, which ends in `.flv` or `.mp4`.
    pub path: String,
    /// How long a file of the `segment` plan lasts, at least a second.
    pub duration: Duration,
    /// Whether such a file begins with a keyframe only.
    pub wait_keyframe: bool,
    /// How times are corrected.
    pub time_jitter: TimeJitter,
    /// Whether an MP4 file stays in fragments.
    pub mp4_fragmented: bool,
}

/// Which streams are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DvrApply {
    /// Each of the vhost.
    All,
    /// None, unless the API asks for it.
    None,
    /// These, as `app/stream`.
    Streams(Vec<String>),
}

impl DvrApply {
    fn parse(words: Vec<String>) -> Self {
        match words.first().map(String::as_str) {
            None | Some("all") => DvrApply::All,
            Some("none") => DvrApply::None,
            Some(_) => DvrApply::Streams(words),
        }
    }

    /// Whether this stream is recorded.
    pub fn applies_to(&self, app: &str, stream: &str) -> bool {
        match self {
            DvrApply::All => true,
            DvrApply::None => false,
            DvrApply::Streams(streams) => {
                let wanted = format!("{app}/{stream}");
                streams.contains(&wanted)
            }
        }
    }
}

impl Dvr {
    pub(crate) fn read(dvr: &Scope<'_>) -> Self {
        let mut path = dvr.text("dvr_path");
        if !path.ends_with(".flv") && !path.ends_with(".mp4") {
            path.truncate(path.trim_end_matches('/').len());
            path.push_str(DEFAULT_NAME);
        }
        Dvr {
            enabled: dvr.flag("enabled"),
            apply: DvrApply::parse(dvr.texts("dvr_apply")),
            plan: dvr.text("dvr_plan"),
            path,
            duration: dvr.duration("dvr_duration").max(Duration::from_secs(1)),
            wait_keyframe: dvr.flag("dvr_wait_keyframe"),
            time_jitter: TimeJitter::parse(&dvr.text("time_jitter")).unwrap_or(TimeJitter::Off),
            mp4_fragmented: dvr.flag("dvr_mp4_fragmented"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(words: &str) -> DvrApply {
        DvrApply::parse(words.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn streams_are_listed_with_their_app() {
        assert!(apply("").applies_to("live", "s") && apply("all").applies_to("live", "s"));
        assert!(!apply("none").applies_to("live", "s"));
        let some = apply("live/s tv/news/one");
        assert!(some.applies_to("live", "s") && some.applies_to("tv/news", "one"));
        for (app, stream) in [("live", "t"), ("live", "s/"), ("tv", "one"), ("", "s")] {
            assert!(!some.applies_to(app, stream), "{app}/{stream}");
        }
        assert!(!apply("live/*").applies_to("live", "s"), "no patterns");
    }
}
