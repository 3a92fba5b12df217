//! The server's side of an RTMP session, as steps that the application takes one after the other: handshake, connect,
//! who are you, publish or play (RTMP specification 1.0, section 7.2, and what FMLE, Haivision and Flash made of it).
//!
//! Everything is said on message stream 1; which one a client uses does not matter. Every method yields.

mod connect;

use std::net::Ipv4Addr;

use super::chunk::id;
use super::connection::{Connection, Io};
use super::handshake::proxy::{ProxyPrefix, parse_proxy_prefix};
use super::handshake::{C0C1_BYTES, C2_BYTES, Schema, server};
use super::message::{
    Command, CommandName, Control, Data, Level, Limit, Redirect, Status, StatusCode, UserControl, kind,
};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::amf0::{Object, Value};

pub use connect::{ConnectReply, ConnectRequest, Identity};

/// The one message stream of a session.
pub const STREAM_ID: u32 = 1;
/// The client id in statuses, the same for all.
const CLIENT_ID: &str = "ASAICiss";
/// How many createStream calls may come before play or publish.
const CREATE_STREAMS: usize = 3;

/// What came out of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The client's address as a proxy in front told it.
    pub client: Option<Ipv4Addr>,
    /// The order of blocks in a signed C1; `None` for the simple handshake.
    pub digest: Option<Schema>,
}

/// In which order of commands a client publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishKind {
    /// Flash Media Live Encoder, FFmpeg, OBS: releaseStream, FCPublish, createStream, publish.
    Fmle,
    /// Haivision: createStream, FCPublish, publish.
    Haivision,
    /// Flash: createStream, publish.
    Flash,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// To publish a stream.
    Publish {
        /// How it goes about it.
        kind: PublishKind,
        /// The stream's name with its parameters, as sent; may be empty.
        stream: String,
    },
    /// To play a stream.
    Play {
        /// The stream's name with its parameters, as sent; may be empty.
        stream: String,
        /// How much media it wants, milliseconds; `None` is all.
        duration_ms: Option<u64>,
    },
}

/// What a command did while a client publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishEvent {
    /// Nothing; the publish goes on.
    Ignored,
    /// The publish is over; the connection may be used again.
    Unpublished,
}

/// What a command did while a client plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayEvent {
    /// Nothing; the play goes on.
    Ignored,
    /// Delivery stops.
    Paused,
    /// Delivery goes on.
    Resumed,
    /// The play is over; the connection may be used again.
    Closed,
}

/// The server's end of a session.
#[derive(Debug)]
pub struct Server<S> {
    connection: Connection<S>,
}

impl<S: Io> Server<S> {
    /// A session that begins with the handshake.
    pub fn new(io: S) -> Self {
        Server {
            connection: Connection::new(io),
        }
    }

    /// The connection below, to read and write media.
    pub fn connection(&mut self) -> &mut Connection<S> {
        &mut self.connection
    }

    /// Shakes hands; `millis` and `fill` as for [`server::respond`].
    ///
    /// # Errors
    /// Those of the socket, of [`parse_proxy_prefix`] and of [`server::respond`].
    pub fn handshake(&mut self, millis: u32, fill: &mut dyn FnMut(&mut [u8])) -> Result<Handshake> {
        let client = self.read_proxy_prefix().wrap("proxy prefix")?;
        let c0c1 = self.connection.peek(C0C1_BYTES).wrap("read c0c1")?;
        let Some(c0c1) = c0c1.first_chunk::<C0C1_BYTES>() else {
            return Err(Error::new(ErrorCode::RtmpHandshake, "c0c1 is cut short"));
        };
        let answer = server::respond(c0c1, millis, fill)?;
        self.connection.consume(C0C1_BYTES);
        self.connection.write_all(&answer.s0s1s2[..]).wrap("write s0s1s2")?;
        self.connection.peek(C2_BYTES).wrap("read c2")?;
        self.connection.consume(C2_BYTES);
        Ok(Handshake {
            client,
            digest: answer.digest,
        })
    }

