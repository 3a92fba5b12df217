//! Who may publish and play, by the page that the client came from.

use std::process::Command;

use crate::support::callbacks::{Callbacks, yes};
use crate::support::clients::Ffmpeg;
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::run;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};

fn with(refer: &str, globals: &str) -> Server {
    Setup::default()
        .globals(globals)
        .vhost(&format!("refer {{ enabled on; {refer} }} http_remux {{ enabled on; }}"))
        .allow_error("refer: ")
        .start()
}

/// Whether FFmpeg gets media when it says to come from this page; none where it is empty.
fn plays(server: &Server, page: &str) -> bool {
    let url = server.url("s");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-rw_timeout", "8000000"]);
    if !page.is_empty() {
        command.args(["-rtmp_pageurl", page]);
    }
    command.args(["-i", &url, "-c", "copy", "-t", "1", "-f", "null", "-"]);
    run("player", server.folder(), 20, &mut command).status.success()
}

#[test]
fn players_come_from_the_pages_that_are_listed() {
    let server = with("play example.com;", "");
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("s"));
    server.wait_for_line(&["start publish"]);
    assert!(plays(&server, "http://www.example.com:8080/player.html"));
    for page in ["http://example.com.evil.org/", "http://evil.org/example.com", ""] {
        assert!(!plays(&server, page), "{page}");
    }
    server.wait_for_line(&["serve error code=2015", "evil.org"]);
    server.wait_for_line(&["serve error code=2015", "tells no page"]);
}

#[test]
fn publishers_too() {
    let server = with("publish studio.example.com;", "");
    // FFmpeg tells its page only when it plays.
    let mut refused = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("s"));
    refused.wait(10);
    server.wait_for_line(&["serve error code=2015", "tells no page"]);
    let tc_url = format!("rtmp://127.0.0.1:{}/live", server.port());
    let publishes = |page: &str| {
        let session = Rtmp::connect_from(server.port(), "live", &tc_url, page).expect("connect");
        session.publish("live", "s").is_ok()
    };
    assert!(!publishes("http://www.example.com/"));
    assert!(!server.log().contains("start publish"));
    assert!(publishes("http://studio.example.com/"));
}

#[test]
fn the_page_is_looked_at_before_and_after_the_callbacks_as_with_srs() {
    let callbacks = Callbacks::start(yes);
    let hooks = ["on_connect", "on_close", "on_play", "on_stop", "on_publish"]
        .map(|event| format!("{event} http://127.0.0.1:{}/{event};", callbacks.port));
    let server = Setup::default()
        .vhost(&format!(
            "refer {{ enabled on; all a.com; play p.a.com; publish s.a.com; }} http_hooks {{ enabled on; {} }}",
            hooks.join(" ")
        ))
        .allow_error("refer: ")
        .start();
    let tc_url = format!("rtmp://127.0.0.1:{}/live", server.port());
    let connect = |page: &str| Rtmp::connect_from(server.port(), "live", &tc_url, page).expect("connect");
    assert!(connect("http://b.com/").play("s").is_err());
    callbacks.wait_for(&["on_close"]);
    assert!(connect("http://a.com/").publish("live", "s").is_err());
    callbacks.wait_for(&["on_close", "on_connect", "on_close"]);
    let mut refused = connect("http://a.com/")
        .play("s")
        .expect("play begins before the last check");
    assert!(refused.is_closed_within(5));
    callbacks.wait_for(&[
        "on_close",
        "on_connect",
        "on_close",
        "on_connect",
        "on_play",
        "on_stop",
        "on_close",
    ]);
}

#[test]
fn players_over_http_are_looked_at_where_the_vhost_wants_it() {
    for (http, page, expected) in [
        ("", "http://evil.org/", "200"),
        ("", "", "200"),
        ("http on;", "http://evil.org/", "403"),
        ("http on;", "", "403"),
        ("http on;", "https://www.example.com/player.html", "200"),
    ] {
        let media = Port::free();
        let globals = format!(
            "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n",
            media.number()
        );
        let server = with(&format!("{http} play example.com;"), &globals);
        let url = format!("http://127.0.0.1:{}/live/s.flv", media.number());
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "-e",
            page,
            "-o",
            "played",
            "--max-time",
            "1",
            "-w",
            "%{http_code}",
            &url,
        ]);
        command.current_dir(server.folder());
        let output = run("curl", server.folder(), 10, &mut command).output;
        assert_eq!(&output[output.len() - 3..], expected, "{http} {page}");
    }
}
