//! What one address may ask of the server.

use std::net::IpAddr;

use crate::app::config::network::Network;
use crate::app::config::scope::Scope;

/// The `limits` block; see `docs/security.md`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// How many connections an address may have at a time; 0 is no limit.
    pub connections_per_ip: u32,
    /// How many new ones it may make in a second; 0 is no limit.
    pub new_connections_per_ip: u32,
    /// Who is not counted.
    pub exempt: Vec<Network>,
}

impl Limits {
    pub(crate) fn read(limits: &Scope<'_>) -> Self {
        Limits {
            connections_per_ip: limits.size("connections_per_ip"),
            new_connections_per_ip: limits.size("new_connections_per_ip"),
            // The check has refused what does not parse.
            exempt: limits
                .texts("exempt")
                .iter()
                .filter_map(|text| Network::parse(text))
                .collect(),
        }
    }

    /// Whether a client's connections are counted.
    pub fn counts(&self, client: IpAddr) -> bool {
        let is_limited = self.connections_per_ip > 0 || self.new_connections_per_ip > 0;
        is_limited && !self.exempt.iter().any(|network| network.contains(client))
    }
}
