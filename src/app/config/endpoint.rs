//! Addresses to listen on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::value;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// An address and a port. The port is not yet known to be one: a number above 65535 fails when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address, all IPv4 ones when only a port was given.
    pub ip: IpAddr,
    /// The port, above 0.
    pub port: u32,
}

impl Endpoint {
    /// Reads `PORT`, `IP:PORT` or `[IPV6]:PORT`. The port is what leading digits say.
    ///
    /// # Errors
    /// A phrase that says what is wrong with the text.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (Some(host), port),
            None => (None, text),
        };
        let ip = match host {
            Some(host) => parse_ip(host).ok_or_else(|| format!("\"{host}\" is not an IP address"))?,
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        match u32::try_from(value::integer(port).value) {
            Ok(port) if port > 0 => Ok(Endpoint { ip, port }),
            _ => Err(format!("\"{port}\" is not a port above 0")),
        }
    }

    /// The address to open.
    ///
    /// # Errors
    /// [`ErrorCode::SocketBind`] for a port above 65535.
    pub fn socket_addr(&self) -> Result<SocketAddr> {
        match u16::try_from(self.port) {
            Ok(port) => Ok(SocketAddr::new(self.ip, port)),
            Err(_) => Err(Error::new(
                ErrorCode::SocketBind,
                format!("port of {self} is above 65535"),
            )),
        }
    }
}

fn parse_ip(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// `ip:port`, an IPv6 address in brackets.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_read() {
        let cases = [
            ("1935", "0.0.0.0:1935"),
            ("127.0.0.1:1935", "127.0.0.1:1935"),
            ("[::]:1935", "[::]:1935"),
            ("[::1]:1936", "[::1]:1936"),
            ("::1:1937", "[::1]:1937"),
            ("[127.0.0.1]:1938", "127.0.0.1:1938"),
            ("1935/tcp", "0.0.0.0:1935"),
            ("70000", "0.0.0.0:70000"),
        ];
        for (text, shown) in cases {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_says_so() {
        for text in [
            "",
            "0",
            "-1",
            "abc",
            ":1935",
            "localhost:1935",
            "[::1]",
            "1.2.3:1935",
            "127.0.0.1:",
            "[]:1",
        ] {
            let cause = Endpoint::parse(text).unwrap_err();
            assert!(cause.contains("is not"), "{text}: {cause}");
        }
    }

    #[test]
    fn a_port_beyond_the_range_fails_when_opened() {
        let error = Endpoint::parse("70000").unwrap().socket_addr().unwrap_err();
        assert_eq!(error.code(), ErrorCode::SocketBind);
        assert_eq!(
            Endpoint::parse("[::1]:65535").unwrap().socket_addr().unwrap().port(),
            65535
        );
    }
}
