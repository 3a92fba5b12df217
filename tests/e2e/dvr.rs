//! Recordings: what lies on the disk, also after a crash, and that a bad disk hurts nobody who plays.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::libc::O_NONBLOCK;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::support::bystander::{Bystander, numbered_frame, numbered_header};
use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::flv::{self, AUDIO, DATA, Tag, VIDEO};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::rtmp::{Rtmp, send_paced};
use crate::support::server::{PROGRAM, Server, Setup};
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

const SAMPLES: [(Sample, &str, &[&str]); 5] = [
    (Sample::H264Aac, "avc", &["aac", "h264"]),
    (Sample::HevcAac, "hevc", &["aac", "hevc"]),
    (Sample::H264Mp3, "mp3", &["h264", "mp3"]),
    (Sample::Aac, "sound", &["aac"]),
    (Sample::Av1Opus, "av1", &["av1", "opus"]),
];

/// A server that records, with its API.
pub(crate) struct Site {
    pub(crate) server: Server,
    api: Port,
}

impl Site {
    /// A server with these directives in its `dvr` block; files go to `rec/`.
    pub(crate) fn start(dvr: &str) -> Self {
        Site::with(dvr, "", Setup::default())
    }

    pub(crate) fn with(dvr: &str, vhost: &str, setup: Setup) -> Self {
        let api = Port::free();
        let server = setup
            .globals(&format!(
                "http_api {{ enabled on; listen 127.0.0.1:{}; }}\n",
                api.number()
            ))
            .vhost(&format!("dvr {{ enabled on; {dvr} }}\n{vhost}"))
            .start();
        server.wait_for_line(&["HTTP-API listen at tcp://"]);
        fs::create_dir(server.file("rec")).expect("the folder of recordings");
        Site { server, api }
    }

    pub(crate) fn publish(&self, sample: Sample, stream: &str) -> Program {
        encoder(sample).publish(self.server.folder(), &sample.path(), &self.server.url(stream))
    }

    fn publish_once(&self, sample: Sample, stream: &str) -> Program {
        let url = self.server.url(stream);
        encoder(sample).publish_with(self.server.folder(), &sample.path(), &[], &[], &url)
    }

    /// The files of a stream, in the order of their names; all of them when `count` are complete.
    #[track_caller]
    pub(crate) fn files(&self, stream: &str, count: usize) -> Vec<PathBuf> {
        wait_for(&format!("{count} recordings of {stream}"), 25, || {
            let found = recordings(&self.server.file("rec"), stream, &[".flv", ".mp4"]);
            (found.len() >= count).then_some(found)
        })
    }

    pub(crate) fn api(&self, method: &str, path: &str) -> Value {
        let mut command = Command::new("curl");
        let url = format!("http://127.0.0.1:{}{path}", self.api.number());
        command.args(["-sS", "-X", method, &url]);
        let output = run("curl", self.server.folder(), 20, &mut command).ok().output;
        serde_json::from_str(&output).unwrap_or_else(|e| panic!("{path}: {e}\n{output}"))
    }

    pub(crate) fn control(&self, method: &str) -> Value {
        let streams = self.api("GET", "/api/v1/streams/");
        let id = streams["streams"][0]["id"].as_str().expect("a stream").to_owned();
        self.api(method, &format!("/api/v1/streams/{id}/dvr"))
    }
}

fn encoder(sample: Sample) -> Ffmpeg {
    match sample {
        Sample::HevcAac | Sample::Av1Opus => Ffmpeg::Eight,
        _ => Ffmpeg::Debian,
    }
}

fn recordings(folder: &Path, stream: &str, endings: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of recordings");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = paths
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&format!("{stream}.")) && endings.iter().any(|ending| name.ends_with(ending))
        })
        .collect();
    found.sort();
    found
}

/// How many packets a file has, by the kind of their stream, and their first and last decoding times in seconds.
fn packets(folder: &Path, file: &Path, kind: &str) -> Vec<f64> {
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-select_streams",
        kind,
        "-show_entries",
        "packet=dts_time",
    ]);
    command.args(["-of", "csv=p=0"]).arg(file);
    let output = run("ffprobe", folder, 20, &mut command).ok().output;
    output
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect()
}

fn duration(report: &Value) -> f64 {
    let text = report["format"]["duration"].as_str().unwrap_or("0");
    text.parse().expect("a duration")
}

