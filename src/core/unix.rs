//! Unix stream sockets, between the processes of one server: by a name in the abstract namespace, which needs no file and
//! works under another root, or as a pair. Connections are [`TcpStream`]s, which do the same with either kind of socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::TcpStream as StdStream;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, sockopt,
};
use nix::unistd::geteuid;

use super::clock::Moment;
use super::coroutine;
use super::limits::PASSED_DESCRIPTORS;
use super::reactor::Registration;
use super::tcp::TcpStream;

const FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

/// A listening socket that only processes of the same user can talk to.
pub struct UnixListener {
    // Leaves the reactor before the descriptor closes: fields drop in this order.
    registration: Registration,
    inner: OwnedFd,
}

impl UnixListener {
    /// Listens under a name of the abstract namespace.
    ///
    /// # Errors
    /// `AddrInUse`, `InvalidInput` for a name of more than 107 bytes.
    pub fn bind(name: &str) -> io::Result<Self> {
        let inner = socket::socket(AddressFamily::Unix, SockType::Stream, FLAGS, None)?;
        socket::bind(inner.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
        socket::listen(&inner, Backlog::new(128).unwrap_or(Backlog::MAXCONN))?;
        Ok(UnixListener {
            registration: Registration::new(inner.as_fd())?,
            inner,
        })
    }

    /// The next connection of a process of our user, or root's; others are closed. Yields.
    ///
    /// # Errors
    /// `ConnectionAborted` when the coroutine is interrupted; the system's otherwise, after which the caller should sleep.
    pub fn accept(&self) -> io::Result<TcpStream> {
        let slot = &self.registration.slot;
        loop {
            coroutine::check_interrupt()?;
            slot.wait_acceptable()?;
            match socket::accept4(self.inner.as_raw_fd(), FLAGS) {
                Ok(number) => {
                    coroutine::tick();
                    // SAFETY: a new descriptor that nothing else owns.
                    let accepted = unsafe { OwnedFd::from_raw_fd(number) };
                    let peer = socket::getsockopt(&accepted, sockopt::PeerCredentials)?.uid();
                    if peer == geteuid().as_raw() || peer == 0 {
                        return connection(accepted);
                    }
                }
                Err(Errno::EAGAIN) => slot.readable.set(false),
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(error) => {
                    coroutine::yield_now();
                    return Err(error.into());
                }
            }
        }
    }
}

/// Connects to the process that listens under a name of the abstract namespace.
///
/// # Errors
/// `ConnectionRefused` when nobody does, `WouldBlock` when too many wait there already.
pub fn connect(name: &str) -> io::Result<TcpStream> {
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, FLAGS, None)?;
    socket::connect(socket.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    connection(socket)
}

/// A line: our end, and the one for a process that is about to be started.
///
/// # Errors
/// When there is no descriptor left.
pub fn pair() -> io::Result<(TcpStream, OwnedFd)> {
    let (ours, theirs) = socket::socketpair(AddressFamily::Unix, SockType::Stream, None, FLAGS)?;
    Ok((connection(ours)?, theirs))
}

/// The connection of an inherited descriptor.
///
/// # Errors
/// When the reactor cannot take it.
pub fn connection(socket: OwnedFd) -> io::Result<TcpStream> {
    TcpStream::new(StdStream::from(socket))
}

/// Sends one byte with duplicates of descriptors. Yields.
///
/// # Errors
/// `InvalidInput` for more than [`PASSED_DESCRIPTORS`], `TimedOut` at `deadline`, the system's.
pub fn send_descriptors(line: &TcpStream, byte: u8, descriptors: &[OwnedFd], deadline: Moment) -> io::Result<()> {
    if descriptors.len() > PASSED_DESCRIPTORS {
        let text = format!(
            "{} descriptors, {PASSED_DESCRIPTORS} can be passed on",
            descriptors.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control: &[ControlMessage<'_>] = if numbers.is_empty() { &[] } else { &rights };
    loop {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match socket::sendmsg::<()>(line.as_raw_fd(), &[IoSlice::new(&[byte])], control, flags, None) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                line.expect_writable();
                if !line.wait_writable(deadline)? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Receives what [`send_descriptors`] sent; no byte at the peer's end. Yields.
///
/// # Errors
/// `TimedOut` at `deadline`, the system's.
pub fn receive_descriptors(line: &TcpStream, deadline: Moment) -> io::Result<(Option<u8>, Vec<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; PASSED_DESCRIPTORS]);
    loop {
        if !line.wait_readable(deadline)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut byte = [0];
        let mut pieces = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        match socket::recvmsg::<()>(line.as_raw_fd(), &mut pieces, Some(&mut space), flags) {
            Ok(message) => {
                let count = message.bytes;
                let mut descriptors = Vec::new();
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(numbers) = control {
                        // SAFETY: the kernel has just made them for this process.
                        let owned = numbers
                            .into_iter()
                            .map(|number| unsafe { OwnedFd::from_raw_fd(number) });
                        descriptors.extend(owned);
                    }
                }
                return Ok(((count > 0).then_some(byte[0]), descriptors));
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => line.expect_readable(),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::core::coroutine::spawn;
    use crate::core::runtime::run;

    #[test]
    fn bytes_and_descriptors_pass() {
        run(|| {
            let name = format!("srs-may-test-{}", std::process::id());
            let listener = UnixListener::bind(&name).unwrap();
            assert_eq!(
                UnixListener::bind(&name).err().unwrap().kind(),
                io::ErrorKind::AddrInUse
            );
            let accepting = spawn("accept", move || listener.accept().unwrap());
            let client = connect(&name).unwrap();
            let server = accepting.join().unwrap();
            client.write_all(b"hello").unwrap();
            let mut buffer = [0; 16];
            assert_eq!(server.read(&mut buffer).unwrap(), 5);
            let soon = || Moment::after(Duration::from_secs(5));
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            send_descriptors(&server, b'S', &[listener.into()], soon()).unwrap();
            let (byte, mut descriptors) = receive_descriptors(&client, soon()).unwrap();
            assert_eq!((byte, descriptors.len()), (Some(b'S'), 1));
            let passed = TcpListener::from(descriptors.remove(0));
            assert_eq!(passed.local_addr().unwrap(), address);
            drop(server);
            assert_eq!(receive_descriptors(&client, soon()).unwrap().0, None);
            assert_eq!(connect(&name).err().unwrap().kind(), io::ErrorKind::ConnectionRefused);
        })
        .unwrap();
    }
}
