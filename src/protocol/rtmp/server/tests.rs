//! Tests of `server.rs`.

use super::*;
use crate::protocol::rtmp::chunk::Message;
use crate::protocol::rtmp::connection::memory::{Memory, decode_all, encode};
use crate::protocol::rtmp::handshake::S0S1S2_BYTES;

const IDENTITY: Identity = Identity {
    signature: "SRS",
    server: "SRS/7.0.18(x)",
    license: "MIT",
    url: "https://example.org",
    version: "7.0.18",
    authors: "us",
    ip: "127.0.0.1",
    pid: 42,
    id: "abcdefgh",
};

const REPLY: ConnectReply = ConnectReply {
    out_ack_size: 2_500_000,
    in_ack_size: 0,
    peer_bandwidth: 2_500_000,
    chunk_size: 60_000,
    identity: IDENTITY,
};

/// C0C1 of a simple handshake and any C2.
fn hello() -> Vec<u8> {
    let mut bytes = vec![0; C0C1_BYTES + C2_BYTES];
    bytes[0] = 3;
    bytes
}

fn call(name: &str, transaction_id: f64, values: &[Value]) -> Vec<u8> {
    let values = [&[Value::Null], values].concat();
    let command = Command::new(CommandName::from(name), transaction_id, values);
    encode(|peer| peer.queue_command(id::CONNECTION, 0, &command))
}

fn connect() -> Vec<u8> {
    let object = Object::new()
        .with("app", "live")
        .with("flashVer", "FMLE/3.0")
        .with("tcUrl", "rtmp://h/live?vhost=v")
        .with("pageUrl", "http://p/")
        .with("objectEncoding", 3.0);
    let args = Object::new().with("srs_id", "upstream");
    let command = Command::new(CommandName::Connect, 1.0, [object.into(), args.into()]);
    encode(|peer| peer.queue_command(id::CONNECTION, 0, &command))
}

/// A server that finds these commands behind a handshake and a connect, which are over.
fn connected(commands: &[Vec<u8>]) -> Server<Memory> {
    let input = [hello(), connect(), commands.concat()].concat();
    let mut server = Server::new(Memory::new(input));
    server.handshake(0, &mut |bytes| bytes.fill(1)).unwrap();
    let request = server.read_connect().unwrap();
    server.accept_connect(&request, &REPLY).unwrap();
    server
}

fn sent(server: &Server<Memory>) -> Vec<Message> {
    decode_all(&server.connection.io().output[S0S1S2_BYTES..])
}

/// What was sent after the answer to connect, in short: name, transaction id, chunk stream and message stream.
fn answers(server: &Server<Memory>) -> Vec<String> {
    sent(server).iter().skip(5).map(short).collect()
}

fn short(message: &Message) -> String {
    let place = format!("@{}/{}", message.chunk_stream, message.stream_id);
    if let Some(control) = Control::parse(message.kind, &message.payload).unwrap() {
        return format!("{control:?}{place}");
    }
    if kind::is_data(message.kind) {
        return format!("{}{place}", Data::parse(&message.payload).unwrap().name);
    }
    let command = Command::parse(&message.payload).unwrap();
    let code = Status::find(&command).map_or(String::new(), |status| format!(" {}", status.code));
    format!("{} {}{code}{place}", command.name, command.transaction_id)
}

fn publish(kind: PublishKind) -> Role {
    Role::Publish {
        kind,
        stream: "s?k=v".to_owned(),
    }
}

#[test]
fn connect_is_read_and_answered_in_order() {
    let input = [hello(), call("early", 1.0, &[]), connect()].concat();
    let mut server = Server::new(Memory::new(input));
    let handshake = server.handshake(0, &mut |bytes| bytes.fill(1)).unwrap();
    assert_eq!(
        handshake,
        Handshake {
            client: None,
            digest: None
        }
    );
    let request = server.read_connect().unwrap();
    assert_eq!(request.tc_url, "rtmp://h/live?vhost=v");
    assert_eq!((request.page_url.as_str(), request.swf_url.as_str()), ("http://p/", ""));
    assert_eq!(request.args.as_ref().unwrap().string("srs_id"), Some("upstream"));
    server.accept_connect(&request, &REPLY).unwrap();
    let messages = sent(&server);
    assert_eq!(
        messages.iter().map(short).collect::<Vec<_>>(),
        [
            "WindowAckSize(2500000)@2/0",
            "SetPeerBandwidth { window: 2500000, limit: Dynamic }@2/0",
            "SetChunkSize(60000)@2/0",
            "_result 1 NetConnection.Connect.Success@3/0",
            "onBWDone 0@3/0",
        ]
    );
    let result = Command::parse(&messages[3].payload).unwrap();
    assert_eq!(result.object().unwrap().string("fmsVer"), Some("FMS/3,5,3,888"));
    let info = result.argument(0).unwrap().as_object().unwrap();
    assert_eq!(info.number("objectEncoding"), Some(3.0));
    assert!(matches!(info.get("data"), Some(Value::EcmaArray(_))));
    let names: Vec<_> = info.object("data").unwrap().iter().map(|(name, _)| name).collect();
    assert_eq!(
        names.join(" "),
        "version srs_sig srs_server srs_license srs_url srs_version srs_authors srs_server_ip srs_pid srs_id"
    );
    let zero = ConnectReply {
        out_ack_size: 0,
        ..REPLY
    };
    server.accept_connect(&request, &zero).unwrap();
    assert_eq!(sent(&server).len(), 5 + 4);
}