#[track_caller]
fn assert_codecs(folder: &Path, file: &Path, expected: &[&str]) -> Value {
    let report = probe(folder, &file.display().to_string());
    let mut names = codecs(&report);
    names.sort_unstable();
    assert_eq!(names, expected, "{}", file.display());
    report
}

/// A number of the metadata: its eight bytes stand behind its name and the type of numbers.
fn metadata_number(tags: &[Tag], name: &str) -> f64 {
    let metadata = &tags.iter().find(|tag| tag.kind == DATA).expect("metadata").payload;
    let key = [&(name.len() as u16).to_be_bytes()[..], name.as_bytes(), &[0]].concat();
    let found = metadata.windows(key.len()).rposition(|window| window == key);
    let at = found.unwrap_or_else(|| panic!("no {name}")) + key.len();
    f64::from_be_bytes(metadata[at..at + 8].try_into().expect("eight bytes"))
}

#[test]
fn flv_sessions_hold_all_that_was_published() {
    let site = Site::start("dvr_path ./rec/[stream].[timestamp].flv;");
    let publishers: Vec<_> = SAMPLES
        .iter()
        .map(|(sample, stream, _)| site.publish_once(*sample, stream))
        .collect();
    publishers
        .into_iter()
        .for_each(|mut publisher| drop(publisher.wait(30).ok()));
    for (sample, stream, names) in SAMPLES {
        let file = &site.files(stream, 1)[0];
        let (sent, got) = (flv::read(&sample.path()), flv::read(file));
        for kind in [AUDIO, VIDEO] {
            assert_eq!(flv::media(&sent, kind), flv::media(&got, kind), "{stream}: kind {kind}");
        }
        let report = assert_codecs(site.server.folder(), file, names);
        assert!((7.9..8.1).contains(&duration(&report)), "{stream}: {report}");
        let seconds = metadata_number(&got, "duration");
        assert!((7.9..8.1).contains(&seconds), "{stream}: {seconds} s");
        let bytes = fs::metadata(file).expect("the file").len();
        assert_eq!(metadata_number(&got, "filesize"), bytes as f64, "{stream}");
        assert!(got.iter().all(|tag| tag.timestamp < 8100), "{stream}: time begins at 0");
        let (video, audio) = sample.tracks();
        let flags = u8::from(video) | u8::from(audio) << 2;
        assert_eq!(fs::read(file).expect("the file")[4], flags, "{stream}");
        assert!(recordings(&site.server.file("rec"), stream, &[".tmp"]).is_empty());
    }
}

#[test]
fn mp4_sessions_hold_all_that_was_published() {
    for fragmented in ["off", "on"] {
        let site = Site::start(&format!(
            "dvr_path ./rec/[stream].mp4; dvr_mp4_fragmented {fragmented};"
        ));
        let publishers: Vec<_> = SAMPLES
            .iter()
            .map(|(sample, stream, _)| site.publish_once(*sample, stream))
            .collect();
        publishers
            .into_iter()
            .for_each(|mut publisher| drop(publisher.wait(30).ok()));
        for (sample, stream, names) in SAMPLES {
            let file = &site.files(stream, 1)[0];
            let folder = site.server.folder();
            let report = assert_codecs(folder, file, names);
            let seconds = duration(&report);
            assert!(
                (7.9..8.2).contains(&seconds),
                "{stream}, fragmented {fragmented}: {seconds} s"
            );
            let sent = flv::read(&sample.path());
            for (kind, name) in [(AUDIO, "a"), (VIDEO, "v")] {
                let (sent, got) = (flv::media(&sent, kind).len(), packets(folder, file, name));
                assert_eq!(got.len(), sent, "{stream}: packets of {name}");
                assert!(got.first().is_none_or(|first| *first < 0.1), "{stream}: {got:?}");
                assert!(got.is_sorted(), "{stream}: {got:?}");
            }
            let (video, _) = sample.tracks();
            // Version 5.1 knows neither Opus with pre-skip nor AV1 well enough to be silent about them.
            if sample != Sample::Av1Opus {
                assert_eq!(
                    Ffmpeg::Debian.decode(folder, file),
                    if video { 200 } else { 0 },
                    "{stream}"
                );
            }
        }
    }
}

