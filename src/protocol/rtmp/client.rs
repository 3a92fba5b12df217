//! The client's side of an RTMP session: connect to another server, and publish to it or play from it.
//!
//! A server's refusal is no error of ours: it comes as [`Reply::Refused`] with what the server said, and where it sent us
//! instead. Every method yields.

use super::chunk::{Message, id};
use super::connection::{Connection, Io};
use super::handshake::{S0S1S2_BYTES, client};
use super::message::{Command, CommandName, Control, Level, Status, StatusCode, UserControl, kind, shown};
use super::skim::Skimmer;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::amf0::{Object, Value};

/// The window after which the server shall acknowledge, bytes.
const WINDOW_BYTES: u32 = 2_500_000;
/// The buffer that we tell a server when we play, milliseconds.
const PLAY_BUFFER_MS: u32 = 1000;

/// What to say in connect.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Where we connect to.
    pub tc_url: String,
    /// The application.
    pub app: String,
    /// The web page of the client on whose behalf we connect; empty is left out.
    pub page_url: String,
    /// The Flash movie of that client; empty is left out.
    pub swf_url: String,
    /// The argument behind the command object: who we are.
    pub args: Option<Object>,
}

/// A server's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<T> {
    /// It agrees.
    Accepted(T),
    /// It does not; the status says why, and may redirect.
    Refused(Status),
}

impl<T> Reply<T> {
    /// The answer as a result, where a refusal is a failure with this code.
    ///
    /// # Errors
    /// `code`, or [`ErrorCode::RtmpRedirect`] if the server named another one; the text carries the server's words.
    pub fn accepted(self, code: ErrorCode) -> Result<T> {
        match self {
            Reply::Accepted(value) => Ok(value),
            Reply::Refused(status) => {
                let description = shown(&status.description);
                let (code, target) = match &status.redirect {
                    Some(redirect) => (ErrorCode::RtmpRedirect, shown(&redirect.tc_url)),
                    None => (code, String::new()),
                };
                let text = format!("the server refused: {} ({description}) {target}", status.code);
                Err(Error::new(code, text.trim_end().to_owned()))
            }
        }
    }

    fn map<U>(self, f: impl FnOnce(T) -> U) -> Reply<U> {
        match self {
            Reply::Accepted(value) => Reply::Accepted(f(value)),
            Reply::Refused(status) => Reply::Refused(status),
        }
    }
}

/// The client's end of a session.
#[derive(Debug)]
pub struct Client<S> {
    connection: Connection<S>,
    transaction_id: f64,
    /// Media that came before the status that announces it.
    early: Option<Message>,
}

impl<S: Io> Client<S> {
    /// A session that begins with the handshake.
    pub fn new(io: S) -> Self {
        Client {
            connection: Connection::new(io),
            transaction_id: 0.0,
            early: None,
        }
    }

    /// The connection below, to write media. Read with [`Client::read_message`].
    pub fn connection(&mut self) -> &mut Connection<S> {
        &mut self.connection
    }

    /// Shakes hands; `millis` and `fill` as for [`client::hello`].
    ///
    /// # Errors
    /// Those of the socket and of [`client::finish`].
    pub fn handshake(&mut self, millis: u32, fill: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        let hello = client::hello(millis, fill);
        self.connection.write_all(&hello[..]).wrap("write c0c1")?;
        let answer = self.connection.peek(S0S1S2_BYTES).wrap("read s0s1s2")?;
        let Some(answer) = answer.first_chunk::<S0S1S2_BYTES>() else {
            return Err(Error::new(ErrorCode::RtmpHandshake, "s0s1s2 is cut short"));
        };
        let end = client::finish(answer, fill)?;
        self.connection.consume(S0S1S2_BYTES);
        self.connection.write_all(&end.c2[..]).wrap("write c2")
    }

    /// Connects to an application; the reply's object is what the server says about itself, if it does.
    ///
    /// # Errors
    /// Those of [`Connection::read_message`], [`Connection::flush`] and [`Command::parse`].
    pub fn connect(&mut self, options: &ConnectOptions) -> Result<Reply<Option<Object>>> {
        let mut object = Object::new()
            .with("app", options.app.as_str())
            .with("flashVer", "WIN 15,0,0,239");
        for (name, text) in [("swfUrl", &options.swf_url), ("tcUrl", &options.tc_url)] {
            if !text.is_empty() {
                object.insert(name, text.as_str());
            }
        }
        object = object
            .with("fpad", false)
            .with("capabilities", 239.0)
            .with("audioCodecs", 3575.0)
            .with("videoCodecs", 252.0)
            .with("videoFunction", 1.0);
        if !options.page_url.is_empty() {
            object.insert("pageUrl", options.page_url.as_str());
        }
        let mut values = vec![Value::Object(object.with("objectEncoding", 0.0))];
        values.extend(options.args.clone().map(Value::Object));
        let transaction_id = self.queue_call(id::CONNECTION, 0, CommandName::Connect, values);
        self.connection.queue_control(&Control::WindowAckSize(WINDOW_BYTES));
        self.connection.flush().wrap("send connect")?;
        let reply = self
            .wait_result(transaction_id)
            .wrap("wait for the answer to connect")?;
        Ok(reply.map(|command| {
            let info = command.argument(0).and_then(Value::as_object);
            info.and_then(|info| info.object("data")).cloned()
        }))
    }

