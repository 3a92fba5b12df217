//! A client's connection: a TCP socket, or TLS over one. Who uses it need not know which.
//!
//! What the socket does not take at once waits, encrypted, for the next write; and what is decrypted and not yet read
//! counts as readable although the socket has nothing. All the rest is as with [`TcpStream`].

use std::cell::{OnceCell, RefCell};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use crate::core::clock::Moment;
use crate::core::coroutine::{self, Waker};
use crate::core::limits::TLS_EMPTY_READS;
use crate::core::tcp::TcpStream;
use crate::protocol::tls::Machine;

/// A connection. One coroutine at a time reads, one at a time writes.
pub struct Stream {
    socket: TcpStream,
    /// Boxed: few connections have it, and all pay for its size.
    secure: OnceCell<Box<Secure>>,
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Stream {
            socket,
            secure: OnceCell::new(),
        }
    }
}

impl Stream {
    /// Begins TLS, before anything else is read or written: agrees with the peer on all that `machine` wants. Runs on a
    /// stack of its own, which cryptography needs deeper than others. Gives protocol and cipher. Yields.
    ///
    /// # Errors
    /// `TimedOut` after `limit`, `UnexpectedEof` when the peer leaves, those of [`Machine::receive`], the system's.
    pub fn begin_tls(self: &Rc<Self>, machine: Machine, limit: Duration) -> io::Result<String> {
        let deadline = Moment::after(limit);
        let stream = self.clone();
        let agree = move || {
            let secure = Box::new(Secure {
                machine: RefCell::new(machine),
            });
            let agreed = secure.agree(&stream.socket, deadline)?;
            // There was none: TLS begins once.
            let _ = stream.secure.set(secure);
            Ok(agreed)
        };
        let agreeing = coroutine::spawn_with("TLS handshake", coroutine::LARGE_STACK_BYTES, agree)?;
        agreeing.join().map_err(|panicked| io::Error::other(panicked.0))?
    }

    /// Whether it is TLS.
    pub fn is_secure(&self) -> bool {
        self.secure.get().is_some()
    }

