//! Pictures: sequence headers to track configurations, messages to samples.

use bytes::Bytes;

use super::codec_string;
use super::sample_entry::{Shape, TrackConfig};
use crate::kernel::codec::nal::{self, AnnexBNals, AvccNals, LengthSize};
use crate::kernel::codec::{Codec, VideoCodec, VideoConfig, av1, avc, hevc, vp9};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// Ticks a second: milliseconds, and the parts of them that enhanced RTMP can tell, without rounding that adds up.
pub const VIDEO_TIMESCALE: u32 = 90_000;

/// What a video sequence header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    config: TrackConfig,
    codec: VideoCodec,
    /// How NAL units come; none for codecs that have none.
    nals: Option<Wrapping>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wrapping {
    length_size: LengthSize,
    /// The publisher puts start codes where lengths belong.
    annex_b: bool,
}

/// A decoder's configuration, as it goes into a sample entry.
struct Record {
    video: VideoConfig,
    codec_string: String,
    entry: &'static [u8; 4],
    config_box: &'static [u8; 4],
    bytes: Vec<u8>,
    nals: Option<Wrapping>,
}

impl VideoFormat {
    /// Whether there is a sample entry for a codec.
    pub fn carries(codec: VideoCodec) -> bool {
        matches!(
            codec,
            VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Av1 | VideoCodec::Vp9
        )
    }

    /// Reads the payload of a sequence header; parameter sets behind start codes are taken too. None for a codec that we
    /// do not put into MP4. Fails with the codes of the codec's parser, and with [`ErrorCode::HlsDecode`] on pictures
    /// whose sides need more than 16 bits.
    pub fn parse(codec: VideoCodec, header: &[u8]) -> Result<Option<Self>> {
        let record = match codec {
            VideoCodec::H264 => avc_record(header).wrap("AVC sequence header for MP4")?,
            VideoCodec::Hevc => hevc_record(header).wrap("HEVC sequence header for MP4")?,
            VideoCodec::Av1 => av1_record(header).wrap("AV1 sequence header for MP4")?,
            VideoCodec::Vp9 => vp9_record(header).wrap("VP9 sequence header for MP4")?,
            _ => return Ok(None),
        };
        let shape = shape_of(record.video.width, record.video.height)?;
        Ok(Some(VideoFormat {
            config: TrackConfig {
                codec: Codec::Video(codec),
                codec_string: record.codec_string,
                timescale: VIDEO_TIMESCALE,
                default_duration: 0,
                shape,
                entry: record.entry,
                config_box: record.config_box,
                config: record.bytes.into(),
            },
            codec,
            nals: record.nals,
        }))
    }

    /// The track; none as long as the size of the pictures is not known.
    pub fn config(&self) -> Option<&TrackConfig> {
        match self.config.shape {
            Shape::Video { width: 0, .. } | Shape::Video { height: 0, .. } => None,
            _ => Some(&self.config),
        }
    }

    /// Whether both come from the same sequence header, whatever a keyframe told besides.
    pub fn is_same_header(&self, other: &VideoFormat) -> bool {
        let header = |format: &VideoFormat| (format.codec, format.nals);
        header(self) == header(other) && self.config.config == other.config.config
    }

    /// Whether it is for messages of this codec.
    pub fn is_of(&self, codec: Option<VideoCodec>) -> bool {
        codec == Some(self.codec)
    }

    /// Takes the size from the payload of a keyframe, where the sequence header has none. Fails with
    /// [`ErrorCode::HlsDecode`].
    pub fn learn_size(&mut self, keyframe: &[u8]) -> Result<()> {
        if self.config().is_some() {
            return Ok(());
        }
        let size = match self.codec {
            VideoCodec::Vp9 => vp9::KeyframeHeader::parse(keyframe)?.map(|header| (header.width, header.height)),
            VideoCodec::Av1 => av1::SequenceHeader::find(keyframe)
                .ok()
                .map(|header| (header.width, header.height)),
            _ => None,
        };
        if let Some((width, height)) = size {
            self.config.shape = shape_of(width, height)?;
        }
        Ok(())
    }

    /// The sample in a coded message; `payload` is a part of `message`. NAL units stand behind lengths of four bytes,
    /// however they came. None if there is nothing in it. Fails with [`ErrorCode::HlsAvcFrame`] on a length beyond its
    /// end.
    pub fn sample(&self, message: &Bytes, payload: &[u8]) -> Result<Option<Bytes>> {
        if payload.is_empty() {
            return Ok(None);
        }
        let Some(wrapping) = self.nals else {
            return Ok(Some(message.slice_ref(payload)));
        };
        let starts_with_code = nal::is_annex_b(payload);
        if wrapping.annex_b && starts_with_code {
            return from_start_codes(payload);
        }
        match from_lengths(message, payload, wrapping.length_size) {
            Err(error) if error.code() == ErrorCode::HlsAvcFrame && starts_with_code => from_start_codes(payload),
            sample => sample,
        }
    }
}

