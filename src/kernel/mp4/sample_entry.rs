//! Sample entries: how a track is coded (ISO/IEC 14496-12, 8.5.2 and 12; 14496-15; the bindings of AV1, VP9, Opus, FLAC).

use bytes::Bytes;

use super::boxes::{put_box, put_full_box};
use crate::kernel::buf::Put;
use crate::kernel::codec::Codec;

/// What a player must know of a track before its first sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackConfig {
    /// How it is coded.
    pub codec: Codec,
    /// The codec's name for playlists, manifests and browsers, see [`super::codec_string`].
    pub codec_string: String,
    /// Ticks a second; never 0.
    pub timescale: u32,
    /// Ticks that a sample lasts if nothing else is told; 0 where that differs.
    pub default_duration: u32,
    /// Pictures or sound.
    pub shape: Shape,
    /// The sample entry's type.
    pub entry: &'static [u8; 4],
    /// The type of the box in it that configures the decoder.
    pub config_box: &'static [u8; 4],
    /// That box's contents.
    pub config: Bytes,
}

/// What pictures or sound look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Pictures.
    Video {
        /// Pixels.
        width: u16,
        /// Pixels.
        height: u16,
    },
    /// Sound.
    Audio {
        /// Channels, at least 1.
        channels: u16,
        /// Samples a second, as played.
        sample_rate: u32,
    },
}

impl TrackConfig {
    /// The number of the track in all files and fragments.
    pub fn track_id(&self) -> u32 {
        match self.shape {
            Shape::Video { .. } => super::movie::VIDEO_TRACK,
            Shape::Audio { .. } => super::movie::AUDIO_TRACK,
        }
    }

    /// Whether it is of pictures.
    pub fn is_video(&self) -> bool {
        matches!(self.shape, Shape::Video { .. })
    }

    /// Appends the sample description box with the one entry.
    pub fn put_sample_description(&self, out: &mut Vec<u8>) {
        put_full_box(out, b"stsd", 0, 0, |out| {
            out.put_u32(1);
            put_box(out, self.entry, |out| {
                out.put_slice(&[0; 6]);
                // data_reference_index: the one of dref, which means this file.
                out.put_u16(1);
                match self.shape {
                    Shape::Video { width, height } => put_visual(out, width, height),
                    Shape::Audio { channels, sample_rate } => put_audio(out, channels, sample_rate),
                }
                put_box(out, self.config_box, |out| out.put_slice(&self.config));
            });
        });
    }
}

/// The fields of a VisualSampleEntry.
fn put_visual(out: &mut Vec<u8>, width: u16, height: u16) {
    out.put_slice(&[0; 16]);
    out.put_u16(width);
    out.put_u16(height);
    // 72 dots an inch both ways.
    out.put_u32(0x0048_0000);
    out.put_u32(0x0048_0000);
    out.put_u32(0);
    // frame_count, an empty compressorname, depth 24, pre_defined.
    out.put_u16(1);
    out.put_slice(&[0; 32]);
    out.put_u16(24);
    out.put_u16(0xffff);
}

/// The fields of an AudioSampleEntry. A rate above 16 bits cannot be told here; the decoder's configuration has it.
fn put_audio(out: &mut Vec<u8>, channels: u16, sample_rate: u32) {
    out.put_slice(&[0; 8]);
    out.put_u16(channels);
    // samplesize, pre_defined, reserved.
    out.put_u16(16);
    out.put_u32(0);
    out.put_u16(u16::try_from(sample_rate).unwrap_or_default());
    out.put_u16(0);
}
