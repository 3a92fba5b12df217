//! Pictures as access units of a byte stream: NAL units behind start codes, an access unit delimiter first, parameter sets
//! before each picture that decoding can start with (ISO/IEC 13818-1, 2.14 and 2.17; annex B of ITU-T H.264 and H.265).

use super::psi::StreamType;
use crate::kernel::codec::nal::{self, AnnexBNals, AvccNals, LengthSize};
use crate::kernel::codec::{VideoCodec, avc, hevc};
use crate::kernel::error::{Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// Any slice type may follow (primary_pic_type 7).
const AVC_DELIMITER: [u8; 2] = [0x09, 0xf0];
/// Slices of type I, P and B may follow (pic_type 2).
const HEVC_DELIMITER: [u8; 3] = [0x46, 0x01, 0x50];

/// What a video sequence header says, ready to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    codec: Codec,
    length_size: LengthSize,
    /// The parameter sets behind start codes.
    sets: Vec<u8>,
    /// The publisher puts start codes where lengths belong.
    annex_b: bool,
}

/// Those that go into a transport stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Avc,
    Hevc,
}

impl VideoFormat {
    /// Reads the payload of a sequence header; parameter sets behind start codes are taken too. None for a codec that we
    /// do not put into a transport stream. Fails with the codes of the codec's parser.
    pub fn parse(codec: VideoCodec, record: &[u8]) -> Result<Option<Self>> {
        let annex_b = nal::is_annex_b(record);
        let mut sets = Vec::new();
        let (codec, length_size) = match codec {
            VideoCodec::H264 => {
                let config = if annex_b {
                    avc::DecoderConfig::from_nals(AnnexBNals::new(record))
                } else {
                    avc::DecoderConfig::parse(record)
                };
                let config = config.wrap("AVC sequence header for TS")?;
                for set in config.sps.iter().chain(&config.pps) {
                    nal::put_annex_b(&mut sets, set);
                }
                (Codec::Avc, config.length_size)
            }
            VideoCodec::Hevc => {
                let config = if annex_b {
                    hevc::DecoderConfig::from_nals(AnnexBNals::new(record))
                } else {
                    hevc::DecoderConfig::parse(record)
                };
                let config = config.wrap("HEVC sequence header for TS")?;
                for kind in [hevc::nal_type::VPS, hevc::nal_type::SPS, hevc::nal_type::PPS] {
                    for set in config.nals(kind) {
                        nal::put_annex_b(&mut sets, set);
                    }
                }
                (Codec::Hevc, config.length_size)
            }
            _ => return Ok(None),
        };
        Ok(Some(VideoFormat {
            codec,
            length_size,
            sets,
            annex_b,
        }))
    }

    /// How the program map tells it.
    pub fn stream_type(&self) -> StreamType {
        match self.codec {
            Codec::Avc => StreamType::H264,
            Codec::Hevc => StreamType::Hevc,
        }
    }

    /// Whether it is for messages of this codec.
    pub fn is_of(&self, codec: Option<VideoCodec>) -> bool {
        match self.codec {
            Codec::Avc => codec == Some(VideoCodec::H264),
            Codec::Hevc => codec == Some(VideoCodec::Hevc),
        }
    }

