//! Statistics: who publishes and plays what, how much, and how the machine does; what the HTTP API, the exporter and
//! the heartbeat tell.
//!
//! Connections enter a [`Client`] and drop their [`Entry`] when they leave; a publisher holds a [`Publishing`] too.
//! Bytes are read off the connections' own counters every three seconds, so a packet costs nothing here.

mod client;
pub mod host;
mod media;
mod reload;
mod stream;
mod traffic;
mod vhost;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

pub use self::client::{Client, ClientKind, NewClient};
pub use self::media::{AudioInfo, VideoInfo};
pub use self::reload::{ReloadLog, ReloadState};
pub use self::stream::{Publishing, Stream};
pub use self::traffic::{Carrier, Traffic};
pub use self::vhost::Vhost;
use crate::app::identity;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::kernel::error::Result;

/// How often bytes, rates and the use of the CPU are sampled.
const PERIOD: Duration = Duration::from_secs(3);
/// Memory and disks are sampled every so many periods.
const MEMORY_PERIODS: u64 = 2;
/// The machine's load, network and sockets are sampled every so many periods.
const NETWORK_PERIODS: u64 = 3;

/// All statistics of the server. It holds one entry for each client, for each stream that a client is at, and for each
/// vhost that had one.
pub struct Statistics {
    vhosts: RefCell<BTreeMap<String, Rc<Vhost>>>,
    /// By the stream's key.
    streams: RefCell<BTreeMap<String, Rc<Stream>>>,
    clients: RefCell<BTreeMap<String, Rc<Client>>>,
    /// All media clients together, those that left too.
    pub total: Traffic,
    entered: Cell<u64>,
    failed: Cell<u64>,
    /// How process and machine do.
    pub host: host::Host,
    /// How the last reload went.
    pub reloads: ReloadLog,
    samples_host: bool,
    /// What the ids of vhosts and streams are made from; random ones without it.
    id_seed: Option<String>,
    lag: Cell<Duration>,
}

impl Default for Statistics {
    fn default() -> Self {
        Statistics::new(true)
    }
}

impl Statistics {
    /// Of clients, and of the machine if wanted.
    pub fn new(samples_host: bool) -> Self {
        Statistics {
            vhosts: RefCell::default(),
            streams: RefCell::default(),
            clients: RefCell::default(),
            total: Traffic::new(),
            entered: Cell::new(0),
            failed: Cell::new(0),
            host: match samples_host {
                true => host::Host::sampled(),
                false => host::Host::unsampled(),
            },
            reloads: ReloadLog::default(),
            samples_host,
            id_seed: None,
            lag: Cell::default(),
        }
    }

    /// The same with ids of vhosts and streams that others with this seed give to them too.
    pub fn with_ids_of(mut self, seed: Option<&str>) -> Self {
        self.id_seed = seed.map(str::to_owned);
        self
    }

    fn id_of(&self, name: &str) -> String {
        match &self.id_seed {
            Some(seed) => identity::id_of(seed, name),
            None => identity::random_id(),
        }
    }

    /// Enters a client until the result is dropped; `carrier` is what its bytes are read from.
    pub fn enter(self: &Rc<Self>, new: NewClient<'_>, carrier: Rc<dyn Carrier>) -> Entry {
        let vhost = self.vhost_of(new.vhost);
        let stream = self.stream_of(&new, &vhost);
        vhost.clients.set(vhost.clients.get() + 1);
        stream.clients.set(stream.clients.get() + 1);
        self.entered.set(self.entered.get() + 1);
        let client = Rc::new(Client::new(&new, stream, carrier));
        self.clients.borrow_mut().insert(new.id.to_owned(), client.clone());
        Entry {
            stat: self.clone(),
            client,
        }
    }

    /// Marks a stream as published by what is no client: a stream that this server plays from another. As
    /// [`Entry::publish`].
    pub fn publish(self: &Rc<Self>, new: NewClient<'_>, parse_config: bool) -> Publishing {
        let vhost = self.vhost_of(new.vhost);
        let stream = self.stream_of(&new, &vhost);
        Publishing::new(self.clone(), stream, new.id, parse_config)
    }

    fn vhost_of(&self, name: &str) -> Rc<Vhost> {
        let mut vhosts = self.vhosts.borrow_mut();
        let make = || Rc::new(Vhost::new(name, self.id_of(name)));
        vhosts.entry(name.to_owned()).or_insert_with(make).clone()
    }

    fn stream_of(&self, new: &NewClient<'_>, vhost: &Rc<Vhost>) -> Rc<Stream> {
        let mut streams = self.streams.borrow_mut();
        let make = || Rc::new(Stream::new(new, vhost.clone(), self.id_of(new.url)));
        streams.entry(new.url.to_owned()).or_insert_with(make).clone()
    }

