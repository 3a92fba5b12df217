//! Which origin a stream is asked for, and by which name.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::upstream::{Upstream, Upstreams};
use crate::app::config::section::cluster::Cluster;
use crate::app::rtmp::dialogue::Approach;
use crate::app::rtmp::pull::Puller;
use crate::app::server::Server;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtmp::url::{RTMP_PORT, StreamUrl};

/// How long an origin that is played from may take to connect, for the dialogue, and be silent.
const STEP: Duration = Duration::from_secs(5);

/// The origins of a vhost, as those who may have one of its streams.
pub struct Origins {
    /// What the vhost says of them.
    pub cluster: Rc<Cluster>,
    /// The stream, as the client here named it.
    pub url: StreamUrl,
}

impl Origins {
    fn open_at(&self, server: &Server, url: &str) -> Result<Box<dyn Upstream>> {
        let approach = Approach {
            trust: &server.trust,
            connect_timeout: STEP,
            dialogue_timeout: STEP,
            client: None,
            tells_who: self.cluster.debug_srs_upnode,
        };
        Ok(Box::new(Puller::open(url, approach)?))
    }
}

impl Upstreams for Origins {
    fn len(&self) -> usize {
        self.cluster.origins.len()
    }

    fn open(&self, server: &Rc<Server>) -> Result<Box<dyn Upstream>> {
        let url = next(&server.edges.choices, &self.cluster, &self.url)?;
        self.open_at(server, &url)
    }

    fn follow(&self, server: &Rc<Server>, url: &str) -> Result<Box<dyn Upstream>> {
        self.open_at(server, url)
    }
}

/// The stream's URL at the origin whose turn it is.
///
/// # Errors
/// [`ErrorCode::EdgeProxyPull`] without origins, [`ErrorCode::EdgePort`] for one with a port that is none.
pub fn next(choices: &Cell<usize>, cluster: &Cluster, url: &StreamUrl) -> Result<String> {
    let choice = choices.replace(choices.get().wrapping_add(1));
    let Some(origin) = cluster.origins.get(choice % cluster.origins.len().max(1)) else {
        let text = format!("vhost {} is an edge without cluster.origin", url.vhost);
        return Err(Error::new(ErrorCode::EdgeProxyPull, text));
    };
    url_at(origin, cluster, url)
}

/// What the first origin gives that gives something, beginning with the one whose turn it is. May yield.
///
/// # Errors
/// Those of [`next`]; that of the last origin.
pub fn first<T>(
    choices: &Cell<usize>,
    cluster: &Cluster,
    url: &StreamUrl,
    ask: impl Fn(&str) -> Result<T>,
) -> Result<T> {
    let mut left = cluster.origins.len();
    loop {
        match ask(&next(choices, cluster, url)?) {
            Err(error) if left > 1 => log::warn!("edge: the next origin is tried, {}", error.summary()),
            asked => return asked,
        }
        left -= 1;
    }
}

fn url_at(origin: &str, cluster: &Cluster, url: &StreamUrl) -> Result<String> {
    let (host, port) = split(origin)?;
    let mut url = url.clone();
    url.vhost = cluster.vhost.replace("[vhost]", &url.vhost);
    Ok(url.relay_url(host, port))
}

/// Host and port of `host[:port]`, where a host of IPv6 is in brackets if a port follows.
fn split(origin: &str) -> Result<(&str, u16)> {
    let (host, port) = match origin.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (origin, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let number = port.map_or(Some(RTMP_PORT), |port| port.parse().ok().filter(|port| *port > 0));
    match number {
        Some(port) => Ok((host, port)),
        None => Err(Error::new(
            ErrorCode::EdgePort,
            format!("cluster.origin {origin} has no port from 1 to 65535"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(origins: &[&str], vhost: &str) -> Cluster {
        Cluster {
            is_remote: true,
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            token_traverse: false,
            vhost: vhost.to_owned(),
            debug_srs_upnode: true,
            origin_cluster: false,
            coworkers: Vec::new(),
        }
    }

    #[test]
    fn origins_take_turns() {
        let (choices, url) = (Cell::new(0), StreamUrl::parse("rtmp://v.com/live", "s?k=v").unwrap());
        let cluster = cluster(&["10.0.0.1", "b:19350", "[::1]:1936", "::2"], "[vhost]");
        let urls: Vec<_> = (0..5).map(|_| next(&choices, &cluster, &url).unwrap()).collect();
        let at = |server: &str| format!("rtmp://{server}/live/s?k=v&vhost=v.com");
        let expected = ["10.0.0.1:1935", "b:19350", "[::1]:1936", "[::2]:1935", "10.0.0.1:1935"];
        assert_eq!(urls, expected.map(at));
    }

    #[test]
    fn the_vhost_there_may_be_another() {
        let url = StreamUrl::parse("rtmp://v.com/live", "s").unwrap();
        let there = |vhost: &str| next(&Cell::new(0), &cluster(&["a"], vhost), &url).unwrap();
        assert_eq!(there("origin.v.com"), "rtmp://a:1935/live/s?vhost=origin.v.com");
        assert_eq!(there("pull.[vhost]"), "rtmp://a:1935/live/s?vhost=pull.v.com");
    }

    #[test]
    fn an_origin_that_fails_is_not_the_last_word() {
        let (choices, url) = (Cell::new(0), StreamUrl::parse("rtmp://h/live", "s").unwrap());
        let ask = |url: &str| match url.contains("//b:") {
            true => Ok(url.len()),
            false => Err(Error::new(ErrorCode::SocketConnect, "away")),
        };
        assert!(first(&choices, &cluster(&["a", "c", "b"], "[vhost]"), &url, ask).is_ok());
        let failed = first(&choices, &cluster(&["a", "c"], "[vhost]"), &url, ask);
        assert_eq!(failed.unwrap_err().code(), ErrorCode::SocketConnect);
        for (origins, code) in [
            (&[][..], ErrorCode::EdgeProxyPull),
            (&["a:0"], ErrorCode::EdgePort),
            (&["a:x"], ErrorCode::EdgePort),
        ] {
            let failed = first(&choices, &cluster(origins, "[vhost]"), &url, ask);
            assert_eq!(failed.unwrap_err().code(), code, "{origins:?}");
        }
    }
}
