//! Casters: pushes of other protocols become RTMP streams, which are published over RTMP as any encoder does, here or at
//! another server. See `docs/casters.md`.

mod flv;
mod mpegts;
mod outlet;
mod rtsp;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::config::Config;
use super::config::section::caster::{Caster, CasterKind};
use super::listener::{Listener, overlaps};
use super::pithy::Turn;
use super::server::{Door, Server};
use crate::core::coroutine::JoinHandle;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// The casters' part of the server.
#[derive(Default)]
pub struct Casters {
    running: RefCell<Vec<Running>>,
    /// Whose turn it is to print.
    turn: Turn,
}

struct Running {
    settings: Rc<Caster>,
    port: Port,
}

/// What a caster is reached by; the last one that has it closes it.
#[derive(Clone)]
enum Port {
    Tcp { _listener: Rc<Listener> },
    Udp { _worker: Rc<Worker> },
    None,
}

/// Ends what is received by UDP when it is dropped.
struct Worker(JoinHandle<()>);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

impl Casters {
    /// Listens no more, and ends what is received by UDP.
    pub fn close(&self) {
        let closed = self.running.take();
        drop(closed);
    }

    /// The caster of a connection to one of our ports.
    fn of_connection(&self, kind: CasterKind, local: SocketAddr) -> Option<Rc<Caster>> {
        let listens = |caster: &Caster| {
            let ip = caster.listen.ip;
            caster.kind == kind
                && caster.listen.port == u32::from(local.port())
                && (ip.is_unspecified() || ip == local.ip().to_canonical())
        };
        let running = self.running.borrow();
        let found = running.iter().find(|running| listens(&running.settings));
        found.map(|running| running.settings.clone())
    }

    /// The port that serves these settings already.
    fn port_of(&self, caster: &Caster) -> Option<Port> {
        let serves = |running: &&Running| match running.port {
            Port::Tcp { .. } => (running.settings.kind, &running.settings.listen) == (caster.kind, &caster.listen),
            Port::Udp { .. } | Port::None => *running.settings == *caster,
        };
        self.running
            .borrow()
            .iter()
            .find(serves)
            .map(|running| running.port.clone())
    }
}

/// Opens the casters' ports.
///
/// # Errors
/// [`ErrorCode::SocketBind`]; [`ErrorCode::CasterPort`] for a port that is none.
pub fn open(server: &Rc<Server>) -> Result<()> {
    prepare(server, &server.config()).map(|opening| opening.take_over(server))
}

/// The casters of a configuration, those that do not change shared with what runs.
pub struct Opening(Vec<Running>);

/// Opens the ports that a configuration asks for and that are not open yet.
///
/// # Errors
/// As [`open`].
pub fn prepare(server: &Rc<Server>, config: &Config) -> Result<Opening> {
    let mut others = config.tcp_addresses()?;
    if config.exporter.enabled {
        others.push(config.exporter.socket_addr()?);
    }
    let mut opened = Vec::new();
    for caster in &config.casters {
        let address = caster.address()?;
        if !caster.kind.is_udp() {
            // The system would let both listen, and give each some of the clients.
            if let Some(other) = others.iter().find(|other| overlaps(**other, address)) {
                let text = format!("stream_caster.listen {address}: this server listens at {other} already");
                return Err(Error::new(ErrorCode::SocketBind, text));
            }
            others.push(address);
        }
        let settings = Rc::new(caster.clone());
        let port = match server.casters.port_of(caster) {
            Some(port) => port,
            None => open_port(server, &settings, address).wrap("stream_caster")?,
        };
        opened.push(Running { settings, port });
    }
    Ok(Opening(opened))
}

impl Opening {
    /// Makes it so; what is not wanted any more listens no more.
    pub fn take_over(self, server: &Server) {
        let old = server.casters.running.replace(self.0);
        drop(old);
    }
}

fn open_port(server: &Rc<Server>, caster: &Rc<Caster>, address: SocketAddr) -> Result<Port> {
    let (name, door) = match caster.kind {
        // Each datagram would go to one of the workers.
        CasterKind::MpegtsOverUdp if !server.workers.is_first() => return Ok(Port::None),
        CasterKind::MpegtsOverUdp => {
            let worker = mpegts::open(server, caster, address)?;
            return Ok(Port::Udp {
                _worker: Rc::new(Worker(worker)),
            });
        }
        CasterKind::Flv => ("caster flv", Door::plain("caster flv", flv::serve).for_media()),
        CasterKind::Rtsp => ("caster rtsp", Door::plain("caster rtsp", rtsp::serve).for_media()),
        CasterKind::Gb28181 => {
            log::warn!("stream_caster: caster gb28181 is not built yet");
            return Ok(Port::None);
        }
    };
    let accepting = server.clone();
    let accept = move |socket, peer| accepting.admit(door, socket, peer);
    let listener = Listener::open(name, address, accept)?;
    Ok(Port::Tcp {
        _listener: Rc::new(listener),
    })
}
