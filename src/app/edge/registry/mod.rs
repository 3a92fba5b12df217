//! Which origin has which stream, in a Redis server that all servers of a cluster share. See `docs/registry.md`.
//!
//! Each stream is a key whose value names its origin and which expires when nobody renews it. One connection serves all;
//! those who ask take turns. Redis is never waited for longer than its timeout, and not at all while it is away: then
//! streams go on as if there were no registry, and when it is back all of them register again.

mod line;
mod record;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use self::line::{Batch, Line};
pub use self::record::Record;
use crate::app::config::section::registry::Registry as Settings;
use crate::app::server::Server;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::limits::REGISTRY_RELEASES;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::redis::reply::Reply;

/// Registers a stream, or renews it: KEYS\[1\] becomes ARGV\[1\] for ARGV\[2\] ms unless it is another server's, whose value is
/// the answer then.
const HOLD: &[u8] = b"local held = redis.call('GET', KEYS[1])\n\
    if held and held ~= ARGV[1] then return held end\n\
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n\
    return 1";
/// Takes a stream off, if it is ours.
const RELEASE: &[u8] = b"if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end\n\
    return 0";
/// Streams that are renewed in one go, so that others have their turn in between.
const BATCH: usize = 128;
/// How often a lease is renewed in its time.
const RENEWALS: u32 = 3;
/// The pause before Redis is sought again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The registry as this server uses it.
#[derive(Default)]
pub struct Registry {
    /// Whether there is a connection, in `line` or in use.
    is_here: Cell<bool>,
    line: RefCell<Option<Line>>,
    /// Whoever waits for his turn at the connection.
    turn: Changed,
    timeout: Cell<Duration>,
    /// The streams that are published here.
    streams: RefCell<HashMap<String, Stream>>,
    /// Streams that ended and stand in the registry still.
    released: RefCell<HashSet<String>>,
    /// Wakes the keeper: the connection broke, a stream ended, or there are new settings.
    changed: Changed,
    claims: Cell<u64>,
    /// What became of it all.
    pub counts: Counts,
}

type Changed = crate::core::sync::Condition;

/// What is told of the registry.
#[derive(Debug, Default)]
pub struct Counts {
    /// How often Redis failed us.
    pub failures: Cell<u64>,
    /// Publishers that were refused because another origin has their stream.
    pub refused: Cell<u64>,
}

/// A stream that is published here.
struct Stream {
    claim: u64,
    /// Whether the log tells already that another origin has it too.
    is_disputed: bool,
}

/// A stream's place in the registry; dropping it gives it up.
pub struct Claimed {
    server: Rc<Server>,
    key: String,
    claim: u64,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let registry = &self.server.edges.registry;
        let is_ours = |stream: &Stream| stream.claim == self.claim;
        let mut streams = registry.streams.borrow_mut();
        if !streams.get(&self.key).is_some_and(is_ours) {
            return;
        }
        streams.remove(&self.key);
        let mut released = registry.released.borrow_mut();
        // Those above, and all while Redis is away, expire.
        if registry.is_here.get() && released.len() < REGISTRY_RELEASES {
            released.insert(self.key.clone());
            registry.changed.notify_all();
        }
    }
}

impl Registry {
    /// Whether there is a connection to Redis.
    pub fn is_connected(&self) -> bool {
        self.is_here.get()
    }

    /// How many streams this server keeps registered.
    pub fn stream_count(&self) -> usize {
        self.streams.borrow().len()
    }

    /// Registers a stream that is to be published here, until the result is dropped. While Redis is away or slow, or there is
    /// no registry before a reload brings one, the stream is registered later. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::StreamBusy`] when another origin has it.
    pub fn claim(&self, server: &Rc<Server>, key: &str) -> Result<Claimed> {
        let settings = &server.config().registry;
        let claim = self.claims.replace(self.claims.get() + 1);
        self.released.borrow_mut().remove(key);
        let stream = Stream {
            claim,
            is_disputed: false,
        };
        self.streams.borrow_mut().insert(key.to_owned(), stream);
        let claimed = Claimed {
            server: server.clone(),
            key: key.to_owned(),
            claim,
        };
        if !settings.enabled {
            return Ok(claimed);
        }
        let own = Record::own(server);
        let mut batch = Batch::default();
        hold(&mut batch, settings, key, &own.encode());
        let reply = match self.call(&batch) {
            Ok(mut replies) => replies.pop(),
            Err(error) => {
                log::warn!(
                    "registry: {key} is published here unregistered for now, {}",
                    error.summary()
                );
                return Ok(claimed);
            }
        };
        if let Some(other) = holder(reply.as_ref()).filter(|other| other.server != own.server) {
            self.counts.refused.set(self.counts.refused.get() + 1);
            // It is not ours to give up.
            self.streams.borrow_mut().remove(key);
            let text = format!("stream {key} is busy, published at {}", printable(&other.rtmp));
            return Err(Error::new(ErrorCode::StreamBusy, text));
        }
        if let Some(Reply::Failure(text)) = reply {
            log::warn!("registry: {key} cannot be registered: {}", printable(&text));
        }
        Ok(claimed)
    }

