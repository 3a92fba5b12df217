//! The load tool against our server, nginx-rtmp, and a network that changes what it carries.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::Value;

use crate::support::media::Sample;
use crate::support::nginx::Nginx;
use crate::support::port::Port;
use crate::support::program::{Ended, run};
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_srs-bench");
/// How long a run may take, seconds.
const LIMIT: u64 = 60;

/// Runs the tool with these words; gives how it ended, and the result.
#[track_caller]
fn bench(folder: &Path, line: &str) -> (Ended, Value) {
    let mut command = Command::new(PROGRAM);
    let file = folder.join("result.json");
    let _ = fs::remove_file(&file);
    command
        .args(line.split_whitespace())
        .arg("--json")
        .arg(&file)
        .current_dir(folder);
    let ended = run("srs-bench", folder, LIMIT, &mut command);
    let text = fs::read_to_string(&file).unwrap_or_else(|_| "null".to_owned());
    let result = serde_json::from_str(&text).expect("the result is JSON");
    (ended, result)
}

/// The job of this name.
#[track_caller]
fn job<'a>(result: &'a Value, name: &str) -> &'a Value {
    let jobs = result["jobs"].as_array().expect("jobs");
    let found = jobs.iter().find(|job| job["name"] == name);
    found.unwrap_or_else(|| panic!("no job {name} in {result:#}"))
}

#[track_caller]
fn assert_good(ended: Ended, result: &Value) {
    assert_eq!(result["good"], true, "{}\n{result:#}", ended.output);
    ended.ok();
}

#[test]
fn players_of_all_protocols_verify_what_they_get() {
    let port = Port::free();
    let http = |path: &str| format!("http://127.0.0.1:{}/live/s{path}", port.number());
    let server = Setup::default()
        .globals(&format!("http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n", port.number()))
        .vhosts(
            "vhost __defaultVhost__ { http_remux { enabled on; } hls { enabled on; hls_fragment 1; hls_window 8; hls_path ./html; } }
             vhost ts { http_remux { enabled on; mount [vhost]/[app]/[stream].ts; } }\n",
        )
        .start();
    let url = server.url("s");
    let ts_host = url.replace("/live/", "/live?vhost=ts/");
    let line = format!(
        "publish {url} --gop 25 and publish {ts_host} --gop 25 --name ts_publisher \
         and play {url} -n 20 --verify --delay 1s --name rtmp \
         and play {} -n 10 --verify --delay 1s --name flv \
         and play http://127.0.0.1:{}/live/s.ts?vhost=ts -n 5 --verify --delay 1s --name ts \
         and play {} -n 3 --verify --delay 6s --name hls \
         --time 4s --warm-up 1s",
        http(".flv"),
        port.number(),
        http(".m3u8"),
    );
    let (ended, result) = bench(server.folder(), &line);
    println!("{}", ended.output);
    assert_good(ended, &result);
    for (name, clients) in [("rtmp", 20), ("flv", 10), ("ts", 5), ("hls", 3)] {
        let job = job(&result, name);
        assert_eq!(
            (&job["served"], &job["failed"]),
            (&clients.into(), &0.into()),
            "{job:#}"
        );
        assert_eq!(job["first_frame_ms"]["count"], clients, "{job:#}");
        assert!(
            job["total_pictures"].as_u64().expect("a count") > clients * 25,
            "{job:#}"
        );
        assert!(job["latency_ms"]["p50"].is_number(), "no stamps came through: {job:#}");
    }
    assert!(job(&result, "hls")["fetch_ms"]["count"].as_u64().expect("a count") > 6);
}

