//! Sockets as the protocol layer sees them.

use std::io::{self, Read, Write};
use std::rc::Rc;

use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::protocol::rtmp::connection::Io;

/// A connection's socket; the client table holds it too, to kick the client off.
#[derive(Clone)]
pub struct Socket(pub Rc<Stream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Stream::read(&self.0, buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Io for Socket {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        Stream::try_read(&self.0, buffer)
    }
}

/// A connection that we opened, for a dialogue: its reads all end in time, however slowly the peer talks.
pub struct Line {
    /// The connection.
    pub stream: Rc<Stream>,
    /// When the dialogue has to be over.
    pub deadline: Moment,
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.deadline.since(Moment::now());
        if rest.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(rest));
        self.stream.read(buffer)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Io for Line {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.stream.try_read(buffer)
    }
}
