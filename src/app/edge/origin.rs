//! Which origin a stream is asked for, and by which name.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::flv::FlvPuller;
use super::registry::Record;
use super::upstream::{Upstream, Upstreams};
use crate::app::config::section::cluster::{Cluster, Protocol};
use crate::app::config::section::vhost::{DEFAULT_VHOST, Vhost};
use crate::app::rtmp::dialogue::Approach;
use crate::app::rtmp::pull::Puller;
use crate::app::server::Server;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::percent;
use crate::protocol::rtmp::url::{RTMP_PORT, StreamUrl};

/// How long an origin that is played from may take to connect, for the dialogue, and be silent.
const STEP: Duration = Duration::from_secs(5);
/// The ports that URLs of HTTP leave out.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;
/// How paths of FLV end.
const FLV: &str = ".flv";

/// The origins of a vhost, as those who may have one of its streams. A reload changes whom the next attempt asks, and how.
pub struct Origins {
    /// The name of the vhost that says who they are.
    vhost: String,
    /// The stream, as the client here named it.
    url: StreamUrl,
    /// How the client plays for whom we ask.
    client: Protocol,
    /// What the configuration said at the last attempt.
    said: RefCell<Said>,
    /// What the registry said that led nowhere: others are asked before it is believed again.
    misled: RefCell<Option<Record>>,
}

/// What the configuration says of them.
struct Said {
    cluster: Rc<Cluster>,
    /// Whether the registry is asked before them.
    has_registry: bool,
}

impl Origins {
    /// Those of a stream of `vhost`, for a client that plays by `client`.
    pub fn new(server: &Server, vhost: &Vhost, url: StreamUrl, client: Protocol) -> Self {
        Origins {
            vhost: vhost.name.clone(),
            url,
            client,
            said: RefCell::new(Said {
                cluster: vhost.cluster.clone(),
                has_registry: server.config().registry.enabled,
            }),
            misled: RefCell::default(),
        }
    }

    /// What the configuration in force says; of a vhost that is gone, what it said.
    fn look(&self, server: &Server) -> Rc<Cluster> {
        let config = server.config();
        let mut said = self.said.borrow_mut();
        said.has_registry = config.registry.enabled;
        if let Some(vhost) = config.vhost_named(&self.vhost) {
            said.cluster = vhost.cluster.clone();
        }
        said.cluster.clone()
    }

    /// Plays from where the registry says that the stream is; `None` when it knows of nothing.
    fn open_registered(&self, server: &Rc<Server>, cluster: &Cluster) -> Result<Option<Box<dyn Upstream>>> {
        let Some(record) = server.edges.registry.find(server, &self.keys(cluster))? else {
            return Ok(None);
        };
        if self.misled.take().is_some_and(|misled| misled == record) && !cluster.origins.is_empty() {
            return Ok(None);
        }
        let protocol = cluster.pull_protocol(self.client);
        let Some(origin) = record.origin(protocol) else {
            return Ok(None);
        };
        let url = url_at(origin, cluster, &self.url, protocol)?;
        let opened = self.open_at(server, cluster, &url);
        if opened.is_err() {
            self.misled.replace(Some(record));
        }
        opened.map(Some)
    }

    /// What origins may have registered the stream as: under the vhost that is asked for, or the default one.
    fn keys(&self, cluster: &Cluster) -> Vec<String> {
        let mut url = self.url.clone();
        url.vhost = cluster.vhost.replace("[vhost]", &url.vhost);
        if url.vhost == DEFAULT_VHOST && url.host.parse::<IpAddr>().is_err() {
            url.vhost.clone_from(&url.host);
        }
        let asked = url.stream_url();
        DEFAULT_VHOST.clone_into(&mut url.vhost);
        let default = url.stream_url();
        if asked == default {
            vec![asked]
        } else {
            vec![asked, default]
        }
    }

    fn open_at(&self, server: &Server, cluster: &Cluster, url: &str) -> Result<Box<dyn Upstream>> {
        let approach = Approach {
            trust: &server.trust,
            connect_timeout: STEP,
            dialogue_timeout: STEP,
            client: None,
            tells_who: cluster.debug_srs_upnode,
        };
        match cluster.pull_protocol(self.client) {
            Protocol::Rtmp => Ok(Box::new(Puller::open(url, approach)?)),
            Protocol::Flv | Protocol::Flvs => Ok(Box::new(FlvPuller::open(&server.trust, url, STEP)?)),
        }
    }
}

