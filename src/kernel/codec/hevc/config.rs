//! HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1): the payload of an HEVC sequence header.

use bytes::Bytes;

use super::{ProfileTierLevel, Sps, Vps, level_name, nal_type, nal_type_of, profile_name};
use crate::core::limits::PARAMETER_SETS;
use crate::kernel::buf::{Put, Reader};
use crate::kernel::codec::nal::{self, LengthSize};
use crate::kernel::codec::{VideoCodec, VideoConfig};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// What an HEVC decoder needs before the first picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// What a decoder must be able to do.
    pub general: ProfileTierLevel,
    /// min_spatial_segmentation_idc, 0 to 4095.
    pub min_spatial_segmentation: u16,
    /// parallelismType, 0 to 3.
    pub parallelism: u8,
    /// chroma_format_idc, 0 to 3.
    pub chroma_format: u8,
    /// Bits of a luma sample, 8 to 15.
    pub bit_depth_luma: u8,
    /// Bits of a chroma sample, 8 to 15.
    pub bit_depth_chroma: u8,
    /// avgFrameRate: pictures in 256 seconds; 0 if not told.
    pub average_frame_rate: u16,
    /// constantFrameRate, 0 to 3.
    pub constant_frame_rate: u8,
    /// numTemporalLayers, 0 to 7; 0 if not told.
    pub temporal_layers: u8,
    /// temporalIdNested.
    pub temporal_id_nested: bool,
    /// How the lengths before NAL units are written.
    pub length_size: LengthSize,
    /// VPS, SPS, PPS and SEI, in the order of the record.
    pub arrays: Vec<NalArray>,
}

/// NAL units of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NalArray {
    /// array_completeness: none of this type stands between the pictures.
    pub complete: bool,
    /// nal_unit_type, 0 to 63.
    pub nal_type: u8,
    /// Whole NAL units.
    pub nals: Vec<Bytes>,
}

impl DecoderConfig {
    /// Reads a record; configurationVersion is passed over. Fails with [`ErrorCode::HevcDecode`]; with
    /// [`ErrorCode::AvcTryOthers`] on parameter sets behind start codes, which some encoders send in place of a record.
    pub fn parse(record: &[u8]) -> Result<Self> {
        if nal::is_annex_b(record) {
            return Err(Error::new(
                ErrorCode::AvcTryOthers,
                "HEVC sequence header has start codes and is no configuration record",
            ));
        }
        let mut reader = Reader::new(record, ErrorCode::HevcDecode);
        let r = &mut reader;
        r.skip(1, "configurationVersion")?;
        let profile = r.u8("general_profile_idc")?;
        let compatibility = r.u32("general_profile_compatibility_flags")?;
        let constraints_high = r.u16("general_constraint_indicator_flags")?;
        let constraints_low = r.u32("general_constraint_indicator_flags")?;
        let general = ProfileTierLevel {
            profile_space: profile >> 6,
            high_tier: profile & 0x20 != 0,
            profile_idc: profile & 0x1f,
            compatibility,
            constraints: u64::from(constraints_high) << 32 | u64::from(constraints_low),
            level_idc: r.u8("general_level_idc")?,
        };
        let min_spatial_segmentation = r.u16("min_spatial_segmentation_idc")? & 0x0fff;
        let parallelism = r.u8("parallelismType")? & 3;
        let chroma_format = r.u8("chroma_format_idc")? & 3;
        let bit_depth_luma = 8 + (r.u8("bit_depth_luma_minus8")? & 7);
        let bit_depth_chroma = 8 + (r.u8("bit_depth_chroma_minus8")? & 7);
        let average_frame_rate = r.u16("avgFrameRate")?;
        let layers = r.u8("constantFrameRate, numTemporalLayers, lengthSizeMinusOne")?;
        Ok(DecoderConfig {
            general,
            min_spatial_segmentation,
            parallelism,
            chroma_format,
            bit_depth_luma,
            bit_depth_chroma,
            average_frame_rate,
            constant_frame_rate: layers >> 6,
            temporal_layers: layers >> 3 & 7,
            temporal_id_nested: layers & 4 != 0,
            length_size: LengthSize::from_minus_one(layers)?,
            arrays: read_arrays(r)?,
        })
    }