    /// Who has a stream that goes by one of these names; another server than this one. `None` without a registry. Yields.
    ///
    /// # Errors
    /// When Redis is away, slow, or refuses.
    pub fn find(&self, server: &Rc<Server>, keys: &[String]) -> Result<Option<Record>> {
        let settings = &server.config().registry;
        if !settings.enabled {
            return Ok(None);
        }
        let names: Vec<_> = keys.iter().map(|key| name(settings, key)).collect();
        let mut arguments: Vec<&[u8]> = vec![b"MGET"];
        arguments.extend(names.iter().map(String::as_bytes));
        match self.call(&Batch::of(&arguments))?.pop() {
            Some(Reply::Array(values)) => {
                let mut records = values.iter().filter_map(|value| holder(Some(value)));
                Ok(records.find(|record| record.server != server.identity.server))
            }
            Some(Reply::Failure(text)) => {
                let text = format!("registry: Redis refuses to look up: {}", printable(&text));
                Err(Error::new(ErrorCode::OriginClusterDiscover, text))
            }
            _ => Ok(None),
        }
    }

    /// Has the settings of a new configuration looked at.
    pub fn settings_changed(&self) {
        self.changed.notify_all();
    }

    /// Takes what has ended out of the registry, before the server ends. Yields.
    pub fn finish(&self, server: &Rc<Server>) {
        if self.is_here.get() {
            self.take_off(server);
        }
    }

    /// Sends commands when it is our turn. Yields.
    fn call(&self, batch: &Batch) -> Result<Vec<Reply>> {
        let deadline = Moment::after(self.timeout.get());
        let (mut turn, mut line) = loop {
            if !self.is_here.get() {
                return Err(Error::new(ErrorCode::OriginClusterDiscover, "Redis is away"));
            }
            if let Some(line) = self.line.take() {
                let turn = Turn {
                    registry: self,
                    line: None,
                };
                break (turn, line);
            }
            if !self.turn.wait_until(deadline) {
                return Err(Error::new(ErrorCode::SocketTimeout, "Redis is slow"));
            }
        };
        let called = line.call(batch);
        if called.is_ok() {
            turn.line = Some(line);
        }
        called
    }

    /// Takes off what has ended.
    fn take_off(&self, server: &Rc<Server>) {
        let released = self.released.take();
        if released.is_empty() {
            return;
        }
        let (settings, own) = (&server.config().registry, Record::own(server).encode());
        let released: Vec<String> = released.into_iter().collect();
        for (number, keys) in released.chunks(BATCH).enumerate() {
            let mut batch = Batch::default();
            for key in keys {
                batch.add(&[b"EVAL", RELEASE, b"1", name(settings, key).as_bytes(), &own]);
            }
            if let Err(error) = self.call(&batch) {
                let left = released.len() - number * BATCH;
                log::warn!("registry: {left} streams expire there, {}", error.summary());
                return;
            }
        }
    }

    /// Registers all streams that are published here, or renews them; gives whether Redis answers.
    fn hold_all(&self, server: &Rc<Server>) -> bool {
        let keys: Vec<String> = self.streams.borrow().keys().cloned().collect();
        if keys.is_empty() {
            // Whoever asks next shall not be the one to find out.
            let answered = self.call(&Batch::of(&[b"PING"]));
            return answered
                .inspect_err(|error| log::warn!("registry: {}", error.summary()))
                .is_ok();
        }
        let (settings, own) = (&server.config().registry, Record::own(server));
        let value = own.encode();
        for keys in keys.chunks(BATCH) {
            let mut batch = Batch::default();
            // One that has ended meanwhile shall not come back.
            let keys: Vec<_> = keys
                .iter()
                .filter(|key| self.streams.borrow().contains_key(*key))
                .collect();
            for key in &keys {
                hold(&mut batch, settings, key, &value);
            }
            if batch.len() == 0 {
                continue;
            }
            let replies = match self.call(&batch) {
                Ok(replies) => replies,
                Err(error) => {
                    log::warn!("registry: streams are not renewed, {}", error.summary());
                    return false;
                }
            };
            for (key, reply) in keys.into_iter().zip(&replies) {
                self.see(key, reply, &own);
            }
            self.see_refusals(&replies);
        }
        true
    }

