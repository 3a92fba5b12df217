//! Listeners: one coroutine for each address that accepts and hands connections on.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use crate::core::coroutine::{self, JoinHandle};
use crate::core::tcp::{ListenOptions, TcpListener, TcpStream};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// How long a listener rests when the system has no descriptor or memory for another connection.
const REST: Duration = Duration::from_millis(100);

/// An open listener; dropping it closes the socket and ends its coroutine.
pub struct Listener {
    accepting: Vec<JoinHandle<()>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Listener {
    /// Listens at `address` and calls `serve` for each connection; `serve` must not wait. `name` is what the log calls
    /// it, such as `RTMP`.
    ///
    /// # Errors
    /// [`ErrorCode::SocketBind`] with the system's reason.
    pub fn open(
        name: &'static str,
        address: SocketAddr,
        serve: impl Fn(TcpStream, SocketAddr) + 'static,
    ) -> Result<Self> {
        let listeners = sockets(address).map_err(|error| bind_error(name, address, &error))?;
        let serve = Rc::new(serve);
        let (mut accepting, mut bound) = (Vec::new(), address);
        for listener in listeners {
            bound = listener.local_addr().unwrap_or(address);
            log::info!("{name} listen at tcp://{bound}, fd={}", listener.as_raw_fd());
            let serve = serve.clone();
            let body = move || accept(name, &listener, &*serve);
            accepting.push(coroutine::spawn(format!("listen {name}"), body));
        }
        Ok(Listener {
            accepting,
            address: bound,
        })
    }
}

/// Whether the system would give some clients of one address to the other.
pub fn overlaps(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_ip && one.is_ipv4() == other.is_ipv4()
}

/// Those that the server before this one has left, else a new one.
fn sockets(address: SocketAddr) -> io::Result<Vec<TcpListener>> {
    let inherited = TcpListener::inherited(address)?;
    match inherited.is_empty() {
        true => Ok(vec![TcpListener::bind(address, ListenOptions::default())?]),
        false => Ok(inherited),
    }
}

fn bind_error(name: &str, address: SocketAddr, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ", which needs root's rights: a server that has given them up (user) must be started anew"
        }
        _ => "",
    };
    Error::io(
        ErrorCode::SocketBind,
        error,
        format!("{name} listen at tcp://{address}{hint}"),
    )
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::interrupt);
    }
}

fn accept(name: &str, listener: &TcpListener, serve: &impl Fn(TcpStream, SocketAddr)) {
    while !coroutine::is_interrupted() {
        match listener.accept() {
            Ok((stream, peer)) => serve(stream, peer),
            Err(_) if coroutine::is_interrupted() => return,
            Err(error) => {
                log::error!("{name} accept failed, listener rests for {REST:?}: {error}");
                coroutine::sleep(REST);
            }
        }
    }
}
