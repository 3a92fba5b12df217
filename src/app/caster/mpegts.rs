//! The caster `mpegts_over_udp`: MPEG-TS in datagrams, one stream a port, from one sender at a time.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use super::outlet::Outlet;
use crate::app::config::section::caster::Caster;
use crate::app::server::Server;
use crate::core::clock::Moment;
use crate::core::coroutine::{self, JoinHandle};
use crate::core::udp::{BindOptions, ReceiveBatch, UdpSocket};
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::Frame;
use crate::kernel::ts::Remuxer;

/// Datagrams taken in one go, and the longest one, bytes: senders keep below a frame of Ethernet.
const BATCH: usize = 32;
const DATAGRAM_BYTES: usize = 9216;
/// What the system is asked to hold while we are busy, bytes.
const RECEIVE_BYTES: usize = 4 << 20;
/// How long the sender may be silent before its stream ends.
const SILENCE: Duration = Duration::from_secs(10);
/// How long it must be silent before another sender takes over.
const TAKE_OVER: Duration = Duration::from_secs(2);
/// How long the output rests when it failed.
const REST: Duration = Duration::from_secs(3);

/// Opens the port and gives the coroutine that serves it; interrupting it ends both.
///
/// # Errors
/// [`ErrorCode::SocketBind`].
pub fn open(server: &Rc<Server>, caster: &Rc<Caster>, address: SocketAddr) -> Result<JoinHandle<()>> {
    let options = BindOptions {
        handed_over: true,
        ..BindOptions::default()
    };
    let socket = UdpSocket::bind(address, options).io_wrap(ErrorCode::SocketBind, || {
        format!("caster mpegts_over_udp listen at udp://{address}")
    })?;
    if address.ip().is_multicast() {
        join(&socket, address.ip(), &caster.interface)?;
    }
    // What the system grants has to do.
    let _ = socket.set_receive_buffer(RECEIVE_BYTES);
    log::info!(
        "caster mpegts_over_udp listen at udp://{address}, output {}",
        caster.output
    );
    let (server, output) = (server.clone(), caster.output.clone());
    Ok(coroutine::spawn(
        format!("caster mpegts_over_udp {address}"),
        move || {
            let mut session = Session::new(&server, output);
            let ended = session.run(&socket);
            session.outlet.finish();
            log::info!("caster mpegts_over_udp at {address} ends, {}", ended.summary());
        },
    ))
}

fn join(socket: &UdpSocket, group: IpAddr, interface: &str) -> Result<()> {
    let illegal = || {
        let text = format!("stream_caster.interface {interface}: not an address of IPv4, or a number for IPv6");
        Error::new(ErrorCode::SocketBind, text)
    };
    let joined = match group {
        IpAddr::V4(group) => {
            let interface = if interface.is_empty() { "0.0.0.0" } else { interface };
            socket.join_multicast_v4(group, interface.parse().map_err(|_| illegal())?)
        }
        IpAddr::V6(group) => {
            let interface = if interface.is_empty() { "0" } else { interface };
            socket.join_multicast_v6(group, interface.parse().map_err(|_| illegal())?)
        }
    };
    match joined {
        // The socket is inherited, and joined before.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Ok(()),
        joined => joined.io_wrap(ErrorCode::SocketBind, || match interface {
            "" => format!("join multicast group {group}"),
            interface => format!("join multicast group {group} at interface {interface}"),
        }),
    }
}

/// What comes to a port.
struct Session<'s> {
    server: &'s Server,
    sender: Option<Sender>,
    outlet: Outlet<'s>,
    /// The output failed and rests until then.
    rests_until: Option<Moment>,
    frames: Vec<Frame>,
}

/// Who sends, and what it has sent.
struct Sender {
    address: SocketAddr,
    heard: Moment,
    remuxer: Remuxer,
    packets: u64,
    faults: u64,
    is_told: bool,
}

impl<'s> Session<'s> {
    fn new(server: &'s Server, output: String) -> Self {
        Session {
            server,
            sender: None,
            outlet: Outlet::new(server, output),
            rests_until: None,
            frames: Vec::new(),
        }
    }

