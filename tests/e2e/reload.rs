//! A reload: what each directive changes on a live stream, and what a bad file does not.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::bystander::{Bystander, number_of, numbered_frame, numbered_header};
use crate::support::flv;
use crate::support::port::Port;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

/// A server whose API tells of its reloads.
struct Site {
    server: Server,
    http: Port,
    globals: String,
}

impl Site {
    /// With these directives outside and inside of the default vhost.
    #[track_caller]
    fn start(globals: &str, vhost: &str) -> Self {
        Site::start_with(Setup::default(), globals, vhost)
    }

    #[track_caller]
    fn start_with(setup: Setup, globals: &str, vhost: &str) -> Self {
        let http = Port::free();
        let base = format!(
            "http_server {{ enabled on; listen 127.0.0.1:{0}; dir ./html; }}
            http_api {{ enabled on; listen 127.0.0.1:{0}; raw_api {{ enabled on; allow_reload on; }} }}\n",
            http.number()
        );
        let server = setup.globals(&base).globals(globals).vhost(vhost).start();
        server.wait_for_line(&["HTTP-Server listen at"]);
        Site {
            server,
            http,
            globals: base,
        }
    }

    /// Reloads with these directives in place of those of the start.
    #[track_caller]
    fn reload(&self, globals: &str, vhost: &str) -> Value {
        let reloaded = self.try_reload(globals, &format!("vhost __defaultVhost__ {{ {vhost} }}"));
        assert_eq!(
            (&reloaded["err"], &reloaded["state"]),
            (&0.into(), &90.into()),
            "{reloaded}"
        );
        reloaded
    }

    /// The same with whole vhosts, whatever comes of it.
    #[track_caller]
    fn try_reload(&self, globals: &str, vhosts: &str) -> Value {
        let text = Setup::default()
            .globals(&self.globals)
            .globals(globals)
            .vhosts(vhosts)
            .configuration(self.server.port());
        self.write(&text);
        let before = self.last()["rid"].clone();
        self.server.signal(Signal::SIGHUP);
        wait_for("the reload", 10, || {
            let last = self.last();
            let has_ended = last["state"] == 90 || last["err"] != 0;
            (last["rid"] != before && has_ended).then_some(last)
        })
    }

    fn write(&self, text: &str) {
        fs::write(self.server.file("srs.conf"), text).expect("write the configuration");
    }

    /// What the API tells of the last reload.
    #[track_caller]
    fn last(&self) -> Value {
        let (status, body) = get(self.http.number(), "/api/v1/raw?rpc=reload-fetch");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).expect("JSON")["data"].take()
    }

    fn exists(&self, name: &str) -> bool {
        self.server.file(name).exists()
    }

    #[track_caller]
    fn wait_for_text(&self, name: &str, parts: &[&str]) -> String {
        wait_for(&format!("{parts:?} in {name}"), 15, || {
            let text = fs::read_to_string(self.server.file(name)).ok()?;
            parts.iter().all(|part| text.contains(part)).then_some(text)
        })
    }

    #[track_caller]
    fn publish(&self, stream: &str) -> Rtmp {
        let mut client = Rtmp::connect(self.server.port(), "live")
            .and_then(|client| client.publish("live", stream))
            .unwrap_or_else(|e| panic!("publish {stream}: {e}"));
        client.send_tag(&numbered_header()).expect("send the header");
        client
    }

    #[track_caller]
    fn play(&self, stream: &str) -> Rtmp {
        let client = Rtmp::connect(self.server.port(), "live").and_then(|client| client.play(stream));
        client.unwrap_or_else(|e| panic!("play {stream}: {e}"))
    }

    fn may_play(&self) -> bool {
        let client = Rtmp::connect(self.server.port(), "live").and_then(|client| client.play("bystander"));
        client.is_ok_and(|mut client| client.wait_for_media().is_ok())
    }
}

/// The status and the body of an answer.
#[track_caller]
fn get(port: u16, target: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set a time limit");
    write!(socket, "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("ask");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), body.to_owned())
}

fn send(publisher: &mut Rtmp, numbers: std::ops::Range<u32>) {
    for number in numbers {
        publisher.send_tag(&numbered_frame(number)).expect("send a frame");
    }
}

/// The next frame of a player: its number and its time.
#[track_caller]
fn next_frame(player: &mut Rtmp) -> (u32, u32) {
    loop {
        let message = player.receive().expect("a frame");
        if message.is_media() {
            let tag = message.into_tag();
            if let Some(number) = number_of(&tag) {
                return (number, tag.timestamp);
            }
        }
    }
}

/// A publisher of numbered frames in real time, until it is dropped.
struct Endless {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<bool>>,
}

impl Endless {
    fn start(mut publisher: Rtmp) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            for number in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                if publisher.send_tag(&numbered_frame(number)).is_err() {
                    return false;
                }
                thread::sleep(Duration::from_millis(20));
            }
            true
        });
        Endless {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it; fails when the server did so before.
    #[track_caller]
    fn finish(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let lasted = self.thread.take().expect("it runs").join().expect("publish");
        assert!(lasted, "the publisher was cut off");
    }
}