    fn read_proxy_prefix(&mut self) -> Result<Option<Ipv4Addr>> {
        let mut count = 1;
        loop {
            match parse_proxy_prefix(self.connection.peek(count)?)? {
                ProxyPrefix::Absent => return Ok(None),
                ProxyPrefix::Incomplete(needed) => count = needed.max(count + 1),
                ProxyPrefix::Present { length, client } => {
                    self.connection.consume(length);
                    return Ok(client);
                }
            }
        }
    }

    /// Waits for connect; whatever comes before it is passed over.
    ///
    /// # Errors
    /// [`ErrorCode::RtmpConnect`] without a tcUrl; those of [`Connection::read_message`] and [`Command::parse`].
    pub fn read_connect(&mut self) -> Result<ConnectRequest> {
        let command = loop {
            let command = self.read_command().wrap("wait for connect")?;
            if command.name == CommandName::Connect {
                break command;
            }
        };
        ConnectRequest::from_command(&command)
    }

    /// Accepts a connect: windows, bandwidth, chunk size, result, onBWDone.
    ///
    /// # Errors
    /// Those of [`Connection::flush`].
    pub fn accept_connect(&mut self, request: &ConnectRequest, reply: &ConnectReply) -> Result<()> {
        let connection = &mut self.connection;
        if reply.out_ack_size > 0 {
            connection.queue_control(&Control::WindowAckSize(reply.out_ack_size));
        }
        if reply.in_ack_size > 0 {
            connection.set_window(reply.in_ack_size);
        }
        connection.queue_control(&Control::SetPeerBandwidth {
            window: reply.peer_bandwidth,
            limit: Limit::Dynamic,
        });
        connection.queue_control(&Control::SetChunkSize(reply.chunk_size));
        let result = request.accept(&reply.identity);
        connection.queue_command(id::CONNECTION, 0, &result);
        let done = Command::new(CommandName::OnBwDone, 0.0, [Value::Null]);
        connection.queue_command(id::CONNECTION, 0, &done);
        connection.flush().wrap("accept connect")
    }

    /// Tells the client that it is refused; the caller closes then.
    ///
    /// # Errors
    /// Those of [`Connection::flush`].
    pub fn reject(&mut self, code: &StatusCode, description: &str) -> Result<()> {
        let info = Status::object(&Level::Error, code, description);
        self.send_status(0, info).wrap("reject")
    }

    /// Tells the client where the stream is; [`Server::read_redirect_answer`] waits whether it goes there.
    ///
    /// # Errors
    /// Those of [`Connection::flush`].
    pub fn redirect(&mut self, redirect: &Redirect) -> Result<()> {
        let info = Status::object(&Level::Error, &StatusCode::ConnectRejected, "RTMP 302 Redirect");
        self.send_status(0, info.with("ex", redirect.to_object()))
            .wrap("redirect")
    }

    /// Waits for a client's call after a redirect, under the socket's timeout: whether it carries a text, which says
    /// that the client follows.
    ///
    /// # Errors
    /// Those of [`Connection::read_message`] and [`Command::parse`]; many clients just leave.
    pub fn read_redirect_answer(&mut self) -> Result<bool> {
        loop {
            let command = self.read_command()?;
            if let CommandName::Other(_) = command.name {
                return Ok(matches!(command.argument(0), Some(Value::String(_))));
            }
        }
    }

    /// Finds out what the client wants, answering the calls before that.
    ///
    /// # Errors
    /// [`ErrorCode::RtmpIdentify`] after too many createStream calls; those of [`Connection::read_message`],
    /// [`Command::parse`] and [`Connection::flush`].
    pub fn identify(&mut self) -> Result<Role> {
        let mut created = 0;
        loop {
            let command = self.read_command().wrap("identify")?;
            let stream = command.text(0).to_owned();
            match command.name {
                CommandName::CreateStream => self.create_stream(&command, &mut created)?,
                CommandName::ReleaseStream | CommandName::FcPublish => {
                    self.answer(&command, 0, Value::Undefined)?;
                    let kind = if created == 0 {
                        PublishKind::Fmle
                    } else {
                        PublishKind::Haivision
                    };
                    return Ok(Role::Publish { kind, stream });
                }
                CommandName::Publish => {
                    let kind = PublishKind::Flash;
                    return Ok(Role::Publish { kind, stream });
                }
                CommandName::Play => {
                    let duration = command.argument(2).and_then(Value::as_number).unwrap_or(0.0);
                    // The cast saturates; not a number becomes 0.
                    let duration_ms = Some(duration as u64).filter(|millis| *millis > 0);
                    return Ok(Role::Play { stream, duration_ms });
                }
                CommandName::Other(_) | CommandName::DeleteStream => self.answer(&command, 0, Value::Null)?,
                _ => {}
            }
        }
    }

