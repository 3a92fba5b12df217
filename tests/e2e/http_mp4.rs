//! Live streams as fragmented MP4 over HTTP: what FFmpeg reads, and each sample against what was published.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use srs_may::kernel::flv::audio::AudioTag;
use srs_may::kernel::flv::video::VideoTag;
use srs_may::kernel::mp4::boxes::Boxes;
use srs_may::kernel::mp4::demux::{Demuxer, Sample as Read};

use crate::http_live::{Live, wait_for_bytes};
use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::flv;
use crate::support::media::Sample;
use crate::support::program::run;
use crate::support::wait::wait_for;

const MP4: &str = "http_remux { enabled on; mount [vhost]/[app]/[stream].mp4; }";

/// What was published, without the heads of FLV's messages.
fn sent(sample: Sample, kind: u8) -> Vec<Vec<u8>> {
    let tags = flv::read(&sample.path());
    let bare = |payload: &&[u8]| match kind {
        flv::VIDEO => VideoTag::parse(payload).expect("a video tag").payload.to_vec(),
        _ => AudioTag::parse(payload).expect("an audio tag").payload.to_vec(),
    };
    flv::media(&tags, kind).iter().map(bare).collect()
}

/// The samples of a track (1 pictures, 2 sound) in a file that may be cut short.
fn samples(bytes: &[u8], track: u32) -> Vec<Read<'_>> {
    let whole = Boxes::new(bytes)
        .last()
        .map_or(0, |last| last.start + last.contents.len() + 8);
    let demuxer = Demuxer::new(bytes).expect("an initialisation segment");
    // The last moof may stand without its samples.
    let last_moof = Boxes::new(bytes).filter(|found| found.kind == *b"moof").last();
    let is_cut = Boxes::new(bytes).last().is_some_and(|last| last.kind == *b"moof");
    let end = last_moof.filter(|_| is_cut).map_or(whole, |moof| moof.start);
    let all = demuxer.samples(&bytes[..end]).expect("whole fragments");
    all.into_iter().filter(|sample| sample.track == track).collect()
}

#[track_caller]
fn check_track(sample: Sample, bytes: &[u8], kind: u8, least: usize) {
    let track = if kind == flv::VIDEO { 1 } else { 2 };
    let sent = sent(sample, kind);
    let read = samples(bytes, track);
    let sent: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
    let received: Vec<&[u8]> = read.iter().map(|sample| sample.data).collect();
    flv::assert_stretch(&format!("{sample:?}, track {track}"), &sent, &received, least);
    for pair in read.windows(2) {
        assert_eq!(
            pair[1].time,
            pair[0].time + u64::from(pair[0].duration),
            "{sample:?}, track {track}: a gap or an overlap"
        );
    }
}

#[test]
fn samples_arrive_as_they_were_published() {
    let live = Live::with(MP4);
    for sample in [
        Sample::H264Aac,
        Sample::H264Mp3,
        Sample::H264,
        Sample::Aac,
        Sample::HevcAac,
        Sample::Av1Opus,
        Sample::Vp9Opus,
    ] {
        let stream = format!("{sample:?}");
        let _publisher = live.publish(sample, &stream);
        let bytes = fs::read(live.fetch(&format!("/live/{stream}.mp4"), 4)).expect("what curl got");
        let kinds: Vec<[u8; 4]> = Boxes::new(&bytes).take(4).map(|found| found.kind).collect();
        assert_eq!(kinds, [*b"ftyp", *b"moov", *b"moof", *b"mdat"], "{sample:?}");
        let (has_video, has_audio) = sample.tracks();
        if has_video {
            check_track(sample, &bytes, flv::VIDEO, 75);
            let first = samples(&bytes, 1)[0];
            assert!(
                first.sync && first.time < 9000,
                "starts with a keyframe near zero: {first:?}"
            );
        }
        if has_audio {
            check_track(sample, &bytes, flv::AUDIO, 100);
            // Both tracks start near each other, by a quarter of the slowest rate.
            assert!(samples(&bytes, 2)[0].time < 11_025);
        }
    }
}

/// Lets FFmpeg read so many seconds of a stream; gives how many came, and what it complained about.
fn read_with(ffmpeg: Ffmpeg, live: &Live, url: &str, seconds: u32) -> (f64, Vec<String>) {
    let mut command = Command::new(ffmpeg.program());
    command.args(["-nostdin", "-hide_banner", "-v", "warning", "-i", url, "-c", "copy"]);
    command.args(["-t", &seconds.to_string(), "-f", "null", "-progress", "pipe:1", "-"]);
    let output = run(ffmpeg.name(), live.server.folder(), 30, &mut command).ok().output;
    let is_report = |line: &&str| line.contains('=') && !line.starts_with('[');
    let complaints = output
        .lines()
        .filter(|line| !is_report(line))
        .map(str::to_owned)
        .collect();
    let mut times = output
        .lines()
        .rev()
        .filter_map(|line| line.strip_prefix("out_time_us="));
    let micros: f64 = times.next().and_then(|text| text.parse().ok()).unwrap_or_default();
    (micros / 1e6, complaints)
}

