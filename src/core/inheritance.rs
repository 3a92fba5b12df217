//! What a process gets from the one that starts it: sockets that are bound already, a line to it, and who it is.
//!
//! Descriptors pass through `exec` under their numbers, which variables of the environment tell. [`take`] reads those
//! once, before the first thread, and takes them away again: children shall not see them. A socket is found by where it
//! is bound, so whoever is about to bind there takes it instead.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{SockType, SockaddrLike, SockaddrStorage, getsockname, getsockopt, sockopt};

use super::process::Command;

/// Bound sockets, numbers with commas.
const SOCKETS: &str = "SRS_MAY_SOCKETS";
/// A line to the process that started this one.
const LINE: &str = "SRS_MAY_LINE";
/// The pid file, open.
const PID_FILE: &str = "SRS_MAY_PID_FILE";
/// Who this process is among those of its server.
const ROLE: &str = "SRS_MAY_ROLE";

static SOCKETS_LEFT: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

thread_local! {
    /// Sockets of ours that the next program is to go on with.
    static OPEN: RefCell<Vec<RawFd>> = const { RefCell::new(Vec::new()) };
}

/// What the process that started this one gave, besides sockets.
#[derive(Debug, Default)]
pub struct Inheritance {
    /// A connected Unix socket.
    pub line: Option<OwnedFd>,
    /// The pid file, which the process that started this one has locked.
    pub pid_file: Option<OwnedFd>,
    /// Who this process is; the two agree on what that means.
    pub role: Option<String>,
}

/// Reads what was inherited. To be called once, before the first thread.
///
/// # Errors
/// `InvalidInput` for a number that is no descriptor of this process.
pub fn take() -> io::Result<Inheritance> {
    let mut sockets = Vec::new();
    for number in variable(SOCKETS).unwrap_or_default().split(',') {
        if !number.is_empty() {
            sockets.push(adopt(SOCKETS, number)?);
        }
    }
    lock().extend(sockets);
    let line = variable(LINE).map(|number| adopt(LINE, &number)).transpose()?;
    let pid_file = variable(PID_FILE).map(|number| adopt(PID_FILE, &number)).transpose()?;
    let role = variable(ROLE);
    for name in [SOCKETS, LINE, PID_FILE, ROLE] {
        // SAFETY: by contract there is no other thread yet that could read the environment.
        unsafe { std::env::remove_var(name) };
    }
    Ok(Inheritance { line, pid_file, role })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Owns an inherited descriptor, which goes to no child of this process by itself.
fn adopt(name: &str, number: &str) -> io::Result<OwnedFd> {
    let unfit = |why: String| io::Error::new(io::ErrorKind::InvalidInput, format!("{name}: {why}"));
    let number: RawFd = match number.parse() {
        Ok(number) if number > 2 => number,
        _ => {
            return Err(unfit(format!(
                "\"{number}\" is not the number of an inherited descriptor"
            )));
        }
    };
    // SAFETY: only asked whether it is open; a closed number is an error of the call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    if let Err(cause) = fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
        return Err(unfit(format!("descriptor {number}: {cause}")));
    }
    // SAFETY: it is open, and this program, which has just begun, has opened nothing under a number that it was told.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn lock() -> std::sync::MutexGuard<'static, Vec<OwnedFd>> {
    SOCKETS_LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The inherited TCP listeners at `address`; they are the caller's from now on.
pub fn take_listeners(address: SocketAddr) -> Vec<OwnedFd> {
    take_bound(address, SockType::Stream)
}

/// The inherited UDP socket at `address`; it is the caller's from now on.
pub fn take_datagram_socket(address: SocketAddr) -> Option<OwnedFd> {
    take_bound(address, SockType::Datagram).pop()
}

fn take_bound(address: SocketAddr, kind: SockType) -> Vec<OwnedFd> {
    let is_wanted = |socket: &mut OwnedFd| bound_at(socket) == Some((kind, address));
    lock().extract_if(.., is_wanted).collect()
}

/// What a socket is, and where; `None` for one of another family.
fn bound_at(socket: &OwnedFd) -> Option<(SockType, SocketAddr)> {
    let kind = getsockopt(socket, sockopt::SockType).ok()?;
    let name: SockaddrStorage = getsockname(socket.as_raw_fd()).ok()?;
    let address = match (name.as_sockaddr_in(), name.as_sockaddr_in6()) {
        (Some(v4), _) => SocketAddr::from(std::net::SocketAddrV4::from(*v4)),
        (_, Some(v6)) => SocketAddr::from(std::net::SocketAddrV6::from(*v6)),
        _ => return None,
    };
    (name.len() > 0).then_some((kind, address))
}

/// All inherited sockets that nobody has taken; dropping them closes those that nobody wants.
pub fn take_rest() -> Vec<OwnedFd> {
    std::mem::take(&mut *lock())
}

/// Deals sockets out to `count` processes: of several at one address each gets its share, and what is there once goes to
/// the first.
pub fn deal(sockets: Vec<OwnedFd>, count: usize) -> Vec<Vec<OwnedFd>> {
    let mut hands: Vec<Vec<OwnedFd>> = (0..count.max(1)).map(|_| Vec::new()).collect();
    let mut seen = Vec::new();
    for socket in sockets {
        let place = bound_at(&socket);
        let turn = seen.iter().filter(|other| **other == place).count();
        seen.push(place);
        let hand = turn % hands.len();
        hands[hand].push(socket);
    }
    hands
}

/// Notes that the next program is to go on with a socket, as long as the result lives.
pub(super) fn offer(socket: &impl AsRawFd) -> Offered {
    let number = socket.as_raw_fd();
    OPEN.with_borrow_mut(|open| open.push(number));
    Offered(number)
}

/// A socket that [`open_sockets`] gives.
#[derive(Debug)]
pub(super) struct Offered(RawFd);

impl Drop for Offered {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(|open| {
            if let Some(at) = open.iter().position(|number| *number == self.0) {
                open.swap_remove(at);
            }
        });
    }
}

