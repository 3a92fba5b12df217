//! The HTTP servers: listeners, connections, routes, and what is served: live streams, files, the API.
//!
//! A connection is one coroutine that reads a request, finds its [`router::Handler`] and lets it answer through an
//! [`Exchange`]; the next request follows while both sides want it. What is new to serve becomes a handler.

pub mod api;
pub mod client;
pub mod conn;
mod cors;
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

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

pub use self::exchange::Exchange;
use self::router::Router;
use super::config::Config;
use super::listener::Listener;
use super::server::{Serve, Server};
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

/// The HTTP servers' part of the server.
#[derive(Default)]
pub struct Http {
    listeners: RefCell<HashMap<(Site, SocketAddr), Listener>>,
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
    for &(site, address) in &wanted {
        if http.listeners.borrow().contains_key(&(site, address)) {
            continue;
        }
        let accepting = server.clone();
        let (name, serve, context): (_, Serve, _) = match site {
            Site::Media => ("HTTP-Server", conn::serve, "http_server"),
            Site::Api => ("HTTP-API", conn::serve_api, "http_api"),
        };
        let accept = move |stream, peer| accepting.admit("http", stream, peer, serve);
        let listener = Listener::open(name, address, accept).wrap(context)?;
        http.listeners.borrow_mut().insert((site, address), listener);
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
fn wanted(config: &Config) -> Result<Vec<(Site, SocketAddr)>> {
    let mut wanted = Vec::new();
    if config.http_server.enabled {
        wanted.push((Site::Media, config.http_server.socket_addr()?));
    }
    if config.http_api.enabled {
        let address = config.http_api.socket_addr()?;
        if !wanted.contains(&(Site::Media, address)) {
            wanted.push((Site::Api, address));
        }
    }
    Ok(wanted)
}

/// What the port of media and files serves; the whole API too when it has no port of its own.
fn routes(config: &Config, wanted: &[(Site, SocketAddr)]) -> Result<Router> {
    let mut router = Router::default();
    let has_own_port = wanted.iter().any(|(site, _)| *site == Site::Api);
    let port = match config.http_api.enabled && !has_own_port {
        true => api::Port::Shared,
        false => api::Port::Media,
    };
    api::mount(&mut router, port);
    live::mount(config, &mut router)?;
    static_files::mount(config, &mut router);
    pages::mount(config, &mut router);
    Ok(router)
}