    /// Makes a record of parameter sets that came by themselves, as in MPEG-TS and RTP. Other NAL units are left out.
    /// Fails with [`ErrorCode::HevcDecode`] without an SPS, and as [`Sps::parse`] does.
    pub fn from_nals<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> Result<Self> {
        let mut arrays = [nal_type::VPS, nal_type::SPS, nal_type::PPS].map(|nal_type| NalArray {
            complete: false,
            nal_type,
            nals: Vec::new(),
        });
        for nal in nals {
            let kind = nal_type_of(nal);
            if let Some(array) = arrays.iter_mut().find(|array| Some(array.nal_type) == kind)
                && array.nals.len() < PARAMETER_SETS / 4
                && !array.nals.iter().any(|old| old == nal)
            {
                array.nals.push(Bytes::copy_from_slice(nal));
            }
        }
        let [_, sps, _] = &arrays;
        let Some(first) = sps.nals.first() else {
            return Err(Error::new(ErrorCode::HevcDecode, "no SPS among the NAL units"));
        };
        let sps = Sps::parse(first)?;
        Ok(DecoderConfig {
            general: sps.general,
            min_spatial_segmentation: 0,
            parallelism: 0,
            chroma_format: sps.chroma_format,
            // Three bits in the record.
            bit_depth_luma: sps.bit_depth_luma.min(15),
            bit_depth_chroma: sps.bit_depth_chroma.min(15),
            average_frame_rate: 0,
            constant_frame_rate: 0,
            temporal_layers: sps.sub_layers,
            temporal_id_nested: sps.temporal_id_nesting,
            length_size: LengthSize::FOUR,
            arrays: arrays.into_iter().filter(|array| !array.nals.is_empty()).collect(),
        })
    }

    /// Writes the record. Fails with [`ErrorCode::HevcDecode`] on more than 255 arrays, or on a NAL unit above 64 KB.
    pub fn write(&self) -> Result<Vec<u8>> {
        let too_many = |what: &str, count: usize| Error::new(ErrorCode::HevcDecode, format!("{count} {what}"));
        let general = &self.general;
        let mut out = Vec::new();
        out.put_u8(1);
        out.put_u8(general.profile_space << 6 | u8::from(general.high_tier) << 5 | general.profile_idc & 0x1f);
        out.put_u32(general.compatibility);
        out.put_u16((general.constraints >> 32) as u16);
        out.put_u32(general.constraints as u32);
        out.put_u8(general.level_idc);
        out.put_u16(0xf000 | self.min_spatial_segmentation);
        out.put_u8(0xfc | self.parallelism);
        out.put_u8(0xfc | self.chroma_format);
        out.put_u8(0xf8 | self.bit_depth_luma.saturating_sub(8));
        out.put_u8(0xf8 | self.bit_depth_chroma.saturating_sub(8));
        out.put_u16(self.average_frame_rate);
        out.put_u8(
            self.constant_frame_rate << 6
                | (self.temporal_layers & 7) << 3
                | u8::from(self.temporal_id_nested) << 2
                | self.length_size.minus_one(),
        );
        out.put_u8(u8::try_from(self.arrays.len()).map_err(|_| too_many("arrays", self.arrays.len()))?);
        for array in &self.arrays {
            out.put_u8(u8::from(array.complete) << 7 | array.nal_type & 0x3f);
            out.put_u16(u16::try_from(array.nals.len()).map_err(|_| too_many("NAL units", array.nals.len()))?);
            for nal in &array.nals {
                out.put_u16(u16::try_from(nal.len()).map_err(|_| too_many("bytes in a NAL unit", nal.len()))?);
                out.put_slice(nal);
            }
        }
        Ok(out)
    }

    /// The NAL units of a type, in the order of the record.
    pub fn nals(&self, nal_type: u8) -> impl Iterator<Item = &Bytes> {
        let arrays = self.arrays.iter().filter(move |array| array.nal_type == nal_type);
        arrays.flat_map(|array| &array.nals)
    }

    /// What the first SPS says, and the first VPS if the SPS has no timing. Fails with [`ErrorCode::HevcDecode`] if
    /// there is no SPS, and as [`Sps::parse`] does.
    pub fn video_config(&self) -> Result<VideoConfig> {
        let Some(sps) = self.nals(nal_type::SPS).next() else {
            return Err(Error::new(ErrorCode::HevcDecode, "HEVC configuration has no SPS"));
        };
        let sps = Sps::parse(sps).wrap("SPS of HEVC configuration")?;
        let vps_frame_rate = || {
            let vps = self.nals(nal_type::VPS).next()?;
            Vps::parse(vps).ok()?.frame_rate
        };
        Ok(VideoConfig {
            codec: VideoCodec::Hevc,
            width: sps.width,
            height: sps.height,
            profile: profile_name(self.general.profile_idc),
            level: level_name(self.general.level_idc),
            frame_rate: sps.frame_rate.or_else(vps_frame_rate),
        })
    }
}

