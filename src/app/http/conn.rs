//! An HTTP connection: requests one after the other until one side has enough.

use std::net::{IpAddr, Shutdown, SocketAddr};
use std::rc::Rc;

use bytes::BytesMut;

use super::api::auth;
use super::exchange::{Exchange, Input};
use super::{Site, Timeouts};
use crate::app::access::crowd::Guest;
use crate::app::cli::SIGNATURE;
use crate::app::clients::Entry;
use crate::app::exporter;
use crate::app::server::Server;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::limits::HTTP_DRAIN_BYTES;
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::http::Refusal;
use crate::protocol::http::body::BodyLength;
use crate::protocol::http::request::{Method, Request, RequestReader};
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// Serves a connection to the port of media and files until its end. Yields.
pub fn serve(server: &Rc<Server>, stream: &Rc<Stream>, peer: SocketAddr, _entry: &Entry) {
    serve_at(Site::Media, server, stream, peer);
}

/// Serves a connection to the API's own port until its end. Yields.
pub fn serve_api(server: &Rc<Server>, stream: &Rc<Stream>, peer: SocketAddr, _entry: &Entry) {
    serve_at(Site::Api, server, stream, peer);
}

/// Serves a connection to the exporter's port until its end. Yields.
pub fn serve_metrics(server: &Rc<Server>, stream: &Rc<Stream>, peer: SocketAddr, _entry: &Entry) {
    serve_with(server, stream, peer, |exchange| match exchange.request.path.as_str() {
        exporter::PATH => exchange.server.http.router(Site::Api).serve(exchange),
        _ => exchange.reply_status(Status::NOT_FOUND),
    });
}

fn serve_at(site: Site, server: &Rc<Server>, stream: &Rc<Stream>, peer: SocketAddr) {
    serve_with(server, stream, peer, |exchange| answer(site, exchange));
}

/// Serves a connection until its end; `answer` answers each request. Yields.
pub fn serve_with(
    server: &Rc<Server>,
    stream: &Rc<Stream>,
    peer: SocketAddr,
    answer: impl Fn(&mut Exchange<'_, '_>) -> Result<()>,
) {
    let timeouts = server.http.timeouts.get();
    // Head and body may be two writes; the second shall not wait for the peer to acknowledge the first. This fails only
    // if the peer has gone already, which the first read tells.
    let _ = stream.set_nodelay(true);
    stream.set_write_timeout(Some(timeouts.write));
    let input = Input {
        stream,
        buffer: BytesMut::new(),
    };
    let mut connection = Connection {
        server,
        input,
        peer,
        timeouts,
        guest: None,
    };
    match connection.run(&answer) {
        Ok(requests) => log::debug!("HTTP client {peer} finished after {requests} requests"),
        Err(error) if error.is_client_gone() => log::info!("HTTP client {peer} left, {}", error.summary()),
        Err(error) => log::warn!("HTTP client {peer} is cut off, {}", error.summary()),
    }
}

struct Connection<'s> {
    server: &'s Rc<Server>,
    input: Input<'s>,
    peer: SocketAddr,
    timeouts: Timeouts,
    /// The client that a proxy asked for last; it counts as long as this connection is its.
    guest: Option<(IpAddr, Option<Guest>)>,
}