    /// Reads what is there into `buffer`, waiting for the first byte; 0 is the peer's end. Yields.
    ///
    /// # Errors
    /// `TimedOut`, `ConnectionAborted` on an interrupt, those of [`Machine::receive`], or the system's.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.secure.get() {
            None => self.socket.read(buffer),
            Some(secure) => secure.read(&self.socket, buffer),
        }
    }

    /// Reads what is there without waiting; `None` when nothing is.
    ///
    /// # Errors
    /// As [`Stream::read`].
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.secure.get() {
            None => self.socket.try_read(buffer),
            Some(secure) => secure.try_read(&self.socket, buffer),
        }
    }

    /// Whether a read might find something, as far as is known without asking the kernel.
    pub fn is_readable(&self) -> bool {
        self.socket.is_readable() || self.secure.get().is_some_and(|secure| secure.is_readable())
    }

    /// Waits for input (or the peer's end) until `deadline`; gives whether there may be some. Yields.
    ///
    /// # Errors
    /// `ConnectionAborted` when the coroutine is interrupted.
    pub fn wait_readable(&self, deadline: Moment) -> io::Result<bool> {
        if self.is_readable() {
            return Ok(true);
        }
        self.socket.wait_readable(deadline)
    }

    /// Has `waker` woken when input comes; to wait for input and something else at once. What [`Stream::is_readable`]
    /// tells already does not come any more.
    pub fn watch_readable(&self, waker: Waker) {
        self.socket.watch_readable(waker);
    }

    /// Ends [`Stream::watch_readable`].
    pub fn forget_reader(&self) {
        self.socket.forget_reader();
    }

    /// Writes all of `bytes`, and what an earlier [`Stream::try_write_vectored`] left waiting. Yields.
    ///
    /// # Errors
    /// `TimedOut` when the peer took nothing for the write timeout, `WriteZero`, or the system's.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self.secure.get() {
            None => self.socket.write_all(bytes),
            Some(secure) => secure.write_all(&self.socket, &mut [IoSlice::new(bytes)]),
        }
    }

    /// Writes all of `slices`, with one system call if the socket takes them. Yields.
    ///
    /// # Errors
    /// As [`Stream::write_all`].
    pub fn write_all_vectored(&self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        match self.secure.get() {
            None => self.socket.write_all_vectored(slices),
            Some(secure) => secure.write_all(&self.socket, slices),
        }
    }

    /// As [`Stream::try_write_vectored`] for one piece, the cheapest way for a socket that is known to be writable.
    ///
    /// # Errors
    /// The system's.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.secure.get() {
            None => self.socket.try_write(bytes),
            Some(secure) => secure.try_write(&self.socket, &[IoSlice::new(bytes)]),
        }
    }

    /// Writes without waiting; gives how many bytes that was. TLS may keep the end of them, a bounded part, until the
    /// next write: follow it with [`Stream::write_all`], even of nothing.
    ///
    /// # Errors
    /// The system's.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.secure.get() {
            None => self.socket.try_write_vectored(slices),
            Some(secure) => secure.try_write(&self.socket, slices),
        }
    }

    /// How long one read may wait; `None` is for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.socket.set_read_timeout(timeout);
    }

    /// How long one write may wait for the peer to take anything; `None` is for ever.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.socket.set_write_timeout(timeout);
    }

    /// The present read timeout.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.socket.read_timeout()
    }

    /// Turns Nagle's algorithm off (`true`) or on.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_nodelay(nodelay)
    }

    /// See [`TcpStream::set_quick_ack`].
    pub fn set_quick_ack(&self, quick: bool) {
        self.socket.set_quick_ack(quick);
    }

    /// See [`TcpStream::set_gathering`].
    pub fn set_gathering(&self, interval: Option<Duration>) {
        self.socket.set_gathering(interval);
    }

    /// Has the kernel probe an idle peer (SO_KEEPALIVE).
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.socket.set_keepalive(keepalive)
    }

    /// Ends one or both directions; a coroutine that waits on the socket notices. To end our own one alone is the
    /// polite way: the peer is told, as TLS wants it.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how == Shutdown::Write
            && let Some(secure) = self.secure.get()
        {
            secure.say_goodbye(&self.socket);
        }
        self.socket.shutdown(how)
    }

    /// Our address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Bytes received since the start, on the wire.
    pub fn received_bytes(&self) -> u64 {
        self.socket.received_bytes()
    }

    /// Bytes sent since the start, on the wire.
    pub fn sent_bytes(&self) -> u64 {
        self.socket.sent_bytes()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(secure) = self.secure.get() {
            secure.say_goodbye(&self.socket);
        }
    }
}

/// TLS over a socket. The machine is borrowed for steps that do not wait, never longer.
struct Secure {
    machine: RefCell<Machine>,
}

