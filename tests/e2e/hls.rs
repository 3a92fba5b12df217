//! HLS: what lies on the disk, what players get of it, and what operators are told.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::callbacks::{Callbacks, yes};
use crate::support::clients::{Ffmpeg, codecs, gstreamer, probe};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

#[path = "../ts/checker.rs"]
#[allow(dead_code)]
mod checker;

use checker::check;

struct Site {
    server: Server,
    port: Port,
    api: Port,
}

impl Site {
    /// A server with these directives in its `hls` block.
    fn start(hls: &str) -> Self {
        Site::with(hls, "", Setup::default())
    }

    fn with(hls: &str, vhost: &str, setup: Setup) -> Self {
        let (port, api) = (Port::free(), Port::free());
        let given = |name: &str, value: &str| match hls.contains(name) {
            true => String::new(),
            false => format!("{name} {value};"),
        };
        let block = format!(
            "hls {{ enabled on; hls_fragment 1; {} {} {hls} }}",
            given("hls_path", "./html"),
            given("hls_window", "4")
        );
        let server = setup
            .globals(&format!(
                "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\nhttp_api {{ enabled on; listen 127.0.0.1:{}; }}\n",
                port.number(),
                api.number()
            ))
            .vhost(&format!("{block}\n{vhost}"))
            .start();
        server.wait_for_line(&["HTTP-Server listen at tcp://"]);
        Site { server, port, api }
    }

    fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port.number())
    }

    fn publish(&self, sample: Sample, stream: &str) -> Program {
        let encoder = match sample {
            Sample::HevcAac | Sample::Av1Opus => Ffmpeg::Eight,
            _ => Ffmpeg::Debian,
        };
        encoder.publish(self.server.folder(), &sample.path(), &self.server.url(stream))
    }

    fn publish_for(&self, sample: Sample, stream: &str, millis: u64) {
        let mut publisher = self.publish(sample, stream);
        self.server.wait_for_line(&["start publish"]);
        std::thread::sleep(Duration::from_millis(millis));
        publisher.stop();
    }

    /// The playlist on the disk, once it lists so many segments.
    #[track_caller]
    fn playlist(&self, segments: usize) -> String {
        let path = self.server.file("html/live/s.m3u8");
        wait_for(&format!("a playlist of {segments} segments"), 20, || {
            let text = fs::read_to_string(&path).ok()?;
            (uris(&text).len() >= segments).then_some(text)
        })
    }

    fn get(&self, url: &str) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args(["-sS", "-w", "\n%{http_code}", url]);
        let output = run("curl", self.server.folder(), 20, &mut command).ok().output;
        let (body, status) = output.trim_end().rsplit_once('\n').expect("a status");
        (status.parse().expect("a status"), body.to_owned())
    }

    fn api(&self, method: &str, path: &str) -> Value {
        let mut command = Command::new("curl");
        let url = format!("http://127.0.0.1:{}{path}", self.api.number());
        command.args(["-sS", "-X", method, &url]);
        let output = run("curl", self.server.folder(), 20, &mut command).ok().output;
        serde_json::from_str(&output).unwrap_or_else(|e| panic!("{path}: {e}\n{output}"))
    }

    /// All segments of the playlist, one behind the other.
    fn joined(&self, playlist: &str) -> Vec<u8> {
        let folder = self.server.file("html/live");
        let read = |uri: &&str| fs::read(folder.join(uri)).unwrap_or_else(|e| panic!("{uri}: {e}"));
        uris(playlist).iter().flat_map(read).collect()
    }
}

fn uris(playlist: &str) -> Vec<&str> {
    playlist
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect()
}

fn durations_ms(playlist: &str) -> Vec<u32> {
    let lines = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:"));
    lines
        .map(|line| {
            let seconds: f64 = line.split(',').next().unwrap_or("").parse().expect("a duration");
            (seconds * 1000.0).round() as u32
        })
        .collect()
}

/// What the segments of a playlist hold, by FFprobe: presentation times of this kind, ticks of 90 kHz.
fn times(folder: &Path, file: &Path, kind: &str) -> Vec<i64> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", kind, "-show_entries", "packet=pts"]);
    command.args(["-of", "csv=p=0"]).arg(file);
    let output = run("ffprobe", folder, 20, &mut command).ok().output;
    output
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect()
}

