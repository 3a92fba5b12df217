//! What stands in for TLS in a build without the feature `tls`: the same names, of which none can come into being.

use std::convert::Infallible;
use std::io::{self, IoSlice, Read, Write};

/// What every attempt is told.
const ABSENT: &str = "this server is built without the feature tls";

/// One side of one connection, of which there is none.
pub struct Machine(Infallible);

impl Machine {
    /// Never called.
    pub fn is_handshaking(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn wants_to_send(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn has_ended(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn waiting_bytes(&self) -> usize {
        match self.0 {}
    }

    /// Never called.
    pub fn describe(&self) -> String {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn receive(&mut self, _wire: &mut dyn Read) -> io::Result<()> {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn read(&mut self, _buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn write(&mut self, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn send(&mut self, _wire: &mut dyn Write) -> io::Result<()> {
        match self.0 {}
    }

    /// Never called.
    pub fn close(&mut self) {
        match self.0 {}
    }
}

/// The server's side.
pub mod server {
    use super::{ABSENT, Infallible, Machine};

    /// A certificate and its key, of which there is none.
    #[derive(Clone)]
    pub struct ServerSettings(Infallible);

    /// Which of the two texts is at fault, and why.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum Fault {
        /// The certificate's.
        Certificate(String),
        /// The key's.
        Key(String),
    }

    impl ServerSettings {
        /// Fails.
        ///
        /// # Errors
        /// The feature is missing.
        pub fn from_pem(_certificate: &[u8], _key: &[u8], _resumable: bool) -> Result<Self, Fault> {
            Err(Fault::Certificate(ABSENT.to_owned()))
        }

        /// Never called.
        ///
        /// # Errors
        /// None.
        pub fn machine(&self) -> Result<Machine, String> {
            match self.0 {}
        }
    }
}

/// The client's side.
pub mod client {
    use super::{ABSENT, Infallible, Machine};

    /// Trust, of which there is none.
    #[derive(Clone)]
    pub struct ClientSettings(Infallible);

    impl ClientSettings {
        /// Fails.
        ///
        /// # Errors
        /// The feature is missing.
        pub fn trusting_all() -> Result<Self, String> {
            Err(ABSENT.to_owned())
        }

        /// Fails.
        ///
        /// # Errors
        /// The feature is missing.
        pub fn trusting(_authorities: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, String> {
            Err(ABSENT.to_owned())
        }

        /// Never called.
        ///
        /// # Errors
        /// None.
        pub fn machine(&self, _host: &str) -> Result<Machine, String> {
            match self.0 {}
        }
    }
}