#[test]
fn a_connect_without_a_url_is_refused() {
    let mut server = Server::new(Memory::new([hello(), call("connect", 1.0, &[])].concat()));
    server.handshake(0, &mut |bytes| bytes.fill(1)).unwrap();
    assert_eq!(server.read_connect().unwrap_err().code(), ErrorCode::RtmpConnect);
}

#[test]
fn a_proxy_tells_the_client_even_byte_by_byte() {
    let mut server = Server::new(Memory::new([&[0xf3, 0, 5, 10, 1, 2, 3, 9][..], &hello()].concat()));
    server.connection.io_mut().step = 1;
    let handshake = server.handshake(0, &mut |bytes| bytes.fill(1)).unwrap();
    assert_eq!(handshake.client, Some(Ipv4Addr::new(10, 1, 2, 3)));
    let mut bad = Server::new(Memory::new(vec![0xf3, 0xff, 0xff]));
    let error = bad.handshake(0, &mut |bytes| bytes.fill(1)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::RtmpProxy);
}

#[test]
fn fmle_publishes_and_unpublishes() {
    let name = &["s?k=v".into()];
    let mut server = connected(&[
        call("_checkbw", 0.0, &[]),
        call("releaseStream", 2.0, name),
        call("FCPublish", 3.0, name),
        call("createStream", 4.0, &[]),
        call("publish", 5.0, name),
        call("other", 6.0, &[]),
        call("FCUnpublish", 7.0, name),
    ]);
    assert_eq!(server.identify().unwrap(), publish(PublishKind::Fmle));
    server.start_publish(PublishKind::Fmle).unwrap();
    server.publish_started().unwrap();
    let other = server.read_command().unwrap();
    assert_eq!(
        server.publish_command(PublishKind::Fmle, &other).unwrap(),
        PublishEvent::Ignored
    );
    let end = server.read_command().unwrap();
    assert_eq!(
        server.publish_command(PublishKind::Fmle, &end).unwrap(),
        PublishEvent::Unpublished
    );
    assert_eq!(
        answers(&server),
        [
            "_result 0@3/0",
            "_result 2@3/0",
            "_result 3@3/0",
            "_result 4@3/0",
            "onFCPublish 0 NetStream.Publish.Start@5/1",
            "onStatus 0 NetStream.Publish.Start@5/1",
            "onFCUnpublish 0 NetStream.Unpublish.Success@5/1",
            "_result 7@3/1",
            "onStatus 0 NetStream.Unpublish.Success@5/1",
        ]
    );
    let messages = sent(&server);
    let values = |index: usize| Command::parse(&messages[5 + index].payload).unwrap().values;
    assert_eq!(values(0), [Value::Null, Value::Null]);
    assert_eq!(values(1), [Value::Null, Value::Undefined]);
    assert_eq!(values(3), [Value::Null, Value::Number(1.0)]);
    let info = values(5)[1].clone().into_object().unwrap();
    assert_eq!(
        (info.string("level"), info.string("clientid")),
        (Some("status"), Some("ASAICiss"))
    );
}

#[test]
fn haivision_and_flash_publish() {
    let name = &["s?k=v".into()];
    let create = call("createStream", 2.0, &[]);
    let mut server = connected(&[create.clone(), call("FCPublish", 3.0, name), call("publish", 4.0, name)]);
    assert_eq!(server.identify().unwrap(), publish(PublishKind::Haivision));
    server.start_publish(PublishKind::Haivision).unwrap();
    let start = "onFCPublish 0 NetStream.Publish.Start@5/1";
    assert_eq!(answers(&server), ["_result 2@3/0", "_result 3@3/0", start]);

    let mut server = connected(&[create, call("publish", 0.0, name), call("closeStream", 0.0, &[])]);
    assert_eq!(server.identify().unwrap(), publish(PublishKind::Flash));
    server.start_publish(PublishKind::Flash).unwrap();
    server.publish_started().unwrap();
    assert_eq!(
        answers(&server),
        ["_result 2@3/0", "onStatus 0 NetStream.Publish.Start@5/1"]
    );
    let command = server.read_command().unwrap();
    assert_eq!(
        server.publish_command(PublishKind::Flash, &command).unwrap(),
        PublishEvent::Unpublished
    );
}

