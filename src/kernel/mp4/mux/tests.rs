//! Tests of `mux.rs`.

use super::super::demux::Demuxer;
use super::*;

const BOTH: MuxerOptions = MuxerOptions {
    audio: true,
    video: true,
    part_ms: 100,
    segment_type: false,
};
/// 322x182, High 1.3, by libx264; behind the head of an FLV tag's body.
const AVC: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x51,
    0x9e, 0x22, 0x6c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0x65, 0x80, 0x01,
    0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];
const AAC: &[u8] = b"\xaf\x00\x12\x10";

fn video(time: u32, key: bool, composition: u8) -> Frame {
    let head = [if key { 0x17 } else { 0x27 }, 1, 0, 0, composition];
    let nal = [0, 0, 0, 3, if key { 0x65 } else { 0x41 }, time as u8, 0x80];
    Frame::new(Kind::Video, time, [&head[..], &nal].concat().into())
}

fn audio(time: u32) -> Frame {
    Frame::new(Kind::Audio, time, vec![0xaf, 1, time as u8, 7].into())
}

fn header(kind: Kind, body: &'static [u8]) -> Frame {
    Frame::new(kind, 0, Bytes::from_static(body))
}

/// The headers, then a second and a bit of 25 pictures a second and sound, in the order of time.
fn stream() -> Vec<Frame> {
    let mut frames: Vec<Frame> = (0..30).map(|index| video(index * 40, index % 10 == 0, 80)).collect();
    frames.extend((0..52).map(|index| audio(index * 1024 * 1000 / 44_100)));
    frames.sort_by_key(|frame| frame.timestamp);
    frames.insert(0, header(Kind::Audio, AAC));
    frames.insert(0, header(Kind::Video, AVC));
    frames
}

struct Made {
    muxer: Muxer,
    out: Vec<u8>,
    fragments: Vec<Fragment>,
}

fn mux(options: MuxerOptions, frames: &[Frame]) -> Made {
    let mut made = Made {
        muxer: Muxer::new(options),
        out: Vec::new(),
        fragments: Vec::new(),
    };
    for frame in frames {
        let before = made.out.len();
        let fragment = made.muxer.write(frame, &mut made.out).unwrap();
        assert_eq!(fragment.is_some(), made.out.len() > before);
        made.fragments.extend(fragment);
    }
    made.fragments.extend(made.muxer.flush(&mut made.out));
    made
}

impl Made {
    fn demuxer(&self) -> Demuxer {
        let mut init = Vec::new();
        self.muxer.init(&mut init);
        Demuxer::new(&init).unwrap()
    }

    fn times(&self, track: u32) -> Vec<(u64, u32, i32, bool)> {
        let samples = self.demuxer().samples(&self.out).unwrap().into_iter();
        let samples = samples.filter(|sample| sample.track == track);
        samples
            .map(|sample| (sample.time, sample.duration, sample.composition, sample.sync))
            .collect()
    }
}

#[test]
fn all_samples_are_there_at_their_times() {
    let made = mux(BOTH, &stream());
    let expected: Vec<_> = (0..30u64)
        .map(|index| (index * 3600, 3600, 7200, index % 10 == 0))
        .collect();
    assert_eq!(made.times(1), expected);
    let expected: Vec<_> = (0..52u64).map(|index| (index * 1024, 1024, 0, true)).collect();
    assert_eq!(made.times(2), expected);
    // Three pictures each, and a short one before each keyframe.
    assert_eq!(made.fragments.len(), 12);
    let starts: Vec<_> = made.fragments.iter().map(|fragment| fragment.independent).collect();
    assert_eq!(starts, [true, false, false, false].repeat(3));
    let fifth = made.fragments[4];
    assert_eq!((fifth.init, fifth.duration_ms), (1, 120));
    assert!((390..=400).contains(&fifth.start_ms), "{fifth:?}");
    let strings: Vec<_> = made
        .muxer
        .tracks()
        .iter()
        .map(|track| track.codec_string.as_str())
        .collect();
    assert_eq!(strings, ["avc1.64000d", "mp4a.40.2"]);
}

#[test]
fn part_zero_gives_each_picture_its_fragment() {
    let made = mux(MuxerOptions { part_ms: 0, ..BOTH }, &stream());
    assert_eq!(
        (made.fragments.len(), made.times(1).len(), made.times(2).len()),
        (30, 30, 52)
    );
}

#[test]
fn one_track_can_be_left_out() {
    let only = |audio, video| {
        let options = MuxerOptions {
            audio,
            video,
            segment_type: true,
            ..BOTH
        };
        mux(options, &stream())
    };
    let pictures = only(false, true);
    assert_eq!(
        (pictures.times(1).len(), pictures.demuxer().tracks().collect()),
        (30, vec![1])
    );
    assert!(pictures.out.starts_with(b"\0\0\0\x18stypmsdh"));
    let sound = only(true, false);
    assert_eq!(
        (sound.times(2).len(), sound.demuxer().tracks().collect()),
        (52, vec![2])
    );
    // 100 ms are 4.3 messages; all of them can be entered.
    assert_eq!(sound.fragments.len(), 52usize.div_ceil(5));
    assert!(sound.fragments.iter().all(|fragment| fragment.independent));
}

#[test]
fn uneven_pictures_last_until_the_next_one() {
    let frames = [
        header(Kind::Video, AVC),
        video(0, false, 0),
        video(1000, true, 0),
        video(1033, false, 0),
        video(1033, false, 0),
        video(1020, false, 0),
        video(1100, false, 0),
        video(1133, false, 0),
    ];
    let made = mux(BOTH, &frames);
    let times: Vec<_> = made
        .times(1)
        .iter()
        .map(|sample| (sample.0, sample.1, sample.2))
        .collect();
    // The one before the keyframe is left out. Those that do not step on are shown when they say.
    assert_eq!(
        times,
        [
            (90_000, 2970, 0),
            (92_970, 1, 0),
            (92_971, 1, -1),
            (92_972, 6028, -1172),
            (99_000, 2970, 0),
            (101_970, 2970, 0),
        ]
    );
}

