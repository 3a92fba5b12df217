//! VP9: the start of a keyframe (VP9 bitstream specification 6.2), and VPCodecConfigurationRecord (VP codec in
//! ISOBMFF), which is the payload of a VP9 sequence header.

use super::{VideoCodec, VideoConfig};
use crate::kernel::bits::BitReader;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// What a VP9 decoder may know before the first picture. Sizes are not in it: see [`KeyframeHeader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// Profile, 0 to 3.
    pub profile: u8,
    /// Ten times the level; 0 if not told.
    pub level: u8,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// chromaSubsampling, 0 to 3: 4:2:0 (vertical), 4:2:0 (collocated), 4:2:2, 4:4:4.
    pub chroma_subsampling: u8,
    /// videoFullRangeFlag.
    pub full_range: bool,
    /// colourPrimaries, transferCharacteristics, matrixCoefficients.
    pub colours: [u8; 3],
}

impl DecoderConfig {
    /// Reads a record, with or without the version and flags that stand before it in MP4, as FFmpeg sends both.
    /// Fails with [`ErrorCode::HlsDecode`].
    pub fn parse(record: &[u8]) -> Result<Self> {
        const VERSION_AND_FLAGS: [u8; 4] = [1, 0, 0, 0];
        let record = record.strip_prefix(&VERSION_AND_FLAGS).unwrap_or(record);
        let Some(&[profile, level, depths, primaries, transfer, matrix, ..]) = record.first_chunk::<8>() else {
            return Err(Error::new(
                ErrorCode::HlsDecode,
                format!("VP9 configuration of {} bytes, 8 are needed", record.len()),
            ));
        };
        let bit_depth = depths >> 4;
        if profile > 3 || !matches!(bit_depth, 8 | 10 | 12) {
            return Err(Error::new(
                ErrorCode::HlsDecode,
                format!("VP9 configuration has profile {profile} and {bit_depth} bits"),
            ));
        }
        Ok(DecoderConfig {
            profile,
            level,
            bit_depth,
            chroma_subsampling: depths >> 1 & 7,
            full_range: depths & 1 != 0,
            colours: [primaries, transfer, matrix],
        })
    }

    /// Writes the record without version and flags.
    pub fn write(&self) -> [u8; 8] {
        let depths = self.bit_depth << 4 | (self.chroma_subsampling & 7) << 1 | u8::from(self.full_range);
        let [primaries, transfer, matrix] = self.colours;
        [self.profile, self.level, depths, primaries, transfer, matrix, 0, 0]
    }

    /// What the record says; width and height are 0.
    pub fn video_config(&self) -> VideoConfig {
        VideoConfig {
            codec: VideoCodec::Vp9,
            width: 0,
            height: 0,
            profile: profile_name(self.profile),
            level: level_name(self.level),
            frame_rate: None,
        }
    }
}

/// The start of a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyframeHeader {
    /// Profile, 0 to 3.
    pub profile: u8,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// Pixels, 1 to 65,536.
    pub width: u32,
    /// Pixels, 1 to 65,536.
    pub height: u32,
}

impl KeyframeHeader {
    /// Reads the uncompressed header of a frame; none if it is no keyframe. Fails with [`ErrorCode::HlsDecode`].
    pub fn parse(frame: &[u8]) -> Result<Option<Self>> {
        let mut reader = BitReader::new(frame, ErrorCode::HlsDecode);
        let r = &mut reader;
        if r.bits(2, "frame_marker")? != 2 {
            return Err(r.fault("VP9 frame_marker is not 2".to_owned()));
        }
        let profile = u8::from(r.flag("profile_low_bit")?) | u8::from(r.flag("profile_high_bit")?) << 1;
        if profile == 3 && r.flag("reserved_zero")? {
            return Err(r.fault("VP9 profile is above 3".to_owned()));
        }
        if r.flag("show_existing_frame")? || r.flag("frame_type")? {
            return Ok(None);
        }
        r.skip(2, "show_frame, error_resilient_mode")?;
        let sync = r.bits(24, "frame_sync_code")?;
        if sync != 0x49_8342 {
            return Err(r.fault(format!("VP9 frame_sync_code is {sync:06x}")));
        }
        let bit_depth = skip_colours(r, profile)?;
        Ok(Some(KeyframeHeader {
            profile,
            bit_depth,
            width: 1 + r.bits(16, "frame_width_minus_1")?,
            height: 1 + r.bits(16, "frame_height_minus_1")?,
        }))
    }
}

