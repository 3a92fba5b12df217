//! The one media message of the live path: what a publisher sent, with the few facts that sources and consumers ask for.

use bytes::Bytes;

pub use super::codec::{AudioCodec, Codec, VideoCodec};
use super::flv::audio::{self, AudioTag};
pub use super::flv::tag::Kind;
use super::flv::video::{self, VideoTag};

/// One message. Cloning it shares the payload.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What it carries.
    pub kind: Kind,
    /// Milliseconds, modulo 2^32. Decoding time; pictures are shown later by their composition time.
    pub timestamp: u32,
    /// The body of an FLV tag, which is that of an RTMP message.
    pub payload: Bytes,
    /// What its first bytes say.
    pub facts: Facts,
}

impl Frame {
    /// A message with its facts looked up. Never fails: bytes that make no sense have no facts.
    #[inline]
    pub fn new(kind: Kind, timestamp: u32, payload: Bytes) -> Self {
        let facts = Facts::peek(kind, &payload);
        Frame {
            kind,
            timestamp,
            payload,
            facts,
        }
    }
}

/// What the first bytes of a message say. Of a multitrack message it is about the first track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How it is coded; none for data, for commands to the player, and for bytes that make no sense.
    pub codec: Option<Codec>,
    /// A picture that decoding can start with. A video sequence header is none, whatever its frame type says.
    pub keyframe: bool,
    /// It configures the decoder, so late players need the newest one of each track.
    pub sequence_header: bool,
    /// It carries coded sound or pictures: what a frame counter counts.
    pub coded: bool,
    /// It says how to show what follows (colours, loudspeakers), so late players need the newest one of each track.
    pub presentation: bool,
    /// The track's id; 0 if the message is not multitrack.
    pub track: u8,
}

impl Facts {
    /// Looks at a message's first bytes; never allocates, whatever they are.
    pub fn peek(kind: Kind, payload: &[u8]) -> Self {
        let facts = match kind {
            Kind::Video => video::first_track(payload).map(|tag| Self::of_video(&tag)),
            Kind::Audio => audio::first_track(payload).map(|tag| Self::of_audio(&tag)),
            Kind::Data => return Facts::default(),
        };
        facts.unwrap_or_default()
    }

    /// Whether it is a sequence header of pictures.
    pub fn is_video_sequence_header(&self) -> bool {
        self.sequence_header && matches!(self.codec, Some(Codec::Video(_)))
    }

    /// Whether it is a sequence header of sound.
    pub fn is_audio_sequence_header(&self) -> bool {
        self.sequence_header && matches!(self.codec, Some(Codec::Audio(_)))
    }

    fn of_video(tag: &VideoTag<'_>) -> Self {
        Facts {
            codec: tag.codec.map(Codec::Video),
            keyframe: tag.is_keyframe(),
            sequence_header: tag.is_sequence_header(),
            coded: tag.packet_type == video::PacketType::CodedFrames,
            presentation: tag.packet_type == video::PacketType::Metadata,
            track: tag.track,
        }
    }

