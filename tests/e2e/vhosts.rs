//! Which vhost, app and stream a URL names.

use std::time::Duration;

use crate::support::amf::Amf;
use crate::support::bystander::{numbered_frame, numbered_header};
use crate::support::clients::Ffmpeg;
use crate::support::media::Sample;
use crate::support::rtmp::{Rtmp, send_paced};
use crate::support::server::{Server, Setup};

const TWO_VHOSTS: &str = "vhost __defaultVhost__ { }\nvhost v.com { }\nvhost off.com { enabled off; }\n";

/// Plays by this `tcUrl` and stream name; the log must tell the vhost, app and stream.
#[track_caller]
fn assert_names(server: &Server, app: &str, tc_url: &str, stream: &str, [vhost, in_app, in_stream]: [&str; 3]) {
    let tc_url = tc_url.replace("PORT", &server.port().to_string());
    let before = count_identified(server);
    let player = Rtmp::connect_as(server.port(), app, &tc_url).and_then(|client| client.play(stream));
    let _player = player.unwrap_or_else(|e| panic!("play {stream} of {tc_url}: {e}"));
    let line = server.wait_for_lines(before + 1, &["client identified"]);
    for part in [
        format!("vhost={vhost},"),
        format!("app={in_app},"),
        format!("stream={in_stream},"),
    ] {
        assert!(line.contains(&part), "{tc_url} with {stream}: no {part} in {line}");
    }
}

fn count_identified(server: &Server) -> usize {
    server
        .log()
        .lines()
        .filter(|line| line.contains("client identified"))
        .count()
}

#[test]
fn url_forms() {
    let server = Setup::default().vhosts(TWO_VHOSTS).start();
    let host = "rtmp://127.0.0.1:PORT";
    let names = |app: &str, stream, expected| assert_names(&server, app, &format!("{host}/{app}"), stream, expected);
    names("live", "s", ["127.0.0.1", "live", "s"]);
    names("live?vhost=v.com", "s", ["v.com", "live", "s"]);
    names("live", "s?vhost=v.com&token=t", ["v.com", "live", "s"]);
    names("live...vhost...v.com", "s", ["v.com", "live", "s"]);
    names("live", "s?domain=v.com", ["v.com", "live", "s"]);
    names("app/sub", "s", ["127.0.0.1", "app/sub", "s"]);
    names("live/_definst_", "s", ["127.0.0.1", "live", "s"]);
    names("live?vhost=__defaultVhost__", "s", ["127.0.0.1", "live", "s"]);
    assert_names(&server, "live", "rtmp://v.com:PORT/live", "s", ["v.com", "live", "s"]);
    assert_names(&server, "live", "rtmp://v.com/live", "s", ["v.com", "live", "s"]);
}

#[test]
fn all_forms_of_one_vhost_meet_in_one_stream() {
    let server = Setup::default().vhosts(TWO_VHOSTS).start();
    let connect = |app: &str, url: &str| Rtmp::connect_as(server.port(), app, url).expect("connect");
    let mut by_query = connect("live?vhost=v.com", "rtmp://127.0.0.1/live?vhost=v.com")
        .play("s")
        .expect("play");
    let mut by_stream = connect("live", "rtmp://127.0.0.1/live")
        .play("s?vhost=v.com&token=secret")
        .expect("play");
    let mut of_default = connect("live", "rtmp://127.0.0.1/live").play("s").expect("play");
    let mut publisher = connect("live", "rtmp://v.com/live")
        .publish("live", "s")
        .expect("publish");
    let mut tags = vec![numbered_header()];
    tags.extend((0..100).map(numbered_frame));
    send_paced(&mut publisher, &tags).expect("send");
    for player in [&mut by_query, &mut by_stream] {
        let played = player.collect_media(Duration::from_millis(500));
        assert!(played.len() > 50, "{} messages on the vhost", played.len());
    }
    let played = of_default.collect_media(Duration::from_millis(100));
    assert!(
        played.is_empty(),
        "{} messages leaked into the default vhost",
        played.len()
    );
}

#[test]
fn ffmpeg_names_a_vhost_in_its_url() {
    let server = Setup::default().vhosts(TWO_VHOSTS).start();
    let base = format!("rtmp://127.0.0.1:{}", server.port());
    let file = Sample::H264Aac.path();
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &file, &format!("{base}/live?vhost=v.com/s"));
    server.wait_for_line(&["client identified", "publish", "vhost=v.com,", "app=live,", "stream=s,"]);
    let recording = server.file("played.flv");
    let url = format!("{base}/live/s?vhost=v.com");
    Ffmpeg::Debian
        .record(server.folder(), &[], &url, 2, &recording)
        .wait(30)
        .ok();
    assert!(Ffmpeg::Debian.decode(server.folder(), &recording) >= 25);
}

#[test]
fn an_unknown_vhost_is_served_by_the_default_one() {
    let server = Setup::default().vhosts(TWO_VHOSTS).start();
    assert_names(
        &server,
        "live",
        "rtmp://other.com/live",
        "s",
        ["other.com", "live", "s"],
    );
}

#[track_caller]
fn assert_refused(server: &Server, tc_url: &str) {
    // Connecting succeeds; playing is where the vhost is looked up.
    let mut client = Rtmp::connect_as(server.port(), "live", tc_url).expect("connect");
    client
        .command("createStream", 2.0, 0, &[Amf::Null])
        .expect("send createStream");
    let play = [Amf::Null, Amf::text("s")];
    client.command("play", 3.0, 1, &play).expect("send play");
    assert!(client.is_closed_within(5), "a player of {tc_url} is still connected");
    server.wait_for_line(&["code=2014(NoVhost)"]);
}

#[test]
fn an_unknown_vhost_without_a_default_one_is_refused() {
    let server = Setup::default()
        .vhosts("vhost v.com { }\n")
        .allow_error("code=2014")
        .start();
    assert_refused(&server, "rtmp://other.com/live");
}

#[test]
fn a_vhost_that_is_off_is_refused() {
    let server = Setup::default().vhosts(TWO_VHOSTS).allow_error("code=2014").start();
    assert_refused(&server, "rtmp://off.com/live");
}
