//! AV1: OBUs, the sequence header (AV1 bitstream specification 5.3 to 5.5), and AV1CodecConfigurationRecord (AV1 in
//! ISOBMFF 2.3), which is the payload of an AV1 sequence header.

use bytes::Bytes;

use super::{VideoCodec, VideoConfig};
use crate::kernel::bits::BitReader;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// The obu_type values that a server cares for (6.2.2).
pub mod obu_type {
    /// Sequence header.
    pub const SEQUENCE_HEADER: u8 = 1;
    /// Temporal delimiter; never in FLV or MP4.
    pub const TEMPORAL_DELIMITER: u8 = 2;
    /// Metadata.
    pub const METADATA: u8 = 5;
    /// Padding.
    pub const PADDING: u8 = 15;
}

/// One open bitstream unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obu<'a> {
    /// obu_type, 0 to 15.
    pub obu_type: u8,
    /// The whole unit, header included.
    pub bytes: &'a [u8],
    /// What stands behind the header.
    pub payload: &'a [u8],
}

/// Goes over OBUs in the low overhead format. Ends after the first fault, which has code [`ErrorCode::HlsDecode`].
#[derive(Clone, Debug)]
pub struct Obus<'a> {
    rest: &'a [u8],
}

impl<'a> Obus<'a> {
    /// Goes over a temporal unit, or the configOBUs of a record.
    pub fn new(bytes: &'a [u8]) -> Self {
        Obus { rest: bytes }
    }
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<Obu<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let whole = std::mem::take(&mut self.rest);
        let Some((obu, rest)) = split_obu(whole) else {
            let start = &whole[..whole.len().min(8)];
            return Some(Err(Error::new(
                ErrorCode::HlsDecode,
                format!("OBU {start:02x?} goes beyond the {} bytes that are left", whole.len()),
            )));
        };
        self.rest = rest;
        Some(Ok(obu))
    }
}

fn split_obu(bytes: &[u8]) -> Option<(Obu<'_>, &[u8])> {
    let first = *bytes.first()?;
    let (has_extension, has_size) = (first & 4 != 0, first & 2 != 0);
    if first & 0x80 != 0 {
        return None;
    }
    let mut header = if has_extension { 2 } else { 1 };
    let mut end = bytes.len();
    if has_size {
        let (size, length) = leb128(bytes.get(header..)?)?;
        header += length;
        end = header.checked_add(usize::try_from(size).ok()?)?;
    }
    let (unit, rest) = bytes.split_at_checked(end)?;
    let obu = Obu {
        obu_type: first >> 3 & 0x0f,
        bytes: unit,
        payload: unit.get(header..)?,
    };
    Some((obu, rest))
}

/// A little-endian number of up to 8 bytes with 7 bits each, and how many bytes it took (4.10.5).
fn leb128(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, at + 1));
        }
    }
    None
}

/// What a sequence header says about the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceHeader {
    /// seq_profile: 0 Main, 1 High, 2 Professional.
    pub profile: u8,
    /// seq_level_idx of the first operating point.
    pub level: u8,
    /// seq_tier of the first operating point.
    pub high_tier: bool,
    /// Pixels: max_frame_width_minus_1 plus one.
    pub width: u32,
    /// Pixels: max_frame_height_minus_1 plus one.
    pub height: u32,
    /// How samples are kept.
    pub samples: Samples,
    /// Pictures a second; none if the header does not tell or pictures come at uneven times.
    pub frame_rate: Option<f64>,
}

/// How samples are kept; the fields that the record repeats from color_config (5.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// high_bitdepth: 10 or 12 bits.
    pub high_bit_depth: bool,
    /// twelve_bit.
    pub twelve_bit: bool,
    /// mono_chrome.
    pub monochrome: bool,
    /// subsampling_x: chroma has half the width.
    pub subsampling_x: bool,
    /// subsampling_y: chroma has half the height.
    pub subsampling_y: bool,
    /// chroma_sample_position, 0 to 3.
    pub chroma_position: u8,
}

