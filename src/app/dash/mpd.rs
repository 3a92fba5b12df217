//! The manifest (ISO/IEC 23009-1, live profile), as text.

use std::fmt::Write as _;

use crate::kernel::mp4::{Shape, TrackConfig};

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
    /// Sound and pictures.
    pub tracks: &'a [Track<'a>],
}

impl Manifest<'_> {
    /// The manifest's text.
    pub fn to_text(&self) -> String {
        let last = self.tracks.iter().filter_map(|track| track.segments.last());
        let last_ms = last.map(|segment| segment.duration_ms).max().unwrap_or(0);
        let kept = i64::try_from(self.window).unwrap_or(i64::MAX);
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<MPD profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" \
             xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"dynamic\" minimumUpdatePeriod=\"{}\" \
             timeShiftBufferDepth=\"{}\" availabilityStartTime=\"{}\" publishTime=\"{}\" minBufferTime=\"{}\">\n    \
             <BaseURL>{}</BaseURL>\n    <Period id=\"{}\" start=\"{}\">\n",
            duration(self.update_ms),
            duration(last_ms.saturating_mul(kept)),
            moment(self.start_unix_ms),
            moment(self.now_unix_ms),
            duration(last_ms * 2),
            escape(self.base),
            self.period,
            duration(self.period_begin_ms),
        );
        for track in self.tracks {
            self.put_track(track, &mut text);
        }
        text.push_str("    </Period>\n</MPD>\n");
        text
    }

    fn put_track(&self, track: &Track<'_>, text: &mut String) {
        let config = track.config;
        let (kind, shape) = match config.shape {
            Shape::Video { width, height } => ("video", format!("width=\"{width}\" height=\"{height}\"")),
            Shape::Audio { sample_rate, .. } => ("audio", format!("audioSamplingRate=\"{sample_rate}\"")),
        };
        let first = track.segments.first().map_or(0, |segment| segment.number);
        // Writing into a String cannot fail, here and below.
        let _ = write!(
            text,
            "        <AdaptationSet mimeType=\"{kind}/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\">\n            \
             <Representation id=\"{kind}\" bandwidth=\"{}\" codecs=\"{}\" {shape}>\n                \
             <SegmentTemplate initialization=\"{}\" media=\"$RepresentationID$-$Number$.m4s\" \
             startNumber=\"{first}\" timescale=\"1000\" presentationTimeOffset=\"{}\">\n                    \
             <SegmentTimeline>\n",
            bandwidth(&track.segments),
            escape(&config.codec_string),
            init_name("$RepresentationID$", self.period),
            self.period_begin_ms,
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

/// Bits a second, of what is listed.
fn bandwidth(segments: &[&Segment]) -> u64 {
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let millis: i64 = segments.iter().map(|segment| segment.duration_ms).sum();
    let millis = u64::try_from(millis).unwrap_or(0).max(1);
    (bytes.saturating_mul(8000) / millis).max(1)
}

fn duration(ms: i64) -> String {
    format!("PT{}.{:03}S", ms.div_euclid(1000), ms.rem_euclid(1000))
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
            tracks: &tracks,
        };
        let text = manifest.to_text();
        for part in [
            "type=\"dynamic\" minimumUpdatePeriod=\"PT5.000S\" timeShiftBufferDepth=\"PT50.000S\"",
            "availabilityStartTime=\"2026-11-22T19:25:41.041Z\"",
            "minBufferTime=\"PT20.000S\"",
            "<BaseURL>a&amp;b/</BaseURL>",
            "<Period id=\"1\" start=\"PT70.005S\">",
            "<Representation id=\"audio\" bandwidth=\"64000\" codecs=\"mp4a.40.2\" audioSamplingRate=\"44100\">",
            "initialization=\"$RepresentationID$-init-1.mp4\" media=\"$RepresentationID$-$Number$.m4s\" startNumber=\"7\"",
            "timescale=\"1000\" presentationTimeOffset=\"70005\"",
            "<S t=\"70005\" d=\"10000\" />",
            "<S t=\"80005\" d=\"10000\" />",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