/// The numbers of the frames of a recording.
fn numbers_in(site: &Site, name: &str) -> Vec<u32> {
    let tags = flv::read(&site.server.file(name));
    let pictures = tags.iter().filter(|tag| tag.kind == flv::VIDEO);
    pictures.filter_map(number_of).collect()
}

const FILES: &str = "hls { enabled on; hls_path ./html; hls_fragment 1; hls_window 30; }
    dash { enabled on; dash_path ./html; dash_fragment 1; }
    hds { enabled on; hds_path ./html; hds_fragment 1; }
    dvr { enabled on; dvr_path ./one.flv; }";

#[test]
fn recordings_begin_change_and_end_while_the_stream_is_live() {
    let site = Site::start("", "");
    let publisher = Endless::start(site.publish("s"));
    let report = site.reload("", FILES);
    let changed = |directive: &str| {
        let changes = report["changes"].as_array().expect("changes");
        changes
            .iter()
            .any(|change| change["directive"] == directive && change["effect"] == "now")
    };
    assert!(
        changed("vhost.hls.enabled") && changed("vhost.dvr.dvr_path"),
        "{report}"
    );
    site.wait_for_text("html/live/s.m3u8", &["s-0.ts"]);
    site.wait_for_text("html/live/s.mpd", &["<MPD"]);
    wait_for("HDS", 10, || {
        site.exists("html/live/s/s.abst")
            .then_some(())
            .or_else(|| site.exists("html/live/s.f4m").then_some(()))
    });

    // Each goes on under its new settings, from a keyframe on and without a gap.
    let changed = FILES
        .replace("one.flv", "two.flv")
        .replace("hls_fragment 1", "hls_fragment 2");
    site.reload("", &changed);
    site.wait_for_text("html/live/s.m3u8", &["#EXT-X-DISCONTINUITY", "#EXTINF:2.0"]);
    wait_for("the first recording", 10, || site.exists("one.flv").then_some(()));

    site.reload("", "");
    wait_for("the second recording", 10, || site.exists("two.flv").then_some(()));
    let (one, two) = (numbers_in(&site, "one.flv"), numbers_in(&site, "two.flv"));
    assert!(
        one[0].is_multiple_of(50) && two[0].is_multiple_of(50),
        "they begin with keyframes"
    );
    let numbers: Vec<u32> = one.iter().chain(&two).copied().collect();
    let expected: Vec<u32> = (numbers[0]..).take(numbers.len()).collect();
    assert_eq!(
        numbers, expected,
        "nothing is lost between two files, and nothing is there twice"
    );
    publisher.finish();
}

#[test]
fn players_follow_the_play_settings() {
    let site = Site::start("pithy_print_ms 3600000;\n", "play { gop_cache off; time_jitter off; }");
    let mut publisher = site.publish("s");
    send(&mut publisher, 0..60);
    let mut player = site.play("s");
    site.server.wait_for_line(&["start play", "mw_sleep=350"]);
    send(&mut publisher, 60..100);
    assert_eq!(next_frame(&mut player), (60, 60 * 20), "no GOP, the publisher's time");

    site.reload(
        "pithy_print_ms 1;\n",
        "min_latency on; tcp_nodelay on; play { gop_cache on; time_jitter full; }",
    );
    send(&mut publisher, 100..160);
    site.server.wait_for_line(&["-> PLA", "mw=0"]);
    site.server.wait_for_line(&["<- CPB"]);
    let mut last = 60;
    while last < 159 {
        let (number, _) = next_frame(&mut player);
        assert_eq!(number, last + 1, "who plays already misses nothing");
        last = number;
    }
    let (number, time) = next_frame(&mut site.play("s"));
    assert_eq!((number, time < 100), (150, true), "the GOP, and a clock from zero");

    site.reload("", "min_latency on; play { send_min_interval 1; }");
    send(&mut publisher, 160..170);
    for number in 160..170 {
        assert_eq!(next_frame(&mut player).0, number, "sent by its own coroutine now");
    }
}

