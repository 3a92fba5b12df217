//! What a connection does next.

use std::rc::Rc;

use crate::app::access::{self, Entrance, Gate, Visitor};
use crate::app::config::section::security::Action;
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
    /// Whether the client may do this now that media would flow; see [`access::admit`].
    ///
    /// # Errors
    /// Those of [`access::admit`].
    pub fn admit(&self, action: Action) -> Result<()> {
        let visitor = Visitor {
            subject: &self.subject,
            action,
            entrance: Entrance::Rtmp,
        };
        access::admit(visitor, Gate::Media)
    }

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