impl SequenceHeader {
    /// Reads the payload of a sequence header OBU. Fails with [`ErrorCode::HlsDecode`].
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let mut reader = BitReader::new(payload, ErrorCode::HlsDecode);
        let r = &mut reader;
        let profile = r.bits(3, "seq_profile")? as u8;
        if profile > 2 {
            return Err(r.fault(format!("seq_profile {profile} is above 2")));
        }
        r.flag("still_picture")?;
        let reduced = r.flag("reduced_still_picture_header")?;
        let points = if reduced {
            OperatingPoints {
                level: r.bits(5, "seq_level_idx")? as u8,
                high_tier: false,
                frame_rate: None,
            }
        } else {
            OperatingPoints::read(r)?
        };
        let width_bits = 1 + r.bits(4, "frame_width_bits_minus_1")?;
        let height_bits = 1 + r.bits(4, "frame_height_bits_minus_1")?;
        let width = 1 + r.bits(width_bits, "max_frame_width_minus_1")?;
        let height = 1 + r.bits(height_bits, "max_frame_height_minus_1")?;
        skip_tools(r, reduced)?;
        Ok(SequenceHeader {
            profile,
            level: points.level,
            high_tier: points.high_tier,
            width,
            height,
            samples: Samples::read(r, profile)?,
            frame_rate: points.frame_rate,
        })
    }

    /// Finds and reads the first sequence header of a temporal unit. Fails with [`ErrorCode::HlsDecode`], also if there
    /// is none.
    pub fn find(obus: &[u8]) -> Result<Self> {
        for obu in Obus::new(obus) {
            let obu = obu?;
            if obu.obu_type == obu_type::SEQUENCE_HEADER {
                return Self::parse(obu.payload);
            }
        }
        Err(Error::new(
            ErrorCode::HlsDecode,
            format!("{} bytes of OBUs have no sequence header", obus.len()),
        ))
    }
}

struct OperatingPoints {
    level: u8,
    high_tier: bool,
    frame_rate: Option<f64>,
}

impl OperatingPoints {
    fn read(r: &mut BitReader<'_>) -> Result<Self> {
        let mut points = OperatingPoints {
            level: 0,
            high_tier: false,
            frame_rate: None,
        };
        let mut delay_bits = None;
        if r.flag("timing_info_present_flag")? {
            points.frame_rate = timing(r)?;
            if r.flag("decoder_model_info_present_flag")? {
                delay_bits = Some(1 + r.bits(5, "buffer_delay_length_minus_1")?);
                r.skip(32 + 5 + 5, "decoder_model_info")?;
            }
        }
        let has_display_delay = r.flag("initial_display_delay_present_flag")?;
        for point in 0..=r.bits(5, "operating_points_cnt_minus_1")? {
            r.skip(12, "operating_point_idc")?;
            let level = r.bits(5, "seq_level_idx")? as u8;
            let high_tier = level > 7 && r.flag("seq_tier")?;
            if point == 0 {
                (points.level, points.high_tier) = (level, high_tier);
            }
            if let Some(bits) = delay_bits
                && r.flag("decoder_model_present_for_this_op")?
            {
                r.skip(2 * bits + 1, "operating_parameters_info")?;
            }
            if has_display_delay && r.flag("initial_display_delay_present_for_this_op")? {
                r.skip(4, "initial_display_delay_minus_1")?;
            }
        }
        Ok(points)
    }
}

/// timing_info (5.5.3).
fn timing(r: &mut BitReader<'_>) -> Result<Option<f64>> {
    let ticks = r.bits(32, "num_units_in_display_tick")?;
    let scale = r.bits(32, "time_scale")?;
    if !r.flag("equal_picture_interval")? {
        return Ok(None);
    }
    let ticks_a_picture = f64::from(r.ue("num_ticks_per_picture_minus_1")?) + 1.0;
    if ticks == 0 || scale == 0 {
        return Ok(None);
    }
    Ok(Some(f64::from(scale) / (f64::from(ticks) * ticks_a_picture)))
}

