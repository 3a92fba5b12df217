//! MPEG-DASH: what lies on the disk, and what players make of it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

struct Site {
    server: Server,
    port: Port,
}

impl Site {
    fn start(dash: &str) -> Self {
        let port = Port::free();
        let server = Setup::default()
            .globals(&format!(
                "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n",
                port.number()
            ))
            .vhost(&format!(
                "dash {{ enabled on; dash_fragment 1; dash_update_period 1; dash_path ./html; {dash} }}"
            ))
            .start();
        server.wait_for_line(&["HTTP-Server listen at tcp://"]);
        Site { server, port }
    }

    fn publish(&self, sample: Sample) -> Program {
        let encoder = match sample {
            Sample::HevcAac | Sample::Av1Opus => Ffmpeg::Eight,
            _ => Ffmpeg::Debian,
        };
        encoder.publish(self.server.folder(), &sample.path(), &self.server.url("s"))
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/live/s.mpd", self.port.number())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.server.file(&format!("html/live/{name}"))
    }

    fn manifest(&self) -> String {
        fs::read_to_string(self.file("s.mpd")).unwrap_or_default()
    }

    #[track_caller]
    fn wait_for_segment(&self, name: &str) {
        let path = self.file(&format!("s/{name}"));
        wait_for(&format!("the segment {name}"), 20, || path.exists().then_some(()));
    }

    /// A track's initialisation segment and segments, one behind the other, as a file.
    fn joined(&self, init: &str, track: &str, numbers: std::ops::RangeInclusive<u32>) -> PathBuf {
        let mut bytes = fs::read(self.file(&format!("s/{init}"))).expect("the initialisation segment");
        for number in numbers {
            let path = self.file(&format!("s/{track}-{number}.m4s"));
            bytes.extend(fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
        }
        let file = self.server.file(&format!("joined-{track}.mp4"));
        fs::write(&file, bytes).expect("write the segments");
        file
    }
}

/// The values of an attribute, in order.
fn attributes(text: &str, name: &str) -> Vec<String> {
    text.split(&format!(" {name}=\""))
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

fn numbers(texts: &[String]) -> Vec<i64> {
    texts
        .iter()
        .map(|text| text.parse().unwrap_or_else(|e| panic!("{text}: {e}")))
        .collect()
}

#[test]
fn segments_follow_each_other_and_the_manifest_tells_them() {
    let site = Site::start("");
    let _publisher = site.publish(Sample::H264Aac);
    site.wait_for_segment("video-4.m4s");
    let text = wait_for("a manifest of five segments", 10, || {
        let text = site.manifest();
        (text.matches("<S ").count() >= 8).then_some(text)
    });
    assert_eq!(attributes(&text, "codecs")[0], "mp4a.40.2", "{text}");
    assert!(attributes(&text, "codecs")[1].starts_with("avc1."), "{text}");
    assert_eq!(
        (attributes(&text, "width"), attributes(&text, "height")),
        (vec!["320".into()], vec!["180".into()])
    );
    for set in text.split("<AdaptationSet").skip(1) {
        let (begins, lengths) = (numbers(&attributes(set, "t")), numbers(&attributes(set, "d")));
        for (pair, length) in begins.windows(2).zip(&lengths) {
            assert!((pair[1] - pair[0] - length).abs() <= 1, "a gap or an overlap in {set}");
        }
    }
    let video = site.joined("video-init.mp4", "video", 0..=3);
    assert_eq!(Ffmpeg::Debian.decode(site.server.folder(), &video), 100);
    site.joined("audio-init.mp4", "audio", 0..=2);
    let report = probe(
        site.server.folder(),
        &site.server.file("joined-audio.mp4").display().to_string(),
    );
    assert_eq!(codecs(&report), ["aac"]);
}

#[test]
fn ffmpeg_and_gstreamer_play_over_http() {
    let site = Site::start("");
    let _publisher = site.publish(Sample::H264Aac);
    site.wait_for_segment("video-3.m4s");
    let (folder, file) = (site.server.folder(), site.server.file("played.flv"));
    Ffmpeg::Debian.record(folder, &[], &site.url(), 4, &file).wait(40).ok();
    assert!(Ffmpeg::Debian.decode(folder, &file) >= 95);
    let report = probe(folder, &file.display().to_string());
    let mut names = codecs(&report);
    names.sort_unstable();
    assert_eq!(names, ["aac", "h264"]);
    let mut command = Command::new("gst-launch-1.0");
    command.args(["-e", "filesrc"]);
    command.arg(format!(
        "location={}",
        site.joined("video-init.mp4", "video", 1..=2).display()
    ));
    command.args([
        "!",
        "qtdemux",
        "!",
        "h264parse",
        "!",
        "avdec_h264",
        "!",
        "fakesink",
        "sync=false",
    ]);
    run("gst-launch-1.0", folder, 20, &mut command).ok();
}

#[test]
fn other_codecs_and_single_tracks_are_carried() {
    for (sample, expected) in [
        (Sample::HevcAac, &["mp4a.40.2", "hvc1."][..]),
        (Sample::Av1Opus, &["opus", "av01."]),
        (Sample::Aac, &["mp4a.40.2"]),
    ] {
        let site = Site::start("");
        let _publisher = site.publish(sample);
        let text = wait_for(&format!("a manifest of {sample:?}"), 20, || {
            let text = site.manifest();
            text.contains("</MPD>").then_some(text)
        });
        let told = attributes(&text, "codecs");
        assert!(
            told.len() == expected.len() && told.iter().zip(expected).all(|(told, part)| told.starts_with(part)),
            "{sample:?}: {told:?}"
        );
    }
}

#[test]
fn what_leaves_the_window_is_deleted_and_all_of_it_when_idle() {
    let site = Site::start("dash_window_size 2; dash_dispose 2;");
    let mut publisher = site.publish(Sample::H264Aac);
    site.wait_for_segment("video-4.m4s");
    wait_for("old segments to be deleted", 5, || {
        (!site.file("s/video-0.m4s").exists() && !site.file("s/video-1.m4s").exists()).then_some(())
    });
    publisher.stop();
    wait_for("the files to be deleted", 15, || {
        (!site.file("s.mpd").exists() && !site.file("s").exists()).then_some(())
    });
}

#[test]
fn a_publisher_that_comes_back_goes_on_and_another_codec_is_a_new_period() {
    let site = Site::start("dash_window_size 20;");
    let mut publisher = site.publish(Sample::H264Aac);
    site.wait_for_segment("video-1.m4s");
    publisher.stop();
    std::thread::sleep(Duration::from_millis(500));
    let mut publisher = site.publish(Sample::H264Aac);
    site.wait_for_segment("video-4.m4s");
    let text = site.manifest();
    assert_eq!(attributes(&text, "id")[0], "0", "{text}");
    let times = numbers(&attributes(text.split("<AdaptationSet").nth(2).unwrap_or(""), "t"));
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    publisher.stop();
    let _publisher = site.publish(Sample::HevcAac);
    let text = wait_for("a new period", 20, || {
        let text = site.manifest();
        text.contains("<Period id=\"1\"").then_some(text)
    });
    assert!(text.contains("hvc1.") && text.contains("-init-1.mp4"), "{text}");
    assert!(site.file("s/video-init-1.mp4").exists() && site.file("s/audio-init-1.mp4").exists());
}
