//! Child processes: FFmpeg that brings streams in and codes them again, commands of the operator, and their ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::flv;
use crate::support::media::Sample;
use crate::support::nginx::Nginx;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::server::{PROGRAM, Server, Setup};
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

/// A child of a process, as /proc shows it.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    pid: i32,
    state: char,
    group: i32,
}

fn children_of(parent: u32) -> Vec<Found> {
    let entries = fs::read_dir("/proc").expect("read /proc").flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter_map(|stat| child_of(parent, &stat)).collect()
}

/// `pid (name) state parent group ...`, where the name may hold anything.
fn child_of(parent: u32, stat: &str) -> Option<Found> {
    let (before, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let is_child = fields.next()?.parse::<u32>().ok()? == parent;
    is_child.then_some(Found {
        pid: before.split_whitespace().next()?.parse().ok()?,
        state,
        group: fields.next()?.parse().ok()?,
    })
}

#[track_caller]
fn wait_for_children(server: u32, count: usize, seconds: u64) -> Vec<Found> {
    wait_for(&format!("{count} children"), seconds, || {
        let found = children_of(server);
        let is_whole = found.len() == count && found.iter().all(|child| child.state != 'Z');
        is_whole.then_some(found)
    })
}

fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill a child of the server");
}

/// A stand-in for FFmpeg.
fn script(folder: &Path, name: &str, body: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("write a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make a script a program");
    path.display().to_string()
}

fn ingest(name: &str, program: &str, input: &str, output: &str) -> String {
    format!(
        "ingest {name} {{ enabled on; ffmpeg {program}; input {{ type file; url {input}; }}
            engine {{ enabled off; output {output}; }} }}\n"
    )
}

/// Changes the server's configuration and reloads it.
#[track_caller]
fn reload(server: &Server, change: impl Fn(String) -> String) {
    let file = server.file("srs.conf");
    let text = fs::read_to_string(&file).expect("read the configuration");
    fs::write(&file, change(text)).expect("write the configuration");
    let before = server.log().matches("reload success").count();
    kill(Pid::from_raw(server.pid() as i32), Signal::SIGHUP).expect("send SIGHUP");
    server.wait_for_lines(before + 1, &["reload success"]);
}

