//! DASH, HDS and DVR of a stream that goes on while their settings change.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::site::{Endless, Site, frame_at, get};
use crate::support::bystander::number_of;
use crate::support::flv::{self, VIDEO};
use crate::support::server::Setup;
use crate::support::wait::wait_for;

fn dash(settings: &str) -> String {
    let mut block = settings.to_owned();
    for (directive, value) in [("dash_path", "./html"), ("dash_fragment", "1")] {
        if !block.contains(&format!("{directive} ")) {
            block += &format!(" {directive} {value};");
        }
    }
    format!("dash {{ enabled on; {block} }}")
}

const MANIFEST: &str = "html/live/s.mpd";

/// How many segments a manifest lists, and the first one's number.
fn listed(manifest: &str) -> (usize, u32) {
    let first = manifest.split("startNumber=\"").nth(1);
    let first = first.and_then(|rest| rest.split('"').next()?.parse().ok());
    (manifest.matches("<S t=").count(), first.unwrap_or(0))
}

#[test]
fn dash_follows() {
    let site = Site::start("", &dash(""));
    let publisher = Endless::fast(site.publish("s"));
    site.wait_for_text(MANIFEST, &["d=\"1000\"", "minimumUpdatePeriod=\"PT5.000S\""]);
    site.reload("", &dash("dash_path ./other; dash_mpd_file [app]/[stream]/list.mpd;"));
    site.wait_for_text("other/live/s/list.mpd", &["<S t="]);
    for (settings, part) in [
        ("dash_fragment 2;", "d=\"2000\""),
        ("dash_update_period 7;", "minimumUpdatePeriod=\"PT7.000S\""),
        (
            "dash_low_latency on; dash_target_latency 3;",
            "<Latency target=\"3000\"",
        ),
        (
            "dash_low_latency on; dash_chunk 0.2;",
            "availabilityTimeOffset=\"0.800\"",
        ),
        (
            "dash_low_latency on; dash_chunk 0.4;",
            "availabilityTimeOffset=\"0.600\"",
        ),
    ] {
        site.reload("", &dash(settings));
        wait_for(&format!("{part} with {settings}"), 15, || {
            let (_, text) = get(site.http.number(), "/live/s.mpd");
            text.contains(part).then_some(())
        });
    }
    for window in [3, 7] {
        site.reload("", &dash(&format!("dash_window_size {window};")));
        wait_for(&format!("dash_window_size {window}"), 15, || {
            let text = fs::read_to_string(site.server.file(MANIFEST)).ok()?;
            (listed(&text).0 == window).then_some(())
        });
    }
    for (cleanup, is_kept) in [("on", false), ("off", true)] {
        site.reload("", &dash(&format!("dash_window_size 2; dash_cleanup {cleanup};")));
        let first = |least: u32| {
            wait_for("segments", 15, || {
                let text = fs::read_to_string(site.server.file(MANIFEST)).ok()?;
                let (count, first) = listed(&text);
                (count == 2 && first >= least).then_some(first)
            })
        };
        let begun = first(0) + 3;
        first(begun + 3);
        let file = format!("html/live/s/video-{begun}.m4s");
        match is_kept {
            // One that was to be deleted would be by now.
            true => thread::sleep(Duration::from_millis(300)),
            false => wait_for("dash_cleanup on", 15, || (!site.exists(&file)).then_some(())),
        }
        assert_eq!(site.exists(&file), is_kept, "dash_cleanup {cleanup}: {file}");
    }
    // Like all settings it counts from the next keyframe on.
    site.reload("", &dash("dash_dispose 1; dash_update_period 9;"));
    site.wait_for_text(MANIFEST, &["minimumUpdatePeriod=\"PT9.000S\""]);
    publisher.finish();
    wait_for("dash_dispose 1 to delete the files", 15, || {
        (!site.exists(MANIFEST)).then_some(())
    });
}

