//! What a connection does next.

use std::rc::Rc;

use crate::app::config::section::vhost::Vhost;
use crate::app::hooks::{Caller, Details, Event, Subject};
use crate::app::server::Server;
use crate::app::stat;
use crate::kernel::error::Result;

/// A stream and the settings that hold for it.
pub struct Request {
    /// The client and its stream.
    pub subject: Subject,
    /// The settings.
    pub vhost: Rc<Vhost>,
    /// The client in the statistics.
    pub client: stat::Entry,
    /// The server.
    pub server: Rc<Server>,
    /// The connection's callbacks.
    pub caller: Rc<Caller>,
}

impl Request {
    /// Asks the callback servers; see [`Caller::ask`]. Yields.
    ///
    /// # Errors
    /// Those of [`Caller::ask`].
    pub fn ask(&self, event: Event) -> Result<()> {
        self.caller.ask(event, &self.subject)
    }

    /// Tells the callback servers; see [`Caller::tell`]. Yields.
    pub fn tell(&self, event: Event) {
        self.caller.tell(event, &self.subject, Details::None);
    }
}