/// The widths of the pictures of a stream.
fn widths(report: &serde_json::Value) -> Vec<u64> {
    let streams = report["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    streams.iter().filter_map(|stream| stream["width"].as_u64()).collect()
}

#[test]
fn a_file_is_brought_in_from_start_to_end_and_again_after_a_kill() {
    let file = Sample::H264Aac.path();
    let output = "rtmp://127.0.0.1:[port]/live/in?vhost=[vhost]";
    let block = ingest("a", "ffmpeg", &file.display().to_string(), output);
    let server = Setup::default()
        .globals("ff_log_dir ./made/logs;\n")
        .vhost(&block)
        .start();
    server.wait_for_line(&[
        "ingest __defaultVhost__/a: started pid=",
        "-vcodec copy -acodec copy -f flv -y",
    ]);
    server.wait_for_line(&["start publish"]);
    assert_eq!(codecs(&probe(server.folder(), &server.url("in"))).len(), 2);
    let log = server.file("made/logs/ffmpeg-ingest-__defaultVhost__-live-in.log");
    assert!(
        fs::read_to_string(&log).unwrap().contains("libavformat"),
        "FFmpeg's log"
    );

    let first = wait_for_children(server.pid(), 1, 5).remove(0);
    assert_eq!(first.group, server.pid() as i32);
    end(first.pid);
    server.wait_for_line(&[
        &format!("pid={} failed after", first.pid),
        "signal: 9",
        "should tell why",
    ]);
    let second = wait_for("another child", 10, || {
        children_of(server.pid())
            .into_iter()
            .find(|child| child.pid != first.pid)
    });
    server.wait_for_lines(2, &["start publish"]);

    reload(&server, |text| {
        text.replace("ingest a { enabled on;", "ingest a { enabled off;")
    });
    wait_for_children(server.pid(), 0, 5);
    assert!(!is_alive(second.pid));
    server.wait_for_line(&[&format!("pid={}", second.pid), "stopped"]);
    reload(&server, |text| {
        text.replace("ingest a { enabled off;", "ingest a { enabled on;")
    });
    wait_for_children(server.pid(), 1, 5);
}

#[track_caller]
fn assert_brought_in(url: &str) {
    let block = format!(
        "ingest far {{ enabled on; ffmpeg ffmpeg; input {{ type stream; url {url}; }}
            engine {{ enabled on; vcodec copy; acodec copy; output rtmp://127.0.0.1:[port]/live/near; }} }}"
    );
    let server = Setup::default().vhost(&block).start();
    server.wait_for_line(&["start publish"]);
    let mut names: Vec<_> = codecs(&probe(server.folder(), &server.url("near")))
        .into_iter()
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["aac", "h264"]);
}

#[test]
fn a_stream_of_another_server_is_brought_in() {
    let origin = Server::start();
    let _publisher = Ffmpeg::Debian.publish(origin.folder(), &Sample::H264Aac.path(), &origin.url("s"));
    origin.wait_for_line(&["start publish"]);
    assert_brought_in(&origin.url("s"));
}

#[test]
fn a_stream_of_nginx_is_brought_in() {
    let folder = WorkDir::new("nginx");
    let nginx = Nginx::start(&folder, "");
    let _publisher = Ffmpeg::Debian.publish(&folder, &Sample::H264Aac.path(), &nginx.url("s"));
    assert_brought_in(&nginx.url("s"));
}

#[test]
fn a_published_stream_is_transcoded_until_it_ends() {
    let output = "output rtmp://127.0.0.1:[port]/[app]/[stream]_[engine]?vhost=[vhost];";
    let server = Setup::default()
        .vhost(&format!(
            "transcode {{ enabled on; ffmpeg ffmpeg;
                engine small {{ enabled on; vcodec libx264; vbitrate 50; vfps 5; vwidth 81; vheight 45; vprofile baseline;
                    vpreset ultrafast; vparams {{ g 5; }} acodec an; {output} }}
                engine sound {{ enabled on; vcodec vn; acodec copy; {output} }}
                engine off {{ vcodec copy; acodec copy; {output} }} }}"
        ))
        .start();
    let mut publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("s"));
    server.wait_for_line(&[
        "transcode __defaultVhost__/live/s small: started pid=",
        "-r 5.00 -s 80x44 -aspect 80:44",
    ]);
    server.wait_for_lines(3, &["start publish"]);
    // What the transcoders publish is not transcoded again.
    server.wait_for_lines(2, &["detect a loop cycle", "3029"]);
    let small = probe(server.folder(), &server.url("s_small"));
    assert_eq!((codecs(&small), widths(&small)), (vec!["h264"], vec![80]));
    assert_eq!(codecs(&probe(server.folder(), &server.url("s_sound"))), ["aac"]);
    assert_eq!(wait_for_children(server.pid(), 2, 5).len(), 2);
    assert!(
        server
            .file("objs/ffmpeg-encoder-__defaultVhost__-live-s-small.log")
            .exists()
    );

    reload(&server, |text| {
        text.replace("engine sound { enabled on;", "engine sound {")
    });
    wait_for_children(server.pid(), 1, 5);
    publisher.stop();
    wait_for_children(server.pid(), 0, 5);
}

#[test]
fn transcoded_qualities_are_one_multivariant_playlist() {
    let http = Port::free();
    let engine = |name: &str, width: u32| {
        format!(
            "engine {name} {{ enabled on; vcodec libx264; vwidth {width}; vheight {}; vprofile baseline;
                vpreset ultrafast; vparams {{ g 25; }} acodec copy;
                output rtmp://127.0.0.1:[port]/[app]/[stream]_[engine]?vhost=[vhost]; }}",
            width * 9 / 16
        )
    };
    let server = Setup::default()
        .globals(&format!(
            "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n",
            http.number()
        ))
        .vhost(&format!(
            "hls {{ enabled on; hls_path ./html; hls_fragment 1; hls_window 20; hls_variants _sd _ld;
                hls_variants_file [app]/[stream]_abr.m3u8; }}
            transcode live/s {{ enabled on; ffmpeg ffmpeg; {} {} }}",
            engine("sd", 160),
            engine("ld", 96)
        ))
        .start();
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("s"));
    let playlist = server.file("html/live/s_abr.m3u8");
    wait_for("three qualities", 40, || {
        let text = fs::read_to_string(&playlist).ok()?;
        (text.matches("#EXT-X-STREAM-INF").count() == 3).then_some(())
    });
    let report = probe(
        server.folder(),
        &format!("http://127.0.0.1:{}/live/s_abr.m3u8", http.number()),
    );
    let mut found = widths(&report);
    found.sort_unstable();
    assert_eq!(found, [96, 160, 320]);
}

