//! MPEG-DASH: what lies on the disk, and what players make of it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::clients::{Ffmpeg, codecs, gstreamer, probe};
use crate::support::media::Sample;
use crate::support::program::{Program, run};
use crate::support::server::Setup;
use crate::support::wait::wait_for;
use crate::support::web::Web;
use crate::vlc;

struct Site(Web);

impl std::ops::Deref for Site {
    type Target = Web;

    fn deref(&self) -> &Web {
        &self.0
    }
}

impl Site {
    fn start(dash: &str) -> Self {
        let fragment = match dash.contains("dash_fragment") {
            true => "",
            false => "dash_fragment 1;",
        };
        Site(Web::start(Setup::default().vhost(&format!(
            "dash {{ enabled on; dash_update_period 1; dash_path ./html; {fragment} {dash} }}"
        ))))
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
fn ffmpeg_vlc_and_gstreamer_play_over_http() {
    for directives in ["", "dash_low_latency on; dash_fragment 2;"] {
        let site = Site::start(directives);
        let _publisher = site.publish(Sample::H264Aac);
        site.wait_for_segment("video-3.m4s");
        let (folder, url) = (site.server.folder(), site.url("/live/s.mpd"));
        let file = site.server.file("ffmpeg.flv");
        let mut ffmpeg = Ffmpeg::Debian.record(folder, &[], &url, 4, &file);
        let by_vlc = site.server.file("vlc.flv");
        // It begins with the newest segment, and what comes to it in pieces comes too late for its file's head.
        let mut vlc = directives.is_empty().then(|| vlc::play(folder, &url, &by_vlc));
        let by_gst = site.server.file("gst.ts");
        let gst = gstreamer(
            folder,
            &format!(
                "souphttpsrc location={url} ! dashdemux name=d mpegtsmux name=m ! filesink location={} buffer-mode=2 \
                 d.video_00 ! queue ! qtdemux ! h264parse ! queue ! m. d.audio_00 ! queue ! qtdemux ! aacparse ! queue ! m.",
                by_gst.display()
            ),
        );
        ffmpeg.wait(40).ok();
        assert!(Ffmpeg::Debian.decode(folder, &file) >= 95, "{directives}");
        let mut files = vec![file];
        if let Some(vlc) = &mut vlc {
            let _ = vlc.wait(40);
            files.push(by_vlc);
        }
        // It never ends by itself.
        let enough = || {
            std::fs::metadata(&by_gst)
                .is_ok_and(|file| file.len() > 200_000)
                .then_some(())
        };
        wait_for("GStreamer to have played some seconds", 30, enough);
        gst.signal(Signal::SIGTERM);
        files.push(by_gst);
        for file in &files {
            let report = probe(folder, &file.display().to_string());
            let mut names = codecs(&report);
            names.sort_unstable();
            assert_eq!(names, ["aac", "h264"], "{} {directives}", file.display());
            assert!(
                Ffmpeg::Debian.decode(folder, file) >= 50,
                "{} {directives}",
                file.display()
            );
        }
    }
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

#[test]
fn low_latency_players_get_a_segment_while_it_is_written() {
    let site = Site::start("dash_low_latency on; dash_chunk 0.1; dash_target_latency 2;");
    let _publisher = site.publish(Sample::H264Aac);
    site.wait_for_segment("video-0.m4s");
    let text = site.manifest();
    for part in [
        "suggestedPresentationDelay=\"PT2.000S\"",
        "<Latency target=\"2000\" min=\"1000\" max=\"8000\" />",
        "availabilityTimeComplete=\"false\"",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // The newest one that is listed has not got its file yet; the answer has all that the file has later.
    for track in ["video", "audio"] {
        let name = wait_for("a segment that is being written", 10, || {
            let text = site.manifest();
            let set = text
                .split("<AdaptationSet")
                .find(|set| set.contains(&format!("id=\"{track}\"")))?;
            let first: usize = attributes(set, "startNumber").first()?.parse().ok()?;
            let name = format!("s/{track}-{}.m4s", first + set.matches("<S ").count() - 1);
            (!site.file(&name).exists()).then_some(name)
        });
        let head = site.server.file("head");
        let mut command = Command::new("curl");
        command.args(["-sSf", "--max-time", "20", "-D"]).arg(&head).arg("-o");
        command
            .arg(site.server.file("segment"))
            .arg(site.url(&format!("/live/{name}")));
        run("curl", site.server.folder(), 30, &mut command).ok();
        let head = fs::read_to_string(head).expect("the head");
        assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
        let bytes = fs::read(site.server.file("segment")).expect("the answer");
        assert!(bytes == fs::read(site.file(&name)).expect("the file"), "{name} differs");
        assert!(
            bytes.windows(4).filter(|window| window == b"moof").count() > 5,
            "{name} is not in chunks"
        );
    }
}

#[test]
fn a_low_latency_segment_ends_with_its_publisher() {
    let site = Site::start("dash_low_latency on; dash_fragment 20;");
    let mut publisher = site.publish(Sample::H264Aac);
    wait_for("a manifest", 20, || site.file("s.mpd").exists().then_some(()));
    let mut command = Command::new("curl");
    command
        .args(["-sSf", "--max-time", "20", "-o"])
        .arg(site.server.file("segment"));
    command.arg(site.url("/live/s/video-0.m4s"));
    let mut reader = Program::start("curl", site.server.folder(), &mut command);
    std::thread::sleep(Duration::from_secs(1));
    publisher.stop();
    reader.wait(10).ok();
    let bytes = fs::read(site.server.file("segment")).expect("the answer");
    assert!(bytes == fs::read(site.file("s/video-0.m4s")).expect("the file"));
    assert_eq!(site.get("/live/s/video-1.m4s").0, 404);
}
