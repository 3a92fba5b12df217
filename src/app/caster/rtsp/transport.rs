//! How the packets of one media come: between the messages, or by a pair of UDP ports (RFC 2326, 12.39).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::core::udp::{BindOptions, UdpSocket};
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;

/// How often the system is asked for a pair where the configuration tells no range.
const TRIES: usize = 64;

/// What a SETUP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// RTP on this channel, RTCP on the next.
    Interleaved(u8),
    /// UDP; the peer's port for RTP, that for RTCP is the next.
    Udp(u16),
}

impl Requested {
    /// Reads a `Transport` field: the first of its choices that is understood.
    pub fn parse(field: &str) -> Option<Self> {
        field.split(',').find_map(|choice| {
            let mut parts = choice.trim().split(';').map(str::trim);
            let protocol = parts.next()?.to_ascii_uppercase();
            let parts: Vec<&str> = parts.collect();
            if parts.iter().any(|part| part.eq_ignore_ascii_case("multicast")) {
                return None;
            }
            let value = |name: &str| {
                let found = parts
                    .iter()
                    .find_map(|part| part.split_once('=').filter(|(found, _)| *found == name));
                found.map(|(_, value)| value.split('-').next().unwrap_or(value))
            };
            match protocol.as_str() {
                // The next channel is RTCP's.
                "RTP/AVP/TCP" => value("interleaved")?
                    .parse()
                    .ok()
                    .filter(|first| *first < u8::MAX)
                    .map(Requested::Interleaved),
                "RTP/AVP" | "RTP/AVP/UDP" => value("client_port")?
                    .parse()
                    .ok()
                    .filter(|port| (1..u16::MAX).contains(port))
                    .map(Requested::Udp),
                _ => None,
            }
        })
    }
}

/// How the packets of one media come.
#[derive(Clone)]
pub enum Carrier {
    /// Between the messages, RTP on this channel.
    Interleaved(u8),
    /// By UDP, from the peer's address for RTP.
    Udp(Rc<UdpPair>, SocketAddr),
}

impl Carrier {
    /// The `Transport` field of the answer.
    pub fn describe(&self) -> String {
        match self {
            Carrier::Interleaved(channel) => {
                format!(
                    "RTP/AVP/TCP;unicast;interleaved={channel}-{};mode=record",
                    u16::from(*channel) + 1
                )
            }
            Carrier::Udp(pair, peer) => {
                let (theirs, ours) = (u32::from(peer.port()), u32::from(pair.port));
                format!(
                    "RTP/AVP/UDP;unicast;client_port={theirs}-{};server_port={ours}-{};mode=record",
                    theirs + 1,
                    ours + 1
                )
            }
        }
    }
}

/// An even port for RTP, and the next one for RTCP.
pub struct UdpPair {
    /// For RTP.
    pub rtp: UdpSocket,
    /// For RTCP.
    pub rtcp: UdpSocket,
    /// The port of RTP.
    pub port: u16,
}

impl UdpPair {
    /// Opens the first free pair of a range, or any. Fails with [`ErrorCode::SocketBind`].
    pub fn open(ip: IpAddr, range: Option<(u16, u16)>) -> Result<Self> {
        let found = match range {
            Some((min, max)) => {
                let even = min.saturating_add(min % 2);
                (even..max).step_by(2).find_map(|port| Self::at(ip, port).ok())
            }
            None => (0..TRIES).find_map(|_| Self::anywhere(ip).ok().flatten()),
        };
        found.ok_or_else(|| {
            let text = match range {
                Some((min, max)) => format!("no pair of ports for RTP is free from {min} to {max}"),
                None => "the system has no pair of ports for RTP".to_owned(),
            };
            Error::new(ErrorCode::SocketBind, text)
        })
    }

    fn at(ip: IpAddr, port: u16) -> io::Result<Self> {
        Ok(UdpPair {
            rtp: UdpSocket::bind(SocketAddr::new(ip, port), BindOptions::default())?,
            rtcp: UdpSocket::bind(SocketAddr::new(ip, port + 1), BindOptions::default())?,
            port,
        })
    }

    /// None if the port that the system chose has no partner.
    fn anywhere(ip: IpAddr) -> Result<Option<Self>> {
        let bound = UdpSocket::bind(SocketAddr::new(ip, 0), BindOptions::default());
        let rtp = bound.io_wrap(ErrorCode::SocketBind, || "RTP".into())?;
        let port = rtp.local_addr().map_or(0, |address| address.port());
        if port % 2 != 0 || port == 0 {
            return Ok(None);
        }
        let rtcp = UdpSocket::bind(SocketAddr::new(ip, port + 1), BindOptions::default());
        Ok(rtcp.ok().map(|rtcp| UdpPair { rtp, rtcp, port }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_understood() {
        let parse = Requested::parse;
        let tcp = "RTP/AVP/TCP;unicast;interleaved=2-3;mode=record";
        assert_eq!(parse(tcp), Some(Requested::Interleaved(2)));
        assert_eq!(
            parse("RTP/AVP/UDP;unicast;client_port=7000-7001"),
            Some(Requested::Udp(7000))
        );
        assert_eq!(
            parse("RTP/SAVP;unicast, RTP/AVP;unicast;client_port=8000"),
            Some(Requested::Udp(8000))
        );
        for field in [
            "",
            "RTP/AVP;multicast;client_port=1-2",
            "RTP/AVP/TCP;unicast",
            "RTP/AVP/TCP;interleaved=255-256",
            "RTP/AVP;unicast;client_port=0",
            "RTP/AVP;unicast;client_port=65535",
        ] {
            assert_eq!(parse(field), None, "{field}");
        }
        let answer = Carrier::Interleaved(2).describe();
        assert_eq!(answer, tcp);
    }
}
