//! Writes the bodies of audio and video tags (annex E.4.2 and E.4.3; Enhanced RTMP v2), for streams that come from
//! elsewhere: MPEG-TS, RTP.

use crate::kernel::buf::Put;
use crate::kernel::codec::mp3::FrameHeader;

/// CodecID of AVC in the first form.
const AVC: u8 = 7;
/// SoundFormat 10, and the flags that AAC always has: 44 kHz, 16 bits, stereo.
const AAC: u8 = 0xaf;
const MP3: u8 = 2;
const EX_HEADER: u8 = 0x80;
/// SoundFormat 9 in the enhanced form.
const EX_AUDIO: u8 = 9 << 4;
const FRAME_KEY: u8 = 1;
const FRAME_INTER: u8 = 2;
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;

/// The start of a video body; the configuration record or the NAL units behind their lengths follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// A configuration record follows.
    Header,
    /// An access unit follows.
    Coded {
        /// Decoding can start with it.
        keyframe: bool,
        /// How much later it is shown than decoded, milliseconds; 24 bits of it are written.
        composition_ms: i32,
    },
}

impl Picture {
    fn frame_type(self) -> u8 {
        match self {
            Picture::Coded { keyframe: false, .. } => FRAME_INTER,
            _ => FRAME_KEY,
        }
    }

    fn packet_type(self) -> u8 {
        match self {
            Picture::Header => SEQUENCE_START,
            Picture::Coded { .. } => CODED_FRAMES,
        }
    }

    /// Appends the start of an AVC body, in the first form that all players know.
    pub fn put_avc(self, body: &mut Vec<u8>) {
        let composition_ms = match self {
            Picture::Header => 0,
            Picture::Coded { composition_ms, .. } => composition_ms,
        };
        body.put_slice(&[self.frame_type() << 4 | AVC, self.packet_type()]);
        body.put_u24(composition_ms as u32);
    }

    /// Appends the start of an HEVC body, which has the enhanced form.
    pub fn put_hevc(self, body: &mut Vec<u8>) {
        body.put_u8(EX_HEADER | self.frame_type() << 4 | self.packet_type());
        body.put_slice(b"hvc1");
        if let Picture::Coded { composition_ms, .. } = self {
            body.put_u24(composition_ms as u32);
        }
    }
}

/// The body of an AAC sequence header; `config` is an AudioSpecificConfig.
pub fn aac_header(config: &[u8]) -> Vec<u8> {
    [&[AAC, SEQUENCE_START], config].concat()
}

/// The body of an AAC message; `frame` is raw, without ADTS.
pub fn aac_frame(frame: &[u8]) -> Vec<u8> {
    [&[AAC, CODED_FRAMES], frame].concat()
}

/// The body of an MP3 message. Rates that FLV cannot tell are told as the nearest one; players look into the frame.
pub fn mp3_frame(header: &FrameHeader, frame: &[u8]) -> Vec<u8> {
    let rate = match header.sample_rate {
        0..=8_000 => 0,
        8_001..=16_000 => 1,
        16_001..=32_000 => 2,
        _ => 3,
    };
    let stereo = u8::from(header.channels > 1);
    [&[MP3 << 4 | rate << 2 | 2 | stereo], frame].concat()
}

/// The body of an Opus sequence header; `head` is an identification header (RFC 7845, 5.1).
pub fn opus_header(head: &[u8]) -> Vec<u8> {
    [&[EX_AUDIO | SEQUENCE_START], &b"Opus"[..], head].concat()
}

/// The body of an Opus message.
pub fn opus_frame(packet: &[u8]) -> Vec<u8> {
    [&[EX_AUDIO | CODED_FRAMES], &b"Opus"[..], packet].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::codec::{AudioCodec, VideoCodec};
    use crate::kernel::flv::audio::AudioTag;
    use crate::kernel::flv::video::VideoTag;

    #[test]
    fn pictures_read_back() {
        let coded = |keyframe, composition_ms| Picture::Coded {
            keyframe,
            composition_ms,
        };
        for picture in [Picture::Header, coded(true, 80), coded(false, 0), coded(false, -40)] {
            for (codec, put) in [
                (VideoCodec::H264, Picture::put_avc as fn(Picture, &mut Vec<u8>)),
                (VideoCodec::Hevc, Picture::put_hevc),
            ] {
                let mut body = Vec::new();
                put(picture, &mut body);
                body.extend([1, 2, 3, 4, 5]);
                let tag = VideoTag::parse(&body).unwrap();
                assert_eq!((tag.codec, tag.payload), (Some(codec), &[1, 2, 3, 4, 5][..]));
                match picture {
                    Picture::Header => assert!(tag.is_sequence_header()),
                    Picture::Coded {
                        keyframe,
                        composition_ms,
                    } => {
                        assert_eq!((tag.is_keyframe(), tag.composition_time), (keyframe, composition_ms));
                    }
                }
            }
        }
    }

    #[test]
    fn sound_reads_back() {
        let mp3 = FrameHeader::parse(&[0xff, 0xfb, 0x90, 0x00]).unwrap();
        let bodies = [
            (aac_header(&[0x12, 0x10]), AudioCodec::Aac, true, 2),
            (aac_frame(&[7; 9]), AudioCodec::Aac, false, 9),
            (mp3_frame(&mp3, &[0xff, 0xfb, 0x90, 0]), AudioCodec::Mp3, false, 4),
            (opus_header(b"OpusHead"), AudioCodec::Opus, true, 8),
            (opus_frame(&[1, 2]), AudioCodec::Opus, false, 2),
        ];
        for (body, codec, is_header, bytes) in bodies {
            let tag = AudioTag::parse(&body).unwrap();
            assert_eq!(
                (tag.codec, tag.is_sequence_header(), tag.payload.len()),
                (codec, is_header, bytes)
            );
        }
        let flags = AudioTag::parse(&mp3_frame(&mp3, &[])).unwrap().flags.unwrap();
        assert_eq!((flags.sample_rate, flags.sample_bits, flags.channels), (44_100, 16, 2));
    }
}
