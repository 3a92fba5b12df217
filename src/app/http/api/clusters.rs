//! Origin clusters: whether this server has a stream, and where it is to be fetched.

use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;

use super::json::Data;
use super::{Answer, Call};
use crate::app::config::Config;
use crate::app::config::section::vhost::DEFAULT_VHOST;
use crate::app::stat::host::reachable_address;
use crate::protocol::rtmp::url::RTMP_PORT;

#[derive(Serialize)]
struct Clusters {
    code: u16,
    #[serde(flatten)]
    payload: Data<Cluster>,
}

#[derive(Serialize)]
struct Cluster {
    query: Query,
    origin: Option<Origin>,
}

#[derive(Serialize)]
struct Query {
    ip: String,
    vhost: String,
    app: String,
    stream: String,
}

#[derive(Serialize)]
struct Origin {
    ip: String,
    port: u32,
    vhost: String,
    api: String,
    routers: [String; 1],
}

/// `/api/v1/clusters`.
pub fn answer(call: &Call<'_>) -> Answer {
    let query = Query {
        ip: call.query("ip"),
        vhost: call.query("vhost"),
        app: call.query("app"),
        stream: call.query("stream"),
    };
    let config = call.server.config();
    let origin = config.vhost(&query.vhost).and_then(|vhost| {
        let host = if vhost.name == DEFAULT_VHOST { "" } else { &vhost.name };
        let url = format!("{host}/{}/{}", query.app, query.stream);
        let here = call.server.stat.stream_by_url(&url);
        let is_here = here.is_some_and(|stream| stream.is_published());
        (is_here || call.server.workers.has_elsewhere(&url))
            .then(|| origin(&config, vhost.name.clone(), &call.query("coworker")))
    });
    Answer::json(&Clusters {
        code: 0,
        payload: Data {
            data: Cluster { query, origin },
        },
    })
}

fn origin(config: &Config, vhost: String, coworker: &str) -> Origin {
    let listen = config.listen.first();
    let usable = |ip: &IpAddr| !ip.is_loopback() && !ip.is_unspecified();
    let ip = listen
        .map(|endpoint| endpoint.ip)
        .filter(usable)
        .map(|ip| ip.to_string())
        .or_else(|| Some(host_of(coworker).to_owned()).filter(|host| !host.is_empty()))
        .or_else(|| reachable_address().map(|ip| ip.to_string()))
        .unwrap_or_default();
    let api = config.http_api.listen.first();
    let api = match api.bytes().all(|byte| byte.is_ascii_digit()) {
        true if ip.parse::<Ipv6Addr>().is_ok() => format!("[{ip}]:{api}"),
        true => format!("{ip}:{api}"),
        false => api.to_owned(),
    };
    Origin {
        ip,
        port: listen.map_or(RTMP_PORT.into(), |endpoint| endpoint.port),
        vhost,
        api: api.clone(),
        routers: [api],
    }
}

/// The host of `host:port` or `[address]:port`.
fn host_of(endpoint: &str) -> &str {
    match endpoint.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coworkers_have_hosts() {
        for (endpoint, host) in [
            ("a.com:1985", "a.com"),
            ("[::1]:1985", "::1"),
            ("a.com", "a.com"),
            ("", ""),
        ] {
            assert_eq!(host_of(endpoint), host);
        }
    }
}