#[test]
fn publishers_follow_their_time_limits() {
    let site = Site::start("", "publish { normal_timeout 60000; firstpkt_timeout 60000; }");
    let mut publisher = site.publish("s");
    send(&mut publisher, 0..10);
    site.reload("", "publish { normal_timeout 500; }");
    send(&mut publisher, 10..11);
    assert!(publisher.is_closed_within(10), "silent for longer than it may be");

    let publisher = site.publish("idle");
    let publisher = Endless::start(publisher);
    site.reload("", "publish { kickoff_for_idle 0.5; }");
    site.server.wait_for_line(&["server disconnect", "nobody has watched"]);
    drop(publisher);
}

#[test]
fn mounts_go_with_their_players_and_vhosts_refuse_new_ones() {
    let remux = "http_remux { enabled on; mount [vhost]/[app]/[stream].flv; }";
    let site = Site::start("", remux);
    let both = format!("vhost __defaultVhost__ {{ {remux} }} vhost b.com {{ {remux} }}");
    assert_eq!(site.try_reload("", &both)["err"], 0, "a vhost is added");
    let stays = Bystander::start(site.server.port());
    let tc_url = "rtmp://b.com/live";
    let connect = || Rtmp::connect_as(site.server.port(), "live", tc_url).expect("connect");
    let mut publisher = connect().publish("live", "s").expect("publish");
    publisher.send_tag(&numbered_header()).expect("send the header");
    send(&mut publisher, 0..60);
    let mut player = connect().play("s").expect("play");
    next_frame(&mut player);
    let mut by_http = TcpStream::connect(("127.0.0.1", site.http.number())).expect("connect");
    write!(by_http, "GET /live/bystander.flv HTTP/1.1\r\nHost: a\r\n\r\n").expect("ask");
    by_http.read_exact(&mut [0; 64]).expect("FLV");

    // Another mount: who plays at the old one ends, in order; who plays elsewhere does not.
    let moved = both.replacen("[stream].flv", "[stream].ts", 1);
    assert_eq!(site.try_reload("", &moved)["err"], 0);
    by_http
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set a time limit");
    let mut rest = Vec::new();
    by_http.read_to_end(&mut rest).expect("the end of the stream");
    assert!(rest.ends_with(b"0\r\n\r\n"), "it ends as an answer does");
    site.server.wait_for_line(&["http player is closed, its mount is gone"]);
    send(&mut publisher, 60..70);

    // The whole vhost: who is there stays, who comes is refused.
    let disabled = both.replace("vhost b.com {", "vhost b.com { enabled off;");
    assert_eq!(site.try_reload("", &disabled)["err"], 0);
    send(&mut publisher, 70..80);
    next_frame(&mut player);
    let refused = connect().play("s").and_then(|mut player| player.wait_for_media());
    assert!(refused.is_err(), "the vhost is disabled");
    site.server
        .wait_for_line(&["server disconnect", "vhost b.com is unknown or disabled"]);
    assert!(publisher.is_open() && player.is_open());
    site.reload("", remux);
    assert!(publisher.is_open() && player.is_open());
    stays.finish();

    fs::create_dir_all(site.server.file("extra")).expect("a folder");
    fs::write(site.server.file("extra/a.txt"), "new").expect("a file");
    assert_eq!(get(site.http.number(), "/extra/a.txt").0, 404);
    let files = "http_static { enabled on; mount [vhost]/extra/; dir ./extra; }";
    site.reload("", files);
    assert_eq!(get(site.http.number(), "/extra/a.txt"), (200, "new".to_owned()));
    site.reload("", "");
    assert_eq!(get(site.http.number(), "/extra/a.txt").0, 404);
}

#[test]
fn who_may_is_asked_anew_of_new_clients_only() {
    let site = Site::start_with(Setup::default().allow_error("serve error"), "", "");
    let stays = Bystander::start(site.server.port());
    for refusing in [
        "security { enabled on; deny play all; }",
        "refer { enabled on; play example.com; }",
        "token { enabled on; need play; key 0123456789abcdef0123456789abcdef; }",
        "http_hooks { enabled on; on_play http://127.0.0.1:1/; }",
        "enabled on; bandcheck { enabled on; key x; }",
    ] {
        site.reload("", "");
        assert!(site.may_play(), "before {refusing}");
        site.reload("", refusing);
        assert!(!site.may_play(), "{refusing}");
        stays.assert_flows();
    }
    site.reload("", "");
    stays.finish();
}

