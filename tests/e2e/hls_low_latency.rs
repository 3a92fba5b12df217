//! Low-latency HLS: playlists that wait, parts from memory, updates.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::clients::Ffmpeg;
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::run;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

struct Site {
    server: Server,
    port: Port,
}

impl Site {
    fn start(hls: &str) -> Self {
        let port = Port::free();
        let server = Setup::default()
            .globals(&format!(
                "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n",
                port.number()
            ))
            .vhost(&format!(
                "hls {{ enabled on; hls_path ./html; hls_fragment 2; hls_window 20; hls_low_latency on; hls_part 0.5; {hls} }}"
            ))
            .start();
        server.wait_for_line(&["HTTP-Server listen at tcp://"]);
        Site { server, port }
    }

    /// The status and the body.
    fn get(&self, target: &str) -> (u16, String) {
        let mut command = Command::new("curl");
        let url = format!("http://127.0.0.1:{}{target}", self.port.number());
        command.args(["-sS", "--max-time", "20", "-w", "\n%{http_code}", &url]);
        let output = run("curl", self.server.folder(), 30, &mut command).ok().output;
        let (body, status) = output.trim_end().rsplit_once('\n').expect("a status");
        (status.parse().expect("a status"), body.to_owned())
    }

    fn playlist(&self, query: &str) -> String {
        let (status, text) = self.get(&format!("/live/s.m3u8{query}"));
        assert_eq!(status, 200, "{query}");
        text
    }

    /// The playlist, once it has a segment.
    #[track_caller]
    fn first_playlist(&self) -> String {
        wait_for("a segment", 20, || {
            let (status, text) = self.get("/live/s.m3u8");
            (status == 200 && text.contains("#EXTINF:")).then_some(text)
        })
    }
}

fn parts(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-PART:"))
        .filter_map(|line| line.split("URI=\"").nth(1)?.split('"').next())
        .collect()
}

fn hint(text: &str) -> &str {
    let line = text.lines().find(|line| line.starts_with("#EXT-X-PRELOAD-HINT"));
    line.and_then(|line| line.split("URI=\"").nth(1)?.split('"').next())
        .unwrap_or_else(|| panic!("no hint in {text}"))
}

/// Segment and part of a part's name.
fn place(name: &str) -> (u64, u64) {
    let rest = name.strip_prefix("s-").and_then(|rest| rest.strip_suffix(".m4s"));
    let (segment, part) = rest.and_then(|rest| rest.split_once(".part")).expect("a part's name");
    (segment.parse().expect("a segment"), part.parse().expect("a part"))
}

#[test]
fn a_playlist_waits_for_the_next_part() {
    let site = Site::start("hls_ctx off;");
    let _publisher = Ffmpeg::Debian.publish(site.server.folder(), &Sample::H264Aac.path(), &site.server.url("s"));
    let text = site.first_playlist();
    for line in [
        "#EXT-X-VERSION:9",
        "#EXT-X-PART-INF:PART-TARGET=0.500",
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.500,CAN-SKIP-UNTIL=12.000",
        "#EXT-X-MAP:URI=\"s/init.mp4\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    // Three times in a row: what is asked for is not there yet, and the answer has it.
    let mut text = text;
    for _ in 0..3 {
        let (segment, part) = place(hint(&text));
        assert!(!parts(&text).iter().any(|name| place(name) == (segment, part)));
        text = site.playlist(&format!("?_HLS_msn={segment}&_HLS_part={part}"));
        assert!(parts(&text).iter().any(|name| place(name) == (segment, part)), "{text}");
    }
    let began = Instant::now();
    let (status, _) = site.get("/live/s.m3u8?_HLS_msn=1000");
    assert_eq!(status, 400);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "a mistake is answered at once"
    );
    assert_eq!(site.get("/live/s.m3u8?_HLS_msn=x").0, 400);
}

#[test]
fn parts_are_the_segment_and_a_hint_can_be_asked_for() {
    let site = Site::start("hls_ctx off;");
    let _publisher = Ffmpeg::Debian.publish(site.server.folder(), &Sample::H264Aac.path(), &site.server.url("s"));
    let text = site.first_playlist();
    let coming = hint(&text).to_owned();
    let file = site.server.file("hinted");
    let url = format!("http://127.0.0.1:{}/live/{coming}", site.port.number());
    let mut command = Command::new("curl");
    command.args(["-sSf", "--max-time", "20", "-o"]).arg(&file).arg(&url);
    run("curl", site.server.folder(), 30, &mut command).ok();
    let bytes = std::fs::read(&file).expect("the part");
    assert!(bytes.len() > 100 && (&bytes[4..8] == b"styp" || &bytes[4..8] == b"moof"));

    let mut joined = Vec::new();
    let first = parts(&text).first().map(|name| place(name).0).expect("a part");
    for name in parts(&text).iter().filter(|name| place(name).0 == first) {
        let url = format!("http://127.0.0.1:{}/live/{name}", site.port.number());
        let mut command = Command::new("curl");
        command.args(["-sSf", "-o"]).arg(&file).arg(&url);
        run("curl", site.server.folder(), 30, &mut command).ok();
        joined.extend(std::fs::read(&file).expect("a part"));
    }
    let segment = std::fs::read(site.server.file(&format!("html/live/s-{first}.m4s"))).expect("the segment");
    assert!(
        segment == joined,
        "{} bytes in parts, {} on the disk",
        joined.len(),
        segment.len()
    );
}

#[test]
fn an_update_leaves_out_what_is_known_and_the_end_is_a_file() {
    let site = Site::start("hls_ctx on; hls_fragment 1;");
    let mut publisher = Ffmpeg::Debian.publish(site.server.folder(), &Sample::H264Aac.path(), &site.server.url("s"));
    let master = wait_for("the session's playlist", 20, || {
        let (status, text) = site.get("/live/s.m3u8");
        (status == 200 && text.contains("hls_ctx=")).then_some(text)
    });
    let target = master.lines().last().expect("a link").to_owned();
    let text = wait_for("nine segments", 20, || {
        let (_, text) = site.get(&target);
        (text.matches("#EXTINF").count() >= 9).then_some(text)
    });
    assert!(!text.contains("EXT-X-SKIP"), "{text}");
    let (_, update) = site.get(&format!("{target}&_HLS_skip=YES"));
    assert!(update.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS="), "{update}");
    assert!(update.matches("#EXTINF").count() < text.matches("#EXTINF").count());
    publisher.stop();
    let plain = wait_for("the playlist of the disk", 10, || {
        let (_, text) = site.get(&target);
        (!text.contains("EXT-X-PART")).then_some(text)
    });
    assert!(plain.starts_with("#EXTM3U\n#EXT-X-VERSION:6\n"), "{plain}");
}

#[test]
fn ffmpeg_plays_it() {
    let site = Site::start("");
    let _publisher = Ffmpeg::Debian.publish(site.server.folder(), &Sample::H264Aac.path(), &site.server.url("s"));
    let segment = site.server.file("html/live/s-1.m4s");
    wait_for("two segments", 20, || segment.exists().then_some(()));
    let (folder, file) = (site.server.folder(), site.server.file("played.flv"));
    let url = format!("http://127.0.0.1:{}/live/s.m3u8", site.port.number());
    Ffmpeg::Eight.record(folder, &[], &url, 4, &file).wait(40).ok();
    assert!(Ffmpeg::Debian.decode(folder, &file) >= 95);
}
