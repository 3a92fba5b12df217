//! Several processes that are one server (`workers N;`). See `docs/workers.md`.
//!
//! A [`master`] starts the workers, each of which is a whole server: the kernel deals new connections out to them. Workers
//! talk to each other in HTTP over Unix sockets: each tells the others which streams are published at it ([`peers`]), and
//! one with players for a stream of another pulls it from there, once ([`pull`]). Nobody is asked or told on behalf of a
//! pull: it is no client.

pub mod handover;
mod inner;
mod link;
pub mod master;
mod peers;
mod pull;
pub mod relay;
pub mod seat;
pub mod whole;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use self::peers::Peer;
use self::pull::Pull;
use self::seat::Seat;
use super::hls::variants::Variant;
use super::server::{Quit, Server};
use super::source::Source;
use super::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::inheritance;
use crate::core::limits::WORKER_LINE_BYTES;
use crate::core::signal::{self, Signal};
use crate::core::sync::Condition;
use crate::core::tcp::TcpStream;
use crate::core::unix::{self, UnixListener};
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::http::status::Status;

/// How long a worker rests when the system has no descriptor for a connection of another one.
const REST: Duration = Duration::from_millis(100);
/// How long the master may take to take sockets.
const MASTER: Duration = Duration::from_secs(5);

/// A number as text, bytes.
const NUMBER_BYTES: usize = 20;

/// A worker listens.
const READY: u8 = b'R';
/// The master asks for the sockets that a worker listens on, and the worker sends them.
const SOCKETS: u8 = b'S';

/// A process's part in a server of several; alone it has none.
#[derive(Default)]
pub struct Workers {
    seat: Option<Seat>,
    /// The streams that clients publish here.
    published: RefCell<HashMap<String, Weak<Stream>>>,
    /// Something that the other workers are told of has changed.
    changed: Condition,
    peers: RefCell<Vec<Rc<Peer>>>,
    pulls: RefCell<HashMap<String, Rc<Pull>>>,
    /// Where numbers of segments of HLS go on that other workers had before, by stream.
    numbers: RefCell<HashMap<String, u64>>,
    /// Clients of the other workers.
    elsewhere: Cell<usize>,
}

impl Workers {
    /// The part of the worker with this seat.
    pub fn new(seat: Option<Seat>) -> Self {
        let others = seat
            .iter()
            .flat_map(|seat| (0..seat.count).filter(|number| *number != seat.number));
        let peers = others.map(|number| Rc::new(Peer::new(number))).collect();
        Workers {
            peers: RefCell::new(peers),
            seat,
            ..Workers::default()
        }
    }

    /// The number of the process that stands for the server.
    pub fn server_pid(&self) -> u32 {
        self.seat.as_ref().map_or_else(std::process::id, |seat| seat.master)
    }

    /// Whether there are others.
    pub fn are_several(&self) -> bool {
        self.seat.is_some()
    }