#[test]
fn nginx_rtmp_and_a_file_of_ffmpeg() {
    let folder = WorkDir::new("bench-nginx");
    let nginx = Nginx::start(&folder, "");
    let sample = Sample::H264Aac.path();
    let line = format!(
        "publish {} -n 3 --input {} and play {} -n 9 --streams 3 --verify --delay 1s --time 3s --watch {}",
        nginx.url("bench_{n}"),
        sample.display(),
        nginx.url("bench_{n}"),
        nginx.pid(),
    );
    let (ended, result) = bench(&folder, &line);
    println!("{}", ended.output);
    assert_good(ended, &result);
    assert_eq!(job(&result, "publish")["served"], 3);
    let players = job(&result, "play");
    assert_eq!(players["first_frame_ms"]["count"], 9, "{players:#}");
    assert!(
        players["latency_ms"]["count"].as_u64().expect("a count") > 100,
        "{players:#}"
    );
    assert!(result["watched"]["resident_bytes"].as_u64().expect("bytes") > 1_000_000);
}

/// A relay to a server, which changes one byte of each 20th filling that comes from there.
fn changing_relay(target: u16) -> u16 {
    const MARK: &[u8] = b"srs-bench filler";
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", target)).expect("connect");
            let (mut from, mut to) = (client.try_clone().expect("clone"), server.try_clone().expect("clone"));
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let (mut from, mut to) = (server, client);
            thread::spawn(move || {
                let (mut buffer, mut seen) = (vec![0; 65_536], 0u32);
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    let bytes = &mut buffer[..count];
                    for at in 0..count.saturating_sub(MARK.len() + 8) {
                        if bytes[at..].starts_with(MARK) {
                            seen += 1;
                            bytes[at + MARK.len() + 4] ^= u8::from(seen.is_multiple_of(20)) << 6;
                        }
                    }
                    if to.write_all(bytes).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_changed_byte_is_a_fault() {
    let server = Server::start();
    let relay = changing_relay(server.port());
    let line = format!(
        "publish {} and play {} --verify --delay 1s --time 3s --name direct \
         and play rtmp://127.0.0.1:{relay}/live/s --verify --delay 1s --name relayed",
        server.url("s"),
        server.url("s"),
    );
    let (ended, result) = bench(server.folder(), &line);
    ended.exits_with(1);
    assert_eq!(result["good"], false);
    assert_eq!(job(&result, "direct")["faults"], serde_json::json!({}), "{result:#}");
    let faults = &job(&result, "relayed")["faults"];
    assert!(
        faults["payload_changed"].as_u64().is_some_and(|count| count > 2),
        "{result:#}"
    );
    assert_eq!(faults.as_object().map(serde_json::Map::len), Some(1), "{faults:#}");
}

#[test]
fn jobs_from_a_file_and_what_the_command_line_adds() {
    let server = Server::start();
    let file = server.folder().join("jobs.ini");
    let text = format!(
        "[global]\ntime = 60s\nwarm-up = 500ms\n[film]\nkind = publish\nurl = {}\nclients = 2\n\
         [viewers]\nkind = play\nurl = {}\nclients = 4\nstreams = 2\ndelay = 1s\nverify\n",
        server.url("s_{n}"),
        server.url("s_{n}"),
    );
    fs::write(&file, text).expect("write the job file");
    let (ended, result) = bench(server.folder(), "run jobs.ini --time 1s --progress lines");
    assert!(ended.output.contains("viewers: 4 of 4"), "{}", ended.output);
    assert_good(ended, &result);
    assert_eq!(job(&result, "viewers")["served"], 4);
    assert_eq!(job(&result, "film")["served"], 2);
    assert!(
        result["seconds"]
            .as_f64()
            .is_some_and(|seconds| (0.9..20.0).contains(&seconds)),
        "{result:#}"
    );
}

#[test]
fn failures_and_mistakes_show_in_the_exit_status() {
    let folder = WorkDir::new("bench-mistakes");
    let port = Port::free();
    let (ended, result) = bench(&folder, &format!("play rtmp://127.0.0.1:{}/live/s -n 3", port.number()));
    ended.exits_with(1);
    let failures = job(&result, "play")["failures"].as_object().expect("failures").clone();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(
        failures
            .iter()
            .all(|(text, count)| text.contains("connect to 127.0.0.1") && *count == 3),
        "{failures:?}"
    );
    for (line, text) in [
        ("play rtmp://127.0.0.1/live/s --client 3", "--client"),
        ("run none.ini", "none.ini"),
        ("publish rtmp://127.0.0.1/live/s --input none.flv", "none.flv"),
        ("play rtmp://127.0.0.1/live/s --watch 99999999", "99999999"),
    ] {
        let (ended, _) = bench(&folder, line);
        let ended = ended.exits_with(2);
        assert!(ended.output.contains(text), "{line}: {}", ended.output);
    }
}

#[test]
fn a_slow_reader_gets_what_it_reads() {
    let server = Server::start();
    let url = server.url("s");
    let line = format!("publish {url} --bitrate 4M and play {url} --read-rate 50k --delay 1s --time 4s");
    let (_, result) = bench(server.folder(), &line);
    let rate = job(&result, "play")["mbps"].as_f64().expect("a rate");
    assert!(rate > 0.1 && rate < 0.6, "{result:#}");
}

#[test]
fn a_bandwidth_test() {
    let server = Setup::default()
        .vhosts("vhost check { bandcheck { enabled on; key secret; interval 0; limit_kbps 2000; } }\nvhost __defaultVhost__ { }\n")
        .start();
    let url = format!("rtmp://127.0.0.1:{}/app?key=secret&vhost=check", server.port());
    let (ended, result) = bench(server.folder(), &format!("bandcheck {url} --time 30s"));
    assert!(ended.output.contains("bandwidth: play "), "{}", ended.output);
    assert_good(ended, &result);
    server.wait_for_line(&["bandwidth test ok"]);
}

#[test]
fn the_bare_sender_serves_rtmp_and_flv() {
    let pieces = the_bare_sender_serves(&[]);
    assert!(pieces < 30, "{pieces}");
}

#[test]
fn the_bare_sender_sends_each_message_alone() {
    let pieces = the_bare_sender_serves(&["--each"]);
    assert!(pieces > 30, "{pieces}");
}

/// Gives in how many pieces some two seconds of its stream come, which are 136 messages.
fn the_bare_sender_serves(options: &[&str]) -> usize {
    let folder = WorkDir::new("bench-floor");
    let port = Port::free();
    let mut command = Command::new(PROGRAM);
    command
        .args(["floor", &format!("127.0.0.1:{}", port.number())])
        .args(options);
    let mut floor = crate::support::program::Program::start("floor", &folder, &mut command);
    wait_for("the bare sender to listen", 10, || {
        TcpStream::connect(("127.0.0.1", port.number())).ok()
    });
    let line = format!(
        "play rtmp://127.0.0.1:{0}/live/s -n 20 --time 3s --name rtmp and play http://127.0.0.1:{0}/live/s.flv -n 20 --name flv \
         --watch {1}",
        port.number(),
        floor.pid()
    );
    let (ended, result) = bench(&folder, &line);
    println!("{}", ended.output);
    assert_good(ended, &result);
    for name in ["rtmp", "flv"] {
        let rate = job(&result, name)["mbps"].as_f64().expect("a rate");
        // Twenty times 250 kb/s.
        assert!((4.0..6.5).contains(&rate), "{result:#}");
    }
    let mut player = TcpStream::connect(("127.0.0.1", port.number())).expect("connect");
    let request = "GET /live/s.flv HTTP/1.1\r\nHost: a\r\n\r\n";
    player.write_all(request.as_bytes()).expect("ask");
    let (mut bytes, mut pieces, mut buffer) = (0, 0, vec![0; 64 << 10]);
    while bytes < 60_000 {
        bytes += player.read(&mut buffer).expect("the stream");
        pieces += 1;
    }
    assert!(floor.is_running());
    pieces
}
