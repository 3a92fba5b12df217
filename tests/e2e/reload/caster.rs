//! Casters of other protocols: those that change end or move, pushes that run already stay.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::site::Site;
use crate::support::bystander::{Bystander, numbered_frame};
use crate::support::port::Port;
use crate::support::post::Post;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

/// Posts on until the stream can be played.
#[track_caller]
fn until_played(post: &mut Post, site: &Site, stream: &str) {
    let mut number = 0;
    wait_for(&format!("the stream {stream}"), 15, || {
        for _ in 0..50 {
            post.send(&numbered_frame(number));
            number += 1;
        }
        let (_, streams) = super::site::get(site.http.number(), "/api/v1/streams/");
        streams.contains(&format!("/{stream}\"")).then_some(())
    });
    assert!(site.play_if_it_may(stream), "{stream}");
}

fn caster(more: &str) -> String {
    format!("stream_caster {{ enabled on; {more} }}\n")
}

#[test]
fn posts_go_to_the_new_output_and_running_ones_stay() {
    let site = Site::start("", "min_latency on;");
    let stays = Bystander::start(site.server.port());
    let ports = [Port::free(), Port::free()];
    let block = |port: &Port, name: &str| {
        let (listen, rtmp) = (port.number(), site.server.port());
        caster(&format!(
            "caster flv; listen 127.0.0.1:{listen}; output rtmp://127.0.0.1:{rtmp}/[app]/{name}[stream];"
        ))
    };
    site.reload(&block(&ports[0], "a-"), "min_latency on;");
    let mut first = Post::start(ports[0].number(), "/live/x.flv");
    until_played(&mut first, &site, "a-x");
    site.reload(&block(&ports[0], "b-"), "min_latency on;");
    let mut second = Post::start(ports[0].number(), "/live/x.flv");
    until_played(&mut second, &site, "b-x");
    site.reload(&block(&ports[1], "c-"), "min_latency on;");
    let mut third = Post::start(ports[1].number(), "/live/x.flv");
    until_played(&mut third, &site, "c-x");
    wait_for("stream_caster.listen to leave the old port", 5, || {
        TcpStream::connect(("127.0.0.1", ports[0].number()))
            .is_err()
            .then_some(())
    });
    until_played(&mut first, &site, "a-x");
    site.reload(
        "stream_caster { enabled off; caster flv; listen 1; output rtmp://a/b/c; }\n",
        "min_latency on;",
    );
    wait_for("stream_caster.enabled off", 5, || {
        TcpStream::connect(("127.0.0.1", ports[1].number()))
            .is_err()
            .then_some(())
    });
    until_played(&mut third, &site, "c-x");
    stays.finish();
}

const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LADNkBQZ+fARAAAAMAEAAAAwMg8UKkgA==,aMuDyyA=\r\n\
    a=control:streamid=0\r\n";

/// The answer to a request of RTSP.
#[track_caller]
fn ask(socket: &mut TcpStream, request: &str, body: &str) -> String {
    let head = format!("{request}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    socket.write_all(head.as_bytes()).expect("ask");
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") && socket.read(&mut byte).expect("an answer") == 1 {
        answer.extend(byte);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The port that the server has for the media of a push.
#[track_caller]
fn media_port(port: &Port) -> u16 {
    let mut socket = TcpStream::connect(("127.0.0.1", port.number())).expect("connect");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set a time limit");
    let url = format!("rtsp://127.0.0.1:{}/live/r", port.number());
    let announce = format!("ANNOUNCE {url} RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp");
    let announced = ask(&mut socket, &announce, SDP);
    assert!(announced.starts_with("RTSP/1.0 200"), "{announced}");
    let transport = "RTP/AVP;unicast;client_port=40000-40001;mode=record";
    let setup = format!("SETUP {url}/streamid=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: {transport}");
    let answer = ask(&mut socket, &setup, "");
    let port = answer
        .split("server_port=")
        .nth(1)
        .and_then(|rest| rest.split('-').next());
    port.and_then(|port| port.parse().ok())
        .unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn ports_of_rtsp_and_groups_of_udp_change() {
    let site = Site::start_with(Setup::default().allow_error("reload failed"), "", "");
    let stays = Bystander::start(site.server.port());
    let port = Port::free();
    let listen = port.number();
    for first in [30_000, 31_000] {
        let range = format!("rtp_port_min {first}; rtp_port_max {};", first + 900);
        let block = caster(&format!(
            "caster rtsp; listen 127.0.0.1:{listen}; {range} output rtmp://127.0.0.1/[app]/[stream];"
        ));
        site.reload(&block, "");
        let got = media_port(&port);
        assert!((first..=first + 900).contains(&got), "stream_caster.{range} {got}");
    }
    // Another kind on the same port, which is one of UDP now.
    let joined = |group: &str| {
        fs::read_to_string("/proc/net/igmp")
            .expect("the groups")
            .contains(group)
    };
    let udp = |group: &str, interface: &str| {
        caster(&format!(
            "caster mpegts_over_udp; listen {group}:{listen}; interface {interface}; output rtmp://127.0.0.1/live/u;"
        ))
    };
    let last = fastrand::u8(1..250);
    let (one, two) = (format!("239.255.78.{last}"), format!("239.255.79.{last}"));
    site.reload(&udp(&one, "127.0.0.1"), "");
    assert!(joined(&format!("{last:02X}4EFFEF")), "stream_caster.caster, listen");
    assert!(
        TcpStream::connect(("127.0.0.1", listen)).is_err(),
        "stream_caster.caster: no RTSP any more"
    );
    site.reload(&udp(&two, "127.0.0.1"), "");
    assert!(joined(&format!("{last:02X}4FFFEF")), "stream_caster.listen");
    wait_for("the group to be left", 5, || {
        (!joined(&format!("{last:02X}4EFFEF"))).then_some(())
    });
    let failed = site.try_reload(&udp(&one, "192.0.2.1"), "vhost __defaultVhost__ { }");
    let told = failed["msg"].as_str().unwrap_or_default();
    assert!(
        failed["err"] != 0 && told.contains("192.0.2.1"),
        "stream_caster.interface: {failed}"
    );
    assert!(joined(&format!("{last:02X}4FFFEF")), "what failed has changed nothing");
    stays.finish();
}