    /// Publishes a stream in the order of FMLE; the reply is the message stream to send media on. `chunk_size` is ours
    /// from now on, bytes.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn publish(&mut self, stream: &str, chunk_size: u32) -> Result<Reply<u32>> {
        self.connection.queue_control(&Control::SetChunkSize(chunk_size));
        let stream_id = match self.announce(stream)? {
            Reply::Accepted(stream_id) => stream_id,
            refused => return Ok(refused),
        };
        let values = vec![Value::Null, stream.into(), "live".into()];
        self.queue_call(id::STREAM, stream_id, CommandName::Publish, values);
        self.connection.flush().wrap("send publish")?;
        let reply = self
            .wait_status(&StatusCode::PublishStart)
            .wrap("wait for the answer to publish")?;
        Ok(reply.map(|()| stream_id))
    }

    /// Says that a stream is to be published, without doing it: servers that check publishers do it now.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn announce(&mut self, stream: &str) -> Result<Reply<u32>> {
        for name in [CommandName::ReleaseStream, CommandName::FcPublish] {
            self.queue_call(id::CONNECTION, 0, name, vec![Value::Null, stream.into()]);
        }
        self.create_stream()
    }

    /// Ends a publish, politely.
    ///
    /// # Errors
    /// Those of [`Connection::flush`].
    pub fn unpublish(&mut self, stream: &str, stream_id: u32) -> Result<()> {
        self.queue_call(
            id::CONNECTION,
            0,
            CommandName::FcUnpublish,
            vec![Value::Null, stream.into()],
        );
        let values = vec![Value::Null, Value::Number(f64::from(stream_id))];
        self.queue_call(id::CONNECTION, 0, CommandName::DeleteStream, values);
        self.connection.flush().wrap("send FCUnpublish")
    }

    /// Plays a live stream; the reply is its message stream.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn play(&mut self, stream: &str) -> Result<Reply<u32>> {
        let stream_id = match self.create_stream()? {
            Reply::Accepted(stream_id) => stream_id,
            refused => return Ok(refused),
        };
        // -2: live, or a recording of that name.
        let values = vec![Value::Null, stream.into(), Value::Number(-2.0)];
        self.queue_call(id::STREAM, stream_id, CommandName::Play, values);
        self.connection
            .queue_control(&Control::UserControl(UserControl::SetBufferLength {
                stream_id,
                millis: PLAY_BUFFER_MS,
            }));
        self.connection.flush().wrap("send play")?;
        let reply = self
            .wait_status(&StatusCode::PlayStart)
            .wrap("wait for the answer to play")?;
        Ok(reply.map(|()| stream_id))
    }

    /// Ends the dialogue of one that plays, as [`Connection::into_skimmer`]; with the media that came too early for it.
    pub fn into_skimmer(self) -> (S, Skimmer, Vec<u8>, Option<Message>) {
        let (io, skimmer, unread) = self.connection.into_skimmer();
        (io, skimmer, unread, self.early)
    }

    /// The next message, as [`Connection::read_message`].
    ///
    /// # Errors
    /// As there.
    pub fn read_message(&mut self) -> Result<Message> {
        match self.early.take() {
            Some(message) => Ok(message),
            None => self.connection.read_message(),
        }
    }

    /// The next message if there is one, as [`Connection::try_read_message`].
    ///
    /// # Errors
    /// As there.
    pub fn try_read_message(&mut self) -> Result<Option<Message>> {
        match self.early.take() {
            Some(message) => Ok(Some(message)),
            None => self.connection.try_read_message(),
        }
    }

    /// The status in a message, if it is a command with one: a server that ends a stream says so this way.
    ///
    /// # Errors
    /// Those of [`Command::parse`].
    pub fn status_of(message: &Message) -> Result<Option<Status>> {
        if !kind::is_command(message.kind) {
            return Ok(None);
        }
        let command = Command::parse(&message.payload)?;
        let tells = matches!(command.name, CommandName::OnStatus | CommandName::Error);
        Ok(Status::find(&command).filter(|_| tells))
    }

    fn create_stream(&mut self) -> Result<Reply<u32>> {
        let transaction_id = self.queue_call(id::CONNECTION, 0, CommandName::CreateStream, vec![Value::Null]);
        self.connection.flush().wrap("send createStream")?;
        let reply = self
            .wait_result(transaction_id)
            .wrap("wait for the answer to createStream")?;
        // The cast saturates; a server that names none means 1, as all do.
        Ok(reply.map(|command| {
            command
                .argument(0)
                .and_then(Value::as_number)
                .map_or(1, |number| number as u32)
        }))
    }

    /// Queues a call and gives its transaction id.
    fn queue_call(&mut self, chunk_stream: u32, stream_id: u32, name: CommandName, values: Vec<Value>) -> f64 {
        self.transaction_id += 1.0;
        let command = Command::new(name, self.transaction_id, values);
        self.connection.queue_command(chunk_stream, stream_id, &command);
        self.transaction_id
    }

    /// Waits for the result of a call. An error status stands for a refusal too.
    fn wait_result(&mut self, transaction_id: f64) -> Result<Reply<Command>> {
        loop {
            let message = self.connection.read_message()?;
            if !kind::is_command(message.kind) {
                continue;
            }
            let command = Command::parse(&message.payload)?;
            let is_ours = command.transaction_id == transaction_id;
            match command.name {
                CommandName::Result if is_ours => return Ok(Reply::Accepted(command)),
                CommandName::Error if is_ours => return Ok(Reply::Refused(refusal(&command))),
                CommandName::OnStatus => {
                    if let Some(status) = Status::find(&command).filter(|status| status.level == Level::Error) {
                        return Ok(Reply::Refused(status));
                    }
                }
                _ => {}
            }
        }
    }

    /// Waits for a status with `code`; media says the same, and is kept for [`Client::read_message`].
    fn wait_status(&mut self, code: &StatusCode) -> Result<Reply<()>> {
        let stream_transaction = self.transaction_id;
        loop {
            let message = self.connection.read_message()?;
            if matches!(message.kind, kind::AUDIO | kind::VIDEO | kind::AGGREGATE) {
                self.early = Some(message);
                return Ok(Reply::Accepted(()));
            }
            if !kind::is_command(message.kind) {
                continue;
            }
            let command = Command::parse(&message.payload)?;
            // Earlier calls such as FCPublish may fail on servers that do not know them.
            if command.name == CommandName::Error && command.transaction_id == stream_transaction {
                return Ok(Reply::Refused(refusal(&command)));
            }
            if command.name != CommandName::OnStatus {
                continue;
            }
            match Status::find(&command) {
                Some(status) if status.level == Level::Error => return Ok(Reply::Refused(status)),
                Some(status) if status.code == *code => return Ok(Reply::Accepted(())),
                _ => {}
            }
        }
    }
}

