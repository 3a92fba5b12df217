//! The exporter's small HTTP server: the crate `may_minihttp`, with what it takes to run it beside live streams.
//!
//! The crate's coroutines are may's own, on the one worker, but its connection loop has no limits: it reads a head of
//! any size and does not let others run while more input waits, so one hostile client could stop the server. Therefore
//! the kernel guards it:
//! - A connection is accepted only when its first bytes are here (TCP_DEFER_ACCEPT), so slow clients cost nothing.
//! - From then on it is deaf: a socket filter cuts the payload off whatever else comes.
//! - What is here must be one whole head of a bounded size, or the connection is ended before the crate reads it.
//! - One request is answered; then reading is shut down, which ends the crate's loop.
//!
//! So a connection lives for a few switches of coroutines, and what it can hold is one bounded head and one answer.
//!
//! Two more traps. When accept fails for want of descriptors the crate tries again at once, for ever; [`heed_log`] ends
//! that, and the owner opens it anew. And its listener must not be ended with `shutdown`, which leads to the same loop,
//! but with may's cancel. The clock of its `Date` field ticks on may's timer thread; nothing of ours runs there.

use std::cell::Cell;
use std::ffi::c_int;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;

use may_minihttp::{HttpService, HttpServiceFactory, Request, Response};
use nix::sys::socket::{self, MsgFlags, Shutdown, SockaddrStorage, sockopt};

use super::limits::{MINI_HTTP_HEAD_BYTES, MINI_HTTP_HEADERS};
use super::reactor;
use super::tcp::set_option;

/// How long the kernel keeps a connection that says nothing, seconds.
const SILENCE_SECONDS: c_int = 5;
/// What a client is told whose head is not whole, too large or no HTTP.
const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n";

/// What a request is answered with.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Status 200 with a text.
    Text(Vec<u8>),
    /// Status 404.
    NotFound,
}

type Handler = Rc<dyn Fn(&str, &str) -> Answer>;

/// A running server; dropping it closes its listener soon.
pub struct MiniHttp {
    listening: may::coroutine::JoinHandle<()>,
}

impl MiniHttp {
    /// Listens at `address`, whose port is not 0, and answers requests with `answer`, which is given the method and the
    /// target and must not wait.
    ///
    /// # Errors
    /// The system's, such as `AddrInUse`.
    pub fn start(address: SocketAddr, answer: impl Fn(&str, &str) -> Answer + 'static) -> io::Result<Self> {
        reactor::assert_thread();
        let factory = Factory(OnWorker(Rc::new(answer)));
        let server = MiniHttp {
            listening: factory.start(address)?,
        };
        defer_accept(address)?;
        Ok(server)
    }

    /// Whether it still accepts connections.
    pub fn is_running(&self) -> bool {
        !self.listening.is_done()
    }
}

impl Drop for MiniHttp {
    fn drop(&mut self) {
        // SAFETY: unwinds the coroutine where it waits in accept; it holds the listener and the handler, and both are
        // dropped on the worker.
        unsafe { self.listening.coroutine().cancel() };
    }
}

/// To be told of all that the crate logs. Its listener logs a failed accept and tries again at once; that would stop
/// the whole server, so the listener's coroutine is unwound.
pub fn heed_log(record: &log::Record<'_>) {
    if record.target().starts_with("may_minihttp") && record.args().to_string().starts_with("call = \"stream\"") {
        // SAFETY: the running coroutine is the crate's listener, as in `MiniHttp::drop`; it unwinds when it goes on.
        unsafe { may::coroutine::current().cancel() };
        may::coroutine::yield_now();
    }
}

/// Asserts that a value stays on the worker although the crate wants `Send`.
struct OnWorker<T>(T);

// SAFETY: the crate's coroutines start on the one worker, and what they wait for (accept, `wait_io`) resumes them there;
// each use asserts the thread first.
unsafe impl<T> Send for OnWorker<T> {}

struct Factory(OnWorker<Handler>);

impl HttpServiceFactory for Factory {
    type Service = Service;

    /// `id` is the descriptor of a connection that was accepted just now.
    fn new_service(&self, id: usize) -> Service {
        reactor::assert_thread();
        let fd = RawFd::try_from(id).unwrap_or(-1);
        if screen(fd).is_err() {
            // It may be gone already.
            let _ = socket::send(fd, REFUSAL, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
            let _ = socket::shutdown(fd, Shutdown::Both);
        }
        Service {
            handler: OnWorker(self.0.0.clone()),
            fd,
            is_answered: Cell::new(false),
        }
    }
}

/// One connection; the crate drops it before it closes the descriptor.
struct Service {
    handler: OnWorker<Handler>,
    fd: RawFd,
    is_answered: Cell<bool>,
}

impl HttpService for Service {
    fn call(&mut self, request: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        reactor::assert_thread();
        response.header("Connection: Close");
        if self.is_answered.replace(true) {
            // Sent along with the first one; what that gets has said that the connection ends.
            response.status_code(503, "Service Unavailable");
            return Ok(());
        }
        // Ends the loop after this answer.
        let _ = socket::shutdown(self.fd, Shutdown::Read);
        match (self.handler.0)(request.method(), request.path()) {
            Answer::Text(body) => {
                response.header("Content-Type: text/plain; charset=utf-8");
                response.body_vec(body);
            }
            Answer::NotFound => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}

/// Makes a connection deaf, and looks at what it has said.
fn screen(fd: RawFd) -> io::Result<()> {
    // SAFETY: the crate has accepted it and closes it only after this.
    cut_payload(unsafe { BorrowedFd::borrow_raw(fd) })?;
    let mut bytes = [0; MINI_HTTP_HEAD_BYTES + 1];
    let count = socket::recv(fd, &mut bytes, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT)?;
    match bytes.get(..count) {
        Some(head) if count <= MINI_HTTP_HEAD_BYTES && is_head(head) => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "no whole head in time")),
    }
}

/// Whether the crate will find a request in this.
fn is_head(bytes: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; MINI_HTTP_HEADERS];
    httparse::Request::new(&mut headers)
        .parse(bytes)
        .is_ok_and(|status| status.is_complete())
}

/// Has the kernel drop the payload of all segments to come, and go on with the rest of TCP.
fn cut_payload(fd: BorrowedFd<'_>) -> io::Result<()> {
    let keep_one_byte = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        // TCP never cuts its own header, so this is the whole header and nothing else.
        k: 1,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: (&raw const keep_one_byte).cast_mut(),
    };
    set_option(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Has the listener hand out connections that have said something. The crate does not tell its descriptor, so it is
/// looked for.
fn defer_accept(address: SocketAddr) -> io::Result<()> {
    let mut found = false;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(fd) = name.to_str().and_then(|name| name.parse::<RawFd>().ok()) else {
            continue;
        };
        // SAFETY: another thread may close a file of its own meanwhile; then the calls fail or find no listener. The
        // listener itself belongs to a coroutine of this thread, which does not run now.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        if is_listener(fd, address) {
            set_option(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &SILENCE_SECONDS)?;
            found = true;
        }
    }
    match found {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the listener is not among the open files",
        )),
    }
}

fn is_listener(fd: BorrowedFd<'_>, address: SocketAddr) -> bool {
    socket::getsockopt(&fd, sockopt::AcceptConn) == Ok(true)
        && socket::getsockname::<SockaddrStorage>(fd.as_raw_fd()) == Ok(SockaddrStorage::from(address))
}
