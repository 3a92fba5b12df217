//! TCP: listener and stream, IPv4 and IPv6, with timeouts and byte counters.

mod gathering;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, sockopt};

use super::clock::Moment;
use super::coroutine::{self, Waker};
use super::inheritance::{self, Offered};
use super::reactor::Registration;
use gathering::Gathering;

/// How a listener is opened.
#[derive(Clone, Copy, Debug)]
pub struct ListenOptions {
    /// Connections that may wait for accept; the kernel caps it at net.core.somaxconn.
    pub backlog: i32,
    /// Lets several processes listen on the port (SO_REUSEPORT).
    pub reuse_port: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions {
            backlog: 4096,
            reuse_port: true,
        }
    }
}

/// How a connection is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectOptions {
    /// The address of ours that it comes from; else the system chooses. Each has some 28,000 ports to one peer.
    pub source: Option<IpAddr>,
    /// A receive buffer of so many bytes instead of one that grows; the kernel doubles it.
    pub receive_buffer: Option<usize>,
}

/// A listening socket.
pub struct TcpListener {
    // Leaves the reactor before the descriptor closes: fields drop in this order.
    registration: Registration,
    _offered: Offered,
    inner: StdListener,
}

impl TcpListener {
    /// Listens at `address`. An IPv6 wildcard does not take the IPv4 port as well.
    ///
    /// # Errors
    /// The system's, such as `AddrInUse` or `PermissionDenied`.
    pub fn bind(address: SocketAddr, options: ListenOptions) -> io::Result<Self> {
        let family = if address.is_ipv6() {
            AddressFamily::Inet6
        } else {
            AddressFamily::Inet
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket::socket(family, SockType::Stream, flags, None)?;
        socket::setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        if options.reuse_port {
            socket::setsockopt(&fd, sockopt::ReusePort, &true)?;
        }
        if address.is_ipv6() {
            socket::setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
        }
        socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        let backlog = socket::Backlog::new(options.backlog).unwrap_or(socket::Backlog::MAXCONN);
        socket::listen(&fd, backlog)?;
        Self::adopt(fd)
    }

    /// The listeners at `address` that this process has inherited, whose connections wait to be accepted.
    ///
    /// # Errors
    /// When the reactor cannot take one.
    pub fn inherited(address: SocketAddr) -> io::Result<Vec<Self>> {
        let sockets = inheritance::take_listeners(address);
        sockets.into_iter().map(Self::adopt).collect()
    }

    fn adopt(fd: OwnedFd) -> io::Result<Self> {
        Ok(TcpListener {
            registration: Registration::new(fd.as_fd())?,
            _offered: inheritance::offer(&fd),
            inner: StdListener::from(fd),
        })
    }

    /// The next connection. Yields.
    ///
    /// # Errors
    /// `ConnectionAborted` when the coroutine is interrupted; the system's otherwise, such as no free descriptor, after
    /// which the caller should sleep.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let slot = &self.registration.slot;
        loop {
            coroutine::check_interrupt()?;
            slot.wait_acceptable()?;
            match self.inner.accept() {
                Ok((stream, peer)) => {
                    coroutine::tick();
                    return Ok((TcpStream::new(stream)?, peer));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => slot.readable.set(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The peer left between its SYN and our accept.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // The queue is as full as before: a caller that tries again at once must not stop the server.
                    coroutine::yield_now();
                    return Err(error);
                }
            }
        }
    }

    /// The address it listens at; tells the port that the system chose for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

/// A connected socket, of TCP or of [`super::unix`]. One coroutine at a time reads, one at a time writes.
pub struct TcpStream {
    registration: Registration,
    inner: StdStream,
    read_timeout: Cell<Option<Duration>>,
    write_timeout: Cell<Option<Duration>>,
    quick_ack: Cell<bool>,
    gathering: RefCell<Option<Rc<Gathering>>>,
    received: Cell<u64>,
    sent: Cell<u64>,
}

impl TcpStream {
    pub(super) fn new(inner: StdStream) -> io::Result<Self> {
        inner.set_nonblocking(true)?;
        Ok(TcpStream {
            registration: Registration::new(inner.as_fd())?,
            inner,
            read_timeout: Cell::new(None),
            write_timeout: Cell::new(None),
            quick_ack: Cell::new(false),
            gathering: RefCell::new(None),
            received: Cell::new(0),
            sent: Cell::new(0),
        })
    }

    /// Connects to `address`. Yields.
    ///
    /// # Errors
    /// `TimedOut` after `timeout`; the system's otherwise, such as `ConnectionRefused`.
    pub fn connect(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        Self::connect_with(address, timeout, ConnectOptions::default())
    }

    /// As [`TcpStream::connect`], from where and as `options` say. Yields.
    ///
    /// # Errors
    /// As there; `AddrNotAvailable` for a source that is not this machine's.
    pub fn connect_with(address: SocketAddr, timeout: Duration, options: ConnectOptions) -> io::Result<Self> {
        let family = if address.is_ipv6() {
            AddressFamily::Inet6
        } else {
            AddressFamily::Inet
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd: OwnedFd = socket::socket(family, SockType::Stream, flags, None)?;
        if let Some(source) = options.source {
            // The port is chosen at the connect, when the peer is known: one port serves many peers then. Kernels before
            // 4.2, which old routers have, and QEMU do not know that; each connection takes a port of its own there.
            let _ = socket::setsockopt(&fd, sockopt::IpBindAddressNoPort, &true);
            socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0)))?;
        }
        if let Some(bytes) = options.receive_buffer {
            // Before the connect, so that the window is told to the peer as it is.
            socket::setsockopt(&fd, sockopt::RcvBuf, &bytes)?;
        }
        match socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
            Ok(()) | Err(nix::errno::Errno::EINPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::new(StdStream::from(fd))?;
        let slot = &stream.registration.slot;
        // A fresh socket counts as ready; only the event of the connect tells.
        slot.writable.set(false);
        if !slot.wait_writable(Moment::after(timeout))? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.inner.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// How long one read may wait; `None` is for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.read_timeout.set(timeout);
    }

    /// How long one write may wait for the peer to take anything; `None` is for ever.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.write_timeout.set(timeout);
    }

