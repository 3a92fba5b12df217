//! UDP: one datagram or many with one system call, with deadlines, counters and multicast.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrLike, SockaddrStorage, sockopt};

use super::clock::Moment;
use super::coroutine;
use super::inheritance::{self, Offered};
use super::limits::UDP_BATCH;
use super::reactor::Registration;
use super::sync::Condition;

/// How a socket is opened.
#[derive(Clone, Copy, Debug)]
pub struct BindOptions {
    /// Lets several sockets have the port (SO_REUSEPORT); for multicast, each gets all datagrams.
    pub reuse_port: bool,
    /// An IPv6 socket leaves the IPv4 port alone.
    pub only_v6: bool,
    /// The next program goes on with it, as this one does with the last one's.
    pub handed_over: bool,
}

impl Default for BindOptions {
    fn default() -> Self {
        BindOptions {
            reuse_port: false,
            only_v6: true,
            handed_over: false,
        }
    }
}

/// What passed through a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
}

/// A UDP socket. One coroutine at a time receives, any number send.
pub struct UdpSocket {
    // Leaves the reactor before the descriptor closes: fields drop in this order.
    registration: Registration,
    _offered: Option<Offered>,
    inner: StdSocket,
    received: Cell<Traffic>,
    sent: Cell<Traffic>,
    /// Whether a sender waits in the reactor; the others wait for their turn.
    send_blocked: Cell<bool>,
    send_turn: Condition,
    headers: RefCell<Headers>,
}

impl UdpSocket {
    /// Binds to `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// The system's, such as `AddrInUse`.
    pub fn bind(address: SocketAddr, options: BindOptions) -> io::Result<Self> {
        let inherited = options.handed_over.then(|| inheritance::take_datagram_socket(address));
        let fd = match inherited.flatten() {
            Some(inherited) => inherited,
            None => Self::open(address, options)?,
        };
        Ok(UdpSocket {
            registration: Registration::new(fd.as_fd())?,
            _offered: options.handed_over.then(|| inheritance::offer(&fd)),
            inner: StdSocket::from(fd),
            received: Cell::default(),
            sent: Cell::default(),
            send_blocked: Cell::new(false),
            send_turn: Condition::new(),
            headers: RefCell::default(),
        })
    }

    fn open(address: SocketAddr, options: BindOptions) -> io::Result<OwnedFd> {
        let family = if address.is_ipv6() {
            AddressFamily::Inet6
        } else {
            AddressFamily::Inet
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket::socket(family, SockType::Datagram, flags, None)?;
        if options.reuse_port {
            socket::setsockopt(&fd, sockopt::ReusePort, &true)?;
        }
        if address.is_ipv6() {
            socket::setsockopt(&fd, sockopt::Ipv6V6Only, &options.only_v6)?;
        }
        socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        Ok(fd)
    }

    /// Fixes the peer: only its datagrams are received, and sending to it costs less.
    ///
    /// # Errors
    /// The system's, such as `NetworkUnreachable`.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.inner.connect(peer)
    }

    /// The next datagram: its length and sender. What exceeds `buffer` is lost. Yields.
    ///
    /// # Errors
    /// `TimedOut` at `deadline`, `ConnectionAborted` on an interrupt, `ConnectionRefused` on a connected socket whose
    /// peer is not there, or the system's.
    pub fn recv_from(&self, buffer: &mut [u8], deadline: Moment) -> io::Result<(usize, SocketAddr)> {
        loop {
            coroutine::check_interrupt()?;
            if let Some(received) = self.try_recv_from(buffer)? {
                coroutine::tick();
                return Ok(received);
            }
            self.wait_readable(deadline)?;
        }
    }

