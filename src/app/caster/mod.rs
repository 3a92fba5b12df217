//! Casters: pushes of other protocols become RTMP streams, which are published over RTMP as any encoder does, here or at
//! another server. See `docs/casters.md`.

mod flv;
mod mpegts;
mod outlet;
mod rtsp;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::config::section::caster::{Caster, CasterKind};
use super::listener::Listener;
use super::pithy::Turn;
use super::server::{Door, Server};
use crate::core::coroutine::JoinHandle;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// The casters' part of the server.
pub struct Casters {
    /// Those of the start: a reload does not change them.
    settings: Vec<Rc<Caster>>,
    listeners: RefCell<Vec<Listener>>,
    workers: RefCell<Vec<JoinHandle<()>>>,
    /// Whose turn it is to print.
    turn: Turn,
}

impl Casters {
    /// Casters that do not listen yet.
    pub fn new(settings: &[Caster]) -> Self {
        Casters {
            settings: settings.iter().cloned().map(Rc::new).collect(),
            listeners: RefCell::default(),
            workers: RefCell::default(),
            turn: Turn::default(),
        }
    }

    /// Listens no more, and ends what is received by UDP.
    pub fn close(&self) {
        self.listeners.borrow_mut().clear();
        for worker in self.workers.take() {
            worker.interrupt();
        }
    }

    /// The caster of a connection to one of our ports.
    fn of_connection(&self, kind: CasterKind, local: SocketAddr) -> Option<Rc<Caster>> {
        let listens = |caster: &&Rc<Caster>| {
            let ip = caster.listen.ip;
            caster.kind == kind
                && caster.listen.port == u32::from(local.port())
                && (ip.is_unspecified() || ip == local.ip().to_canonical())
        };
        self.settings.iter().find(listens).cloned()
    }
}

/// Opens the casters' ports.
///
/// # Errors
/// [`ErrorCode::SocketBind`]; [`ErrorCode::CasterPort`] for a port that is none.
pub fn open(server: &Rc<Server>) -> Result<()> {
    for caster in &server.casters.settings {
        let address = caster.address()?;
        match caster.kind {
            // Each datagram would go to one of the workers.
            CasterKind::MpegtsOverUdp if !server.workers.is_first() => {}
            CasterKind::MpegtsOverUdp => {
                let worker = mpegts::open(server, caster, address).wrap("stream_caster")?;
                server.casters.workers.borrow_mut().push(worker);
            }
            CasterKind::Flv => listen(server, "caster flv", address, Door::plain("caster flv", flv::serve))?,
            CasterKind::Rtsp => listen(server, "caster rtsp", address, Door::plain("caster rtsp", rtsp::serve))?,
            CasterKind::Gb28181 => log::warn!("stream_caster: caster gb28181 is not built yet"),
        }
    }
    Ok(())
}

fn listen(server: &Rc<Server>, name: &'static str, address: SocketAddr, door: Door) -> Result<()> {
    let overlaps = |other: &SocketAddr| {
        let same_ip = other.ip() == address.ip() || other.ip().is_unspecified() || address.ip().is_unspecified();
        other.port() == address.port() && same_ip && other.is_ipv4() == address.is_ipv4()
    };
    // The system would let both listen, and give each some of the clients.
    if let Some(other) = server.listening().iter().find(|other| overlaps(other)) {
        let text = format!("stream_caster.listen {address}: this server listens at {other} already");
        return Err(Error::new(ErrorCode::SocketBind, text));
    }
    let accepting = server.clone();
    let accept = move |socket, peer| accepting.admit(door, socket, peer);
    let listener = Listener::open(name, address, accept).wrap("stream_caster")?;
    server.casters.listeners.borrow_mut().push(listener);
    Ok(())
}
