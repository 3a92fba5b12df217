//! Low-latency HLS: playlists that wait, parts from memory, updates.

use std::time::{Duration, Instant};

use crate::support::clients::Ffmpeg;
use crate::support::media::Sample;
use crate::support::server::Setup;
use crate::support::wait::wait_for;
use crate::support::web::Web;

fn start(hls: &str) -> Web {
    Web::start(Setup::default().vhost(&format!(
        "hls {{ enabled on; hls_path ./html; hls_fragment 2; hls_window 20; hls_low_latency on; hls_part 0.5; {hls} }}"
    )))
}

fn playlist(site: &Web, query: &str) -> String {
    let (status, text) = site.get(&format!("/live/s.m3u8{query}"));
    assert_eq!(status, 200, "{query}");
    text
}

/// The playlist, once it has a segment.
#[track_caller]
fn first_playlist(site: &Web) -> String {
    wait_for("a segment", 20, || {
        let (status, text) = site.get("/live/s.m3u8");
        (status == 200 && text.contains("#EXTINF:")).then_some(text)
    })
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
    let site = start("hls_ctx off;");
    let _publisher = site.publish(Sample::H264Aac);
    let text = first_playlist(&site);
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
        text = playlist(&site, &format!("?_HLS_msn={segment}&_HLS_part={part}"));
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
    let site = start("hls_ctx off;");
    let _publisher = site.publish(Sample::H264Aac);
    let text = first_playlist(&site);
    let coming = hint(&text).to_owned();
    let bytes = site.get_bytes(&format!("/live/{coming}"));
    assert!(bytes.len() > 100 && (&bytes[4..8] == b"styp" || &bytes[4..8] == b"moof"));

    let mut joined = Vec::new();
    let first = parts(&text).first().map(|name| place(name).0).expect("a part");
    for name in parts(&text).iter().filter(|name| place(name).0 == first) {
        joined.extend(site.get_bytes(&format!("/live/{name}")));
    }
    let segment = std::fs::read(site.file(&format!("s-{first}.m4s"))).expect("the segment");
    assert!(
        segment == joined,
        "{} bytes in parts, {} on the disk",
        joined.len(),
        segment.len()
    );
}

#[test]
fn a_folder_that_the_vhost_mounts_has_parts_too() {
    let site = Web::start(Setup::default().vhost(
        "hls { enabled on; hls_low_latency on; hls_part 0.5; hls_fragment 2; hls_ctx off; hls_path ./html/hls; }
        http_static { enabled on; mount [vhost]/tv; dir ./html/hls; }",
    ));
    let _publisher = site.publish(Sample::H264Aac);
    let text = wait_for("a playlist with parts", 20, || {
        let (status, text) = site.get("/tv/live/s.m3u8");
        (status == 200 && !parts(&text).is_empty()).then_some(text)
    });
    let bytes = site.get_bytes(&format!("/tv/live/{}", hint(&text)));
    assert!(&bytes[4..8] == b"styp" || &bytes[4..8] == b"moof");
}

#[test]
fn an_update_leaves_out_what_is_known_and_the_end_is_a_file() {
    let site = start("hls_ctx on; hls_fragment 1;");
    let mut publisher = site.publish(Sample::H264Aac);
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
    let site = start("");
    let _publisher = site.publish(Sample::H264Aac);
    let segment = site.file("s-1.m4s");
    wait_for("two segments", 20, || segment.exists().then_some(()));
    let (folder, file) = (site.server.folder(), site.server.file("played.flv"));
    Ffmpeg::Eight
        .record(folder, &[], &site.url("/live/s.m3u8"), 4, &file)
        .wait(40)
        .ok();
    assert!(Ffmpeg::Debian.decode(folder, &file) >= 95);
}