#[test]
fn hds_follows() {
    let hds = |settings: &str| format!("hds {{ enabled on; {settings} }}");
    let site = Site::start("", &hds("hds_path ./one; hds_fragment 1; hds_window 60;"));
    let publisher = Endless::fast(site.publish("s"));
    let fragments = |folder: &str| -> Vec<(u32, PathBuf)> {
        let entries = fs::read_dir(site.server.file(folder)).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some((name.strip_prefix("sSeg1-Frag")?.parse().ok()?, entry.path()))
            })
            .collect();
        found.sort();
        found
    };
    wait_for("hds_window 60 to keep six fragments", 15, || {
        (fragments("one/live").len() >= 6).then_some(())
    });
    site.reload("", &hds("hds_path ./two; hds_fragment 1; hds_window 3;"));
    wait_for("hds_window 3 to delete fragments in hds_path ./two", 15, || {
        let found = fragments("two/live");
        let first = found.first()?.0;
        (first > 3 && found.len() < 6 && site.exists("two/live/s.abst")).then_some(())
    });
    site.reload("", &hds("hds_path ./three; hds_fragment 3; hds_window 60;"));
    wait_for("hds_fragment 3", 15, || {
        let found = fragments("three/live");
        // A second of it is 50 frames of 800 bytes.
        let bytes = fs::read(&found.get(1)?.1).ok()?;
        let is_whole = bytes.len() >= 8 && u32::from_be_bytes(bytes[..4].try_into().ok()?) as usize == bytes.len();
        (is_whole && (115_000..160_000).contains(&bytes.len())).then_some(())
    });
    site.reload("", "hds { enabled off; hds_path ./three; }");
    site.reload("", &hds("hds_path ./four; hds_fragment 1;"));
    wait_for("hds.enabled on", 15, || {
        (!fragments("four/live").is_empty()).then_some(())
    });
    publisher.finish();
}

fn dvr(settings: &str) -> String {
    format!("dvr {{ enabled on; {settings} }}")
}

/// The files of a folder, those that are being written too, by name.
fn files(site: &Site, folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(site.server.file(folder)).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// The frames of a finished recording in `folder`, of which there are several.
#[track_caller]
fn second_file(site: &Site, folder: &str) -> Vec<(u32, u32)> {
    wait_for(&format!("three files in {folder}"), 15, || {
        let found = files(site, folder);
        let is_flv = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "flv");
        let finished: Vec<_> = found.iter().filter(is_flv).collect();
        if finished.len() < 3 {
            return None;
        }
        let tags = flv::read(finished[1]);
        let pictures = tags.iter().filter(|tag| tag.kind == VIDEO);
        Some(
            pictures
                .filter_map(|tag| Some((number_of(tag)?, tag.timestamp)))
                .collect(),
        )
    })
}

/// The kinds of the outermost boxes of an MP4 file.
fn top_boxes(mut bytes: &[u8]) -> Vec<[u8; 4]> {
    let mut kinds = Vec::new();
    while let Some((head, _)) = bytes.split_first_chunk::<16>() {
        let short = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let long = u64::from_be_bytes(head[8..].try_into().expect("eight bytes"));
        let size = if short == 1 { long } else { short };
        kinds.push([head[4], head[5], head[6], head[7]]);
        bytes = bytes.get(size.max(8) as usize..).unwrap_or_default();
    }
    kinds
}