impl Upstreams for Origins {
    fn len(&self) -> usize {
        let said = self.said.borrow();
        said.cluster.origins.len() + usize::from(said.has_registry)
    }

    fn open(&self, server: &Rc<Server>) -> Result<Box<dyn Upstream>> {
        let cluster = self.look(server);
        match self.open_registered(server, &cluster) {
            Ok(Some(upstream)) => return Ok(upstream),
            Ok(None) => {}
            Err(error) if cluster.origins.is_empty() => return Err(error),
            Err(error) => log::warn!("edge: the next origin is tried, {}", error.summary()),
        }
        let origin = choose(&server.edges.choices, &cluster, &self.url)?;
        let url = url_at(origin, &cluster, &self.url, cluster.pull_protocol(self.client))?;
        self.open_at(server, &cluster, &url)
    }

    fn follow(&self, server: &Rc<Server>, url: &str) -> Result<Box<dyn Upstream>> {
        let cluster = self.said.borrow().cluster.clone();
        self.open_at(server, &cluster, url)
    }
}

/// The stream's URL over RTMP at the origin whose turn it is.
///
/// # Errors
/// [`ErrorCode::EdgeProxyPull`] without origins, [`ErrorCode::EdgePort`] for one with a port that is none.
fn next(choices: &Cell<usize>, cluster: &Cluster, url: &StreamUrl) -> Result<String> {
    url_at(choose(choices, cluster, url)?, cluster, url, Protocol::Rtmp)
}

/// The origin whose turn it is.
fn choose<'a>(choices: &Cell<usize>, cluster: &'a Cluster, url: &StreamUrl) -> Result<&'a str> {
    let choice = choices.replace(choices.get().wrapping_add(1));
    cluster
        .origins
        .get(choice % cluster.origins.len().max(1))
        .map(String::as_str)
        .ok_or_else(|| {
            let text = format!("vhost {} is an edge without cluster.origin", url.vhost);
            Error::new(ErrorCode::EdgeProxyPull, text)
        })
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

/// The stream's URL at an origin, `host[:port]`.
fn url_at(origin: &str, cluster: &Cluster, url: &StreamUrl, protocol: Protocol) -> Result<String> {
    let mut url = url.clone();
    url.vhost = cluster.vhost.replace("[vhost]", &url.vhost);
    let flv = |schema: &str, port: u16| {
        let (host, port) = split(origin, port)?;
        Ok(as_flv(schema, &url.relay_url(host, port)))
    };
    match protocol {
        Protocol::Rtmp => split(origin, RTMP_PORT).map(|(host, port)| url.relay_url(host, port)),
        Protocol::Flv => flv("http", HTTP_PORT),
        Protocol::Flvs => flv("https", HTTPS_PORT),
    }
}

/// The same stream over HTTP: the mount of SRS, `/app/stream.flv`.
fn as_flv(schema: &str, url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (place, query) = rest.split_at(end);
    let (server, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let path = percent::encode_path(path);
    let suffix = if path.ends_with(FLV) { "" } else { FLV };
    format!("{schema}://{server}{path}{suffix}{query}")
}

/// Host and port of `host[:port]`, where a host of IPv6 is in brackets if a port follows.
pub(super) fn split(origin: &str, default: u16) -> Result<(&str, u16)> {
    let (host, port) = match origin.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (origin, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let number = port.map_or(Some(default), |port| port.parse().ok().filter(|port| *port > 0));
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
            protocol: Protocol::Rtmp,
            follow_client: false,
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
    fn streams_have_urls_over_http_too() {
        let cluster = cluster(&["a"], "[vhost]");
        let at = |origin: &str, stream: &str, protocol| {
            let url = StreamUrl::parse("rtmp://v.com/live", stream).unwrap();
            url_at(origin, &cluster, &url, protocol).unwrap()
        };
        assert_eq!(at("a", "s", Protocol::Flv), "http://a:80/live/s.flv?vhost=v.com");
        assert_eq!(
            at("[::1]:8443", "s?k=v", Protocol::Flvs),
            "https://[::1]:8443/live/s.flv?k=v&vhost=v.com"
        );
        assert_eq!(
            at("::1", "s", Protocol::Flvs),
            "https://[::1]:443/live/s.flv?vhost=v.com"
        );
        assert_eq!(as_flv("http", "rtmp://a:1/live/a b.flv"), "http://a:1/live/a%20b.flv");
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
