//! Whether a player may begin, and the end of one that did: addresses, statistics, callbacks.

use std::rc::Rc;

use super::enter;
use crate::app::config::section::security::Action;
use crate::app::config::section::vhost::Vhost;
use crate::app::hooks::{Caller, Details, Event, Subject};
use crate::app::http::exchange::Exchange;
use crate::app::{security, stat};
use crate::kernel::error::{self, Error};
use crate::protocol::http::status::Status;
use crate::protocol::rtmp::url::StreamUrl;

/// A player that may play; dropping it tells its end.
pub struct Admission {
    entry: Option<stat::Entry>,
    caller: Caller,
    subject: Subject,
}

/// Checks the address of a client that wants to play a stream of this vhost. Logs a refusal.
///
/// # Errors
/// What to answer.
pub fn admit(exchange: &Exchange<'_, '_>, vhost: &Vhost) -> Result<(), Status> {
    security::check(&vhost.security, Action::Play, exchange.client).map_err(|error| refusal(&error))
}

fn refusal(error: &Error) -> Status {
    log::warn!("http player is refused, {}", error.summary());
    Status::FORBIDDEN
}

impl Admission {
    /// Enters a player into the statistics and asks whether it may play. Logs a refusal. Yields.
    ///
    /// # Errors
    /// What to answer.
    pub fn ask(exchange: &Exchange<'_, '_>, vhost: &Rc<Vhost>, url: &StreamUrl) -> Result<Self, Status> {
        let entry = enter(exchange, url);
        let caller = Caller::new(exchange.server);
        let subject = Subject {
            url: url.clone(),
            ip: exchange.client,
            page_url: exchange.request.headers.get("Referer").unwrap_or_default().to_owned(),
            swf_url: String::new(),
            vhost: vhost.clone(),
        };
        if let Err(error) = caller.ask(Event::Play, &subject) {
            entry.fail();
            return Err(refusal(&error));
        }
        Ok(Admission {
            entry: Some(entry),
            caller,
            subject,
        })
    }

    /// Takes the player out of the statistics, with what it ended with.
    pub fn leave(mut self, ended: &error::Result<()>) {
        if let Some(entry) = self.entry.take() {
            entry.leave(ended);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.caller.tell(Event::Stop, &self.subject, Details::None);
    }
}
