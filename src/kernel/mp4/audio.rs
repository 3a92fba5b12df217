//! Sound: sequence headers to track configurations, and how long messages play. A message is a sample, as it is.

use super::codec_string;
use super::sample_entry::{Shape, TrackConfig};
use crate::kernel::buf::Put;
use crate::kernel::codec::aac::{self, AudioSpecificConfig};
use crate::kernel::codec::flac::StreamInfo;
use crate::kernel::codec::opus::{self, Mapping, OpusHead};
use crate::kernel::codec::{AudioCodec, Codec, mp3};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// objectTypeIndication of AAC (ISO/IEC 14496-1, table 5).
const AAC_OBJECT_TYPE: u8 = 0x40;
/// Version 0 and no flags, of boxes whose contents we keep as a whole.
const FULL_BOX: [u8; 4] = [0; 4];
/// STREAMINFO behind its header: the last block, of type 0, 34 bytes.
const STREAM_INFO_BYTES: usize = 34;

/// What an audio sequence header says, or the first message of a codec that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    config: TrackConfig,
    codec: AudioCodec,
}

impl AudioFormat {
    /// Whether there is a sample entry for a codec.
    pub fn carries(codec: AudioCodec) -> bool {
        matches!(
            codec,
            AudioCodec::Aac | AudioCodec::Mp3 | AudioCodec::Opus | AudioCodec::Flac
        )
    }

    /// Reads the payload of a sequence header. None for a codec that has none, or that we do not put into MP4. Fails with
    /// [`ErrorCode::HlsDecode`].
    pub fn parse(codec: AudioCodec, header: &[u8]) -> Result<Option<Self>> {
        let config = match codec {
            AudioCodec::Aac => aac_config(header).wrap("AAC sequence header for MP4")?,
            AudioCodec::Opus => opus_config(&OpusHead::parse(header).wrap("Opus sequence header for MP4")?),
            AudioCodec::Flac => flac_config(header).wrap("FLAC sequence header for MP4")?,
            _ => return Ok(None),
        };
        Ok(Some(AudioFormat { config, codec }))
    }

    /// The format of a coded message whose codec may come without a sequence header: MP3 tells all in its frames, Opus is
    /// stereo then. None for the others. Fails with [`ErrorCode::Mp3StreamDecode`].
    pub fn of_message(codec: AudioCodec, payload: &[u8]) -> Result<Option<Self>> {
        let config = match codec {
            AudioCodec::Mp3 => mp3_config(&mp3::FrameHeader::parse(payload).wrap("MP3 message for MP4")?),
            AudioCodec::Opus => opus_config(&OpusHead::new(2)),
            _ => return Ok(None),
        };
        Ok(Some(AudioFormat { config, codec }))
    }

    /// The track; its timescale is the sample rate.
    pub fn config(&self) -> &TrackConfig {
        &self.config
    }

    /// Whether it is for messages of this codec.
    pub fn is_of(&self, codec: AudioCodec) -> bool {
        codec == self.codec
    }

    /// Whether it is for this coded message: frames of MP3 may come with another rate.
    pub fn fits(&self, codec: AudioCodec, payload: &[u8]) -> bool {
        let rate = match codec {
            AudioCodec::Mp3 => mp3::FrameHeader::parse(payload).ok().map(|frame| frame.sample_rate),
            _ => None,
        };
        self.is_of(codec) && rate.is_none_or(|rate| rate == self.config.timescale)
    }

    /// Samples in a coded message. Fails with [`ErrorCode::Mp3StreamDecode`] or [`ErrorCode::HlsDecode`] on what is no
    /// frame.
    pub fn samples(&self, payload: &[u8]) -> Result<u32> {
        match self.codec {
            AudioCodec::Mp3 => mp3::FrameHeader::parse(payload).map(|first| first.samples_of_message(payload)),
            AudioCodec::Opus => opus::packet_samples(payload).ok_or_else(|| {
                let start = &payload[..payload.len().min(2)];
                Error::new(
                    ErrorCode::HlsDecode,
                    format!("Opus packet starts with {start:02x?}, which is no length"),
                )
            }),
            _ => Ok(self.config.default_duration),
        }
    }
}

fn mp4a(
    codec: AudioCodec,
    codec_string: String,
    rate: u32,
    played: (u8, u32),
    elementary_stream: Vec<u8>,
) -> TrackConfig {
    let (channels, sample_rate) = played;
    TrackConfig {
        codec: Codec::Audio(codec),
        codec_string,
        timescale: rate,
        default_duration: aac::FRAME_SAMPLES,
        shape: Shape::Audio {
            channels: if channels == 0 { 2 } else { channels.into() },
            sample_rate,
        },
        entry: b"mp4a",
        config_box: b"esds",
        config: elementary_stream.into(),
    }
}