    /// Has the master reload the configuration of all, if there is one; gives whether there is.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn reload_all(&self) -> Result<bool> {
        if self.seat.is_none() {
            return Ok(false);
        }
        let sent = signal::send_to_parent(Signal::SIGHUP);
        sent.io_wrap(ErrorCode::StInitialize, || "tell the master to reload".into())?;
        Ok(true)
    }

    /// Has the server hand over to a new program, as SIGUSR2 does.
    ///
    /// # Errors
    /// When the master cannot be reached.
    pub fn hand_over_all(&self) -> Result<()> {
        let sent = match self.seat {
            Some(_) => signal::send_to_parent(Signal::SIGUSR2),
            None => signal::send_to_ourselves(Signal::SIGUSR2),
        };
        sent.io_wrap(ErrorCode::StInitialize, || "order the hand-over".into())
    }

    /// Whether what a server does once is this process's to do.
    pub fn is_first(&self) -> bool {
        self.seat.as_ref().is_none_or(|seat| seat.number == 0)
    }

    /// How many clients the other workers have, as they told last.
    pub fn clients_elsewhere(&self) -> usize {
        self.elsewhere.get()
    }

    /// Whether another worker's client publishes a stream.
    pub fn has_elsewhere(&self, key: &str) -> bool {
        self.owner(key).is_some()
    }

    /// A stream that another worker's client publishes, as one quality of HLS; `None` too when it cannot be asked, or has
    /// no segment yet. Yields.
    pub fn variant_elsewhere(&self, key: &str) -> Option<Variant> {
        let peer = self.owner(key)?;
        let target = inner::target(inner::VARIANT, key);
        let told = link::get(&self.name_of(&peer), &target).and_then(|reply| match reply.status {
            200 => reply.read_all(WORKER_LINE_BYTES).map(Some),
            _ => Ok(None),
        });
        match told {
            Ok(text) => serde_json::from_slice(&text?).ok(),
            Err(error) => {
                log::debug!("worker {}: {}", peer.number, error.summary());
                None
            }
        }
    }

    /// Whether a transcoder of another worker publishes a stream.
    pub fn is_output_elsewhere(&self, key: &str) -> bool {
        self.peers
            .borrow()
            .iter()
            .any(|peer| peer.outputs.borrow().contains(key))
    }

    /// Has the other workers told what has changed here.
    pub fn tell_changes(&self) {
        self.changed.notify_all();
    }

    fn owner(&self, key: &str) -> Option<Rc<Peer>> {
        let peers = self.peers.borrow();
        peers.iter().find(|peer| peer.streams.borrow().contains(key)).cloned()
    }

    fn owner_where(&self, fits: impl Fn(&str) -> bool) -> Option<Rc<Peer>> {
        let peers = self.peers.borrow();
        peers
            .iter()
            .find(|peer| peer.streams.borrow().iter().any(|key| fits(key)))
            .cloned()
    }

    fn name_of(&self, peer: &Peer) -> String {
        self.seat
            .as_ref()
            .map(|seat| seat.socket_of(peer.number))
            .unwrap_or_default()
    }

    /// Has a stream pulled from the worker where it is published, as long as it has players here. To be called right before
    /// one joins.
    pub fn watch(&self, server: &Rc<Server>, source: &Rc<Source>) {
        if self.has_elsewhere(source.url()) {
            pull::keep(server, source);
        }
    }

    /// Claims a stream for a client that is about to publish it over `stream`. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::StreamBusy`] when a client of another worker publishes it.
    pub fn claim(&self, server: &Rc<Server>, key: &str, stream: &Rc<Stream>) -> Result<Option<Claim>> {
        if self.seat.is_none() || self.published.borrow().contains_key(key) {
            return Ok(None);
        }
        while let Some(peer) = self.owner(key) {
            if self.is_published_at(&peer, key) {
                let text = format!(
                    "stream {} is busy, worker {} has its publisher",
                    printable(key),
                    peer.number
                );
                return Err(Error::new(ErrorCode::StreamBusy, text));
            }
            // It has just ended there.
            peer.streams.borrow_mut().remove(key);
        }
        if let Some(pull) = self.pulls.borrow().get(key) {
            pull.cut();
        }
        self.published
            .borrow_mut()
            .insert(key.to_owned(), Rc::downgrade(stream));
        self.changed.notify_all();
        let claim = Claim {
            server: server.clone(),
            key: key.to_owned(),
        };
        self.take_files(key);
        Ok(Some(claim))
    }

    /// Has the other workers leave the files of a stream to this one, so that they do not delete them some day. Yields.
    fn take_files(&self, key: &str) {
        let target = inner::target(inner::GIVE_AWAY, key);
        let mut next = 0;
        let peers = self.peers.borrow().clone();
        for peer in peers {
            let told = link::get(&self.name_of(&peer), &target).and_then(|reply| reply.read_all(NUMBER_BYTES));
            match told {
                Ok(number) => next = next.max(String::from_utf8_lossy(&number).parse().unwrap_or(0)),
                // One that is not there has nothing.
                Err(error) => log::debug!("worker {}: {}", peer.number, error.summary()),
            }
        }
        if next > 0 {
            self.numbers.borrow_mut().insert(key.to_owned(), next);
        }
    }

    /// The number that the first segment of a stream gets here, 0 unless another worker has had it.
    pub fn taken_number(&self, key: &str) -> u64 {
        self.numbers.borrow_mut().remove(key).unwrap_or(0)
    }

    fn is_published_at(&self, peer: &Peer, key: &str) -> bool {
        let asked = link::ask(&self.name_of(peer), &inner::target(inner::PUBLISHED, key));
        match asked {
            Ok(status) => status == Status::OK.code(),
            Err(error) => {
                log::warn!("worker {}: {}", peer.number, error.summary());
                false
            }
        }
    }

    /// Two clients of two workers began at the same time: that of the lower number stays.
    fn settle(&self, peer: &Peer, key: &str) {
        let is_later = self.seat.as_ref().is_some_and(|seat| seat.number > peer.number);
        let stream = self.published.borrow().get(key).and_then(Weak::upgrade);
        if let Some(stream) = stream.filter(|_| is_later) {
            log::warn!(
                "the publisher of {} is cut off, one of worker {} was as quick",
                printable(key),
                peer.number
            );
            // An error means that it is closed already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Listens for the other workers. To be called before the process gives up rights.
    ///
    /// # Errors
    /// [`ErrorCode::SocketBind`].
    pub fn listen(&self, server: &Rc<Server>) -> Result<()> {
        let Some(seat) = &self.seat else { return Ok(()) };
        let name = seat.socket_of(seat.number);
        let listener = UnixListener::bind(&name);
        let listener = listener.io_wrap(ErrorCode::SocketBind, || format!("listen for workers at @{name}"))?;
        let accepting = server.clone();
        coroutine::spawn("workers", move || accept(&accepting, &listener));
        Ok(())
    }

    /// Begins to listen to the other workers, and to the master at the other end of `line`, which learns that this worker
    /// is ready. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketWrite`] when the master is gone.
    pub fn begin(&self, server: &Rc<Server>, line: Option<TcpStream>) -> Result<()> {
        for peer in self.peers.borrow().iter() {
            let (server, peer) = (server.clone(), peer.clone());
            coroutine::spawn(format!("worker {}", peer.number), move || peers::follow(&server, &peer));
        }
        let Some(line) = line else { return Ok(()) };
        line.write_all(&[READY])
            .io_wrap(ErrorCode::SocketWrite, || "tell the master".into())?;
        let server = server.clone();
        coroutine::spawn("master", move || {
            let ended = heed(&line);
            log::info!("the master is gone: {ended}");
            server.quit(Quit::Fast);
        });
        Ok(())
    }
}

/// Does what the master asks for, until it is gone.
fn heed(line: &TcpStream) -> io::Error {
    let mut asked = [0];
    loop {
        let sent = match line.read(&mut asked) {
            Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
            Ok(_) if asked[0] == SOCKETS => inheritance::open_sockets()
                .and_then(|sockets| unix::send_descriptors(line, SOCKETS, &sockets, Moment::after(MASTER))),
            Ok(_) => Ok(()),
            Err(error) => return error,
        };
        if let Err(error) = sent {
            return error;
        }
    }
}

fn accept(server: &Rc<Server>, listener: &UnixListener) {
    loop {
        match listener.accept() {
            Ok(socket) => inner::spawn(server, socket),
            Err(error) => {
                log::error!("accept of workers failed, it rests for {REST:?}: {error}");
                coroutine::sleep(REST);
            }
        }
    }
}

/// The right to publish a stream at this worker, which the others know of; dropping it tells them the end.
pub struct Claim {
    server: Rc<Server>,
    key: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let workers = &self.server.workers;
        workers.published.borrow_mut().remove(&self.key);
        workers.numbers.borrow_mut().remove(&self.key);
        workers.changed.notify_all();
    }
}