#[test]
fn a_command_records_a_stream_while_it_is_published() {
    let server = Setup::default()
        .vhost(
            "exec { enabled on;
                publish ffmpeg -loglevel warning -i [url] -c copy -f flv -y ./made-[stream].flv >./out.log 2> ./err/[app].log; }",
        )
        .start();
    let mut publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("s"));
    let file = server.file("made-s.flv");
    wait_for("a recording", 20, || {
        (fs::metadata(&file).ok()?.len() > 20_000).then_some(())
    });
    assert!(server.file("out.log").exists() && server.file("err/live.log").exists());
    publisher.stop();
    wait_for_children(server.pid(), 0, 5);
    server.wait_for_line(&["exec __defaultVhost__/live/s: pid=", "stopped"]);
    let report = probe(server.folder(), &file.display().to_string());
    assert_eq!(codecs(&report), ["h264", "aac"]);
    // It waited for media, so it wrote no end, and not what it had in its buffer: the last tag may be cut.
    let (sent, recorded) = (flv::read(&Sample::H264Aac.path()), flv::read(&file));
    flv::assert_stretch(
        "pictures",
        &flv::media(&sent, flv::VIDEO),
        &flv::media(&recorded, flv::VIDEO),
        20,
    );
}

#[test]
fn what_cannot_run_is_told_but_not_over_and_over() {
    let scripts = WorkDir::new("scripts");
    let bad = script(&scripts, "bad", "echo nonsense >&2; exit 3");
    let blocks = [
        ingest("missing", "./none/ffmpeg", "a", "rtmp://127.0.0.1/live/m"),
        ingest("plain", "/etc/passwd", "a", "rtmp://127.0.0.1/live/p"),
        ingest("bad", &bad, "a", "rtmp://127.0.0.1/live/b"),
    ];
    let server = Setup::default()
        .vhost(&blocks.concat())
        .allow_error("there is no program ./none/ffmpeg; install it")
        .allow_error("/etc/passwd may not be run by this user")
        .start();
    server.wait_for_line(&["srs.conf:", "\"./none/ffmpeg\" is no program that can be run"]);
    server.wait_for_line(&["ingest __defaultVhost__/missing: there is no program", "3028"]);
    server.wait_for_line(&["ingest __defaultVhost__/plain: /etc/passwd may not be run"]);
    server.wait_for_line(&["ingest __defaultVhost__/bad: pid=", "exit status: 3", "bad"]);
    server.wait_for_line(&["/missing: there is no program", "(2 times in a row)"]);
    // The third is due at 6 s, and not told.
    std::thread::sleep(Duration::from_millis(4500));
    for name in ["/missing: there is", "/plain: /etc", "/bad: pid="] {
        assert_eq!(server.log().matches(name).count(), 2, "{name}");
    }
    let log = server.file("objs/ffmpeg-ingest-__defaultVhost__-live-b.log");
    assert_eq!(fs::read_to_string(log).unwrap().matches("nonsense").count(), 3);
}

#[test]
fn a_child_that_does_not_end_is_killed() {
    let scripts = WorkDir::new("scripts");
    let hanging = script(&scripts, "hanging", "trap '' TERM\nwhile :; do sleep 0.1; done");
    let server = Setup::default()
        .vhost(&ingest("a", &hanging, "a", "rtmp://127.0.0.1/live/a"))
        .start();
    let child = wait_for_children(server.pid(), 1, 5).remove(0);
    // The shell must have come to its trap.
    std::thread::sleep(Duration::from_millis(500));
    reload(&server, |text| {
        text.replace("enabled on; ffmpeg", "enabled off; ffmpeg")
    });
    wait_for_children(server.pid(), 0, 10);
    assert!(!is_alive(child.pid));
    server.wait_for_line(&["did not end within 3s after SIGTERM and was killed"]);
}

