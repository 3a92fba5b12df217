//! Whole RTMP sessions over a wire in memory: a peer's bytes after its handshake, against our server and our client.

use std::io::{self, Read, Write};

use super::rtmp::decode;
use super::{Pieces, check_error, split_seed};
use crate::kernel::error::Result;
use crate::protocol::rtmp::chunk::Message;
use crate::protocol::rtmp::client::{Client, ConnectOptions, Reply};
use crate::protocol::rtmp::connection::Io;
use crate::protocol::rtmp::handshake::{C0C1_BYTES, C2_BYTES, S0S1S2_BYTES};
use crate::protocol::rtmp::message::{Command, kind};
use crate::protocol::rtmp::server::{ConnectReply, Identity, PlayEvent, PublishEvent, Role, Server};

/// What we may say for each byte of a peer's, and at the start.
const ANSWER_FACTOR: usize = 100;
const ANSWER_BASE: usize = 8192;
/// How often a session publishes or plays in turn.
const ROUNDS: usize = 100;

/// Two bytes of seed, then what a client sends after C2.
///
/// Laws: the session ends with its input; our answers are well-formed chunks, bounded by what was asked, and do not
/// depend on how the input is cut; errors are fit for the log.
pub fn server(input: &[u8]) {
    let Some((seed, bytes)) = split_seed(input) else {
        return;
    };
    let mut hello = vec![0; C0C1_BYTES + C2_BYTES];
    hello[0] = 3;
    hello.extend_from_slice(bytes);
    let run = |wire: Wire| {
        let mut session = Server::new(wire);
        let end = serve(&mut session);
        (end, std::mem::take(&mut session.connection().io_mut().output))
    };
    compare(&hello, seed, S0S1S2_BYTES, run);
}

/// Two bytes of seed, then what a server sends after S2.
///
/// Laws: as for [`server`].
pub fn client(input: &[u8]) {
    let Some((seed, bytes)) = split_seed(input) else {
        return;
    };
    let mut hello = vec![0; S0S1S2_BYTES];
    hello[0] = 3;
    hello.extend_from_slice(bytes);
    let run = |wire: Wire| {
        let mut session = Client::new(wire);
        let end = ask(&mut session, seed & 1 == 0);
        (end, std::mem::take(&mut session.connection().io_mut().output))
    };
    compare(&hello, seed, C0C1_BYTES + C2_BYTES, run);
}

/// Runs a session over the input as a whole, in pieces, and with a peer that is gone when it is answered.
fn compare(input: &[u8], seed: u16, handshake: usize, run: impl Fn(Wire) -> (Result<()>, Vec<u8>)) {
    let sessions = [
        (vec![input], usize::MAX),
        (Pieces::new(input, seed).collect(), usize::MAX),
        (vec![input], handshake + usize::from(seed)),
    ];
    let [whole, cut, _gone] = sessions.map(|(pieces, room)| {
        let pieces = pieces.into_iter();
        let wire = Wire {
            pieces,
            unread: &[],
            output: Vec::new(),
            room,
        };
        let (end, output) = run(wire);
        let error = end.expect_err("a session ends with its input at the latest");
        check_error(&error);
        assert!(
            output.len() < ANSWER_BASE + ANSWER_FACTOR * input.len(),
            "{} bytes",
            output.len()
        );
        (error.summary(), output)
    });
    assert_eq!(whole.0, cut.0, "cuts of seed {seed} change how the session ends");
    assert_eq!(answers(&whole.1, handshake), answers(&cut.1, handshake), "seed {seed}");
}

/// Our messages, without acknowledgements: those follow the reads.
fn answers(output: &[u8], handshake: usize) -> Vec<Message> {
    let decoded = decode(output.get(handshake..).into_iter());
    assert_eq!((&decoded.fault, decoded.waiting), (&None, 0), "what we say is no RTMP");
    let mut messages = decoded.messages;
    messages.retain(|message| message.kind != kind::ACKNOWLEDGEMENT);
    messages
}

fn serve(session: &mut Server<Wire>) -> Result<()> {
    session.handshake(1, &mut |bytes| bytes.fill(0))?;
    let request = session.read_connect()?;
    let identity = Identity {
        signature: "S",
        server: "S/1",
        license: "MIT",
        url: "http://localhost",
        version: "1.0",
        authors: "us",
        ip: "127.0.0.1",
        pid: 1,
        id: "id",
    };
    let reply = ConnectReply {
        out_ack_size: 2_500_000,
        in_ack_size: 0,
        peer_bandwidth: 2_500_000,
        chunk_size: 60_000,
        identity,
    };
    session.accept_connect(&request, &reply)?;
    for _ in 0..ROUNDS {
        match session.identify()? {
            Role::Publish { kind, .. } => {
                session.start_publish(kind)?;
                session.publish_started()?;
                loop {
                    let message = session.connection().read_message()?;
                    if kind::is_command(message.kind) {
                        let command = Command::parse(&message.payload)?;
                        if session.publish_command(kind, &command)? == PublishEvent::Unpublished {
                            break;
                        }
                    }
                }
            }
            Role::Play { .. } => {
                session.start_play()?;
                session.connection().release_buffers();
                play(session)?;
            }
        }
    }
    loop {
        session.connection().read_message()?;
    }
}

fn play(session: &mut Server<Wire>) -> Result<()> {
    loop {
        if let Some(command) = session.try_read_command()?
            && session.play_command(&command)? == PlayEvent::Closed
        {
            return Ok(());
        }
    }
}

fn ask(session: &mut Client<Wire>, publishes: bool) -> Result<()> {
    session.handshake(1, &mut |bytes| bytes.fill(0))?;
    let options = ConnectOptions {
        tc_url: "rtmp://localhost/live".to_owned(),
        app: "live".to_owned(),
        ..ConnectOptions::default()
    };
    if let refused @ Reply::Refused(_) = session.connect(&options)? {
        return refused
            .accepted(crate::kernel::error_code::ErrorCode::RtmpConnect)
            .map(drop);
    }
    let reply = if publishes {
        session.publish("livestream", 60_000)?
    } else {
        session.play("livestream")?
    };
    reply.accepted(crate::kernel::error_code::ErrorCode::RtmpConnect)?;
    loop {
        let message = session.read_message()?;
        Client::<Wire>::status_of(&message)?;
    }
}

/// A peer that has sent all that it will ever send, and that takes a bounded number of bytes before it is gone.
#[derive(Debug)]
struct Wire<'a> {
    pieces: std::vec::IntoIter<&'a [u8]>,
    unread: &'a [u8],
    output: Vec<u8>,
    room: usize,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            self.unread = self.pieces.next().unwrap_or_default();
        }
        let (head, tail) = self.unread.split_at(buffer.len().min(self.unread.len()));
        buffer[..head.len()].copy_from_slice(head);
        self.unread = tail;
        Ok(head.len())
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.output.len() + bytes.len() > self.room {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Io for Wire<'_> {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        // Between two pieces nothing is there; the next look finds more, or the end.
        if self.unread.is_empty() && self.pieces.len() > 0 {
            self.unread = self.pieces.next().unwrap_or_default();
            return Ok(None);
        }
        self.read(buffer).map(Some)
    }
}
