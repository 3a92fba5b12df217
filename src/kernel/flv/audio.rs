//! Bodies of audio tags: the first form (annex E.4.2) and the enhanced one (Enhanced RTMP v2, ExAudioTagHeader).

use super::enhanced::{self, Head, Layout, Parsed};
use super::tracks::{self, Opened, TrackTag, Tracks};
use crate::kernel::codec::AudioCodec;
use crate::kernel::error::Result;
use crate::kernel::error_code::ErrorCode;

const FORMAT_EX_HEADER: u8 = 9;
const PACKET_MULTITRACK: u8 = 5;

/// What an audio message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    /// The decoder's configuration, such as an AudioSpecificConfig.
    SequenceStart,
    /// Coded sound.
    CodedFrames,
    /// No more sound comes for the last configuration.
    SequenceEnd,
    /// Which loudspeaker each channel is for.
    MultichannelConfig,
}

/// The sound properties in the first byte of the first form. For AAC they are fixed and say nothing about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundFlags {
    /// SoundRate: 5512, 11025, 22050 or 44100 Hz.
    pub sample_rate: u32,
    /// SoundSize: 8 or 16 bits a sample.
    pub sample_bits: u8,
    /// SoundType: 1 or 2 channels.
    pub channels: u8,
}

/// One track of an audio message; a message that is not multitrack has one, with id 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioTag<'a> {
    /// What the payload is.
    pub packet_type: PacketType,
    /// How the sound is coded.
    pub codec: AudioCodec,
    /// The flags of the first form; none in an enhanced message.
    pub flags: Option<SoundFlags>,
    /// Nanoseconds to add to the presentation time.
    pub nano_offset: u32,
    /// How the message's tracks are laid out.
    pub layout: Layout,
    /// The track's id.
    pub track: u8,
    /// The track's bytes: a configuration, or frames.
    pub payload: &'a [u8],
}

impl<'a> AudioTag<'a> {
    /// The first track of a tag's body, which is the only one of most messages. Fails with [`ErrorCode::HlsDecode`].
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        tracks::parse(body)
    }

    /// Whether it configures the decoder.
    pub fn is_sequence_header(&self) -> bool {
        self.packet_type == PacketType::SequenceStart
    }
}

/// All tracks of a message; see [`Tracks`]. Faults have code [`ErrorCode::HlsDecode`].
pub type AudioTracks<'a> = Tracks<'a, AudioTag<'a>>;

/// The codec of an enhanced message's FourCC.
pub fn codec_of_four_cc(four_cc: &[u8; 4]) -> AudioCodec {
    match four_cc {
        b"mp4a" => AudioCodec::Aac,
        b".mp3" => AudioCodec::Mp3,
        b"Opus" => AudioCodec::Opus,
        b"fLaC" => AudioCodec::Flac,
        b"ac-3" => AudioCodec::Ac3,
        b"ec-3" => AudioCodec::Eac3,
        _ => AudioCodec::Other,
    }
}

/// The FourCC of a codec; none for those that have no enhanced form.
pub fn four_cc_of_codec(codec: AudioCodec) -> Option<&'static [u8; 4]> {
    match codec {
        AudioCodec::Aac => Some(b"mp4a"),
        AudioCodec::Mp3 => Some(b".mp3"),
        AudioCodec::Opus => Some(b"Opus"),
        AudioCodec::Flac => Some(b"fLaC"),
        AudioCodec::Ac3 => Some(b"ac-3"),
        AudioCodec::Eac3 => Some(b"ec-3"),
        _ => None,
    }
}

/// The first track, without building an error: this runs for each message.
pub(crate) fn first_track(body: &[u8]) -> Parsed<AudioTag<'_>> {
    tracks::first(body)
}

/// What all tracks of an enhanced message share.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    packet_type: PacketType,
    nano_offset: u32,
    head: Head,
}

impl<'a> TrackTag<'a> for AudioTag<'a> {
    type Shared = Shared;
    const NAME: &'static str = "audio";
    const FAULT: ErrorCode = ErrorCode::HlsDecode;

    fn open(body: &'a [u8]) -> Parsed<Opened<'a, Self>> {
        let mut rest = body;
        let [first] = enhanced::take(&mut rest, "it is empty")?;
        if first >> 4 != FORMAT_EX_HEADER {
            return Ok(Opened::Whole(first_form(first, rest)?));
        }
        let prefix = enhanced::mod_ex(first & 0x0f, &mut rest)?;
        let head = enhanced::head(prefix.packet_type, PACKET_MULTITRACK, &mut rest)?;
        let packet_type = match head.packet_type {
            0 => PacketType::SequenceStart,
            1 => PacketType::CodedFrames,
            2 => PacketType::SequenceEnd,
            4 => PacketType::MultichannelConfig,
            _ => return Err("enhanced packet type is not known"),
        };
        let shared = Shared {
            packet_type,
            nano_offset: prefix.nano_offset,
            head,
        };
        Ok(Opened::Tracks(shared, rest))
    }

    fn take_track(shared: &Shared, rest: &mut &'a [u8]) -> Parsed<Self> {
        let track = shared.head.track(rest)?;
        Ok(AudioTag {
            packet_type: shared.packet_type,
            codec: codec_of_four_cc(&track.four_cc),
            flags: None,
            nano_offset: shared.nano_offset,
            layout: shared.head.layout,
            track: track.id,
            payload: track.body,
        })
    }
}

