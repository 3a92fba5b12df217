//! A file with a fault, of whatever kind, changes nothing: streams go on, the API tells what is wrong, and the next good
//! file counts.

use std::fs;
use std::net::TcpListener;

use super::site::{Site, get};
use crate::support::bystander::Bystander;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

/// What each bad file would do, were it not for its fault.
const CLOSED: &str = "vhost __defaultVhost__ { enabled off; }";

/// A port of somebody else.
fn taken() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("take a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// Globals and vhosts with one fault each, and what tells it.
const FAULTS: &[(&str, &str, &str)] = &[
    // The language.
    ("", "vhost __defaultVhost__ { enabled off; ", "unexpected end of file"),
    ("", "vhost __defaultVhost__ { enabled off }", "srs.conf:"),
    ("no_such_directive on;\n", CLOSED, "no_such_directive"),
    (
        "",
        "vhost __defaultVhost__ { enabled off; hls { hls_fragmnt 2; } }",
        "hls_fragmnt",
    ),
    ("hls_fragment 2;\n", CLOSED, "hls_fragment"),
    ("", "vhost __defaultVhost__ { enabled off; listen 1; }", "listen"),
    ("include ./none.conf;\n", CLOSED, "none.conf"),
    // Values.
    ("max_connections 0;\n", CLOSED, "max_connections"),
    (
        "heartbeat { enabled on; interval 0.1; }\n",
        CLOSED,
        "heartbeat.interval",
    ),
    (
        "stream_caster { enabled on; caster tape; listen 1; output rtmp://a/b/c; }\n",
        CLOSED,
        "unknown caster",
    ),
    (
        "",
        "vhost __defaultVhost__ { enabled off; token { enabled on; key short; } }",
        "token key",
    ),
    (
        "",
        "vhost __defaultVhost__ { enabled off; forward { enabled on; } publish { kickoff_for_idle 3; } }",
        "kickoff_for_idle",
    ),
    (
        "",
        "vhost __defaultVhost__ { enabled off; } vhost a.com { http_remux { enabled on; mount /[stream].xyz; } }",
        "http_remux",
    ),
    // What may not change.
    (
        "",
        "vhost __defaultVhost__ { cluster { mode remote; origin 127.0.0.1:1; } }",
        "cluster.mode needs a restart",
    ),
    // What the system does not give.
    (
        "exporter { enabled on; listen 127.0.0.1:TAKEN; }\n",
        CLOSED,
        "exporter listen",
    ),
    (
        "stream_caster { enabled on; caster flv; listen 127.0.0.1:TAKEN; output rtmp://a/b/c; }\n",
        CLOSED,
        "stream_caster",
    ),
    (
        "stream_caster { enabled on; caster mpegts_over_udp; listen 192.0.2.1:TAKEN; output rtmp://a/b/c; }\n",
        CLOSED,
        "192.0.2.1",
    ),
    ("srs_log_level_v2 info;\n", "LISTEN", "TAKEN"),
];

/// The same with a port that somebody else has in place of `TAKEN`, and with keys that cannot be read.
fn faults(taken: u16) -> Vec<(String, String, String)> {
    let own = |text: &str| text.replace("TAKEN", &taken.to_string());
    let listed = FAULTS
        .iter()
        .map(|(globals, vhosts, why)| (own(globals), own(vhosts), own(why)));
    let mut all: Vec<_> = listed.collect();
    if cfg!(feature = "tls") {
        for (key, certificate, why) in [
            ("./none.key", "./none.crt", "none."),
            ("./srs.conf", "./srs.conf", "srs.conf"),
            ("./html", "./html", "html"),
        ] {
            let files = format!("key {key}; cert {certificate};");
            let block = format!("rtmps {{ enabled on; listen {taken}; {files} }}\n");
            all.push((block, CLOSED.to_owned(), why.to_owned()));
        }
    }
    all
}

#[test]
fn each_kind_of_fault_changes_nothing_and_says_why() {
    let site = Site::start_with(Setup::default().allow_error("reload failed"), "", "");
    fs::create_dir_all(site.server.file("html")).expect("a folder");
    let stays = Bystander::start(site.server.port());
    let (_taken, port) = taken();
    let (publishers, files) = (site.publishers(), site.server.open_files());
    for (globals, vhosts, why) in faults(port) {
        let text = Setup::default()
            .globals(&site.globals)
            .globals(&globals)
            .vhosts(&vhosts.replace("LISTEN", CLOSED))
            .configuration(site.server.port());
        let listen = format!("listen 127.0.0.1:{}", site.server.port());
        let text = match vhosts.as_str() {
            "LISTEN" => text.replace(&format!("{listen};"), &format!("{listen} 127.0.0.1:{port};")),
            _ => text,
        };
        let last = site.try_reload_text(&text);
        let told = last["msg"].as_str().expect("a message");
        assert!(last["err"] != 0 && told.contains(&why), "{globals}{vhosts}: {last}");
        assert!(last["changes"].as_array().is_none_or(Vec::is_empty), "{last}");
        site.server.wait_for_line(&["reload failed", &why]);
        assert!(site.may_play(), "the vhost is still there after {why}");
        assert_eq!(site.publishers(), publishers, "after {why}");
        // The next good one counts.
        let page = format!("{}.txt", fastrand::u32(..));
        fs::write(site.server.file("html").join(&page), "good").expect("a file");
        let folder = format!("http_static {{ enabled on; mount [vhost]/{page}/; dir ./html; }}");
        site.reload("", &folder);
        assert_eq!(
            get(site.http.number(), &format!("/{page}/{page}")).0,
            200,
            "a good file after {why}"
        );
    }
    site.reload("", "");
    // The folder of a file that was asked for stays open for a moment.
    wait_for("what failed reloads opened to be closed", 10, || {
        (site.server.open_files() <= files + 2).then_some(())
    });
    stays.finish();
}

#[test]
fn what_needs_a_restart_is_told_and_left_alone() {
    let site = Site::start("", "");
    let stays = Bystander::start(site.server.port());
    let report = site.reload("work_dir ./elsewhere;\n", "");
    assert_eq!(report["changes"][0]["directive"], "work_dir");
    assert_eq!(report["changes"][0]["effect"], "restart");
    site.server.wait_for_line(&["work_dir", "needs a restart"]);
    stays.finish();
}