#[test]
fn listeners_come_and_go_and_the_log_moves() {
    let site = Site::start("", "");
    let stays = Bystander::start(site.server.port());
    let [rtmp, exporter, caster] = [(); 3].map(|()| Port::free());
    let accepts = |port: &Port| TcpStream::connect(("127.0.0.1", port.number())).is_ok();
    let receiver = TcpListener::bind("127.0.0.1:0").expect("listen");
    let more = format!(
        "exporter {{ enabled on; listen {}; label after; }}
        stream_caster {{ enabled on; caster flv; listen 127.0.0.1:{}; output rtmp://127.0.0.1/[app]/[stream]; }}
        heartbeat {{ enabled on; interval 1; url http://{}/beat; }}
        srs_log_level_v2 debug;\n",
        exporter.number(),
        caster.number(),
        receiver.local_addr().expect("an address"),
    );
    let text = |more: &str| {
        let text = Setup::default().globals(&site.globals).globals(more).vhost("");
        text.configuration(site.server.port())
    };
    let listen = format!("listen 127.0.0.1:{}", site.server.port());
    let twice = format!("{listen} 127.0.0.1:{}", rtmp.number());
    let all = text(&more).replace(&format!("{listen};"), &format!("{twice};"));
    site.write(&all);
    let (status, body) = get(site.http.number(), "/api/v1/raw?rpc=reload");
    assert_eq!((status, body.contains("\"code\":0")), (200, true), "{body}");
    site.server.wait_for_line(&["reload success"]);
    assert!(accepts(&rtmp) && accepts(&caster));
    wait_for("metrics", 5, || {
        accepts(&exporter)
            .then(|| get(exporter.number(), "/metrics").1.contains("label=\"after\""))
            .filter(|told| *told)
    });
    receiver.accept().expect("a heartbeat");
    site.server.wait_for_line(&["[DEBUG]"]);

    // The exporter's port becomes the API's of its own, the log goes to a file; all else is as at the start.
    let moved = text("").replace("srs_log_tank console;", "srs_log_tank file; srs_log_file moved.log;");
    site.write(&moved);
    get(site.http.number(), "/api/v1/raw?rpc=reload");
    site.wait_for_text("moved.log", &["reload success"]);
    wait_for("ports to close", 5, || {
        (!accepts(&rtmp) && !accepts(&caster) && !accepts(&exporter)).then_some(())
    });
    stays.finish();
    site.write(&text(""));
    get(site.http.number(), "/api/v1/raw?rpc=reload");
    site.server.wait_for_lines(2, &["reload success"]);
}

#[test]
fn a_bad_configuration_changes_nothing_and_says_why() {
    let site = Site::start_with(Setup::default().allow_error("reload failed"), "", "");
    let stays = Bystander::start(site.server.port());
    let taken = TcpListener::bind("127.0.0.1:0").expect("take a port");
    let taken = taken.local_addr().expect("an address").port();
    let vhost = "vhost __defaultVhost__ { enabled off; }";
    let cases = [
        (
            String::new(),
            "vhost __defaultVhost__ { enabled off; ".to_owned(),
            "unexpected end of file",
        ),
        (
            "no_such_directive on;\n".to_owned(),
            vhost.to_owned(),
            "no_such_directive",
        ),
        (
            format!("rtmps {{ enabled on; listen {taken}; key ./none.key; cert ./none.crt; }}\n"),
            vhost.to_owned(),
            "none.",
        ),
        (
            format!("exporter {{ enabled on; listen 127.0.0.1:{taken}; }}\n"),
            vhost.to_owned(),
            "exporter listen",
        ),
        (
            format!("stream_caster {{ enabled on; caster flv; listen 127.0.0.1:{taken}; output rtmp://a/b/c; }}\n"),
            vhost.to_owned(),
            "stream_caster",
        ),
        (
            String::new(),
            "vhost __defaultVhost__ { cluster { mode remote; origin 127.0.0.1:1; } }".to_owned(),
            "cluster.mode needs a restart",
        ),
    ];
    for (globals, vhosts, why) in cases {
        let last = site.try_reload(&globals, &vhosts);
        let told = last["msg"].as_str().expect("a message");
        assert!(last["err"] != 0 && told.contains(why), "{last}");
        site.server.wait_for_line(&["reload failed", why]);
        assert!(site.may_play(), "the vhost is still there after {why}");
        stays.assert_flows();
    }
    let report = site.reload("work_dir ./elsewhere;\n", "");
    assert_eq!(report["changes"][0]["directive"], "work_dir");
    assert_eq!(report["changes"][0]["effect"], "restart");
    site.server.wait_for_line(&["work_dir", "needs a restart"]);
    stays.finish();
}
