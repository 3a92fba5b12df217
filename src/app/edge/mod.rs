//! Clusters: the edge, a vhost whose streams are other servers' (`cluster { mode remote; }`), and origins that send players
//! to each other (`origin_cluster on`). See `docs/edge.md`.
//!
//! A stream is played from an origin once, however many play it here, and only while somebody does. What is published here
//! goes to an origin, each publisher over a connection of its own, and comes back to those who play it.

pub mod cluster;
mod coworkers;
mod flv;
mod origin;
mod pull;
pub mod registry;
mod traverse;
pub mod upstream;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::time::Duration;

use self::origin::Origins;
use self::pull::Pull;
use self::registry::Registry;
pub use self::traverse::traverse;
use self::upstream::Upstreams;
use super::config::section::cluster::Protocol;
use super::config::section::vhost::Vhost;
use super::pithy::Turn;
use super::rtmp::dialogue::Approach;
use super::rtmp::push::{PushOptions, Pusher};
use super::server::Server;
use super::source::Source;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::Frame;
use crate::protocol::rtmp::url::StreamUrl;

/// How long an origin may take for each step of a publish, before the next one is tried.
const PUSH_STEP: Duration = Duration::from_millis(1500);
/// How long it may take to take anything of what is published.
const PUSH_SEND: Duration = Duration::from_secs(10);
/// How long a stream is still played from the origin after somebody asked for it: until then he plays it.
const LINGER: Duration = Duration::from_secs(1);

/// All streams that come from, or go to, origins.
#[derive(Default)]
pub struct Edges {
    pulls: RefCell<HashMap<String, Rc<Pull>>>,
    pushed: RefCell<HashSet<String>>,
    /// Which origin has which stream, if there is a registry.
    pub registry: Registry,
    /// What has come of it all so far.
    pub tally: Tally,
    /// Counts the choices of origins: each begins with the next one.
    choices: Cell<usize>,
    /// Whose turn it is to print.
    turn: Turn,
}

/// Figures since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Connections that played from an origin.
    pub pulls: Cell<u64>,
    /// Attempts and connections to play that failed.
    pub pull_failures: Cell<u64>,
    /// Bytes from origins.
    pub pull_bytes: Cell<u64>,
    /// Connections that published at an origin.
    pub pushes: Cell<u64>,
    /// Publishers that no origin took, or that one dropped.
    pub push_failures: Cell<u64>,
    /// Bytes to origins.
    pub push_bytes: Cell<u64>,
}

fn add(figure: &Cell<u64>, count: u64) {
    figure.set(figure.get().wrapping_add(count));
}

impl Edges {
    /// How many streams are played from elsewhere.
    pub fn pull_count(&self) -> usize {
        self.pulls.borrow().len()
    }

    /// How many streams are published at origins.
    pub fn push_count(&self) -> usize {
        self.pushed.borrow().len()
    }

    /// Plays a stream from an origin, if its vhost is an edge, as long as it has players here. To be called right before
    /// one joins, who plays by `client`.
    pub fn watch(
        &self,
        server: &Rc<Server>,
        vhost: &Rc<Vhost>,
        url: &StreamUrl,
        source: &Rc<Source>,
        client: Protocol,
    ) {
        self.watch_for(server, vhost, url, source, client, LINGER);
    }

    /// The same for players that ask for files now and then, at least once in `pause`; gives what tells of the stream's
    /// progress, unless the vhost is no edge.
    pub fn watch_for(
        &self,
        server: &Rc<Server>,
        vhost: &Rc<Vhost>,
        url: &StreamUrl,
        source: &Rc<Source>,
        client: Protocol,
        pause: Duration,
    ) -> Option<Rc<Pull>> {
        if !vhost.cluster.is_remote {
            return None;
        }
        let origins = || -> Box<dyn Upstreams> { Box::new(Origins::new(server, vhost, url.clone(), client)) };
        Some(self.play_from(server, vhost, url, source, Moment::after(pause), origins))
    }

