//! HTTP callbacks: what clients do is told to web servers of the operator, who may refuse it. See `docs/http-callbacks.md`.
//!
//! A call holds up its client and nobody else. The end of something is told by a coroutine of its own, since nobody
//! waits for the answer; the calls of one client still come one after the other, in the order of what happened.

mod answer;
mod body;
mod forward;
mod notify;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::{Rc, Weak};

pub use self::body::{HlsSegment, Traffic};
use self::body::{Said, Who};
use crate::app::config::section::vhost::Vhost;
use crate::app::http::client::{self, Timeouts};
use crate::app::http::trust::Trust;
use crate::app::server::Server;
use crate::core::clock::Moment;
use crate::core::coroutine::{self, JoinHandle};
use crate::core::id::ContextId;
use crate::core::limits::HOOK_NOTICES;
use crate::core::sync::WaitGroup;
use crate::kernel::error::Result;
use crate::kernel::log::printable;
use crate::protocol::rtmp::url::StreamUrl;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It said what it wants; the callback may refuse.
    Connect,
    /// Its connection ended.
    Close,
    /// It wants to publish; the callback may refuse.
    Publish,
    /// It published, and no longer does.
    Unpublish,
    /// It wants to play; the callback may refuse.
    Play,
    /// It played, and no longer does.
    Stop,
    /// A file of what it publishes is complete.
    Dvr,
    /// An HLS segment of what it publishes is complete.
    Hls,
}

impl Event {
    /// The name in the configuration and in bodies.
    pub fn name(self) -> &'static str {
        match self {
            Event::Connect => "on_connect",
            Event::Close => "on_close",
            Event::Publish => "on_publish",
            Event::Unpublish => "on_unpublish",
            Event::Play => "on_play",
            Event::Stop => "on_stop",
            Event::Dvr => "on_dvr",
            Event::Hls => "on_hls",
        }
    }
}

