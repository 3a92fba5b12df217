//! Network devices (/proc/net/dev) and sockets (/proc/net/sockstat, /proc/net/snmp), see proc(5).

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

use super::{numbers, value_of};

/// Bytes of the network devices since boot. The loopback device does not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Devices {
    /// Whether it was read.
    pub ok: bool,
    /// When, milliseconds since 1970.
    pub sample_time: u64,
    /// Received by devices with a public address.
    pub public_received: u64,
    /// Sent by them.
    pub public_sent: u64,
    /// Received by devices with private addresses only.
    pub private_received: u64,
    /// Sent by them.
    pub private_sent: u64,
}

impl Devices {
    pub(super) fn read(text: &str, public: &[String], now_ms: u64) -> Self {
        let mut sample = Devices {
            ok: !text.is_empty(),
            sample_time: now_ms,
            ..Devices::default()
        };
        for line in text.lines() {
            let Some((name, counters)) = line.split_once(':') else {
                continue;
            };
            let name = name.trim();
            let mut counters = counters
                .split_ascii_whitespace()
                .map(|word| word.parse::<u64>().unwrap_or(0));
            let (Some(received), Some(sent)) = (counters.next(), counters.nth(7)) else {
                continue;
            };
            let sums = match public.iter().any(|found| found == name) {
                _ if name == "lo" => continue,
                true => (&mut sample.public_received, &mut sample.public_sent),
                false => (&mut sample.private_received, &mut sample.private_sent),
            };
            *sums.0 = sums.0.saturating_add(received);
            *sums.1 = sums.1.saturating_add(sent);
        }
        sample
    }
}

/// Sockets of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sockets {
    /// Whether it was read.
    pub ok: bool,
    /// TCP sockets in any state.
    pub tcp: u64,
    /// TCP connections.
    pub established: u64,
    /// TCP connections that have ended and wait.
    pub time_wait: u64,
    /// UDP sockets.
    pub udp: u64,
}

impl Sockets {
    pub(super) fn read(sockstat: &str, sockstat6: &str, snmp: &str) -> Self {
        let of = |text: &str, line: &str, name: &str| -> u64 {
            let found = text.lines().find_map(|found| found.strip_prefix(line));
            let mut words = found.unwrap_or_default().split_ascii_whitespace();
            let at = words.by_ref().find(|word| *word == name);
            at.and_then(|_| words.next())
                .and_then(|value| value.parse().ok())
                .unwrap_or(0)
        };
        let in_use = of(sockstat, "TCP:", "inuse") + of(sockstat6, "TCP6:", "inuse");
        let time_wait = of(sockstat, "TCP:", "tw");
        Sockets {
            ok: value_of(sockstat, "TCP").is_some(),
            tcp: in_use + time_wait,
            established: established(snmp),
            time_wait,
            udp: of(sockstat, "UDP:", "inuse") + of(sockstat6, "UDP6:", "inuse"),
        }
    }
}

/// The file has a line of names and a line of values for each protocol.
fn established(snmp: &str) -> u64 {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Tcp:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return 0;
    };
    let at = names
        .split_ascii_whitespace()
        .skip(1)
        .position(|name| name == "CurrEstab");
    at.and_then(|at| numbers(values).nth(at)).unwrap_or(0)
}

/// The names of the devices that have a public address.
pub(super) fn public_devices() -> Vec<String> {
    addresses()
        .filter(|(_, address)| is_public(*address))
        .map(|(name, _)| name)
        .collect()
}

/// An address of this machine that others can reach: a public one if there is one, else one that is not loopback.
pub fn reachable_address() -> Option<IpAddr> {
    let all: Vec<IpAddr> = addresses().map(|(_, address)| address).collect();
    let public = all.iter().find(|address| is_public(**address));
    let usable = |address: &&IpAddr| address.is_ipv4() && !address.is_loopback();
    public.or_else(|| all.iter().find(usable)).copied()
}

/// One of this machine's addresses: those of IPv4 first, loopback ones only if there are no others. An index beyond
/// them begins anew.
pub fn device_address(index: usize) -> Option<IpAddr> {
    pick(addresses().map(|(_, address)| address).collect(), index)
}

fn pick(all: Vec<IpAddr>, index: usize) -> Option<IpAddr> {
    let (mut usable, loopback): (Vec<IpAddr>, Vec<IpAddr>) = all.into_iter().partition(|ip| !ip.is_loopback());
    usable.sort_by_key(IpAddr::is_ipv6);
    let usable = if usable.is_empty() { loopback } else { usable };
    usable.get(index.checked_rem(usable.len())?).copied()
}

fn addresses() -> impl Iterator<Item = (String, IpAddr)> {
    let found = getifaddrs().into_iter().flatten();
    found.filter_map(|device| {
        let address = device.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let v6 = || address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
        Some((device.interface_name, v4.or_else(v6)?))
    })
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()),
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_unique_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: &str = "Inter-|   Receive                                                |  Transmit\n \
                       face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs\n    \
                       lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n  eth0:100 2 0 0 0 0 0 0 200 4 0 0 0 0 0 0\n  \
                       eth1: 10 2 0 0 0 0 0 0 20 4 0 0 0 0 0 0\n  tun0: 1 2 0 0 0 0 0 0 2 4 0 0 0 0 0 0\n";

    #[test]
    fn devices_are_public_or_private() {
        let devices = Devices::read(DEV, &["eth0".to_owned()], 5);
        assert_eq!((devices.public_received, devices.public_sent), (100, 200));
        assert_eq!((devices.private_received, devices.private_sent), (11, 22));
    }

    #[test]
    fn sockets_of_both_families_count() {
        let sockets = Sockets::read(
            "sockets: used 100\nTCP: inuse 20 orphan 0 tw 54 alloc 30 mem 1\nUDP: inuse 5 mem 1\nUDPLITE: inuse 9\n",
            "TCP6: inuse 5\nUDP6: inuse 1\n",
            "Ip: a\nIp: 1\nTcp: RtoAlgorithm RtoMin CurrEstab InSegs\nTcp: 1 200 10 99\nUdp: x\n",
        );
        let expected = Sockets {
            ok: true,
            tcp: 79,
            established: 10,
            time_wait: 54,
            udp: 6,
        };
        assert_eq!(sockets, expected);
    }

    #[test]
    fn addresses_are_counted_from_the_first_of_ipv4() {
        let all = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let told = |texts: &[&str], index| pick(all(texts), index).map(|ip| ip.to_string());
        let some = ["127.0.0.1", "fe80::1", "10.0.0.1", "192.0.2.1"];
        assert_eq!(told(&some, 0).as_deref(), Some("10.0.0.1"));
        assert_eq!(told(&some, 2).as_deref(), Some("fe80::1"));
        assert_eq!(told(&some, 4).as_deref(), Some("192.0.2.1"));
        assert_eq!(told(&["::1", "127.0.0.1"], 1).as_deref(), Some("127.0.0.1"));
        assert_eq!(told(&[], 3), None);
    }

    #[test]
    fn addresses_are_told_apart() {
        for private in [
            "10.1.2.3",
            "192.168.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "::1",
            "fe80::1",
            "fd00::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        assert!(is_public("8.8.8.8".parse().unwrap()) && is_public("2001:4860::8".parse().unwrap()));
    }
}
