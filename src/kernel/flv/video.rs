//! Bodies of video tags: the first form (annex E.4.3) and the enhanced one (Enhanced RTMP v2, ExVideoTagHeader).

use super::enhanced::{self, Head, Layout, Parsed};
use super::tracks::{self, Opened, TrackTag, Tracks};
use crate::kernel::codec::VideoCodec;
use crate::kernel::error::Result;
use crate::kernel::error_code::ErrorCode;

const EX_HEADER: u8 = 0x80;
const PACKET_METADATA: u8 = 4;
const PACKET_MULTITRACK: u8 = 6;

/// How a picture depends on others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// Decodable on its own.
    Key,
    /// Needs earlier pictures.
    Inter,
    /// Needs earlier pictures, and none needs it.
    DisposableInter,
    /// A keyframe that a server made.
    GeneratedKey,
    /// No picture but a command to the player, such as the start of a seek.
    Command,
}

/// What a video message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    /// The decoder's configuration record.
    SequenceStart,
    /// Coded pictures.
    CodedFrames,
    /// No more pictures come for the last configuration.
    SequenceEnd,
    /// AMF values about the pictures, such as colour information.
    Metadata,
    /// The decoder's configuration as an MPEG-2 TS descriptor.
    Mpeg2TsSequenceStart,
    /// The one byte of a [`FrameType::Command`].
    Command,
}

/// One track of a video message; a message that is not multitrack has one, with id 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoTag<'a> {
    /// How the picture depends on others.
    pub frame_type: FrameType,
    /// What the payload is.
    pub packet_type: PacketType,
    /// How the picture is coded; none for commands.
    pub codec: Option<VideoCodec>,
    /// Presentation minus decoding time, milliseconds.
    pub composition_time: i32,
    /// Nanoseconds to add to the presentation time.
    pub nano_offset: u32,
    /// Whether the message has the enhanced header.
    pub enhanced: bool,
    /// How the message's tracks are laid out.
    pub layout: Layout,
    /// The track's id.
    pub track: u8,
    /// The track's bytes: configuration record, NAL units with their lengths, OBUs, or a frame.
    pub payload: &'a [u8],
}

impl<'a> VideoTag<'a> {
    /// The first track of a tag's body, which is the only one of most messages.
    /// Fails with [`ErrorCode::FlvInvalidTag`].
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        tracks::parse(body)
    }

    /// Whether it is a picture that decoding can start with.
    pub fn is_keyframe(&self) -> bool {
        self.frame_type == FrameType::Key && self.packet_type == PacketType::CodedFrames
    }

    /// Whether it configures the decoder.
    pub fn is_sequence_header(&self) -> bool {
        matches!(
            self.packet_type,
            PacketType::SequenceStart | PacketType::Mpeg2TsSequenceStart
        )
    }
}

/// All tracks of a message; see [`Tracks`]. Faults have code [`ErrorCode::FlvInvalidTag`].
pub type VideoTracks<'a> = Tracks<'a, VideoTag<'a>>;

/// The codec of an enhanced message's FourCC.
pub fn codec_of_four_cc(four_cc: &[u8; 4]) -> VideoCodec {
    match four_cc {
        b"avc1" => VideoCodec::H264,
        b"hvc1" => VideoCodec::Hevc,
        b"vvc1" => VideoCodec::Vvc,
        b"av01" => VideoCodec::Av1,
        b"vp08" => VideoCodec::Vp8,
        b"vp09" => VideoCodec::Vp9,
        _ => VideoCodec::Other,
    }
}

/// The FourCC of a codec; none for those that have no enhanced form.
pub fn four_cc_of_codec(codec: VideoCodec) -> Option<&'static [u8; 4]> {
    match codec {
        VideoCodec::H264 => Some(b"avc1"),
        VideoCodec::Hevc => Some(b"hvc1"),
        VideoCodec::Vvc => Some(b"vvc1"),
        VideoCodec::Av1 => Some(b"av01"),
        VideoCodec::Vp8 => Some(b"vp08"),
        VideoCodec::Vp9 => Some(b"vp09"),
        VideoCodec::H263 | VideoCodec::Screen | VideoCodec::Vp6 | VideoCodec::Other => None,
    }
}

