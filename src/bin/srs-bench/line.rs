//! A client's connection to the server: where from, how long it may take, and one read buffer for all clients.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use srs_may::app::http::trust::Trust;
use srs_may::app::stream::Stream;
use srs_may::core::clock::Moment;
use srs_may::core::coroutine;
use srs_may::core::dns;
use srs_may::core::tcp::{ConnectOptions, TcpStream};
use srs_may::kernel::error::{Error, IoWrap, Result};
use srs_may::kernel::error_code::ErrorCode;

/// What one read takes at most, bytes.
const READ_BYTES: usize = 256 << 10;
/// What may be left over from one read to the next, bytes: chunk headers, a head of HTTP.
const REST_BYTES: usize = 16 << 10;
/// Connections that come from one address of this machine before the next is used, below the 28,000 ports of each.
const CONNECTIONS_A_SOURCE: usize = 20_000;
/// How often a slow reader reads in a second.
const SLOW_READS: u64 = 10;
/// The receive buffer of a slow reader, bytes, so that the kernel does not read in its place.
const SLOW_BUFFER_BYTES: usize = 16 << 10;

thread_local! {
    /// What is left over stands before what is read, so that both are one piece.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; REST_BYTES + READ_BYTES]);
}

/// How clients connect.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Addresses of this machine to come from, in turn; none leaves it to the system, or to the loopback's own range.
    pub sources: Vec<IpAddr>,
    /// How long connecting may take, and each silence of the server.
    pub timeout: Duration,
    /// Bytes a second that a slow reader reads.
    pub read_rate: Option<u64>,
}

impl Way {
    /// Connects client `number` of the job. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::DnsResolve`], [`ErrorCode::SocketConnect`], [`ErrorCode::HttpsHandshake`].
    pub fn connect(&self, host: &str, port: u16, is_secure: bool, number: usize) -> Result<Rc<Stream>> {
        let found = dns::resolve(host, port, self.timeout);
        let addresses = found.io_wrap(ErrorCode::DnsResolve, || format!("find {host}"))?;
        let Some(address) = addresses.first() else {
            return Err(Error::new(ErrorCode::DnsResolve, format!("{host} has no address")));
        };
        let options = ConnectOptions {
            source: self.source(*address, number),
            receive_buffer: self.read_rate.map(|_| SLOW_BUFFER_BYTES),
        };
        let connected = TcpStream::connect_with(*address, self.timeout, options);
        let socket = connected.io_wrap(ErrorCode::SocketConnect, || format!("connect to {address}"))?;
        let stream = Rc::new(Stream::from(socket));
        stream.set_write_timeout(Some(self.timeout));
        // Dialogues are gathered, and media is to go out when it is due.
        let _ = stream.set_nodelay(true);
        if is_secure {
            let what = || format!("TLS with {address}");
            let machine = Trust::default().settings()?.machine(host);
            let machine =
                machine.map_err(|cause| Error::new(ErrorCode::HttpsHandshake, format!("{}: {cause}", what())))?;
            let agreed = stream.begin_tls(machine, self.timeout);
            agreed.io_wrap(ErrorCode::HttpsHandshake, what)?;
        }
        Ok(stream)
    }

    fn source(&self, target: SocketAddr, number: usize) -> Option<IpAddr> {
        if !self.sources.is_empty() {
            return Some(self.sources[number % self.sources.len()]);
        }
        let IpAddr::V4(target) = target.ip() else { return None };
        let index = u8::try_from(number / CONNECTIONS_A_SOURCE).unwrap_or(u8::MAX).min(250);
        // All of 127.0.0.0/8 is this machine.
        (target.is_loopback() && index > 0).then(|| IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + index)))
    }

    /// Reads what there is and shows it to `look` behind what that left the last time; `look` gets all bytes and how many
    /// are new, and tells how many it used. Waits for the first byte. Gives how many came, 0 at the end. Yields, but not
    /// inside `look`.
    ///
    /// # Errors
    /// [`ErrorCode::SocketTimeout`], [`ErrorCode::SocketRead`]; those of `look`.
    pub fn pump(
        &self,
        stream: &Stream,
        rest: &mut Vec<u8>,
        mut look: impl FnMut(&[u8], usize) -> Result<usize>,
    ) -> Result<usize> {
        let limit = match self.read_rate {
            Some(rate) => {
                coroutine::sleep(Duration::from_secs(1) / SLOW_READS as u32);
                usize::try_from(rate / SLOW_READS)
                    .unwrap_or(READ_BYTES)
                    .clamp(1, READ_BYTES)
            }
            None => READ_BYTES,
        };
        let deadline = Moment::after(self.timeout);
        loop {
            let came = BUFFER.with_borrow_mut(|buffer| read_once(stream, buffer, limit, rest, &mut look))?;
            if let Some(count) = came {
                coroutine::tick();
                return Ok(count);
            }
            let waited = stream.wait_readable(deadline);
            if !waited.io_wrap(ErrorCode::SocketRead, || "wait for the server".to_owned())? {
                let text = format!("the server was silent for {} s", self.timeout.as_secs_f64());
                return Err(Error::new(ErrorCode::SocketTimeout, text));
            }
        }
    }
}

fn read_once(
    stream: &Stream,
    buffer: &mut [u8],
    limit: usize,
    rest: &mut Vec<u8>,
    look: &mut impl FnMut(&[u8], usize) -> Result<usize>,
) -> Result<Option<usize>> {
    let Some(start) = REST_BYTES.checked_sub(rest.len()) else {
        return Err(Error::new(ErrorCode::SocketRead, "the server's headers have no end"));
    };
    let read = stream.try_read(&mut buffer[REST_BYTES..REST_BYTES + limit]);
    let Some(count) = read.io_wrap(ErrorCode::SocketRead, || "read from the server".to_owned())? else {
        return Ok(None);
    };
    if count > 0 {
        buffer[start..REST_BYTES].copy_from_slice(rest);
        let input = &buffer[start..REST_BYTES + count];
        let used = look(input, count)?;
        rest.clear();
        rest.extend_from_slice(&input[used..]);
    }
    Ok(Some(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_over_the_loopback_come_from_many_addresses() {
        let way = Way::default();
        let source = |target: &str, number| way.source(target.parse().unwrap(), number);
        assert_eq!(source("127.0.0.1:1", 19_999), None);
        assert_eq!(source("127.0.0.1:1", 20_000), Some("127.0.0.2".parse().unwrap()));
        assert_eq!(source("127.0.0.1:1", 65_000), Some("127.0.0.4".parse().unwrap()));
        assert_eq!(source("192.0.2.1:1", 65_000), None);
        assert_eq!(source("[::1]:1", 65_000), None);
        let chosen = Way {
            sources: vec!["192.0.2.7".parse().unwrap(), "192.0.2.8".parse().unwrap()],
            ..way
        };
        let target = "192.0.2.1:1".parse().unwrap();
        assert_eq!(chosen.source(target, 3), Some(chosen.sources[1]));
    }
}