/// What an `_error` says, also if it says nothing.
fn refusal(command: &Command) -> Status {
    Status::find(command).unwrap_or_else(|| Status {
        level: Level::Error,
        code: StatusCode::Other(String::new()),
        description: command.text(0).to_owned(),
        redirect: None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread::{JoinHandle, spawn};

    use super::*;
    use crate::protocol::rtmp::message::Redirect;
    use crate::protocol::rtmp::server::{ConnectReply, Identity, PublishEvent, PublishKind, Role, Server};

    impl Io for UnixStream {
        fn try_read(&mut self, _: &mut [u8]) -> std::io::Result<Option<usize>> {
            Ok(None)
        }
    }

    const REPLY: ConnectReply = ConnectReply {
        out_ack_size: 2_500_000,
        in_ack_size: 100_000,
        peer_bandwidth: 2_500_000,
        chunk_size: 60_000,
        identity: Identity {
            signature: "SRS",
            server: "SRS/7",
            license: "MIT",
            url: "u",
            version: "7.0.18",
            authors: "us",
            ip: "127.0.0.1",
            pid: 42,
            id: "abcdefgh",
        },
    };

    /// A client that has shaken hands with a server, which runs `serve` after its read_connect on a thread.
    fn pair(
        serve: impl FnOnce(&mut Server<UnixStream>) -> Result<()> + Send + 'static,
    ) -> (Client<UnixStream>, JoinHandle<()>) {
        let (near, far) = UnixStream::pair().unwrap();
        let thread = spawn(move || {
            let mut server = Server::new(far);
            let handshake = server.handshake(1, &mut |bytes| fastrand::fill(bytes)).unwrap();
            assert!(handshake.digest.is_some());
            let request = server.read_connect().unwrap();
            assert_eq!(
                (request.tc_url.as_str(), request.app.as_str()),
                ("rtmp://h/live", "live")
            );
            assert_eq!(request.args.as_ref().and_then(|args| args.string("srs_id")), Some("me"));
            if request.page_url.is_empty() {
                server.accept_connect(&request, &REPLY).unwrap();
            }
            serve(&mut server).unwrap();
        });
        let mut client = Client::new(near);
        client.handshake(2, &mut |bytes| fastrand::fill(bytes)).unwrap();
        (client, thread)
    }

    fn options() -> ConnectOptions {
        ConnectOptions {
            tc_url: "rtmp://h/live".to_owned(),
            app: "live".to_owned(),
            args: Some(Object::new().with("srs_id", "me")),
            ..ConnectOptions::default()
        }
    }

    #[test]
    fn our_client_publishes_to_our_server() {
        let (mut client, thread) = pair(|server| {
            let stream = "s?k=v".to_owned();
            assert_eq!(
                server.identify()?,
                Role::Publish {
                    kind: PublishKind::Fmle,
                    stream
                }
            );
            server.start_publish(PublishKind::Fmle)?;
            server.publish_started()?;
            for index in 0..50 {
                let message = server.connection().read_message()?;
                assert_eq!((message.kind, message.timestamp), (kind::VIDEO, index * 0x100_0000));
                assert_eq!(message.payload.len(), 10_000);
            }
            let command = server.read_command()?;
            assert_eq!(
                server.publish_command(PublishKind::Fmle, &command)?,
                PublishEvent::Unpublished
            );
            Ok(())
        });
        let info = client
            .connect(&options())
            .unwrap()
            .accepted(ErrorCode::RtmpConnect)
            .unwrap();
        assert_eq!(info.unwrap().string("srs_id"), Some("abcdefgh"));
        assert_eq!(client.publish("s?k=v", 4096).unwrap(), Reply::Accepted(1));
        for index in 0..50 {
            let connection = client.connection();
            connection
                .queue_message(id::VIDEO, kind::VIDEO, index * 0x100_0000, 1, &[7; 10_000])
                .unwrap();
            connection.flush().unwrap();
        }
        client.unpublish("s?k=v", 1).unwrap();
        loop {
            let message = client.read_message().unwrap();
            if Client::<UnixStream>::status_of(&message)
                .unwrap()
                .is_some_and(|s| s.code == StatusCode::UnpublishSuccess)
            {
                break;
            }
        }
        thread.join().unwrap();
    }

    #[test]
    fn our_client_plays_from_our_server() {
        let (mut client, thread) = pair(|server| {
            assert_eq!(
                server.identify()?,
                Role::Play {
                    stream: "s".to_owned(),
                    duration_ms: None
                }
            );
            server.start_play()?;
            server
                .connection()
                .queue_message(id::AUDIO, kind::AUDIO, 23, 1, &[1; 70_000])?;
            server.connection().flush()
        });
        client.connect(&options()).unwrap();
        assert_eq!(client.play("s").unwrap(), Reply::Accepted(1));
        let kinds: Vec<_> = (0..2).map(|_| client.read_message().unwrap().kind).collect();
        assert_eq!(kinds, [kind::AMF0_DATA, kind::AUDIO]);
        thread.join().unwrap();
    }

    #[test]
    fn media_before_the_status_is_kept() {
        let (mut client, thread) = pair(|server| {
            server.identify()?;
            server.connection().queue_message(id::AUDIO, kind::AUDIO, 23, 1, b"a")?;
            server.connection().flush()
        });
        client.connect(&options()).unwrap();
        assert_eq!(client.play("s").unwrap(), Reply::Accepted(1));
        assert_eq!(client.read_message().unwrap().payload, &b"a"[..]);
        thread.join().unwrap();
    }

    #[test]
    fn refusals_and_redirects_carry_the_servers_words() {
        let (mut client, thread) = pair(|server| server.reject(&StatusCode::ConnectRejected, "not\nyou"));
        let refused = client
            .connect(&ConnectOptions {
                page_url: "http://p".to_owned(),
                ..options()
            })
            .unwrap();
        let error = refused.accepted(ErrorCode::RtmpConnect).unwrap_err();
        assert_eq!(error.code(), ErrorCode::RtmpConnect);
        assert_eq!(
            error.message(),
            "the server refused: NetConnection.Connect.Rejected (not\\nyou)"
        );
        thread.join().unwrap();

        let target = Redirect {
            tc_url: "rtmp://b/live".to_owned(),
            url: Some("rtmp://b/live/s".to_owned()),
        };
        let sent = target.clone();
        let (mut client, thread) = pair(move |server| {
            server.identify()?;
            server.redirect(&sent)
        });
        client.connect(&options()).unwrap();
        let Reply::Refused(status) = client.play("s").unwrap() else {
            panic!("accepted");
        };
        assert_eq!(status.redirect, Some(target));
        let error = Reply::<()>::Refused(status)
            .accepted(ErrorCode::RtmpConnect)
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::RtmpRedirect);
        thread.join().unwrap();
    }
}