/// The first track, without building an error: this runs for each message.
pub(crate) fn first_track(body: &[u8]) -> Parsed<VideoTag<'_>> {
    tracks::first(body)
}

/// What all tracks of an enhanced message share.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    frame_type: FrameType,
    packet_type: PacketType,
    nano_offset: u32,
    has_composition_time: bool,
    head: Head,
}

impl<'a> TrackTag<'a> for VideoTag<'a> {
    type Shared = Shared;
    const NAME: &'static str = "video";
    const FAULT: ErrorCode = ErrorCode::FlvInvalidTag;

    fn open(body: &'a [u8]) -> Parsed<Opened<'a, Self>> {
        let mut rest = body;
        let [first] = enhanced::take(&mut rest, "it is empty")?;
        let frame_type = match first >> 4 & 0x07 {
            1 => FrameType::Key,
            2 => FrameType::Inter,
            3 => FrameType::DisposableInter,
            4 => FrameType::GeneratedKey,
            5 => FrameType::Command,
            _ => return Err("frame type is not in 1 to 5"),
        };
        if first & EX_HEADER == 0 {
            return Ok(Opened::Whole(first_form(frame_type, first & 0x0f, rest)?));
        }
        let prefix = enhanced::mod_ex(first & 0x0f, &mut rest)?;
        if frame_type == FrameType::Command && prefix.packet_type != PACKET_METADATA {
            let mut tag = command(rest)?;
            tag.enhanced = true;
            tag.nano_offset = prefix.nano_offset;
            return Ok(Opened::Whole(tag));
        }
        let head = enhanced::head(prefix.packet_type, PACKET_MULTITRACK, &mut rest)?;
        let packet_type = match head.packet_type {
            0 => PacketType::SequenceStart,
            1 | 3 => PacketType::CodedFrames,
            2 => PacketType::SequenceEnd,
            PACKET_METADATA => PacketType::Metadata,
            5 => PacketType::Mpeg2TsSequenceStart,
            _ => return Err("enhanced packet type is above 7"),
        };
        let shared = Shared {
            frame_type,
            packet_type,
            nano_offset: prefix.nano_offset,
            // Type 3, CodedFramesX, is type 1 with a composition time of zero left out.
            has_composition_time: head.packet_type == 1,
            head,
        };
        Ok(Opened::Tracks(shared, rest))
    }

    fn take_track(shared: &Shared, rest: &mut &'a [u8]) -> Parsed<Self> {
        let track = shared.head.track(rest)?;
        let codec = codec_of_four_cc(&track.four_cc);
        let mut payload = track.body;
        let mut composition_time = 0;
        let reorders = matches!(codec, VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Vvc);
        if shared.has_composition_time && reorders {
            composition_time = enhanced::take_i24(&mut payload, "composition time is cut short")?;
        }
        Ok(VideoTag {
            frame_type: shared.frame_type,
            packet_type: shared.packet_type,
            codec: Some(codec),
            composition_time,
            nano_offset: shared.nano_offset,
            enhanced: true,
            layout: shared.head.layout,
            track: track.id,
            payload,
        })
    }
}

/// The rest of a body without the enhanced header.
fn first_form(frame_type: FrameType, codec_id: u8, rest: &[u8]) -> Parsed<VideoTag<'_>> {
    if frame_type == FrameType::Command {
        return command(rest);
    }
    let mut tag = VideoTag {
        frame_type,
        packet_type: PacketType::CodedFrames,
        codec: None,
        composition_time: 0,
        nano_offset: 0,
        enhanced: false,
        layout: Layout::Single,
        track: 0,
        payload: rest,
    };
    let codec = match codec_id {
        2 => VideoCodec::H263,
        3 | 6 => VideoCodec::Screen,
        4 | 5 => VideoCodec::Vp6,
        7 => VideoCodec::H264,
        // Never in the specification; encoders and servers agreed on these two before the enhanced form came.
        12 => VideoCodec::Hevc,
        13 => VideoCodec::Av1,
        _ => return Err("codec id is not known"),
    };
    tag.codec = Some(codec);
    if matches!(codec, VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Av1) {
        let [packet_type] = enhanced::take(&mut tag.payload, "packet type is cut short")?;
        tag.packet_type = match packet_type {
            0 => PacketType::SequenceStart,
            1 => PacketType::CodedFrames,
            2 => PacketType::SequenceEnd,
            _ => return Err("packet type is above 2"),
        };
        // The end of a sequence says nothing more, so senders leave out what follows.
        if tag.packet_type == PacketType::SequenceEnd && tag.payload.len() < 3 {
            tag.payload = &[];
        } else {
            tag.composition_time = enhanced::take_i24(&mut tag.payload, "composition time is cut short")?;
        }
    }
    Ok(tag)
}