/// Frames of HE-AAC last as long as those of their core, whose rate is the timescale.
fn aac_config(header: &[u8]) -> Result<TrackConfig> {
    let config = AudioSpecificConfig::parse(header)?;
    let played = config.audio_config();
    Ok(mp4a(
        AudioCodec::Aac,
        codec_string::aac(&config),
        config.sample_rate,
        (played.channels, played.sample_rate),
        elementary_stream(AAC_OBJECT_TYPE, Some(header)),
    ))
}

fn mp3_config(frame: &mp3::FrameHeader) -> TrackConfig {
    let mut config = mp4a(
        AudioCodec::Mp3,
        codec_string::mp3(frame.version),
        frame.sample_rate,
        (frame.channels, frame.sample_rate),
        elementary_stream(codec_string::mp3_object_type(frame.version), None),
    );
    config.default_duration = frame.samples;
    config
}

/// Contents of `esds`: an ES_Descriptor (ISO/IEC 14496-1, 7.2.6.5) with the decoder's configuration.
fn elementary_stream(object_type: u8, specific: Option<&[u8]>) -> Vec<u8> {
    let mut decoder = vec![object_type];
    // streamType audio, upStream 0, reserved 1; no buffer size and no bit rates are told.
    decoder.put_u8(0x05 << 2 | 1);
    decoder.put_slice(&[0; 3 + 4 + 4]);
    if let Some(specific) = specific {
        put_descriptor(&mut decoder, 0x05, specific);
    }
    // ES_ID 0, as files have it; no flags.
    let mut stream = vec![0, 0, 0];
    put_descriptor(&mut stream, 0x04, &decoder);
    // SLConfigDescriptor: what files have.
    put_descriptor(&mut stream, 0x06, &[2]);
    let mut out = FULL_BOX.to_vec();
    put_descriptor(&mut out, 0x03, &stream);
    out
}

/// A tag, the size in four groups of seven bits (as FFmpeg and Apple write it), the contents.
fn put_descriptor(out: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    out.put_u8(tag);
    for group in (0..4).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        out.put_u8((contents.len() >> (7 * group)) as u8 & 0x7f | more);
    }
    out.put_slice(contents);
}

/// The OpusSpecificBox has the fields of OpusHead, the other way round.
fn opus_config(head: &OpusHead) -> TrackConfig {
    let mut config = vec![0, head.channels];
    config.put_u16(head.pre_skip);
    config.put_u32(head.input_sample_rate);
    config.put_slice(&head.gain.to_be_bytes());
    match &head.mapping {
        Mapping::Single => config.put_u8(0),
        Mapping::Table {
            family,
            streams,
            coupled,
            channels,
        } => {
            config.put_slice(&[*family, *streams, *coupled]);
            config.put_slice(channels);
        }
    }
    TrackConfig {
        codec: Codec::Audio(AudioCodec::Opus),
        codec_string: "opus".to_owned(),
        timescale: opus::SAMPLE_RATE,
        // 20 ms, what encoders take.
        default_duration: 960,
        shape: Shape::Audio {
            channels: head.channels.into(),
            sample_rate: opus::SAMPLE_RATE,
        },
        entry: b"Opus",
        config_box: b"dOps",
        config: config.into(),
    }
}