    /// Goes through the commands until publish, and answers them; a Flash publisher has said all already. What players
    /// and hooks must allow first comes between this and [`Server::publish_started`].
    ///
    /// # Errors
    /// As [`Server::identify`].
    pub fn start_publish(&mut self, publish: PublishKind) -> Result<()> {
        if publish == PublishKind::Flash {
            return Ok(());
        }
        let mut created = 0;
        loop {
            let command = self.read_command().wrap("start publish")?;
            match command.name {
                CommandName::ReleaseStream | CommandName::FcPublish => self.answer(&command, 0, Value::Undefined)?,
                CommandName::CreateStream => self.create_stream(&command, &mut created)?,
                CommandName::Publish => break,
                CommandName::Other(_) => self.answer(&command, 0, Value::Null)?,
                _ => {}
            }
        }
        let notice = Status::notice(&StatusCode::PublishStart, "Started publishing stream.");
        self.queue_notice(CommandName::OnFcPublish, notice);
        self.connection.flush().wrap("answer publish")
    }

    /// Tells the publisher to send.
    ///
    /// # Errors
    /// Those of [`Connection::flush`].
    pub fn publish_started(&mut self) -> Result<()> {
        let info = Status::object(&Level::Status, &StatusCode::PublishStart, "Started publishing stream.");
        self.send_status(STREAM_ID, info.with("clientid", CLIENT_ID))
            .wrap("start publish")
    }

    /// Handles a command that came while the client publishes.
    ///
    /// # Errors
    /// Those of [`Connection::flush`].
    pub fn publish_command(&mut self, publish: PublishKind, command: &Command) -> Result<PublishEvent> {
        tell(command);
        match (publish, &command.name) {
            (PublishKind::Flash, _) => Ok(PublishEvent::Unpublished),
            (_, CommandName::FcUnpublish) => {
                self.answer_unpublish(command).wrap("answer unpublish")?;
                Ok(PublishEvent::Unpublished)
            }
            (_, CommandName::CloseStream | CommandName::DeleteStream) => Ok(PublishEvent::Unpublished),
            _ => Ok(PublishEvent::Ignored),
        }
    }

    fn answer_unpublish(&mut self, command: &Command) -> Result<()> {
        let notice = Status::notice(&StatusCode::UnpublishSuccess, "Stop publishing stream.");
        self.queue_notice(CommandName::OnFcUnpublish, notice);
        let result = Command::result(command.transaction_id, Value::Null, Value::Undefined);
        self.connection.queue_command(id::CONNECTION, STREAM_ID, &result);
        let info = Status::object(
            &Level::Status,
            &StatusCode::UnpublishSuccess,
            "Stream is now unpublished",
        );
        self.send_status(STREAM_ID, info.with("clientid", CLIENT_ID))
    }

    /// Tells the player that its stream begins. Media may follow at once.
    ///
    /// # Errors
    /// Those of [`Connection::flush`].
    pub fn start_play(&mut self) -> Result<()> {
        self.connection
            .queue_control(&Control::UserControl(UserControl::StreamBegin(STREAM_ID)));
        for (code, description) in [
            (StatusCode::PlayReset, "Playing and resetting stream."),
            (StatusCode::PlayStart, "Started playing stream."),
        ] {
            let info = Status::object(&Level::Status, &code, description);
            self.queue_status(STREAM_ID, info.with("details", "stream").with("clientid", CLIENT_ID));
        }
        let access = Data::new("|RtmpSampleAccess", [Value::Boolean(true), Value::Boolean(true)]);
        self.connection.queue_data(id::STREAM, STREAM_ID, &access);
        self.connection.flush().wrap("start play")
    }

