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
mod tests;
