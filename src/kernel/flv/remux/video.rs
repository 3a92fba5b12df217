//! Access units of AVC and HEVC become sequence headers and coded messages.

use super::sets::{NalCodec, ParameterSets, Role};
use super::timestamp;
use crate::kernel::codec::{VideoCodec, avc, hevc, nal};
use crate::kernel::error::Result;
use crate::kernel::flv::body::Picture;
use crate::kernel::frame::{Frame, Kind};

/// When an access unit is decoded and shown, ticks of 90 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// DTS.
    pub decoding: i64,
    /// PTS.
    pub presentation: i64,
}

/// Makes messages of one video stream.
#[derive(Clone, Debug)]
pub struct VideoRemuxer {
    codec: NalCodec,
    sets: ParameterSets,
    /// The sets are not told yet as they are now.
    sets_changed: bool,
    /// A sequence header and a keyframe are out.
    is_started: bool,
}

impl VideoRemuxer {
    /// For a codec with NAL units, AVC or HEVC; none for others.
    pub fn new(codec: VideoCodec) -> Option<Self> {
        let codec = NalCodec::of(codec)?;
        Some(VideoRemuxer {
            codec,
            sets: ParameterSets::new(codec),
            sets_changed: false,
            is_started: false,
        })
    }

    /// Takes parameter sets that were told beforehand, as in SDP.
    pub fn set_parameters<'a>(&mut self, nals: impl Iterator<Item = &'a [u8]>) {
        self.sets_changed |= self.sets.update(nals);
    }

    /// Appends the messages of an access unit: a sequence header if its parameter sets are new, then the pictures.
    /// Nothing comes out before the parameter sets and a keyframe.
    ///
    /// Fails with [`crate::kernel::error_code::ErrorCode::CasterTsAvcSps`] or `CasterTsHevcSps` on an SPS that makes no
    /// sense, and with `HlsAvcFrame` on a NAL unit above 4 GB; the access unit is dropped then.
    pub fn access_unit<'a>(
        &mut self,
        times: Times,
        nals: impl Iterator<Item = &'a [u8]> + Clone,
        out: &mut Vec<Frame>,
    ) -> Result<()> {
        self.sets_changed |= self.sets.update(nals.clone());
        let keyframe = self.is_keyframe(nals.clone());
        if !self.sets.is_complete() || !(self.is_started || keyframe) {
            return Ok(());
        }
        let time = timestamp(times.decoding);
        if self.sets_changed {
            let mut body = Vec::new();
            self.put_start(Picture::Header, &mut body);
            body.extend(self.sets.record()?);
            self.sets_changed = false;
            out.push(Frame::new(Kind::Video, time, body.into()));
        }
        let picture = Picture::Coded {
            keyframe,
            composition_ms: timestamp(times.presentation).wrapping_sub(time) as i32,
        };
        let coded = nals.filter(|nal| self.codec.role(nal) == Role::Coded);
        let bytes: usize = coded.clone().map(|nal| nal.len() + 4).sum();
        if bytes == 0 {
            return Ok(());
        }
        let mut body = Vec::with_capacity(8 + bytes);
        self.put_start(picture, &mut body);
        for nal in coded {
            nal::put_avcc(&mut body, nal)?;
        }
        self.is_started = true;
        out.push(Frame::new(Kind::Video, time, body.into()));
        Ok(())
    }

    fn put_start(&self, picture: Picture, body: &mut Vec<u8>) {
        match self.codec {
            NalCodec::Avc => picture.put_avc(body),
            NalCodec::Hevc => picture.put_hevc(body),
        }
    }

    /// Pictures that decoding can start with; in AVC also those behind a recovery point, as broadcasters and open GOPs
    /// have no others.
    fn is_keyframe<'a>(&self, nals: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        match self.codec {
            NalCodec::Avc => {
                let mut all = nals.clone();
                avc::is_keyframe(nals.clone())
                    || (all.any(|nal| self.codec.role(nal) == Role::Sps) && nals.clone().any(avc::is_recovery_point))
            }
            NalCodec::Hevc => hevc::is_keyframe(nals),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::codec::VideoConfig;
    use crate::kernel::codec::nal::AvccNals;
    use crate::kernel::codec::nal::LengthSize;
    use crate::kernel::error_code::ErrorCode;
    use crate::kernel::flv::video::VideoTag;

    /// 64x48 Main by x264.
    const SPS: &[u8] = b"\x67\x4d\x40\x0a\xf2\x08\xf6\x02\x20\x00\x00\x03\x00\x20\x00\x00\x03\x02\x81\xe2\x44\xa2\x40";
    const PPS: &[u8] = b"\x68\xeb\xe0\x4d\x2c\x80";

    fn times(decoding_ms: i64, composition_ms: i64) -> Times {
        Times {
            decoding: decoding_ms * 90,
            presentation: (decoding_ms + composition_ms) * 90,
        }
    }

    fn remux(units: &[(Times, &[&[u8]])]) -> Vec<Frame> {
        let (mut remuxer, mut out) = (VideoRemuxer::new(VideoCodec::H264).unwrap(), Vec::new());
        for (times, nals) in units {
            remuxer.access_unit(*times, nals.iter().copied(), &mut out).unwrap();
        }
        out
    }

    #[test]
    fn a_header_goes_before_the_first_keyframe_and_when_it_changes() {
        let key: &[&[u8]] = &[&[9, 0xf0], SPS, PPS, &[6, 1], &[0x65, 1, 2]];
        let new_pps: &[u8] = b"\x68\xee\x3c\x80";
        let frames = remux(&[
            (times(0, 0), &[&[0x41, 9]]),
            (times(40, 80), key),
            (times(80, -10), &[&[0x41, 3], &[0x41, 4]]),
            (times(120, 0), key),
            (times(160, 0), &[SPS, new_pps, &[0x65, 5]]),
        ]);
        let seen: Vec<_> = frames
            .iter()
            .map(|frame| (frame.timestamp, frame.facts.sequence_header))
            .collect();
        assert_eq!(
            seen,
            [
                (40, true),
                (40, false),
                (80, false),
                (120, false),
                (160, true),
                (160, false)
            ]
        );
        let header = VideoTag::parse(&frames[0].payload).unwrap();
        let config = VideoConfig::parse(VideoCodec::H264, header.payload).unwrap();
        assert_eq!((config.width, config.height), (64, 48));
        let tag = VideoTag::parse(&frames[1].payload).unwrap();
        assert!(tag.is_keyframe() && tag.composition_time == 80);
        let nals: Vec<&[u8]> = AvccNals::new(tag.payload, LengthSize::FOUR)
            .map(Result::unwrap)
            .collect();
        assert_eq!(nals, [&[6, 1][..], &[0x65, 1, 2]]);
        let tag = VideoTag::parse(&frames[2].payload).unwrap();
        assert!(!tag.is_keyframe() && tag.composition_time == -10);
    }

    #[test]
    fn a_recovery_point_starts_a_stream_without_idr() {
        let open_gop: &[&[u8]] = &[SPS, PPS, &[6, 6, 1, 0xc4, 0x80], &[0x41, 7]];
        let frames = remux(&[(times(0, 0), open_gop)]);
        assert!(frames[0].facts.sequence_header && frames[1].facts.keyframe);
        assert!(remux(&[(times(0, 0), &[SPS, PPS, &[0x41, 7]])]).is_empty());
    }

    #[test]
    fn sets_told_beforehand_count() {
        let (mut remuxer, mut out) = (VideoRemuxer::new(VideoCodec::H264).unwrap(), Vec::new());
        remuxer.set_parameters([SPS, PPS].into_iter());
        let nals: [&[u8]; 1] = [&[0x65, 1]];
        remuxer.access_unit(times(7, 0), nals.into_iter(), &mut out).unwrap();
        assert!(out[0].facts.sequence_header && out[1].facts.keyframe);
        assert!(VideoRemuxer::new(VideoCodec::Vp9).is_none());
    }

    #[test]
    fn an_sps_that_makes_no_sense_is_a_fault_each_time() {
        let (mut remuxer, mut out) = (VideoRemuxer::new(VideoCodec::H264).unwrap(), Vec::new());
        let nals: [&[u8]; 3] = [&[0x67, 1], PPS, &[0x65, 1]];
        for _ in 0..2 {
            let error = remuxer
                .access_unit(times(0, 0), nals.into_iter(), &mut out)
                .unwrap_err();
            assert_eq!(error.code(), ErrorCode::CasterTsAvcSps);
        }
        assert!(out.is_empty());
        let nals = [SPS, PPS, &[0x65, 1]];
        remuxer.access_unit(times(0, 0), nals.into_iter(), &mut out).unwrap();
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn times_before_zero_wrap() {
        let frames = remux(&[(times(-40, 80), &[SPS, PPS, &[0x65, 1]])]);
        assert_eq!(frames[1].timestamp, u32::MAX - 39);
        assert_eq!(VideoTag::parse(&frames[1].payload).unwrap().composition_time, 80);
    }
}