fn command(rest: &[u8]) -> Parsed<VideoTag<'_>> {
    if rest.is_empty() {
        return Err("command is cut short");
    }
    Ok(VideoTag {
        frame_type: FrameType::Command,
        packet_type: PacketType::Command,
        codec: None,
        composition_time: 0,
        nano_offset: 0,
        enhanced: false,
        layout: Layout::Single,
        track: 0,
        payload: rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &[u8]) -> VideoTag<'_> {
        VideoTag::parse(body).unwrap()
    }

    #[test]
    fn avc_tells_configuration_picture_and_end() {
        let header = parse(&[0x17, 0, 0, 0, 0, 0x01, 0x64]);
        assert_eq!(header.codec, Some(VideoCodec::H264));
        assert!(header.is_sequence_header() && !header.is_keyframe());
        assert_eq!(header.payload, [0x01, 0x64]);
        let key = parse(&[0x17, 1, 0, 0, 80, 0, 0, 0, 1, 0x65]);
        assert!(key.is_keyframe() && !key.is_sequence_header());
        assert_eq!((key.composition_time, key.payload.len()), (80, 5));
        let inter = parse(&[0x27, 1, 0xff, 0xff, 0xd8]);
        assert_eq!((inter.frame_type, inter.composition_time), (FrameType::Inter, -40));
        for end in [&[0x17, 2][..], &[0x17, 2, 0, 0, 0]] {
            assert_eq!(parse(end).packet_type, PacketType::SequenceEnd);
            assert!(!parse(end).is_keyframe());
        }
    }

    #[test]
    fn first_form_knows_hevc_av1_and_the_flash_codecs() {
        assert_eq!(parse(&[0x1c, 1, 0, 0, 0]).codec, Some(VideoCodec::Hevc));
        assert_eq!(parse(&[0x1d, 0, 0, 0, 0]).codec, Some(VideoCodec::Av1));
        let vp6 = parse(&[0x14, 0x00, 0x7b]);
        assert!(vp6.is_keyframe());
        assert_eq!((vp6.codec, vp6.payload), (Some(VideoCodec::Vp6), &[0x00, 0x7b][..]));
        assert_eq!(parse(&[0x22]).codec, Some(VideoCodec::H263));
    }

    #[test]
    fn enhanced_hevc_has_a_composition_time_in_coded_frames_only() {
        let start = parse(b"\x90hvc1\x01\x02");
        assert!(start.is_sequence_header() && start.enhanced);
        assert_eq!((start.codec, start.payload), (Some(VideoCodec::Hevc), &[1, 2][..]));
        let coded = parse(b"\x91hvc1\x00\x00\x28\xaa");
        assert!(coded.is_keyframe());
        assert_eq!((coded.composition_time, coded.payload), (40, &[0xaa][..]));
        let coded_x = parse(b"\xa3hvc1\xaa\xbb");
        assert_eq!(coded_x.packet_type, PacketType::CodedFrames);
        assert_eq!((coded_x.composition_time, coded_x.payload), (0, &[0xaa, 0xbb][..]));
        let av1 = parse(b"\x91av01\xaa");
        assert_eq!(av1.payload, [0xaa]);
        assert_eq!(parse(b"\x92avc1").packet_type, PacketType::SequenceEnd);
        assert_eq!(parse(b"\x95av01\x80").packet_type, PacketType::Mpeg2TsSequenceStart);
        assert_eq!(parse(b"\xd4hvc1\x02").packet_type, PacketType::Metadata);
    }

    #[test]
    fn every_codec_with_a_four_cc_gets_it_back() {
        for four_cc in [b"avc1", b"hvc1", b"vvc1", b"av01", b"vp08", b"vp09"] {
            assert_eq!(four_cc_of_codec(codec_of_four_cc(four_cc)), Some(four_cc));
        }
        assert_eq!(parse(b"\x91xyz9\x00").codec, Some(VideoCodec::Other));
        assert_eq!(VideoCodec::Other.name(), "Other");
    }

    #[test]
    fn commands_carry_no_codec() {
        let seek = parse(&[0x57, 0]);
        assert_eq!((seek.packet_type, seek.codec), (PacketType::Command, None));
        let seek = parse(&[0xd1, 1]);
        assert!(seek.enhanced && seek.payload == [1]);
    }

    #[test]
    fn nanoseconds_stand_before_the_four_cc() {
        let tag = parse(b"\x97\x02\x00\x01\x00\x01avc1\x00\x00\x00\xaa");
        assert!(tag.is_keyframe());
        assert_eq!((tag.nano_offset, tag.payload), (256, &[0xaa][..]));
    }

    #[test]
    fn multitrack_gives_each_track_with_its_codec() {
        let mut body = b"\x96\x21".to_vec();
        body.extend(b"hvc1\x00\x00\x00\x04\x00\x00\x28\xaa");
        body.extend(b"av01\x01\x00\x00\x02\xbb\xcc");
        let tracks: Vec<VideoTag> = VideoTracks::new(&body).map(|tag| tag.unwrap()).collect();
        assert_eq!(tracks.len(), 2);
        assert_eq!((tracks[0].codec, tracks[0].track), (Some(VideoCodec::Hevc), 0));
        assert_eq!((tracks[0].composition_time, tracks[0].payload), (40, &[0xaa][..]));
        assert_eq!((tracks[1].codec, tracks[1].track), (Some(VideoCodec::Av1), 1));
        assert_eq!(tracks[1].payload, [0xbb, 0xcc]);
        assert_eq!(parse(&body), tracks[0]);

        let one = parse(b"\x96\x00avc1\x05\x01\x64");
        assert!(one.is_sequence_header());
        assert_eq!(
            (one.layout, one.track, one.payload),
            (Layout::OneTrack, 5, &[1, 0x64][..])
        );
    }

    #[test]
    fn a_bad_track_size_ends_the_tracks_with_an_error() {
        let mut body = b"\x96\x13avc1".to_vec();
        body.extend(b"\x00\x00\x00\x01\xaa\x01\xff\xff\xff\xbb");
        let mut tracks = VideoTracks::new(&body);
        assert!(tracks.next().unwrap().is_ok());
        let error = tracks.next().unwrap().unwrap_err();
        assert_eq!(error.code(), ErrorCode::FlvInvalidTag);
        assert!(error.message().ends_with("track is larger than its message"));
        assert!(tracks.next().is_none());
    }

    #[test]
    fn a_message_of_the_first_form_is_one_track() {
        assert_eq!(VideoTracks::new(&[0x27, 1, 0, 0, 0]).count(), 1);
        assert_eq!(VideoTracks::new(b"\xa3avc1").count(), 1);
        assert!(VideoTracks::new(&[]).next().unwrap().is_err());
    }

    #[test]
    fn short_and_random_bodies_give_errors_only() {
        let body = b"\x97\x02\x00\x01\x00\x06\x21hvc1\x00\x00\x00\x04\x00\x00\x28\xaaav01\x01\x00\x00\x02\xbb\xcc";
        for cut in 0..body.len() {
            let _ = VideoTracks::new(&body[..cut]).count();
        }
        assert_eq!(VideoTracks::new(body).filter(|tag| tag.is_ok()).count(), 2);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..5000 {
            let mut body = body.to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..body.len());
                body[at] = random.u8(..);
            }
            body.truncate(random.usize(..=body.len()));
            assert!(VideoTracks::new(&body).count() <= body.len() + 1);
        }
    }
}