#[test]
fn segments_follow_each_other_without_gap_or_overlap() {
    let site = Site::start("hls_ctx off;");
    let publisher = site.publish(Sample::H264Aac, "s");
    let text = site.playlist(4);
    assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-TARGETDURATION:1\n"));
    assert!(!text.contains("DISCONTINUITY") && !text.contains("ENDLIST"), "{text}");
    assert_eq!(durations_ms(&text)[..4], [1000; 4], "{text}");

    let joined = site.joined(&text);
    check(&joined).unwrap_or_else(|fault| panic!("{fault}"));
    let file = site.server.file("joined.ts");
    fs::write(&file, &joined).expect("write the segments");
    let folder = site.server.folder();
    assert!(Ffmpeg::Debian.decode(folder, &file) >= 100);
    let video = times(folder, &file, "v");
    let mut sorted = video.clone();
    sorted.sort_unstable();
    assert!(
        video.len() >= 100 && sorted.windows(2).all(|pair| pair[1] - pair[0] == 3600),
        "{video:?}"
    );
    let sound = times(folder, &file, "a");
    assert!(
        sound
            .windows(2)
            .all(|pair| (2_000..=2_200).contains(&(pair[1] - pair[0]))),
        "{sound:?}"
    );
    for uri in uris(&text) {
        let alone = site.server.file(&format!("html/live/{uri}"));
        assert_eq!(Ffmpeg::Debian.decode(folder, &alone), 25, "{uri} stands alone");
    }
    drop(publisher);
}

#[test]
fn what_leaves_the_window_is_deleted() {
    let site = Site::start("hls_ctx off;");
    let _publisher = site.publish(Sample::H264Aac, "s");
    let text = wait_for("the window to move", 20, || {
        let text = fs::read_to_string(site.server.file("html/live/s.m3u8")).ok()?;
        (!text.contains("SEQUENCE:0\n") && !text.contains("SEQUENCE:1\n")).then_some(text)
    });
    assert_eq!(uris(&text).len(), 5, "one more than the window: {text}");
    wait_for("old segments to be deleted", 5, || {
        let has = |number| site.server.file(&format!("html/live/s-{number}.ts")).exists();
        (!has(0) && !has(1)).then_some(())
    });
}

#[test]
fn ffmpeg_vlc_and_gstreamer_play_over_http() {
    let site = Site::start("");
    let _publisher = site.publish(Sample::H264Aac, "s");
    site.playlist(3);
    let (folder, url) = (site.server.folder(), site.url("/live/s.m3u8"));
    let report = probe(folder, &url);
    let mut names = codecs(&report);
    names.sort_unstable();
    assert_eq!(names, ["aac", "h264"]);
    let file = site.server.file("played.flv");
    Ffmpeg::Debian.record(folder, &[], &url, 5, &file).wait(30).ok();
    assert!(Ffmpeg::Debian.decode(folder, &file) >= 120);
    let file = site.server.file("by-vlc.flv");
    crate::vlc::play(folder, &url, &file).wait(40);
    assert!(Ffmpeg::Debian.decode(folder, &file) >= 50);
    // GStreamer's HLS elements want minutes of a live playlist before they show anything; a segment does as well.
    let segment = uris(&site.playlist(3))[1].to_owned();
    let location = site.url(&format!("/live/{segment}"));
    let pipeline = format!("souphttpsrc location={location} ! tsdemux ! h264parse ! avdec_h264 ! fakesink sync=false");
    gstreamer(folder, &pipeline).wait(20).ok();
}

