//! The exporter: metrics for Prometheus, at the HTTP API and on a port of its own. See `docs/metrics.md`.

mod cluster;
mod metrics;
mod text;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::config::section::exporter::Exporter as Settings;
use super::http::conn;
use super::listener::Listener;
use super::server::{Door, Server};
use crate::core::coroutine;
use crate::core::mini_http::{Answer, MiniHttp};
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;

/// The path of the metrics, on each port.
pub const PATH: &str = "/metrics";

/// How often the own port is looked after.
const LOOK: Duration = Duration::from_secs(1);

/// The exporter's part of the server.
pub struct Exporter {
    /// Those of the start: a reload does not change them.
    settings: Settings,
    port: RefCell<Option<MiniHttp>>,
    /// That of a worker, which asks the others before it answers.
    listener: RefCell<Option<Listener>>,
}

impl Exporter {
    /// An exporter that does not listen yet.
    pub fn new(settings: Settings) -> Self {
        Exporter {
            settings,
            port: RefCell::default(),
            listener: RefCell::default(),
        }
    }

    /// Whether there are metrics.
    pub fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// Listens no more.
    pub fn close(&self) {
        self.port.take();
        self.listener.take();
    }
}

/// All metrics of the server, as the text that Prometheus reads.
pub fn page(server: &Server) -> Vec<u8> {
    metrics::write(server, &server.exporter.settings)
}

/// Opens the own port if the exporter is enabled. Nothing else of this server may listen there.
///
/// # Errors
/// [`ErrorCode::SocketBind`].
pub fn open(server: &Rc<Server>) -> Result<()> {
    let settings = &server.exporter.settings;
    if !settings.enabled {
        return Ok(());
    }
    let address = settings.socket_addr()?;
    let overlaps = |other: &SocketAddr| {
        let same_ip = other.ip() == address.ip() || other.ip().is_unspecified() || address.ip().is_unspecified();
        other.port() == address.port() && same_ip && other.is_ipv4() == address.is_ipv4()
    };
    // The system would let both listen, and give each some of the clients.
    if let Some(other) = server.listening().iter().find(|other| overlaps(other)) {
        let text = format!("exporter.listen {address}: this server listens at {other} already");
        return Err(Error::new(ErrorCode::SocketBind, text));
    }
    if server.workers.are_several() {
        let accepting = server.clone();
        let door = Door::plain("exporter", conn::serve_metrics);
        let accept = move |socket, peer| accepting.admit(door, socket, peer);
        let listener = Listener::open("Exporter", address, accept)?;
        server.exporter.listener.replace(Some(listener));
        return Ok(());
    }
    listen(server, address)?;
    log::info!("Exporter listen at tcp://{address}");
    let server = server.clone();
    coroutine::spawn("exporter", move || look_after(&server, address));
    Ok(())
}

fn listen(server: &Rc<Server>, address: SocketAddr) -> Result<()> {
    let answering = Rc::downgrade(server);
    let answer = move |_: &str, target: &str| match answering.upgrade() {
        Some(server) if target.split('?').next() == Some(PATH) => Answer::Text(page(&server)),
        _ => Answer::NotFound,
    };
    let port = MiniHttp::start(address, answer)
        .io_wrap(ErrorCode::SocketBind, || format!("exporter listen at tcp://{address}"))?;
    server.exporter.port.replace(Some(port));
    Ok(())
}

/// Opens the port anew when it has failed; ends when it is closed.
fn look_after(server: &Rc<Server>, address: SocketAddr) {
    loop {
        coroutine::sleep(LOOK);
        let is_running = match &*server.exporter.port.borrow() {
            Some(port) => port.is_running(),
            None => return,
        };
        if is_running {
            continue;
        }
        log::warn!("exporter failed to accept, it listens at {address} again");
        if let Err(error) = listen(server, address) {
            // The failed one is still there, so it is tried again.
            log::warn!("{}", error.summary());
        }
    }
}
