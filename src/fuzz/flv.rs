//! FLV: files, and the bodies of audio and video tags.

use super::{Pieces, check_error, checked, split_seed};
use crate::kernel::codec::nal::{AvccNals, LengthSize};
use crate::kernel::codec::{AudioConfig, VideoCodec, VideoConfig};
use crate::kernel::error::{Error, Result};
use crate::kernel::flv::audio::{self, AudioTag, AudioTracks};
use crate::kernel::flv::demux::{Demuxer, Item, Tag};
use crate::kernel::flv::mux::{TAG_OVERHEAD_BYTES, put_tag, rebase_timestamps};
use crate::kernel::flv::tag::TAG_HEADER_BYTES;
use crate::kernel::flv::video::{self, VideoTag, VideoTracks};
use crate::kernel::frame::{Facts, Kind};

/// Two bytes of seed, then a file.
///
/// Laws: what comes out does not depend on how the file is cut; each tag lies where it says; tags written anew read back
/// the same, and a shift of their times there and back changes nothing.
pub fn demux(input: &[u8]) {
    let Some((seed, bytes)) = split_seed(input) else {
        return;
    };
    let whole = pull_all(Demuxer::new(), std::iter::once(bytes));
    let cut = pull_all(Demuxer::new(), Pieces::new(bytes, seed));
    assert_eq!(whole, cut, "cuts of seed {seed} change what is read");
    let mut file = Vec::new();
    let mut tags = Vec::new();
    for item in whole.0 {
        let Item::Tag(tag) = item else {
            continue;
        };
        let at = usize::try_from(tag.offset).expect("the file is in memory") + TAG_HEADER_BYTES;
        assert_eq!(tag.body, bytes[at..at + tag.body.len()]);
        put_tag(&mut file, tag.kind, tag.timestamp, &tag.body).expect("a tag that was read can be written");
        tags.push(tag);
    }
    assert_eq!(read_anew(&file), tags_of(&tags));
    let mut shifted = file.clone();
    rebase_timestamps(&mut shifted, u32::from(seed));
    rebase_timestamps(&mut shifted, 0u32.wrapping_sub(seed.into()));
    assert_eq!(shifted, file);
    let total: usize = tags.iter().map(|tag| tag.body.len() + TAG_OVERHEAD_BYTES).sum();
    assert_eq!(total, file.len());
}

fn pull_all<'a>(
    mut demuxer: Demuxer,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Item>, std::result::Result<usize, String>) {
    let mut items = Vec::new();
    for piece in pieces {
        demuxer.feed(piece);
        loop {
            match demuxer.pull() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => {
                    check_error(&error);
                    assert!(demuxer.pull().is_err(), "a fault is for good");
                    return (items, Err(error.summary()));
                }
            }
        }
    }
    (items, Ok(demuxer.pending_bytes()))
}

fn read_anew(file: &[u8]) -> Vec<(Kind, u32, Vec<u8>)> {
    let (items, end) = pull_all(Demuxer::at_tag(0), std::iter::once(file));
    assert_eq!(end, Ok(0), "what was written has a fault, or is cut short");
    let tags: Vec<Tag> = items
        .into_iter()
        .map(|item| match item {
            Item::Tag(tag) => tag,
            Item::Header(header) => panic!("{header:?} among tags"),
        })
        .collect();
    tags_of(&tags)
}

fn tags_of(tags: &[Tag]) -> Vec<(Kind, u32, Vec<u8>)> {
    let parts = |tag: &Tag| (tag.kind, tag.timestamp, tag.body.to_vec());
    tags.iter().map(parts).collect()
}

/// The body of a video tag.
///
/// Laws: the facts of a frame are those of its first track; tracks lie one behind the other inside the body; what is
/// no picture is no keyframe.
pub fn video(body: &[u8]) {
    let facts = Facts::peek(Kind::Video, body);
    check_facts(&facts);
    let tracks = all_tracks(VideoTracks::new(body));
    let payloads = tracks.iter().flatten().map(|tag| tag.payload.len());
    assert!(payloads.sum::<usize>() <= body.len());
    let Some(tag) = checked(VideoTag::parse(body)) else {
        assert_eq!(facts, Facts::default());
        assert!(matches!(tracks.as_slice(), [Err(_)]));
        return;
    };
    assert_eq!(tracks.first().and_then(|first| first.as_ref().ok()), Some(&tag));
    assert_eq!(facts.keyframe, tag.is_keyframe());
    assert_eq!(facts.sequence_header, tag.is_sequence_header());
    assert_eq!((facts.track, facts.codec.is_some()), (tag.track, tag.codec.is_some()));
    assert!((-0x80_0000..0x80_0000).contains(&tag.composition_time));
    for tag in tracks.iter().flatten() {
        look_inside(tag);
    }
}

fn look_inside(tag: &VideoTag<'_>) {
    let Some(codec) = tag.codec else {
        return;
    };
    if let Some(four_cc) = video::four_cc_of_codec(codec) {
        assert_eq!(video::codec_of_four_cc(four_cc), codec);
    }
    if tag.packet_type == video::PacketType::SequenceStart {
        let _ = checked(VideoConfig::parse(codec, tag.payload));
    } else if matches!(codec, VideoCodec::H264 | VideoCodec::Hevc) {
        let nals = AvccNals::new(tag.payload, LengthSize::FOUR).filter_map(checked);
        assert!(nals.map(|nal| nal.len() + 4).sum::<usize>() <= tag.payload.len());
    }
}

/// The body of an audio tag. Laws: as for [`video`].
pub fn audio(body: &[u8]) {
    let facts = Facts::peek(Kind::Audio, body);
    check_facts(&facts);
    assert!(!facts.keyframe);
    let tracks = all_tracks(AudioTracks::new(body));
    let payloads = tracks.iter().flatten().map(|tag| tag.payload.len());
    assert!(payloads.sum::<usize>() <= body.len());
    let Some(tag) = checked(AudioTag::parse(body)) else {
        assert_eq!(facts, Facts::default());
        assert!(matches!(tracks.as_slice(), [Err(_)]));
        return;
    };
    assert_eq!(tracks.first().and_then(|first| first.as_ref().ok()), Some(&tag));
    assert_eq!(facts.sequence_header, tag.is_sequence_header());
    assert_eq!(facts.track, tag.track);
    for tag in tracks.iter().flatten() {
        if let Some(four_cc) = audio::four_cc_of_codec(tag.codec) {
            assert_eq!(audio::codec_of_four_cc(four_cc), tag.codec);
        }
        if tag.is_sequence_header() {
            let _ = checked(AudioConfig::parse(tag.codec, tag.payload));
        }
    }
}

fn check_facts(facts: &Facts) {
    assert!(!facts.keyframe || facts.coded, "{facts:?}");
    let roles = [facts.sequence_header, facts.coded, facts.presentation];
    assert!(roles.iter().filter(|role| **role).count() <= 1, "{facts:?}");
}

/// All tracks; a fault is the last.
fn all_tracks<T>(tracks: impl Iterator<Item = Result<T>>) -> Vec<Result<T, ()>> {
    let seen: Vec<Result<T, ()>> = tracks
        .map(|track| track.map_err(|error: Error| check_error(&error)))
        .collect();
    let faults = seen.iter().position(Result::is_err);
    assert!(faults.is_none_or(|at| at + 1 == seen.len()), "tracks behind a fault");
    seen
}