/// Only streams whose blocks are all of one size: others tell it in each frame.
fn flac_config(header: &[u8]) -> Result<TrackConfig> {
    let info = StreamInfo::parse(header)?;
    let block = if header.starts_with(b"fLaC") {
        header.get(8..)
    } else {
        Some(header)
    };
    let block = block
        .and_then(|block| block.get(..STREAM_INFO_BYTES))
        .unwrap_or_default();
    let block_samples = match block.first_chunk() {
        Some([a, b, c, d]) if (a, b) == (c, d) && (*a, *b) != (0, 0) => u16::from_be_bytes([*a, *b]),
        _ => return Err(Error::new(ErrorCode::HlsDecode, "FLAC blocks are not all of one size")),
    };
    let mut config = FULL_BOX.to_vec();
    config.put_u32(0x8000_0000 | STREAM_INFO_BYTES as u32);
    config.put_slice(block);
    Ok(TrackConfig {
        codec: Codec::Audio(AudioCodec::Flac),
        codec_string: "flac".to_owned(),
        timescale: info.sample_rate,
        default_duration: block_samples.into(),
        shape: Shape::Audio {
            channels: info.channels.into(),
            sample_rate: info.sample_rate,
        },
        entry: b"fLaC",
        config_box: b"dfLa",
        config: config.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(codec: AudioCodec, header: &[u8]) -> AudioFormat {
        AudioFormat::parse(codec, header).unwrap().unwrap()
    }

    #[test]
    fn aac_has_an_elementary_stream_descriptor() {
        let format = parse(AudioCodec::Aac, &[0x12, 0x10]);
        let config = format.config();
        assert_eq!((config.timescale, config.codec_string.as_str()), (44_100, "mp4a.40.2"));
        assert_eq!(format.samples(&[]).unwrap(), 1024);
        let expected = [
            &[0, 0, 0, 0, 0x03, 0x80, 0x80, 0x80, 34, 0, 0, 0][..],
            &[0x04, 0x80, 0x80, 0x80, 20, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x05, 0x80, 0x80, 0x80, 2, 0x12, 0x10, 0x06, 0x80, 0x80, 0x80, 1, 2],
        ];
        assert_eq!(config.config[..], expected.concat());
        // HE-AAC: a core of 22,050 Hz that plays at twice the rate.
        let high = parse(AudioCodec::Aac, &[0x2b, 0x92, 0x08, 0x00]);
        let played = Shape::Audio {
            channels: 2,
            sample_rate: 44_100,
        };
        assert_eq!((high.config().timescale, high.config().shape), (22_050, played));
        assert_eq!(high.config().codec_string, "mp4a.40.5");
    }

    #[test]
    fn mp3_is_known_by_its_frames() {
        let mut message = vec![0; 417 * 2];
        for at in [0, 417] {
            message[at..at + 4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
        }
        let format = AudioFormat::of_message(AudioCodec::Mp3, &message).unwrap().unwrap();
        assert_eq!(format.samples(&message).unwrap(), 2304);
        assert_eq!(
            (format.config().timescale, format.config().default_duration),
            (44_100, 1152)
        );
        assert_eq!(format.config().config[17], 0x6b);
        assert!(AudioFormat::of_message(AudioCodec::Mp3, &[1, 2, 3, 4]).is_err());
        assert!(AudioFormat::of_message(AudioCodec::Aac, &message).unwrap().is_none());
    }

    #[test]
    fn opus_and_flac_keep_their_headers() {
        let head = b"OpusHead\x01\x06\x38\x01\x80\xbb\x00\x00\xff\xff\x01\x04\x02\x00\x04\x01\x02\x03\x05";
        let format = parse(AudioCodec::Opus, head);
        let expected = [0, 6, 1, 0x38, 0, 0, 0xbb, 0x80, 0xff, 0xff, 1, 4, 2, 0, 4, 1, 2, 3, 5];
        assert_eq!(format.config().config[..], expected);
        assert_eq!(format.samples(&[0xfd]).unwrap(), 1920);
        assert!(format.samples(&[]).is_err());
        let mut block = vec![0x12, 0, 0x12, 0, 0, 0, 0, 0, 0, 0x24, 0x0f, 0x0a, 0xc4, 0x40, 0xf0];
        block.remove(4);
        block.resize(34, 0);
        for header in [block.clone(), [b"fLaC\x80\0\0\x22", &block[..]].concat()] {
            let format = parse(AudioCodec::Flac, &header);
            assert_eq!(format.samples(&[]).unwrap(), 4608);
            assert_eq!(format.config().config[..8], [0, 0, 0, 0, 0x80, 0, 0, 34]);
            assert_eq!(format.config().config[8..], block[..]);
        }
        block[1] = 1;
        assert!(AudioFormat::parse(AudioCodec::Flac, &block).is_err());
        assert!(AudioFormat::parse(AudioCodec::Speex, &block).unwrap().is_none());
    }

    #[test]
    fn cut_and_changed_headers_never_panic() {
        let mut random = fastrand::Rng::with_seed(32);
        let head = OpusHead::new(2).write();
        for _ in 0..4000 {
            let mut header = if random.bool() { head.clone() } else { vec![0x12; 34] };
            header.truncate(random.usize(..=header.len()));
            if let Some(byte) = header.first_mut() {
                *byte = random.u8(..);
            }
            for codec in [AudioCodec::Aac, AudioCodec::Opus, AudioCodec::Flac] {
                if let Ok(Some(format)) = AudioFormat::parse(codec, &header) {
                    assert!(format.config().timescale > 0 && format.config().default_duration > 0);
                }
            }
            let _ = AudioFormat::of_message(AudioCodec::Mp3, &header);
        }
    }
}