#[test]
fn fifty_children_leave_no_zombie() {
    let scripts = WorkDir::new("scripts");
    let idle = script(&scripts, "idle", "exec sleep 600");
    let block = |number: u32| {
        ingest(
            &format!("n{number}"),
            &idle,
            "a",
            &format!("rtmp://127.0.0.1/live/n{number}"),
        )
    };
    let blocks: String = (0..50).map(block).collect();
    let server = Setup::default()
        .globals("pithy_print_ms 1000;\n")
        .vhost(&blocks)
        .start();
    let found = wait_for_children(server.pid(), 50, 20);
    server.wait_for_line(&["-> IGS time=", "ingesters=50"]);
    for child in &found[..10] {
        end(child.pid);
    }
    wait_for("ten others", 10, || {
        let now = children_of(server.pid());
        let fresh = now.iter().filter(|child| !found.iter().any(|old| old.pid == child.pid));
        (fresh.count() == 10 && now.len() == 50).then_some(())
    });
    reload(&server, |text| {
        text.replace("enabled on; ffmpeg", "enabled off; ffmpeg")
    });
    wait_for_children(server.pid(), 0, 10);
}

/// A server whose end is looked at.
fn start_with_idle_children(folder: &Path, port: &Port, body: &str) -> (Program, Vec<Found>) {
    let idle = script(folder, "idle", body);
    let blocks: String = (0..3)
        .map(|number| {
            ingest(
                &format!("n{number}"),
                &idle,
                "a",
                &format!("rtmp://127.0.0.1/live/n{number}"),
            )
        })
        .collect();
    let text = Setup::default().vhost(&blocks).configuration(port.number());
    fs::write(folder.join("srs.conf"), text).expect("write the configuration");
    let mut command = Command::new(PROGRAM);
    command.args(["-c", "srs.conf"]).current_dir(folder);
    let server = Program::start("srs", folder, &mut command);
    let found = wait_for_children(server.pid(), 3, 10);
    std::thread::sleep(Duration::from_millis(500));
    (server, found)
}

#[test]
fn no_child_outlives_a_server_that_is_killed() {
    let (folder, port) = (WorkDir::new("children"), Port::free());
    let (mut server, found) = start_with_idle_children(&folder, &port, "trap '' TERM\nwhile :; do sleep 0.1; done");
    server.signal(Signal::SIGKILL);
    server.wait(5);
    wait_for("the end of all children", 5, || {
        found.iter().all(|child| !is_alive(child.pid)).then_some(())
    });
}

#[test]
fn no_child_outlives_a_server_that_ends() {
    let (folder, port) = (WorkDir::new("children"), Port::free());
    let (mut server, found) = start_with_idle_children(&folder, &port, "trap '' TERM\nwhile :; do sleep 0.1; done");
    let output = server.stop().ok().output;
    assert!(found.iter().all(|child| !is_alive(child.pid)));
    assert_eq!(output.matches("after SIGTERM and was killed").count(), 3, "{output}");
}

#[test]
fn an_ingest_that_cannot_run_is_refused_with_its_place() {
    let folder = WorkDir::new("children");
    let block = "ingest a { enabled on; ffmpeg ffmpeg; input { url a; }\nengine { enabled off; } }";
    let text = Setup::default().vhost(block).configuration(19_350);
    fs::write(folder.join("srs.conf"), text).expect("write the configuration");
    let mut command = Command::new(PROGRAM);
    command.args(["-t", "-c", "srs.conf"]).current_dir(&*folder);
    let output = run("srs", &folder, 10, &mut command).exits_with(255).output;
    assert!(
        output.contains("srs.conf:") && output.contains("ingest a cannot run"),
        "{output}"
    );
    assert!(output.contains("has no output (3034"), "{output}");
}
