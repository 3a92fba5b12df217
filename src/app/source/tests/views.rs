//! What HTTP's players get of the TS and MP4 views.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::super::{Mp4Consumer, Publication, Source, Tracks, TsConsumer};
use super::{audio, source};
use crate::app::config::section::play::{Play, TimeJitter};
use crate::core::runtime::run;
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::mp4::demux::Demuxer;

/// 322x182, High 1.3, by libx264.
const AVC: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x51,
    0x9e, 0x22, 0x6c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0x65, 0x80, 0x01,
    0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

fn picture(time: u32, key: bool) -> Frame {
    let head = [if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
    let nal = [
        0,
        0,
        0,
        3,
        if key { 0x65 } else { 0x41 },
        (time / 40) as u8 | 0x80,
        0x80,
    ];
    Frame::new(Kind::Video, time, [&head[..], &nal].concat().into())
}

fn header(kind: Kind, body: &'static [u8]) -> Frame {
    Frame::new(kind, 0, Bytes::from_static(body))
}

fn headers(publication: &Publication) {
    publication.push(header(Kind::Video, AVC));
    publication.push(header(Kind::Audio, b"\xaf\x00\x12\x10"));
}

/// Both tracks, 25 pictures a second, a keyframe each second.
fn push(publication: &Publication, from: u32, to: u32) {
    for time in (from..to).step_by(40) {
        publication.push(picture(time, time % 1000 == 0));
        publication.push(audio(time + 3));
    }
}

fn mp4(source: &Rc<Source>, tracks: Tracks) -> Mp4Consumer {
    let mut consumer = Mp4Consumer::join(source);
    consumer.set_tracks(tracks);
    consumer
}

fn take(consumer: &mut Mp4Consumer) -> Vec<u8> {
    let mut out = Vec::new();
    while consumer.take_batch(&mut out) > 0 {}
    out
}

/// Decoding times and NAL units' numbers of pictures; `init` is where the player's bytes begin.
fn pictures(init: &[u8], bytes: &[u8]) -> Vec<(u64, u8)> {
    let samples = Demuxer::new(init).unwrap().samples(bytes).unwrap();
    let samples = samples.into_iter().filter(|sample| sample.track == 1);
    samples
        .map(|sample| (sample.time / 90, sample.data[5] & 0x7f))
        .collect()
}

#[test]
fn mp4_players_start_at_the_newest_keyframe_at_their_own_zero() {
    run(|| {
        let (source, publication) = source(Play::default());
        let mut early = mp4(&source, Tracks::BOTH);
        headers(&publication);
        push(&publication, 0, 1200);
        let first = take(&mut early);
        assert_eq!(&first[4..8], b"ftyp");
        let shown = pictures(&first, &first);
        assert_eq!((shown[0], shown.len()), ((0, 0), 25));
        let mut late = mp4(&source, Tracks::BOTH);
        let second = take(&mut late);
        assert_eq!(second, b"", "the fragment of the newest keyframe has not ended");
        push(&publication, 1200, 1400);
        let more = take(&mut late);
        assert_eq!(&more[4..8], b"ftyp");
        let shown = pictures(&more, &more);
        assert_eq!((shown[0].1, shown.len()), (25, 5));
        // Each sound lasts 23 of 40 ms here, so that it may be counted 100 ms late.
        assert!(shown[0].0 <= 100);
        let samples = Demuxer::new(&first).unwrap();
        assert!(samples.samples(&more).unwrap().iter().any(|sample| sample.track == 2));
    })
    .unwrap();
}

#[test]
fn what_an_mp4_fragment_gathers_goes_out_at_the_end() {
    run(|| {
        let (source, publication) = source(Play::default());
        headers(&publication);
        push(&publication, 0, 1080);
        let mut consumer = mp4(
            &source,
            Tracks {
                audio: false,
                ..Tracks::BOTH
            },
        );
        push(&publication, 1080, 1320);
        let mut bytes = take(&mut consumer);
        assert_eq!(pictures(&bytes, &bytes).len(), 5);
        drop(publication);
        assert_eq!(take(&mut consumer), b"");
        consumer.finish(&mut bytes);
        let shown = pictures(&bytes, &bytes);
        assert_eq!(shown.last(), Some(&(280, 32)));
        assert_eq!(shown.len(), 8);
        assert!(!consumer.is_over());
    })
    .unwrap();
}

#[test]
fn an_mp4_player_that_jumps_goes_on_in_time() {
    run(|| {
        let (source, publication) = source(Play {
            queue_length: Duration::from_secs(1),
            time_jitter: TimeJitter::Full,
            ..Play::default()
        });
        headers(&publication);
        push(&publication, 0, 400);
        let mut consumer = mp4(&source, Tracks::BOTH);
        let first = take(&mut consumer);
        push(&publication, 400, 9400);
        let bytes = take(&mut consumer);
        assert!(consumer.place.dropped() > 100);
        let shown = pictures(&first, &bytes);
        // Its last message had 363 ms.
        assert_eq!(shown[0].1, (9000 / 40) as u8 & 0x7f);
        assert!((373..=473).contains(&shown[0].0), "{} ms", shown[0].0);
        assert!(!bytes.windows(4).any(|four| four == b"moov"), "it has its movie box");
    })
    .unwrap();
}

#[test]
fn mp4_of_other_parameters_is_for_other_players() {
    run(|| {
        let (source, publication) = source(Play::default());
        headers(&publication);
        push(&publication, 0, 600);
        let mut old = mp4(&source, Tracks::BOTH);
        let mut bytes = take(&mut old);
        publication.push(header(Kind::Audio, b"\xaf\x00\x11\x90"));
        push(&publication, 1000, 1800);
        bytes.extend(take(&mut old));
        assert!(old.is_over());
        assert_eq!(
            pictures(&bytes, &bytes).len(),
            15,
            "all that the old parameters are for"
        );
        assert_eq!(take(&mut old), b"");
        let mut new = mp4(&source, Tracks::BOTH);
        let bytes = take(&mut new);
        assert_eq!(pictures(&bytes, &bytes)[0], (0, 25));
        assert!(!new.is_over());
    })
    .unwrap();
}

/// The program map of the first packets: stream types.
fn stream_types(packets: &[u8]) -> Vec<u8> {
    let map = packets
        .chunks(188)
        .find(|packet| packet[1] & 0x1f == 0x10 && packet[2] == 1)
        .unwrap();
    // Behind the packet's header and pointer: 12 bytes, then five for each stream, then the check sum.
    let length = usize::from(map[6] & 0x0f) << 8 | usize::from(map[7]);
    let streams = &map[5 + 12..5 + 3 + length - 4];
    streams.chunks(5).map(|stream| stream[0]).collect()
}

#[test]
fn ts_players_start_with_tables_that_are_right() {
    run(|| {
        for (sound, stream_type) in [(&b"\xaf\x01\x21"[..], 0x0f), (b"\x2f\xff\xfb\x90\x64", 0x03)] {
            let (source, publication) = source(Play::default());
            if stream_type == 0x0f {
                publication.push(header(Kind::Audio, b"\xaf\x00\x12\x10"));
            }
            publication.push(header(Kind::Video, AVC));
            publication.push(Frame::new(Kind::Audio, 0, Bytes::from_static(sound)));
            for time in (0..400).step_by(40) {
                publication.push(picture(time, time == 0));
            }
            let mut consumer = TsConsumer::join(&source);
            let mut packets = Vec::new();
            while consumer.take_batch(&mut packets) > 0 {}
            assert_eq!(packets[..3], [0x47, 0x40, 0], "tables come first");
            assert_eq!(packets.len() % 188, 0);
            assert_eq!(stream_types(&packets), [0x1b, stream_type]);
            let before = packets.len();
            publication.push(Frame::new(Kind::Audio, 400, Bytes::from_static(sound)));
            drop(publication);
            while consumer.take_batch(&mut packets) > 0 {}
            consumer.finish(&mut packets);
            assert!(packets.len() > before, "sound that waits for its group goes out");
        }
    })
    .unwrap();
}

#[test]
fn a_ts_player_waits_for_tables() {
    run(|| {
        let (source, publication) = source(Play {
            gop_cache: false,
            ..Play::default()
        });
        headers(&publication);
        push(&publication, 0, 200);
        let mut consumer = TsConsumer::join(&source);
        let mut packets = Vec::new();
        push(&publication, 200, 1000);
        while consumer.take_batch(&mut packets) > 0 {}
        assert_eq!(packets, b"", "nothing to decode before a keyframe");
        push(&publication, 1000, 1200);
        while consumer.take_batch(&mut packets) > 0 {}
        assert_eq!(packets[..3], [0x47, 0x40, 0]);
    })
    .unwrap();
}
