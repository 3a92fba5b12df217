//! The connection to a Redis server: batches of commands, each answered in time or not at all.

use std::rc::Rc;
use std::time::Duration;

use crate::app::config::section::registry::Registry as Settings;
use crate::app::dial::{Peer, dial};
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::redis::command::put_command;
use crate::protocol::redis::reply::{Reply, ReplyReader};

/// What one read asks for, bytes.
const READ_BYTES: usize = 4 << 10;

/// Commands that are sent in one go.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    count: usize,
}

impl Batch {
    /// Of one command.
    pub fn of(arguments: &[&[u8]]) -> Self {
        let mut batch = Batch::default();
        batch.add(arguments);
        batch
    }

    /// One command more.
    pub fn add(&mut self, arguments: &[&[u8]]) {
        put_command(&mut self.bytes, arguments);
        self.count += 1;
    }

    /// How many commands it has.
    pub fn len(&self) -> usize {
        self.count
    }
}

/// A connection that is ready for commands.
pub struct Line {
    stream: Rc<Stream>,
    reader: ReplyReader,
    timeout: Duration,
    place: String,
}

impl Line {
    /// Connects, says who we are and chooses the database. Yields.
    ///
    /// # Errors
    /// Those of [`dial`] and [`Line::call`]; [`ErrorCode::OriginClusterDiscover`] with Redis's words when it refuses.
    pub fn open(settings: &Settings) -> Result<Self> {
        let peer = Peer {
            what: "Redis",
            host: &settings.host,
            port: settings.port,
        };
        let stream = dial(peer, None, settings.timeout)?;
        stream.set_write_timeout(Some(settings.timeout));
        let _ = stream.set_nodelay(true);
        let _ = stream.set_keepalive(true);
        let mut line = Line {
            stream,
            reader: ReplyReader::default(),
            timeout: settings.timeout,
            place: format!("Redis {}:{}", settings.host, settings.port),
        };
        let mut batch = Batch::default();
        match (settings.username.as_str(), settings.password.as_str()) {
            (_, "") => {}
            ("", password) => batch.add(&[b"AUTH", password.as_bytes()]),
            (username, password) => batch.add(&[b"AUTH", username.as_bytes(), password.as_bytes()]),
        }
        if settings.database > 0 {
            batch.add(&[b"SELECT", settings.database.to_string().as_bytes()]);
        }
        // Whoever listens there shall show that he is Redis, and that we may ask him.
        batch.add(&[b"PING"]);
        for reply in line.call(&batch)? {
            if let Reply::Failure(text) = reply {
                let text = format!("{} refuses: {}", line.place, printable(&text));
                return Err(Error::new(ErrorCode::OriginClusterDiscover, text));
            }
        }
        Ok(line)
    }

    /// Where it goes, for logs.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Sends commands and gives the reply to each. After an error the connection is of no more use. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketTimeout`] when not all answers are there in time; [`ErrorCode::SocketRead`],
    /// [`ErrorCode::SocketWrite`]; those of [`ReplyReader::pull`].
    pub fn call(&mut self, batch: &Batch) -> Result<Vec<Reply>> {
        let deadline = Moment::after(self.timeout);
        let what = || format!("ask {}", self.place);
        let sent = self.stream.write_all(&batch.bytes);
        sent.io_wrap(ErrorCode::SocketWrite, what)?;
        let (mut replies, mut buffer) = (Vec::new(), [0; READ_BYTES]);
        while replies.len() < batch.count {
            if let Some(reply) = self.reader.pull().wrap_with(what)? {
                replies.push(reply);
                continue;
            }
            let rest = deadline.since(Moment::now());
            if rest.is_zero() {
                let text = format!("{}: no answer in {} s", what(), self.timeout.as_secs_f64());
                return Err(Error::new(ErrorCode::SocketTimeout, text));
            }
            self.stream.set_read_timeout(Some(rest));
            let count = self.stream.read(&mut buffer).io_wrap(ErrorCode::SocketRead, what)?;
            if count == 0 {
                return Err(Error::new(
                    ErrorCode::SocketRead,
                    what() + ": it has closed the connection",
                ));
            }
            self.reader.push(&buffer[..count]);
        }
        Ok(replies)
    }
}