/// The rest of a body without the enhanced header.
fn first_form(first: u8, rest: &[u8]) -> Parsed<AudioTag<'_>> {
    let codec = match first >> 4 {
        0 | 1 | 3 => AudioCodec::Pcm,
        2 | 14 => AudioCodec::Mp3,
        4..=6 => AudioCodec::Nellymoser,
        7 => AudioCodec::G711A,
        8 => AudioCodec::G711U,
        10 => AudioCodec::Aac,
        11 => AudioCodec::Speex,
        // Never in the specification; SRS and others used it before the enhanced form came.
        13 => AudioCodec::Opus,
        _ => return Err("sound format is reserved"),
    };
    let mut tag = AudioTag {
        packet_type: PacketType::CodedFrames,
        codec,
        flags: Some(sound_flags(first)),
        nano_offset: 0,
        layout: Layout::Single,
        track: 0,
        payload: rest,
    };
    if codec == AudioCodec::Aac {
        let [packet_type] = enhanced::take(&mut tag.payload, "AAC packet type is cut short")?;
        tag.packet_type = match packet_type {
            0 => PacketType::SequenceStart,
            1 => PacketType::CodedFrames,
            _ => return Err("AAC packet type is above 1"),
        };
    }
    Ok(tag)
}

fn sound_flags(first: u8) -> SoundFlags {
    SoundFlags {
        sample_rate: match first >> 2 & 3 {
            0 => 5512,
            1 => 11025,
            2 => 22050,
            _ => 44100,
        },
        sample_bits: if first & 2 == 0 { 8 } else { 16 },
        channels: if first & 1 == 0 { 1 } else { 2 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &[u8]) -> AudioTag<'_> {
        AudioTag::parse(body).unwrap()
    }

    #[test]
    fn aac_tells_configuration_and_frames() {
        let header = parse(&[0xaf, 0, 0x12, 0x10]);
        assert!(header.is_sequence_header());
        assert_eq!((header.codec, header.payload), (AudioCodec::Aac, &[0x12, 0x10][..]));
        let flags = header.flags.unwrap();
        assert_eq!((flags.sample_rate, flags.sample_bits, flags.channels), (44100, 16, 2));
        let frame = parse(&[0xaf, 1, 0x21]);
        assert!(!frame.is_sequence_header());
        assert_eq!(frame.payload, [0x21]);
        assert!(AudioTag::parse(&[0xaf]).is_err());
        assert!(AudioTag::parse(&[0xaf, 2]).is_err());
    }

    #[test]
    fn other_sound_formats_have_one_byte_of_header() {
        let mp3 = parse(&[0x2e, 0xff, 0xfb]);
        assert_eq!((mp3.codec, mp3.payload), (AudioCodec::Mp3, &[0xff, 0xfb][..]));
        assert_eq!(mp3.flags.unwrap().channels, 1);
        assert_eq!(parse(&[0xb2]).codec, AudioCodec::Speex);
        assert_eq!(parse(&[0x72, 0xd5]).codec, AudioCodec::G711A);
        assert_eq!(parse(&[0x82, 0xff]).codec, AudioCodec::G711U);
        assert_eq!(parse(&[0x21]).flags.unwrap().sample_rate, 5512);
        for reserved in [0xc0, 0xf0] {
            let error = AudioTag::parse(&[reserved, 0]).unwrap_err();
            assert_eq!(error.code(), ErrorCode::HlsDecode);
        }
    }

    #[test]
    fn enhanced_messages_name_their_codec() {
        for (four_cc, codec) in [
            (b"mp4a", AudioCodec::Aac),
            (b".mp3", AudioCodec::Mp3),
            (b"Opus", AudioCodec::Opus),
            (b"fLaC", AudioCodec::Flac),
            (b"ac-3", AudioCodec::Ac3),
            (b"ec-3", AudioCodec::Eac3),
        ] {
            assert_eq!(four_cc_of_codec(codec), Some(four_cc));
            let body = [b"\x91", &four_cc[..], b"\xaa"].concat();
            let tag = parse(&body);
            assert_eq!((tag.codec, tag.packet_type), (codec, PacketType::CodedFrames));
            assert_eq!((tag.flags, tag.payload), (None, &[0xaa][..]));
        }
        assert!(parse(b"\x90OpusOpusHead").is_sequence_header());
        assert_eq!(parse(b"\x92Opus").packet_type, PacketType::SequenceEnd);
        assert_eq!(parse(b"\x94Opus\x01\x02").packet_type, PacketType::MultichannelConfig);
        assert_eq!(parse(b"\x91abcd").codec, AudioCodec::Other);
        assert!(AudioTag::parse(b"\x93Opus").is_err());
    }

    #[test]
    fn multitrack_gives_each_track() {
        let mut body = b"\x95\x11mp4a".to_vec();
        body.extend(b"\x00\x00\x00\x01\xaa\x02\x00\x00\x02\xbb\xcc");
        let tracks: Vec<AudioTag> = AudioTracks::new(&body).map(|tag| tag.unwrap()).collect();
        assert_eq!(tracks.len(), 2);
        assert_eq!((tracks[1].track, tracks[1].payload), (2, &[0xbb, 0xcc][..]));
        assert_eq!(tracks[1].layout, Layout::ManyTracks);
        assert_eq!(parse(&body), tracks[0]);
    }

    #[test]
    fn short_and_random_bodies_give_errors_only() {
        let body = b"\x97\x02\x00\x01\x00\x05\x21mp4a\x00\x00\x00\x01\xaaOpus\x01\x00\x00\x02\xbb\xcc";
        for cut in 0..body.len() {
            let _ = AudioTracks::new(&body[..cut]).count();
        }
        assert_eq!(AudioTracks::new(body).filter(|tag| tag.is_ok()).count(), 2);
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..5000 {
            let mut body = body.to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..body.len());
                body[at] = random.u8(..);
            }
            body.truncate(random.usize(..=body.len()));
            assert!(AudioTracks::new(&body).count() <= body.len() + 1);
        }
    }
}