    /// The next datagram if there is one; asking in vain again costs no system call.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        let received = self.try_receive(|socket| socket.recv_from(buffer))?;
        if let Some((count, _)) = received {
            count_in(&self.received, 1, count);
        }
        Ok(received)
    }

    /// Receives what is there, at least one datagram, at most as many as `batch` holds. Yields.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub fn recv_many(&self, batch: &mut ReceiveBatch, deadline: Moment) -> io::Result<()> {
        loop {
            coroutine::check_interrupt()?;
            if self.try_recv_many(batch)? {
                coroutine::tick();
                return Ok(());
            }
            self.wait_readable(deadline)?;
        }
    }

    /// As [`UdpSocket::recv_many`], but false and an empty batch when nothing is there.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub fn try_recv_many(&self, batch: &mut ReceiveBatch) -> io::Result<bool> {
        batch.received.clear();
        let received = self.try_receive(|socket| self.headers.borrow_mut().receive(socket.as_raw_fd(), batch))?;
        let bytes = batch.received.iter().map(|(count, _)| count).sum();
        count_in(&self.received, received.unwrap_or(0), bytes);
        Ok(received.is_some())
    }

    fn try_receive<T>(&self, mut receive: impl FnMut(&StdSocket) -> io::Result<T>) -> io::Result<Option<T>> {
        let slot = &self.registration.slot;
        while slot.readable.get() {
            match receive(&self.inner) {
                Ok(received) => return Ok(Some(received)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => slot.readable.set(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn wait_readable(&self, deadline: Moment) -> io::Result<()> {
        if self.registration.slot.wait_readable(deadline)? {
            Ok(())
        } else {
            Err(io::ErrorKind::TimedOut.into())
        }
    }

    /// Sends one datagram, waiting for room in the socket's buffer. Yields.
    ///
    /// # Errors
    /// `TimedOut` at `deadline`, `ConnectionAborted` on an interrupt that finds it waiting, or the system's.
    pub fn send_to(&self, packet: &[u8], peer: SocketAddr, deadline: Moment) -> io::Result<()> {
        while !self.try_send_to(packet, peer)? {
            self.wait_writable(deadline)?;
        }
        coroutine::tick();
        Ok(())
    }

    /// Sends one datagram; false when the socket's buffer is full.
    ///
    /// # Errors
    /// The system's.
    pub fn try_send_to(&self, packet: &[u8], peer: SocketAddr) -> io::Result<bool> {
        let sent = self.try_transmit(|socket| socket.send_to(packet, peer))?.is_some();
        if sent {
            count_in(&self.sent, 1, packet.len());
        }
        Ok(sent)
    }

    /// Sends datagrams in their order, [`UDP_BATCH`] with one system call, until the socket's buffer is full; gives how
    /// many were sent.
    ///
    /// # Errors
    /// The system's for the first that cannot be sent; those before it are sent and counted.
    pub fn try_send_many<P: AsRef<[u8]>>(&self, packets: &[(P, SocketAddr)]) -> io::Result<usize> {
        let mut done = 0;
        while done < packets.len() {
            let rest = &packets[done..];
            let sent = self.try_transmit(|socket| self.headers.borrow_mut().send(socket.as_raw_fd(), rest))?;
            let Some(count) = sent else { break };
            let bytes = rest.iter().take(count).map(|(packet, _)| packet.as_ref().len()).sum();
            count_in(&self.sent, count, bytes);
            done += count;
        }
        Ok(done)
    }

    fn try_transmit<T>(&self, mut send: impl FnMut(&StdSocket) -> io::Result<T>) -> io::Result<Option<T>> {
        let slot = &self.registration.slot;
        while slot.writable.get() {
            match send(&self.inner) {
                Ok(sent) => return Ok(Some(sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => slot.writable.set(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// A slot knows one writer, so the others queue behind the one that waits there.
    fn wait_writable(&self, deadline: Moment) -> io::Result<()> {
        while self.send_blocked.get() {
            coroutine::check_interrupt()?;
            if Moment::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.send_turn.wait_until(deadline);
        }
        self.send_blocked.set(true);
        let writable = self.registration.slot.wait_writable(deadline);
        self.send_blocked.set(false);
        self.send_turn.notify_one();
        if writable? {
            Ok(())
        } else {
            Err(io::ErrorKind::TimedOut.into())
        }
    }

    /// Asks for a receive buffer of `bytes`, past the system's limit if we may; gives what the kernel granted, which
    /// counts its own overhead too.
    ///
    /// # Errors
    /// The system's; none is known.
    pub fn set_receive_buffer(&self, bytes: usize) -> io::Result<usize> {
        if socket::setsockopt(&self.inner, sockopt::RcvBufForce, &bytes).is_err() {
            socket::setsockopt(&self.inner, sockopt::RcvBuf, &bytes)?;
        }
        Ok(socket::getsockopt(&self.inner, sockopt::RcvBuf)?)
    }

    /// As [`UdpSocket::set_receive_buffer`], for sending.
    ///
    /// # Errors
    /// The system's; none is known.
    pub fn set_send_buffer(&self, bytes: usize) -> io::Result<usize> {
        if socket::setsockopt(&self.inner, sockopt::SndBufForce, &bytes).is_err() {
            socket::setsockopt(&self.inner, sockopt::SndBuf, &bytes)?;
        }
        Ok(socket::getsockopt(&self.inner, sockopt::SndBuf)?)
    }

    /// Receives what is sent to `group`, on the interface with the address `interface` (unspecified: the system's
    /// choice).
    ///
    /// # Errors
    /// `InvalidInput` when it is no multicast group; the system's otherwise.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.inner.join_multicast_v4(&group, &interface)
    }

    /// Receives what is sent to `group`, on the interface with the number `interface` (0: the system's choice).
    ///
    /// # Errors
    /// As [`UdpSocket::join_multicast_v4`].
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner.join_multicast_v6(&group, interface)
    }

    /// Our address.
    ///
    /// # Errors
    /// The system's; none is known.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// What was received since the start.
    pub fn received(&self) -> Traffic {
        self.received.get()
    }

    /// What was sent since the start.
    pub fn sent(&self) -> Traffic {
        self.sent.get()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

fn count_in(traffic: &Cell<Traffic>, packets: usize, bytes: usize) {
    let mut now = traffic.get();
    now.packets += packets as u64;
    now.bytes += bytes as u64;
    traffic.set(now);
}

/// Room for several received datagrams.
pub struct ReceiveBatch {
    buffer: Vec<u8>,
    packet_bytes: usize,
    /// Length and sender of each.
    received: Vec<(usize, SocketAddr)>,
}

impl ReceiveBatch {
    /// Room for `packets` (1 to [`UDP_BATCH`]) datagrams of at most `packet_bytes` (1 to 65,535); of longer ones the
    /// rest is lost.
    pub fn new(packets: usize, packet_bytes: usize) -> Self {
        let (packets, packet_bytes) = (packets.clamp(1, UDP_BATCH), packet_bytes.clamp(1, 65_535));
        ReceiveBatch {
            buffer: vec![0; packets * packet_bytes],
            packet_bytes,
            received: Vec::with_capacity(packets),
        }
    }

    /// The datagrams received last, with their senders.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        let slots = self.buffer.chunks_exact(self.packet_bytes);
        slots
            .zip(&self.received)
            .map(|(slot, (count, peer))| (&slot[..*count], *peer))
    }
}

/// What the kernel reads and writes at a call with several datagrams; empty in sockets that never make one. Its pointers
/// are set anew at each call.
#[derive(Default)]
struct Headers {
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<SockaddrStorage>,
}

impl Headers {
    fn receive(&mut self, fd: RawFd, batch: &mut ReceiveBatch) -> io::Result<usize> {
        self.clear();
        let anybody = SockaddrStorage::from(SocketAddr::from(([0; 16], 0)));
        for slot in batch.buffer.chunks_exact_mut(batch.packet_bytes) {
            self.add(slot.as_mut_ptr(), slot.len(), anybody);
        }
        self.link(size_of::<SockaddrStorage>() as libc::socklen_t);
        // SAFETY: each header points at one part and one name of the vectors, which stay as they are during the call,
        // and each part at its own slot of the batch's buffer, which we hold exclusively.
        let count = Errno::result(unsafe {
            libc::recvmmsg(
                fd,
                self.headers.as_mut_ptr(),
                self.headers.len() as _,
                0,
                std::ptr::null_mut(),
            )
        })? as usize;
        for (header, name) in self.headers.iter().zip(&self.names).take(count) {
            let bytes = (header.msg_len as usize).min(batch.packet_bytes);
            batch.received.push((bytes, address(name)));
        }
        Ok(count)
    }

    fn send<P: AsRef<[u8]>>(&mut self, fd: RawFd, packets: &[(P, SocketAddr)]) -> io::Result<usize> {
        self.clear();
        for (packet, peer) in packets.iter().take(UDP_BATCH) {
            let packet = packet.as_ref();
            self.add(packet.as_ptr().cast_mut(), packet.len(), SockaddrStorage::from(*peer));
        }
        self.link(0);
        // SAFETY: as above; the kernel only reads the packets.
        let sent = unsafe { libc::sendmmsg(fd, self.headers.as_mut_ptr(), self.headers.len() as _, 0) };
        Ok(Errno::result(sent)? as usize)
    }

    fn clear(&mut self) {
        self.headers.clear();
        self.parts.clear();
        self.names.clear();
    }

    fn add(&mut self, start: *mut u8, length: usize, name: SockaddrStorage) {
        self.parts.push(libc::iovec {
            iov_base: start.cast(),
            iov_len: length,
        });
        self.names.push(name);
    }

    /// Builds a header for each part and name, when these move no more. `name_room` 0 takes each name's own length.
    fn link(&mut self, name_room: libc::socklen_t) {
        for (part, name) in self.parts.iter_mut().zip(&mut self.names) {
            let length = if name_room == 0 { name.len() } else { name_room };
            // SAFETY: a plain C struct; zero means null pointers and empty fields, and its padding differs between
            // targets.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = length;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            self.headers.push(header);
        }
    }
}

/// The sender's address as the kernel wrote it.
fn address(name: &SockaddrStorage) -> SocketAddr {
    if let Some(v4) = name.as_sockaddr_in() {
        SocketAddr::V4((*v4).into())
    } else if let Some(v6) = name.as_sockaddr_in6() {
        SocketAddr::V6((*v6).into())
    } else {
        // Internet sockets have no other names.
        SocketAddr::from(([0, 0, 0, 0], 0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::coroutine::{sleep, spawn};
    use crate::core::runtime::run;

    fn bind(address: &str) -> UdpSocket {
        UdpSocket::bind(address.parse().unwrap(), BindOptions::default()).unwrap()
    }

    fn soon() -> Moment {
        Moment::after(Duration::from_secs(10))
    }

    #[test]
    fn datagrams_pass_and_are_counted_in_both_families() {
        run(|| {
            for any in ["127.0.0.1:0", "[::1]:0"] {
                let (here, there) = (bind(any), bind(any));
                let peer = there.local_addr().unwrap();
                let mut buffer = [0; 100];
                assert_eq!(there.try_recv_from(&mut buffer).unwrap(), None);
                for length in [0, 1, 100] {
                    here.send_to(&vec![7; length], peer, soon()).unwrap();
                    let (count, from) = there.recv_from(&mut buffer, soon()).unwrap();
                    assert_eq!((count, from), (length, here.local_addr().unwrap()));
                }
                assert_eq!(here.sent(), Traffic { packets: 3, bytes: 101 });
                assert_eq!(there.received(), here.sent());
            }
        })
        .unwrap();
    }

    #[test]
    fn many_pass_with_one_call_in_order_and_with_their_senders() {
        run(|| {
            for any in ["127.0.0.1:0", "[::1]:0"] {
                let (here, there) = (bind(any), bind(any));
                let peer = there.local_addr().unwrap();
                let packets: Vec<_> = (0..150usize).map(|index| (vec![index as u8; index], peer)).collect();
                assert_eq!(here.try_send_many(&packets).unwrap(), 150);
                let mut batch = ReceiveBatch::new(40, 120);
                let mut seen = 0;
                while seen < 150 {
                    there.recv_many(&mut batch, soon()).unwrap();
                    for (packet, from) in batch.iter() {
                        assert_eq!(packet, &packets[seen].0[..seen.min(120)]);
                        assert_eq!(from, here.local_addr().unwrap());
                        seen += 1;
                    }
                }
                assert!(!there.try_recv_many(&mut batch).unwrap());
                assert_eq!(batch.iter().count(), 0);
                assert_eq!(
                    here.sent(),
                    Traffic {
                        packets: 150,
                        bytes: 149 * 75
                    }
                );
                assert_eq!(there.received().packets, 150);
            }
        })
        .unwrap();
    }

    #[test]
    fn receiving_times_out_and_is_interrupted() {
        run(|| {
            let socket = bind("127.0.0.1:0");
            let error = socket
                .recv_from(&mut [0], Moment::after(Duration::from_millis(5)))
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let receiver = spawn("receiver", move || {
                socket.recv_from(&mut [0], Moment::NEVER).unwrap_err().kind()
            });
            sleep(Duration::from_millis(5));
            receiver.interrupt();
            assert_eq!(receiver.join().unwrap(), io::ErrorKind::ConnectionAborted);
        })
        .unwrap();
    }

    #[test]
    fn a_port_is_taken_unless_shared() {
        run(|| {
            let shared = BindOptions {
                reuse_port: true,
                ..BindOptions::default()
            };
            let first = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), shared).unwrap();
            let address = first.local_addr().unwrap();
            UdpSocket::bind(address, shared).unwrap();
            let error = UdpSocket::bind(address, BindOptions::default()).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            // Only for IPv6, so the IPv4 port stays free.
            let wide = UdpSocket::bind("[::]:0".parse().unwrap(), BindOptions::default()).unwrap();
            let port = wide.local_addr().unwrap().port();
            bind(&format!("127.0.0.1:{port}"));
        })
        .unwrap();
    }

    #[test]
    fn buffers_grow_and_a_refused_peer_is_told_when_connected() {
        run(|| {
            let socket = bind("127.0.0.1:0");
            assert!(socket.set_receive_buffer(100_000).unwrap() >= 100_000);
            assert!(socket.set_send_buffer(100_000).unwrap() >= 100_000);
            let gone = bind("127.0.0.1:0").local_addr().unwrap();
            socket.connect(gone).unwrap();
            socket.send_to(b"anybody?", gone, soon()).unwrap();
            let error = socket.recv_from(&mut [0; 10], soon()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        })
        .unwrap();
    }

    #[test]
    fn a_multicast_group_is_joined() {
        run(|| {
            let socket = bind("127.0.0.1:0");
            socket
                .join_multicast_v4(Ipv4Addr::new(239, 255, 0, 1), Ipv4Addr::LOCALHOST)
                .unwrap();
            let error = socket.join_multicast_v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::LOCALHOST);
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        })
        .unwrap();
    }

    #[test]
    fn several_coroutines_send_at_once() {
        run(|| {
            let (here, there) = (std::rc::Rc::new(bind("127.0.0.1:0")), bind("127.0.0.1:0"));
            let peer = there.local_addr().unwrap();
            here.set_send_buffer(4096).unwrap();
            let senders: Vec<_> = (0..20)
                .map(|_| {
                    let here = here.clone();
                    spawn("sender", move || {
                        for _ in 0..50 {
                            here.send_to(&[0; 1000], peer, soon()).unwrap();
                        }
                    })
                })
                .collect();
            for sender in senders {
                sender.join().unwrap();
            }
            assert_eq!(here.sent().packets, 1000);
        })
        .unwrap();
    }
}