    /// Tells once of all that Redis refused: it is the same reason in most cases.
    fn see_refusals(&self, replies: &[Reply]) {
        let mut refusals = replies.iter().filter_map(|reply| match reply {
            Reply::Failure(text) => Some(text),
            _ => None,
        });
        if let Some(first) = refusals.next() {
            let count = 1 + refusals.count();
            self.counts.failures.set(self.counts.failures.get() + 1);
            log::warn!(
                "registry: {count} streams are not registered, Redis refuses: {}",
                printable(first)
            );
        }
    }

    /// What Redis says of one stream of ours.
    fn see(&self, key: &str, reply: &Reply, own: &Record) {
        let other = holder(Some(reply)).filter(|other| other.server != own.server);
        let mut streams = self.streams.borrow_mut();
        let Some(stream) = streams.get_mut(key) else {
            // It ended while we asked, and its release may have gone before.
            self.released.borrow_mut().insert(key.to_owned());
            return;
        };
        match (other, stream.is_disputed) {
            (Some(other), false) => {
                let place = printable(&other.rtmp);
                log::warn!("registry: {key} is published here, but {place} had it first: players are sent there");
            }
            (None, true) if matches!(reply, Reply::Failure(_)) => return,
            (None, true) => log::info!("registry: {key} is registered as published here"),
            (None, false) | (Some(_), true) => {}
        }
        stream.is_disputed = holder(Some(reply)).is_some_and(|other| other.server != own.server);
    }
}

/// A turn at the connection. What is not given back by its end is lost, as after an error or a panic.
struct Turn<'a> {
    registry: &'a Registry,
    line: Option<Line>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let registry = self.registry;
        match self.line.take() {
            Some(line) => {
                registry.line.replace(Some(line));
                registry.turn.notify_one();
            }
            None => {
                registry.is_here.set(false);
                registry.counts.failures.set(registry.counts.failures.get() + 1);
                registry.turn.notify_all();
                registry.changed.notify_all();
            }
        }
    }
}

/// Keeps the connection and the leases as long as the server lives. Yields.
pub fn keep(server: &Rc<Server>) {
    let registry = &server.edges.registry;
    let (mut pause, mut is_told) = (FIRST_PAUSE, false);
    loop {
        let settings = server.config().registry.clone();
        if !settings.enabled {
            registry.changed.wait();
            continue;
        }
        match Line::open(&settings) {
            Ok(line) => {
                log::info!("registry: connected to {}", line.place());
                (pause, is_told) = (FIRST_PAUSE, false);
                serve(server, line, &settings);
            }
            Err(error) => {
                registry.counts.failures.set(registry.counts.failures.get() + 1);
                // Once is enough until it is back.
                if !std::mem::replace(&mut is_told, true) {
                    log::warn!("registry: it is sought again and again, {}", error.summary());
                }
            }
        }
        coroutine::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Until the connection breaks, or there are other settings.
fn serve(server: &Rc<Server>, line: Line, settings: &Settings) {
    let registry = &server.edges.registry;
    registry.timeout.set(settings.timeout);
    registry.line.replace(Some(line));
    registry.is_here.set(true);
    let mut renewal = Moment::now();
    while registry.is_here.get() && server.config().registry == *settings {
        registry.take_off(server);
        if Moment::now() >= renewal {
            if !registry.hold_all(server) {
                break;
            }
            renewal = Moment::after(settings.lease / RENEWALS);
            continue;
        }
        if registry.released.borrow().is_empty() {
            registry.changed.wait_until(renewal);
        }
    }
    registry.is_here.set(false);
    // Whoever has it just now finds nobody to give it back to.
    registry.line.take();
    registry.turn.notify_all();
    registry.released.take();
    log::warn!("registry: the connection to Redis has ended");
}

fn hold(batch: &mut Batch, settings: &Settings, key: &str, value: &[u8]) {
    let lease = settings.lease.as_millis().to_string();
    batch.add(&[
        b"EVAL",
        HOLD,
        b"1",
        name(settings, key).as_bytes(),
        value,
        lease.as_bytes(),
    ]);
}

/// The name of a stream's key.
fn name(settings: &Settings, key: &str) -> String {
    format!("{}stream:{key}", settings.prefix)
}

/// Who has a stream, if an answer says that somebody has.
fn holder(reply: Option<&Reply>) -> Option<Record> {
    match reply {
        Some(Reply::Bulk(value)) => Record::decode(value),
        _ => None,
    }
}