    /// Looks through the payload of a coded message; `keyframe` is what its header says. None if no NAL unit is in it.
    /// Fails with [`ErrorCode::HlsAvcFrame`] on a length beyond its end.
    pub fn access_unit<'a>(&self, payload: &'a [u8], keyframe: bool) -> Result<Option<AccessUnit<'a>>> {
        let lengths = Nals::Lengths(AvccNals::new(payload, self.length_size));
        let start_codes = Nals::StartCodes(AnnexBNals::new(payload));
        let starts_with_code = nal::is_annex_b(payload);
        if self.annex_b && starts_with_code {
            return self.look_through(start_codes, keyframe);
        }
        match self.look_through(lengths, keyframe) {
            Err(error) if error.code() == ErrorCode::HlsAvcFrame && starts_with_code => {
                self.look_through(start_codes, keyframe)
            }
            unit => unit,
        }
    }

    /// Appends a picture that [`access_unit`](Self::access_unit) gave. The sequence header's parameter sets go in where
    /// decoding can start, unless the publisher sends its own there; those may be newer.
    pub fn put(&self, unit: AccessUnit<'_>, out: &mut Vec<u8>) {
        match self.codec {
            Codec::Avc => nal::put_annex_b(out, &AVC_DELIMITER),
            Codec::Hevc => nal::put_annex_b(out, &HEVC_DELIMITER),
        }
        if unit.random_access && !unit.has_sets {
            out.extend_from_slice(&self.sets);
        }
        for nal in unit.nals.flatten() {
            match self.role(nal) {
                Role::Delimiter => {}
                Role::SequenceSet | Role::OtherSet => nal::put_annex_b(out, nal),
                // Only the first NAL unit and parameter sets need the fourth byte.
                Role::RandomAccess | Role::Other => {
                    out.extend_from_slice(&nal::START_CODE[1..]);
                    out.extend_from_slice(nal);
                }
            }
        }
    }

    fn look_through<'a>(&self, nals: Nals<'a>, keyframe: bool) -> Result<Option<AccessUnit<'a>>> {
        let mut unit = AccessUnit {
            nals: nals.clone(),
            random_access: keyframe,
            has_sets: false,
        };
        let mut any = false;
        for nal in nals {
            match self.role(nal?) {
                Role::Delimiter => continue,
                Role::SequenceSet => unit.has_sets = true,
                Role::RandomAccess => unit.random_access = true,
                Role::OtherSet | Role::Other => {}
            }
            any = true;
        }
        Ok(any.then_some(unit))
    }

    fn role(&self, nal: &[u8]) -> Role {
        match self.codec {
            Codec::Avc => match avc::nal_type_of(nal) {
                Some(avc::nal_type::ACCESS_UNIT_DELIMITER) => Role::Delimiter,
                Some(avc::nal_type::SPS) => Role::SequenceSet,
                Some(avc::nal_type::PPS) => Role::OtherSet,
                Some(avc::nal_type::IDR) => Role::RandomAccess,
                _ => Role::Other,
            },
            Codec::Hevc => match hevc::nal_type_of(nal) {
                Some(hevc::nal_type::ACCESS_UNIT_DELIMITER) => Role::Delimiter,
                Some(hevc::nal_type::SPS) => Role::SequenceSet,
                Some(hevc::nal_type::VPS | hevc::nal_type::PPS) => Role::OtherSet,
                Some(hevc::nal_type::IRAP_FIRST..=hevc::nal_type::IRAP_LAST) => Role::RandomAccess,
                _ => Role::Other,
            },
        }
    }
}

/// What a NAL unit means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Delimiter,
    SequenceSet,
    OtherSet,
    RandomAccess,
    Other,
}

/// One picture, looked through and found whole.
#[derive(Clone, Debug)]
pub struct AccessUnit<'a> {
    nals: Nals<'a>,
    random_access: bool,
    has_sets: bool,
}

impl AccessUnit<'_> {
    /// Whether decoding can start with it.
    pub fn is_random_access(&self) -> bool {
        self.random_access
    }
}