#[test]
fn hevc_mp3_and_sound_alone_are_carried() {
    let site = Site::start("hls_ctx off; hls_aof_ratio 1.0;");
    for (sample, stream, expected) in [
        (Sample::HevcAac, "hevc", &["aac", "hevc"][..]),
        (Sample::H264Mp3, "mp3", &["h264", "mp3"]),
        (Sample::Aac, "sound", &["aac"]),
    ] {
        let mut publisher = site.publish(sample, stream);
        let path = site.server.file(&format!("html/live/{stream}-1.ts"));
        wait_for(&format!("a segment of {stream}"), 20, || path.exists().then_some(()));
        let report = probe(site.server.folder(), &path.display().to_string());
        let mut names = codecs(&report);
        names.sort_unstable();
        assert_eq!(names, expected);
        let segment = fs::read(&path).expect("the segment");
        check(&segment).unwrap_or_else(|fault| panic!("{stream}: {fault}"));
        publisher.stop();
    }
}

#[test]
fn fragmented_segments_carry_what_ts_cannot() {
    let site = Site::start("hls_ctx off; hls_use_fmp4 on; hls_window 20;");
    for (sample, stream, expected) in [
        (Sample::H264Aac, "s", &["aac", "h264"]),
        (Sample::HevcAac, "hevc", &["aac", "hevc"]),
        (Sample::Av1Opus, "av1", &["av1", "opus"]),
    ] {
        let mut publisher = site.publish(sample, stream);
        let path = site.server.file(&format!("html/live/{stream}.m3u8"));
        let text = wait_for(&format!("segments of {stream}"), 20, || {
            let text = fs::read_to_string(&path).ok()?;
            (uris(&text).len() >= 3).then_some(text)
        });
        assert!(text.contains("#EXT-X-VERSION:6\n"), "{text}");
        assert_eq!(
            text.matches(&format!("#EXT-X-MAP:URI=\"{stream}/init.mp4\"\n")).count(),
            1,
            "{text}"
        );
        let report = probe(site.server.folder(), &site.url(&format!("/live/{stream}.m3u8")));
        let mut names = codecs(&report);
        names.sort_unstable();
        assert_eq!(names, expected);
        let mut joined = fs::read(site.server.file(&format!("html/live/{stream}/init.mp4"))).expect("the init");
        for uri in &uris(&text)[..3] {
            joined.extend(fs::read(site.server.file(&format!("html/live/{uri}"))).expect("a segment"));
        }
        let file = site.server.file(&format!("{stream}.mp4"));
        fs::write(&file, joined).expect("write the segments");
        assert_eq!(Ffmpeg::Eight.decode(site.server.folder(), &file), 75, "{stream}");
        publisher.stop();
    }
    // Another codec under the same name: players get another initialisation segment.
    let _publisher = site.publish(Sample::HevcAac, "s");
    let text = wait_for("the new initialisation segment", 20, || {
        let text = fs::read_to_string(site.server.file("html/live/s.m3u8")).ok()?;
        text.contains("init-1.mp4").then_some(text)
    });
    assert!(
        text.contains("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"s/init-1.mp4\"\n"),
        "{text}"
    );
}

