//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446) as a machine between a wire and its user: the wire is a parameter, never waited
//! for. The cryptography is rustls; what lives here is its bounded use and what its errors mean to an operator.
//!
//! One [`Machine`] serves both directions, so nobody may hold it while waiting. Keys and trust are [`server`] and
//! [`client`].

pub mod client;
pub mod server;
#[cfg(test)]
pub(crate) mod tests;

use std::io::{self, IoSlice, Read, Write};

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{Connection, Error};

use crate::core::clock;
use crate::core::limits::TLS_PENDING_BYTES;

/// The content type of a handshake's records, with which every TLS connection begins (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// The first byte of plain RTMP: its version.
const RTMP_VERSION: u8 = 3;

/// The server's clock: the one that rustls has of its own may end early, see [`clock::is_beyond_std`].
#[derive(Debug)]
struct WallClock;

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(clock::unix_time()))
    }
}

/// One side of one connection.
pub struct Machine {
    connection: Connection,
    /// The first byte of the peer.
    first: Option<u8>,
    /// Decrypted bytes that wait for [`Machine::read`].
    waiting: usize,
    has_ended: bool,
}

impl Machine {
    fn new(mut connection: Connection) -> Self {
        connection.set_buffer_limit(Some(TLS_PENDING_BYTES));
        Machine {
            connection,
            first: None,
            waiting: 0,
            has_ended: false,
        }
    }

    /// Whether the two sides have yet to agree; nothing can be read or written before.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the wire has bytes to take.
    pub fn wants_to_send(&self) -> bool {
        self.connection.wants_write()
    }

    /// Whether the peer sends no more.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Decrypted bytes that [`Machine::read`] has.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting
    }

    /// Protocol and cipher, for the log.
    pub fn describe(&self) -> String {
        let version = self.connection.protocol_version().and_then(|version| version.as_str());
        let suite = self.connection.negotiated_cipher_suite();
        let suite = suite.and_then(|suite| suite.suite().as_str());
        format!("{} {}", version.unwrap_or("TLS"), suite.unwrap_or_default())
    }

    /// Takes what one read of the wire gives. To be called when [`Machine::read`] has nothing.
    ///
    /// # Errors
    /// The wire's, `WouldBlock` among them. `ConnectionAborted` for an alert of the peer, `InvalidData` for what is no
    /// TLS or not of this connection; the connection is over then, and [`Machine::send`] has an alert that says so.
    pub fn receive(&mut self, wire: &mut dyn Read) -> io::Result<()> {
        let mut wire = FirstByte {
            wire,
            first: &mut self.first,
        };
        if self.connection.read_tls(&mut wire)? == 0 {
            self.has_ended = true;
        }
        match self.connection.process_new_packets() {
            Ok(state) => {
                self.waiting = state.plaintext_bytes_to_read();
                Ok(())
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Decrypted bytes; `None` when there are none yet, 0 at the peer's end. A peer that ends without a farewell, as
    /// many do, has ended all the same: what is cut short shows in the protocol above.
    ///
    /// # Errors
    /// None that is known.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.connection.reader().read(buffer) {
            Ok(count) => {
                self.waiting = self.waiting.saturating_sub(count);
                self.has_ended |= count == 0 && !buffer.is_empty();
                Ok(Some(count))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.has_ended => Ok(None),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::UnexpectedEof) => {
                Ok(Some(0))
            }
            Err(error) => Err(error),
        }
    }

    /// Encrypts from the front of `slices` as much as may wait for the wire; gives how many bytes that was, 0 when
    /// [`TLS_PENDING_BYTES`] wait already.
    ///
    /// # Errors
    /// None that is known.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.writer().write_vectored(slices)
    }

    /// Gives the wire what waits for it.
    ///
    /// # Errors
    /// The wire's; at `WouldBlock` the rest goes on waiting.
    pub fn send(&mut self, wire: &mut dyn Write) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(wire)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Says that we send no more; [`Machine::send`] takes it to the peer.
    pub fn close(&mut self) {
        self.connection.send_close_notify();
    }

    fn explain(&self, error: Error) -> io::Error {
        let kind = match error {
            Error::AlertReceived(_) => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::InvalidData,
        };
        let text = match (&error, self.first) {
            (Error::AlertReceived(alert), _) => format!("peer sent the TLS alert {alert:?}"),
            (_, Some(RTMP_VERSION)) => "peer speaks plain RTMP where TLS is expected".to_owned(),
            (_, Some(first)) if first.is_ascii_alphabetic() => {
                "peer speaks plain HTTP or another text where TLS is expected".to_owned()
            }
            (_, Some(first)) if first != HANDSHAKE => {
                format!("peer does not speak TLS, its first byte is {first:#04x}")
            }
            _ => format!("TLS: {error}"),
        };
        io::Error::new(kind, text)
    }
}

/// Looks at the first byte that passes.
struct FirstByte<'w> {
    wire: &'w mut dyn Read,
    first: &'w mut Option<u8>,
}

impl Read for FirstByte<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.wire.read(buffer)?;
        if self.first.is_none() {
            *self.first = buffer[..count].first().copied();
        }
        Ok(count)
    }
}
