//! The prefix with which a TCP proxy tells the client's address, before C0.
//!
//! It is 0xF3, a big-endian 16-bit length, and that many bytes, of which the first four are the client's IPv4 address.
//! 0xF3 is no RTMP version, so a connection without a proxy is told apart by its first byte. Anybody can send the
//! prefix: the address is as trustworthy as the network that the listener is open to.

use std::net::Ipv4Addr;

use crate::core::limits::RTMP_PROXY_BYTES;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

const MARKER: u8 = 0xf3;
const HEADER_BYTES: usize = 3;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyPrefix {
    /// No prefix: the bytes are C0C1.
    Absent,
    /// More bytes are needed: this many in all, from the connection's first byte on.
    Incomplete(usize),
    /// A whole prefix.
    Present {
        /// Its bytes; C0C1 follows.
        length: usize,
        /// The client's address, if the prefix has room for one.
        client: Option<Ipv4Addr>,
    },
}

/// Looks for the prefix in the first bytes of a connection.
///
/// # Errors
/// [`ErrorCode::RtmpProxy`] if it tells more than [`RTMP_PROXY_BYTES`] bytes.
pub fn parse_proxy_prefix(bytes: &[u8]) -> Result<ProxyPrefix> {
    let length = match *bytes {
        [] => return Ok(ProxyPrefix::Incomplete(1)),
        [first, ..] if first != MARKER => return Ok(ProxyPrefix::Absent),
        [_, high, low, ..] => usize::from(u16::from_be_bytes([high, low])),
        _ => return Ok(ProxyPrefix::Incomplete(HEADER_BYTES)),
    };
    if length > RTMP_PROXY_BYTES {
        return Err(Error::new(
            ErrorCode::RtmpProxy,
            format!("proxy prefix of {length} bytes, {RTMP_PROXY_BYTES} at most"),
        ));
    }
    let length = HEADER_BYTES + length;
    let Some(prefix) = bytes.get(HEADER_BYTES..length) else {
        return Ok(ProxyPrefix::Incomplete(length));
    };
    let client = prefix.first_chunk::<4>().map(|&address| Ipv4Addr::from(address));
    Ok(ProxyPrefix::Present { length, client })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_tells_the_client() {
        let bytes = [0xf3, 0, 6, 192, 0, 2, 1, 9, 9, 3, 0];
        let present = ProxyPrefix::Present {
            length: 9,
            client: Some(Ipv4Addr::new(192, 0, 2, 1)),
        };
        assert_eq!(parse_proxy_prefix(&bytes).unwrap(), present);
        for length in 0..9 {
            let needed = [1, 3, 3, 9][length.min(3)];
            let parsed = parse_proxy_prefix(&bytes[..length]).unwrap();
            assert_eq!(parsed, ProxyPrefix::Incomplete(needed), "{length} bytes");
        }
    }

    #[test]
    fn a_short_prefix_has_no_address() {
        for length in 0..4 {
            let bytes = [0xf3, 0, length, 1, 2, 3, 4];
            let present = ProxyPrefix::Present {
                length: 3 + usize::from(length),
                client: None,
            };
            assert_eq!(parse_proxy_prefix(&bytes).unwrap(), present);
        }
    }

    #[test]
    fn c0_is_no_prefix() {
        assert_eq!(parse_proxy_prefix(&[3]).unwrap(), ProxyPrefix::Absent);
        assert_eq!(parse_proxy_prefix(&[6, 0xf3]).unwrap(), ProxyPrefix::Absent);
    }

    #[test]
    fn the_length_is_bounded() {
        assert_eq!(
            parse_proxy_prefix(&[0xf3, 4, 0]).unwrap(),
            ProxyPrefix::Incomplete(1027)
        );
        let error = parse_proxy_prefix(&[0xf3, 4, 1]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::RtmpProxy);
    }
}