    /// Receives until the port fails or the coroutine is interrupted.
    fn run(&mut self, socket: &UdpSocket) -> Error {
        let mut batch = ReceiveBatch::new(BATCH, DATAGRAM_BYTES);
        loop {
            let received = socket.recv_many(&mut batch, Moment::after(SILENCE));
            match received.io_wrap(ErrorCode::SocketRead, || "receive MPEG-TS".into()) {
                Ok(()) => batch.iter().for_each(|(datagram, from)| self.take(datagram, from)),
                Err(error) if error.code() == ErrorCode::SocketTimeout => {}
                Err(error) => return error,
            }
            self.send();
            self.look();
        }
    }

    fn take(&mut self, datagram: &[u8], from: SocketAddr) {
        let now = Moment::now();
        match &self.sender {
            Some(sender) if sender.address == from => {}
            Some(sender) if now.since(sender.heard) < TAKE_OVER => return,
            _ => self.begin(from),
        }
        let Some(sender) = &mut self.sender else {
            return;
        };
        sender.heard = now;
        sender.packets += 1;
        sender.remuxer.feed(datagram);
        loop {
            match sender.remuxer.pull() {
                Ok(Some(frame)) => self.frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    sender.faults += 1;
                    log::debug!("caster mpegts_over_udp {}: {}", sender.address, error.summary());
                }
            }
        }
        sender.tell_program();
    }

    /// Another sender has a clock and tables of its own, so its stream is published anew.
    fn begin(&mut self, from: SocketAddr) {
        self.end();
        log::info!("caster mpegts_over_udp: {from} sends");
        self.sender = Some(Sender {
            address: from,
            heard: Moment::now(),
            remuxer: Remuxer::new(),
            packets: 0,
            faults: 0,
            is_told: false,
        });
    }

    /// Sends what is gathered, unless the output rests.
    fn send(&mut self) {
        let frames = std::mem::take(&mut self.frames);
        if self.rests_until.is_some_and(|until| Moment::now() < until) {
            self.outlet.keep_headers(&frames);
            return;
        }
        self.rests_until = None;
        if let Err(error) = self.outlet.send(&frames) {
            log::warn!(
                "caster mpegts_over_udp: output fails, again in {REST:?}, {}",
                error.summary()
            );
            self.rests_until = Some(Moment::after(REST));
        }
    }

    /// Ends a stream that fell silent, and prints a line when it is its turn.
    fn look(&mut self) {
        let Some(sender) = &self.sender else {
            return;
        };
        if Moment::now().since(sender.heard) >= SILENCE {
            log::info!("caster mpegts_over_udp: {} is silent for {SILENCE:?}", sender.address);
            return self.end();
        }
        if self.server.casters.turn.take(self.server.config().pithy_print) {
            let damage = sender.remuxer.damage();
            log::info!(
                "<- CST mpegts_over_udp {} to {}, packets={}, faults={}, dropped={}, skipped={} bytes",
                sender.address,
                self.outlet.place(),
                sender.packets,
                sender.faults,
                damage.dropped_units,
                damage.skipped_bytes
            );
        }
    }

    fn end(&mut self) {
        let Some(mut sender) = self.sender.take() else {
            return;
        };
        sender.remuxer.finish();
        while let Ok(Some(frame)) = sender.remuxer.pull() {
            self.frames.push(frame);
        }
        self.send();
        self.outlet.finish();
    }
}

impl Sender {
    /// Logs what the sender has, once, and what of it is left out.
    fn tell_program(&mut self) {
        let streams = self.remuxer.program();
        if self.is_told || streams.is_empty() {
            return;
        }
        self.is_told = true;
        for stream in streams {
            match stream.coding {
                Some(coding) => log::info!("caster mpegts_over_udp: {coding:?} at PID {}", stream.pid),
                None => log::warn!(
                    "caster mpegts_over_udp: stream type {:#04x} at PID {} is left out",
                    stream.number,
                    stream.pid
                ),
            }
        }
    }
}
