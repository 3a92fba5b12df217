//! Connections that we open: to the first address of a host that lets us, with TLS where it is wanted.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::http::trust::Trust;
use super::stream::Stream;
use crate::core::clock::Moment;
use crate::core::dns;
use crate::core::tcp::TcpStream;
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;

/// Where to.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// What is there, for errors, such as `http server`.
    pub what: &'a str,
    /// Its name or address, IPv6 with or without brackets.
    pub host: &'a str,
    /// Its TCP port.
    pub port: u16,
}

/// Connects within `timeout`; with `trust`, which tells whom to believe, TLS is agreed upon by then. Yields.
///
/// # Errors
/// [`ErrorCode::DnsResolve`], [`ErrorCode::SocketConnect`]; [`ErrorCode::HttpsHandshake`] and those of
/// [`Trust::settings`].
pub fn dial(peer: Peer<'_>, trust: Option<&Trust>, timeout: Duration) -> Result<Rc<Stream>> {
    let deadline = Moment::after(timeout);
    let stream = Rc::new(Stream::from(dial_tcp(peer, deadline)?));
    let Some(trust) = trust else {
        return Ok(stream);
    };
    let what = || format!("TLS with {} {}:{}", peer.what, peer.host, peer.port);
    let settings = trust.settings().map_err(|error| error.wrap(what()))?;
    let machine = settings
        .machine(peer.host)
        .map_err(|cause| Error::new(ErrorCode::HttpsHandshake, format!("{}: {cause}", what())))?;
    let agreed = stream.begin_tls(machine, deadline.since(Moment::now()));
    agreed.io_wrap(ErrorCode::HttpsHandshake, what)?;
    Ok(stream)
}

fn dial_tcp(peer: Peer<'_>, deadline: Moment) -> Result<TcpStream> {
    let Peer { what, host, port } = peer;
    let addresses = dns::resolve(host, port, deadline.since(Moment::now()))
        .io_wrap(ErrorCode::DnsResolve, || format!("find {what} {host}"))?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect(address, deadline.since(Moment::now())) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last).io_wrap(ErrorCode::SocketConnect, || format!("connect to {what} {host}:{port}"))
}