fn read_arrays(r: &mut Reader<'_>) -> Result<Vec<NalArray>> {
    let mut arrays = Vec::new();
    let mut total = 0;
    for _ in 0..r.u8("numOfArrays")? {
        let kind = r.u8("NAL_unit_type")?;
        let count = usize::from(r.u16("numNalus")?);
        total += count;
        if total > PARAMETER_SETS {
            return Err(Error::new(
                ErrorCode::HevcDecode,
                format!("HEVC configuration has {total} NAL units and more, at most {PARAMETER_SETS} are kept"),
            ));
        }
        let mut nals = Vec::with_capacity(count);
        for _ in 0..count {
            let length = r.u16("nalUnitLength")?;
            let nal = r.bytes(usize::from(length), "nalUnit")?;
            if nal.is_empty() {
                return Err(Error::new(
                    ErrorCode::HevcDecode,
                    format!("nalUnit of type {} has 0 bytes", kind & 0x3f),
                ));
            }
            nals.push(Bytes::copy_from_slice(nal));
        }
        arrays.push(NalArray {
            complete: kind & 0x80 != 0,
            nal_type: kind & 0x3f,
            nals,
        });
    }
    Ok(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1920x1080 at 25 pictures a second, Main, level 4, by libx265; its SEI is cut to two bytes by hand.
    const MAIN: &[u8] = &[
        0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x78, 0xf0, 0x00, 0xfc, 0xfd, 0xf8,
        0xf8, 0x00, 0x00, 0x0f, 0x04, 0x20, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60,
        0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0x95, 0x98, 0x09, 0x21, 0x00,
        0x01, 0x00, 0x2a, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x78, 0xa0, 0x03, 0xc0, 0x80, 0x10, 0xe5, 0x96, 0x56, 0x69, 0x24, 0xca, 0xf0, 0x16, 0x80, 0x80,
        0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x0c, 0x84, 0x22, 0x00, 0x01, 0x00, 0x07, 0x44, 0x01, 0xc1, 0x72,
        0xb4, 0x62, 0x40, 0x27, 0x00, 0x01, 0x00, 0x02, 0x4e, 0x01,
    ];

    #[test]
    fn a_record_of_libx265_is_understood_and_written_back() {
        let config = DecoderConfig::parse(MAIN).unwrap();
        assert_eq!(config.arrays.len(), 4);
        assert_eq!(config.nals(nal_type::PREFIX_SEI).count(), 1);
        assert_eq!(config.length_size, LengthSize::FOUR);
        let video = config.video_config().unwrap();
        assert_eq!((video.width, video.height), (1920, 1080));
        assert_eq!(
            (video.profile, video.level, video.frame_rate),
            ("Main", "4", Some(25.0))
        );
        assert_eq!(config.write().unwrap(), MAIN);
    }

    #[test]
    fn a_record_is_made_of_parameter_sets() {
        let whole = DecoderConfig::parse(MAIN).unwrap();
        let nals: Vec<&[u8]> = whole
            .arrays
            .iter()
            .flat_map(|array| &array.nals)
            .map(|nal| &nal[..])
            .collect();
        let made = DecoderConfig::from_nals(nals.iter().copied().chain(nals.iter().copied())).unwrap();
        let mut expected = whole.clone();
        expected.arrays.pop();
        assert_eq!(made, expected);
        assert!(DecoderConfig::from_nals([&[0x40, 1][..], &[]]).is_err());
    }

    #[test]
    fn faults_are_named() {
        let parse = |record: &[u8]| DecoderConfig::parse(record).unwrap_err();
        let mut three = MAIN.to_vec();
        three[21] = 0x0e;
        assert_eq!(parse(&three).message(), "lengthSizeMinusOne is 2");
        let mut empty = MAIN.to_vec();
        empty[27] = 0;
        assert_eq!(parse(&empty).message(), "nalUnit of type 32 has 0 bytes");
        let mut many = MAIN.to_vec();
        many[24] = 0xff;
        assert!(parse(&many).message().contains("at most"));
        assert_eq!(parse(&[0, 0, 1, 0x40]).code(), ErrorCode::AvcTryOthers);
        let mut none = MAIN[..23].to_vec();
        none[22] = 0;
        assert!(DecoderConfig::parse(&none).unwrap().video_config().is_err());
    }

    #[test]
    fn cut_and_changed_records_never_panic() {
        for cut in 0..MAIN.len() {
            assert!(DecoderConfig::parse(&MAIN[..cut]).is_err(), "{cut} bytes");
        }
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..4000 {
            let mut record = MAIN.to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..record.len());
                record[at] = random.u8(..);
            }
            if let Ok(config) = DecoderConfig::parse(&record) {
                let _ = config.video_config();
                assert!(config.write().is_ok());
            }
        }
    }
}
