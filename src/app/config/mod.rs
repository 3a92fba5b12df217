//! The configuration: text to tree, checked against one table of directives, read into typed snapshots.
//!
//! The way of a file: [`syntax`] makes a tree of it, `transform` rewrites old spellings, `check` refuses what is
//! illegal, `lint` warns about what is accepted but odd, and [`section`] reads the values once. Nothing looks up a
//! string after that: the server holds a [`Config`]. A reload does the same with new bytes and compares.

mod check;
pub mod diagnostic;
pub mod difference;
pub mod directive;
pub mod effective;
pub mod endpoint;
pub mod env;
pub mod host;
mod lexer;
mod lint;
pub mod load;
mod nearest;
pub mod network;
mod origin;
pub mod place;
mod programs;
pub mod report;
mod scope;
mod secret;
pub mod section;
pub mod syntax;
mod table;
mod transform;
mod value;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use self::diagnostic::Fault;
pub use self::endpoint::Endpoint;
pub use self::host::Host;
#[cfg(test)]
pub use self::load::load_text;
pub use self::load::{LoadOptions, Loaded, read_file};
pub use self::network::Network;
pub use self::origin::Origin;
use self::scope::Scope;
use self::section::caster::Caster;
use self::section::circuit_breaker::CircuitBreaker;
use self::section::exporter::Exporter;
use self::section::ff_log::FfLog;
use self::section::heartbeat::Heartbeat;
use self::section::http_api::HttpApi;
use self::section::http_server::HttpServer;
use self::section::limits::Limits;
use self::section::listen::KeyFiles;
use self::section::log::Log;
use self::section::process::Process;
use self::section::registry::Registry;
use self::section::rtmps::{self, Rtmps};
use self::section::stats::Stats;
use self::section::threads::Threads;
use self::section::vhost::{DEFAULT_VHOST, Vhost, read_chunk_size};
use self::syntax::ReadFile;

/// All settings of a server, as they were when the configuration was loaded.
#[derive(Debug)]
pub struct Config {
    /// How the process runs.
    pub process: Process,
    /// Where the log goes.
    pub log: Log,
    /// Where RTMP clients are awaited; only a server without a file may have none.
    pub listen: Vec<Endpoint>,
    /// The same as it was written.
    pub listen_texts: Vec<String>,
    /// How many clients may be connected at a time, above 0.
    pub max_connections: u32,
    /// The size of RTMP chunks that we send where no vhost says another, bytes, from 128.
    pub chunk_size: u32,
    /// The time between the progress lines of each kind of client.
    pub pithy_print: Duration,
    /// Logs of child processes.
    pub ff_log: FfLog,
    /// The HTTP API.
    pub http_api: HttpApi,
    /// The HTTP server for media and files.
    pub http_server: HttpServer,
    /// What turns other pushes into RTMP streams: those that are enabled.
    pub casters: Vec<Caster>,
    /// When the server is overloaded.
    pub circuit_breaker: CircuitBreaker,
    /// The exporter of metrics.
    pub exporter: Exporter,
    /// Reports that are sent home.
    pub heartbeat: Heartbeat,
    /// How the server watches itself.
    pub threads: Threads,
    /// Statistics of the machine.
    pub stats: Stats,
    /// The proxies whose word for a client's address is taken, for requests over HTTP.
    pub trusted_proxies: Vec<Network>,
    /// What one address may ask of the server.
    pub limits: Limits,
    /// Which origin has which stream, for all servers of a cluster.
    pub registry: Registry,
    /// RTMP behind TLS.
    pub rtmps: Rtmps,
    /// `tls_verify`: whether servers that we call over TLS must show a certificate that the system trusts.
    pub tls_verify: bool,
    vhosts: Vec<Rc<Vhost>>,
    by_name: HashMap<String, usize>,
}

impl Config {
    /// Reads, checks and types a configuration.
    ///
    /// # Errors
    /// `ConfigInvalid` or `FileOpen`, with the place in the file. [`load::load`] gives the same as a
    /// [`diagnostic::Fault`], which can also show the line.
    pub fn load(options: &LoadOptions<'_>) -> crate::kernel::error::Result<Loaded> {
        Ok(load::load(options)?)
    }

