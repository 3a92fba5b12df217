//! A stream that comes from the worker where it is published, as FLV: its messages as they are, with the publisher's
//! timestamps. Players here see no difference to one that is published here.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::{inner, link};
use crate::app::http::Exchange;
use crate::app::server::Server;
use crate::app::source::{Follower, Publication, Source};
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::demux::{Demuxer, Item};
use crate::kernel::flv::mux;
use crate::kernel::frame::Frame;
use crate::kernel::log::printable;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// How often a pull looks whether anybody still plays.
const LOOK: Duration = Duration::from_millis(500);
/// How long a stream is pulled after somebody asked for it: until then he plays it.
const LINGER: Duration = Duration::from_secs(1);
/// The pause after a pull that failed.
const RETRY: Duration = Duration::from_millis(100);

/// A stream of another worker, as long as somebody plays it here.
pub struct Pull {
    source: Rc<Source>,
    kept_until: Cell<Moment>,
    publication: RefCell<Option<Publication>>,
    stream: RefCell<Option<Rc<Stream>>>,
}

impl Pull {
    /// Ends what has come so far: somebody publishes the stream here.
    pub fn cut(&self) {
        if let Some(stream) = self.stream.take() {
            // An error means that it is closed already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        self.publication.take();
    }

    fn is_wanted(&self) -> bool {
        self.source.consumer_count() > 0 || Moment::now() < self.kept_until.get()
    }

    fn run(&self, server: &Rc<Server>) {
        let key = self.source.url();
        while self.is_wanted() {
            let Some(peer) = server.workers.owner(key) else { break };
            ContextId::generate().enter();
            let name = server.workers.name_of(&peer);
            log::info!("{} is pulled from worker {}", printable(key), peer.number);
            let pulled = self.pull(&name);
            self.cut();
            match pulled {
                Ok(()) => log::info!("{} is no longer pulled from worker {}", printable(key), peer.number),
                Err(error) => log::warn!("worker {}: {}", peer.number, error.summary()),
            }
            // Its end and the news of it come over two connections.
            coroutine::sleep(RETRY);
        }
    }

    /// Until the stream ends or nobody plays it.
    fn pull(&self, name: &str) -> Result<()> {
        let mut reply = link::get(name, &inner::target(inner::PLAY, self.source.url()))?;
        if reply.status != Status::OK.code() {
            return Ok(());
        }
        self.stream.replace(Some(reply.stream.clone()));
        self.publication.replace(Some(self.source.publish()?));
        let mut demuxer = Demuxer::at_tag(0);
        let mut look = Moment::after(LOOK);
        loop {
            demuxer.feed(&reply.body.split());
            while let Some(item) = demuxer.pull().wrap("stream of a worker")? {
                if let (Item::Tag(tag), Some(publication)) = (item, &*self.publication.borrow()) {
                    publication.push(Frame::new(tag.kind, tag.timestamp, tag.body));
                }
            }
            if Moment::now() >= look {
                if !self.is_wanted() {
                    return Ok(());
                }
                look = Moment::after(LOOK);
            }
            let there = reply.stream.wait_readable(look);
            let there =
                there.map_err(|cause| Error::io(ErrorCode::SocketRead, &cause, "stream of a worker".to_owned()))?;
            if there && (self.publication.borrow().is_none() || reply.fill()? == 0) {
                return Ok(());
            }
        }
    }
}

/// A pull at work: however it ends, the next player begins a new one.
struct Running {
    pull: Rc<Pull>,
    server: Rc<Server>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.workers.pulls.borrow_mut().remove(self.pull.source.url());
    }
}

/// Has a stream pulled that another worker has, if it is not yet.
pub fn keep(server: &Rc<Server>, source: &Rc<Source>) {
    let (key, until) = (source.url(), Moment::after(LINGER));
    let workers = &server.workers;
    if workers.published.borrow().contains_key(key) {
        return;
    }
    let known = workers.pulls.borrow().get(key).cloned();
    if let Some(pull) = known {
        pull.kept_until.set(until);
        return;
    }
    let pull = Rc::new(Pull {
        source: source.clone(),
        kept_until: Cell::new(until),
        publication: RefCell::default(),
        stream: RefCell::default(),
    });
    workers.pulls.borrow_mut().insert(key.to_owned(), pull.clone());
    let running = Running {
        pull,
        server: server.clone(),
    };
    let body = move || running.pull.run(&running.server);
    if let Err(error) = coroutine::spawn_with("worker pull", coroutine::STACK_BYTES, body) {
        // Dropped with the body, it has left the list.
        log::error!("no memory to pull {} from a worker: {error}", printable(key));
    }
}

/// Sends a stream that is published here to a worker that has players for it. Yields.
///
/// # Errors
/// When that worker has left.
pub fn serve(exchange: &mut Exchange<'_, '_>, key: &str) -> Result<()> {
    let server = exchange.server.clone();
    let is_here = server.workers.published.borrow().contains_key(key);
    let source = server
        .sources
        .get(key)
        .filter(|source| is_here && source.publisher().is_some());
    let Some(source) = source else {
        return exchange.reply_status(Status::NOT_FOUND);
    };
    let mut follower = Follower::join_for_players(&source, Duration::ZERO);
    exchange.begin(ResponseHead::new(Status::OK), None);
    exchange.flush()?;
    let (mut frames, mut bytes) = (Vec::new(), Vec::new());
    loop {
        if !exchange.try_input()?.is_empty() {
            return Err(Error::new(
                ErrorCode::HttpWithBody,
                "a worker says more than its request",
            ));
        }
        if follower.is_due() {
            if follower.take(&mut frames).is_none() {
                return Ok(());
            }
            bytes.clear();
            for frame in frames.drain(..) {
                mux::put_tag(&mut bytes, frame.kind, frame.timestamp, &frame.payload)?;
            }
            exchange.write(&bytes)?;
        }
        follower.wait(exchange.stream(), Moment::after(LOOK));
    }
}
