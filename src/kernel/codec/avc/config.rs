//! AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1): the payload of an AVC sequence header.

use bytes::Bytes;

use super::{Sps, level_name, nal_type, nal_type_of, profile_name};
use crate::core::limits::PARAMETER_SETS;
use crate::kernel::buf::{Put, Reader};
use crate::kernel::codec::nal::{self, LengthSize};
use crate::kernel::codec::{VideoCodec, VideoConfig};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// What an AVC decoder needs before the first picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// AVCProfileIndication: profile_idc.
    pub profile_idc: u8,
    /// profile_compatibility: the constraint flags.
    pub compatibility: u8,
    /// AVCLevelIndication: level_idc.
    pub level_idc: u8,
    /// How the lengths before NAL units are written.
    pub length_size: LengthSize,
    /// Sequence parameter sets, whole NAL units.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, whole NAL units.
    pub pps: Vec<Bytes>,
}

impl DecoderConfig {
    /// Reads a record. configurationVersion and what follows the picture parameter sets are passed over: encoders get
    /// them wrong, and no player needs them. Fails with [`ErrorCode::HlsDecode`]; with
    /// [`ErrorCode::AvcTryOthers`] on parameter sets behind start codes, which some encoders send in place of a record.
    pub fn parse(record: &[u8]) -> Result<Self> {
        if nal::is_annex_b(record) {
            return Err(Error::new(
                ErrorCode::AvcTryOthers,
                "AVC sequence header has start codes and is no configuration record",
            ));
        }
        let mut reader = Reader::new(record, ErrorCode::HlsDecode);
        reader.skip(1, "configurationVersion")?;
        let profile_idc = reader.u8("AVCProfileIndication")?;
        let compatibility = reader.u8("profile_compatibility")?;
        let level_idc = reader.u8("AVCLevelIndication")?;
        let length_size = LengthSize::from_minus_one(reader.u8("lengthSizeMinusOne")?)?;
        let sps_count = reader.u8("numOfSequenceParameterSets")? & 0x1f;
        let sps = parameter_sets(&mut reader, sps_count, "sequenceParameterSetNALUnit")?;
        let pps_count = reader.u8("numOfPictureParameterSets")?;
        let pps = parameter_sets(&mut reader, pps_count, "pictureParameterSetNALUnit")?;
        Ok(DecoderConfig {
            profile_idc,
            compatibility,
            level_idc,
            length_size,
            sps,
            pps,
        })
    }

    /// Makes a record of parameter sets that came by themselves, as in MPEG-TS and RTP. Other NAL units are left out.
    /// Fails with [`ErrorCode::AvcNaluEmpty`] without an SPS, and as [`Sps::parse`] does.
    pub fn from_nals<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> Result<Self> {
        let (mut sps, mut pps) = (Vec::new(), Vec::new());
        for nal in nals {
            let sets = match nal_type_of(nal) {
                Some(nal_type::SPS) => &mut sps,
                Some(nal_type::PPS) => &mut pps,
                _ => continue,
            };
            if sets.len() < PARAMETER_SETS && !sets.iter().any(|old: &Bytes| old == nal) {
                sets.push(Bytes::copy_from_slice(nal));
            }
        }
        let Some(first) = sps.first() else {
            return Err(Error::new(ErrorCode::AvcNaluEmpty, "no SPS among the NAL units"));
        };
        let parsed = Sps::parse(first)?;
        Ok(DecoderConfig {
            profile_idc: parsed.profile_idc,
            compatibility: parsed.constraint_flags,
            level_idc: parsed.level_idc,
            length_size: LengthSize::FOUR,
            sps,
            pps,
        })
    }

    /// Writes the record. Fails with [`ErrorCode::HlsDecode`] on more than 31 SPS or 255 PPS, or on a set above 64 KB.
    pub fn write(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        out.put_slice(&[1, self.profile_idc, self.compatibility, self.level_idc]);
        out.put_u8(0xfc | self.length_size.minus_one());
        put_parameter_sets(&mut out, 0xe0, 31, &self.sps).wrap("write SPS")?;
        put_parameter_sets(&mut out, 0, 255, &self.pps).wrap("write PPS")?;
        if !matches!(self.profile_idc, 66 | 77 | 88)
            && let Some(sps) = self.sps.first()
        {
            let sps = Sps::parse(sps)?;
            out.put_u8(0xfc | sps.chroma_format);
            out.put_u8(0xf8 | sps.bit_depth_luma.saturating_sub(8));
            out.put_u8(0xf8 | sps.bit_depth_chroma.saturating_sub(8));
            out.put_u8(0);
        }
        Ok(out)
    }

    /// What the first SPS says. Fails with [`ErrorCode::AvcNaluEmpty`] if there is none, and as [`Sps::parse`] does.
    pub fn video_config(&self) -> Result<VideoConfig> {
        let Some(sps) = self.sps.first() else {
            return Err(Error::new(ErrorCode::AvcNaluEmpty, "AVC configuration has no SPS"));
        };
        let sps = Sps::parse(sps).wrap("SPS of AVC configuration")?;
        Ok(VideoConfig {
            codec: VideoCodec::H264,
            width: sps.width,
            height: sps.height,
            profile: profile_name(self.profile_idc),
            level: level_name(self.level_idc),
            frame_rate: sps.frame_rate,
        })
    }
}