#[test]
fn a_player_plays_pauses_and_closes() {
    let play = [Value::from("s"), Value::Number(-2000.0), Value::Number(1500.5)];
    let mut server = connected(&[
        call("createStream", 2.0, &[]),
        encode(|peer| peer.queue_message(id::VIDEO, kind::VIDEO, 0, 1, b"x").unwrap()),
        call("getStreamLength", 3.0, &["s".into()]),
        call("play", 4.0, &play),
        call("pause", 0.0, &[true.into(), Value::Number(0.0)]),
        call("pause", 0.0, &[false.into(), Value::Number(0.0)]),
        call("ask", 9.0, &[]),
        call("tell", 0.0, &[]),
        call("closeStream", 0.0, &[]),
    ]);
    let role = Role::Play {
        stream: "s".to_owned(),
        duration_ms: Some(1500),
    };
    assert_eq!(server.identify().unwrap(), role);
    server.start_play().unwrap();
    let mut events = Vec::new();
    while let Some(command) = server.try_read_command().unwrap() {
        events.push(server.play_command(&command).unwrap());
        if events.len() == 5 {
            break;
        }
    }
    use PlayEvent::*;
    assert_eq!(events, [Paused, Resumed, Ignored, Ignored, Closed]);
    assert_eq!(
        answers(&server),
        [
            "_result 2@3/0",
            "_result 3@3/0",
            "UserControl(StreamBegin(1))@2/0",
            "onStatus 0 NetStream.Play.Reset@5/1",
            "onStatus 0 NetStream.Play.Start@5/1",
            "|RtmpSampleAccess@5/1",
            "onStatus 0 NetStream.Pause.Notify@5/1",
            "UserControl(StreamEof(1))@2/0",
            "onStatus 0 NetStream.Unpause.Notify@5/1",
            "UserControl(StreamBegin(1))@2/0",
            "_result 9@3/0",
        ]
    );
}

#[test]
fn a_play_needs_no_create_stream_and_odd_durations_mean_all() {
    for duration in [0.0, -1.0, f64::NAN, 0.5] {
        let values = [Value::from(""), Value::Null, Value::Number(duration)];
        let role = connected(&[call("play", 1.0, &values)]).identify().unwrap();
        assert_eq!(
            role,
            Role::Play {
                stream: String::new(),
                duration_ms: None
            }
        );
    }
}

#[test]
fn too_many_streams_are_refused() {
    let create = |number| call("createStream", number, &[]);
    let mut server = connected(&[create(2.0), create(3.0), create(4.0), call("play", 0.0, &["s".into()])]);
    assert!(matches!(server.identify(), Ok(Role::Play { .. })));
    let mut server = connected(&[create(2.0), create(3.0), create(4.0), create(5.0)]);
    assert_eq!(server.identify().unwrap_err().code(), ErrorCode::RtmpIdentify);
}

#[test]
fn a_redirect_waits_for_a_text() {
    let text = ["rtmp://b/live/s".into()];
    for (values, follows) in [(&text[..], true), (&[], false)] {
        let mut server = connected(&[call("redirected", 3.0, values)]);
        let redirect = Redirect {
            tc_url: "rtmp://b/live".to_owned(),
            url: None,
        };
        server.redirect(&redirect).unwrap();
        assert_eq!(server.read_redirect_answer().unwrap(), follows);
        let last = sent(&server).pop().unwrap();
        let status = Status::find(&Command::parse(&last.payload).unwrap()).unwrap();
        assert_eq!(
            (status.code, status.redirect),
            (StatusCode::ConnectRejected, Some(redirect))
        );
    }
}

#[test]
fn every_cut_of_a_session_ends_cleanly() {
    let name = &["s".into()];
    let steps = ["releaseStream", "FCPublish", "createStream", "publish"];
    let commands: Vec<Vec<u8>> = steps.iter().map(|step| call(step, 2.0, name)).collect();
    let input = [hello(), connect(), commands.concat()].concat();
    let run = |input: Vec<u8>| {
        let mut server = Server::new(Memory::new(input));
        server.handshake(0, &mut |bytes| bytes.fill(1))?;
        let request = server.read_connect()?;
        server.accept_connect(&request, &REPLY)?;
        server.identify()?;
        server.start_publish(PublishKind::Fmle)
    };
    for end in (0..input.len()).step_by(7).chain(input.len() - 300..input.len()) {
        assert_eq!(
            run(input[..end].to_vec()).unwrap_err().code(),
            ErrorCode::SocketReadFully
        );
    }
    run(input.clone()).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..1000 {
        let mut bytes = input.clone();
        for _ in 0..random.usize(1..5) {
            let at = random.usize(C0C1_BYTES + C2_BYTES..bytes.len());
            bytes[at] = random.u8(..);
        }
        let _ = run(bytes);
    }
}
