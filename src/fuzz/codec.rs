//! Sequence headers, parameter sets and frames of the codecs, and the bit reader below them.

use super::checked;
use crate::core::limits::PICTURE_SIDE_PIXELS;
use crate::kernel::bits::{BitReader, remove_emulation_prevention};
use crate::kernel::codec::nal::{AnnexBNals, AvccNals, LengthSize, put_annex_b, put_avcc};
use crate::kernel::codec::{VideoConfig, aac, av1 as av1_codec, avc as avc_codec, flac, hevc as hevc_codec};
use crate::kernel::codec::{mp3, opus, vp8, vp9};
use crate::kernel::error_code::ErrorCode;

/// A configuration record of AVC, an SPS, or NAL units behind start codes.
///
/// Laws: a record that was parsed and written parses the same; sizes are within what a picture can have.
pub fn avc(input: &[u8]) {
    if let Some(sps) = checked(avc_codec::Sps::parse(input)) {
        assert!(sps.width <= PICTURE_SIDE_PIXELS && sps.height <= PICTURE_SIDE_PIXELS);
    }
    let made = checked(avc_codec::DecoderConfig::from_nals(AnnexBNals::new(input)));
    for config in [made, checked(avc_codec::DecoderConfig::parse(input))]
        .into_iter()
        .flatten()
    {
        check_picture(checked(config.video_config()));
        // Records with more or larger sets than fit cannot be written.
        if let Some(written) = checked(config.write()) {
            let again = avc_codec::DecoderConfig::parse(&written).expect("what we write is a record");
            assert_eq!(again, config);
        }
    }
    let nals = AnnexBNals::new(input).filter_map(avc_codec::nal_type_of);
    assert!(nals.into_iter().all(|nal_type| nal_type < 32));
}

/// A configuration record of HEVC, an SPS, a VPS, or NAL units behind start codes. Laws: as for [`avc`].
pub fn hevc(input: &[u8]) {
    if let Some(sps) = checked(hevc_codec::Sps::parse(input)) {
        assert!(sps.width <= PICTURE_SIDE_PIXELS && sps.height <= PICTURE_SIDE_PIXELS);
    }
    if let Some(vps) = checked(hevc_codec::Vps::parse(input)) {
        assert!(
            vps.frame_rate.is_none_or(|rate| rate.is_finite() && rate > 0.0),
            "{vps:?}"
        );
    }
    let made = checked(hevc_codec::DecoderConfig::from_nals(AnnexBNals::new(input)));
    for config in [made, checked(hevc_codec::DecoderConfig::parse(input))]
        .into_iter()
        .flatten()
    {
        check_picture(checked(config.video_config()));
        if let Some(written) = checked(config.write()) {
            let again = hevc_codec::DecoderConfig::parse(&written).expect("what we write is a record");
            assert_eq!(again, config);
        }
    }
}

/// A configuration record of AV1, or OBUs. Laws: as for [`avc`]; OBUs add up to what they stand in.
pub fn av1(input: &[u8]) {
    let (mut total, mut whole) = (0, true);
    for obu in av1_codec::Obus::new(input) {
        match checked(obu) {
            Some(obu) => {
                assert!(obu.payload.len() < obu.bytes.len() && obu.obu_type < 16);
                total += obu.bytes.len();
            }
            None => whole = false,
        }
    }
    assert!(if whole {
        total == input.len()
    } else {
        total < input.len()
    });
    let _ = checked(av1_codec::SequenceHeader::parse(input));
    let made = checked(av1_codec::DecoderConfig::from_obus(input));
    for config in [made, checked(av1_codec::DecoderConfig::parse(input))]
        .into_iter()
        .flatten()
    {
        check_picture(checked(config.video_config()));
        let again = av1_codec::DecoderConfig::parse(&config.write()).expect("what we write is a record");
        assert_eq!(again, config);
    }
}

/// A configuration record of VP9, or a frame of VP9 or VP8. Laws: as for [`avc`].
pub fn vpx(input: &[u8]) {
    if let Some(config) = checked(vp9::DecoderConfig::parse(input)) {
        check_picture(Some(config.video_config()));
        let again = vp9::DecoderConfig::parse(&config.write()).expect("what we write is a record");
        assert_eq!(again, config);
    }
    if let Some(Some(header)) = checked(vp9::KeyframeHeader::parse(input)) {
        assert!((1..=65_536).contains(&header.width) && (1..=65_536).contains(&header.height));
        assert!(header.profile < 4 && matches!(header.bit_depth, 8 | 10 | 12));
    }
    if let Some(Some(header)) = checked(vp8::KeyframeHeader::parse(input)) {
        assert!(header.width <= 16_383 && header.height <= 16_383);
    }
}

fn check_picture(config: Option<VideoConfig>) {
    if let Some(config) = config {
        assert!(config.width <= PICTURE_SIDE_PIXELS + 1 && config.height <= PICTURE_SIDE_PIXELS + 1);
        let rate = config.frame_rate;
        assert!(rate.is_none_or(|rate| rate.is_finite() && rate > 0.0), "{config:?}");
    }
}

