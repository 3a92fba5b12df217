//! What a publisher's pictures and sound are, from its sequence headers, with the log lines that tell it.

use crate::kernel::codec::mp3;
use crate::kernel::codec::{AudioCodec, Codec, VideoCodec};
pub use crate::kernel::codec::{AudioConfig as AudioInfo, VideoConfig as VideoInfo};
use crate::kernel::error::{Error, Result};
use crate::kernel::flv::audio::{AudioTag, SoundFlags};
use crate::kernel::flv::video::VideoTag;
use crate::kernel::frame::Frame;

/// What profile and level are called that nothing tells.
const UNKNOWN: &str = "Other";

/// Reads the headers of one publication.
pub(super) struct MediaReader {
    /// Whether configurations are read, or only which codec they are of.
    parse_config: bool,
    video_known: bool,
    audio_known: bool,
    warned: bool,
}

impl MediaReader {
    pub(super) fn new(parse_config: bool) -> Self {
        MediaReader {
            parse_config,
            video_known: false,
            audio_known: false,
            warned: false,
        }
    }

    /// Whether configurations are read from the next one on.
    pub(super) fn set_parse_config(&mut self, parse_config: bool) {
        self.parse_config = parse_config;
    }

    /// What the message tells of the pictures; `None` for most messages.
    #[inline]
    pub(super) fn see_video(&mut self, frame: &Frame) -> Option<VideoInfo> {
        if frame.facts.sequence_header || !self.video_known {
            self.read_video(frame)
        } else {
            None
        }
    }

    /// What the message tells of the sound; `None` for most messages.
    #[inline]
    pub(super) fn see_audio(&mut self, frame: &Frame) -> Option<AudioInfo> {
        if frame.facts.sequence_header || !self.audio_known {
            self.read_audio(frame)
        } else {
            None
        }
    }

    fn read_video(&mut self, frame: &Frame) -> Option<VideoInfo> {
        let Some(Codec::Video(codec)) = frame.facts.codec else {
            return None;
        };
        if !frame.facts.sequence_header && (!frame.facts.coded || has_header(Codec::Video(codec))) {
            return None;
        }
        // The first track stands for the stream.
        if self.video_known && frame.facts.track != 0 {
            return None;
        }
        self.video_known = true;
        let parsed = match frame.facts.sequence_header && self.parse_config {
            true => VideoTag::parse(&frame.payload).and_then(|tag| VideoInfo::parse(codec, tag.payload)),
            false => Ok(bare_video(codec)),
        };
        let info = parsed.unwrap_or_else(|error| {
            self.warn("video", &error);
            bare_video(codec)
        });
        log::info!("{}", video_line(frame.payload.len(), &info));
        Some(info)
    }

    fn read_audio(&mut self, frame: &Frame) -> Option<AudioInfo> {
        let Some(Codec::Audio(codec)) = frame.facts.codec else {
            return None;
        };
        if !frame.facts.sequence_header && (!frame.facts.coded || has_header(Codec::Audio(codec))) {
            return None;
        }
        if self.audio_known && frame.facts.track != 0 {
            return None;
        }
        self.audio_known = true;
        let tag = match AudioTag::parse(&frame.payload) {
            Ok(tag) => tag,
            Err(error) => {
                self.warn("audio", &error);
                return None;
            }
        };
        let info = audio_info(codec, &tag).unwrap_or_else(|error| {
            self.warn("audio", &error);
            bare_audio(codec, tag.flags)
        });
        log::info!("{}", audio_line(frame.payload.len(), &info, tag.flags));
        Some(info)
    }

    /// One warning is enough: a publisher repeats its headers.
    fn warn(&mut self, what: &str, error: &Error) {
        if !self.warned {
            self.warned = true;
            log::warn!(
                "{what} header of the publisher cannot be read and is passed on as it is, {}",
                error.summary()
            );
        }
    }
}

/// Whether frames of this codec need a sequence header before them.
fn has_header(codec: Codec) -> bool {
    match codec {
        Codec::Video(codec) => matches!(
            codec,
            VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Vvc | VideoCodec::Av1 | VideoCodec::Vp9
        ),
        Codec::Audio(codec) => matches!(codec, AudioCodec::Aac | AudioCodec::Opus | AudioCodec::Flac),
    }
}

fn audio_info(codec: AudioCodec, tag: &AudioTag<'_>) -> Result<AudioInfo> {
    match codec {
        _ if tag.is_sequence_header() && has_header(Codec::Audio(codec)) => AudioInfo::parse(codec, tag.payload),
        AudioCodec::Mp3 if !tag.is_sequence_header() => {
            let header = mp3::FrameHeader::parse(tag.payload)?;
            Ok(AudioInfo {
                sample_rate: header.sample_rate,
                channels: header.channels,
                ..bare_audio(codec, tag.flags)
            })
        }
        _ => Ok(bare_audio(codec, tag.flags)),
    }
}

fn bare_video(codec: VideoCodec) -> VideoInfo {
    VideoInfo {
        codec,
        width: 0,
        height: 0,
        profile: UNKNOWN,
        level: UNKNOWN,
        frame_rate: None,
    }
}

fn bare_audio(codec: AudioCodec, flags: Option<SoundFlags>) -> AudioInfo {
    AudioInfo {
        codec,
        sample_rate: flags.map_or(0, |flags| flags.sample_rate),
        channels: flags.map_or(0, |flags| flags.channels),
        profile: UNKNOWN,
    }
}