    fn of_audio(tag: &AudioTag<'_>) -> Self {
        Facts {
            codec: Some(Codec::Audio(tag.codec)),
            keyframe: false,
            sequence_header: tag.is_sequence_header(),
            coded: tag.packet_type == audio::PacketType::CodedFrames,
            presentation: tag.packet_type == audio::PacketType::MultichannelConfig,
            track: tag.track,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(kind: Kind, payload: &'static [u8]) -> Facts {
        Frame::new(kind, 7, Bytes::from_static(payload)).facts
    }

    #[test]
    fn a_sequence_header_is_no_keyframe() {
        for payload in [
            &b"\x17\x00\x00\x00\x00\x01"[..],
            b"\x1c\x00\x00\x00\x00\x01",
            b"\x90hvc1\x01",
        ] {
            let facts = facts(Kind::Video, payload);
            assert!(facts.is_video_sequence_header());
            assert!(!facts.keyframe && !facts.coded && !facts.is_audio_sequence_header());
        }
        let audio = facts(Kind::Audio, b"\xaf\x00\x12\x10");
        assert!(audio.is_audio_sequence_header());
        assert_eq!(audio.codec, Some(Codec::Audio(AudioCodec::Aac)));
    }

    #[test]
    fn keyframes_are_pictures_of_type_one() {
        let key = facts(Kind::Video, b"\x17\x01\x00\x00\x00\x00\x00\x00\x01\x65");
        assert!(key.keyframe && key.coded);
        assert_eq!(key.codec, Some(Codec::Video(VideoCodec::H264)));
        let inter = facts(Kind::Video, b"\x27\x01\x00\x00\x00\x00\x00\x00\x01\x41");
        assert!(!inter.keyframe && inter.coded);
        assert!(!facts(Kind::Audio, b"\xaf\x01\x21").keyframe);
        assert!(!facts(Kind::Video, b"\x17\x02\x00\x00\x00").keyframe);
    }

    #[test]
    fn tracks_are_told_apart() {
        let second = facts(Kind::Video, b"\x96\x00avc1\x01\x01\x64");
        assert!(second.sequence_header);
        assert_eq!(second.track, 1);
        let colours = facts(Kind::Video, b"\x94hvc1\x02\x00\x09colorInfo");
        assert!(colours.presentation && !colours.keyframe && !colours.coded);
    }

    #[test]
    fn messages_of_ffmpeg_8_are_known() {
        let video = |codec| Facts {
            codec: Some(Codec::Video(codec)),
            ..Facts::default()
        };
        let audio = |codec| Facts {
            codec: Some(Codec::Audio(codec)),
            ..Facts::default()
        };
        let mut expected = video(VideoCodec::Hevc);
        expected.sequence_header = true;
        assert_eq!(facts(Kind::Video, b"\x90hvc1\x01\x01\x60"), expected);
        let mut expected = video(VideoCodec::Hevc);
        expected.presentation = true;
        assert_eq!(facts(Kind::Video, b"\xd4hvc1\x02\x00\x09colorInfo"), expected);
        let mut expected = video(VideoCodec::Hevc);
        expected.coded = true;
        assert_eq!(facts(Kind::Video, b"\xa3hvc1\x00\x00\x00\x13"), expected);
        let mut expected = video(VideoCodec::Av1);
        (expected.coded, expected.keyframe) = (true, true);
        assert_eq!(facts(Kind::Video, b"\x91av01\x12\x00\x0a\x0b"), expected);
        let mut expected = video(VideoCodec::Hevc);
        (expected.coded, expected.keyframe, expected.track) = (true, true, 1);
        assert_eq!(facts(Kind::Video, b"\x96\x01hvc1\x01\x00\x00\x50\x00"), expected);
        let mut expected = audio(AudioCodec::Ac3);
        expected.sequence_header = true;
        assert_eq!(facts(Kind::Audio, b"\x90ac-3"), expected);
        let mut expected = audio(AudioCodec::Opus);
        expected.presentation = true;
        assert_eq!(facts(Kind::Audio, b"\x94Opus\x01\x01\x00\x00\x00\x04"), expected);
        let mut expected = audio(AudioCodec::Opus);
        (expected.sequence_header, expected.track) = (true, 1);
        assert_eq!(facts(Kind::Audio, b"\x95\x00Opus\x01OpusHead"), expected);
    }

    #[test]
    fn garbage_has_no_facts() {
        for payload in [
            &b""[..],
            b"\x17",
            b"\x17\x09\x00\x00\x00",
            b"\x90\x00\x01\x02\x03",
            b"\x97\xff",
            b"\x07\x01",
        ] {
            assert_eq!(facts(Kind::Video, payload), Facts::default(), "{payload:02x?}");
        }
        assert_eq!(facts(Kind::Audio, b"\xaf"), Facts::default());
        assert_eq!(facts(Kind::Data, b"\x02\x00\x0aonMetaData"), Facts::default());
        assert!(size_of::<Facts>() <= 8);
        // A short, a cut and an endless ModEx; a track beyond its message.
        for payload in [
            &b"\x97\x00\x00\x01avc1"[..],
            b"\x97\xff\xff\xff\x00",
            &[0x97, 0, 0, 7].repeat(64),
            b"\x96\x11avc1\x00\xff\xff\xff",
        ] {
            assert_eq!(Facts::peek(Kind::Video, payload), Facts::default(), "{payload:02x?}");
        }
        // A codec without a name here is passed on with what its header says.
        let unknown = facts(Kind::Video, b"\x91xyz9\x00");
        assert_eq!(
            (unknown.codec, unknown.keyframe),
            (Some(Codec::Video(VideoCodec::Other)), true)
        );
    }
}