    /// The present read timeout.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.read_timeout.get()
    }

    /// The present write timeout.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.write_timeout.get()
    }

    /// Reads what is there into `buffer`, waiting for the first byte; 0 is the peer's end. Yields.
    ///
    /// # Errors
    /// `TimedOut`, `ConnectionAborted` on an interrupt, or the system's.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // A peer that always has input would never let the coroutine wait, and so never end.
        coroutine::check_interrupt()?;
        let deadline = deadline(&self.read_timeout);
        loop {
            if let Some(count) = self.try_read(buffer)? {
                coroutine::tick();
                return Ok(count);
            }
            if !self.wait_input(deadline)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Reads what is there without waiting; `None` when nothing is, which costs no system call.
    ///
    /// # Errors
    /// The system's.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let slot = &self.registration.slot;
        while slot.readable.get() {
            match io::Read::read(&mut &self.inner, buffer) {
                Ok(count) => {
                    // A short read has emptied the socket; the next byte is a new event. An end gives no further event.
                    if count < buffer.len() && !slot.hung_up.get() {
                        slot.readable.set(false);
                    }
                    self.received.set(self.received.get() + count as u64);
                    if self.quick_ack.get() {
                        acknowledge_now(&self.inner);
                    }
                    return Ok(Some(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => slot.readable.set(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether a read would find something, as far as is known without asking the kernel.
    pub fn is_readable(&self) -> bool {
        self.registration.slot.readable.get()
    }

    /// Waits for input (or the peer's end) until `deadline`; gives whether there is some. Yields.
    ///
    /// # Errors
    /// `ConnectionAborted` when the coroutine is interrupted.
    pub fn wait_readable(&self, deadline: Moment) -> io::Result<bool> {
        self.registration.slot.wait_readable(deadline)
    }

    /// As [`TcpStream::wait_readable`], for one who reads all that is there each time: heeds
    /// [`TcpStream::set_gathering`], so there may be nothing although it says so. Yields.
    ///
    /// # Errors
    /// As [`TcpStream::wait_readable`].
    pub fn wait_input(&self, deadline: Moment) -> io::Result<bool> {
        let slot = &self.registration.slot;
        let gathering = self.gathering.borrow().clone();
        match gathering {
            Some(gathering) if !slot.readable.get() => gathering.wait(slot, &self.inner, self.received.get(), deadline),
            _ => slot.wait_readable(deadline),
        }
    }

    /// Has `waker` woken when input comes; to wait for input and something else at once.
    pub fn watch_readable(&self, waker: Waker) {
        self.registration.slot.watch_readable(waker);
    }

    /// Ends [`TcpStream::watch_readable`].
    pub fn forget_reader(&self) {
        self.registration.slot.forget_reader();
    }

    /// Writes all of `bytes`. Yields.
    ///
    /// # Errors
    /// `TimedOut` when the peer took nothing for the write timeout, `WriteZero`, or the system's.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.write_some(|stream| send(stream, &[IoSlice::new(rest)]))?;
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Writes all of `slices`, with one system call if the socket takes them. Yields.
    ///
    /// # Errors
    /// As [`TcpStream::write_all`].
    pub fn write_all_vectored(&self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut rest = slices;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let count = self.write_some(|stream| send(stream, rest))?;
            IoSlice::advance_slices(&mut rest, count);
        }
        Ok(())
    }

    /// Writes what the socket takes at once, without waiting; gives how many bytes that was. Always asks the kernel:
    /// the cheapest way for a socket that is known to be writable.
    ///
    /// # Errors
    /// The system's.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match send(&self.inner, &[IoSlice::new(bytes)]) {
                Ok(count) => {
                    self.sent.set(self.sent.get() + count as u64);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes what the socket takes at once, without waiting; gives how many bytes that was.
    ///
    /// # Errors
    /// The system's.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let slot = &self.registration.slot;
        while slot.writable.get() {
            match send(&self.inner, slices) {
                Ok(count) => {
                    self.sent.set(self.sent.get() + count as u64);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => slot.writable.set(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }

    /// Waits until the socket takes something, or `deadline`; gives whether it does. Yields.
    ///
    /// # Errors
    /// `ConnectionAborted` when the coroutine is interrupted.
    pub fn wait_writable(&self, deadline: Moment) -> io::Result<bool> {
        self.registration.slot.wait_writable(deadline)
    }

    /// Notes that a read has found nothing, for callers with system calls of their own.
    pub(super) fn expect_readable(&self) {
        self.registration.slot.readable.set(false);
    }

    /// The same for a write that nothing was taken of.
    pub(super) fn expect_writable(&self) {
        self.registration.slot.writable.set(false);
    }

    /// Writes once, waiting until the socket takes something.
    fn write_some(&self, mut write: impl FnMut(&StdStream) -> io::Result<usize>) -> io::Result<usize> {
        let slot = &self.registration.slot;
        let mut limit = None;
        loop {
            if slot.writable.get() {
                match write(&self.inner) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => {
                        self.sent.set(self.sent.get() + count as u64);
                        coroutine::tick();
                        return Ok(count);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => slot.writable.set(false),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            } else {
                let limit = *limit.get_or_insert_with(|| deadline(&self.write_timeout));
                if !slot.wait_writable(limit)? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
    }

    /// Turns Nagle's algorithm off (`true`) or on.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.inner.set_nodelay(nodelay)
    }

    /// Has the kernel acknowledge what is read at once instead of up to 40 ms later, for dialogues with peers that
    /// write a command in small pieces and wait for the acknowledgement of each (Nagle). Costs a system call a read.
    pub fn set_quick_ack(&self, quick: bool) {
        self.quick_ack.set(quick);
    }

    /// Lets input of a peer that sends many small pieces wait up to one and a half times so long, so that reads take
    /// several of them; `None` is that each piece is read at once. Holds from the next wait on.
    pub fn set_gathering(&self, interval: Option<Duration>) {
        let gathering = interval.map(|interval| Rc::new(Gathering::new(interval)));
        if let Some(before) = self.gathering.replace(gathering) {
            before.end(&self.inner);
        }
    }

    /// Has the kernel probe an idle peer (SO_KEEPALIVE).
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        Ok(socket::setsockopt(&self.inner, sockopt::KeepAlive, &keepalive)?)
    }

    /// Asks for a send buffer of `bytes`; the kernel doubles and caps it.
    pub fn set_send_buffer(&self, bytes: usize) -> io::Result<()> {
        Ok(socket::setsockopt(&self.inner, sockopt::SndBuf, &bytes)?)
    }

    /// Ends one or both directions; a coroutine that waits on the socket notices.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.shutdown(how)
    }

    /// Our address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }

    /// Bytes received since the start.
    pub fn received_bytes(&self) -> u64 {
        self.received.get()
    }

    /// Bytes sent since the start.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.get()
    }

    /// Gives the descriptor away, out of the reactor.
    pub fn into_std(self) -> io::Result<StdStream> {
        let fd = self.inner.try_clone()?;
        drop(self.registration);
        // SAFETY: the clone is a descriptor of its own, given up by `into_raw_fd`.
        Ok(unsafe { StdStream::from_raw_fd(fd.into_raw_fd()) })
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

/// Sends the acknowledgement that the kernel holds back; it falls back to holding back by itself.
fn acknowledge_now(socket: &StdStream) {
    let on: libc::c_int = 1;
    // Without effect at worst.
    let _ = set_option(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_QUICKACK, &on);
}

/// Sets an option that `nix` does not know. `T` is the type that the kernel expects for it.
pub(super) fn set_option<T>(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the kernel reads `length` bytes at the value, which lives through the call, as does what it points to.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const *value).cast(), length) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// One system call that does not wait. Of the calls that send, `send` is the cheapest by far for a single piece.
fn send(socket: &StdStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
    let sent = match slices {
        [only] => socket::send(fd, only, flags),
        many => socket::sendmsg::<()>(fd, many, &[], flags, None),
    };
    Ok(sent?)
}

fn deadline(timeout: &Cell<Option<Duration>>) -> Moment {
    timeout.get().map_or(Moment::NEVER, Moment::after)
}

impl io::Read for &TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        TcpStream::read(self, buffer)
    }
}

impl io::Write for &TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::coroutine::spawn;
    use crate::core::runtime::run;

    fn listen(address: &str) -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(address.parse().unwrap(), ListenOptions::default()).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    pub(super) fn pair(address: &str) -> (TcpStream, TcpStream) {
        let (listener, address) = listen(address);
        let accepting = spawn("accept", move || listener.accept().unwrap().0);
        let client = TcpStream::connect(address, Duration::from_secs(5)).unwrap();
        (client, accepting.join().unwrap())
    }

    #[test]
    fn megabytes_pass_both_address_families_whole() {
        run(|| {
            for address in ["127.0.0.1:0", "[::1]:0"] {
                let (client, server) = pair(address);
                let sent: Vec<u8> = (0..3_000_000u32).map(|index| (index % 251) as u8).collect();
                let expected = sent.clone();
                let writer = spawn("writer", move || {
                    let (head, tail) = sent.split_at(1_000_000);
                    client.write_all(head).unwrap();
                    client
                        .write_all_vectored(&mut [IoSlice::new(tail), IoSlice::new(b"")])
                        .unwrap();
                    assert_eq!(client.sent_bytes(), 3_000_000);
                });
                let mut received = Vec::new();
                let mut buffer = vec![0; 10_000];
                loop {
                    let count = server.read(&mut buffer).unwrap();
                    if count == 0 {
                        break;
                    }
                    received.extend_from_slice(&buffer[..count]);
                }
                assert!(received == expected);
                assert_eq!(server.received_bytes(), 3_000_000);
                writer.join().unwrap();
            }
        })
        .unwrap();
    }

    #[test]
    fn reads_and_writes_time_out() {
        run(|| {
            let (client, server) = pair("127.0.0.1:0");
            server.set_read_timeout(Some(Duration::from_millis(20)));
            let error = server.read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            client.set_write_timeout(Some(Duration::from_millis(20)));
            let error = client.write_all(&vec![0; 64 << 20]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        })
        .unwrap();
    }

    #[test]
    fn nothing_to_read_costs_no_wait_and_the_end_is_seen() {
        run(|| {
            let (client, server) = pair("127.0.0.1:0");
            assert_eq!(server.try_read(&mut [0; 8]).unwrap(), None);
            client.write_all(b"bye").unwrap();
            drop(client);
            let mut buffer = [0; 8];
            assert_eq!(server.read(&mut buffer).unwrap(), 3);
            assert_eq!(server.read(&mut buffer).unwrap(), 0);
            assert_eq!(server.read(&mut buffer).unwrap(), 0);
        })
        .unwrap();
    }

    #[test]
    fn a_refused_connect_says_so() {
        run(|| {
            let address = listen("127.0.0.1:0").1;
            let error = TcpStream::connect(address, Duration::from_secs(5)).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        })
        .unwrap();
    }

    #[test]
    fn a_connection_comes_from_the_address_that_was_chosen() {
        run(|| {
            let (listener, address) = listen("127.0.0.1:0");
            let accepting = spawn("accept", move || listener.accept().unwrap().1.ip());
            let options = ConnectOptions {
                source: Some("127.0.0.9".parse().unwrap()),
                receive_buffer: Some(4096),
            };
            let client = TcpStream::connect_with(address, Duration::from_secs(5), options).unwrap();
            assert_eq!(accepting.join().unwrap(), client.local_addr().unwrap().ip());
            assert_eq!(client.local_addr().unwrap().ip(), options.source.unwrap());
            let foreign = ConnectOptions {
                source: Some("192.0.2.1".parse().unwrap()),
                ..options
            };
            let error = TcpStream::connect_with(address, Duration::from_secs(5), foreign).err();
            assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::AddrNotAvailable));
        })
        .unwrap();
    }

    #[test]
    fn an_interrupt_ends_accept_and_read() {
        run(|| {
            let (listener, _) = listen("127.0.0.1:0");
            let accepting = spawn("accept", move || listener.accept().err().map(|error| error.kind()));
            let (_client, server) = pair("127.0.0.1:0");
            let reading = spawn("read", move || server.read(&mut [0; 8]).err().map(|error| error.kind()));
            coroutine::sleep(Duration::from_millis(5));
            accepting.interrupt();
            reading.interrupt();
            assert_eq!(accepting.join().unwrap(), Some(io::ErrorKind::ConnectionAborted));
            assert_eq!(reading.join().unwrap(), Some(io::ErrorKind::ConnectionAborted));
        })
        .unwrap();
    }

    #[test]
    fn a_peer_that_always_has_input_starves_nobody() {
        run(|| {
            let (client, server) = pair("127.0.0.1:0");
            // The flood's both ends are always ready; a timer must fire all the same.
            let flood = spawn("flood", move || while client.write_all(&[7; 4096]).is_ok() {});
            let drain = spawn("drain", move || {
                let mut buffer = [0; 4096];
                while server.read(&mut buffer).is_ok_and(|count| count > 0) {}
            });
            for _ in 0..20 {
                coroutine::sleep(Duration::from_millis(1));
            }
            drain.interrupt();
            drain.join().unwrap();
            flood.join().unwrap();
        })
        .unwrap();
    }
}
