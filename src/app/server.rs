//! The server: wires listeners, sources and clients together, and lives from start to quit.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::access::crowd::{Crowd, Guest};
use super::caster::{self, Casters};
use super::certificates::Certificates;
use super::clients::{ClientTable, Entry};
use super::companions::Retinue;
use super::config::section::listen::KeyFiles;
use super::config::section::vhost::Vhost;
use super::config::{Config, Loaded, Origin};
use super::dash::DashStreams;
use super::dvr::DvrStreams;
use super::edge::{self, Edges};
use super::exporter::{self, Exporter};
use super::ffmpeg::{self, Children};
use super::forward::Forwards;
use super::hds::HdsStreams;
use super::heartbeat;
use super::hls::HlsStreams;
use super::hooks::Hooks;
use super::http::trust::Trust;
use super::http::{self, Http};
use super::identity::Identity;
use super::listener::Listener;
use super::pithy::Turn;
use super::recording::Recordings;
use super::reload::Reloading;
use super::rtmp::{self, Bandchecks};
use super::source::SourceTable;
use super::stat::{self, Statistics};
use super::stream::Stream;
use super::watch::{self, Limits, Overload};
use super::workers::Workers;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::core::sync::Condition;
use crate::core::tcp::TcpStream;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::token::ticket::Tickets;

/// How often idle sources are looked for.
const CLEANUP: Duration = Duration::from_secs(3);
/// How long the end of the server waits for clients to leave and for callback servers to be told.
const LAST_CALLS: Duration = Duration::from_secs(2);
/// How long a client may take for the TLS handshake.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// How often a graceful quit looks for clients that are left.
const GRACE_LOOK: Duration = Duration::from_secs(1);

/// The parts that connections use.
pub struct Server {
    pub(super) config: RefCell<Rc<Config>>,
    /// All streams.
    pub sources: SourceTable,
    /// All clients.
    pub clients: Rc<ClientTable>,
    /// Whose turn it is to print.
    pub turns: Turns,
    /// The HTTP server.
    pub http: Http,
    /// What the API tells of all that.
    pub stat: Rc<Statistics>,
    /// The processes that it runs.
    pub children: Children,
    /// Who this server is.
    pub identity: Identity,
    /// The HTTP callbacks.
    pub hooks: Hooks,
    /// Streams as DASH.
    pub dash: DashStreams,
    /// Streams as HDS.
    pub hds: HdsStreams,
    /// Streams of other servers.
    pub edges: Edges,
    /// What turns other pushes into RTMP streams.
    pub casters: Casters,
    /// The exporter of metrics.
    pub exporter: Exporter,
    /// Streams as HLS.
    pub hls: HlsStreams,
    /// Streams as recorded files.
    pub dvr: DvrStreams,
    /// The bandwidth tests.
    pub bandchecks: Bandchecks,
    /// Streams on their way to other servers.
    pub forwards: Forwards,
    /// What is being written to files.
    pub recordings: Recordings,
    /// What goes along with each publication.
    pub retinue: Retinue,
    /// The reloads.
    pub reloading: Reloading,
    /// Which servers are believed that we call over TLS.
    pub trust: Rc<Trust>,
    /// What players are let in with again for the files of a stream.
    pub tickets: Tickets,
    /// The other processes of this server.
    pub workers: Workers,
    /// Who is turned away while there is too much load.
    pub overload: Rc<Overload>,
    /// How near the limits of the system are.
    pub limits: Limits,
    /// The connections of each address.
    pub crowd: Rc<Crowd>,
    /// Where the configuration comes from.
    pub(super) origin: RefCell<Origin>,
    /// What our listeners of TLS show.
    pub(super) certificates: Certificates,
    /// For RTMP, by whether TLS is spoken, and where.
    listeners: RefCell<HashMap<(bool, SocketAddr), Listener>>,
    quit: Cell<Option<Quit>>,
    /// Another program has the listeners.
    is_retired: Cell<bool>,
    /// All clients are being ended.
    cuts_off: Cell<bool>,
    quit_changed: Condition,
}

/// The periodic lines of each role.
#[derive(Debug, Default)]
pub struct Turns {
    /// RTMP players.
    pub play: Turn,
    /// RTMP publishers.
    pub publish: Turn,
}

/// Serves one connection to its end.
pub type Serve = fn(&Rc<Server>, &Rc<Stream>, SocketAddr, &Entry);

/// What becomes of the connections of a listener.
#[derive(Clone, Copy)]
pub struct Door {
    protocol: &'static str,
    serve: Serve,
    /// Whether only those come here who publish or play.
    is_for_media: bool,
    /// The certificate that they are shown first, if they speak TLS.
    files: Option<fn(&Config) -> &KeyFiles>,
}

