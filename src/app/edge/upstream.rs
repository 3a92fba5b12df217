//! Where the streams come from that are played here: a connection that plays one, and whoever makes such connections.

use std::rc::Rc;

use crate::app::server::Server;
use crate::app::stat::Carrier;
use crate::core::clock::Moment;
use crate::kernel::error::Result;
use crate::kernel::frame::Frame;

/// A connection that plays one stream elsewhere. Dropping it cuts the connection.
pub trait Upstream {
    /// Where it plays, for logs; without parameters, which may hold secrets.
    fn place(&self) -> &str;

    /// What counts its bytes.
    fn carrier(&self) -> &dyn Carrier;

    /// Appends the frames that have come, after waiting for the first one until `deadline` at most. Yields.
    ///
    /// # Errors
    /// When the other side breaks the connection or the rules, or has been silent for too long.
    fn take(&mut self, frames: &mut Vec<Frame>, deadline: Moment) -> Result<Pulled>;
}

/// What a look brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pulled {
    /// The stream goes on.
    Live,
    /// Its publisher has left that server.
    Ended,
    /// It is at another server: its URL there.
    Elsewhere(String),
}

/// Those who may have a stream.
pub trait Upstreams {
    /// How many attempts may fail in a row before there is a pause: how many they are.
    fn len(&self) -> usize;

    /// Whether there is nobody to ask.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Connects to the one whose turn it is, and plays the stream there. Yields.
    ///
    /// # Errors
    /// When it cannot be reached, or refuses.
    fn open(&self, server: &Rc<Server>) -> Result<Box<dyn Upstream>>;

    /// Connects to where the one before said that the stream is. Yields.
    ///
    /// # Errors
    /// As [`Upstreams::open`].
    fn follow(&self, server: &Rc<Server>, url: &str) -> Result<Box<dyn Upstream>>;
}