/// An AudioSpecificConfig, or ADTS frames.
///
/// Laws: a configuration that was parsed and written parses the same; frames add up; a header made for a frame tells
/// its size.
pub fn aac(input: &[u8]) {
    if let Some(config) = checked(aac::AudioSpecificConfig::parse(input)) {
        assert!(config.sample_rate > 0 && config.audio_config().sample_rate > 0);
        let again = aac::AudioSpecificConfig::parse(&config.write()).expect("what we write is a configuration");
        let told = aac::AudioSpecificConfig {
            // A program config element is not written.
            channels: if config.channel_configuration == 0 {
                0
            } else {
                config.channels
            },
            ..config
        };
        assert_eq!(again, told, "{config:?}");
    }
    let mut total = 0;
    for (header, raw) in aac::adts::Frames::new(input).filter_map(checked) {
        assert_eq!(header.header_bytes + raw.len(), header.frame_bytes);
        total += header.frame_bytes;
        let Some(config) = checked(header.config()) else {
            continue;
        };
        if let Some(written) = checked(aac::adts::write_header(&config, raw.len())) {
            let again = aac::adts::Header::parse(&written).expect("what we write is a header");
            assert_eq!(again.header_bytes + raw.len(), again.frame_bytes);
            assert_eq!(again.config().ok(), Some(config));
        }
    }
    assert!(total <= input.len());
}

/// An OpusHead, an Opus packet, an MPEG audio frame, or a FLAC block. Laws: as for [`aac`].
pub fn audio_headers(input: &[u8]) {
    if let Some(head) = checked(opus::OpusHead::parse(input)) {
        assert!(head.channels > 0);
        let again = opus::OpusHead::parse(&head.write()).expect("what we write is a header");
        assert_eq!(again, head);
    }
    assert!(opus::packet_samples(input).is_none_or(|samples| (1..=5760).contains(&samples)));
    if let Some(header) = checked(mp3::FrameHeader::parse(input)) {
        assert!(
            header.frame_bytes > mp3::HEADER_BYTES,
            "a reader must get on: {header:?}"
        );
        assert!((8_000..=48_000).contains(&header.sample_rate) && (1..=2).contains(&header.channels));
    }
    if let Some(info) = checked(flac::StreamInfo::parse(input)) {
        assert!(info.sample_rate > 0 && (1..=8).contains(&info.channels) && (1..=32).contains(&info.sample_bits));
    }
}

/// NAL units, behind start codes or lengths.
///
/// Laws: units taken from behind start codes stay the same in both wrappings; units and lengths add up; bytes that keep
/// start codes out come off as they were put on.
pub fn nal_units(input: &[u8]) {
    let nals: Vec<&[u8]> = AnnexBNals::new(input).collect();
    assert!(nals.iter().map(|nal| nal.len() + 3).sum::<usize>() <= input.len());
    let (mut annex_b, mut avcc) = (Vec::new(), Vec::new());
    for nal in &nals {
        put_annex_b(&mut annex_b, nal);
        put_avcc(&mut avcc, nal).expect("it is shorter than the input");
    }
    assert!(AnnexBNals::new(&annex_b).eq(nals.iter().copied()));
    assert!(
        AvccNals::new(&avcc, LengthSize::FOUR)
            .map(Result::ok)
            .eq(nals.into_iter().map(Some))
    );

    for length in [0, 1, 3].map(|bits| LengthSize::from_minus_one(bits).expect("1, 2 or 4 bytes")) {
        let nals = AvccNals::new(input, length).filter_map(checked);
        assert!(nals.map(|nal| nal.len() + length.bytes()).sum::<usize>() <= input.len());
    }

    let rbsp = remove_emulation_prevention(input);
    assert!(rbsp.len() <= input.len());
    let mut escaped = Vec::new();
    for &byte in rbsp.iter() {
        if byte <= 3 && escaped.ends_with(&[0, 0]) {
            escaped.push(3);
        }
        escaped.push(byte);
    }
    assert_eq!(remove_emulation_prevention(&escaped), rbsp);
}

/// A count, so many steps, and the bits that they read.
///
/// Law: the reader gives what a plain array of bits gives, and uses up as many.
pub fn bits(input: &[u8]) {
    let Some((&count, rest)) = input.split_first() else {
        return;
    };
    let (steps, bytes) = rest.split_at(usize::from(count).min(rest.len()));
    let plain: Vec<bool> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
        .collect();
    let mut reader = BitReader::new(bytes, ErrorCode::HlsDecode);
    let mut at = 0;
    for step in steps {
        let count = u32::from(step & 0x3f);
        let left = plain.len() - at;
        assert_eq!(reader.remaining(), left as u64);
        let expected = match step >> 6 {
            0 => (count <= 32 && count as usize <= left).then_some((count as usize, count)),
            1 => (count as usize <= left).then_some((count as usize, 0)),
            2 => exp_golomb(&plain[at..]).map(|(used, _)| (used, 32)),
            _ => Some((left % 8, 0)),
        };
        let value = match step >> 6 {
            0 => checked(reader.bits(count, "a")),
            1 => checked(reader.skip(count, "b")).map(|()| 0),
            2 => checked(reader.ue("c")),
            _ => {
                reader.align();
                Some(0)
            }
        };
        let Some((used, width)) = expected else {
            assert_eq!(value, None, "step {step:#x} at bit {at} of {}", plain.len());
            return;
        };
        let wanted = match step >> 6 {
            2 => exp_golomb(&plain[at..]).map(|(_, value)| value),
            _ => Some(number(&plain[at..at + width as usize])),
        };
        assert_eq!(value, wanted, "step {step:#x} at bit {at} of {}", plain.len());
        at += used;
    }
}

fn number(bits: &[bool]) -> u32 {
    bits.iter().fold(0, |number, bit| number << 1 | u32::from(*bit))
}

/// How many bits an Exp-Golomb code has, and its value.
fn exp_golomb(bits: &[bool]) -> Option<(usize, u32)> {
    let zeros = bits.iter().position(|bit| *bit)?;
    let suffix = bits.get(zeros + 1..2 * zeros + 1).filter(|_| zeros <= 32)?;
    let suffix = suffix.iter().fold(0u64, |number, bit| number << 1 | u64::from(*bit));
    Some((2 * zeros + 1, u32::try_from((1u64 << zeros) - 1 + suffix).ok()?))
}