impl Door {
    /// Without TLS; `protocol` names the coroutines.
    pub const fn plain(protocol: &'static str, serve: Serve) -> Self {
        Door {
            protocol,
            serve,
            is_for_media: false,
            files: None,
        }
    }

    /// The same for clients that publish or play and do nothing else: it closes while the server is overloaded.
    pub const fn for_media(self) -> Self {
        Door {
            is_for_media: true,
            ..self
        }
    }

    /// The same behind TLS.
    pub const fn behind(self, files: fn(&Config) -> &KeyFiles) -> Self {
        Door {
            files: Some(files),
            ..self
        }
    }
}

/// How the server ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quit {
    /// At once; clients are cut.
    Fast,
    /// After the last client has left.
    Graceful,
}

impl Server {
    /// A server with the configuration of `origin` that does not listen yet.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(origin: Origin, identity: Identity) -> Result<Rc<Self>> {
        let Loaded { config, tree, .. } = origin.load().wrap("load configuration")?;
        let workers = Workers::new(identity.seat.clone());
        let overload = Rc::new(Overload::default());
        let secret = match &identity.seat {
            Some(seat) => seat.secret,
            None => secret()?,
        };
        let stat = Statistics::new(config.stats.enabled);
        let stat = stat.with_ids_of(identity.seat.as_ref().map(|seat| seat.service.as_str()));
        stat.host.count_disks(&config.stats.disk);
        Ok(Rc::new(Server {
            sources: SourceTable::default(),
            clients: Rc::default(),
            turns: Turns::default(),
            http: Http::default(),
            stat: Rc::new(stat),
            identity,
            casters: Casters::default(),
            children: Children::new(&config, workers.is_first(), overload.clone()),
            exporter: Exporter::new(config.exporter.clone()),
            config: RefCell::new(config),
            hooks: Hooks::default(),
            dash: DashStreams::default(),
            hds: HdsStreams::default(),
            edges: Edges::default(),
            hls: HlsStreams::default(),
            dvr: DvrStreams::default(),
            bandchecks: Bandchecks::default(),
            forwards: Forwards::default(),
            recordings: Recordings::default(),
            retinue: Retinue::default(),
            reloading: Reloading::new(tree),
            trust: Rc::default(),
            tickets: Tickets::new(secret),
            workers,
            overload,
            limits: Limits::default(),
            crowd: Rc::default(),
            origin: RefCell::new(origin),
            certificates: Certificates::default(),
            listeners: RefCell::default(),
            quit: Cell::new(None),
            is_retired: Cell::new(false),
            cuts_off: Cell::new(false),
            quit_changed: Condition::new(),
        }))
    }

    /// The configuration in force.
    pub fn config(&self) -> Rc<Config> {
        self.config.borrow().clone()
    }

    /// The vhost that serves `name`.
    ///
    /// # Errors
    /// [`ErrorCode::NoVhost`] when there is none or it is disabled.
    pub fn vhost(&self, name: &str) -> Result<Rc<Vhost>> {
        self.config().vhost(name).ok_or_else(|| {
            let name = crate::kernel::log::printable(name);
            Error::new(
                ErrorCode::NoVhost,
                format!("vhost {name} is unknown or disabled, and so is __defaultVhost__"),
            )
        })
    }

    /// Listens wherever the configuration says; to be called once, before [`Server::run`].
    ///
    /// # Errors
    /// When an address cannot be listened at.
    pub fn listen(self: &Rc<Self>) -> Result<()> {
        self.open_listeners().wrap("listen")?;
        exporter::open(self).wrap("listen")?;
        caster::open(self).wrap("listen")?;
        self.workers.listen(self).wrap("listen")
    }

    /// Has a reload find the configuration below a folder that was made the root of the file system. Gives whether it is
    /// there.
    pub fn move_root(&self, root: &Path) -> bool {
        let moved = self.origin.borrow().below(root);
        let is_there = moved.is_some();
        if let Some(moved) = moved {
            self.origin.replace(moved);
        }
        is_there
    }

    /// Serves until [`Server::quit`]. Yields.
    ///
    /// # Errors
    /// None is known.
    pub fn run(self: &Rc<Self>) -> Result<()> {
        if self.workers.is_first() {
            heartbeat::start(self);
        }
        let registrar = self.clone();
        coroutine::spawn("registry", move || edge::registry::keep(&registrar));
        let cleaner = self.clone();
        coroutine::spawn("clean up sources", move || cleaner.clean_up());
        let viewers = self.clone();
        coroutine::spawn("HLS sessions", move || viewers.hls.watch());
        let watched = self.clone();
        coroutine::spawn("watch", move || watch::run(&watched));
        let limited = self.clone();
        coroutine::spawn("limits", move || watch::limits::run(&limited));
        let reporter = self.clone();
        coroutine::spawn("child processes", move || ffmpeg::report(&reporter));
        self.children.apply(&self.config());
        let statistics = self.stat.clone();
        coroutine::spawn("statistics", move || stat::run(&statistics));
        while self.quit.get().is_none() {
            self.quit_changed.wait();
        }
        if self.quit.get() == Some(Quit::Graceful) {
            self.quit_gracefully();
        }
        self.close_listeners();
        self.tell_ends();
        Ok(())
    }

    /// Ends all clients, so that callback servers learn of it.
    fn tell_ends(self: &Rc<Self>) {
        self.cuts_off.set(true);
        let deadline = Moment::after(LAST_CALLS);
        self.children.stop();
        self.clients.kick_all();
        if !self.clients.wait_empty(deadline) {
            log::warn!("some clients have not ended after {LAST_CALLS:?}");
        }
        if !self.recordings.wait_finished(Moment::after(LAST_CALLS)) {
            log::warn!("some recordings are not finished, the disk took more than {LAST_CALLS:?}");
        }
        if !self.children.wait_ended(Moment::after(LAST_CALLS)) {
            log::warn!("some child processes have not ended after {LAST_CALLS:?}");
        }
        if !self.forwards.wait_finished(Moment::after(LAST_CALLS)) {
            log::warn!(
                "some servers that streams are forwarded to are not told of the end, it took more than {LAST_CALLS:?}"
            );
        }
        self.edges.registry.finish(self);
        self.hls.sessions.end_all();
        if !self.is_retired.get() {
            // Else they are the next program's.
            self.hls.dispose_all(&self.workers);
            self.dash.dispose_all();
        }
        if !self.hooks.wait_told(Moment::after(LAST_CALLS)) {
            log::warn!("some callback servers are not told of the end, it took more than {LAST_CALLS:?}");
        }
    }

    /// Makes [`Server::run`] end; a fast quit cuts a graceful one short.
    pub fn quit(&self, how: Quit) {
        if self.quit.get() != Some(Quit::Fast) {
            self.quit.set(Some(how));
            self.quit_changed.notify_all();
        }
    }

    /// Ends as gracefully as can be, but listens no more at once: the next program does.
    pub fn retire(&self) {
        self.is_retired.set(true);
        self.quit(Quit::Graceful);
    }

    /// Whether the server ends soon, so that clients should not be kept.
    pub fn is_quitting(&self) -> bool {
        self.quit.get().is_some()
    }

    /// Whether all clients are being ended: nothing is kept going for them. While a graceful quit waits, it still is.
    pub fn cuts_off(&self) -> bool {
        self.cuts_off.get()
    }

    fn clean_up(&self) {
        loop {
            coroutine::sleep(CLEANUP);
            if !self.is_retired.get() {
                self.hls.dispose_idle(&self.workers);
                self.dash.dispose_idle();
                self.hds.forget_idle();
            }
            let removed = self.sources.remove_idle();
            if removed > 0 {
                log::debug!("removed {removed} idle sources, {} are left", self.sources.len());
            }
        }
    }

    fn quit_gracefully(&self) {
        let process = self.config().process.clone();
        let wait = match self.is_retired.get() {
            true => Duration::ZERO,
            false => process.grace_start_wait,
        };
        log::info!("graceful quit, listeners close in {wait:?}");
        self.sleep_unless_fast(wait);
        self.close_listeners();
        self.children.stop_ingests();
        let mut looks = 0u32;
        while !self.clients.is_empty() && self.quit.get() != Some(Quit::Fast) {
            if looks.is_power_of_two() && looks <= 32 {
                log::info!(
                    "graceful quit waits for {} clients, {looks} s so far",
                    self.clients.len()
                );
            }
            looks += 1;
            self.sleep_unless_fast(GRACE_LOOK);
        }
        log::info!("graceful quit, {} clients are left", self.clients.len());
        self.sleep_unless_fast(process.grace_final_wait);
    }

    fn sleep_unless_fast(&self, delay: Duration) {
        let deadline = Moment::after(delay);
        while self.quit.get() != Some(Quit::Fast) && self.quit_changed.wait_until(deadline) {}
    }

    /// Opens what the configuration lists and is not open yet, then closes what it no longer lists.
    pub(super) fn open_listeners(self: &Rc<Self>) -> Result<()> {
        let config = self.config();
        let certificates = config.key_files();
        self.certificates.load(&certificates)?;
        let mut wanted = Vec::new();
        for endpoint in &config.listen {
            wanted.push((false, endpoint.socket_addr()?));
        }
        if config.rtmps.enabled {
            wanted.extend(
                config
                    .rtmps
                    .listen
                    .addresses()?
                    .into_iter()
                    .map(|address| (true, address)),
            );
        }
        for &(is_secure, address) in &wanted {
            if self.listeners.borrow().contains_key(&(is_secure, address)) {
                continue;
            }
            let server = self.clone();
            let plain = Door::plain("rtmp", rtmp::serve).for_media();
            let (name, door) = match is_secure {
                true => ("RTMPS", plain.behind(|config| &config.rtmps.files)),
                false => ("RTMP", plain),
            };
            let listener = Listener::open(name, address, move |socket, peer| server.admit(door, socket, peer))?;
            self.listeners.borrow_mut().insert((is_secure, address), listener);
        }
        http::open(self)?;
        self.listeners.borrow_mut().retain(|place, _| wanted.contains(place));
        self.certificates.retain(&certificates);
        self.trust.set(config.tls_verify);
        Ok(())
    }

    fn close_listeners(&self) {
        self.listeners.borrow_mut().clear();
        self.http.close();
        self.casters.close();
        self.exporter.close();
    }

    /// Where it listens for RTMP and HTTP.
    pub fn listening(&self) -> Vec<SocketAddr> {
        let mut all = self.http.addresses();
        all.extend(self.listeners.borrow().keys().map(|(_, address)| address));
        all
    }

    /// Gives a connection a coroutine that serves it, unless too many clients are connected.
    pub fn admit(self: &Rc<Self>, door: Door, socket: TcpStream, peer: SocketAddr) {
        let listener = ContextId::current();
        let id = ContextId::generate();
        id.enter();
        let config = self.config();
        let limit = config.max_connections as usize;
        // Whom a proxy asks for is known later; see `Server::welcome`.
        let guest = match config.trusts(peer.ip()) {
            true => Ok(None),
            false => self.crowd.enter(&config.limits, peer.ip()).map(Some),
        };
        if guest.is_err() || (door.is_for_media && !self.overload.admit(peer)) {
            // It is logged and counted.
        } else if self.clients.len() + self.workers.clients_elsewhere() >= limit {
            let text = format!("{peer} is refused, max_connections {limit} are connected");
            log::warn!("{}", Error::new(ErrorCode::ConnectionsExceed, text).summary());
        } else {
            let server = self.clone();
            let stream = Rc::new(Stream::from(socket));
            let entry = self.clients.enter(id, peer.ip(), &stream);
            let name = format!("{} {peer}", door.protocol);
            let body = move || {
                let _guest = guest;
                entry.client.attend();
                match server.begin_tls(door, &stream) {
                    Ok(()) => (door.serve)(&server, &stream, peer, &entry),
                    Err(error) => log::info!("client {peer} is cut off, {}", error.summary()),
                }
            };
            if let Err(error) = coroutine::spawn_with(name, coroutine::STACK_BYTES, body) {
                log::error!("{peer} is refused, no memory for its coroutine: {error}");
            }
        }
        listener.enter();
    }

    /// Counts a client that a trusted proxy has named; one that speaks for itself is counted since it was accepted.
    ///
    /// # Errors
    /// [`ErrorCode::ConnectionsExceed`] when its address is above a limit.
    pub fn welcome(&self, peer: IpAddr, client: IpAddr) -> Result<Option<Guest>> {
        let config = self.config();
        if peer.to_canonical() == client.to_canonical() || !config.trusts(peer) {
            return Ok(None);
        }
        self.crowd.enter(&config.limits, client).map(Some).map_err(|refused| {
            let text = format!("{client} is above limits.{}", refused.directive());
            Error::new(ErrorCode::ConnectionsExceed, text)
        })
    }

    /// What comes before all else on a door that has it. Not part of its caller, whose stack stays in memory as long as
    /// the client is there.
    #[inline(never)]
    fn begin_tls(&self, door: Door, stream: &Rc<Stream>) -> Result<()> {
        let Some(files) = door.files else {
            return Ok(());
        };
        let config = self.config();
        let settings = self.certificates.current(files(&config))?;
        let machine = settings
            .machine()
            .map_err(|cause| Error::new(ErrorCode::HttpsHandshake, cause))?;
        let agreed = stream.begin_tls(machine, TLS_HANDSHAKE);
        let agreed = agreed.io_wrap(ErrorCode::HttpsHandshake, || "TLS handshake".into())?;
        log::debug!("client speaks {agreed}");
        Ok(())
    }
}

/// What nobody else knows, until the server ends.
pub fn secret() -> Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|cause| Error::new(ErrorCode::StInitialize, format!("make up a secret: {cause}")))?;
    Ok(secret)
}
