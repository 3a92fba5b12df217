//! The multivariant playlist (RFC 8216 section 4.3.4): streams that are one thing in several qualities.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::app::config::section::hls::Hls;
use crate::app::recording::template;
use crate::kernel::codec::{AudioCodec, Codec};
use crate::kernel::flv::{audio, video};
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::mp4::audio::AudioFormat;
use crate::kernel::mp4::video::VideoFormat;
use crate::kernel::mp4::{Shape, TrackConfig};
use crate::protocol::rtmp::url::StreamUrl;

/// What players choose by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    video: Option<TrackConfig>,
    audio: Option<TrackConfig>,
}

impl Description {
    /// Learns from a message how its track is coded.
    pub fn see(&mut self, frame: &Frame) {
        match (frame.kind, frame.facts.codec) {
            (Kind::Video, Some(Codec::Video(codec))) if frame.facts.sequence_header => {
                let tag = video::first_track(&frame.payload);
                let format = tag
                    .ok()
                    .and_then(|tag| VideoFormat::parse(codec, tag.payload).ok().flatten());
                self.video = format
                    .and_then(|format| format.config().cloned())
                    .or_else(|| self.video.take());
            }
            (Kind::Audio, Some(Codec::Audio(codec))) if frame.facts.sequence_header || self.is_new(codec) => {
                let tag = audio::first_track(&frame.payload);
                let read = match frame.facts.sequence_header {
                    true => AudioFormat::parse,
                    false => AudioFormat::of_message,
                };
                let format = tag.ok().and_then(|tag| read(codec, tag.payload).ok().flatten());
                self.audio = format
                    .map(|format| format.config().clone())
                    .or_else(|| self.audio.take());
            }
            _ => {}
        }
    }

    /// MP3 has no sequence header.
    fn is_new(&self, codec: AudioCodec) -> bool {
        codec == AudioCodec::Mp3
            && self
                .audio
                .as_ref()
                .is_none_or(|known| known.codec != Codec::Audio(codec))
    }
}

impl Description {
    /// The codecs, as `CODECS` names them.
    pub fn codecs(&self) -> String {
        let tracks = self.video.iter().chain(&self.audio);
        let names: Vec<&str> = tracks.map(|track| &*track.codec_string).collect();
        names.join(",")
    }

    /// Width and height of the picture, pixels.
    pub fn resolution(&self) -> Option<(u16, u16)> {
        match self.video.as_ref()?.shape {
            Shape::Video { width, height } => Some((width, height)),
            _ => None,
        }
    }
}

/// One quality, as workers also tell each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its playlist, below `hls_path`.
    pub name: String,
    /// The most bits a second of a segment, and all of them together.
    pub peak: u64,
    /// See `peak`.
    pub average: u64,
    /// See [`Description::codecs`].
    pub codecs: String,
    /// See [`Description::resolution`].
    pub resolution: Option<(u16, u16)>,
}

/// The playlist of these variants in a folder below `hls_path`; the first one is what players begin with.
pub fn playlist(folder: &str, variants: &[Variant]) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:6\n");
    for variant in variants {
        // Writing into a String cannot fail, here and below.
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}",
            variant.peak.max(1),
            variant.average.max(1)
        );
        if !variant.codecs.is_empty() {
            let _ = write!(text, ",CODECS=\"{}\"", variant.codecs);
        }
        if let Some((width, height)) = variant.resolution {
            let _ = write!(text, ",RESOLUTION={width}x{height}");
        }
        let _ = writeln!(text, "\n{}", template::relative(folder, &variant.name));
    }
    text
}

/// The streams that are shown together with this one, the plain one first; none where the settings join none.
pub fn group(settings: &Hls, url: &StreamUrl) -> Vec<StreamUrl> {
    if settings.variants.is_empty() {
        return Vec::new();
    }
    let base = settings
        .variants
        .iter()
        .filter_map(|suffix| url.stream.strip_suffix(suffix.as_str()))
        .find(|base| !base.is_empty())
        .unwrap_or(&url.stream);
    let named = |suffix: &str| StreamUrl {
        stream: format!("{base}{suffix}"),
        ..url.clone()
    };
    let suffixes = settings.variants.iter().map(String::as_str);
    std::iter::once("").chain(suffixes).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_tells_what_players_choose_by() {
        let description = Description {
            video: Some(TrackConfig {
                codec: Codec::Audio(AudioCodec::Aac),
                codec_string: "avc1.64001f".into(),
                timescale: 90_000,
                default_duration: 0,
                shape: Shape::Video {
                    width: 1280,
                    height: 720,
                },
                entry: b"avc1",
                config_box: b"avcC",
                config: bytes::Bytes::new(),
            }),
            audio: None,
        };
        let variant = |name: &str, peak| Variant {
            name: name.into(),
            peak,
            average: peak / 2,
            codecs: description.codecs(),
            resolution: description.resolution(),
        };
        let expected = "#EXTM3U\n#EXT-X-VERSION:6\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2000000,AVERAGE-BANDWIDTH=1000000,CODECS=\"avc1.64001f\",RESOLUTION=1280x720\n\
            s.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1000,AVERAGE-BANDWIDTH=500,CODECS=\"avc1.64001f\",RESOLUTION=1280x720\n../ld/s.m3u8\n";
        let variants = [variant("live/s.m3u8", 2_000_000), variant("ld/s.m3u8", 1000)];
        assert_eq!(playlist("live", &variants), expected);
        // Another worker's arrives as it was sent.
        let sent = serde_json::to_string(&variants[0]).unwrap();
        assert_eq!(serde_json::from_str::<Variant>(&sent).unwrap(), variants[0]);
    }
}
