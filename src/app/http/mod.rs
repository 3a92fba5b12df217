//! The HTTP servers: listeners, connections, routes, and what is served: live streams, files, the API.
//!
//! A connection is one coroutine that reads a request, finds its [`router::Handler`] and lets it answer through an
//! [`Exchange`]; the next request follows while both sides want it. What is new to serve becomes a handler.

pub mod api;
pub mod client;
pub mod conn;
mod cors;
mod dash;
mod edge;
pub mod exchange;
mod flv_seek;
mod forwarded;
mod hls;
pub mod live;
pub mod pages;
pub mod router;
pub mod static_files;
#[cfg(test)]
mod tests;
mod tickets;
pub mod trust;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

pub use self::exchange::Exchange;
use self::router::Router;
use super::config::Config;
use super::listener::Listener;
use super::server::{Door, Server};
use super::workers;
use crate::kernel::error::{Result, Wrap};

/// How long a connection waits for its peer.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a whole request: from the end of the one before to the end of the head, and once more for a body that is
    /// read in one go. For a body that is read in pieces, each piece.
    pub request: Duration,
    /// For the peer to take anything of an answer.
    pub write: Duration,
    /// For the peer to notice that the connection ends, so that the last answer reaches it.
    pub linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            request: Duration::from_secs(15),
            write: Duration::from_secs(30),
            linger: Duration::from_secs(2),
        }
    }
}

/// Which of the two servers a connection came to. When both have one address, it is that of media and files.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Site {
    /// `http_server`: media and files.
    Media,
    /// `http_api`: the API.
    Api,
}

/// Where one of the servers listens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Port {
    site: Site,
    is_secure: bool,
    address: SocketAddr,
}

impl Port {
    /// The name in the log, the directive's path, and what becomes of connections.
    fn door(self) -> (&'static str, &'static str, Door) {
        let (serve, protocol): (super::server::Serve, _) = match self.site {
            Site::Media => (conn::serve, "http"),
            Site::Api => (conn::serve_api, "http"),
        };
        let plain = Door::plain(protocol, serve);
        match (self.site, self.is_secure) {
            (Site::Media, false) => ("HTTP-Server", "http_server", plain),
            (Site::Api, false) => ("HTTP-API", "http_api", plain),
            (Site::Media, true) => {
                let door = plain.behind(|config| &config.http_server.https.files);
                ("HTTPS-Server", "http_server.https", door)
            }
            (Site::Api, true) => {
                let door = plain.behind(|config| &config.http_api.https.files);
                ("HTTPS-API", "http_api.https", door)
            }
        }
    }
}

/// The HTTP servers' part of the server.
#[derive(Default)]
pub struct Http {
    listeners: RefCell<HashMap<Port, Listener>>,
    router: RefCell<Rc<Router>>,
    api_router: RefCell<Rc<Router>>,
    /// For connections that are accepted from now on.
    pub timeouts: Cell<Timeouts>,
    /// What the players of live streams share.
    pub live: live::Live,
}

impl Http {
    /// The routes in force.
    pub fn router(&self, site: Site) -> Rc<Router> {
        match site {
            Site::Media => self.router.borrow().clone(),
            Site::Api => self.api_router.borrow().clone(),
        }
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners
            .borrow()
            .values()
            .map(|listener| listener.address)
            .collect()
    }

    /// Accepts no more connections.
    pub fn close(&self) {
        self.listeners.borrow_mut().clear();
    }
}

/// Makes what is served and where what the configuration says now: opens what is missing, closes what is no longer
/// wanted. Connections stay.
///
/// # Errors
/// [`crate::kernel::error_code::ErrorCode::SocketBind`], and what [`live::mount`] finds; then all is as it was.
pub fn open(server: &Rc<Server>) -> Result<()> {
    let config = server.config();
    let wanted = wanted(&config)?;
    let routes = routes(&config, &wanted)?;
    let http = &server.http;
    for &port in &wanted {
        if http.listeners.borrow().contains_key(&port) {
            continue;
        }
        let accepting = server.clone();
        let (name, directive, door) = port.door();
        let accept = move |socket, peer| accepting.admit(door, socket, peer);
        let listener = Listener::open(name, port.address, accept).wrap(directive)?;
        http.listeners.borrow_mut().insert(port, listener);
    }
    http.listeners.borrow_mut().retain(|place, _| wanted.contains(place));
    http.router.replace(Rc::new(routes));
    let mut api_routes = Router::default();
    pages::mount_console(&config, &mut api_routes);
    api::mount(&mut api_routes, api::Port::Own);
    http.api_router.replace(Rc::new(api_routes));
    if config.http_api.enabled {
        api::warn_if_open(&config.http_api);
    }
    Ok(())
}

/// Where to listen: at one address for both when they are the same.
fn wanted(config: &Config) -> Result<Vec<Port>> {
    let mut wanted: Vec<Port> = Vec::new();
    let (media, api) = (&config.http_server, &config.http_api);
    let servers = [
        (Site::Media, false, media.enabled, &media.listen),
        (
            Site::Media,
            true,
            media.enabled && media.https.enabled,
            &media.https.listen,
        ),
        (Site::Api, false, api.enabled, &api.listen),
        (Site::Api, true, api.enabled && api.https.enabled, &api.https.listen),
    ];
    for (site, is_secure, enabled, listen) in servers {
        let addresses = if enabled { listen.addresses()? } else { Vec::new() };
        for address in addresses {
            let port = |site| Port {
                site,
                is_secure,
                address,
            };
            if !wanted.contains(&port(Site::Media)) {
                wanted.push(port(site));
            }
        }
    }
    Ok(wanted)
}

/// What the port of media and files serves; the whole API too when the API has to share it.
fn routes(config: &Config, wanted: &[Port]) -> Result<Router> {
    let mut router = Router::default();
    let is_media = |address: &SocketAddr| {
        let mut media = wanted.iter().filter(|port| port.site == Site::Media);
        media.any(|port| port.address == *address)
    };
    let api = &config.http_api;
    let port = match api.enabled && api.listen.addresses()?.iter().any(is_media) {
        true => api::Port::Shared,
        false => api::Port::Media,
    };
    api::mount(&mut router, port);
    live::mount(config, &mut router)?;
    edge::mount(config, &mut router);
    workers::relay::mount(config, &mut router);
    hls::mount(config, &mut router);
    dash::mount(config, &mut router);
    static_files::mount(config, &mut router);
    pages::mount(config, &mut router);
    Ok(router)
}