fn shape_of(width: u32, height: u32) -> Result<Shape> {
    match (u16::try_from(width), u16::try_from(height)) {
        (Ok(width), Ok(height)) => Ok(Shape::Video { width, height }),
        _ => Err(Error::new(
            ErrorCode::HlsDecode,
            format!("pictures of {width}x{height} do not fit into MP4"),
        )),
    }
}

/// As it came where that is as MP4 has it.
fn from_lengths(message: &Bytes, payload: &[u8], size: LengthSize) -> Result<Option<Bytes>> {
    let mut bytes = 0;
    for nal in AvccNals::new(payload, size) {
        bytes += 4 + nal?.len();
    }
    if bytes == 0 {
        return Ok(None);
    }
    if size == LengthSize::FOUR && bytes == payload.len() {
        return Ok(Some(message.slice_ref(payload)));
    }
    let mut sample = Vec::with_capacity(bytes);
    for nal in AvccNals::new(payload, size) {
        nal::put_avcc(&mut sample, nal?)?;
    }
    Ok(Some(sample.into()))
}

fn from_start_codes(payload: &[u8]) -> Result<Option<Bytes>> {
    let mut sample = Vec::with_capacity(payload.len() + 4);
    for nal in AnnexBNals::new(payload) {
        nal::put_avcc(&mut sample, nal)?;
    }
    Ok((!sample.is_empty()).then(|| sample.into()))
}

fn avc_record(header: &[u8]) -> Result<Record> {
    let annex_b = nal::is_annex_b(header);
    let mut config = if annex_b {
        avc::DecoderConfig::from_nals(AnnexBNals::new(header))?
    } else {
        avc::DecoderConfig::parse(header)?
    };
    let length_size = std::mem::replace(&mut config.length_size, LengthSize::FOUR);
    Ok(Record {
        video: config.video_config()?,
        codec_string: codec_string::avc(config.profile_idc, config.compatibility, config.level_idc),
        entry: b"avc1",
        config_box: b"avcC",
        bytes: config.write()?,
        nals: Some(Wrapping { length_size, annex_b }),
    })
}

fn hevc_record(header: &[u8]) -> Result<Record> {
    let annex_b = nal::is_annex_b(header);
    let mut config = if annex_b {
        hevc::DecoderConfig::from_nals(AnnexBNals::new(header))?
    } else {
        hevc::DecoderConfig::parse(header)?
    };
    let length_size = std::mem::replace(&mut config.length_size, LengthSize::FOUR);
    for array in &mut config.arrays {
        // `hvc1` demands it: parameter sets that samples repeat are the same ones.
        array.complete |= (hevc::nal_type::VPS..=hevc::nal_type::PPS).contains(&array.nal_type);
    }
    Ok(Record {
        video: config.video_config()?,
        codec_string: codec_string::hevc(&config.general),
        entry: b"hvc1",
        config_box: b"hvcC",
        bytes: config.write()?,
        nals: Some(Wrapping { length_size, annex_b }),
    })
}

fn av1_record(header: &[u8]) -> Result<Record> {
    let config = av1::DecoderConfig::parse(header)?;
    Ok(Record {
        video: config.video_config()?,
        codec_string: codec_string::av1(&config),
        entry: b"av01",
        config_box: b"av1C",
        bytes: config.write(),
        nals: None,
    })
}