impl Secure {
    fn agree(&self, socket: &TcpStream, deadline: Moment) -> io::Result<String> {
        loop {
            self.flush(socket, || deadline)?;
            if !self.machine.borrow().is_handshaking() {
                return Ok(self.machine.borrow().describe());
            }
            if self.machine.borrow().has_ended() {
                let text = "peer left during the TLS handshake";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            // A peer that always has another byte could go on for ever.
            if Moment::now() >= deadline || !socket.wait_readable(deadline)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.receive(socket)?;
            coroutine::tick();
        }
    }

    /// Takes what the socket has, and answers for TLS itself; gives whether the socket had something.
    fn receive(&self, socket: &TcpStream) -> io::Result<bool> {
        let mut machine = self.machine.borrow_mut();
        let received = machine.receive(&mut Wire(socket));
        if machine.wants_to_send() {
            // What does not go now goes with the next write; an error shows there.
            let _ = machine.send(&mut Wire(socket));
        }
        match received {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_readable(&self) -> bool {
        let machine = self.machine.borrow();
        machine.waiting_bytes() > 0 || machine.has_ended()
    }

    fn read(&self, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let deadline = socket.read_timeout().map_or(Moment::NEVER, Moment::after);
        loop {
            if coroutine::is_interrupted() {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "interrupted"));
            }
            let read = self.try_read(socket, buffer)?;
            coroutine::tick();
            if let Some(count) = read {
                return Ok(count);
            }
            if Moment::now() >= deadline || !socket.wait_input(deadline)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    fn try_read(&self, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        for _ in 0..TLS_EMPTY_READS {
            let read = self.machine.borrow_mut().read(buffer)?;
            if read.is_some() {
                return Ok(read);
            }
            if !self.receive(socket)? {
                return Ok(None);
            }
        }
        self.machine.borrow_mut().read(buffer)
    }

    fn write_all(&self, socket: &TcpStream, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut rest = slices;
        IoSlice::advance_slices(&mut rest, 0);
        loop {
            self.flush(socket, || socket.write_timeout().map_or(Moment::NEVER, Moment::after))?;
            coroutine::tick();
            if rest.is_empty() {
                return Ok(());
            }
            let taken = self.machine.borrow_mut().write(rest)?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, taken);
        }
    }

    fn try_write(&self, socket: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut slices = slices.to_vec();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        let mut total = 0;
        let mut machine = self.machine.borrow_mut();
        loop {
            match machine.send(&mut Wire(socket)) {
                Ok(()) if rest.is_empty() => return Ok(total),
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(total),
                Err(error) => return Err(error),
            }
            let taken = machine.write(rest)?;
            if taken == 0 {
                return Ok(total);
            }
            IoSlice::advance_slices(&mut rest, taken);
            total += taken;
        }
    }

    /// Waits until the socket has taken all that is encrypted; `limit` tells until when it must take something.
    fn flush(&self, socket: &TcpStream, limit: impl Fn() -> Moment) -> io::Result<()> {
        let mut stalled: Option<(u64, Moment)> = None;
        loop {
            let sent = self.machine.borrow_mut().send(&mut Wire(socket));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
            let sent = socket.sent_bytes();
            let deadline = match stalled {
                Some((before, deadline)) if before == sent => deadline,
                _ => limit(),
            };
            stalled = Some((sent, deadline));
            if !socket.wait_writable(deadline)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    fn say_goodbye(&self, socket: &TcpStream) {
        let mut machine = self.machine.borrow_mut();
        machine.close();
        // A peer that has gone, or takes nothing, misses it.
        let _ = machine.send(&mut Wire(socket));
    }
}

/// The socket, as far as it goes without waiting.
struct Wire<'s>(&'s TcpStream);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.0.try_write_vectored(slices)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "tls")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::coroutine::{sleep, spawn};
    use crate::core::runtime::run;
    use crate::core::tcp::{ListenOptions, TcpListener};
    use crate::protocol::tls::client::ClientSettings;
    use crate::protocol::tls::tests::server_settings;

    const SOON: Duration = Duration::from_secs(5);

    fn socket_pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap(), ListenOptions::default()).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = spawn("accept", move || listener.accept().unwrap().0);
        let client = TcpStream::connect(address, SOON).unwrap();
        (client, accepting.join().unwrap())
    }

    /// Client and server, agreed.
    fn pair() -> (Rc<Stream>, Rc<Stream>) {
        let (client, server) = socket_pair();
        let (client, server) = (Rc::new(Stream::from(client)), Rc::new(Stream::from(server)));
        let accepted = server.clone();
        let accepting = spawn("accept", move || {
            accepted
                .begin_tls(server_settings("a.com").machine().unwrap(), SOON)
                .unwrap();
        });
        let machine = ClientSettings::trusting_all().unwrap().machine("a.com").unwrap();
        let agreed = client.begin_tls(machine, SOON).unwrap();
        assert!(agreed.starts_with("TLSv1_3"), "{agreed}");
        accepting.join().unwrap();
        (client, server)
    }

    fn read_all(stream: &Stream) -> Vec<u8> {
        let mut received = Vec::new();
        let mut buffer = vec![0; 10_000];
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => return received,
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn megabytes_pass_whole_and_end_politely() {
        run(|| {
            let (client, server) = pair();
            assert!(client.is_secure() && server.is_secure());
            let sent: Vec<u8> = (0..3_000_000u32).map(|index| (index % 251) as u8).collect();
            let expected = sent.clone();
            let writer = spawn("writer", move || {
                let (head, tail) = sent.split_at(1_000_000);
                server.write_all(head).unwrap();
                let taken = server
                    .try_write_vectored(&[IoSlice::new(b""), IoSlice::new(tail)])
                    .unwrap();
                server.write_all(&tail[taken..]).unwrap();
                server.shutdown(Shutdown::Write).unwrap();
                assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
            });
            assert!(read_all(&client) == expected);
            drop(client);
            writer.join().unwrap();
        })
        .unwrap();
    }

    #[test]
    fn what_is_decrypted_counts_as_readable() {
        run(|| {
            let (client, server) = pair();
            assert_eq!(server.try_read(&mut [0; 8]).unwrap(), None);
            assert!(!server.is_readable());
            client.write_all(b"12345678").unwrap();
            assert!(server.wait_readable(Moment::after(SOON)).unwrap());
            let mut buffer = [0; 3];
            assert_eq!(server.try_read(&mut buffer).unwrap(), Some(3));
            assert!(server.is_readable());
            assert!(server.wait_readable(Moment::after(SOON)).unwrap());
            assert_eq!(server.read(&mut buffer).unwrap(), 3);
            assert_eq!(server.try_read(&mut buffer).unwrap(), Some(2));
            assert_eq!(server.try_read(&mut buffer).unwrap(), None);
            assert!(!server.is_readable());
            // Who closes before he has read all resets the connection.
            assert_eq!(client.try_read(&mut buffer).unwrap(), None);
            drop(client);
            assert!(server.wait_readable(Moment::after(SOON)).unwrap());
            assert_eq!(server.read(&mut buffer).unwrap(), 0);
        })
        .unwrap();
    }

    #[test]
    fn what_a_write_without_waiting_keeps_goes_with_the_next() {
        run(|| {
            let (client, server) = pair();
            let piece = vec![9; 500_000];
            let mut taken = 0;
            loop {
                let count = server.try_write_vectored(&[IoSlice::new(&piece)]).unwrap();
                taken += count;
                if count == 0 {
                    break;
                }
            }
            let reading = spawn("reader", move || read_all(&client).len());
            server.write_all(b"").unwrap();
            server.shutdown(Shutdown::Write).unwrap();
            assert_eq!(reading.join().unwrap(), taken);
        })
        .unwrap();
    }

    #[test]
    fn reads_and_writes_time_out() {
        run(|| {
            let (client, server) = pair();
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
    fn a_handshake_ends_in_time_whatever_the_peer_does() {
        run(|| {
            let settings = server_settings("a.com");
            let limit = Duration::from_millis(50);
            let (_silent, server) = socket_pair();
            let error = Rc::new(Stream::from(server)).begin_tls(settings.machine().unwrap(), limit);
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);

            // One that sends an endless record, byte by byte.
            let (slow, server) = socket_pair();
            let dripping = spawn("drip", move || {
                let _ = slow.write_all(b"\x16\x03\x01\x40\x00");
                while slow.write_all(b"x").is_ok() {
                    sleep(Duration::from_millis(1));
                }
            });
            let server = Rc::new(Stream::from(server));
            let start = Moment::now();
            let error = server.begin_tls(settings.machine().unwrap(), limit);
            assert!(error.is_err() && Moment::now().since(start) < SOON);
            drop(server);
            dripping.join().unwrap();

            let (gone, server) = socket_pair();
            drop(gone);
            let error = Rc::new(Stream::from(server)).begin_tls(settings.machine().unwrap(), SOON);
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        })
        .unwrap();
    }

    #[test]
    fn a_peer_that_always_has_input_starves_nobody() {
        run(|| {
            let (client, server) = pair();
            let flood = spawn("flood", move || while client.write_all(&[7; 4096]).is_ok() {});
            let drain = spawn("drain", move || {
                let mut buffer = [0; 4096];
                while server.read(&mut buffer).is_ok_and(|count| count > 0) {}
            });
            for _ in 0..20 {
                sleep(Duration::from_millis(1));
            }
            drain.interrupt();
            drain.join().unwrap();
            flood.join().unwrap();
        })
        .unwrap();
    }
}