/// Duplicates of the bound sockets of this process that the next program is to go on with.
///
/// # Errors
/// When there is no descriptor left.
pub fn open_sockets() -> io::Result<Vec<OwnedFd>> {
    OPEN.with_borrow(|open| {
        // SAFETY: an `Offered` is dropped before its socket closes.
        let borrowed = open.iter().map(|number| unsafe { BorrowedFd::borrow_raw(*number) });
        borrowed.map(|socket| socket.as_fd().try_clone_to_owned()).collect()
    })
}

/// What a new process is to inherit.
#[derive(Debug, Default)]
pub struct Bequest {
    /// Bound sockets.
    pub sockets: Vec<Arc<OwnedFd>>,
    /// The other end of a line to it.
    pub line: Option<Arc<OwnedFd>>,
    /// The pid file.
    pub pid_file: Option<Arc<OwnedFd>>,
    /// Who it is.
    pub role: Option<String>,
}

impl Bequest {
    /// The command with all that.
    pub fn to(self, command: Command) -> Command {
        let numbers: Vec<String> = self
            .sockets
            .iter()
            .map(|socket| socket.as_raw_fd().to_string())
            .collect();
        let mut command = command.variable(SOCKETS, numbers.join(","));
        if let Some(line) = &self.line {
            command = command.variable(LINE, line.as_raw_fd().to_string());
        }
        if let Some(pid_file) = &self.pid_file {
            command = command.variable(PID_FILE, pid_file.as_raw_fd().to_string());
        }
        if let Some(role) = self.role {
            command = command.variable(ROLE, OsString::from(role));
        }
        command.keep(self.sockets.into_iter().chain(self.line).chain(self.pid_file))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn sockets_are_found_by_their_addresses_and_dealt_out() {
        let (first, second) = (
            TcpListener::bind("127.0.0.1:0").unwrap(),
            TcpListener::bind("[::1]:0").unwrap(),
        );
        let datagrams = UdpSocket::bind(first.local_addr().unwrap()).unwrap();
        let place = |listener: &TcpListener| Some((SockType::Stream, listener.local_addr().unwrap()));
        let sockets = vec![
            OwnedFd::from(first.try_clone().unwrap()),
            OwnedFd::from(first.try_clone().unwrap()),
            OwnedFd::from(first.try_clone().unwrap()),
            OwnedFd::from(second.try_clone().unwrap()),
            OwnedFd::from(datagrams.try_clone().unwrap()),
        ];
        let kinds = |hand: &[OwnedFd]| hand.iter().map(bound_at).collect::<Vec<_>>();
        let hands = deal(sockets, 2);
        let udp = Some((SockType::Datagram, first.local_addr().unwrap()));
        assert_eq!(kinds(&hands[0]), [place(&first), place(&first), place(&second), udp]);
        assert_eq!(kinds(&hands[1]), [place(&first)]);
        lock().extend(hands.into_iter().flatten());
        assert_eq!(take_listeners(first.local_addr().unwrap()).len(), 3);
        assert!(take_datagram_socket(second.local_addr().unwrap()).is_none());
        assert!(take_datagram_socket(first.local_addr().unwrap()).is_some());
        assert_eq!(take_listeners(second.local_addr().unwrap()).len(), 1);
    }

    #[test]
    fn numbers_that_are_no_descriptors_are_refused() {
        for number in ["", "x", "-1", "1", "1000000"] {
            let fault = adopt(LINE, number).unwrap_err();
            assert_eq!(fault.kind(), io::ErrorKind::InvalidInput, "{number}");
            assert!(fault.to_string().starts_with("SRS_MAY_LINE: "), "{fault}");
        }
    }
}
