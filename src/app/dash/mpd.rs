//! The manifest (ISO/IEC 23009-1, live profile), as text.

use std::fmt::Write as _;
use std::time::Duration;

use crate::app::config::section::dash::LowLatency;
use crate::kernel::mp4::{Shape, TrackConfig};

/// Bounds of how often players of low-latency DASH ask for the manifest, milliseconds.
const UPDATE_MIN_MS: i64 = 250;
const UPDATE_MAX_MS: i64 = 1000;

/// A segment that players may fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// When it begins, milliseconds since the stream's time 0.
    pub begin_ms: i64,
    /// How long it lasts, milliseconds.
    pub duration_ms: i64,
    /// Its file's size, bytes.
    pub bytes: u64,
    /// Its file.
    pub file: String,
}

/// A track, with the segments that are listed.
pub struct Track<'a> {
    /// How it is coded.
    pub config: &'a TrackConfig,
    /// Oldest first; at least one.
    pub segments: Vec<&'a Segment>,
}

impl Track<'_> {
    /// What its files and its representation are called after.
    fn name(&self) -> &'static str {
        match self.config.shape {
            Shape::Video { .. } => "video",
            Shape::Audio { .. } => "audio",
        }
    }
}

/// All that a manifest tells.
pub struct Manifest<'a> {
    /// The stream's time 0, Unix time in milliseconds.
    pub start_unix_ms: i64,
    /// Now, Unix time in milliseconds.
    pub now_unix_ms: i64,
    /// How often players ask again, milliseconds.
    pub update_ms: i64,
    /// How many segments are kept.
    pub window: usize,
    /// Counts the changes of codecs.
    pub period: u32,
    /// When this period begins, milliseconds since the stream's time 0.
    pub period_begin_ms: i64,
    /// Where the segments are, relative to the manifest, with a slash at its end.
    pub base: &'a str,
    /// Whether the last segment of each track is being written.
    pub low_latency: Option<LowLatency>,
    /// Sound and pictures.
    pub tracks: &'a [Track<'a>],
}

impl Manifest<'_> {
    /// The manifest's text.
    pub fn to_text(&self) -> String {
        let last = self.tracks.iter().filter_map(|track| track.segments.last());
        let last_ms = last.map(|segment| segment.duration_ms).max().unwrap_or(0);
        let kept = i64::try_from(self.window).unwrap_or(i64::MAX);
        let (update_ms, buffer_ms, delay_ms) = match self.low_latency {
            Some(low_latency) => {
                let target_ms = millis(low_latency.target);
                // A segment is to be known soon after it begins.
                let update_ms = (last_ms / 4).clamp(UPDATE_MIN_MS, UPDATE_MAX_MS);
                (update_ms, target_ms.min(last_ms), target_ms)
            }
            None => (
                self.update_ms,
                last_ms.saturating_mul(2),
                last_ms.saturating_mul(behind(kept)),
            ),
        };
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<MPD profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" \
             xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"dynamic\" minimumUpdatePeriod=\"{}\" \
             timeShiftBufferDepth=\"{}\" availabilityStartTime=\"{}\" publishTime=\"{}\" minBufferTime=\"{}\" \
             suggestedPresentationDelay=\"{}\">\n    \
             <BaseURL>{}</BaseURL>\n{}    <Period id=\"{}\" start=\"{}\">\n",
            duration(update_ms),
            duration(last_ms.saturating_mul(kept)),
            moment(self.start_unix_ms),
            moment(self.now_unix_ms),
            duration(buffer_ms),
            duration(delay_ms),
            escape(self.base),
            self.low_latency.map_or_else(String::new, service),
            self.period,
            duration(self.period_begin_ms),
        );
        for track in self.tracks {
            self.put_track(track, &mut text);
        }
        text.push_str("    </Period>\n");
        self.put_clocks(&mut text);
        text.push_str("</MPD>\n");
        text
    }

    /// Where players whose own clock is wrong get the time: players ask strangers' servers, or nobody, when it is not
    /// told. Any server that serves the files tells it; a manifest's own time is as old as the manifest.
    fn put_clocks(&self, text: &mut String) {
        if let Some(track) = self.tracks.first() {
            let file = init_name(track.name(), self.period);
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "    <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-head:2014\" value=\"{file}\" />"
            );
        }
        let _ = writeln!(
            text,
            "    <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:direct:2014\" value=\"{}\" />",
            moment(self.now_unix_ms)
        );
    }

    /// When segments are there, before they are whole.
    fn early(&self, track: &Track<'_>) -> String {
        let Some(low_latency) = self.low_latency else {
            return String::new();
        };
        let length_ms = track.segments.last().map_or(0, |segment| segment.duration_ms);
        let offset_ms = (length_ms - millis(low_latency.chunk)).max(0);
        format!(
            " availabilityTimeOffset=\"{}\" availabilityTimeComplete=\"false\"",
            seconds(offset_ms)
        )
    }

    fn put_track(&self, track: &Track<'_>, text: &mut String) {
        let config = track.config;
        let kind = track.name();
        let shape = match config.shape {
            Shape::Video { width, height } => format!("width=\"{width}\" height=\"{height}\""),
            Shape::Audio { sample_rate, .. } => format!("audioSamplingRate=\"{sample_rate}\""),
        };
        let first = track.segments.first().map_or(0, |segment| segment.number);
        // Writing into a String cannot fail, here and below.
        let _ = write!(
            text,
            "        <AdaptationSet mimeType=\"{kind}/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\">\n            \
             <Representation id=\"{kind}\" bandwidth=\"{}\" codecs=\"{}\" {shape}>\n                \
             <SegmentTemplate initialization=\"{}\" media=\"$RepresentationID$-$Number$.m4s\" \
             startNumber=\"{first}\" timescale=\"1000\" presentationTimeOffset=\"{}\"{}>\n                    \
             <SegmentTimeline>\n",
            bandwidth(&track.segments),
            escape(&config.codec_string),
            init_name("$RepresentationID$", self.period),
            self.period_begin_ms,
            self.early(track),
        );
        for segment in &track.segments {
            let (begin, length) = (segment.begin_ms, segment.duration_ms);
            let _ = writeln!(text, "                        <S t=\"{begin}\" d=\"{length}\" />");
        }
        text.push_str(
            "                    </SegmentTimeline>\n                </SegmentTemplate>\n            \
             </Representation>\n        </AdaptationSet>\n",
        );
    }
}