/// NAL units in either wrapping.
#[derive(Clone, Debug)]
enum Nals<'a> {
    Lengths(AvccNals<'a>),
    StartCodes(AnnexBNals<'a>),
}

impl<'a> Iterator for Nals<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Nals::Lengths(nals) => nals.next(),
            Nals::StartCodes(nals) => nals.next().map(Ok),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Constrained Baseline, one SPS and one PPS.
    const AVC: &[u8] = &[
        0x01, 0x42, 0xc0, 0x28, 0xff, 0xe1, 0x00, 0x04, 0x67, 0x42, 0xc0, 0x28, 0x01, 0x00, 0x05, 0x68, 0xcb, 0x83,
        0xcb, 0x20,
    ];
    const SETS: &[u8] = &[
        0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x28, 0, 0, 0, 1, 0x68, 0xcb, 0x83, 0xcb, 0x20,
    ];
    const DELIMITER: &[u8] = &[0, 0, 0, 1, 0x09, 0xf0];

    fn avc() -> VideoFormat {
        VideoFormat::parse(VideoCodec::H264, AVC).unwrap().unwrap()
    }

    fn put(format: &VideoFormat, payload: &[u8], keyframe: bool) -> Option<Vec<u8>> {
        let unit = format.access_unit(payload, keyframe).unwrap()?;
        let mut out = Vec::new();
        format.put(unit, &mut out);
        Some(out)
    }

    #[test]
    fn a_keyframe_gets_delimiter_and_parameter_sets() {
        let key = put(&avc(), &[0, 0, 0, 2, 0x65, 0x88], false).unwrap();
        assert_eq!(key, [DELIMITER, SETS, &[0, 0, 1, 0x65, 0x88]].concat());
        let inter = put(&avc(), &[0, 0, 0, 2, 0x41, 0x9a], false).unwrap();
        assert_eq!(inter, [DELIMITER, &[0, 0, 1, 0x41, 0x9a]].concat());
        // Recovery by intra refresh: the publisher calls it a keyframe though no IDR picture is in it.
        let refresh = put(&avc(), &[0, 0, 0, 2, 0x41, 0x9a], true).unwrap();
        assert_eq!(refresh, [DELIMITER, SETS, &[0, 0, 1, 0x41, 0x9a]].concat());
    }

    #[test]
    fn what_the_publisher_sends_itself_is_not_sent_twice() {
        let own = [
            0, 0, 0, 2, 0x09, 0x10, 0, 0, 0, 2, 0x67, 0x64, 0, 0, 0, 2, 0x68, 0xee, 0, 0, 0, 2, 0x65, 0x88,
        ];
        let unit = put(&avc(), &own, true).unwrap();
        let expected = [0, 0, 0, 1, 0x67, 0x64, 0, 0, 0, 1, 0x68, 0xee, 0, 0, 1, 0x65, 0x88];
        assert_eq!(unit, [DELIMITER, &expected].concat());
        assert_eq!(put(&avc(), &[0, 0, 0, 2, 0x09, 0xf0], true), None);
        assert_eq!(put(&avc(), &[], true), None);
    }

    #[test]
    fn hevc_has_its_own_delimiter_and_order() {
        let mut record = vec![
            1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x78, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8,
        ];
        record.extend([0, 0, 0x0f, 3]);
        for kind in [0x22, 0x21, 0x20] {
            record.extend([0x80 | kind, 0, 1, 0, 3, kind << 1, 1, kind]);
        }
        let format = VideoFormat::parse(VideoCodec::Hevc, &record).unwrap().unwrap();
        assert_eq!(format.stream_type(), StreamType::Hevc);
        assert!(format.is_of(Some(VideoCodec::Hevc)) && !format.is_of(Some(VideoCodec::H264)));
        let key = put(&format, &[0, 0, 0, 3, 0x26, 1, 7], false).unwrap();
        let expected = [
            0, 0, 0, 1, 0x46, 1, 0x50, 0, 0, 0, 1, 0x40, 1, 0x20, 0, 0, 0, 1, 0x42, 1, 0x21, 0, 0, 0, 1, 0x44, 1, 0x22,
            0, 0, 1, 0x26, 1, 7,
        ];
        assert_eq!(key, expected);
    }

    #[test]
    fn start_codes_in_place_of_lengths_are_taken() {
        let key = [0, 0, 0, 1, 0x65, 0x88, 0x84, 0x21];
        let expected = [DELIMITER, SETS, &[0, 0, 1, 0x65, 0x88, 0x84, 0x21]].concat();
        assert_eq!(put(&avc(), &key, true).unwrap(), expected);
        assert!(VideoFormat::parse(VideoCodec::H264, &[0, 0, 1, 0x65, 1]).is_err());
        assert!(VideoFormat::parse(VideoCodec::Av1, &[]).unwrap().is_none());
    }

    #[test]
    fn cut_and_changed_pictures_never_panic() {
        let format = avc();
        let whole = [0, 0, 0, 2, 0x06, 0x80, 0, 0, 0, 3, 0x65, 0x88, 0x80];
        for cut in 0..whole.len() {
            let fine = matches!(cut, 0 | 6);
            assert_eq!(format.access_unit(&whole[..cut], true).is_ok(), fine, "{cut} bytes");
        }
        let mut random = fastrand::Rng::with_seed(21);
        for _ in 0..4000 {
            let bytes: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..4)).collect();
            if let Ok(Some(unit)) = format.access_unit(&bytes, random.bool()) {
                let mut out = Vec::new();
                format.put(unit, &mut out);
                assert!(out.len() <= 2 * bytes.len() + DELIMITER.len() + SETS.len());
            }
        }
    }
}