fn vp9_record(header: &[u8]) -> Result<Record> {
    let config = vp9::DecoderConfig::parse(header)?;
    Ok(Record {
        video: config.video_config(),
        codec_string: codec_string::vp9(&config),
        entry: b"vp09",
        config_box: b"vpcC",
        // Version 1, no flags.
        bytes: [&[1, 0, 0, 0][..], &config.write()].concat(),
        nals: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 322x182, High 1.3, by libx264.
    const HIGH: &[u8] = &[
        0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x51, 0x9e, 0x22,
        0x6c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0x65, 0x80, 0x01, 0x00,
        0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
    ];

    fn parse(codec: VideoCodec, header: &[u8]) -> VideoFormat {
        VideoFormat::parse(codec, header).unwrap().unwrap()
    }

    fn sample(format: &VideoFormat, payload: &[u8]) -> Result<Option<Bytes>> {
        let message = Bytes::copy_from_slice(payload);
        format.sample(&message, &message)
    }

    #[test]
    fn avc_keeps_its_record_and_its_samples() {
        let format = parse(VideoCodec::H264, HIGH);
        let config = format.config().unwrap();
        assert_eq!(
            (&config.config[..], config.codec_string.as_str()),
            (HIGH, "avc1.64000d")
        );
        assert_eq!(
            config.shape,
            Shape::Video {
                width: 322,
                height: 182
            }
        );
        let message = Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x88, 0, 0, 0, 1, 0x41]);
        let kept = format.sample(&message, &message).unwrap().unwrap();
        assert_eq!(kept.as_ptr(), message.as_ptr(), "nothing is copied");
        assert_eq!(kept, message);
        assert!(format.is_of(Some(VideoCodec::H264)) && !format.is_of(Some(VideoCodec::Hevc)) && !format.is_of(None));
    }

    #[test]
    fn other_wrappings_become_lengths_of_four_bytes() {
        let whole = [0, 0, 0, 2, 0x65, 0x88, 0, 0, 0, 1, 0x41];
        let mut short = HIGH.to_vec();
        short[4] = 0xfd;
        let format = parse(VideoCodec::H264, &short);
        assert_eq!(format.config().unwrap().config, HIGH, "the record tells four bytes");
        assert_eq!(
            sample(&format, &[0, 2, 0x65, 0x88, 0, 1, 0x41]).unwrap().unwrap(),
            whole[..]
        );

        let sets = avc::DecoderConfig::parse(HIGH).unwrap();
        let mut start_codes = Vec::new();
        sets.sps
            .iter()
            .chain(&sets.pps)
            .for_each(|set| nal::put_annex_b(&mut start_codes, set));
        let format = parse(VideoCodec::H264, &start_codes);
        assert_eq!(format.config().unwrap().config, HIGH);
        let coded = [0, 0, 0, 1, 0x65, 0x88, 0, 0, 1, 0x41];
        assert_eq!(sample(&format, &coded).unwrap().unwrap(), whole[..]);
        // A record, but start codes in the pictures.
        assert_eq!(
            sample(&parse(VideoCodec::H264, HIGH), &coded).unwrap().unwrap(),
            whole[..]
        );
        // Empty NAL units are left out: decoders stumble over them.
        let holes = [0, 0, 0, 0, 0, 0, 0, 1, 0x41];
        assert_eq!(sample(&format, &holes).unwrap().unwrap(), [0, 0, 0, 1, 0x41][..]);
        assert_eq!(sample(&format, &holes[..4]).unwrap(), None);
        assert_eq!(sample(&format, &[]).unwrap(), None);
        assert!(sample(&format, &[0, 0, 9, 1, 0x41]).is_err());
    }

    #[test]
    fn vp9_learns_its_size_from_a_keyframe() {
        let mut format = parse(VideoCodec::Vp9, &[0, 31, 0x82, 2, 2, 2, 0, 0]);
        assert_eq!(format.config(), None);
        format.learn_size(&[0x84, 0]).unwrap();
        assert_eq!(format.config(), None);
        // Profile 0, keyframe, colours, 320x180.
        format
            .learn_size(&[0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30, 0])
            .unwrap();
        let config = format.config().unwrap();
        assert_eq!(
            config.shape,
            Shape::Video {
                width: 320,
                height: 180
            }
        );
        assert_eq!(config.config[..], [1, 0, 0, 0, 0, 31, 0x82, 2, 2, 2, 0, 0]);
        let frame = sample(&format, &[0x84, 0]).unwrap().unwrap();
        assert_eq!(frame[..], [0x84, 0]);
        assert!(format.learn_size(&[]).is_ok());
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        assert!(VideoFormat::parse(VideoCodec::Vp8, &[]).unwrap().is_none());
        for codec in [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1, VideoCodec::Vp9] {
            assert!(VideoFormat::carries(codec));
            assert!(VideoFormat::parse(codec, &[1, 2, 3]).is_err());
        }
        let mut format = parse(VideoCodec::Vp9, &[0, 31, 0x82, 2, 2, 2, 0, 0]);
        let largest = [0x82, 0x49, 0x83, 0x42, 0x0f, 0xff, 0xff, 0xff, 0xf0, 0];
        assert!(format.learn_size(&largest).is_err(), "65,536 pixels");
    }

    #[test]
    fn cut_and_changed_pictures_never_panic() {
        let format = parse(VideoCodec::H264, HIGH);
        let mut random = fastrand::Rng::with_seed(31);
        for _ in 0..4000 {
            let bytes: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..4)).collect();
            if let Ok(Some(sample)) = sample(&format, &bytes) {
                assert!(AvccNals::new(&sample, LengthSize::FOUR).all(|nal| nal.is_ok()));
            }
            let mut header = HIGH.to_vec();
            let at = random.usize(..header.len());
            header[at] = random.u8(..);
            let _ = VideoFormat::parse(VideoCodec::H264, &header);
        }
    }
}
