//! Which origin has which stream, in a Redis server that all of them share.

use std::time::Duration;

use crate::app::config::diagnostic::Fault;
use crate::app::config::scope::Scope;

/// The port of Redis where none is written.
const REDIS_PORT: u16 = 6379;
/// The shortest lease: renewals come three times in it.
const LEASE_MIN: i32 = 1;

/// The `registry` block; see `docs/registry.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Registry {
    /// Whether streams are registered and looked up.
    pub enabled: bool,
    /// The Redis server's host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are there; empty for its default user.
    pub username: String,
    /// With which password; empty asks for no rights.
    pub password: String,
    /// Which of its databases.
    pub database: u32,
    /// What the names of our keys begin with.
    pub prefix: String,
    /// How long a stream stays registered when nobody renews it.
    pub lease: Duration,
    /// How long Redis may take for an answer; then it counts as away.
    pub timeout: Duration,
    /// Where others get our streams, `host[:port]`; empty is found out.
    pub advertise: String,
}

impl Registry {
    pub(crate) fn read(registry: &Scope<'_>) -> Self {
        let address = registry.text("address");
        // The check has refused what does not parse.
        let (host, port) = split(&address).unwrap_or_default();
        Registry {
            enabled: registry.flag("enabled"),
            host: host.to_owned(),
            port,
            username: registry.text("username"),
            password: registry.text("password"),
            database: registry.size("database"),
            prefix: registry.text("prefix"),
            lease: registry.duration("lease"),
            timeout: registry.duration("timeout"),
            advertise: registry.text("advertise"),
        }
    }
}

/// Refuses a block that nothing could work with.
pub(crate) fn check(root: &Scope<'_>) -> Result<(), Fault> {
    let registry = root.section("registry");
    for name in ["address", "advertise"] {
        if let Some(given) = registry.given(name)
            && split(&given.text).is_none()
        {
            let message = format!("illegal registry.{name} \"{}\"", given.text);
            return Err(Fault::at(&given.place, message).with_hint("write HOST:PORT or [IPV6]:PORT"));
        }
    }
    if let Some(given) = registry.given("lease")
        && registry.integer("lease") < LEASE_MIN
    {
        let message = format!("illegal registry.lease \"{}\": below {LEASE_MIN} second", given.text);
        return Err(Fault::at(&given.place, message));
    }
    if let Some(given) = registry.given("timeout")
        && registry.integer("timeout") <= 0
    {
        let message = format!("illegal registry.timeout \"{}\": not above 0 ms", given.text);
        return Err(Fault::at(&given.place, message));
    }
    Ok(())
}

/// Host and port, where a host of IPv6 is in brackets if a port follows.
fn split(text: &str) -> Option<(&str, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = match port {
        None => REDIS_PORT,
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
    };
    let plain = !host.is_empty() && !host.contains(['/', '@', '[', ']']);
    plain.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{Host, load_text};

    #[test]
    fn a_block_is_read_or_refused() {
        let text = "listen 1935; registry { enabled on; address [::1]:6380; lease 3; timeout 50; }";
        let config = load_text(text, Host::TEST).unwrap().config;
        let registry = &config.registry;
        assert_eq!((registry.host.as_str(), registry.port), ("::1", 6380));
        assert_eq!(
            (registry.lease, registry.timeout),
            (Duration::from_secs(3), Duration::from_millis(50))
        );
        assert_eq!(registry.prefix, "srs:");
        for (text, parts) in [
            ("a", Some(("a", 6379))),
            ("::1", Some(("::1", 6379))),
            ("a:0", None),
            ("a:b", None),
            (":1", None),
            ("redis://a:1", None),
        ] {
            assert_eq!(split(text), parts, "{text}");
        }
    }
}