#[test]
fn ffmpeg_reads_all_codecs_without_complaint() {
    let live = Live::with(MP4);
    for (sample, expected) in [
        (Sample::H264Aac, &["h264", "aac"][..]),
        (Sample::HevcAac, &["hevc", "aac"]),
        (Sample::Av1Opus, &["av1", "opus"]),
        (Sample::Vp9Opus, &["vp9", "opus"]),
        (Sample::H264Mp3, &["h264", "mp3"]),
        (Sample::Aac, &["aac"]),
    ] {
        let stream = format!("{sample:?}");
        let _publisher = live.publish(sample, &stream);
        let url = live.url(&format!("/live/{stream}.mp4?token=1"));
        assert_eq!(codecs(&probe(live.server.folder(), &url)), expected, "{sample:?}");
        for ffmpeg in [Ffmpeg::Debian, Ffmpeg::Eight] {
            let (seconds, complaints) = read_with(ffmpeg, &live, &url, 3);
            assert_eq!(complaints, [""; 0], "{} of {sample:?}", ffmpeg.name());
            assert!(seconds >= 2.9, "{} of {sample:?}: {seconds} s", ffmpeg.name());
        }
    }
}

#[test]
fn pictures_decode_without_complaint() {
    let live = Live::with(MP4);
    for sample in [Sample::H264Aac, Sample::HevcAac] {
        let stream = format!("{sample:?}");
        let _publisher = live.publish(sample, &stream);
        let played = live.server.file(&format!("{stream}.flv"));
        let url = live.url(&format!("/live/{stream}.mp4"));
        Ffmpeg::Eight
            .record(live.server.folder(), &[], &url, 3, &played)
            .wait(20)
            .ok();
        assert!(Ffmpeg::Eight.decode(live.server.folder(), &played) >= 70);
    }
}

#[test]
fn a_player_waits_for_its_publisher_and_gets_all_of_it() {
    let live = Live::with(MP4);
    let file = live.server.file("early.mp4");
    let mut player = live.curl(&live.url("/live/later.mp4"), &file);
    live.server.wait_for_line(&["http Mp4 player", "stream=later"]);
    let mut publisher = Ffmpeg::Debian.publish_with(
        live.server.folder(),
        &Sample::H264Aac.path(),
        &["-t", "3"],
        &[],
        &live.server.url("later"),
    );
    publisher.wait(20).ok();
    // The end of the body is a proper one.
    player.wait(5).ok();
    let bytes = fs::read(&file).expect("what curl got");
    check_track(Sample::H264Aac, &bytes, flv::VIDEO, 75);
    check_track(Sample::H264Aac, &bytes, flv::AUDIO, 125);
    let sent = sent(Sample::H264Aac, flv::VIDEO);
    let read = samples(&bytes, 1);
    assert_eq!(read[0].data, sent[0], "the very first picture is there");
    let told = live.server.log();
    assert!(told.contains("http player is closed, the stream ended"), "{told}");
    // FFmpeg sends pictures until one is to be shown after three seconds.
    assert!((75..=78).contains(&read.len()), "{} pictures", read.len());
}

#[test]
fn the_response_ends_where_codec_parameters_change() {
    let live = Live::with(MP4);
    let file = live.server.file("changed.mp4");
    let mut publisher = live.publish(Sample::H264Aac, "s");
    let mut player = live.curl(&live.url("/live/s.mp4"), &file);
    wait_for_bytes(&file, 20_000);
    // Another publisher takes over: with other pictures.
    publisher.signal(Signal::SIGTERM);
    publisher.wait(5);
    let _other = live.publish(Sample::HevcAac, "s");
    player.wait(5).ok();
    check_track(
        Sample::H264Aac,
        &fs::read(&file).expect("what curl got"),
        flv::VIDEO,
        20,
    );
    let again = live.fetch("/live/s.mp4", 3);
    check_track(
        Sample::HevcAac,
        &fs::read(again).expect("what curl got"),
        flv::VIDEO,
        50,
    );
}

#[test]
fn tracks_that_are_not_wanted_are_left_out() {
    let live =
        Live::with("http_remux { enabled on; mount [vhost]/[app]/[stream].mp4; guess_has_av off; has_audio off; }");
    let _publisher = live.publish(Sample::H264Aac, "s");
    let bytes = fs::read(live.fetch("/live/s.mp4", 3)).expect("what curl got");
    check_track(Sample::H264Aac, &bytes, flv::VIDEO, 50);
    let demuxer = Demuxer::new(&bytes).expect("an initialisation segment");
    assert_eq!(demuxer.tracks().collect::<Vec<_>>(), [1]);
}

#[test]
fn players_share_what_is_encoded_and_have_their_own_zero() {
    let live = Live::with(MP4);
    let _publisher = live.publish(Sample::H264Aac, "s");
    let files: Vec<_> = (0..5)
        .map(|number| live.server.file(&format!("p{number}.mp4")))
        .collect();
    let mut players = Vec::new();
    for file in &files {
        players.push(live.curl(&live.url("/live/s.mp4"), file));
        std::thread::sleep(Duration::from_millis(700));
    }
    for (player, file) in players.iter_mut().zip(&files) {
        wait_for("three seconds of pictures", 20, || {
            let bytes = fs::read(file).ok().filter(|bytes| bytes.len() > 2000)?;
            (samples(&bytes, 1).len() > 75).then_some(())
        });
        player.signal(Signal::SIGTERM);
        player.wait(5);
        let bytes = fs::read(file).expect("what curl got");
        check_track(Sample::H264Aac, &bytes, flv::VIDEO, 75);
        check_track(Sample::H264Aac, &bytes, flv::AUDIO, 75);
        assert!(samples(&bytes, 1)[0].time < 9000);
    }
}
