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
use super::config::section::vhost::Vhost;
use super::hooks::Caller;
use super::pithy::Turn;
use super::recording::{Beginning, Publisher};
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

/// Whether a forward is to end.
#[derive(Default)]
struct End {
    has_come: Cell<bool>,
    /// It ends although its publication goes on.
    is_early: Cell<bool>,
    changed: Condition,
}

/// The forwards of one publication, which end with this.
#[derive(Default)]
pub struct Forwarding(Vec<Forward>);

struct Forward {
    url: String,
    end: Rc<End>,
    handle: JoinHandle<()>,
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        end(std::mem::take(&mut self.0), false);
    }
}

/// Ends forwards: they send what there is, for a bounded time.
fn end(forwards: Vec<Forward>, is_early: bool) {
    for forward in &forwards {
        forward.end.is_early.set(is_early);
        forward.end.has_come.set(true);
        forward.end.changed.notify_all();
    }
    if forwards.is_empty() {
        return;
    }
    let hasten = move || {
        let deadline = Moment::after(LAST_WORDS);
        for forward in forwards {
            if !forward.handle.wait_for(deadline.since(Moment::now())) {
                forward.handle.interrupt();
            }
        }
    };
    // Without memory for that they end by their own time limits.
    let _ = coroutine::spawn_with("forwards end", coroutine::STACK_BYTES, hasten);
}

/// Forwards a publication to these URLs. To be called before its first message; the result is to be dropped when it ends.
pub fn start(server: &Rc<Server>, publisher: &Publisher, urls: Vec<String>) -> Forwarding {
    let mut forwarding = Forwarding::default();
    for url in urls {
        forwarding.add(server, publisher, url, Beginning::First);
    }
    forwarding
}

impl Forwarding {
    /// Makes the destinations those that the publisher's new settings ask for, in place of the `old` ones. Those that are
    /// in both go on. A backend that fails leaves all as it is. Yields.
    pub fn apply(&mut self, server: &Rc<Server>, old: &Vhost, publisher: &Publisher) {
        if old.forward == publisher.vhost.forward {
            return;
        }
        let wanted = match urls(server, publisher) {
            Ok(wanted) => wanted,
            Err(error) => return log::error!("forwards stay as they are, {}", error.summary()),
        };
        let (kept, ended): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|forward| wanted.contains(&forward.url));
        self.0 = kept;
        end(ended, true);
        for url in wanted {
            if !self.0.iter().any(|forward| forward.url == url) {
                self.add(server, publisher, url, Beginning::Late);
            }
        }
    }

    fn add(&mut self, server: &Rc<Server>, publisher: &Publisher, url: String, beginning: Beginning) {
        if server.forwards.0.all.len() >= FORWARDS {
            log::error!("forward to {} is given up, {FORWARDS} run already", printable(&url));
            return;
        }
        let end = Rc::new(End::default());
        let forwarder = Forwarder::new(server, publisher, url.clone(), &end, beginning);
        match coroutine::spawn_with("forward", coroutine::STACK_BYTES, move || forwarder.run()) {
            Ok(handle) => self.0.push(Forward { url, end, handle }),
            Err(error) => log::error!("forward is given up, no memory for its coroutine: {error}"),
        }
    }
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
