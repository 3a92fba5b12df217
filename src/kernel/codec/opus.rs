//! Opus: the identification header (RFC 7845, 5.1), which is the payload of an Opus sequence header, and how long a
//! packet is (RFC 6716, 3.1).

use bytes::Bytes;

use super::{AudioCodec, AudioConfig};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// Opus always decodes to this rate, Hz.
pub const SAMPLE_RATE: u32 = 48_000;

/// OpusHead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// Output channels, 1 to 255.
    pub channels: u8,
    /// Samples at 48 kHz to drop at the start.
    pub pre_skip: u16,
    /// The rate before encoding, Hz; 0 if not told. No playback rate.
    pub input_sample_rate: u32,
    /// Output gain, 1/256 dB.
    pub gain: i16,
    /// How streams make channels.
    pub mapping: Mapping,
}

/// How Opus streams make channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Family 0: one stream, mono or stereo.
    Single,
    /// Another family, with its table.
    Table {
        /// The mapping family.
        family: u8,
        /// How many streams a packet holds.
        streams: u8,
        /// How many of them are stereo.
        coupled: u8,
        /// For each channel the decoded one that it takes, 255 for silence.
        channels: Bytes,
    },
}

impl OpusHead {
    /// Reads the header. Fails with [`ErrorCode::HlsDecode`].
    pub fn parse(header: &[u8]) -> Result<Self> {
        let fault = |what: String| Err(Error::new(ErrorCode::HlsDecode, what));
        let Some((fixed, table)) = header.split_first_chunk::<19>() else {
            return fault(format!("OpusHead of {} bytes, 19 are needed", header.len()));
        };
        let [
            b'O',
            b'p',
            b'u',
            b's',
            b'H',
            b'e',
            b'a',
            b'd',
            version,
            channels,
            rest @ ..,
        ] = *fixed
        else {
            return fault(format!("OpusHead starts with {:02x?}", &fixed[..8]));
        };
        let [skip0, skip1, rate0, rate1, rate2, rate3, gain0, gain1, family] = rest;
        // The high half is the major version.
        if version >> 4 != 0 || channels == 0 {
            return fault(format!("OpusHead has version {version} and {channels} channels"));
        }
        let mapping = if family == 0 {
            if channels > 2 {
                return fault(format!("OpusHead of family 0 has {channels} channels"));
            }
            Mapping::Single
        } else {
            let Some((&[streams, coupled], table)) = table.split_first_chunk::<2>() else {
                return fault(format!("OpusHead of family {family} has no mapping table"));
            };
            let Some(table) = table.get(..usize::from(channels)) else {
                return fault(format!("mapping of {channels} channels has {} bytes", table.len()));
            };
            if streams == 0 || coupled > streams {
                return fault(format!("OpusHead has {streams} streams, {coupled} of them stereo"));
            }
            Mapping::Table {
                family,
                streams,
                coupled,
                channels: Bytes::copy_from_slice(table),
            }
        };
        Ok(OpusHead {
            channels,
            pre_skip: u16::from_le_bytes([skip0, skip1]),
            input_sample_rate: u32::from_le_bytes([rate0, rate1, rate2, rate3]),
            gain: i16::from_le_bytes([gain0, gain1]),
            mapping,
        })
    }

    /// The header of a stream that came without one, as in WebRTC.
    pub fn new(channels: u8) -> Self {
        OpusHead {
            channels: channels.clamp(1, 2),
            // What RFC 7845 advises: 80 ms.
            pre_skip: 3840,
            input_sample_rate: SAMPLE_RATE,
            gain: 0,
            mapping: Mapping::Single,
        }
    }

    /// Writes the header.
    pub fn write(&self) -> Vec<u8> {
        let mut out = b"OpusHead\x01".to_vec();
        out.push(self.channels);
        out.extend(self.pre_skip.to_le_bytes());
        out.extend(self.input_sample_rate.to_le_bytes());
        out.extend(self.gain.to_le_bytes());
        match &self.mapping {
            Mapping::Single => out.push(0),
            Mapping::Table {
                family,
                streams,
                coupled,
                channels,
            } => {
                out.extend([*family, *streams, *coupled]);
                out.extend_from_slice(channels);
            }
        }
        out
    }

    /// What the header says.
    pub fn audio_config(&self) -> AudioConfig {
        AudioConfig {
            codec: AudioCodec::Opus,
            sample_rate: SAMPLE_RATE,
            channels: self.channels,
            profile: "Other",
        }
    }
}

/// How long a packet plays, samples at 48 kHz; none if it is not valid: at most 5,760, which is 120 ms.
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    const LONGEST: u32 = 5760;
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        // SILK: 10, 20, 40, 60 ms.
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        // Hybrid: 10, 20 ms.
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        // CELT: 2.5, 5, 10, 20 ms.
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    let samples = frame * frames;
    (1..=LONGEST).contains(&samples).then_some(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stereo by libopus.
    const STEREO: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
    /// 5.1 by libopus, mapping family 1.
    const SURROUND: &[u8] = b"OpusHead\x01\x06\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x04\x02\x00\x04\x01\x02\x03\x05";

    #[test]
    fn headers_of_libopus_are_understood_and_written_back() {
        let head = OpusHead::parse(STEREO).unwrap();
        assert_eq!((head.channels, head.pre_skip, head.input_sample_rate), (2, 312, 48_000));
        assert_eq!(head.write(), STEREO);
        let head = OpusHead::parse(SURROUND).unwrap();
        assert_eq!((head.channels, head.write()), (6, SURROUND.to_vec()));
        assert_eq!(head.audio_config().sample_rate, 48_000);
        let made = OpusHead::new(2);
        assert_eq!(OpusHead::parse(&made.write()).unwrap(), made);
    }

    #[test]
    fn broken_headers_are_refused() {
        for header in [STEREO, SURROUND] {
            for cut in 0..header.len() {
                assert!(OpusHead::parse(&header[..cut]).is_err(), "{cut} bytes");
            }
        }
        for (at, byte) in [(0, b'o'), (8, 0x10), (9, 0), (9, 3), (18, 1)] {
            let mut header = STEREO.to_vec();
            header[at] = byte;
            assert!(OpusHead::parse(&header).is_err(), "byte {at}");
        }
    }

    #[test]
    fn packets_tell_their_length() {
        // CELT fullband 20 ms: one frame, two frames, three frames.
        assert_eq!(packet_samples(&[0xfc]), Some(960));
        assert_eq!(packet_samples(&[0xfd]), Some(1920));
        assert_eq!(packet_samples(&[0xff, 3]), Some(2880));
        assert_eq!(packet_samples(&[0x18]), Some(2880));
        assert_eq!(packet_samples(&[0x60]), Some(480));
        for packet in [&[][..], &[0xff], &[0xff, 0], &[0xff, 7]] {
            assert_eq!(packet_samples(packet), None);
        }
        for toc in 0..=255 {
            for count in [0, 1, 48, 63, 255] {
                assert!(packet_samples(&[toc, count]).is_none_or(|samples| samples <= 5760));
            }
        }
    }
}