/// The name of the initialisation segment of a track; each period has its own, as players keep it.
pub fn init_name(track: &str, period: u32) -> String {
    match period {
        0 => format!("{track}-init.mp4"),
        later => format!("{track}-init-{later}.mp4"),
    }
}

/// How many of the segments that are kept a player is to stay behind the newest: far enough from the oldest, which the
/// server deletes, and from the newest, which comes when its last picture has come.
fn behind(kept: i64) -> i64 {
    (kept - 2).clamp(1, 3)
}

/// Bits a second, of what is listed.
fn bandwidth(segments: &[&Segment]) -> u64 {
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let millis: i64 = segments.iter().map(|segment| segment.duration_ms).sum();
    let millis = u64::try_from(millis).unwrap_or(0).max(1);
    (bytes.saturating_mul(8000) / millis).max(1)
}

/// How players are to keep close to the publisher (annex K).
fn service(low_latency: LowLatency) -> String {
    let target_ms = millis(low_latency.target);
    format!(
        "    <ServiceDescription id=\"0\">\n        <Latency target=\"{target_ms}\" min=\"{}\" max=\"{}\" />\n        \
         <PlaybackRate min=\"0.96\" max=\"1.04\" />\n    </ServiceDescription>\n",
        target_ms / 2,
        target_ms.saturating_mul(4),
    )
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn duration(ms: i64) -> String {
    format!("PT{}S", seconds(ms))
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

fn moment(unix_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    format!("{time:.3}")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::kernel::codec::{AudioCodec, Codec};

    #[test]
    fn the_text_tells_all_that_players_need() {
        let config = TrackConfig {
            codec: Codec::Audio(AudioCodec::Aac),
            codec_string: "mp4a.40.2".into(),
            timescale: 44_100,
            default_duration: 1024,
            shape: Shape::Audio {
                channels: 2,
                sample_rate: 44_100,
            },
            entry: b"mp4a",
            config_box: b"esds",
            config: Bytes::new(),
        };
        let segments = [7, 8].map(|number| Segment {
            number,
            begin_ms: number as i64 * 10_000 + 5,
            duration_ms: 10_000,
            bytes: 80_000,
            file: String::new(),
        });
        let tracks = [Track {
            config: &config,
            segments: segments.iter().collect(),
        }];
        let manifest = Manifest {
            start_unix_ms: 1_795_375_541_041,
            now_unix_ms: 1_795_375_641_041,
            update_ms: 5000,
            window: 5,
            period: 1,
            period_begin_ms: 70_005,
            base: "a&b/",
            low_latency: None,
            tracks: &tracks,
        };
        let text = manifest.to_text();
        for part in [
            "type=\"dynamic\" minimumUpdatePeriod=\"PT5.000S\" timeShiftBufferDepth=\"PT50.000S\"",
            "availabilityStartTime=\"2026-11-22T19:25:41.041Z\"",
            "minBufferTime=\"PT20.000S\" suggestedPresentationDelay=\"PT30.000S\">",
            "<BaseURL>a&amp;b/</BaseURL>",
            "<Period id=\"1\" start=\"PT70.005S\">",
            "<Representation id=\"audio\" bandwidth=\"64000\" codecs=\"mp4a.40.2\" audioSamplingRate=\"44100\">",
            "initialization=\"$RepresentationID$-init-1.mp4\" media=\"$RepresentationID$-$Number$.m4s\" startNumber=\"7\"",
            "timescale=\"1000\" presentationTimeOffset=\"70005\"",
            "<S t=\"70005\" d=\"10000\" />",
            "<S t=\"80005\" d=\"10000\" />",
            "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-head:2014\" value=\"audio-init-1.mp4\" />",
            "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:direct:2014\" value=\"2026-11-22T19:27:21.041Z\" />\n</MPD>",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn players_stay_inside_of_a_small_window() {
        assert_eq!([1, 2, 3, 4, 5, 60].map(behind), [1, 1, 1, 2, 3, 3]);
    }
}