    /// Plays a stream from one of `upstreams` as long as it has players here, at least until `until`; where that is done
    /// already, it goes on as it is.
    pub fn play_from(
        &self,
        server: &Rc<Server>,
        vhost: &Rc<Vhost>,
        url: &StreamUrl,
        source: &Rc<Source>,
        until: Moment,
        upstreams: impl FnOnce() -> Box<dyn Upstreams>,
    ) -> Rc<Pull> {
        let known = self.pulls.borrow().get(source.url()).cloned();
        if let Some(pull) = known {
            pull.keep_until(until);
            return pull;
        }
        let pull = Rc::new(Pull::new(
            upstreams(),
            vhost.clone(),
            url.clone(),
            source.clone(),
            until,
        ));
        self.pulls.borrow_mut().insert(source.url().to_owned(), pull.clone());
        let running = Running {
            pull: pull.clone(),
            server: Rc::downgrade(server),
        };
        let body = move || running.pull.run(&running.server);
        if let Err(error) = coroutine::spawn_with("edge pull", coroutine::STACK_BYTES, body) {
            log::error!("edge: no memory to play {} from elsewhere: {error}", source.url());
            self.pulls.borrow_mut().remove(source.url());
        }
        pull
    }

    /// Publishes a stream at the first origin that takes it. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::StreamBusy`] when another client publishes it here; that of the last origin when none takes it;
    /// [`ErrorCode::EdgeProxyPull`] when there is none.
    pub fn publish(&self, server: &Rc<Server>, vhost: &Vhost, url: &StreamUrl) -> Result<Proxied> {
        let claim = Claim::new(server, url.stream_url())?;
        let options = PushOptions {
            chunk_size: vhost.chunk_size,
            send_timeout: PUSH_SEND,
            approach: Approach {
                trust: &server.trust,
                connect_timeout: PUSH_STEP,
                dialogue_timeout: PUSH_STEP * 2,
                client: None,
                tells_who: vhost.cluster.debug_srs_upnode,
            },
        };
        let pusher = origin::first(&self.choices, &vhost.cluster, url, |url| Pusher::open(url, options))
            .inspect_err(|_| add(&self.tally.push_failures, 1))?;
        add(&self.tally.pushes, 1);
        Ok(Proxied {
            pusher,
            claim,
            counted: 0,
        })
    }
}

/// A pull at work: however it ends, the next player begins a new one.
struct Running {
    pull: Rc<Pull>,
    server: Weak<Server>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.upgrade() {
            server.edges.pulls.borrow_mut().remove(self.pull.source().url());
        }
    }
}

/// A stream that is published at an origin.
pub struct Proxied {
    pusher: Pusher,
    claim: Claim,
    /// Its bytes that are counted already.
    counted: u64,
}

impl Proxied {
    /// Where it is published, for logs.
    pub fn place(&self) -> &str {
        self.pusher.place()
    }

    /// Hands a message on. Yields.
    ///
    /// # Errors
    /// Those of [`Pusher::push`].
    pub fn push(&mut self, frame: Frame) -> Result<()> {
        let tally = &self.claim.server.edges.tally;
        let pushed = self.pusher.push(&[frame]);
        let sent = self.pusher.stream().sent_bytes();
        add(&tally.push_bytes, sent.saturating_sub(self.counted));
        self.counted = sent;
        pushed.inspect_err(|_| add(&tally.push_failures, 1))
    }
}

/// The right to publish a stream from here.
struct Claim {
    server: Rc<Server>,
    key: String,
}

impl Claim {
    fn new(server: &Rc<Server>, key: String) -> Result<Self> {
        if !server.edges.pushed.borrow_mut().insert(key.clone()) {
            let text = format!("stream {key} is busy, another client of this edge publishes it");
            return Err(Error::new(ErrorCode::StreamBusy, text));
        }
        Ok(Claim {
            server: server.clone(),
            key,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.server.edges.pushed.borrow_mut().remove(&self.key);
    }
}