/// From frame_id_numbers_present_flag to enable_restoration (5.5.1).
fn skip_tools(r: &mut BitReader<'_>, reduced: bool) -> Result<()> {
    if !reduced && r.flag("frame_id_numbers_present_flag")? {
        r.skip(7, "frame id lengths")?;
    }
    r.skip(
        3,
        "use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter",
    )?;
    if !reduced {
        r.skip(4, "inter tools")?;
        let has_order_hint = r.flag("enable_order_hint")?;
        if has_order_hint {
            r.skip(2, "enable_jnt_comp, enable_ref_frame_mvs")?;
        }
        let screen_content = r.flag("seq_choose_screen_content_tools")? || r.flag("seq_force_screen_content_tools")?;
        if screen_content && !r.flag("seq_choose_integer_mv")? {
            r.flag("seq_force_integer_mv")?;
        }
        if has_order_hint {
            r.skip(3, "order_hint_bits_minus_1")?;
        }
    }
    r.skip(3, "enable_superres, enable_cdef, enable_restoration")
}

impl Samples {
    /// color_config (5.5.2).
    fn read(r: &mut BitReader<'_>, profile: u8) -> Result<Self> {
        /// BT.709 primaries, sRGB transfer, identity matrix: RGB, which is never subsampled.
        const SRGB: u32 = 0x01_0d_00;
        let high_bit_depth = r.flag("high_bitdepth")?;
        let twelve_bit = profile == 2 && high_bit_depth && r.flag("twelve_bit")?;
        let monochrome = profile != 1 && r.flag("mono_chrome")?;
        let mut samples = Samples {
            high_bit_depth,
            twelve_bit,
            monochrome,
            ..Samples::default()
        };
        let mut colours = None;
        if r.flag("color_description_present_flag")? {
            colours = Some(r.bits(24, "color_primaries, transfer_characteristics, matrix_coefficients")?);
        }
        if monochrome {
            r.flag("color_range")?;
            (samples.subsampling_x, samples.subsampling_y) = (true, true);
            return Ok(samples);
        }
        if colours == Some(SRGB) {
            return Ok(samples);
        }
        r.flag("color_range")?;
        (samples.subsampling_x, samples.subsampling_y) = match profile {
            0 => (true, true),
            1 => (false, false),
            _ if twelve_bit => {
                let x = r.flag("subsampling_x")?;
                (x, x && r.flag("subsampling_y")?)
            }
            _ => (true, false),
        };
        if samples.subsampling_x && samples.subsampling_y {
            samples.chroma_position = r.bits(2, "chroma_sample_position")? as u8;
        }
        Ok(samples)
    }
}

/// What an AV1 decoder needs before the first picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// seq_profile.
    pub profile: u8,
    /// seq_level_idx_0.
    pub level: u8,
    /// seq_tier_0.
    pub high_tier: bool,
    /// How samples are kept.
    pub samples: Samples,
    /// initial_presentation_delay_minus_one; none if not told.
    pub presentation_delay: Option<u8>,
    /// configOBUs: the sequence header, and metadata; may be empty.
    pub obus: Bytes,
}

impl DecoderConfig {
    /// Reads a record. Fails with [`ErrorCode::HlsDecode`].
    pub fn parse(record: &[u8]) -> Result<Self> {
        let mut r = BitReader::new(record, ErrorCode::HlsDecode);
        let version = r.bits(8, "marker, version")?;
        if version != 0x81 {
            return Err(r.fault(format!("AV1 configuration starts with {version:#04x}, not 0x81")));
        }
        let mut config = DecoderConfig {
            profile: r.bits(3, "seq_profile")? as u8,
            level: r.bits(5, "seq_level_idx_0")? as u8,
            high_tier: r.flag("seq_tier_0")?,
            samples: Samples {
                high_bit_depth: r.flag("high_bitdepth")?,
                twelve_bit: r.flag("twelve_bit")?,
                monochrome: r.flag("monochrome")?,
                subsampling_x: r.flag("chroma_subsampling_x")?,
                subsampling_y: r.flag("chroma_subsampling_y")?,
                chroma_position: r.bits(2, "chroma_sample_position")? as u8,
            },
            presentation_delay: None,
            obus: Bytes::copy_from_slice(record.get(4..).unwrap_or_default()),
        };
        let delay = r.bits(8, "initial_presentation_delay")? as u8;
        config.presentation_delay = (delay & 0x10 != 0).then_some(delay & 0x0f);
        Ok(config)
    }

