//! What the server says of itself, and in which order, when a client connects, plays and publishes.

use std::time::Duration;

use crate::support::amf::Amf;
use crate::support::bystander::{numbered_frame, numbered_header};
use crate::support::rtmp::{Rtmp, SET_CHUNK_SIZE, USER_CONTROL};
use crate::support::server::{Server, Setup};

const WINDOW_ACK_SIZE: u8 = 5;
const SET_PEER_BANDWIDTH: u8 = 6;

#[test]
fn control_messages_come_before_the_answer_to_connect() {
    let server = Setup::default().chunk_size(4096).start();
    let client = Rtmp::connect(server.port(), "live").expect("connect");
    let kinds: Vec<u8> = client.seen.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [WINDOW_ACK_SIZE, SET_PEER_BANDWIDTH, SET_CHUNK_SIZE]);
    assert_eq!(client.seen[0].payload, 2_500_000_u32.to_be_bytes());
    assert_eq!(
        client.seen[1].payload,
        [2_500_000_u32.to_be_bytes().as_slice(), &[2]].concat()
    );
    assert_eq!(client.seen[2].payload, 4096_u32.to_be_bytes());
}

#[test]
fn windows_and_chunk_size_are_those_of_the_vhost() {
    const ACKNOWLEDGEMENT: u8 = 3;
    let server = Setup::default()
        .chunk_size(4096)
        .vhost("chunk_size 8192; in_ack_size 50000; out_ack_size 70000;")
        .vhosts("vhost silent.example.com { out_ack_size 0; }")
        .start();
    let client = Rtmp::connect(server.port(), "live").expect("connect");
    let told = |client: &Rtmp| -> Vec<(u8, u32)> {
        let number = |payload: &[u8]| u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
        let seen = client.seen.iter();
        seen.map(|message| (message.kind, number(&message.payload))).collect()
    };
    let expected = [
        (WINDOW_ACK_SIZE, 70_000),
        (SET_PEER_BANDWIDTH, 2_500_000),
        (SET_CHUNK_SIZE, 8192),
    ];
    assert_eq!(told(&client), expected);
    // It is told after how many bytes, without having asked.
    let mut client = client.publish("live", "s").expect("publish");
    client.send_tag(&numbered_header()).expect("send");
    (0..100).for_each(|number| client.send_tag(&numbered_frame(number)).expect("send"));
    let message = client
        .receive_until(|message| message.kind == ACKNOWLEDGEMENT)
        .expect("an acknowledgement");
    let bytes = u32::from_be_bytes(message.payload.try_into().expect("four bytes"));
    assert!((25_000..=60_000).contains(&bytes), "acknowledges {bytes}");
    let url = format!("rtmp://silent.example.com:{}/live", server.port());
    let silent = Rtmp::connect_as(server.port(), "live", &url).expect("connect");
    assert_eq!(told(&silent), [(SET_PEER_BANDWIDTH, 2_500_000), (SET_CHUNK_SIZE, 4096)]);
}

#[test]
fn the_answer_to_connect_describes_the_server() {
    let server = Server::start();
    let mut client = Rtmp::open(server.port()).expect("handshake");
    let url = format!("rtmp://127.0.0.1:{}/live", server.port());
    let properties = [
        ("app", Amf::text("live")),
        ("tcUrl", Amf::text(&url)),
        ("objectEncoding", Amf::Number(0.0)),
    ];
    client
        .command("connect", 1.0, 0, &[Amf::object(&properties)])
        .expect("send");
    let values = client.answer(1.0).expect("the answer").values();
    let text = |object: &Amf, field| object.get(field).and_then(Amf::as_text).map(str::to_owned);
    assert_eq!(text(&values[2], "fmsVer").as_deref(), Some("FMS/3,5,3,888"));
    assert_eq!(values[2].get("capabilities"), Some(&Amf::Number(127.0)));
    assert_eq!(text(&values[3], "level").as_deref(), Some("status"));
    assert_eq!(
        text(&values[3], "code").as_deref(),
        Some("NetConnection.Connect.Success")
    );
    assert_eq!(values[3].get("objectEncoding"), Some(&Amf::Number(0.0)));
    let data = values[3].get("data").expect("data in the answer");
    for field in [
        "version",
        "srs_sig",
        "srs_server",
        "srs_version",
        "srs_server_ip",
        "srs_id",
    ] {
        assert!(
            text(data, field).is_some_and(|value| !value.is_empty()),
            "{field} in {data:?}"
        );
    }
    assert_eq!(data.get("srs_pid"), Some(&Amf::Number(server.pid().into())));
    assert_eq!(text(data, "srs_server_ip").as_deref(), Some("127.0.0.1"));
    let next = client.receive().expect("a message after the answer");
    assert_eq!(next.name().as_deref(), Some("onBWDone"));
}

#[test]
fn unknown_calls_are_answered() {
    let server = Server::start();
    let mut client = Rtmp::connect(server.port(), "live").expect("connect");
    client
        .command("whatIsThis", 7.0, 0, &[Amf::Null, Amf::text("x")])
        .expect("send");
    assert_eq!(
        client.answer(7.0).expect("an answer").name().as_deref(),
        Some("_result")
    );
    client.play("s").expect("play after an unknown call");
}

