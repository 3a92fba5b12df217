//! Forward: each published stream is published at other servers too. See `docs/forward.md`.
//!
//! Each destination has a coroutine of its own that follows the publication, so that a slow or dead one loses only its own
//! media.

mod forwarder;
mod target;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use self::forwarder::Forwarder;
use super::hooks::Caller;
use super::pithy::Turn;
use super::recording::Publisher;
use super::server::Server;
use crate::core::clock::Moment;
use crate::core::coroutine::{self, JoinHandle};
use crate::core::limits::{FORWARD_TARGETS, FORWARDS};
use crate::core::sync::{Condition, WaitGroup};
use crate::kernel::error::{Result, Wrap};
use crate::kernel::log::printable;

/// How long a destination may take to get the rest of a publication that has ended.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The forwards that run.
#[derive(Default)]
pub struct Forwards(Rc<Running>);

#[derive(Default)]
struct Running {
    /// For the periodic lines.
    turn: Turn,
    all: WaitGroup,
    /// The last one to each URL.
    by_url: RefCell<HashMap<String, WaitGroup>>,
}

impl Forwards {
    /// Waits until all are finished, or `deadline`; gives whether they are. Yields.
    pub fn wait_finished(&self, deadline: Moment) -> bool {
        self.0.all.wait_until(deadline)
    }
}

/// Whether a publication has ended, for its forwards.
#[derive(Default)]
struct End {
    has_come: Cell<bool>,
    changed: Condition,
}

/// The forwards of one publication, which end with this.
#[derive(Default)]
pub struct Forwarding {
    end: Rc<End>,
    forwards: Vec<JoinHandle<()>>,
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.end.has_come.set(true);
        self.end.changed.notify_all();
        let forwards = std::mem::take(&mut self.forwards);
        if forwards.is_empty() {
            return;
        }
        let hasten = move || {
            let deadline = Moment::after(LAST_WORDS);
            for forward in forwards {
                if !forward.wait_for(deadline.since(Moment::now())) {
                    forward.interrupt();
                }
            }
        };
        // Without memory for that they end by their own time limits.
        let _ = coroutine::spawn_with("forwards end", coroutine::STACK_BYTES, hasten);
    }
}

/// Forwards a publication to these URLs. To be called before its first message; the result is to be dropped when it ends.
pub fn start(server: &Rc<Server>, publisher: &Publisher, urls: Vec<String>) -> Forwarding {
    let mut forwarding = Forwarding::default();
    for url in urls {
        if server.forwards.0.all.len() >= FORWARDS {
            log::error!("forward to {} is given up, {FORWARDS} run already", printable(&url));
            continue;
        }
        let forwarder = Forwarder::new(server, publisher, url, &forwarding.end);
        match coroutine::spawn_with("forward", coroutine::STACK_BYTES, move || forwarder.run()) {
            Ok(handle) => forwarding.forwards.push(handle),
            Err(error) => log::error!("forward is given up, no memory for its coroutine: {error}"),
        }
    }
    forwarding
}

/// Where the vhost's settings want a publication to go, each URL once. One that makes no sense is left out, with an error
/// in the log. Yields.
///
/// # Errors
/// The publication is to be refused with them: those of [`Caller::ask_forward`].
pub fn urls(server: &Rc<Server>, publisher: &Publisher) -> Result<Vec<String>> {
    let settings = &publisher.vhost.forward;
    if !settings.enabled {
        return Ok(Vec::new());
    }
    let subject = &publisher.subject;
    let wanted: Vec<Result<String>> = match &settings.backend {
        Some(backend) => {
            let caller = Caller::of_session(server, publisher.id.as_str());
            let urls = caller.ask_forward(subject, backend).wrap("forward")?;
            urls.into_iter().map(|url| target::check(&url).map(|()| url)).collect()
        }
        None => {
            let destinations = settings.destinations.iter();
            destinations
                .map(|destination| target::url_at(destination, &subject.url))
                .collect()
        }
    };
    let mut urls = Vec::new();
    for url in wanted {
        match url {
            Ok(url) if urls.contains(&url) => {}
            Ok(_) if urls.len() >= FORWARD_TARGETS => {
                log::error!("a publication is forwarded to {FORWARD_TARGETS} servers at most, others are left out");
                break;
            }
            Ok(url) => urls.push(url),
            Err(error) => log::error!("{}", error.summary()),
        }
    }
    Ok(urls)
}
