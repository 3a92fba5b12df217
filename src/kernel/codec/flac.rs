//! FLAC: the STREAMINFO block (RFC 9639, 8.2), which is the payload of a FLAC sequence header.

use super::{AudioCodec, AudioConfig};
use crate::kernel::bits::BitReader;
use crate::kernel::error::Result;
use crate::kernel::error_code::ErrorCode;

/// What a FLAC decoder needs before the first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Samples a second, never 0.
    pub sample_rate: u32,
    /// Channels, 1 to 8.
    pub channels: u8,
    /// Bits of a sample, 4 to 32.
    pub sample_bits: u8,
}

impl StreamInfo {
    /// Reads the block, with or without the marker `fLaC` and the block's header before it: both are sent. Fails with
    /// [`ErrorCode::HlsDecode`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut r = BitReader::new(bytes, ErrorCode::HlsDecode);
        if bytes.starts_with(b"fLaC") {
            r.skip(8 * 8, "fLaC, metadata block header")?;
        }
        r.skip(2 * 16 + 2 * 24, "block sizes, frame sizes")?;
        let info = StreamInfo {
            sample_rate: r.bits(20, "sample rate")?,
            channels: r.bits(3, "channels - 1")? as u8 + 1,
            sample_bits: r.bits(5, "bits of a sample - 1")? as u8 + 1,
        };
        r.skip(36 + 128, "samples, MD5")?;
        if info.sample_rate == 0 {
            return Err(r.fault("FLAC sample rate is 0".to_owned()));
        }
        Ok(info)
    }

    /// What the block says.
    pub fn audio_config(&self) -> AudioConfig {
        AudioConfig {
            codec: AudioCodec::Flac,
            sample_rate: self.sample_rate,
            channels: self.channels,
            profile: "Other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 44.1 kHz mono with 16 bits, as FFmpeg 8 sends it.
    const START: [u8; 14] = [0x12, 0, 0x12, 0, 0, 0, 0, 0, 0x24, 0x0f, 0x0a, 0xc4, 0x40, 0xf0];

    #[test]
    fn the_marker_may_be_there_or_not() {
        let mut block = START.to_vec();
        block.resize(34, 0);
        let info = StreamInfo::parse(&block).unwrap();
        assert_eq!((info.sample_rate, info.channels, info.sample_bits), (44_100, 1, 16));
        let marked = [b"fLaC\x80\x00\x00\x22", &block[..]].concat();
        assert_eq!(StreamInfo::parse(&marked).unwrap(), info);
        for cut in 0..marked.len() {
            assert!(StreamInfo::parse(&marked[..cut]).is_err(), "{cut} bytes");
        }
        assert!(StreamInfo::parse(&[0; 34]).is_err());
    }
}
