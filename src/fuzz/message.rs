//! What RTMP messages hold: AMF0, commands, data, control messages, aggregates, and the URLs in them.

use bytes::Bytes;

use super::checked;
use crate::core::limits::{AMF_VALUES, RTMP_COMMAND_BYTES};
use crate::kernel::buf::Reader;
use crate::kernel::error_code::ErrorCode;
use crate::protocol::amf0::{Value, read_all};
use crate::protocol::rtmp::aggregate::Aggregate;
use crate::protocol::rtmp::chunk::Message;
use crate::protocol::rtmp::message::{Command, Control, Data, Status, kind};
use crate::protocol::rtmp::metadata::Metadata;
use crate::protocol::rtmp::url::{StreamUrl, query_items, query_value};

/// AMF0 values.
///
/// Laws: reading uses up some bytes and never more than there are; what was read, written and read again is written
/// the same; bytes behind the values never make reading fail.
pub fn amf0(input: &[u8]) {
    let mut reader = Reader::new(input, ErrorCode::Amf0Decode);
    if let Some(value) = checked(Value::read(&mut reader)) {
        assert!(reader.remaining() < input.len());
        let written = write(&value);
        let mut again = Reader::new(&written, ErrorCode::Amf0Decode);
        let reread = Value::read(&mut again).unwrap_or_else(|error| panic!("{value:?} does not read back: {error}"));
        assert!(again.is_empty(), "{} bytes left of {value:?}", again.remaining());
        // Bytes, not values: not-a-number equals nothing.
        assert_eq!(write(&reread), written);
    }
    let values = read_all(input, 0).expect("no value is needed");
    assert!(values.len() <= AMF_VALUES.min(input.len()));
}

fn write(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut out);
    out
}

/// The message's type, then its payload.
///
/// Laws: a message that was parsed, written and parsed again is written the same; the parts of an aggregate add up to
/// it.
pub fn message(input: &[u8]) {
    let Some((&message_kind, payload)) = input.split_first() else {
        return;
    };
    if let Some(Some(control)) = checked(Control::parse(message_kind, payload)) {
        let again = Control::parse(control.kind(), &control.encode());
        assert_eq!(again.expect("what we write is whole"), Some(control));
    }
    if kind::is_command(message_kind) {
        command(payload);
    }
    if kind::is_data(message_kind) {
        data(payload);
    }
    if message_kind == kind::AGGREGATE {
        aggregate(payload);
    }
}

fn command(payload: &[u8]) {
    let Some(command) = checked(Command::parse(payload)) else {
        return;
    };
    let _ = (Status::find(&command), command.object(), command.wants_result());
    for index in [0, 1, usize::MAX] {
        assert!(command.argument(index).is_some() || command.text(index).is_empty());
    }
    let written = command.encode();
    // Bytes that are no UTF-8 become longer ones, which may pass the bound.
    if written.len() <= RTMP_COMMAND_BYTES {
        let again = Command::parse(&written).expect("what we write is a command");
        assert_eq!(again.encode(), written);
    }
}

fn data(payload: &[u8]) {
    let Some(data) = checked(Data::parse(payload)) else {
        assert!(Metadata::parse(payload).is_err(), "metadata without a data message");
        return;
    };
    let written = data.encode();
    // An inner @setDataFrame would be taken for the outer one.
    if written.len() <= RTMP_COMMAND_BYTES && data.name != "@setDataFrame" {
        let again = Data::parse(&written).expect("what we write is a data message");
        assert_eq!(again.encode(), written);
    }
    let Some(Some(mut metadata)) = checked(Metadata::parse(payload)) else {
        return;
    };
    assert_eq!(data.name, "onMetaData");
    metadata.adopt("S", "1.0");
    let adopted = metadata.encode();
    if adopted.len() <= RTMP_COMMAND_BYTES {
        let again = Metadata::parse(&adopted)
            .ok()
            .flatten()
            .expect("metadata stays metadata");
        assert_eq!(again.properties.string("server"), Some("S"));
        assert!(again.properties.get("duration").is_none());
        assert_eq!(again.encode(), adopted);
    }
}

fn aggregate(payload: &[u8]) {
    const OVERHEAD: usize = 11 + 4;
    let outer = Message {
        kind: kind::AGGREGATE,
        timestamp: 0xffff_fff0,
        stream_id: 1,
        chunk_stream: 6,
        payload: Bytes::copy_from_slice(payload),
    };
    let time = outer.timestamp;
    let mut used = 0;
    for (index, part) in Aggregate::new(outer).enumerate() {
        let Some(part) = checked(part) else {
            assert!(used < payload.len());
            return;
        };
        assert_ne!(part.kind, kind::AGGREGATE);
        assert!(
            index > 0 || part.timestamp == time,
            "the first part has the aggregate's time"
        );
        let at = used + 11;
        assert_eq!(part.payload, payload[at..at + part.payload.len()]);
        used += OVERHEAD + part.payload.len();
    }
    assert_eq!(used, payload.len());
}

/// A `tcUrl`, a zero byte, a stream's name.
///
/// Laws: a URL that is accepted has a vhost, an app and a stream without blanks at their ends; the address found in two
/// steps is the one found at once; the key of a stream has three parts.
pub fn url(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (tc_url, name) = text.split_once('\0').unwrap_or((&text, ""));
    query_laws(tc_url);
    let _ = checked(StreamUrl::parse_whole(&text));
    let connected = checked(StreamUrl::connect(tc_url));
    if let Some(url) = &connected {
        assert!(!url.vhost.is_empty() && !url.app.is_empty() && url.port != 0);
    }
    let two_steps = connected.and_then(|url| checked(url.with_stream(name)));
    for url in [checked(StreamUrl::parse(tc_url, name)), two_steps]
        .into_iter()
        .flatten()
    {
        assert!(!url.vhost.is_empty() && !url.app.is_empty() && !url.stream.is_empty() && url.port != 0);
        for part in [&url.vhost, &url.app, &url.stream] {
            assert!(!part.contains([' ', '\t', '\r', '\n']), "{url:?}");
        }
        assert!(url.stream_url().matches('/').count() >= 2);
        assert!(url.relay_url("10.0.0.1", 1935).starts_with("rtmp://10.0.0.1:1935/"));
        let _ = (url.outgoing_tc_url(), url.outgoing_stream(), url.loopback_url(1935));
    }
}

fn query_laws(query: &str) {
    let total: usize = query_items(query).map(|(key, value)| key.len() + value.len()).sum();
    assert!(total <= query.len());
    for (key, _) in query_items(query).take(100) {
        assert!(query_value(query, key).is_some());
    }
}
