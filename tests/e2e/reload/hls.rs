//! HLS of a stream that goes on while its settings change.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

use super::site::{Endless, Site, get};
use crate::support::flv::Tag;
use crate::support::rtmp::closes_within;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

/// The block with these settings; those that tests need are there unless given.
fn hls(settings: &str) -> String {
    let mut block = settings.to_owned();
    for (directive, value) in [
        ("hls_path", "./html"),
        ("hls_fragment", "1"),
        ("hls_window", "10"),
        ("hls_ctx", "off"),
    ] {
        if !block.contains(&format!("{directive} ")) {
            block += &format!(" {directive} {value};");
        }
    }
    format!("hls {{ enabled on; {block} }}")
}

const PLAYLIST: &str = "html/live/s.m3u8";

fn start(settings: &str) -> (Site, Endless) {
    let site = Site::start("", &hls(settings));
    let publisher = Endless::fast(site.publish("s"));
    site.wait_for_text(PLAYLIST, &["#EXTINF"]);
    (site, publisher)
}

/// Seconds of the segments that are listed.
fn durations(playlist: &str) -> Vec<f64> {
    let lines = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:"));
    lines.filter_map(|line| line.split(',').next()?.parse().ok()).collect()
}

/// The names of the segments that are listed.
fn names(playlist: &str) -> Vec<&str> {
    let lines = playlist.lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// What is listed since the last change.
fn newest(playlist: &str) -> &str {
    playlist.rsplit("#EXT-X-DISCONTINUITY\n").next().unwrap_or(playlist)
}

#[track_caller]
fn wait_for_playlist(site: &Site, what: &str, fits: impl Fn(&str) -> bool) -> String {
    wait_for(what, 15, || {
        let text = fs::read_to_string(site.server.file(PLAYLIST)).ok()?;
        fits(&text).then_some(text)
    })
}

#[test]
fn names_and_lengths_of_segments() {
    let (site, publisher) = start("");
    site.reload(
        "",
        &hls(
            "hls_path ./other; hls_m3u8_file [app]/[stream]/list.m3u8; hls_ts_file [app]/[stream]/part-[seq].ts;
            hls_entry_prefix http://cdn.example.com/a;",
        ),
    );
    let text = site.wait_for_text("other/live/s/list.m3u8", &["#EXTINF"]);
    let first = names(newest(&text))[0];
    assert!(
        first.starts_with("http://cdn.example.com/a"),
        "hls_entry_prefix: {text}"
    );
    let (_, name) = first.rsplit_once('/').expect("a path");
    assert!(name.starts_with("part-"), "hls_ts_file: {text}");
    assert!(
        site.exists(&format!("other/live/s/{name}")),
        "hls_path and hls_m3u8_file: {name}"
    );

    for (settings, seconds) in [
        ("hls_fragment 2;", 2.0),
        ("hls_td_ratio 3;", 3.0),
        ("hls_fragment 0.5; hls_wait_keyframe on;", 1.0),
        ("hls_fragment 0.5; hls_wait_keyframe off;", 0.5),
    ] {
        site.reload("", &hls(settings));
        wait_for_playlist(&site, settings, |text| {
            let lengths = durations(newest(text));
            lengths.len() > 1 && lengths.iter().all(|length| (length - seconds).abs() < 0.1)
        });
    }
    site.reload("", &hls("hls_window 2;"));
    wait_for_playlist(&site, "hls_window 2", |text| names(text).len() <= 3);
    site.reload("", &hls("hls_window 8;"));
    wait_for_playlist(&site, "hls_window 8", |text| names(text).len() >= 7);
    publisher.finish();
}

#[test]
fn what_is_deleted_and_named_by_the_clock() {
    let (site, publisher) = start("");
    site.reload("", &hls("hls_window 2; hls_cleanup on;"));
    let text = wait_for_playlist(&site, "hls_window 2", |text| names(text).len() <= 3);
    let gone = format!("html/live/{}", names(&text)[0]);
    wait_for("hls_cleanup on to delete what has left the window", 15, || {
        (!site.exists(&gone)).then_some(())
    });
    site.reload("", &hls("hls_window 2; hls_cleanup off;"));
    let text = wait_for_playlist(&site, "a segment after hls_cleanup off", |text| {
        newest(text) != text && durations(newest(text)).len() > 1
    });
    let kept = names(newest(&text))[1].to_owned();
    wait_for_playlist(&site, "it to leave the window", |text| !text.contains(&kept));
    thread::sleep(Duration::from_millis(200));
    assert!(
        site.exists(&format!("html/live/{kept}")),
        "hls_cleanup off keeps {kept}"
    );

    // At the grid's own pace, where unix milliseconds have 13 digits and seconds 10.
    let name = "hls_ts_file [app]/[stream]-[timestamp].ts;";
    for (floor, digits) in [("off", 13), ("on", 10)] {
        site.reload("", &hls(&format!("hls_ts_floor {floor}; {name}")));
        wait_for_playlist(&site, &format!("hls_ts_floor {floor}"), |text| {
            let listed = names(newest(text));
            let stamp = listed
                .last()
                .and_then(|name| name.strip_prefix("s-")?.strip_suffix(".ts"));
            stamp.is_some_and(|stamp| stamp.len() == digits && stamp.bytes().all(|byte| byte.is_ascii_digit()))
        });
    }
    publisher.finish();
}

#[test]
fn containers_and_keys() {
    let (site, publisher) = start("");
    let names = "hls_fmp4_file [app]/[stream]-x[seq].m4s; hls_init_file [app]/[stream]/start.mp4;";
    site.reload("", &hls(&format!("hls_use_fmp4 on; {names}")));
    wait_for_playlist(&site, "hls_use_fmp4, hls_fmp4_file, hls_init_file", |text| {
        text.contains("#EXT-X-MAP:") && text.contains("start.mp4") && newest(text).contains("s-x")
    });
    let played = || get(site.http.number(), "/live/s.m3u8").1;
    for part in ["0.2", "0.5"] {
        site.reload("", &hls(&format!("hls_low_latency on; hls_part {part};")));
        wait_for(&format!("hls_low_latency on, hls_part {part}"), 15, || {
            let text = played();
            (text.contains(&format!("PART-TARGET={part}")) && text.contains("#EXT-X-PART:")).then_some(())
        });
    }
    site.reload("", &hls("hls_low_latency off;"));
    wait_for_playlist(&site, "hls_low_latency off", |text| newest(text).contains(".ts"));

    let keys = |per_key: u32| {
        hls(&format!(
            "hls_keys on; hls_fragments_per_key {per_key}; hls_key_file [app]/k{per_key}-[seq].key;
            hls_key_file_path ./keys; hls_key_url https://keys.example.com/;"
        ))
    };
    site.reload("", &keys(1));
    let text = wait_for_playlist(&site, "hls_keys on", |text| {
        let newest = newest(text);
        newest.matches("#EXT-X-KEY:METHOD=AES-128").count() >= 3
    });
    let (keys_listed, segments) = (
        newest(&text).matches("#EXT-X-KEY").count(),
        durations(newest(&text)).len(),
    );
    assert_eq!(keys_listed, segments, "hls_fragments_per_key 1: {text}");
    let name = text.rsplit("URI=\"https://keys.example.com/live/").next();
    let name = name.and_then(|rest| rest.split('"').next()).expect("hls_key_url");
    assert!(name.starts_with("k1-"), "hls_key_file: {name}");
    assert!(site.exists(&format!("keys/live/{name}")), "hls_key_file_path: {name}");
    site.reload("", &keys(1_000_000));
    let text = wait_for_playlist(&site, "hls_fragments_per_key 1000000", |text| {
        text.contains("k1000000-") && durations(newest(text)).len() >= 4
    });
    assert_eq!(
        newest(&text).matches("#EXT-X-KEY").count(),
        1,
        "hls_fragments_per_key: {text}"
    );
    site.reload("", &hls("hls_keys off;"));
    wait_for_playlist(&site, "hls_keys off", |text| {
        durations(newest(text)).len() > 1 && !newest(text).contains("AES-128")
    });
    publisher.finish();
}

#[test]
fn sessions_and_qualities_of_players() {
    let (site, publisher) = start("");
    let other = Endless::fast(site.publish("s_sd"));
    let played = |target: &str| get(site.http.number(), target).1;
    assert!(played("/live/s.m3u8").contains("#EXTINF"), "hls_ctx off: no session");
    for (ts_ctx, in_segments) in [("on", true), ("off", false)] {
        site.reload("", &hls(&format!("hls_ctx on; hls_ts_ctx {ts_ctx};")));
        let master = wait_for("hls_ctx on", 10, || {
            let text = played("/live/s.m3u8");
            text.contains("#EXT-X-STREAM-INF").then_some(text)
        });
        let session = names(&master)[0].to_owned();
        assert!(session.contains("hls_ctx="), "hls_ctx on: {master}");
        wait_for(&format!("hls_ts_ctx {ts_ctx}"), 10, || {
            let text = played(&session);
            let last = names(&text).last().map(|name| name.contains("hls_ctx="))?;
            (last == in_segments).then_some(())
        });
    }
    let variants = |file: &str| {
        hls(&format!(
            "hls_variants _sd; hls_variants_file [app]/[stream]{file}.m3u8;"
        ))
    };
    assert!(!site.exists("html/live/s_abr.m3u8"));
    for file in ["_abr", "_all"] {
        site.reload("", &variants(file));
        site.wait_for_text(&format!("html/live/s{file}.m3u8"), &["s.m3u8", "s_sd.m3u8"]);
    }
    publisher.finish();
    other.finish();
}

/// The stream types that the first program map of a transport stream lists.
fn stream_types(file: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(file).ok()?;
    let mut packets = bytes.chunks_exact(188);
    let association = packets.next()?;
    let pid = u16::from_be_bytes([association[15] & 0x1f, association[16]]);
    let map = packets.find(|packet| u16::from_be_bytes([packet[1] & 0x1f, packet[2]]) == pid)?;
    let end = 8 + usize::from(u16::from_be_bytes([map[6] & 0x0f, map[7]])) - 4;
    let mut at = 17 + usize::from(u16::from_be_bytes([map[15] & 0x0f, map[16]]));
    let mut types = Vec::new();
    while at + 5 <= end {
        types.push(map[at]);
        at += 5 + usize::from(u16::from_be_bytes([map[at + 3] & 0x0f, map[at + 4]]));
    }
    Some(types)
}

/// The times of sound in a transport stream, in ticks of 90 kHz.
fn sound_times(file: &Path) -> Option<Vec<u64>> {
    let bytes = fs::read(file).ok()?;
    let begins = bytes.chunks_exact(188).filter_map(|packet| {
        let at = packet.windows(4).position(|start| start == [0, 0, 1, 0xc0])?;
        let field: [u8; 5] = packet.get(at + 9..at + 14)?.try_into().ok()?;
        let [a, b, c, d, e] = field.map(u64::from);
        Some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
    });
    Some(begins.collect())
}

#[test]
fn codecs_and_clocks_of_transport_streams() {
    let (site, publisher) = start("");
    let alone = Endless::of(site.publish_bare("sound"), Duration::from_millis(2), |number| {
        Tag::sound(number, 23)
    });
    // What the newest segment of a stream is, once it is one that was begun by the new settings.
    let newest_file = |stream: &str| {
        let text = fs::read_to_string(site.server.file(&format!("html/live/{stream}.m3u8"))).ok()?;
        let name = names(newest(&text)).last()?.to_string();
        Some(site.server.file(&format!("html/live/{name}")))
    };
    for (settings, stream, kind, expected) in [
        ("hls_acodec aac;", "s", 0x0f, true),
        ("hls_acodec an;", "s", 0x0f, false),
        ("hls_vcodec h264;", "sound", 0x1b, true),
        ("hls_vcodec vn;", "sound", 0x1b, false),
    ] {
        site.reload("", &hls(settings));
        wait_for(&format!("{settings} in {stream}"), 15, || {
            let types = stream_types(&newest_file(stream)?)?;
            (!types.is_empty() && types.contains(&kind) == expected).then_some(())
        });
    }
    for (directly, whole_milliseconds) in [("on", true), ("off", false)] {
        site.reload("", &hls(&format!("hls_dts_directly {directly};")));
        wait_for(&format!("hls_dts_directly {directly}"), 15, || {
            let times = sound_times(&newest_file("sound")?)?;
            (times.len() > 2 && times.iter().all(|time| time % 90 == 0) == whole_milliseconds).then_some(())
        });
    }
    for (ratio, seconds) in [("1.2", 1.2), ("3", 3.0)] {
        site.reload("", &hls(&format!("hls_aof_ratio {ratio};")));
        wait_for(&format!("hls_aof_ratio {ratio}"), 15, || {
            let text = fs::read_to_string(site.server.file("html/live/sound.m3u8")).ok()?;
            let lengths = durations(newest(&text));
            let fits = lengths.iter().all(|length| (length - seconds).abs() < 0.15);
            (lengths.len() > 1 && fits).then_some(())
        });
    }
    publisher.finish();
    alone.finish();
}

#[test]
fn notices_and_ends() {
    let site = Site::start_with(Setup::default().allow_error("HLS"), "", &hls(""));
    let publisher = Endless::fast(site.publish("s"));
    site.wait_for_text(PLAYLIST, &["#EXTINF"]);
    let cache = TcpListener::bind("127.0.0.1:0").expect("listen");
    let url = format!("http://{}/[ts_url]", cache.local_addr().expect("an address"));
    for (bytes, is_enough) in [(64, true), (1_000_000, false)] {
        let hooks = format!("http_hooks {{ enabled on; on_hls_notify {url}; }}");
        site.reload("", &format!("{} {hooks}", hls(&format!("hls_nb_notify {bytes};"))));
        // Those of segments that ended by the settings before are under way.
        thread::sleep(Duration::from_millis(500));
        cache.set_nonblocking(true).expect("look for the last ones");
        while cache.accept().is_ok() {}
        cache.set_nonblocking(false).expect("wait for the next one");
        let (mut socket, _) = cache.accept().expect("a notice");
        let _ = socket.read(&mut [0; 2048]);
        let begin = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        socket.write_all(&[&begin[..], &[b'a'; 100]].concat()).expect("answer");
        let seconds = if is_enough { 10 } else { 1 };
        assert_eq!(closes_within(&mut socket, seconds), is_enough, "hls_nb_notify {bytes}");
    }
    site.reload("", &hls("hls_path /dev/null/none; hls_on_error ignore;"));
    site.server.wait_for_line(&["HLS stops", "HlsOpenFile"]);
    site.reload("", &hls("hls_dispose 1;"));
    wait_for_playlist(&site, "HLS to go on", |text| newest(text) != text);
    publisher.finish();
    wait_for("hls_dispose 1 to delete the files", 15, || {
        (!site.exists(PLAYLIST)).then_some(())
    });

    let publisher = Endless::fast(site.publish("s"));
    site.wait_for_text(PLAYLIST, &["#EXTINF"]);
    let cut = format!(
        "vhost __defaultVhost__ {{ {} }}",
        hls("hls_path /dev/null/none; hls_on_error disconnect;")
    );
    assert_eq!(site.try_reload("", &cut)["err"], 0);
    wait_for("hls_on_error disconnect", 15, || publisher.is_cut_off().then_some(()));
}
