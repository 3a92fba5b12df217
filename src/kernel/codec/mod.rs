//! Codec configurations and frames: what a sequence header says, pure functions of bytes.

pub mod aac;
pub mod av1;
pub mod avc;
pub mod flac;
pub mod hevc;
pub mod mp3;
pub mod nal;
pub mod opus;
mod sps;
pub mod vp8;
pub mod vp9;

use super::error::{Error, Result};
use super::error_code::ErrorCode;

/// How pictures are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// Sorenson's variant of H.263, of early Flash.
    H263,
    /// Screen video, both versions.
    Screen,
    /// On2 VP6, with and without alpha.
    Vp6,
    /// AVC, ITU-T H.264.
    H264,
    /// HEVC, ITU-T H.265.
    Hevc,
    /// VVC, ITU-T H.266.
    Vvc,
    /// AOMedia Video 1.
    Av1,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// Well-formed messages of a codec without a name here; they are passed on as they are.
    Other,
}

impl VideoCodec {
    /// The codec's name in the HTTP API; SRS shows the oldest ones as `Other`.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Hevc => "HEVC",
            Self::Vvc => "VVC",
            Self::Av1 => "AV1",
            Self::Vp6 => "VP6",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H263 | Self::Screen | Self::Other => "Other",
        }
    }
}

/// How sound is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// Advanced Audio Coding, ISO/IEC 14496-3.
    Aac,
    /// MPEG audio layer III.
    Mp3,
    /// Opus, RFC 6716.
    Opus,
    /// Free Lossless Audio Codec.
    Flac,
    /// Dolby Digital.
    Ac3,
    /// Dolby Digital Plus.
    Eac3,
    /// Speex.
    Speex,
    /// G.711 A-law.
    G711A,
    /// G.711 mu-law.
    G711U,
    /// Uncompressed samples, and their ADPCM form.
    Pcm,
    /// Nellymoser Asao.
    Nellymoser,
    /// Well-formed messages of a codec without a name here; they are passed on as they are.
    Other,
}

impl AudioCodec {
    /// The codec's name in the HTTP API; SRS shows the oldest ones as `Other`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aac => "AAC",
            Self::Mp3 => "MP3",
            Self::Opus => "Opus",
            Self::Flac => "FLAC",
            Self::Ac3 => "AC3",
            Self::Eac3 => "EAC3",
            Self::Speex | Self::G711A | Self::G711U | Self::Pcm | Self::Nellymoser | Self::Other => "Other",
        }
    }
}

/// A codec of either sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Of a video message.
    Video(VideoCodec),
    /// Of an audio message.
    Audio(AudioCodec),
}

impl Codec {
    /// The codec's name in the HTTP API.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Video(codec) => codec.name(),
            Codec::Audio(codec) => codec.name(),
        }
    }
}

/// What a video sequence header says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoConfig {
    /// How pictures are coded.
    pub codec: VideoCodec,
    /// Pixels, after cropping; 0 if the header does not tell.
    pub width: u32,
    /// Pixels, after cropping; 0 if the header does not tell.
    pub height: u32,
    /// The profile's name as the HTTP API shows it, such as `Main`.
    pub profile: &'static str,
    /// The level as the HTTP API shows it, such as `3.1`.
    pub level: &'static str,
    /// Pictures a second; none if the header does not tell.
    pub frame_rate: Option<f64>,
}

impl VideoConfig {
    /// Reads the payload of a video sequence header. Fails with [`ErrorCode::HlsDecode`], also for codecs that have
    /// none, such as VP8 and VP6, or with the code of the codec's parser.
    pub fn parse(codec: VideoCodec, payload: &[u8]) -> Result<Self> {
        match codec {
            VideoCodec::H264 => avc::DecoderConfig::parse(payload)?.video_config(),
            VideoCodec::Hevc => hevc::DecoderConfig::parse(payload)?.video_config(),
            VideoCodec::Av1 => av1::DecoderConfig::parse(payload)?.video_config(),
            VideoCodec::Vp9 => Ok(vp9::DecoderConfig::parse(payload)?.video_config()),
            _ => Err(Error::new(
                ErrorCode::HlsDecode,
                format!("video codec {codec:?} has no sequence header that is understood"),
            )),
        }
    }
}

/// What an audio sequence header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioConfig {
    /// How sound is coded.
    pub codec: AudioCodec,
    /// Samples a second, as played.
    pub sample_rate: u32,
    /// Channels; 0 if only the frames tell.
    pub channels: u8,
    /// The name of the AAC object type as the HTTP API shows it, such as `LC`; `Other` for other codecs.
    pub profile: &'static str,
}

impl AudioConfig {
    /// Reads the payload of an audio sequence header. Fails with [`ErrorCode::HlsDecode`], also for codecs that tell
    /// everything in their frames, such as MP3 and AC-3: see [`mp3::FrameHeader`].
    pub fn parse(codec: AudioCodec, payload: &[u8]) -> Result<Self> {
        match codec {
            AudioCodec::Aac => Ok(aac::AudioSpecificConfig::parse(payload)?.audio_config()),
            AudioCodec::Flac => Ok(flac::StreamInfo::parse(payload)?.audio_config()),
            AudioCodec::Opus => Ok(opus::OpusHead::parse(payload)?.audio_config()),
            _ => Err(Error::new(
                ErrorCode::HlsDecode,
                format!("audio codec {codec:?} has no sequence header that is understood"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_codec_finds_its_parser() {
        let opus = opus::OpusHead::new(2).write();
        assert_eq!(AudioConfig::parse(AudioCodec::Opus, &opus).unwrap().channels, 2);
        let aac = AudioConfig::parse(AudioCodec::Aac, &[0x12, 0x10]).unwrap();
        assert_eq!((aac.codec, aac.sample_rate), (AudioCodec::Aac, 44_100));
        assert!(AudioConfig::parse(AudioCodec::Ac3, &[]).is_err());
        let vp9 = VideoConfig::parse(VideoCodec::Vp9, &[0, 31, 0x82, 2, 2, 2, 0, 0]).unwrap();
        assert_eq!((vp9.codec, vp9.level), (VideoCodec::Vp9, "3.1"));
        for codec in [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1, VideoCodec::Vp8] {
            assert!(VideoConfig::parse(codec, &[]).is_err());
        }
    }

    #[test]
    fn names_are_those_of_the_api() {
        assert_eq!(Codec::Video(VideoCodec::H264).name(), "H264");
        assert_eq!(Codec::Audio(AudioCodec::Opus).name(), "Opus");
        assert_eq!(Codec::Audio(AudioCodec::Speex).name(), "Other");
    }
}