/// What there is to tell beside who did it.
#[derive(Clone, Copy, Debug)]
pub enum Details<'a> {
    /// Nothing.
    None,
    /// Of [`Event::Close`].
    Traffic(Traffic),
    /// Of [`Event::Dvr`]: the file, as configured.
    File(&'a str),
    /// Of [`Event::Hls`].
    Segment(HlsSegment<'a>),
}

/// What all calls of the server share.
pub struct Hooks {
    /// For calls from now on.
    pub timeouts: Cell<Timeouts>,
    notices: WaitGroup,
}

impl Default for Hooks {
    fn default() -> Self {
        Hooks {
            timeouts: Cell::default(),
            notices: WaitGroup::new(),
        }
    }
}

impl Hooks {
    /// Waits until all ends are told, or `deadline`. Yields.
    pub fn wait_told(&self, deadline: Moment) -> bool {
        self.notices.wait_until(deadline)
    }
}

/// A client, as the callback server sees it.
#[derive(Clone)]
pub struct Subject {
    /// The stream; its vhost is the one that serves it.
    pub url: StreamUrl,
    /// The client's address, or the one that a proxy in front told.
    pub ip: IpAddr,
    /// The page that holds the player, empty when unknown.
    pub page_url: String,
    /// The Flash player's file, empty when unknown.
    pub swf_url: String,
    /// The settings when it came; those of a reload since then go before.
    pub vhost: Rc<Vhost>,
}

/// The calls of one connection.
pub struct Caller {
    server: Weak<Server>,
    client: String,
    /// The last end that is being told.
    last: RefCell<Option<JoinHandle<()>>>,
}

impl Caller {
    /// For the running coroutine's client.
    pub fn new(server: &Rc<Server>) -> Self {
        Caller {
            server: Rc::downgrade(server),
            client: ContextId::current().to_string(),
            last: RefCell::default(),
        }
    }

    /// For a client whose requests come over many connections; `id` is its own.
    pub fn of_session(server: &Rc<Server>, id: &str) -> Self {
        Caller {
            client: id.to_owned(),
            ..Caller::new(server)
        }
    }

    /// Asks whether the client may; at once when nobody wants to be asked. Yields.
    ///
    /// # Errors
    /// The first refusal, or failed call: those of [`client::fetch`],
    /// [`crate::kernel::error_code::ErrorCode::HttpStatus`],
    /// [`crate::kernel::error_code::ErrorCode::HttpResponseData`],
    /// [`crate::kernel::error_code::ErrorCode::HttpResponseCode`].
    pub fn ask(&self, event: Event, subject: &Subject) -> Result<()> {
        let Some(call) = self.prepare(event, subject, Details::None) else {
            return Ok(());
        };
        // What this client did before must have arrived.
        if let Some(last) = self.last.take() {
            let _ = last.join();
        }
        call.run()
    }

    /// Tells the end of something; failures are warnings. Yields when very many ends are being told.
    pub fn tell(&self, event: Event, subject: &Subject, details: Details<'_>) {
        let (Some(call), Some(server)) = (self.prepare(event, subject, details), self.server.upgrade()) else {
            return;
        };
        let last = self.last.take();
        let crowded = server.hooks.notices.len() >= HOOK_NOTICES;
        let member = server.hooks.notices.enter();
        drop(server);
        let body = move || {
            if let Some(last) = last {
                let _ = last.join();
            }
            if let Err(error) = call.run() {
                log::warn!("http hook is ignored: {}", error.summary());
            }
            drop(member);
        };
        if crowded {
            return body();
        }
        match coroutine::spawn_with(event.name(), coroutine::STACK_BYTES, body) {
            Ok(told) => {
                self.last.replace(Some(told));
            }
            Err(error) => log::warn!("{} is not told, no memory for a coroutine: {error}", event.name()),
        }
    }

    /// `None` when nobody is to be called.
    fn prepare(&self, event: Event, subject: &Subject, details: Details<'_>) -> Option<Call> {
        let server = self.server.upgrade()?;
        let now = server.config().vhost(&subject.url.vhost);
        let urls = now.as_ref().unwrap_or(&subject.vhost).http_hooks.urls(event).to_vec();
        if urls.is_empty() {
            return None;
        }
        let hooks = &server.hooks;
        let ip = subject.ip.to_canonical().to_string();
        let stream_url = subject.url.stream_url();
        let stream_id = server.stat.stream_by_url(&stream_url).map(|stream| stream.id.clone());
        let said = Said {
            who: Who {
                server_id: &server.identity.server,
                service_id: &server.identity.service,
                action: event.name(),
                client_id: &self.client,
                ip: &ip,
                vhost: &subject.url.vhost,
                app: &subject.url.app,
            },
            url: &subject.url,
            page_url: &subject.page_url,
            cwd: &server.identity.folder,
            stream_url: &stream_url,
            stream_id: stream_id.as_deref(),
        };
        let body = said.body(event, details);
        Some(Call {
            event,
            urls,
            body,
            timeouts: hooks.timeouts.get(),
            trust: server.trust.clone(),
        })
    }
}

/// The calls of one event: what is needed is copied, so that no reload changes it half way.
struct Call {
    event: Event,
    urls: Vec<String>,
    body: Vec<u8>,
    timeouts: Timeouts,
    trust: Rc<Trust>,
}

impl Call {
    /// One after the other; the first failure ends it.
    fn run(&self) -> Result<()> {
        for url in &self.urls {
            let name = || format!("http hook {} {}", self.event.name(), printable(url));
            let answer = match client::fetch(&self.trust, "POST", url, &self.body, self.timeouts) {
                Ok(answer) => answer,
                Err(error) => return Err(error.wrap(name())),
            };
            answer::check(&answer).map_err(|error| error.wrap(name()))?;
            log::info!("{} ok", name());
        }
        Ok(())
    }
}
