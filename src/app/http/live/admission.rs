//! Whether a player may begin, and the end of one that did: addresses, statistics, callbacks.

use std::rc::Rc;

use super::enter;
use crate::app::config::section::vhost::Vhost;
use crate::app::hooks::{Caller, Details, Event, Subject};
use crate::app::http::exchange::Exchange;
use crate::app::http::tickets;
use crate::app::{access, stat};
use crate::kernel::error::{self, Error};
use crate::protocol::http::status::Status;
use crate::protocol::rtmp::url::StreamUrl;

/// A player that may play; dropping it tells its end.
pub struct Admission {
    entry: Option<stat::Entry>,
    caller: Caller,
    subject: Subject,
}

/// Checks a client that wants to play: its page, its address, its token. Logs a refusal.
///
/// # Errors
/// What to answer.
pub fn admit(exchange: &Exchange<'_, '_>, subject: &Subject) -> Result<(), Status> {
    access::admit_all(tickets::visitor(exchange, subject)).map_err(|error| refusal(&error))
}

/// Checks whether one more player may begin. Logs a refusal.
///
/// # Errors
/// What to answer.
pub fn admit_new(exchange: &Exchange<'_, '_>) -> Result<(), Status> {
    exchange.server.overload.admit_player().map_err(|error| {
        log::warn!("http player is refused, {}", error.summary());
        Status::SERVICE_UNAVAILABLE
    })
}

/// The client of a request, which wants this stream.
pub fn subject(exchange: &Exchange<'_, '_>, vhost: &Rc<Vhost>, url: StreamUrl) -> Subject {
    Subject {
        url,
        ip: exchange.client,
        page_url: exchange.request.headers.get("Referer").unwrap_or_default().to_owned(),
        swf_url: String::new(),
        vhost: vhost.clone(),
    }
}

fn refusal(error: &Error) -> Status {
    log::warn!("http player is refused, {}", error.summary());
    Status::FORBIDDEN
}

impl Admission {
    /// Checks a player, enters it into the statistics and asks whether it may play. Logs a refusal. Yields.
    ///
    /// # Errors
    /// What to answer.
    pub fn ask(exchange: &Exchange<'_, '_>, vhost: &Rc<Vhost>, url: &StreamUrl) -> Result<Self, Status> {
        let subject = subject(exchange, vhost, url.clone());
        admit(exchange, &subject)?;
        admit_new(exchange)?;
        let entry = enter(exchange, url);
        let caller = Caller::new(exchange.server);
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
