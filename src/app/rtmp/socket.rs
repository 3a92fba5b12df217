//! The socket as the protocol layer sees it.

use std::io::{self, Read, Write};
use std::rc::Rc;

use crate::app::stream::Stream;
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
