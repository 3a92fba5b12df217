//! What the other workers tell: which streams are published there, and how many clients they have.
//!
//! Lines: a mark and the key of a stream, `+` for one that is there from now on, `-` for one that no longer is, `>` and `<`
//! the same for those that transcoders make; or `=` and a number of clients. An empty line says that all is as it was. A connection begins with all that is there, so one that was lost
//! is simply made again.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use super::{inner, link, pull};
use crate::app::http::Exchange;
use crate::app::server::Server;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::limits::WORKER_LINE_BYTES;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// How often a worker that has nothing to tell says so, and how often it looks how many clients it has.
const BEAT: Duration = Duration::from_secs(1);
/// How long a worker that listened in vain waits before the next try.
const RETRY: Duration = Duration::from_millis(100);

/// Another worker.
pub struct Peer {
    /// Its number.
    pub number: usize,
    /// The streams that its clients publish.
    pub streams: RefCell<HashSet<String>>,
    /// The streams that its transcoders make.
    pub outputs: RefCell<HashSet<String>>,
    clients: Cell<usize>,
}

impl Peer {
    /// The worker of this number, of whom nothing is known yet.
    pub fn new(number: usize) -> Self {
        Peer {
            number,
            streams: RefCell::default(),
            outputs: RefCell::default(),
            clients: Cell::new(0),
        }
    }
}

/// Listens to a worker for ever, whenever it is there. Yields.
pub fn follow(server: &Rc<Server>, peer: &Rc<Peer>) {
    let name = server.workers.name_of(peer);
    let mut was_there = true;
    loop {
        let told = listen(server, peer, &name);
        forget(server, peer);
        let is_there = !matches!(&told, Err(error) if error.code() == ErrorCode::SocketConnect);
        if let (true, Err(error)) = (was_there, told) {
            log::info!("worker {} is not there, {}", peer.number, error.summary());
        }
        was_there = is_there;
        coroutine::sleep(RETRY);
    }
}

fn listen(server: &Rc<Server>, peer: &Rc<Peer>, name: &str) -> Result<()> {
    let mut reply = link::get(name, inner::STREAMS)?;
    log::info!("worker {} is there", peer.number);
    loop {
        while let Some(end) = reply.body.iter().position(|byte| *byte == b'\n') {
            let line = reply.body.split_to(end + 1);
            hear(server, peer, &String::from_utf8_lossy(&line[..end]));
        }
        if reply.body.len() > WORKER_LINE_BYTES {
            let text = format!("worker {} does not end its line", peer.number);
            return Err(Error::new(ErrorCode::HttpResponseEof, text));
        }
        if reply.fill()? == 0 {
            let text = format!("worker {} has ended", peer.number);
            return Err(Error::new(ErrorCode::HttpResponseEof, text));
        }
    }
}

fn hear(server: &Rc<Server>, peer: &Rc<Peer>, line: &str) {
    let workers = &server.workers;
    match line.split_at_checked(1) {
        Some(("+", key)) => {
            peer.streams.borrow_mut().insert(key.to_owned());
            workers.settle(peer, key);
            if let Some(source) = server.sources.get(key).filter(|source| source.consumer_count() > 0) {
                pull::keep(server, &source);
            }
        }
        Some(("-", key)) => {
            peer.streams.borrow_mut().remove(key);
        }
        Some((">", key)) => {
            peer.outputs.borrow_mut().insert(key.to_owned());
        }
        Some(("<", key)) => {
            peer.outputs.borrow_mut().remove(key);
        }
        Some(("=", count)) => {
            peer.clients.set(count.parse().unwrap_or(0));
            count_clients(server);
        }
        _ => {}
    }
}

fn forget(server: &Server, peer: &Peer) {
    peer.streams.borrow_mut().clear();
    peer.outputs.borrow_mut().clear();
    peer.clients.set(0);
    count_clients(server);
}

fn count_clients(server: &Server) {
    let peers = server.workers.peers.borrow();
    let all = peers.iter().map(|peer| peer.clients.get()).sum();
    server.workers.elsewhere.set(all);
}

/// Tells another worker what there is, for as long as it listens. Yields.
///
/// # Errors
/// When it no longer does.
pub fn tell(exchange: &mut Exchange<'_, '_>) -> Result<()> {
    let server = exchange.server.clone();
    exchange.begin(ResponseHead::new(Status::OK), None);
    let mut told = Told::default();
    loop {
        let lines = told.news(&server);
        exchange.write(lines.as_bytes())?;
        server.workers.changed.wait_until(Moment::after(BEAT));
    }
}

/// What another worker knows.
#[derive(Default)]
struct Told {
    streams: HashSet<String>,
    outputs: HashSet<String>,
    clients: Option<usize>,
}

impl Told {
    /// What has changed since, as lines.
    fn news(&mut self, server: &Server) -> String {
        let mut lines = String::new();
        let published = server.workers.published.borrow().keys().cloned().collect();
        differences(&mut self.streams, published, ["-", "+"], &mut lines);
        let outputs = server.children.outputs().into_iter().collect();
        differences(&mut self.outputs, outputs, ["<", ">"], &mut lines);
        let clients = server.clients.len();
        if self.clients.replace(clients) != Some(clients) {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "={clients}");
        }
        if lines.is_empty() {
            lines.push('\n');
        }
        lines
    }
}

fn differences(told: &mut HashSet<String>, now: HashSet<String>, [gone, come]: [&str; 2], lines: &mut String) {
    for key in told.difference(&now) {
        lines.extend([gone, key, "\n"]);
    }
    for key in now.difference(told) {
        lines.extend([come, key, "\n"]);
    }
    *told = now;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_told() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<HashSet<_>>();
        let mut told = keys(&["/live/a", "/live/b"]);
        let mut lines = String::new();
        differences(&mut told, keys(&["/live/b", "v/live/c"]), ["-", "+"], &mut lines);
        assert_eq!(lines, "-/live/a\n+v/live/c\n");
        lines.clear();
        differences(&mut told, keys(&["/live/b", "v/live/c"]), ["-", "+"], &mut lines);
        assert_eq!(lines, "");
    }
}
