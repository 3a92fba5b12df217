//! One request and its answer: what a handler reads and writes.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::{Timeouts, cors, forwarded};
use crate::app::cli::SIGNATURE;
use crate::app::config::section::vhost::Vhost;
use crate::app::server::Server;
use crate::app::source::Envelope;
use crate::app::stream::Stream;
use crate::core::clock::{self, Moment};
use crate::core::limits::HTTP_DRAIN_BYTES;
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::Refusal;
use crate::protocol::http::body::{BodyReader, CHUNK_END, LAST_CHUNK, Piece, chunk_line};
use crate::protocol::http::date;
use crate::protocol::http::request::{Method, Request};
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;
use crate::protocol::websocket::{self, Opcode};

/// What is read at once, bytes.
const READ_BYTES: usize = 4096;
/// The same of a look at what a player says, which is little; the stack of each player holds it.
const LOOK_BYTES: usize = 512;

/// The bytes that come from a peer.
pub struct Input<'s> {
    /// The connection.
    pub stream: &'s Rc<Stream>,
    /// What is read and not yet used.
    pub buffer: BytesMut,
}

impl Input<'_> {
    /// Reads what is there, waiting for the first byte until `deadline`; 0 is the peer's end. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketTimeout`], [`ErrorCode::SocketRead`].
    pub fn fill(&mut self, deadline: Moment) -> Result<usize> {
        let now = Moment::now();
        if now >= deadline {
            // A read would still give what is there, so a peer that always has another byte could go on for ever.
            return Err(Error::new(ErrorCode::SocketTimeout, "read request: time is up"));
        }
        let mut bytes = [0; READ_BYTES];
        self.stream.set_read_timeout(Some(deadline.since(now)));
        let count = self
            .stream
            .read(&mut bytes)
            .io_wrap(ErrorCode::SocketRead, || "read request".into())?;
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

/// One request and its answer.
pub struct Exchange<'c, 's> {
    /// The server.
    pub server: &'c Rc<Server>,
    /// The request.
    pub request: Request,
    /// The vhost that it is for; none when it names one that is disabled, or an unknown one and there is no default.
    pub vhost: Option<Rc<Vhost>>,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Who asks: the peer, or the client that a trusted proxy asks for.
    pub client: IpAddr,
    /// Another worker of this server asks, for this one's part of an answer.
    pub for_worker: bool,
    input: &'c mut Input<'s>,
    timeouts: Timeouts,
    body: BodyReader,
    output: Output,
    keep_alive: bool,
}

/// How far the answer is.
enum Output {
    Unanswered,
    Open {
        framing: Framing,
        /// The head, until it is sent; empty from then on.
        head: Vec<u8>,
    },
    Ended,
}

/// How the peer knows where the answer's body ends.
#[derive(Clone, Copy)]
enum Framing {
    /// So many bytes are to come.
    Exact(u64),
    Chunked,
    UntilClose,
    /// The connection belongs to WebSocket from now on; a piece is a message.
    WebSocket,
    /// There is none, whatever is written.
    NoBody,
}

impl<'c, 's> Exchange<'c, 's> {
    /// A request that was just read.
    pub fn new(
        server: &'c Rc<Server>,
        request: Request,
        input: &'c mut Input<'s>,
        peer: SocketAddr,
        timeouts: Timeouts,
    ) -> Self {
        Exchange {
            client: forwarded::client(peer.ip(), &request.headers, &server.config().trusted_proxies),
            vhost: server.config().vhost(&request.vhost_name()),
            body: BodyReader::new(request.body),
            keep_alive: request.wants_keep_alive(),
            for_worker: false,
            output: Output::Unanswered,
            server,
            request,
            peer,
            input,
            timeouts,
        }
    }

    /// The connection itself, for handlers that stay on it: to watch for the peer's end, to count bytes.
    pub fn stream(&self) -> &Rc<Stream> {
        self.input.stream
    }

    /// Has the connection end with this answer. To be called before the answer begins.
    pub fn close_afterwards(&mut self) {
        self.keep_alive = false;
    }

    /// The next part of the request's body, `None` at its end. Tells the peer to go on if it waits for that. Yields.
    ///
    /// # Errors
    /// The peer is told of them if there was no answer yet. [`ErrorCode::HttpRequestEof`] when the peer ends early, [`ErrorCode::SocketTimeout`] after `deadline`, or what
    /// is wrong with the body's form.
    pub fn body_piece(&mut self, deadline: Moment) -> Result<Option<Bytes>> {
        self.try_body_piece(deadline).map_err(|refusal| {
            self.keep_alive = false;
            if matches!(self.output, Output::Unanswered) {
                // The first error counts.
                let _ = self.reply_status(refusal.status);
            }
            refusal.error
        })
    }

    fn try_body_piece(&mut self, deadline: Moment) -> Result<Option<Bytes>, Refusal> {
        loop {
            match self.body.pull(&mut self.input.buffer)? {
                Some(Piece::Data(data)) => return Ok(Some(data)),
                Some(Piece::End) => return Ok(None),
                None => {}
            }
            let filled = self.invite_body().and_then(|()| self.input.fill(deadline));
            let count = filled.map_err(|error| Refusal {
                status: Status::REQUEST_TIMEOUT,
                error,
            })?;
            if count == 0 {
                let cause = "connection ends inside a request's body";
                return Err(Refusal::new(Status::BAD_REQUEST, ErrorCode::HttpRequestEof, cause));
            }
        }
    }

    /// The whole body of the request; `None` when it is above `limit` bytes. Yields.
    ///
    /// # Errors
    /// As [`Exchange::body_piece`].
    pub fn read_body(&mut self, limit: usize) -> Result<Option<Vec<u8>>> {
        let deadline = Moment::after(self.timeouts.request);
        let mut body = Vec::new();
        if self.body.remaining().is_some_and(|remaining| remaining > limit as u64) {
            return Ok(None);
        }
        while let Some(piece) = self.body_piece(deadline)? {
            if piece.len() > limit.saturating_sub(body.len()) {
                return Ok(None);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Some(body))
    }

    fn invite_body(&mut self) -> Result<()> {
        if matches!(self.output, Output::Unanswered) && self.request.expects_continue() {
            self.request.headers.remove("Expect");
            let bytes = ResponseHead::new(Status::CONTINUE).to_bytes();
            return self.send(&mut [IoSlice::new(&bytes)]);
        }
        Ok(())
    }

    /// Answers with a head and all of a body. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketWrite`], [`ErrorCode::SocketTimeout`].
    pub fn reply(&mut self, head: ResponseHead, body: &[u8]) -> Result<()> {
        self.begin(head, Some(body.len() as u64));
        self.write(body)?;
        self.end()
    }

    /// Answers with a status and its phrase as a text. Yields.
    ///
    /// # Errors
    /// As [`Exchange::reply`].
    pub fn reply_status(&mut self, status: Status) -> Result<()> {
        let head = ResponseHead::new(status).with("Content-Type", "text/plain; charset=utf-8");
        self.reply(head, status.reason().as_bytes())
    }

    /// Begins an answer whose body has `length` bytes, or ends when [`Exchange::end`] says so. The fields of the
    /// connection are added to the head, which is sent with the first bytes of the body or with [`Exchange::flush`].
    pub fn begin(&mut self, head: ResponseHead, length: Option<u64>) {
        let mut head = head;
        let framing = if head.status.has_no_body() {
            Framing::NoBody
        } else if let Some(length) = length {
            head.set("Content-Length", length.to_string());
            Framing::Exact(length)
        } else if self.request.is_http11 {
            head.set("Transfer-Encoding", "chunked");
            Framing::Chunked
        } else {
            self.keep_alive = false;
            Framing::UntilClose
        };
        let framing = if self.request.method == Method::Head {
            Framing::NoBody
        } else {
            framing
        };
        self.keep_alive &= !self.server.is_quitting() && self.is_rest_small();
        head.set("Connection", if self.keep_alive { "Keep-Alive" } else { "Close" });
        head.set("Server", SIGNATURE);
        head.set("Date", date::format(clock::unix_time().as_secs()));
        if self.server.config().http_server.crossdomain {
            cors::allow(&mut head, &self.request);
        }
        self.output = Output::Open {
            framing,
            head: head.to_bytes(),
        };
    }

    /// Begins an answer that makes the connection a WebSocket; `accept` is what the handshake asks for. Pieces that are
    /// offered go out as binary messages, and the end closes it.
    pub fn begin_websocket(&mut self, accept: String) {
        self.keep_alive = false;
        let head = ResponseHead::new(Status::SWITCHING_PROTOCOLS)
            .with("Connection", "Upgrade")
            .with("Sec-WebSocket-Accept", accept)
            .with("Server", SIGNATURE)
            .with("Upgrade", "websocket");
        self.output = Output::Open {
            framing: Framing::WebSocket,
            head: head.to_bytes(),
        };
    }

    /// Whether the connection became a WebSocket.
    pub fn is_websocket(&self) -> bool {
        matches!(
            self.output,
            Output::Open {
                framing: Framing::WebSocket,
                ..
            }
        )
    }

    /// Whether what is left of the request's body is worth reading for another request behind it.
    fn is_rest_small(&self) -> bool {
        match self.body.remaining() {
            Some(0) => true,
            Some(remaining) => remaining <= HTTP_DRAIN_BYTES as u64 && !self.request.expects_continue(),
            None => false,
        }
    }

    /// Writes a part of the answer's body. Without effect where the peer wants no body. Yields.
    ///
    /// # Errors
    /// As [`Exchange::reply`]; [`ErrorCode::HttpContentLength`] for more bytes than were announced.
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        let Output::Open { framing, head } = &mut self.output else {
            return Err(Error::new(
                ErrorCode::HttpContentLength,
                "answer is written before it begins or after its end",
            ));
        };
        if data.is_empty() || matches!(framing, Framing::NoBody) {
            return Ok(());
        }
        if let Framing::Exact(remaining) = framing {
            *remaining = remaining.checked_sub(data.len() as u64).ok_or_else(|| {
                Error::new(
                    ErrorCode::HttpContentLength,
                    "answer's body is longer than its head says",
                )
            })?;
        }
        let (framing, head) = (*framing, std::mem::take(head));
        match framing {
            Framing::Chunked => {
                let line = chunk_line(data.len());
                let parts = [&head, line.as_bytes(), data, CHUNK_END];
                self.send(&mut parts.map(IoSlice::new))
            }
            Framing::WebSocket => {
                let header = websocket::FrameHeader::new(Opcode::Binary, data.len());
                self.send(&mut [&head, header.as_bytes(), data].map(IoSlice::new))
            }
            _ => self.send(&mut [IoSlice::new(&head), IoSlice::new(data)]),
        }
    }

    /// Offers a part of the answer's body to the socket, without waiting; gives a copy of what it did not take, for
    /// [`Exchange::write_rest`]. To be called for bodies without an announced length, after [`Exchange::flush`].
    ///
    /// # Errors
    /// [`ErrorCode::SocketWrite`].
    pub fn offer(&mut self, data: &[u8]) -> Result<Vec<u8>> {
        let Output::Open { framing, .. } = &self.output else {
            return Ok(Vec::new());
        };
        if data.is_empty() {
            return Ok(Vec::new());
        }
        match framing {
            Framing::Exact(_) | Framing::NoBody => Ok(Vec::new()),
            Framing::Chunked => self.offer_parts([chunk_line(data.len()).as_bytes(), data, CHUNK_END]),
            Framing::UntilClose => self.offer_parts([data, &[], &[]]),
            Framing::WebSocket => {
                let header = websocket::FrameHeader::new(Opcode::Binary, data.len());
                self.offer_parts([header.as_bytes(), data, &[]])
            }
        }
    }

    /// What stands around each part that [`Exchange::offer`] sends; none unless its bytes may go straight to the socket.
    pub fn envelope(&self) -> Option<Envelope> {
        let Output::Open { framing, head } = &self.output else {
            return None;
        };
        let envelope = match framing {
            Framing::Exact(_) | Framing::NoBody => return None,
            Framing::Chunked => Envelope::Chunk,
            Framing::UntilClose => Envelope::Bare,
            Framing::WebSocket => Envelope::Message,
        };
        // To encrypt for many in a row would hold up everybody else.
        (head.is_empty() && !self.stream().is_secure()).then_some(envelope)
    }

    fn offer_parts(&self, parts: [&[u8]; 3]) -> Result<Vec<u8>> {
        let sent = self.input.stream.try_write_vectored(&parts.map(IoSlice::new));
        let mut taken = sent.io_wrap(ErrorCode::SocketWrite, || "write stream".into())?;
        let mut rest = Vec::new();
        for part in parts {
            let skipped = taken.min(part.len());
            rest.extend_from_slice(&part[skipped..]);
            taken -= skipped;
        }
        Ok(rest)
    }

    /// Writes what [`Exchange::offer`] gave back, and what it left in the connection. Yields.
    ///
    /// # Errors
    /// As [`Exchange::reply`].
    pub fn write_rest(&mut self, rest: &[u8]) -> Result<()> {
        self.send(&mut [IoSlice::new(rest)])
    }

    /// What the peer sends while the answer goes on, without waiting: nothing, or some bytes.
    ///
    /// # Errors
    /// [`ErrorCode::SocketClosed`] at the peer's end, [`ErrorCode::SocketRead`].
    pub fn try_input(&mut self) -> Result<&mut BytesMut> {
        let mut bytes = [0; LOOK_BYTES];
        let read = self.input.stream.try_read(&mut bytes);
        match read.io_wrap(ErrorCode::SocketRead, || "watch player".into())? {
            Some(0) => return Err(Error::new(ErrorCode::SocketClosed, "player closed the connection")),
            Some(count) => self.input.buffer.extend_from_slice(&bytes[..count]),
            None => {}
        }
        Ok(&mut self.input.buffer)
    }

    /// What the peer sent and nobody has used yet.
    pub fn unread(&mut self) -> &mut BytesMut {
        &mut self.input.buffer
    }

    /// Waits until the peer sends something or `deadline`. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketRead`].
    pub fn wait_input(&self, deadline: Moment) -> Result<()> {
        let waited = self.input.stream.wait_readable(deadline);
        waited
            .map(drop)
            .io_wrap(ErrorCode::SocketRead, || "watch player".into())
    }

    /// Sends the head now if it was not yet. Yields.
    ///
    /// # Errors
    /// As [`Exchange::reply`].
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.output {
            Output::Open { head, .. } if !head.is_empty() => {
                let head = std::mem::take(head);
                self.send(&mut [IoSlice::new(&head)])
            }
            _ => Ok(()),
        }
    }

    /// Ends the answer. One that is shorter than announced ends the connection, which tells the peer. Yields.
    ///
    /// # Errors
    /// As [`Exchange::reply`].
    pub fn end(&mut self) -> Result<()> {
        if let Output::Open { framing, head } = std::mem::replace(&mut self.output, Output::Ended) {
            match framing {
                Framing::Chunked => self.send(&mut [IoSlice::new(&head), IoSlice::new(LAST_CHUNK)])?,
                Framing::WebSocket => {
                    let close = websocket::control_frame(Opcode::Close, &websocket::NORMAL_CLOSE);
                    self.send(&mut [IoSlice::new(&head), IoSlice::new(&close)])?;
                }
                _ => self.send(&mut [IoSlice::new(&head)])?,
            }
            self.keep_alive &= !matches!(framing, Framing::Exact(1..));
        }
        Ok(())
    }

    fn send(&self, parts: &mut [IoSlice<'_>]) -> Result<()> {
        let stream = self.input.stream;
        stream
            .write_all_vectored(parts)
            .io_wrap(ErrorCode::SocketWrite, || "write answer".into())
    }

    /// Ends the answer if the handler did not, and reads over what is left of the request. Gives whether another
    /// request may follow. Yields.
    ///
    /// # Errors
    /// As [`Exchange::reply`] and [`Exchange::body_piece`].
    pub fn finish(mut self) -> Result<bool> {
        if matches!(self.output, Output::Unanswered) {
            return Ok(false);
        }
        self.end()?;
        let deadline = Moment::after(self.timeouts.request);
        // Small, or the answer would have said that the connection ends.
        while self.keep_alive && self.body_piece(deadline)?.is_some() {}
        Ok(self.keep_alive)
    }
}