fn parameter_sets(reader: &mut Reader<'_>, count: u8, field: &'static str) -> Result<Vec<Bytes>> {
    if usize::from(count) > PARAMETER_SETS {
        return Err(Error::new(
            ErrorCode::HlsDecode,
            format!("{field} comes {count} times, at most {PARAMETER_SETS} are kept"),
        ));
    }
    let mut sets = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let length = reader.u16(field)?;
        let nal = reader.bytes(usize::from(length), field)?;
        if nal.is_empty() {
            return Err(Error::new(ErrorCode::AvcNaluEmpty, format!("{field} has 0 bytes")));
        }
        sets.push(Bytes::copy_from_slice(nal));
    }
    Ok(sets)
}

fn put_parameter_sets(out: &mut Vec<u8>, reserved: u8, max: u8, sets: &[Bytes]) -> Result<()> {
    let count = u8::try_from(sets.len()).ok().filter(|count| *count <= max);
    let Some(count) = count else {
        return Err(Error::new(
            ErrorCode::HlsDecode,
            format!("{} parameter sets, at most {max} fit", sets.len()),
        ));
    };
    out.put_u8(reserved | count);
    for set in sets {
        let length = u16::try_from(set.len()).map_err(|_| {
            Error::new(
                ErrorCode::HlsDecode,
                format!("parameter set of {} bytes, at most 65535 fit", set.len()),
            )
        })?;
        out.put_u16(length);
        out.put_slice(set);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 322x182 at 25 pictures a second, High 1.3, by libx264.
    const HIGH: &[u8] = &[
        0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x51, 0x9e, 0x22,
        0x6c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0x65, 0x80, 0x01, 0x00,
        0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
    ];
    /// 1920x1080, Constrained Baseline 4, by libx264.
    const BASELINE: &[u8] = &[
        0x01, 0x42, 0xc0, 0x28, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5,
        0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20, 0x01, 0x00,
        0x05, 0x68, 0xcb, 0x83, 0xcb, 0x20,
    ];

    #[test]
    fn records_of_libx264_are_understood() {
        let config = DecoderConfig::parse(HIGH).unwrap();
        assert_eq!((config.sps.len(), config.pps.len()), (1, 1));
        assert_eq!(config.length_size, LengthSize::FOUR);
        let video = config.video_config().unwrap();
        assert_eq!((video.width, video.height), (322, 182));
        assert_eq!(
            (video.profile, video.level, video.frame_rate),
            ("High", "1.3", Some(25.0))
        );
        let video = DecoderConfig::parse(BASELINE).unwrap().video_config().unwrap();
        assert_eq!((video.width, video.height), (1920, 1080));
        assert_eq!(
            (video.profile, video.level, video.frame_rate),
            ("Baseline", "4", Some(30.0))
        );
    }

    #[test]
    fn a_record_is_written_as_libx264_writes_it() {
        for record in [HIGH, BASELINE] {
            let config = DecoderConfig::parse(record).unwrap();
            assert_eq!(config.write().unwrap(), record);
            let sets = config.sps.iter().chain(&config.pps).map(|set| &set[..]);
            let twice = sets.clone().chain(sets).chain([&[0x65, 0x88][..], &[]]);
            assert_eq!(DecoderConfig::from_nals(twice).unwrap(), config);
        }
        assert!(DecoderConfig::from_nals([&[0x68, 0xeb][..]]).is_err());
        let mut config = DecoderConfig::parse(BASELINE).unwrap();
        config.sps = vec![config.sps[0].clone(); 32];
        assert!(config.write().is_err());
        config.sps = vec![vec![0x67; 65_536].into()];
        assert!(config.write().is_err());
    }

    #[test]
    fn faults_are_named() {
        let parse = |record: &[u8]| DecoderConfig::parse(record).unwrap_err();
        let mut three = HIGH.to_vec();
        three[4] = 0xfe;
        assert_eq!(parse(&three).message(), "lengthSizeMinusOne is 2");
        let mut empty = HIGH.to_vec();
        empty[7] = 0;
        assert_eq!(parse(&empty).code(), ErrorCode::AvcNaluEmpty);
        assert_eq!(parse(&[0, 0, 0, 1, 0x67]).code(), ErrorCode::AvcTryOthers);
        assert!(
            parse(&[1, 0x64, 0, 0x0d, 0xff, 0xe0, 0xff])
                .message()
                .contains("255 times")
        );
        let none = DecoderConfig::parse(&[1, 0x64, 0, 0x0d, 0xff, 0xe0, 0]).unwrap();
        assert_eq!(none.video_config().unwrap_err().code(), ErrorCode::AvcNaluEmpty);
    }

    #[test]
    fn cut_and_changed_records_never_panic() {
        // The last four bytes are the extension of the High profiles, which is not looked at.
        for cut in 0..HIGH.len() - 4 {
            assert!(DecoderConfig::parse(&HIGH[..cut]).is_err(), "{cut} bytes");
        }
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..4000 {
            let mut record = HIGH.to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..record.len());
                record[at] = random.u8(..);
            }
            if let Ok(config) = DecoderConfig::parse(&record) {
                let _ = config.video_config();
                let _ = config.write();
            }
        }
    }
}