#[test]
fn equal_headers_change_nothing_and_others_the_init_segment() {
    let mut frames = stream();
    frames.push(header(Kind::Video, AVC));
    frames.push(header(Kind::Audio, AAC));
    frames.push(video(1200, true, 0));
    assert!(mux(BOTH, &frames).fragments.iter().all(|fragment| fragment.init == 1));
    let before = frames.len();
    frames.push(header(Kind::Audio, b"\xaf\x00\x11\x90"));
    frames.push(video(1240, false, 0));
    frames.push(video(1280, true, 0));
    let made = mux(BOTH, &frames);
    let inits: Vec<u32> = made.fragments.iter().map(|fragment| fragment.init).collect();
    assert!(inits.is_sorted() && inits.last() == Some(&2), "{inits:?}");
    assert_eq!(made.muxer.tracks()[1].timescale, 48_000);
    // What waited went out under the old one.
    let whole = mux(BOTH, &frames[..before]);
    assert_eq!(made.out[..whole.out.len()], whole.out[..]);
}

#[test]
fn a_track_that_is_known_late_is_known_when_primed() {
    let mut frames = stream();
    let late = frames.remove(1);
    frames.retain(|frame| frame.kind == Kind::Video || frame.timestamp > 300);
    let mut muxer = Muxer::new(BOTH);
    assert!(!muxer.is_configured());
    muxer.prime(&frames[0]).unwrap();
    muxer.prime(&late).unwrap();
    assert!(muxer.is_configured() && muxer.tracks().is_empty());
    let mut out = Vec::new();
    let fragments: Vec<_> = frames
        .iter()
        .filter_map(|frame| muxer.write(frame, &mut out).unwrap())
        .collect();
    assert!(fragments.iter().all(|fragment| fragment.init == 1) && muxer.tracks().len() == 2);
}

#[test]
fn vp9_begins_with_the_keyframe_that_tells_its_size() {
    let header = header(Kind::Video, b"\x90vp09\x01\0\0\0\0\x0b\x82\x02\x02\x02\0\0");
    let key = b"\x91vp09\x82\x49\x83\x42\0\x13\xf0\x0b\x36\x06";
    let frame = |time, body: &'static [u8]| Frame::new(Kind::Video, time, Bytes::from_static(body));
    let inter: &[u8] = b"\xa1vp09\x86\x00";
    let frames = [
        header.clone(),
        frame(0, inter),
        frame(40, key),
        frame(80, inter),
        header,
        frame(120, inter),
    ];
    let made = mux(BOTH, &frames);
    assert_eq!(made.times(1).len(), 3);
    assert_eq!(made.fragments.len(), 1);
}

#[test]
fn sound_goes_on_without_pictures() {
    let mut frames = stream();
    frames.extend((52..200).map(|index| audio(index * 1024 * 1000 / 44_100)));
    let made = mux(BOTH, &frames);
    assert_eq!(made.times(2).len(), 200);
    assert!(
        made.fragments
            .iter()
            .rev()
            .take(3)
            .all(|fragment| !fragment.independent)
    );
    assert!(
        made.fragments
            .iter()
            .skip(12)
            .all(|fragment| fragment.duration_ms <= 640)
    );
}

#[test]
fn nothing_is_gathered_without_bound() {
    let mut muxer = Muxer::new(MuxerOptions {
        part_ms: u32::MAX,
        ..BOTH
    });
    let mut out = Vec::new();
    muxer.write(&header(Kind::Video, AVC), &mut out).unwrap();
    muxer.write(&video(0, true, 0), &mut out).unwrap();
    let count = (0..2500)
        .filter(|_| muxer.write(&video(0, false, 0), &mut out).unwrap().is_some())
        .count();
    assert_eq!(count, 2);
    let mut heavy = video(0, false, 0).payload.to_vec();
    heavy.splice(5.., [&0x00ff_ffffu32.to_be_bytes()[..], &vec![1; 0x00ff_ffff]].concat());
    let heavy = Frame::new(Kind::Video, 0, heavy.into());
    assert!(muxer.write(&heavy, &mut out).unwrap().is_none());
    assert!(muxer.write(&heavy, &mut out).unwrap().is_some());
}

#[test]
fn cut_and_changed_messages_never_panic() {
    let frames = stream();
    let mut random = fastrand::Rng::with_seed(34);
    for round in 0..300 {
        let mut muxer = Muxer::new(MuxerOptions {
            part_ms: random.u32(..300),
            audio: random.bool(),
            ..BOTH
        });
        let mut out = Vec::new();
        for frame in &frames {
            let mut body = frame.payload.to_vec();
            if random.u8(..4) == 0 {
                body.truncate(random.usize(..=body.len()));
                if let Some(byte) = body.get_mut(random.usize(..8)) {
                    *byte = random.u8(..);
                }
            }
            let time = if random.u8(..20) == 0 {
                random.u32(..)
            } else {
                frame.timestamp
            };
            let _ = muxer.write(&Frame::new(frame.kind, time, body.into()), &mut out);
        }
        let _ = muxer.flush(&mut out);
        let moofs = super::super::boxes::Boxes::new(&out).filter(|found| found.kind == *b"moof");
        let whole: usize = super::super::boxes::Boxes::new(&out)
            .map(|found| found.contents.len() + 8)
            .sum();
        assert_eq!(whole, out.len(), "round {round}");
        assert!(moofs.count() <= frames.len());
    }
}
