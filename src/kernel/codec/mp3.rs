//! MPEG audio: frame headers of versions 1, 2 and 2.5 (ISO/IEC 11172-3 2.4.1.3, ISO/IEC 13818-3 2.4.1.3).

use super::{AudioCodec, AudioConfig};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// Bytes of a frame header.
pub const HEADER_BYTES: usize = 4;

/// Bit rates, kbit/s, by bitrate_index from 1 on.
const RATES_V1_LAYER1: [u16; 14] = [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448];
const RATES_V1_LAYER2: [u16; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
const RATES_V1_LAYER3: [u16; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const RATES_V2_LAYER1: [u16; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
const RATES_V2_LAYERS23: [u16; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// Which specification a frame follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MPEG-1: 32 to 48 kHz.
    One,
    /// MPEG-2: half the rates.
    Two,
    /// The unofficial extension: a quarter of the rates.
    TwoPointFive,
}

/// The header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Which specification the frame follows.
    pub version: Version,
    /// Layer, 1 to 3.
    pub layer: u8,
    /// Bits a second.
    pub bit_rate: u32,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels, 1 or 2.
    pub channels: u8,
    /// Bytes of the whole frame with its header.
    pub frame_bytes: usize,
    /// Samples a channel.
    pub samples: u32,
}

impl FrameHeader {
    /// Reads the header at the start of `frame`. The free format, whose length is not told, counts as a fault. Fails
    /// with [`ErrorCode::Mp3StreamDecode`].
    pub fn parse(frame: &[u8]) -> Result<Self> {
        match frame.first_chunk::<HEADER_BYTES>() {
            Some(header) => read(header).ok_or_else(|| {
                Error::new(
                    ErrorCode::Mp3StreamDecode,
                    format!("{header:02x?} is no MPEG audio frame header"),
                )
            }),
            None => Err(Error::new(
                ErrorCode::Mp3StreamDecode,
                format!("MPEG audio frame of {} bytes is shorter than its header", frame.len()),
            )),
        }
    }

    /// Samples a channel in all frames of a message that starts with this header; what follows the first frame and is
    /// none does not count.
    pub fn samples_of_message(&self, message: &[u8]) -> u32 {
        let mut samples = self.samples;
        let mut rest = message.get(self.frame_bytes..).unwrap_or_default();
        while let Some((frame, tail)) = next_frame(rest) {
            samples = samples.saturating_add(frame.samples);
            rest = tail;
        }
        samples
    }

    /// What the header says.
    pub fn audio_config(&self) -> AudioConfig {
        AudioConfig {
            codec: AudioCodec::Mp3,
            sample_rate: self.sample_rate,
            channels: self.channels,
            profile: "Other",
        }
    }
}

fn next_frame(bytes: &[u8]) -> Option<(FrameHeader, &[u8])> {
    let frame = read(bytes.first_chunk()?)?;
    Some((frame, bytes.get(frame.frame_bytes..)?))
}

fn read(header: &[u8; HEADER_BYTES]) -> Option<FrameHeader> {
    let [sync, versions, rates, modes] = *header;
    if sync != 0xff || versions & 0xe0 != 0xe0 {
        return None;
    }
    let version = match versions >> 3 & 3 {
        0 => Version::TwoPointFive,
        2 => Version::Two,
        3 => Version::One,
        _ => return None,
    };
    let layer = match versions >> 1 & 3 {
        0 => return None,
        bits => 4 - bits,
    };
    let sample_rate = match (rates >> 2 & 3, version) {
        (3, _) => return None,
        (index, Version::One) => [44_100, 48_000, 32_000][usize::from(index)],
        (index, Version::Two) => [22_050, 24_000, 16_000][usize::from(index)],
        (index, Version::TwoPointFive) => [11_025, 12_000, 8_000][usize::from(index)],
    };
    let table = match (version, layer) {
        (Version::One, 1) => &RATES_V1_LAYER1,
        (Version::One, 2) => &RATES_V1_LAYER2,
        (Version::One, _) => &RATES_V1_LAYER3,
        (_, 1) => &RATES_V2_LAYER1,
        (_, _) => &RATES_V2_LAYERS23,
    };
    // Index 0 is the free format, 15 is forbidden.
    let index = usize::from(rates >> 4).checked_sub(1)?;
    let bit_rate = u32::from(*table.get(index)?) * 1000;
    let padding = u32::from(rates >> 1 & 1);
    let samples = match (layer, version) {
        (1, _) => 384,
        (3, Version::Two | Version::TwoPointFive) => 576,
        _ => 1152,
    };
    let frame_bytes = if layer == 1 {
        (12 * bit_rate / sample_rate + padding) * 4
    } else {
        samples / 8 * bit_rate / sample_rate + padding
    };
    Some(FrameHeader {
        version,
        layer,
        bit_rate,
        sample_rate,
        channels: if modes >> 6 == 3 { 1 } else { 2 },
        frame_bytes: frame_bytes as usize,
        samples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_lame_are_understood() {
        // 44.1 kHz stereo at 128 kbit/s: 417 bytes, by the frames of the file.
        let header = FrameHeader::parse(&[0xff, 0xfb, 0x90, 0x64, 0x00]).unwrap();
        assert_eq!(
            (header.version, header.layer, header.bit_rate),
            (Version::One, 3, 128_000)
        );
        assert_eq!((header.sample_rate, header.channels), (44_100, 2));
        assert_eq!((header.frame_bytes, header.samples), (417, 1152));
        let padded = FrameHeader::parse(&[0xff, 0xfb, 0x92, 0x64]).unwrap();
        assert_eq!(padded.frame_bytes, 418);
        let half = FrameHeader::parse(&[0xff, 0xf3, 0x40, 0xc4]).unwrap();
        assert_eq!(
            (half.version, half.sample_rate, half.channels),
            (Version::Two, 22_050, 1)
        );
        assert_eq!((half.bit_rate, half.frame_bytes, half.samples), (32_000, 104, 576));
        let quarter = FrameHeader::parse(&[0xff, 0xe3, 0x20, 0xc4]).unwrap();
        assert_eq!((quarter.version, quarter.sample_rate), (Version::TwoPointFive, 11_025));
        assert_eq!((quarter.bit_rate, quarter.frame_bytes), (16_000, 104));
    }

    #[test]
    fn layers_one_and_two_have_other_lengths() {
        let two = FrameHeader::parse(&[0xff, 0xfd, 0xa4, 0x00]).unwrap();
        assert_eq!(
            (two.layer, two.bit_rate, two.sample_rate, two.frame_bytes),
            (2, 192_000, 48_000, 576)
        );
        let one = FrameHeader::parse(&[0xff, 0xff, 0xc4, 0x00]).unwrap();
        assert_eq!(
            (one.layer, one.bit_rate, one.frame_bytes, one.samples),
            (1, 384_000, 384, 384)
        );
    }

    #[test]
    fn reserved_values_are_refused() {
        for header in [
            [0xff, 0xdb, 0x90, 0x64],
            [0xff, 0xeb, 0x90, 0x64],
            [0xff, 0xf9, 0x90, 0x64],
            [0xff, 0xfb, 0x00, 0x64],
            [0xff, 0xfb, 0xf0, 0x64],
            [0xff, 0xfb, 0x9c, 0x64],
        ] {
            assert_eq!(
                FrameHeader::parse(&header).unwrap_err().code(),
                ErrorCode::Mp3StreamDecode
            );
        }
        assert!(FrameHeader::parse(&[0xff, 0xfb, 0x90]).is_err());
        let mut random = fastrand::Rng::with_seed(12);
        for _ in 0..5000 {
            let header = [0xff, random.u8(..), random.u8(..), random.u8(..)];
            if let Ok(header) = FrameHeader::parse(&header) {
                assert!((HEADER_BYTES + 1..4096).contains(&header.frame_bytes) && header.sample_rate >= 8000);
            }
        }
    }
}