#[test]
fn a_publisher_that_comes_back_is_a_discontinuity() {
    let site = Site::start("hls_ctx off; hls_window 20;");
    site.publish_for(Sample::H264Aac, "s", 2500);
    let first = site.playlist(2);
    let _again = site.publish(Sample::H264Aac, "s");
    let second = wait_for("segments of the second publication", 20, || {
        let text = fs::read_to_string(site.server.file("html/live/s.m3u8")).ok()?;
        text.contains("#EXT-X-DISCONTINUITY\n").then_some(text)
    });
    assert_eq!(second.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    let numbers: Vec<String> = (0..uris(&second).len())
        .map(|number| format!("s-{number}.ts"))
        .collect();
    assert_eq!(uris(&second), numbers, "numbers go on");
    assert!(uris(&first).len() < numbers.len());
}

#[test]
fn encrypted_segments_play_with_their_keys() {
    let site = Site::start("hls_ctx off; hls_keys on; hls_fragments_per_key 2; hls_window 20;");
    let _publisher = site.publish(Sample::H264Aac, "s");
    let text = site.playlist(5);
    assert!(
        text.matches("#EXT-X-KEY:METHOD=AES-128,URI=\"s-").count() >= 3,
        "{text}"
    );
    let segment = fs::read(site.server.file("html/live/s-0.ts")).expect("a segment");
    let is_ts = segment.iter().step_by(188).take(8).all(|byte| *byte == 0x47);
    assert!(segment.len().is_multiple_of(16) && !is_ts);
    assert_eq!(
        fs::read(site.server.file("html/live/s-0.key")).expect("a key").len(),
        16
    );
    let (folder, file) = (site.server.folder(), site.server.file("played.flv"));
    let input = ["-allowed_extensions", "ALL", "-live_start_index", "0"];
    let url = site.url("/live/s.m3u8");
    Ffmpeg::Debian.record(folder, &input, &url, 4, &file).wait(30).ok();
    assert!(Ffmpeg::Debian.decode(folder, &file) >= 95);
}

#[test]
fn a_player_is_one_client_over_its_requests() {
    let callbacks = Callbacks::start(yes);
    let site = Site::with("hls_window 2;", &callbacks.block(), Setup::default());
    let _publisher = site.publish(Sample::H264Aac, "s");
    site.playlist(2);
    let (status, master) = site.get(&site.url("/live/s.m3u8?token=a%20b"));
    assert_eq!(status, 200);
    let prefix = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,AVERAGE-BANDWIDTH=1\n/live/s.m3u8?hls_ctx=";
    let rest = master.strip_prefix(prefix).unwrap_or_else(|| panic!("{master}"));
    let (id, query) = rest.trim_end().split_at(8);
    assert_eq!(query, "&token=a%20b");
    let (_, media) = site.get(&site.url(&format!("/live/s.m3u8?hls_ctx={id}")));
    assert!(
        uris(&media)
            .iter()
            .all(|uri| uri.ends_with(&format!(".ts?hls_ctx={id}"))),
        "{media}"
    );
    site.get(&site.url(&format!("/live/{}", uris(&media)[0])));

    let client = site.api("GET", &format!("/api/v1/clients/{id}"));
    assert_eq!(client["client"]["type"], "hls-play");
    assert_eq!(
        (&client["client"]["name"], &client["client"]["publish"]),
        (&"s.m3u8".into(), &false.into())
    );
    callbacks.wait_for(&["on_connect", "on_publish", "on_play"]);
    let asked = &callbacks.bodies()[2];
    assert_eq!((&asked["client_id"], &asked["stream"]), (&id.into(), &"s".into()));
    assert_eq!(asked["param"], "?token=a%20b");

    assert_eq!(site.api("DELETE", &format!("/api/v1/clients/{id}"))["code"], 0);
    assert_eq!(site.get(&site.url(&format!("/live/s.m3u8?hls_ctx={id}"))).0, 404);
    // Silent for twice the window, looked at every 5 s.
    callbacks.wait_for(&["on_connect", "on_publish", "on_play", "on_stop"]);
    assert_ne!(site.api("GET", &format!("/api/v1/clients/{id}"))["code"], 0);
    assert_eq!(site.get(&site.url("/live/none.m3u8")).0, 404);
}

#[test]
fn a_player_may_be_refused() {
    let refuse = |target: &str| {
        let denied = target.starts_with("/on_play");
        Some(crate::support::callbacks::body(if denied { "1" } else { "0" }))
    };
    let callbacks = Callbacks::start(refuse);
    let site = Site::with("", &callbacks.block(), Setup::default());
    let _publisher = site.publish(Sample::H264Aac, "s");
    site.playlist(1);
    assert_eq!(site.get(&site.url("/live/s.m3u8")).0, 403);
}

#[test]
fn operators_are_told_of_segments() {
    let callbacks = Callbacks::start(yes);
    let port = callbacks.port;
    let hooks = format!(
        "http_hooks {{ enabled on; on_hls http://127.0.0.1:{port}/hls; \
         on_hls_notify http://127.0.0.1:{port}/notify/[app]/[stream]/[ts_url][param]; }}"
    );
    let site = Site::with("", &hooks, Setup::default());
    let _publisher = site.publish(Sample::H264Aac, "s?token=abc");
    site.playlist(2);
    let call = wait_for("calls of a segment", 10, || callbacks.bodies().into_iter().next());
    let cwd = fs::canonicalize(site.server.folder()).expect("the folder");
    assert_eq!(call["action"], "on_hls");
    assert_eq!(call["duration"].to_string(), "1.0");
    assert_eq!(call["cwd"], cwd.display().to_string());
    assert_eq!(
        (&call["file"], &call["url"]),
        (&"./html/live/s-0.ts".into(), &"live/s-0.ts".into())
    );
    assert_eq!(
        (&call["m3u8"], &call["m3u8_url"]),
        (&"./html/live/s.m3u8".into(), &"live/s.m3u8".into())
    );
    assert_eq!((&call["seq_no"], &call["param"]), (&0.into(), &"?token=abc".into()));
    wait_for("the cache to be asked", 10, || {
        let asked = callbacks.asked.lock().expect("the record");
        let is_first = |(target, _): &(String, String)| target == "/notify/live/s/s-0.ts?token=abc";
        asked.iter().any(is_first).then_some(())
    });
}

#[test]
fn files_of_a_stream_that_is_over_are_deleted() {
    let site = Site::start("hls_dispose 2;");
    site.publish_for(Sample::H264Aac, "s", 2500);
    site.playlist(2);
    wait_for("the files to be deleted", 15, || {
        let mut left = fs::read_dir(site.server.file("html/live")).ok()?;
        left.next().is_none().then_some(())
    });
}

#[test]
fn a_disk_that_fails_hurts_as_configured() {
    let allow = || Setup::default().allow_error("HLS");
    for (on_error, ends) in [("ignore", false), ("disconnect", true), ("continue", true)] {
        let site = Site::with(
            &format!("hls_path /dev/null/none; hls_on_error {on_error};"),
            "",
            allow(),
        );
        let mut publisher = site.publish(Sample::H264Aac, "s");
        site.server.wait_for_line(&["HLS stops", "HlsOpenFile"]);
        let ended = || (!publisher.is_running()).then_some(());
        if ends {
            wait_for(&format!("{on_error} to end the publisher"), 10, ended);
        } else {
            let file = site.server.file("played.flv");
            let mut player = Ffmpeg::Debian.record(site.server.folder(), &[], &site.server.url("s"), 2, &file);
            player.wait(20).ok();
            assert!(publisher.is_running());
        }
    }
}

#[test]
fn no_stream_name_leads_out_of_the_folder() {
    let setup = Setup::default().allow_error("HlsCreateDir");
    let site = Site::with("", "", setup);
    let url = site.server.url("..%2f..%2f..%2fevil");
    for url in [url, site.server.url("../../evil")] {
        let mut publisher = Ffmpeg::Debian.publish(site.server.folder(), &Sample::Aac.path(), &url);
        wait_for("the publisher to end or a file", 10, || {
            let inside = site.server.file("html/live").exists();
            (!publisher.is_running() || inside).then_some(())
        });
        std::thread::sleep(Duration::from_millis(300));
        let outside: Vec<_> = fs::read_dir(site.server.folder())
            .expect("the folder")
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().contains("evil"))
            .collect();
        assert!(outside.is_empty(), "{outside:?}");
    }
}

#[test]
fn names_follow_the_templates() {
    let site = Site::start(
        "hls_ctx off; hls_m3u8_file [app]/[stream].m3u8; hls_ts_file [app]/[2006]/[stream]-[timestamp]-[duration].ts; \
         hls_ts_floor on; hls_entry_prefix http://cdn.example.com/a;",
    );
    let _publisher = site.publish(Sample::H264Aac, "s");
    let text = site.playlist(4);
    let mut stamps = Vec::new();
    for (uri, duration) in uris(&text).iter().zip(durations_ms(&text)) {
        let path = uri
            .strip_prefix("http://cdn.example.com/a/live/")
            .expect("the prefix and folder");
        assert!(site.server.file(&format!("html/live/{path}")).exists(), "{path}");
        let mut parts = path.trim_end_matches(".ts").rsplit('-');
        assert_eq!(parts.next(), Some(&*duration.to_string()));
        stamps.push(
            parts
                .next()
                .and_then(|text| text.parse::<u64>().ok())
                .expect("a counter"),
        );
    }
    assert!(stamps.windows(2).all(|pair| pair[1] == pair[0] + 1), "{stamps:?}");
}