impl Connection<'_> {
    /// Gives how many requests were served.
    fn run(&mut self, answer: &impl Fn(&mut Exchange<'_, '_>) -> Result<()>) -> Result<u64> {
        let mut served = 0;
        while let Some(request) = self.read_request()? {
            let mut exchange = Exchange::new(self.server, request, &mut self.input, self.peer, self.timeouts);
            log_request(&exchange, served);
            let welcome = welcome(&mut self.guest, &exchange);
            let answered = match welcome {
                true => answer(&mut exchange),
                false => refuse_crowd(&mut exchange),
            };
            let finished = answered.and_then(|()| exchange.finish());
            served += 1;
            if !matches!(finished, Ok(true)) {
                self.say_goodbye();
                return finished.map(|_| served);
            }
        }
        Ok(served)
    }

    /// The next request; `None` when the peer has no more, waits too long, or was refused.
    fn read_request(&mut self) -> Result<Option<Request>> {
        let deadline = Moment::after(self.timeouts.request);
        let mut reader = RequestReader::default();
        loop {
            match reader.pull(&mut self.input.buffer) {
                Ok(Some(request)) => return Ok(Some(request)),
                Ok(None) => {}
                Err(refusal) => return self.refuse(&refusal).map(|()| None),
            }
            let is_idle = self.input.buffer.is_empty();
            if is_idle {
                // A connection that only waits holds no memory for what it read last.
                self.input.buffer = BytesMut::new();
            }
            match self.input.fill(deadline) {
                Ok(0) if is_idle => return Ok(None),
                Ok(0) => {
                    return Err(Error::new(
                        ErrorCode::SocketClosed,
                        "connection ends inside a request's head",
                    ));
                }
                Ok(_) => {}
                Err(error) if error.code() != ErrorCode::SocketTimeout => return Err(error),
                Err(_) if is_idle => return Ok(None),
                Err(error) => {
                    return self
                        .refuse(&Refusal {
                            status: Status::REQUEST_TIMEOUT,
                            error,
                        })
                        .map(|()| None);
                }
            }
        }
    }

    fn refuse(&mut self, refusal: &Refusal) -> Result<()> {
        let status = refusal.status;
        log::warn!(
            "HTTP client {} is refused with {}, {}",
            self.peer,
            status.code(),
            refusal.error.summary()
        );
        let body = status.reason();
        let head = ResponseHead::new(status)
            .with("Connection", "Close")
            .with("Content-Length", body.len().to_string())
            .with("Content-Type", "text/plain; charset=utf-8")
            .with("Server", SIGNATURE);
        let mut bytes = head.to_bytes();
        bytes.extend_from_slice(body.as_bytes());
        self.input
            .stream
            .write_all(&bytes)
            .io_wrap(ErrorCode::SocketWrite, || "refuse".into())?;
        self.say_goodbye();
        Ok(())
    }

    /// Ends our direction first: to close at once while the peer still sends would reset the connection, and the peer
    /// might never see the answer.
    fn say_goodbye(&mut self) {
        let _ = self.input.stream.shutdown(Shutdown::Write);
        let deadline = Moment::after(self.timeouts.linger);
        let mut dropped = 0;
        while dropped < HTTP_DRAIN_BYTES {
            self.input.buffer.clear();
            match self.input.fill(deadline) {
                Ok(0) | Err(_) => break,
                Ok(count) => dropped += count,
            }
        }
    }
}

/// Whether the client's address is within its limits; a proxy may ask for one client after the other.
fn welcome(guest: &mut Option<(IpAddr, Option<Guest>)>, exchange: &Exchange<'_, '_>) -> bool {
    let client = exchange.client;
    if guest.as_ref().is_some_and(|(known, _)| *known == client) {
        return true;
    }
    *guest = None;
    match exchange.server.welcome(exchange.peer.ip(), client) {
        Ok(entered) => {
            *guest = Some((client, entered));
            true
        }
        // It is logged and counted.
        Err(_) => false,
    }
}

fn refuse_crowd(exchange: &mut Exchange<'_, '_>) -> Result<()> {
    exchange.close_afterwards();
    let head = ResponseHead::new(Status::TOO_MANY_REQUESTS)
        .with("Retry-After", "1")
        .with("Content-Type", "text/plain; charset=utf-8");
    exchange.reply(head, Status::TOO_MANY_REQUESTS.reason().as_bytes())
}

fn log_request(exchange: &Exchange<'_, '_>, index: u64) {
    let (request, peer) = (&exchange.request, exchange.peer);
    let scheme = if exchange.stream().is_secure() { "https" } else { "http" };
    let length = match request.body {
        BodyLength::Exact(length) => length.to_string(),
        BodyLength::Chunked => "chunked".to_owned(),
    };
    let (method, host, target) = (
        request.method.name(),
        printable(&request.host),
        printable(&request.target),
    );
    let client = match exchange.client == peer.ip() {
        true => String::new(),
        false => format!(" for {}", exchange.client),
    };
    log::info!("HTTP #{index} {peer}{client} {method} {scheme}://{host}{target}, content-length={length}");
}

fn answer(site: Site, exchange: &mut Exchange<'_, '_>) -> Result<()> {
    if exchange.request.method == Method::Options {
        return match exchange.server.config().http_server.crossdomain {
            true => exchange.reply(ResponseHead::new(Status::OK), b""),
            false => exchange.reply_status(Status::METHOD_NOT_ALLOWED),
        };
    }
    if auth::refuse(exchange)? {
        return Ok(());
    }
    exchange.server.http.router(site).serve(exchange)
}
