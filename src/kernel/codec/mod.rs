//! Codec configurations and frames: what a sequence header says, pure functions of bytes.

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