    /// Handles a command that came while the client plays.
    ///
    /// # Errors
    /// Those of [`Connection::flush`].
    pub fn play_command(&mut self, command: &Command) -> Result<PlayEvent> {
        match &command.name {
            CommandName::CloseStream => Ok(PlayEvent::Closed),
            CommandName::Pause => {
                let pauses = command.argument(0).and_then(Value::as_bool).unwrap_or(false);
                self.answer_pause(pauses).wrap("answer pause")?;
                Ok(if pauses { PlayEvent::Paused } else { PlayEvent::Resumed })
            }
            CommandName::Result | CommandName::Error | CommandName::OnStatus => Ok(PlayEvent::Ignored),
            _ => {
                if command.wants_result() {
                    self.answer(command, 0, Value::Null)?;
                }
                Ok(PlayEvent::Ignored)
            }
        }
    }

    fn answer_pause(&mut self, pauses: bool) -> Result<()> {
        let (code, description, event) = match pauses {
            true => (
                StatusCode::PauseNotify,
                "Paused stream.",
                UserControl::StreamEof(STREAM_ID),
            ),
            false => (
                StatusCode::UnpauseNotify,
                "Unpaused stream.",
                UserControl::StreamBegin(STREAM_ID),
            ),
        };
        self.queue_status(STREAM_ID, Status::object(&Level::Status, &code, description));
        self.connection.queue_control(&Control::UserControl(event));
        self.connection.flush()
    }

    /// The next command; other messages are passed over.
    ///
    /// # Errors
    /// Those of [`Connection::read_message`] and [`Command::parse`].
    pub fn read_command(&mut self) -> Result<Command> {
        loop {
            let message = self.connection.read_message()?;
            if kind::is_command(message.kind) {
                return Command::parse(&message.payload).inspect(tell);
            }
        }
    }

    /// As [`Server::read_command`], but `None` when there is no whole message yet.
    ///
    /// # Errors
    /// Those of [`Connection::try_read_message`] and [`Command::parse`].
    pub fn try_read_command(&mut self) -> Result<Option<Command>> {
        while let Some(message) = self.connection.try_read_message()? {
            if kind::is_command(message.kind) {
                return Command::parse(&message.payload).inspect(tell).map(Some);
            }
        }
        Ok(None)
    }

    fn create_stream(&mut self, command: &Command, created: &mut usize) -> Result<()> {
        *created += 1;
        if *created > CREATE_STREAMS {
            let text = format!("{created} createStream calls, {CREATE_STREAMS} at most");
            return Err(Error::new(ErrorCode::RtmpIdentify, text));
        }
        self.answer(command, 0, Value::Number(f64::from(STREAM_ID)))
    }

    fn answer(&mut self, command: &Command, stream_id: u32, response: Value) -> Result<()> {
        let result = Command::result(command.transaction_id, Value::Null, response);
        self.connection.queue_command(id::CONNECTION, stream_id, &result);
        self.connection.flush().wrap_with(|| format!("answer {}", command.name))
    }

    fn queue_notice(&mut self, name: CommandName, notice: Object) {
        let command = Command::new(name, 0.0, [Value::Null, notice.into()]);
        self.connection.queue_command(id::STREAM, STREAM_ID, &command);
    }

    fn queue_status(&mut self, stream_id: u32, info: Object) {
        let command = Command::new(CommandName::OnStatus, 0.0, [Value::Null, info.into()]);
        self.connection.queue_command(id::STREAM, stream_id, &command);
    }

    fn send_status(&mut self, stream_id: u32, info: Object) -> Result<()> {
        self.queue_status(stream_id, info);
        self.connection.flush()
    }
}

/// A line for who looks into the session. Passwords and keys stand in the parameters of names, which are left out.
fn tell(command: &Command) {
    let text = command.text(0);
    let name = text.split_once('?').map_or(text, |(name, _)| name);
    log::debug!(
        "<- {} #{} {}",
        printable(&command.name.to_string()),
        command.transaction_id,
        printable(name)
    );
}

#[cfg(test)]
mod tests {
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
}
