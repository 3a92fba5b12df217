//! The HTTP server: listeners, connections, routes, and what is served: live streams and files.
//!
//! A connection is one coroutine that reads a request, finds its [`router::Handler`] and lets it answer through an
//! [`Exchange`]; the next request follows while both sides want it. What is new to serve becomes a handler.

pub mod client;
pub mod conn;
mod cors;
pub mod exchange;
mod flv_seek;
pub mod live;
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
use super::server::Server;
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

/// The HTTP server's part of the server.
#[derive(Default)]
pub struct Http {
    listeners: RefCell<HashMap<SocketAddr, Listener>>,
    router: RefCell<Rc<Router>>,
    /// For connections that are accepted from now on.
    pub timeouts: Cell<Timeouts>,
    /// What the players of live streams share.
    pub live: live::Live,
}

impl Http {
    /// The routes in force.
    pub fn router(&self) -> Rc<Router> {
        self.router.borrow().clone()
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
    let mut wanted = Vec::new();
    if config.http_server.enabled {
        wanted.push(config.http_server.socket_addr()?);
    }
    let routes = routes(&config)?;
    let http = &server.http;
    for address in &wanted {
        if http.listeners.borrow().contains_key(address) {
            continue;
        }
        let accepting = server.clone();
        let accept = move |stream, peer| accepting.admit("http", stream, peer, conn::serve);
        let listener = Listener::open("HTTP-Server", *address, accept).wrap("http_server")?;
        http.listeners.borrow_mut().insert(*address, listener);
    }
    http.listeners
        .borrow_mut()
        .retain(|address, _| wanted.contains(address));
    http.router.replace(Rc::new(routes));
    Ok(())
}

fn routes(config: &Config) -> Result<Router> {
    let mut router = Router::default();
    live::mount(config, &mut router)?;
    static_files::mount(config, &mut router);
    Ok(router)
}