    /// All vhosts in the order of their ids.
    pub fn vhosts(&self) -> Vec<Rc<Vhost>> {
        let mut all: Vec<_> = self.vhosts.borrow().values().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// The vhost with this id.
    pub fn vhost(&self, id: &str) -> Option<Rc<Vhost>> {
        self.vhosts.borrow().values().find(|vhost| vhost.id == id).cloned()
    }

    /// At most `count` streams in the order of their ids, without the first `start`.
    pub fn streams(&self, start: usize, count: usize) -> Vec<Rc<Stream>> {
        let mut all: Vec<_> = self.streams.borrow().values().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all.into_iter().skip(start).take(count).collect()
    }

    /// The stream with this id.
    pub fn stream(&self, id: &str) -> Option<Rc<Stream>> {
        self.streams.borrow().values().find(|stream| stream.id == id).cloned()
    }

    /// The stream with this key; `None` when nobody publishes or plays it.
    pub fn stream_by_url(&self, url: &str) -> Option<Rc<Stream>> {
        self.streams.borrow().get(url).cloned()
    }

    /// How many streams are published.
    pub fn published_streams(&self) -> usize {
        self.vhosts.borrow().values().map(|vhost| vhost.streams.get()).sum()
    }

    /// At most `count` clients in the order of their ids, without the first `start`.
    pub fn clients(&self, start: usize, count: usize) -> Vec<Rc<Client>> {
        let clients = self.clients.borrow();
        clients.values().skip(start).take(count).cloned().collect()
    }

    /// The client with this id.
    pub fn client(&self, id: &str) -> Option<Rc<Client>> {
        self.clients.borrow().get(id).cloned()
    }

    /// How many clients publish or play now.
    pub fn client_count(&self) -> usize {
        self.clients.borrow().len()
    }

    /// How many clients there were since the start.
    pub fn entered(&self) -> u64 {
        self.entered.get()
    }

    /// How many of them ended with an error; a plain disconnect is one.
    pub fn failed(&self) -> u64 {
        self.failed.get()
    }

    /// How late the last sample was: the time that ready coroutines wait for others.
    pub fn lag(&self) -> Duration {
        self.lag.get()
    }

    /// Reads all byte counters and computes the rates.
    pub fn sample(&self) {
        let now = Moment::now();
        for client in self.clients.borrow().values() {
            self.settle(client);
            client.traffic.sample(now);
        }
        for stream in self.streams.borrow().values() {
            stream.traffic.sample(now);
        }
        for vhost in self.vhosts.borrow().values() {
            vhost.traffic.sample(now);
        }
        self.total.sample(now);
    }

    /// Adds what a client has carried since the last time to all that it belongs to.
    fn settle(&self, client: &Client) {
        let (received, sent) = client.carried();
        for traffic in [
            &client.traffic,
            &client.stream.traffic,
            &client.stream.vhost.traffic,
            &self.total,
        ] {
            traffic.add(received, sent);
        }
    }

    /// Forgets vhosts without clients that the configuration does not know any more.
    pub fn retain_vhosts(&self, is_configured: impl Fn(&str) -> bool) {
        let keep = |name: &String, vhost: &mut Rc<Vhost>| vhost.clients.get() > 0 || is_configured(name);
        self.vhosts.borrow_mut().retain(keep);
    }

    /// A stream is forgotten when nobody publishes or plays it.
    fn clean(&self, stream: &Stream) {
        if stream.is_unused() {
            self.streams.borrow_mut().remove(&stream.url);
        }
    }
}

/// Samples until the process ends. Yields.
pub fn run(stat: &Statistics) {
    for period in 1u64.. {
        let due = Moment::after(PERIOD);
        coroutine::sleep(PERIOD);
        stat.lag.set(Moment::now().since(due));
        stat.sample();
        if !stat.samples_host {
            continue;
        }
        stat.host.sample_cpu();
        if period.is_multiple_of(MEMORY_PERIODS) {
            stat.host.sample_memory();
        }
        if period.is_multiple_of(NETWORK_PERIODS) {
            stat.host.sample_network();
        }
    }
}

/// A client's entry; dropping it takes the client out.
pub struct Entry {
    stat: Rc<Statistics>,
    /// The client.
    pub client: Rc<Client>,
}

impl Entry {
    /// Marks the stream as published by this client until the result is dropped. `parse_config` is whether sequence
    /// headers are read.
    pub fn publish(&self, parse_config: bool) -> Publishing {
        Publishing::new(
            self.stat.clone(),
            self.client.stream.clone(),
            &self.client.id,
            parse_config,
        )
    }

    /// Takes the client out, and counts an error that it ended with.
    pub fn leave(self, ended: &Result<()>) {
        if ended.is_err() {
            self.fail();
        }
    }

    /// Takes the client out, and counts that it ended with an error.
    pub fn fail(self) {
        self.stat.failed.set(self.stat.failed.get() + 1);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let (stat, client) = (&self.stat, &self.client);
        stat.settle(client);
        let mut clients = stat.clients.borrow_mut();
        // An id may have been given again in the meantime.
        if clients.get(&client.id).is_some_and(|found| Rc::ptr_eq(found, client)) {
            clients.remove(&client.id);
        }
        drop(clients);
        let stream = &client.stream;
        stream.clients.set(stream.clients.get() - 1);
        stream.vhost.clients.set(stream.vhost.clients.get() - 1);
        stat.clean(stream);
    }
}

#[cfg(test)]
mod tests;
