//! Whose request a trusted proxy passes on: X-Forwarded-For, X-Real-IP, or Forwarded (RFC 7239).
//!
//! Each proxy adds the address that it was asked from on the right, and whatever stands left of the first one that is
//! not a trusted proxy's may be the client's invention. So a list is read from the right.

use std::net::{IpAddr, SocketAddr};

use crate::app::config::Network;
use crate::protocol::http::headers::Headers;

/// The client: `peer`, unless that is trusted and tells of another. The first field that is there counts, in the order
/// above; where it holds something else than addresses, the last address that is sure.
pub fn client(peer: IpAddr, headers: &Headers, trusted: &[Network]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return peer;
    }
    let told = told(headers);
    let mut client = peer;
    for text in told {
        match parse(text) {
            Some(address) => client = address,
            None => break,
        }
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// The addresses as they were told, the last one first.
fn told(headers: &Headers) -> Vec<&str> {
    let chain: Vec<&str> = headers
        .all("X-Forwarded-For")
        .flat_map(|value| value.split(','))
        .collect();
    if !chain.is_empty() {
        return chain.into_iter().rev().collect();
    }
    if let Some(address) = headers.all("X-Real-IP").last() {
        return vec![address];
    }
    let lines: Vec<&str> = headers.all("Forwarded").collect();
    let elements = lines.into_iter().rev().flat_map(|line| split_from_right(line, ','));
    elements.map(forwarded_for).collect()
}

/// The `for` of one element; empty when it has none, which is no address.
fn forwarded_for(element: &str) -> &str {
    let pairs = split_from_right(element, ';').into_iter();
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    found.map_or("", |(_, value)| value)
}

/// The parts of a text between marks outside quotes, the last one first. Quotes are paired from the right: what proxies
/// have added is well formed, and an odd quote of the client's must not swallow it.
fn split_from_right(text: &str, mark: char) -> Vec<&str> {
    let (mut parts, mut end, mut is_quoted) = (Vec::new(), text.len(), false);
    for (at, letter) in text.char_indices().rev() {
        if letter == '"' {
            is_quoted ^= !is_escaped(&text[..at]);
        } else if letter == mark && !is_quoted {
            parts.push(&text[at + mark.len_utf8()..end]);
            end = at;
        }
    }
    parts.push(&text[..end]);
    parts
}

/// Whether a letter behind this is escaped.
fn is_escaped(before: &str) -> bool {
    (before.len() - before.trim_end_matches('\\').len()) % 2 == 1
}

/// An address, perhaps in quotes or brackets, perhaps with a port.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    let with_port = || bare.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || bare.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: IpAddr = bare.parse().ok().or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, fields: &[(&str, &str)]) -> String {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "::1"].map(|text| Network::parse(text).unwrap());
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(*name, *value);
        }
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[track_caller]
    fn chain(value: &str, expected: &str) {
        assert_eq!(found("127.0.0.1", &[("X-Forwarded-For", value)]), expected, "{value}");
    }

    #[test]
    fn only_trusted_peers_are_believed() {
        let field = [("x-forwarded-for", "192.0.2.7")];
        assert_eq!(found("127.0.0.1", &field), "192.0.2.7");
        assert_eq!(found("::ffff:127.0.0.1", &field), "192.0.2.7");
        assert_eq!(found("::1", &field), "192.0.2.7");
        assert_eq!(found("192.0.2.1", &field), "192.0.2.1");
        assert_eq!(found("10.1.2.3", &[]), "10.1.2.3");
        let mut headers = Headers::default();
        headers.push("X-Forwarded-For", "192.0.2.7");
        let peer: IpAddr = [127, 0, 0, 1].into();
        assert_eq!(client(peer, &headers, &[]), peer);
    }

    #[test]
    fn the_rightmost_that_is_no_proxy_is_the_client() {
        chain("192.0.2.7, 10.0.0.1", "192.0.2.7");
        chain("203.0.113.66, 192.0.2.7, 10.0.0.1,10.0.0.2", "192.0.2.7");
        chain("127.0.0.1, 192.0.2.7", "192.0.2.7");
        chain("10.9.9.9, 10.0.0.1", "10.9.9.9");
        let lines = [
            ("X-Forwarded-For", "203.0.113.66"),
            ("X-Forwarded-For", "192.0.2.7, 10.0.0.1"),
        ];
        assert_eq!(found("127.0.0.1", &lines), "192.0.2.7");
    }

    #[test]
    fn addresses_come_in_many_forms() {
        chain("192.0.2.7:4711", "192.0.2.7");
        chain("2001:db8::7", "2001:db8::7");
        chain("[2001:db8::7]", "2001:db8::7");
        chain("[2001:db8::7]:4711", "2001:db8::7");
        chain("\"[2001:db8::7]:4711\"", "2001:db8::7");
        chain("::ffff:192.0.2.7", "192.0.2.7");
        chain("203.0.113.1, ::ffff:10.0.0.1", "203.0.113.1");
    }

    #[test]
    fn garbage_ends_the_chain() {
        for garbage in [
            "",
            " ",
            "unknown",
            "_hidden",
            "192.0.2",
            "192.0.2.7.8",
            "fe80::1%eth0",
            ",",
            "\"",
            "[",
            "a\u{e9}",
        ] {
            chain(garbage, "127.0.0.1");
            chain(&format!("192.0.2.7, {garbage}"), "127.0.0.1");
            chain(&format!("192.0.2.7, {garbage}, 10.0.0.1"), "10.0.0.1");
            chain(&format!("{garbage}, 192.0.2.7"), "192.0.2.7");
        }
        // What a client may send itself does not help where the proxy speaks.
        let fields = [("X-Forwarded-For", "unknown"), ("X-Real-IP", "192.0.2.66")];
        assert_eq!(found("127.0.0.1", &fields), "127.0.0.1");
    }

    #[test]
    fn the_other_fields_are_read_without_a_chain() {
        assert_eq!(found("127.0.0.1", &[("X-Real-IP", "192.0.2.7")]), "192.0.2.7");
        let twice = [("X-Real-IP", "192.0.2.66"), ("X-Real-IP", "192.0.2.7")];
        assert_eq!(found("127.0.0.1", &twice), "192.0.2.7");
        for (value, expected) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("FOR=192.0.2.7;proto=https;by=10.0.0.1", "192.0.2.7"),
            ("by=10.0.0.1; for=\"[2001:db8::7]:80\"", "2001:db8::7"),
            ("for=203.0.113.66, for=192.0.2.7;proto=http, for=10.0.0.1", "192.0.2.7"),
            ("for=192.0.2.7;host=\"a,b;for=192.0.2.66\"", "192.0.2.7"),
            ("host=\"\\\"\";for=192.0.2.7", "192.0.2.7"),
            ("for=unknown", "127.0.0.1"),
            ("proto=http", "127.0.0.1"),
            ("for=192.0.2.66, proto=http", "127.0.0.1"),
            ("for", "127.0.0.1"),
            ("for=\", for=192.0.2.7", "192.0.2.7"),
            ("for=\"\\, for=\"192.0.2.7\"", "192.0.2.7"),
        ] {
            assert_eq!(found("127.0.0.1", &[("Forwarded", value)]), expected, "{value}");
        }
        let both = [("Forwarded", "for=192.0.2.66"), ("X-Real-IP", "192.0.2.7")];
        assert_eq!(found("127.0.0.1", &both), "192.0.2.7");
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        let mut random = fastrand::Rng::with_seed(7239);
        let parts = [
            "for=",
            "\"",
            "\\",
            ",",
            ";",
            "[",
            "]",
            ":",
            "192.0.2.7",
            "::",
            " ",
            "é",
            "=",
            "10.0.0.1",
        ];
        for _ in 0..5000 {
            let text: String = (0..random.usize(..12))
                .map(|_| parts[random.usize(..parts.len())])
                .collect();
            for name in ["X-Forwarded-For", "X-Real-IP", "Forwarded"] {
                found("127.0.0.1", &[(name, &text)]);
            }
        }
    }
}