    /// The vhost that serves a name: the one of that name, else the default one; `None` when there is neither, or
    /// when that one is disabled.
    pub fn vhost(&self, name: &str) -> Option<Rc<Vhost>> {
        let index = self.by_name.get(name).or_else(|| self.by_name.get(DEFAULT_VHOST))?;
        self.vhosts.get(*index).filter(|vhost| vhost.enabled).cloned()
    }

    /// The vhost of exactly this name; `None` when there is none or it is disabled.
    pub fn vhost_named(&self, name: &str) -> Option<Rc<Vhost>> {
        let index = self.by_name.get(name)?;
        self.vhosts.get(*index).filter(|vhost| vhost.enabled).cloned()
    }

    /// Whether a peer is a proxy whose word for a client's address is taken.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }

    /// All vhosts in the order of the file, disabled ones too; of two with one name the first.
    pub fn vhosts(&self) -> &[Rc<Vhost>] {
        &self.vhosts
    }

    /// Where RTMP and HTTP clients are awaited, over TLS too.
    ///
    /// # Errors
    /// [`crate::kernel::error_code::ErrorCode::SocketBind`] for what is no address.
    pub fn tcp_addresses(&self) -> crate::kernel::error::Result<Vec<SocketAddr>> {
        let (media, api) = (&self.http_server, &self.http_api);
        let servers = [
            (media.enabled, &media.listen),
            (media.enabled && media.https.enabled, &media.https.listen),
            (api.enabled, &api.listen),
            (api.enabled && api.https.enabled, &api.https.listen),
            (self.rtmps.enabled, &self.rtmps.listen),
        ];
        let mut all = Vec::new();
        for endpoint in &self.listen {
            all.push(endpoint.socket_addr()?);
        }
        for (_, listen) in servers.into_iter().filter(|(runs, _)| *runs) {
            all.extend(listen.addresses()?);
        }
        Ok(all)
    }

    /// The certificates of all servers that run behind TLS.
    pub fn key_files(&self) -> Vec<KeyFiles> {
        let (media, api) = (&self.http_server, &self.http_api);
        let servers = [
            (media.enabled && media.https.enabled, &media.https),
            (api.enabled && api.https.enabled, &api.https),
            (self.rtmps.enabled, &self.rtmps),
        ];
        let running = servers.into_iter().filter(|(runs, _)| *runs);
        running.map(|(_, server)| server.files.clone()).collect()
    }

    fn read(root: &Scope<'_>, host: &Host, read_file: ReadFile<'_>) -> Result<Self, Fault> {
        let chunk_size = read_chunk_size(root);
        let mut vhosts = Vec::new();
        let mut by_name = HashMap::new();
        for block in root.every("vhost") {
            let name = block.arg_text();
            if !by_name.contains_key(name) {
                by_name.insert(name.to_owned(), vhosts.len());
                let scope = root.inside("vhost", block.children());
                vhosts.push(Rc::new(Vhost::read(name, &scope, chunk_size, read_file)?));
            }
        }
        let listen = root.list("listen");
        let http_server = HttpServer::read(&root.section("http_server"));
        Ok(Config {
            process: Process::read(root, host),
            log: Log::read(root, host),
            // The check has refused what does not parse.
            listen: listen
                .iter()
                .filter_map(|given| Endpoint::parse(&given.text).ok())
                .collect(),
            listen_texts: root.texts("listen"),
            max_connections: root.size("max_connections"),
            chunk_size,
            pithy_print: root.duration("pithy_print_ms"),
            casters: section::caster::read(root),
            circuit_breaker: CircuitBreaker::read(&root.section("circuit_breaker")),
            ff_log: FfLog::read(root),
            exporter: Exporter::read(&root.section("exporter")),
            heartbeat: Heartbeat::read(&root.section("heartbeat")),
            threads: Threads::read(&root.section("threads")),
            stats: Stats::read(&root.section("stats")),
            trusted_proxies: root
                .texts("trusted_proxies")
                .iter()
                .filter_map(|text| Network::parse(text))
                .collect(),
            limits: Limits::read(&root.section("limits")),
            http_api: HttpApi::read(&root.section("http_api"), &http_server),
            http_server,
            registry: Registry::read(&root.section("registry")),
            rtmps: rtmps::read(&root.section("rtmps")),
            tls_verify: root.flag("tls_verify"),
            vhosts,
            by_name,
        })
    }
}