#[test]
fn segments_join_without_loss_or_overlap() {
    let segment = "dvr_plan segment; dvr_duration 2;";
    let mp4 = format!("vhost mp4 {{ dvr {{ enabled on; {segment} dvr_path ./rec/[stream].[timestamp].mp4; }} }}\n");
    let site = Site::with(
        &format!("{segment} dvr_path ./rec/[stream].[timestamp].flv;"),
        "",
        Setup::default().vhosts(&mp4),
    );
    let _sound = site.publish(Sample::Aac, "sound");
    let _hevc = site.publish(Sample::HevcAac, "hevc");
    let _movies = site.publish(Sample::H264Aac, "movie?vhost=mp4");
    let mut publisher = site.publish(Sample::H264Aac, "s");
    let complete = site.files("s", 4).len();
    publisher.stop();
    let files = site.files("s", complete + 1);
    let folder = site.server.folder();
    let mut joined = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let tags = flv::read(file);
        assert_eq!(tags[0].kind, DATA, "metadata comes first");
        assert!(tags[1].is_header() && tags[2].is_header(), "then both headers");
        let pictures = flv::media(&tags, VIDEO);
        assert_eq!(pictures[0][0], 0x17, "file {index} begins with a keyframe");
        assert!(
            tags.iter().all(|tag| tag.timestamp < 2100),
            "file {index} begins at time 0"
        );
        if index + 1 < files.len() {
            assert_eq!(Ffmpeg::Debian.decode(folder, file), 50);
            assert!((1.9..2.1).contains(&metadata_number(&tags, "duration")));
        }
        joined.extend(tags);
    }
    flv::assert_same_media(&flv::read(&Sample::H264Aac.path()), &joined, 200);

    let sound: Vec<Tag> = site.files("sound", 3).iter().flat_map(|file| flv::read(file)).collect();
    flv::assert_same_media(&flv::read(&Sample::Aac.path()), &sound, 200);
    let hevc: Vec<Tag> = site.files("hevc", 3).iter().flat_map(|file| flv::read(file)).collect();
    flv::assert_same_media(&flv::read(&Sample::HevcAac.path()), &hevc, 140);
    for file in site.files("movie", 3) {
        assert_eq!(Ffmpeg::Debian.decode(folder, &file), 50, "{}", file.display());
    }
}

#[test]
fn append_goes_on_with_the_file() {
    let site = Site::start("dvr_plan append; dvr_path ./rec/[stream].flv;");
    let file = site.server.file("rec/s.flv");
    for count in 1..=2 {
        let mut publisher = site.publish(Sample::H264Aac, "s");
        site.server.wait_for_lines(count, &["start publish"]);
        std::thread::sleep(Duration::from_secs(3));
        publisher.stop();
        site.server.wait_for_lines(count, &["dvr:", "s.flv is complete"]);
    }
    let tags = flv::read(&file);
    let times: Vec<_> = flv_times(&tags);
    assert!(
        times
            .windows(2)
            .all(|pair| pair[1] + 50 >= pair[0] && pair[1] < pair[0] + 500),
        "{times:?}"
    );
    let seconds = metadata_number(&tags, "duration");
    assert!((5.0..8.0).contains(&seconds), "{seconds} s");
    assert_eq!(
        metadata_number(&tags, "filesize"),
        fs::metadata(&file).expect("the file").len() as f64
    );
    assert_eq!(tags.iter().filter(|tag| tag.kind == DATA).count(), 1);
    assert!(Ffmpeg::Debian.decode(site.server.folder(), &file) >= 120);

    // What a crash left is cut off, and the rest goes on.
    let mut bytes = fs::read(&file).expect("the file");
    bytes.truncate(bytes.len() - 3);
    fs::write(&file, bytes).expect("cut the file");
    let _publisher = site.publish(Sample::H264Aac, "s");
    site.server.wait_for_lines(3, &["start publish"]);
    std::thread::sleep(Duration::from_secs(3));
    assert!(
        flv_times(&flv::read(&file)).len() > times.len() + 50,
        "it is written in place"
    );
}

fn flv_times(tags: &[Tag]) -> Vec<u32> {
    let media = tags.iter().filter(|tag| tag.kind != DATA);
    media.map(|tag| tag.timestamp).collect()
}