#[test]
fn play_is_told_in_order_and_media_goes_over_stream_one() {
    let server = Setup::default().vhost("min_latency on;").start();
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("s")
        .expect("play");
    let begin = player
        .seen
        .iter()
        .position(|message| message.kind == USER_CONTROL)
        .expect("StreamBegin");
    assert_eq!(player.seen[begin].payload, [0, 0, 0, 0, 0, 1]);
    let reset = player
        .seen
        .iter()
        .position(|message| is_status(&message.values(), "NetStream.Play.Reset"));
    assert!(reset > Some(begin), "StreamBegin, then Reset, then Start");
    player.seen.clear();

    let mut publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", "s")
        .expect("publish");
    publisher.send_tag(&numbered_header()).expect("send");
    publisher.send_tag(&numbered_frame(0)).expect("send");
    let messages = player.collect(Duration::from_secs(1));
    assert_eq!(
        messages.first().and_then(|message| message.name()).as_deref(),
        Some("|RtmpSampleAccess")
    );
    let media: Vec<_> = messages.iter().filter(|message| message.is_media()).collect();
    assert_eq!(media.len(), 2);
    assert!(media.iter().all(|message| message.stream == 1));
}

fn is_status(values: &[Amf], code: &str) -> bool {
    let info = values.last().and_then(|info| info.get("code"));
    info.and_then(Amf::as_text) == Some(code)
}

#[test]
fn pause_stops_and_resume_continues_the_media() {
    let server = Setup::default().vhost("min_latency on;").start();
    let mut publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", "s")
        .expect("publish");
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("s")
        .expect("play");
    publisher.send_tag(&numbered_header()).expect("send");
    let pause = |on| [Amf::Null, Amf::Boolean(on), Amf::Number(0.0)];
    player.command("pause", 0.0, 1, &pause(true)).expect("send");
    player.status("NetStream.Pause.Notify").expect("the answer to pause");
    (0..10).for_each(|number| publisher.send_tag(&numbered_frame(number)).expect("send"));
    player.command("pause", 0.0, 1, &pause(false)).expect("send");
    player.seen.clear();
    player.status("NetStream.Unpause.Notify").expect("the answer to resume");
    assert!(
        player.seen.iter().all(|message| !message.is_media()),
        "media while paused"
    );
    publisher.send_tag(&numbered_frame(10)).expect("send");
    player.wait_for_media().expect("media after the pause");
}

#[test]
fn a_ping_is_answered() {
    let server = Server::start();
    let mut client = Rtmp::connect(server.port(), "live").expect("connect");
    client.send(2, USER_CONTROL, 0, 0, &[0, 6, 1, 2, 3, 4]).expect("send");
    let answer = client
        .receive_until(|message| message.kind == USER_CONTROL)
        .expect("an answer");
    assert_eq!(answer.payload, [0, 7, 1, 2, 3, 4]);
}

#[test]
fn bytes_received_are_acknowledged() {
    const ACKNOWLEDGEMENT: u8 = 3;
    let server = Server::start();
    let mut client = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", "s")
        .expect("publish");
    client
        .send(2, WINDOW_ACK_SIZE, 0, 0, &100_000_u32.to_be_bytes())
        .expect("send");
    client.send_tag(&numbered_header()).expect("send");
    (0..100).for_each(|number| client.send_tag(&numbered_frame(number)).expect("send"));
    let message = client
        .receive_until(|message| message.kind == ACKNOWLEDGEMENT)
        .expect("an acknowledgement");
    let bytes = u32::from_be_bytes(message.payload.try_into().expect("four bytes"));
    assert!((50_000..100_000).contains(&bytes), "acknowledges {bytes}");
}

#[test]
fn too_many_streams_on_one_connection_are_refused() {
    let server = Setup::default().allow_error("code=2055").start();
    let mut client = Rtmp::connect(server.port(), "live").expect("connect");
    for transaction in 2..8 {
        let _ = client.command("createStream", transaction.into(), 0, &[Amf::Null]);
    }
    let messages = client.collect(Duration::from_secs(5));
    let answers = messages
        .iter()
        .filter(|message| message.name().as_deref() == Some("_result"))
        .count();
    assert!(answers <= 3, "{answers} streams on one connection");
    assert!(client.is_closed_within(5));
    server.wait_for_line(&["code=2055("]);
}

#[test]
fn a_play_duration_ends_the_connection() {
    let server = Setup::default()
        .vhost("min_latency on;")
        .allow_error("code=2019")
        .start();
    let mut publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", "s")
        .expect("publish");
    let mut player = Rtmp::connect(server.port(), "live").expect("connect");
    player.command("createStream", 2.0, 0, &[Amf::Null]).expect("send");
    player.answer(2.0).expect("a stream");
    // Live or recorded, for one second of media.
    let play = [Amf::Null, Amf::text("s"), Amf::Number(-2000.0), Amf::Number(1000.0)];
    player.command("play", 3.0, 1, &play).expect("send");
    player.status("NetStream.Play.Start").expect("the start");
    publisher.send_tag(&numbered_header()).expect("send");
    (0..100).for_each(|number| publisher.send_tag(&numbered_frame(number)).expect("send"));
    assert!(player.is_closed_within(5), "still connected after two seconds of media");
    server.wait_for_line(&["code=2019(DurationExceed)"]);
}