    /// Makes a record of the sequence header in a temporal unit. Fails as [`SequenceHeader::find`] does.
    pub fn from_obus(obus: &[u8]) -> Result<Self> {
        let header = SequenceHeader::find(obus)?;
        let mut sequence = Bytes::new();
        for obu in Obus::new(obus) {
            let obu = obu?;
            if obu.obu_type == obu_type::SEQUENCE_HEADER {
                sequence = Bytes::copy_from_slice(obu.bytes);
                break;
            }
        }
        Ok(DecoderConfig {
            profile: header.profile,
            level: header.level,
            high_tier: header.high_tier,
            samples: header.samples,
            presentation_delay: None,
            obus: sequence,
        })
    }

    /// Writes the record.
    pub fn write(&self) -> Vec<u8> {
        let samples = &self.samples;
        let bit = |flag: bool, at: u8| u8::from(flag) << at;
        let mut out = Vec::with_capacity(4 + self.obus.len());
        out.push(0x81);
        out.push(self.profile << 5 | self.level & 0x1f);
        out.push(
            bit(self.high_tier, 7)
                | bit(samples.high_bit_depth, 6)
                | bit(samples.twelve_bit, 5)
                | bit(samples.monochrome, 4)
                | bit(samples.subsampling_x, 3)
                | bit(samples.subsampling_y, 2)
                | samples.chroma_position & 3,
        );
        out.push(self.presentation_delay.map_or(0, |delay| 0x10 | delay & 0x0f));
        out.extend_from_slice(&self.obus);
        out
    }

    /// What the record and its sequence header say; without one, width and height are 0. Fails with
    /// [`ErrorCode::HlsDecode`] on a broken sequence header.
    pub fn video_config(&self) -> Result<VideoConfig> {
        let mut config = VideoConfig {
            codec: VideoCodec::Av1,
            width: 0,
            height: 0,
            profile: profile_name(self.profile),
            level: level_name(self.level),
            frame_rate: None,
        };
        if !self.obus.is_empty() {
            let header = SequenceHeader::find(&self.obus).wrap("OBUs of AV1 configuration")?;
            (config.width, config.height) = (header.width, header.height);
            config.frame_rate = header.frame_rate;
        }
        Ok(config)
    }
}

/// The profile's name (annex A.2).
pub fn profile_name(profile: u8) -> &'static str {
    match profile {
        0 => "Main",
        1 => "High",
        2 => "Professional",
        _ => "Other",
    }
}

