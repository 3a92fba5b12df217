//! Disks that fill up, vanish or may not be written: players notice nothing, what is listed is whole, and recording goes on
//! when the disk is back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::clients::Ffmpeg;
use crate::support::media::Sample;
use crate::support::program::{Program, run};
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

const FORMATS: [&str; 3] = ["HLS", "DASH", "DVR"];

const DVR: &str = "dvr { enabled on; dvr_path ./disk/dvr/[stream].[timestamp].flv; }";

/// HLS, DASH and what else is given on a disk of 1 MiB, and nothing is deleted.
fn start(more: &str) -> Server {
    Setup::default()
        .small_disk("disk")
        .allow_error("HLS")
        .allow_error("DASH")
        .allow_error("DVR")
        .vhost(more)
        .vhost(
            "hls { enabled on; hls_path ./disk/hls; hls_fragment 1; hls_window 60; hls_cleanup off; hls_on_error ignore; }\n\
             dash { enabled on; dash_path ./disk/dash; dash_fragment 1; dash_window_size 60; dash_cleanup off; }",
        )
        .start()
}

/// The disk, as the server sees it.
fn disk(server: &Server) -> PathBuf {
    let folder = server.file("disk");
    let folder = folder.strip_prefix("/").expect("an absolute path");
    PathBuf::from(format!("/proc/{}/root", server.pid())).join(folder)
}

fn publish(server: &Server) -> Program {
    Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("s"))
}

#[track_caller]
fn wait_for_file(path: &Path) {
    wait_for(&path.display().to_string(), 20, || path.exists().then_some(()));
}

/// What the playlist lists is there, and whole packets.
#[track_caller]
fn assert_listed_are_whole(folder: &Path) {
    let text = fs::read_to_string(folder.join("s.m3u8")).expect("the playlist");
    let uris: Vec<_> = text.lines().filter(|line| line.ends_with(".ts")).collect();
    assert!(!uris.is_empty(), "{text}");
    for uri in uris {
        let length = fs::metadata(folder.join(uri))
            .unwrap_or_else(|e| panic!("{uri}: {e}"))
            .len();
        assert!(length > 0 && length.is_multiple_of(188), "{uri} has {length} bytes");
    }
}

const LISTS: [&str; 2] = ["hls/live/s.m3u8", "dash/live/s.mpd"];

#[track_caller]
fn assert_recorded(server: &Server, publisher: &mut Program, names: &[&str]) {
    names.iter().for_each(|name| wait_for_file(&disk(server).join(name)));
    assert!(publisher.is_running());
}

#[test]
fn a_full_disk_stops_recording_and_nothing_else() {
    let server = start(DVR);
    let mut publisher = publish(&server);
    server.wait_for_line(&["start publish"]);
    let played = server.file("played.flv");
    let mut player = Ffmpeg::Debian.record(server.folder(), &[], &server.url("s"), 16, &played);
    for format in FORMATS {
        wait_for(&format!("{format} to tell of the full disk"), 30, || {
            let log = server.log();
            log.lines()
                .any(|line| line.contains("[ERROR]") && line.contains(format) && line.contains("No space left"))
                .then_some(())
        });
    }
    assert_listed_are_whole(&disk(&server).join("hls/live"));
    player.wait(40).ok();
    assert!(publisher.is_running(), "recording is not the publisher's business");
    let pictures = Ffmpeg::Debian.decode(server.folder(), &played);
    assert!(pictures >= 16 * 25 - 25, "a player got {pictures} pictures of 16 s");

    publisher.stop();
    server.wait_for_line(&["client disconnect peer"]);
    for folder in ["hls", "dash", "dvr"] {
        fs::remove_dir_all(disk(&server).join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    }
    let mut publisher = publish(&server);
    assert_recorded(&server, &mut publisher, &LISTS);
    assert_recorded(&server, &mut publisher, &["dvr"]);
}

#[test]
fn a_disk_that_may_not_be_written_for_a_while() {
    let server = start("");
    let remount = |how: &str| {
        let mut command = Command::new("nsenter");
        if !nix::unistd::geteuid().is_root() {
            command.arg("--user");
        }
        command.args(["--mount", "--target", &server.pid().to_string()]);
        command
            .args(["mount", "-o", &format!("remount,{how}")])
            .arg(server.file("disk"));
        run("nsenter", server.folder(), 10, &mut command).ok();
    };
    // What is open for writing keeps a disk from becoming read-only.
    remount("ro");
    let mut publisher = publish(&server);
    server.wait_for_line(&["[ERROR]", "HLS", "Read-only file system"]);
    assert!(publisher.is_running());
    publisher.stop();
    remount("rw");
    let mut publisher = publish(&server);
    assert_recorded(&server, &mut publisher, &LISTS);
}

#[test]
fn folders_that_vanish_are_made_again() {
    let server = start("");
    let mut publisher = publish(&server);
    let disk = disk(&server);
    LISTS.iter().for_each(|name| wait_for_file(&disk.join(name)));
    let player = server.file("played.flv");
    let mut player = Ffmpeg::Debian.record(server.folder(), &[], &server.url("s"), 4, &player);
    for folder in ["hls", "dash"] {
        fs::remove_dir_all(disk.join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    }
    player.wait(30).ok();
    publisher.stop();
    let mut publisher = publish(&server);
    assert_recorded(&server, &mut publisher, &LISTS);
}