/// The line that users of SRS look for; the bit rate and the duration are not in a header, so they are 0.
fn video_line(bytes: usize, info: &VideoInfo) -> String {
    format!(
        "{bytes}B video sh, codec({}, profile={}, level={}, {}x{}, 0kbps, {:.1}fps, 0.0s)",
        video_number(info.codec),
        info.profile,
        info.level,
        info.width,
        info.height,
        info.frame_rate.unwrap_or(0.0),
    )
}

/// See [`video_line`]. Enhanced messages have no flags, which are all 0 then.
fn audio_line(bytes: usize, info: &AudioInfo, flags: Option<SoundFlags>) -> String {
    let (bits, channels, rate) = flags.map_or((0, 0, 0), |flags| {
        (flags.sample_bits, flags.channels, flags.sample_rate)
    });
    format!(
        "{bytes}B audio sh, codec({}, profile={}, {}channels, 0kbps, {}HZ), flv({bits}bits, {channels}channels, {rate}HZ)",
        audio_number(info.codec),
        info.profile,
        info.channels,
        info.sample_rate,
    )
}

/// The number that the codec has in FLV, by the specification or by custom; 0 for those that only have a FourCC.
fn video_number(codec: VideoCodec) -> u8 {
    match codec {
        VideoCodec::H263 => 2,
        VideoCodec::Screen => 3,
        VideoCodec::Vp6 => 4,
        VideoCodec::H264 => 7,
        VideoCodec::Hevc => 12,
        VideoCodec::Av1 => 13,
        _ => 0,
    }
}

/// See [`video_number`].
fn audio_number(codec: AudioCodec) -> u8 {
    match codec {
        AudioCodec::Mp3 => 2,
        AudioCodec::Nellymoser => 6,
        AudioCodec::G711A => 7,
        AudioCodec::G711U => 8,
        AudioCodec::Aac => 10,
        AudioCodec::Speex => 11,
        AudioCodec::Opus => 13,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::kernel::frame::Kind;

    /// A sequence header of FFmpeg's libx264: 1280x720, 25 pictures a second.
    const AVC: &[u8] = b"\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xff\xe1\x00\x1a\x67\x64\x00\x1f\xac\xd9\x40\x50\x05\xbb\
                         \x01\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03\x20\xf1\x83\x19\x60\x01\x00\x06\x68\xeb\xe3\xcb\
                         \x22\xc0\xfd\xf8\xf8\x00";

    fn video(payload: &'static [u8]) -> Frame {
        Frame::new(Kind::Video, 0, Bytes::from_static(payload))
    }

    fn audio(payload: &'static [u8]) -> Frame {
        Frame::new(Kind::Audio, 0, Bytes::from_static(payload))
    }

    #[test]
    fn headers_tell_codec_and_size() {
        let mut reader = MediaReader::new(true);
        assert_eq!(
            reader.see_video(&video(b"\x27\x01\x00\x00\x00\x00\x00\x00\x01\x41")),
            None
        );
        let info = reader.see_video(&video(AVC)).unwrap();
        assert_eq!((info.codec, info.width, info.height), (VideoCodec::H264, 1280, 720));
        assert_eq!(
            video_line(AVC.len(), &info),
            "52B video sh, codec(7, profile=High, level=3.1, 1280x720, 0kbps, 25.0fps, 0.0s)"
        );
        let header = audio(b"\xaf\x00\x12\x10");
        let info = reader.see_audio(&header).unwrap();
        let flags = AudioTag::parse(&header.payload).unwrap().flags;
        assert_eq!(
            audio_line(4, &info, flags),
            "4B audio sh, codec(10, profile=LC, 2channels, 0kbps, 44100HZ), flv(16bits, 2channels, 44100HZ)"
        );
        assert!(reader.see_audio(&header).is_some(), "a header in the middle counts");
        assert_eq!(reader.see_audio(&audio(b"\xaf\x01\x21")), None);
    }

    #[test]
    fn without_reading_only_the_codec_is_known() {
        let info = MediaReader::new(false).see_video(&video(AVC)).unwrap();
        assert_eq!((info.codec, info.width, info.profile), (VideoCodec::H264, 0, "Other"));
    }

    #[test]
    fn every_prefix_of_a_header_is_taken() {
        for end in 0..AVC.len() {
            let mut reader = MediaReader::new(true);
            let first = reader.see_video(&video(&AVC[..end]));
            assert_eq!(first.is_some(), reader.video_known, "{end}");
            assert!(!reader.warned || first.is_some_and(|info| info.width == 0), "{end}");
        }
        let mut reader = MediaReader::new(true);
        assert!(reader.see_audio(&audio(b"\xaf\x00")).is_some() && reader.warned);
    }

    #[test]
    fn sound_without_headers_is_known_from_its_first_frame() {
        let mut reader = MediaReader::new(true);
        // MPEG-1 layer III, 48 kHz, one channel; the flags of FLV have no 48 kHz.
        let info = reader
            .see_audio(&audio(b"\x2e\xff\xfb\x94\xc4\x00\x00\x00\x00"))
            .unwrap();
        assert_eq!(
            (info.codec, info.sample_rate, info.channels),
            (AudioCodec::Mp3, 48_000, 1)
        );
        assert_eq!(reader.see_audio(&audio(b"\x2e\xff\xfb\x94\xc4\x00\x00\x00\x00")), None);
        let speex = MediaReader::new(true).see_audio(&audio(b"\xb6\x00\x00")).unwrap();
        assert_eq!((speex.codec.name(), speex.profile), ("Other", "Other"));
    }
}
