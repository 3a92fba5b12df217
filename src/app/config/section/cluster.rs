//! Where the streams of a vhost come from.

use crate::app::config::scope::Scope;

/// How a stream is played from an origin, or by a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RTMP.
    Rtmp,
    /// FLV over HTTP.
    Flv,
    /// FLV over HTTPS.
    Flvs,
}

impl Protocol {
    /// The protocol of a word, `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "rtmp" => Some(Protocol::Rtmp),
            "flv" => Some(Protocol::Flv),
            "flvs" => Some(Protocol::Flvs),
            _ => None,
        }
    }
}

/// The `cluster` block of a vhost; see `docs/edge.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Whether streams are other servers': this one is an edge.
    pub is_remote: bool,
    /// Those servers, `host[:port]`.
    pub origins: Vec<String>,
    /// Whether an origin decides about each client before this server does.
    pub token_traverse: bool,
    /// The vhost at the origins; `[vhost]` in it is the client's.
    pub vhost: String,
    /// Whether origins are told which client a connection is for.
    pub debug_srs_upnode: bool,
    /// Whether players of streams that are not here are sent to a coworker that has them.
    pub origin_cluster: bool,
    /// The other origins' APIs, `host:port`.
    pub coworkers: Vec<String>,
    /// How streams are played from origins; RTMP unless it says another one.
    pub protocol: Protocol,
    /// Whether the client that is the reason for it decides instead.
    pub follow_client: bool,
}

impl Cluster {
    pub(crate) fn read(cluster: &Scope<'_>) -> Self {
        Cluster {
            is_remote: cluster.text("mode") == "remote",
            origins: cluster.texts("origin"),
            token_traverse: cluster.flag("token_traverse"),
            vhost: cluster.text("vhost"),
            debug_srs_upnode: cluster.flag("debug_srs_upnode"),
            origin_cluster: cluster.flag("origin_cluster"),
            coworkers: cluster.texts("coworkers"),
            protocol: Protocol::parse(&cluster.text("protocol")).unwrap_or(Protocol::Rtmp),
            follow_client: cluster.flag("follow_client"),
        }
    }

    /// How a stream is played from an origin for a client that plays by `client`.
    pub fn pull_protocol(&self, client: Protocol) -> Protocol {
        if self.follow_client { client } else { self.protocol }
    }
}