#[test]
fn recordings_follow() {
    let site = Site::start("", "");
    // A group of pictures lasts 1.5 s, and time begins late.
    let frame = |number: u32| frame_at(number, 500_000 + number * 30);
    let publisher = Endless::of(site.publish("s"), Duration::from_millis(3), frame);

    site.reload("", &dvr("dvr_apply live/other; dvr_path ./none.flv;"));
    site.reload("", &dvr("dvr_apply all; dvr_path ./all.flv;"));
    wait_for("dvr_apply all", 15, || {
        (site.exists("all.flv") || site.exists("all.flv.tmp")).then_some(())
    });
    assert!(
        files(&site, ".")
            .iter()
            .all(|file| !file.to_string_lossy().contains("none.flv")),
        "dvr_apply live/other"
    );

    let segments = "dvr_plan segment; dvr_path ./FOLDER/[timestamp].flv;";
    for (folder, more, is_keyframe, frames) in [
        ("a", "dvr_duration 1;", true, 50..51),
        ("b", "dvr_duration 1; dvr_wait_keyframe off;", false, 33..36),
        ("c", "dvr_duration 2;", true, 100..101),
    ] {
        site.reload("", &dvr(&format!("{} {more}", segments.replace("FOLDER", folder))));
        let pictures = second_file(&site, folder);
        let first = pictures[0];
        assert_eq!(
            first.0.is_multiple_of(50),
            is_keyframe,
            "dvr_wait_keyframe: {more} {first:?}"
        );
        assert!(
            frames.contains(&pictures.len()),
            "dvr_duration: {more} {}",
            pictures.len()
        );
        assert!(first.1 < 100, "dvr.time_jitter full: {first:?}");
    }
    site.reload(
        "",
        &dvr(&format!(
            "{} dvr_duration 1; time_jitter off;",
            segments.replace("FOLDER", "d")
        )),
    );
    let first = second_file(&site, "d")[0];
    assert_eq!(first.1, 500_000 + first.0 * 30, "dvr.time_jitter off");
    publisher.finish();
}

#[test]
fn recordings_in_mp4_follow_and_end() {
    let site = Site::start("", "");
    let publisher = Endless::fast(site.publish("s"));
    for (name, more) in [("whole", ""), ("parts", "dvr_mp4_fragmented on;")] {
        let path = format!("dvr_path ./{name}.mp4; dvr_plan session; {more}");
        site.reload("", &dvr(&path));
        wait_for(name, 15, || {
            let found = files(&site, ".");
            found
                .iter()
                .any(|file| file.to_string_lossy().contains(name))
                .then_some(())
        });
        // Two groups of pictures.
        thread::sleep(Duration::from_millis(500));
    }
    site.reload("", "dvr { enabled off; }");
    let has_fragments = |name: &str| {
        let bytes = wait_for(&format!("dvr.enabled off to end {name}"), 15, || {
            fs::read(site.server.file(name)).ok()
        });
        top_boxes(&bytes).contains(b"moof")
    };
    assert!(!has_fragments("whole.mp4"), "dvr_mp4_fragmented off");
    assert!(has_fragments("parts.mp4"), "dvr_mp4_fragmented on");
    let before = files(&site, ".").len();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(files(&site, ".").len(), before, "dvr.enabled off");
    publisher.finish();
}

#[test]
fn utc_time_is_for_the_next_file() {
    // Half an hour off, so that minutes tell one from the other.
    let setup = Setup::default().environment("TZ", "XYZ-5:30");
    let files_of = "dvr { enabled on; dvr_plan segment; dvr_duration 1; dvr_path ./dvr/[04]-[timestamp].flv; }
        hls { enabled on; hls_path ./html; hls_fragment 1; hls_window 5; hls_ctx off; hls_ts_file [app]/[04]-[seq].ts; }";
    let site = Site::start_with(setup, "utc_time off;\n", files_of);
    let publisher = Endless::fast(site.publish("s"));
    let minute = |utc: bool| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let minutes = now.expect("a time after 1970").as_secs() / 60 + if utc { 0 } else { 30 };
        // Files of the minute before count too.
        [minutes, minutes - 1].map(|minutes| format!("{:02}-", minutes % 60))
    };
    for utc in [false, true, false] {
        let switch = if utc { "on" } else { "off" };
        site.reload(&format!("utc_time {switch};\n"), files_of);
        wait_for(&format!("utc_time {switch} in names of DVR and HLS"), 15, || {
            let wanted = minute(utc);
            let newest = files(&site, "dvr").into_iter().max_by_key(|file| {
                let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                name.split('-').nth(1).map(str::to_owned)
            })?;
            let newest = newest.file_name()?.to_str()?.to_owned();
            let playlist = fs::read_to_string(site.server.file("html/live/s.m3u8")).ok()?;
            let segment = playlist.lines().last()?;
            let fits = |name: &str| wanted.iter().any(|wanted| name.starts_with(wanted.as_str()));
            (fits(&newest) && fits(segment)).then_some(())
        });
    }
    publisher.finish();
}
