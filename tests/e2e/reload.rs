//! A reload: what each directive changes on a live stream, and what a bad file does not.

mod access;
mod bad_files;
mod caster;
mod children;
mod cluster;
mod files;
mod hls;
mod http;
mod play;
mod process;
mod publish;
mod site;
#[cfg(feature = "tls")]
mod tls;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use self::site::{Endless, Site, get, next_frame, numbers_in, send};
use crate::support::bystander::{Bystander, numbered_header};
use crate::support::port::Port;
use crate::support::rtmp::Rtmp;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

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