#[test]
fn a_killed_server_leaves_files_that_play() {
    let (folder, port) = (WorkDir::new("killed"), Port::free());
    let vhost = |name: &str, ending: &str, more: &str| {
        format!("vhost {name} {{ dvr {{ enabled on; dvr_path ./rec/[stream].{ending}; {more} }} }}\n")
    };
    let setup = Setup::default()
        .vhosts(&vhost("flv", "flv", ""))
        .vhosts(&vhost("mp4", "mp4", ""))
        .vhosts(&vhost("fragments", "mp4", "dvr_mp4_fragmented on;"));
    let conf = folder.join("srs.conf");
    fs::write(&conf, setup.configuration(port.number())).expect("the configuration");
    let start = || {
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(&conf).current_dir(&*folder);
        let server = Program::start("srs", &folder, &mut command);
        wait_for("the server to listen", 10, || {
            server.output().contains("RTMP listen at").then_some(())
        });
        server
    };
    let publish = |stream: &str, vhost: &str| {
        let url = format!("rtmp://127.0.0.1:{}/live/{stream}?vhost={vhost}", port.number());
        Ffmpeg::Debian.publish(&folder, &Sample::H264Aac.path(), &url)
    };
    let mut server = start();
    let publishers = [publish("a", "flv"), publish("b", "mp4"), publish("c", "fragments")];
    std::thread::sleep(Duration::from_secs(7));
    server.signal(Signal::SIGKILL);
    server.wait(5);
    drop(publishers);
    let left = ["rec/a.flv.tmp", "rec/b.mp4.tmp", "rec/c.mp4.tmp"].map(|name| folder.join(name));
    for file in &left {
        assert_codecs(&folder, file, &["aac", "h264"]);
        let pictures = packets(&folder, file, "v").len();
        assert!(pictures >= 75, "{pictures} pictures in {}", file.display());
    }

    // The next recording of that name does not destroy it.
    let before = fs::read(&left[0]).expect("what is left");
    let mut server = start();
    let publisher = publish("a", "flv");
    wait_for("the publisher", 10, || {
        server.output().contains("start publish").then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    drop(publisher);
    wait_for("the recording", 10, || folder.join("rec/a.flv").exists().then_some(()));
    let kept = recordings(&folder.join("rec"), "a", &[".tmp"]);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(fs::read(&kept[0]).expect("what is kept"), before);
    server.stop().ok();
}

#[test]
fn a_full_disk_hurts_no_player() {
    let setup = Setup::default().allow_error("DVR stops");
    let site = Site::with("dvr_path ./rec/[stream].flv;", "", setup);
    symlink("/dev/full", site.server.file("rec/bystander.flv.tmp")).expect("a full disk");
    let good = Bystander::start(site.server.port());
    let line = site.server.wait_for_line(&["[ERROR]", "DVR stops"]);
    assert!(
        line.contains("rec/bystander.flv.tmp") && line.contains("No space left"),
        "{line}"
    );
    assert_eq!(site.control("GET")["dvr"]["recording"], false);
    good.finish();
    assert!(!site.server.file("rec/bystander.flv").exists());
}

#[test]
fn a_slow_disk_delays_no_player() {
    let setup = Setup::default().allow_error("DVR");
    let site = Site::with("dvr_path ./rec/[stream].flv;", "", setup);
    let path = site.server.file("rec/bystander.flv.tmp");
    mkfifo(&path, Mode::S_IRWXU).expect("a disk that takes nothing");
    // A pipe that is not read takes 64 KB: less than two seconds of this stream.
    let pipe = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&path);
    let pipe = pipe.expect("the other end");
    let good = Bystander::start(site.server.port());
    (0..5).for_each(|_| good.assert_flows());
    let progress = site.control("GET");
    assert_eq!(progress["dvr"]["recording"], true, "{progress}");
    assert!(progress["dvr"]["duration_ms"].as_u64() < Some(5000), "{progress}");
    good.finish();
    drop(pipe);
}

#[test]
fn another_picture_size_goes_into_another_mp4() {
    let site = Site::start("dvr_path ./rec/[stream].[timestamp].mp4;");
    let client = Rtmp::connect(site.server.port(), "live").and_then(|client| client.publish("live", "s"));
    let mut client = client.expect("publish");
    let mut other = numbered_header();
    // The level: another header, though of the same size.
    other.payload[8] = 0x0b;
    let mut tags = vec![numbered_header()];
    tags.extend((0..50).map(numbered_frame));
    tags.push(Tag {
        timestamp: 1000,
        ..other
    });
    tags.extend((50..100).map(numbered_frame));
    send_paced(&mut client, &tags).expect("publish");
    site.server.wait_for_line(&["dvr:", "is complete"]);
    drop(client);
    for file in site.files("s", 2) {
        assert_eq!(
            packets(site.server.folder(), &file, "v").len(),
            50,
            "{}",
            file.display()
        );
    }
}