/// color_config (6.2.2); gives the bit depth.
fn skip_colours(r: &mut BitReader<'_>, profile: u8) -> Result<u8> {
    const SRGB: u32 = 7;
    let mut bit_depth = 8;
    if profile >= 2 {
        bit_depth = if r.flag("ten_or_twelve_bit")? { 12 } else { 10 };
    }
    let subsampling_varies = profile & 1 != 0;
    if r.bits(3, "color_space")? != SRGB {
        r.flag("color_range")?;
        if subsampling_varies {
            r.skip(3, "subsampling_x, subsampling_y, reserved_zero")?;
        }
    } else if subsampling_varies {
        r.flag("reserved_zero")?;
    } else {
        return Err(r.fault(format!("VP9 profile {profile} has RGB")));
    }
    Ok(bit_depth)
}

/// The profile's name.
pub fn profile_name(profile: u8) -> &'static str {
    match profile {
        0 => "Profile 0",
        1 => "Profile 1",
        2 => "Profile 2",
        3 => "Profile 3",
        _ => "Other",
    }
}

/// The level, from ten times its number.
pub fn level_name(level: u8) -> &'static str {
    match level {
        10 => "1",
        11 => "1.1",
        20 => "2",
        21 => "2.1",
        30 => "3",
        31 => "3.1",
        40 => "4",
        41 => "4.1",
        50 => "5",
        51 => "5.1",
        52 => "5.2",
        60 => "6",
        61 => "6.1",
        62 => "6.2",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 322x182, profile 0, level 1.1, by libvpx through FFmpeg's MP4 writer.
    const RECORD: &[u8] = &[0x01, 0, 0, 0, 0x00, 0x0b, 0x82, 0x02, 0x02, 0x02, 0x00, 0x00];
    /// The start of its first frame.
    const KEYFRAME: &[u8] = &[0x82, 0x49, 0x83, 0x42, 0x00, 0x14, 0x10, 0x0b, 0x56, 0x06, 0x38, 0x24];

    #[test]
    fn a_record_may_have_version_and_flags() {
        let config = DecoderConfig::parse(RECORD).unwrap();
        assert_eq!(DecoderConfig::parse(&RECORD[4..]).unwrap(), config);
        assert_eq!(config.write(), RECORD[4..]);
        assert_eq!((config.bit_depth, config.chroma_subsampling), (8, 1));
        let video = config.video_config();
        assert_eq!((video.profile, video.level), ("Profile 0", "1.1"));
        for cut in 0..RECORD.len() {
            assert!(DecoderConfig::parse(&RECORD[..cut]).is_err());
        }
        assert!(DecoderConfig::parse(&[0; 8]).is_err());
    }

    #[test]
    fn a_keyframe_tells_its_size() {
        let header = KeyframeHeader::parse(KEYFRAME).unwrap().unwrap();
        assert_eq!((header.width, header.height, header.bit_depth), (322, 182, 8));
        assert_eq!(KeyframeHeader::parse(&[0x86, 0x00, 0x40]).unwrap(), None);
        for cut in 0..9 {
            assert!(KeyframeHeader::parse(&KEYFRAME[..cut]).is_err(), "{cut} bytes");
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..4000 {
            let mut bytes = KEYFRAME.to_vec();
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
            bytes[0] = random.u8(..);
            let _ = KeyframeHeader::parse(&bytes);
            let _ = DecoderConfig::parse(&bytes);
        }
    }
}
