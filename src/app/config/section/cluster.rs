//! Where the streams of a vhost come from.

use crate::app::config::scope::Scope;

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
        }
    }
}
