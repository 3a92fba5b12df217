//! The transport stream muxer: its packets against the rules of ISO/IEC 13818-1, and against FFmpeg and FFprobe.
//!
//! `scripts/clients.sh` gets the clients.

#[path = "ts/checker.rs"]
mod checker;
#[allow(dead_code)]
#[path = "../benches/ts_overhead.rs"]
mod overhead;
#[allow(dead_code)]
#[path = "e2e/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use srs_may::kernel::codec::{AudioCodec, VideoCodec};
use srs_may::kernel::flv::demux::{Demuxer, Item};
use srs_may::kernel::frame::{Frame, Kind};
use srs_may::kernel::ts::clock::AudioClock;
use srs_may::kernel::ts::{Muxer, MuxerOptions};

use checker::{Report, check, difference};
use support::media::Sample;
use support::program::run;
use support::workdir::WorkDir;

const VIDEO: u16 = 0x100;
const AUDIO: u16 = 0x101;

fn frames_of(path: &Path) -> Vec<Frame> {
    let mut demuxer = Demuxer::new();
    demuxer.feed(&std::fs::read(path).expect("read a sample"));
    let mut frames = Vec::new();
    while let Some(item) = demuxer.pull().expect("FLV by FFmpeg") {
        if let Item::Tag(tag) = item {
            frames.push(Frame::new(tag.kind, tag.timestamp, tag.body));
        }
    }
    frames
}

fn mux_with(options: MuxerOptions, frames: &[Frame]) -> Vec<u8> {
    let (mut muxer, mut out) = (Muxer::new(options), Vec::new());
    for frame in frames {
        let before = out.len();
        let written = muxer.write(frame, &mut out).expect("a frame by FFmpeg");
        if let Some(entry) = written.entry {
            assert!((before..out.len()).contains(&entry) && entry % 188 == 0);
            assert_eq!(out[entry..entry + 3], [0x47, 0x40, 0], "tables at the entry");
        }
    }
    let _ = muxer.flush(&mut out);
    out
}

fn mux(frames: &[Frame]) -> Vec<u8> {
    mux_with(MuxerOptions::default(), frames)
}

#[track_caller]
fn checked(bytes: &[u8]) -> Report {
    check(bytes).unwrap_or_else(|what| panic!("{what}"))
}

fn shifted(frames: &[Frame], base: u32) -> Vec<Frame> {
    let shift = |frame: &Frame| Frame {
        timestamp: frame.timestamp.wrapping_add(base),
        ..frame.clone()
    };
    frames.iter().map(shift).collect()
}

fn frame(kind: Kind, timestamp: u32, payload: &[u8]) -> Frame {
    Frame::new(kind, timestamp, Bytes::copy_from_slice(payload))
}

/// MD5 of each decoded picture or all sound, by Debian's FFmpeg; fails on any warning of a decoder.
#[track_caller]
fn decoded(folder: &Path, file: &Path, map: &str) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-v", "error", "-xerror", "-i"]);
    command
        .arg(file)
        .args(["-map", map, "-fps_mode", "passthrough", "-f", "md5", "-"]);
    let output = run("ffmpeg", folder, 60, &mut command).ok().output;
    assert!(output.starts_with("MD5=") && output.lines().count() == 1, "{output}");
    output
}

