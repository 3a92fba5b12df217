//! What the registry says of a stream: who has it, and where.

use serde::{Deserialize, Serialize};

use crate::app::config::Config;
use crate::app::config::section::cluster::Protocol;
use crate::app::server::Server;
use crate::app::stat::host::reachable_address;
use crate::protocol::rtmp::url::RTMP_PORT;

/// The value of a stream's key, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The id of the server that has the stream.
    pub server: String,
    /// Where it is played over RTMP, `host:port`.
    pub rtmp: String,
    /// Where it is played over HTTP, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// The same over HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<String>,
}

impl Record {
    /// What we say of our own streams.
    pub fn own(server: &Server) -> Self {
        let config = server.config();
        let (host, port) = advertised(&config);
        let http = &config.http_server;
        let at = |port: u16| format!("{}:{port}", bracketed(&host));
        Record {
            server: server.identity.server.clone(),
            rtmp: at(port),
            http: http.enabled.then(|| port_of(&http.listen.texts)).flatten().map(at),
            https: (http.enabled && http.https.enabled)
                .then(|| port_of(&http.https.listen.texts))
                .flatten()
                .map(at),
        }
    }

    /// As it stands in the registry.
    pub fn encode(&self) -> Vec<u8> {
        // Strings always can be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` for what somebody else wrote there.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Where the stream is played by a protocol, `host:port`.
    pub fn origin(&self, protocol: Protocol) -> Option<&str> {
        match protocol {
            Protocol::Rtmp => Some(&self.rtmp),
            Protocol::Flv => self.http.as_deref(),
            Protocol::Flvs => self.https.as_deref(),
        }
    }
}

/// Host and port that others reach our RTMP at.
fn advertised(config: &Config) -> (String, u16) {
    let listen = config.listen.first();
    let port = listen.and_then(|endpoint| u16::try_from(endpoint.port).ok());
    let port = port.unwrap_or(RTMP_PORT);
    let given = config.registry.advertise.as_str();
    if given.is_empty() {
        let own = listen.map(|endpoint| endpoint.ip);
        let own = own.filter(|ip| !ip.is_unspecified()).or_else(reachable_address);
        return (own.map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string()), port);
    }
    let (host, own_port) = match given.rsplit_once(':') {
        Some((host, own_port)) if !host.contains(':') || host.ends_with(']') => (host, own_port.parse().ok()),
        _ => (given, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (host.to_owned(), own_port.unwrap_or(port))
}

/// The port of the first of some addresses to listen at.
fn port_of(listen: &[String]) -> Option<u16> {
    let first = listen.first()?;
    first.rsplit(':').next()?.parse().ok()
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{Host, load_text};

    #[test]
    fn others_are_told_where_we_are() {
        let told = |text: &str| advertised(&load_text(text, Host::TEST).unwrap().config);
        let (host, port) = (String::from, 1936);
        assert_eq!(told("listen 192.0.2.1:1936;"), (host("192.0.2.1"), port));
        assert_eq!(
            told("listen 1936; registry { advertise [2001:db8::1]:99; }"),
            (host("2001:db8::1"), 99)
        );
        assert_eq!(
            told("listen 1936; registry { advertise a.example; }"),
            (host("a.example"), port)
        );
        assert_ne!(told("listen 1936;").0, "0.0.0.0");
    }

    #[test]
    fn a_record_is_read_as_it_was_written_or_not_at_all() {
        let record = Record {
            server: "vid-1".to_owned(),
            rtmp: "[::1]:1935".to_owned(),
            http: Some("a:8080".to_owned()),
            https: None,
        };
        assert_eq!(Record::decode(&record.encode()), Some(record.clone()));
        assert_eq!(record.origin(Protocol::Flv), Some("a:8080"));
        assert_eq!(record.origin(Protocol::Flvs), None);
        for bytes in [&b""[..], b"1", b"{}", b"{\"server\":1,\"rtmp\":\"a\"}", b"\xff"] {
            assert_eq!(Record::decode(bytes), None);
        }
    }
}