/// The level that a seq_level_idx stands for (annex A.3).
pub fn level_name(level: u8) -> &'static str {
    const NAMES: [&str; 24] = [
        "2", "2.1", "2.2", "2.3", "3", "3.1", "3.2", "3.3", "4", "4.1", "4.2", "4.3", "5", "5.1", "5.2", "5.3", "6",
        "6.1", "6.2", "6.3", "7", "7.1", "7.2", "7.3",
    ];
    NAMES.get(usize::from(level)).copied().unwrap_or("Other")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 322x182, Main, level 2, by SVT-AV1 through FFmpeg's MP4 writer.
    const SVT: &[u8] = &[
        0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3d, 0x06, 0xd4, 0x02, 0xf8, 0x00, 0x40,
    ];
    /// The same picture by libaom.
    const AOM: &[u8] = &[
        0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3d, 0x06, 0xd4, 0xda, 0xf9, 0x00, 0x40,
    ];

    #[test]
    fn records_of_two_encoders_are_understood_and_written_back() {
        for record in [SVT, AOM] {
            let config = DecoderConfig::parse(record).unwrap();
            let video = config.video_config().unwrap();
            assert_eq!((video.width, video.height), (322, 182));
            assert_eq!((video.profile, video.level, video.frame_rate), ("Main", "2", None));
            assert!(config.samples.subsampling_x && config.samples.subsampling_y);
            assert_eq!(config.write(), record);
            // A temporal unit: delimiter, sequence header, padding.
            let unit = [&[0x12, 0x00][..], &record[4..], &[0x7a, 0x01, 0x80]].concat();
            assert_eq!(DecoderConfig::from_obus(&unit).unwrap(), config);
        }
    }

    #[test]
    fn timing_and_operating_points_are_read() {
        // Profile 0; timing 1 tick of 25, equal, 1 a picture; no model; display delay; one point with level 8, high
        // tier, delay; 10 bits each for 640x360; no tools; 8 bits 4:2:0.
        let fields: &[(u32, u32)] = &[
            (3, 0),
            (2, 0),
            (1, 1),
            (32, 1),
            (32, 25),
            (1, 1),
            (1, 1),
            (1, 0),
            (1, 1),
            (5, 0),
            (12, 0),
            (5, 8),
            (1, 1),
            (1, 1),
            (4, 9),
            (4, 9),
            (4, 9),
            (10, 639),
            (10, 359),
            (1, 0),
            (3, 0),
            (5, 0),
            (1, 1),
            (1, 1),
            (3, 0),
            (1, 0),
            (1, 0),
            (1, 0),
            (1, 0),
            (2, 1),
            (1, 0),
            (1, 1),
        ];
        let bits: Vec<bool> = fields
            .iter()
            .flat_map(|(count, value)| (0..*count).rev().map(move |bit| value >> bit & 1 == 1))
            .collect();
        let byte = |bits: &[bool]| {
            bits.iter()
                .enumerate()
                .fold(0u8, |sum, (at, bit)| sum | u8::from(*bit) << (7 - at))
        };
        let payload: Vec<u8> = bits.chunks(8).map(byte).collect();
        let header = SequenceHeader::parse(&payload).unwrap();
        assert_eq!((header.width, header.height), (640, 360));
        assert_eq!((header.level, header.high_tier), (8, true));
        assert_eq!((header.frame_rate, header.samples.chroma_position), (Some(25.0), 1));
        assert_eq!(level_name(8), "4");
    }

    #[test]
    fn obu_sizes_stay_inside_their_unit() {
        let obus = |bytes: &'static [u8]| Obus::new(bytes).collect::<Result<Vec<Obu>>>();
        let units = obus(&[0x12, 0x00, 0x36, 0x08, 0x82, 0x00, 0xaa, 0xbb, 0x30, 0xcc]).unwrap();
        assert_eq!(units.len(), 3);
        // The second has an extension byte and a size in two bytes, the third no size.
        assert_eq!((units[1].obu_type, units[1].payload), (6, &[0xaa, 0xbb][..]));
        assert_eq!(units[2].payload, [0xcc]);
        for bytes in [
            &[0x0a][..],
            &[0x0a, 0x05, 0x00],
            &[0x0e],
            &[0x8a, 0],
            &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
        ] {
            assert!(obus(bytes).is_err(), "{bytes:02x?}");
        }
        assert!(obus(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
        assert!(obus(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]).is_err());
        assert!(SequenceHeader::find(&[0x12, 0x00]).is_err());
    }

    #[test]
    fn a_record_without_obus_has_no_size() {
        let video = DecoderConfig::parse(&SVT[..4]).unwrap().video_config().unwrap();
        assert_eq!((video.width, video.height), (0, 0));
        assert!(DecoderConfig::parse(&[0x01, 0, 0, 0]).is_err());
    }

    #[test]
    fn cut_and_changed_records_never_panic() {
        for cut in 0..SVT.len() {
            let config = DecoderConfig::parse(&SVT[..cut]).and_then(|config| config.video_config());
            assert!(config.is_err() || cut == 4, "{cut} bytes");
            assert!(SequenceHeader::parse(&SVT[6..cut.max(6)]).is_err() || cut > 14);
        }
        let mut random = fastrand::Rng::with_seed(10);
        for _ in 0..4000 {
            let mut record = SVT.to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(1..record.len());
                record[at] = random.u8(..);
            }
            if let Ok(config) = DecoderConfig::parse(&record) {
                let _ = config.video_config();
            }
        }
    }
}