/// Each packet's stream type, decoding time and size, by FFprobe.
#[track_caller]
fn probed(folder: &Path, file: &Path, entries: &str) -> Vec<String> {
    let mut command = Command::new("ffprobe");
    command.args([
        "-hide_banner",
        "-v",
        "error",
        "-of",
        "csv=p=0",
        "-show_entries",
        entries,
    ]);
    let output = run("ffprobe", folder, 60, command.arg(file)).ok().output;
    // Packets with side data are followed by an empty line.
    output
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn same_as_flv(sample: Sample, options: MuxerOptions, codecs: &[&str]) -> Report {
    let work = WorkDir::new(&format!("ts-{sample:?}"));
    let (flv, frames) = (sample.path(), frames_of(&sample.path()));
    let bytes = mux_with(options, &frames);
    let ts = work.join("out.ts");
    std::fs::write(&ts, &bytes).expect("write a stream");
    let report = checked(&bytes);
    assert_eq!(report.versions, [0]);
    let mut names = probed(&work, &ts, "stream=codec_name");
    // Once for the program, once for the file.
    names.sort();
    names.dedup();
    assert_eq!(names, codecs);
    let (has_video, has_audio) = sample.tracks();
    for (map, has) in [("0:v", has_video), ("0:a", has_audio)] {
        if has {
            let (ours, theirs) = (decoded(&work, &ts, map), decoded(&work, &flv, map));
            assert_eq!(ours, theirs, "{map} of {sample:?}");
        }
    }
    report
}

#[test]
fn h264_and_aac_decode_to_the_same() {
    let report = same_as_flv(Sample::H264Aac, MuxerOptions::default(), &["aac", "h264"]);
    let video = &report.streams[&VIDEO];
    assert_eq!((video.stream_type, report.streams[&AUDIO].stream_type), (0x1b, 0x0f));
    assert_eq!(report.clock_pid, VIDEO);
    // Eight seconds, a keyframe each; tables before each.
    assert_eq!(video.units.len(), 200);
    assert_eq!(video.units.iter().filter(|unit| unit.random_access).count(), 8);
    assert_eq!(report.associations.len(), 8);
    for unit in &video.units {
        assert!(unit.payload.starts_with(&[0, 0, 0, 1, 9, 0xf0]));
        let has_set = unit.payload.windows(5).any(|five| five == [0, 0, 0, 1, 0x67]);
        assert_eq!(has_set, unit.random_access);
    }
    // Groups of five frames; those before keyframes may be shorter.
    let frames: usize = report.streams[&AUDIO]
        .units
        .iter()
        .map(|unit| adts_frames(&unit.payload))
        .sum();
    assert!(
        report.streams[&AUDIO].units.len() <= frames.div_ceil(5) + 8,
        "{frames} frames"
    );
}

#[test]
fn h264_and_mp3_decode_to_the_same() {
    let told = MuxerOptions {
        audio: Some(AudioCodec::Mp3),
        ..MuxerOptions::default()
    };
    let report = same_as_flv(Sample::H264Mp3, told, &["h264", "mp3"]);
    assert_eq!(report.streams[&AUDIO].stream_type, 0x03);
    // It has no sequence header, so if it is not told the tables follow when it comes.
    let report = checked(&mux(&frames_of(&Sample::H264Mp3.path())));
    assert_eq!(report.versions, [0, 1]);
}

#[test]
fn hevc_and_aac_decode_to_the_same() {
    let work = WorkDir::new("ts-hevc");
    let frames = frames_of(&Sample::HevcAac.path());
    let bytes = mux(&frames);
    let report = checked(&bytes);
    let video = &report.streams[&VIDEO];
    assert_eq!((video.stream_type, video.units.len()), (0x24, 200));
    assert!(
        video.units[0]
            .payload
            .starts_with(&[0, 0, 0, 1, 0x46, 1, 0x50, 0, 0, 0, 1, 0x40])
    );
    // Debian's FFmpeg does not read HEVC in FLV, so there is nothing to compare with.
    let ts = work.join("out.ts");
    std::fs::write(&ts, &bytes).expect("write a stream");
    decoded(&work, &ts, "0:v");
    decoded(&work, &ts, "0:a");
    let pictures = probed(&work, &ts, "packet=codec_type");
    assert_eq!(pictures.iter().filter(|kind| kind.starts_with("video")).count(), 200);
}

#[test]
fn opus_decodes() {
    let work = WorkDir::new("ts-opus");
    let frames = frames_of(&Sample::Av1Opus.path());
    let bytes = mux(&frames);
    let report = checked(&bytes);
    // AV1 is passed over, so the clock goes with the sound.
    assert_eq!(report.streams.keys().copied().collect::<Vec<_>>(), [AUDIO]);
    let sound = &report.streams[&AUDIO];
    assert_eq!((sound.stream_type, &sound.descriptors[2..6]), (6, &b"Opus"[..]));
    let ts = work.join("out.ts");
    std::fs::write(&ts, &bytes).expect("write a stream");
    decoded(&work, &ts, "0:a");
    let coded = frames
        .iter()
        .filter(|frame| frame.kind == Kind::Audio && frame.facts.coded)
        .count();
    assert_eq!(probed(&work, &ts, "packet=size").len(), coded);
}

#[test]
fn sound_alone_has_its_own_clock_and_even_times() {
    let report = same_as_flv(Sample::Aac, MuxerOptions::default(), &["aac"]);
    assert_eq!(report.clock_pid, AUDIO);
    even_times(&report);
    // One entry a second.
    assert!((8..=9).contains(&report.associations.len()));
    // What HLS tells before it knows: pictures that never come do not take the clock.
    let options = MuxerOptions {
        audio: Some(AudioCodec::Aac),
        video: Some(VideoCodec::H264),
        ..MuxerOptions::default()
    };
    let report = checked(&mux_with(options, &frames_of(&Sample::Aac.path())));
    assert_eq!((report.clock_pid, report.streams.len()), (AUDIO, 2));
}

/// Each group begins where the one before ends, to a millisecond and a half percent.
#[track_caller]
fn even_times(report: &Report) {
    for pair in report.streams[&AUDIO].units.windows(2) {
        let step = difference(pair[1].presentation, pair[0].presentation);
        let samples = adts_frames(&pair[0].payload) as i64 * 1024 * 90_000 / 44_100;
        assert!(
            (step - samples).abs() <= 1 + samples / 200,
            "step {step}, samples {samples}"
        );
        assert_eq!(difference(pair[0].decoding, pair[0].clock.expect("PCR")), 300 * 90);
    }
}

fn adts_frames(mut bytes: &[u8]) -> usize {
    let mut frames = 0;
    while let [0xff, 0xf1, _, high, middle, low, _, ..] = bytes {
        let length = usize::from(high & 3) << 11 | usize::from(*middle) << 3 | usize::from(low >> 5);
        bytes = &bytes[length..];
        frames += 1;
    }
    assert!(bytes.is_empty(), "{} bytes behind the last ADTS frame", bytes.len());
    frames
}

#[test]
fn stream_times_are_kept_where_asked() {
    let options = MuxerOptions {
        audio_clock: AudioClock::Stream,
        audio_group_ms: 0,
        ..MuxerOptions::default()
    };
    let frames = frames_of(&Sample::Aac.path());
    let report = checked(&mux_with(options, &frames));
    let coded: Vec<&Frame> = frames.iter().filter(|frame| frame.facts.coded).collect();
    let units = &report.streams[&AUDIO].units;
    assert_eq!(units.len(), coded.len());
    for (unit, frame) in units.iter().zip(coded) {
        assert_eq!(unit.presentation, (i64::from(frame.timestamp) + 300) * 90);
    }
}

#[test]
fn times_go_on_over_both_wraps() {
    let frames = frames_of(&Sample::H264Aac.path());
    let plain = checked(&mux(&frames));
    // 2^33 ticks are 95,443,717 ms; 2^32 ms is where RTMP wraps.
    for base in [95_443_717 - 4000, u32::MAX - 4000] {
        let report = checked(&mux(&shifted(&frames, base)));
        let (first, last) = (report.clock[0].0, report.clock[report.clock.len() - 1].0);
        assert_eq!(
            difference(last, first),
            difference(plain.clock[plain.clock.len() - 1].0, plain.clock[0].0)
        );
        assert!(report.clock.iter().all(|(_, jump)| !jump));
    }
}

#[test]
fn players_enter_at_each_keyframe() {
    let work = WorkDir::new("ts-entry");
    let (mut muxer, mut out, mut entries) = (Muxer::new(MuxerOptions::default()), Vec::new(), Vec::new());
    for frame in frames_of(&Sample::H264Aac.path()) {
        let written = muxer.write(&frame, &mut out).expect("a frame by FFmpeg");
        entries.extend(written.entry);
    }
    assert_eq!(entries.len(), 8);
    for entry in [entries[3], entries[7]] {
        let report = checked(&out[entry..]);
        assert!(report.streams[&VIDEO].units[0].random_access);
        assert!(report.streams[&VIDEO].units[0].clock.is_some());
        let ts = work.join("late.ts");
        std::fs::write(&ts, &out[entry..]).expect("write a stream");
        decoded(&work, &ts, "0:v");
        decoded(&work, &ts, "0:a");
    }
}

#[test]
fn segments_stand_alone() {
    let options = MuxerOptions {
        repeat_tables: false,
        ..MuxerOptions::default()
    };
    let (mut muxer, mut segments) = (Muxer::new(options), vec![Vec::new()]);
    for frame in frames_of(&Sample::H264Aac.path()) {
        if frame.facts.keyframe && frame.timestamp > 0 {
            let _ = muxer.flush(segments.last_mut().expect("a segment"));
            let mut segment = Vec::new();
            muxer.start(&mut segment);
            segments.push(segment);
        }
        let written = muxer.write(&frame, segments.last_mut().expect("a segment"));
        let _ = written.expect("a frame by FFmpeg");
    }
    segments.retain(|segment| !segment.is_empty());
    for segment in &segments {
        let report = checked(segment);
        assert_eq!(report.associations, [0]);
        let first = &report.streams[&VIDEO].units[0];
        assert!(first.random_access && first.clock.is_some() && first.packet == 2);
    }
    checked(&segments.concat());
}

#[test]
fn a_codec_change_is_a_new_version() {
    let aac = frames_of(&Sample::H264Aac.path());
    let mut mp3 = frames_of(&Sample::H264Mp3.path());
    mp3.retain(|frame| frame.kind != Kind::Video);
    let report = checked(&mux(&[aac, shifted(&mp3, 8000)].concat()));
    assert_eq!(report.versions, [0, 1]);
    assert_eq!(report.streams[&AUDIO].stream_type, 0x03);
    // Pictures that come late take the clock.
    let mut sound = frames_of(&Sample::Aac.path());
    sound.extend(shifted(&frames_of(&Sample::H264.path()), 8000));
    let report = checked(&mux(&sound));
    assert_eq!((report.versions, report.clock_pid), (vec![0, 1], VIDEO));
}

#[test]
fn a_publisher_that_comes_back_is_a_jump_of_the_clock() {
    let frames = frames_of(&Sample::H264Aac.path());
    let report = checked(&mux(&[shifted(&frames, 60_000), frames].concat()));
    assert_eq!(report.clock.iter().filter(|(_, jump)| *jump).count(), 1);
    assert_eq!(report.versions, [0]);
}

#[test]
fn the_clock_ticks_on_between_rare_pictures() {
    let header = frames_of(&Sample::H264.path())
        .into_iter()
        .find(|frame| frame.facts.is_video_sequence_header())
        .expect("a sequence header");
    let mut frames = vec![header];
    for second in 0..5 {
        frames.push(frame(
            Kind::Video,
            second * 1000,
            &[0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 0x88],
        ));
    }
    let report = checked(&mux(&frames));
    assert_eq!(report.streams[&VIDEO].units.len(), 5);
    assert!(report.clock.len() >= 45);
}

#[test]
fn pictures_shown_before_their_decoding_time_are_decoded_earlier() {
    let header = frames_of(&Sample::H264.path())
        .into_iter()
        .find(|frame| frame.facts.is_video_sequence_header())
        .expect("a sequence header");
    let mut frames = vec![header];
    // I P B B P B B: decoding times that are too late for the B pictures, as some encoders send them.
    let shown = |picture: u32| match picture % 3 {
        0 if picture == 0 => 0i32,
        1 => 80,
        _ => -40,
    };
    for picture in 0..50u32 {
        let composition = shown(picture).to_be_bytes();
        let head = [0x17, 1, composition[1], composition[2], composition[3]];
        frames.push(frame(
            Kind::Video,
            picture * 40,
            &[&head[..], &[0, 0, 0, 2, 0x65, 0x88]].concat(),
        ));
    }
    // Two in the same millisecond, one that goes back by two.
    for time in [2000, 2000, 1998] {
        frames.push(frame(Kind::Video, time, &[0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 0x88]));
    }
    let units = &checked(&mux(&frames)).streams[&VIDEO].units;
    assert_eq!(units.len(), 53);
    for (picture, unit) in units.iter().enumerate().take(50) {
        let exact = (picture as i64 * 40 + i64::from(shown(picture as u32)) + 300) * 90;
        // The first B picture is a tick late, as the P picture before it is on its way already.
        assert!((0..=1).contains(&(unit.presentation - exact)), "picture {picture}");
    }
}

#[test]
fn hostile_frames_never_break_the_stream() {
    let mut random = fastrand::Rng::with_seed(31);
    for sample in [Sample::H264Aac, Sample::HevcAac, Sample::H264Mp3, Sample::Av1Opus] {
        let frames = frames_of(&sample.path());
        for _ in 0..12 {
            let (mut muxer, mut out) = (Muxer::new(MuxerOptions::default()), Vec::new());
            for frame in &frames {
                let mut payload = frame.payload.to_vec();
                if random.u8(..) < 40 && !payload.is_empty() {
                    for _ in 0..random.usize(1..4) {
                        let at = random.usize(..payload.len().min(40));
                        payload[at] = random.u8(..);
                    }
                    payload.truncate(random.usize(1..=payload.len()));
                }
                let time = if random.u8(..) < 2 {
                    random.u32(..)
                } else {
                    frame.timestamp
                };
                let before = out.len();
                // A fault must leave whole packets, which is checked at the end.
                let _ = muxer.write(&Frame::new(frame.kind, time, payload.into()), &mut out);
                assert!(out.len() - before < 4 * frame.payload.len() + 60 * 188);
            }
            let _ = muxer.flush(&mut out);
            structure(&out);
        }
    }
}

/// Packets and counters only: times of hostile frames make no sense.
#[track_caller]
fn structure(bytes: &[u8]) {
    let mut counters = std::collections::BTreeMap::new();
    assert_eq!(bytes.len() % 188, 0);
    for packet in bytes.chunks(188) {
        assert_eq!(packet[0], 0x47);
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let (counter, steps) = (packet[3] & 15, packet[3] >> 4 & 1);
        if let Some(last) = counters.insert(pid, counter) {
            assert_eq!(counter, (last + steps) & 15);
        }
    }
}

#[test]
fn sound_that_stops_is_not_held_back_by_pictures() {
    let mut frames = frames_of(&Sample::H264Aac.path());
    let coded = |frame: &Frame| frame.kind == Kind::Audio && frame.facts.coded;
    // Two frames of sound, then pictures alone, of which none is a keyframe for a second.
    let sounds: Vec<u32> = frames
        .iter()
        .filter(|frame| coded(frame))
        .map(|frame| frame.timestamp)
        .collect();
    frames.retain(|frame| !coded(frame) || frame.timestamp <= sounds[1]);
    let report = checked(&mux(&frames));
    let (sound, pictures) = (&report.streams[&AUDIO].units, &report.streams[&VIDEO].units);
    assert_eq!(sound.iter().map(|unit| adts_frames(&unit.payload)).sum::<usize>(), 2);
    assert!(sound[sound.len() - 1].packet < pictures[10].packet);
    // Sound far behind the pictures is still grouped.
    let mut frames = frames_of(&Sample::H264Aac.path());
    for frame in &mut frames {
        if frame.kind == Kind::Video {
            frame.timestamp += 900;
        }
    }
    let late = checked(&mux_with(
        MuxerOptions {
            delay_ms: 1000,
            ..MuxerOptions::default()
        },
        &frames,
    ));
    assert!(late.streams[&AUDIO].units.len() < sounds.len() / 3);
}

#[test]
fn overhead_is_not_above_that_of_srs() {
    for case in overhead::TABLE {
        let percent = overhead::compare(&overhead::frames(case)).segments_percent();
        assert!(percent <= case.percent, "{case:?}: {percent:.2} percent");
    }
}

#[test]
fn the_checker_finds_faults() {
    let fine = mux(&frames_of(&Sample::H264Aac.path()));
    checked(&fine);
    // Sync byte, PAT body, PMT version, continuity, PES start code, PES length.
    for at in [0, 5 + 8, 188 + 10, 188 * 3 + 3, 188 * 2 + 12, 188 * 2 + 17] {
        let mut broken = fine.clone();
        broken[at] ^= 0x05;
        assert!(check(&broken).is_err(), "byte {at}");
    }
    let without = [&fine[..188 * 3], &fine[188 * 4..]].concat();
    assert!(check(&without).is_err());
    assert!(check(&fine[..fine.len() - 1]).is_err());
}
