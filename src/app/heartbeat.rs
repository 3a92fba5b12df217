//! The heartbeat: reports of this server that are posted to a server of the operator. See `docs/metrics.md`.

use std::rc::Rc;

use serde::Serialize;

use super::config::Config;
use super::config::section::heartbeat::Heartbeat;
use super::http::api::json;
use super::http::api::summaries::Summaries;
use super::http::client::{self, Timeouts};
use super::server::Server;
use super::stat::host;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// The variable that tells the address of this device.
const DEVICE_IP: &str = "SRS_DEVICE_IP";

/// One report, in the order of SRS.
#[derive(Serialize)]
struct Report<'a> {
    device_id: &'a str,
    ip: String,
    server: &'a str,
    service: &'a str,
    pid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summaries: Option<json::Data<Summaries<'a>>>,
    #[serde(flatten)]
    ports: Option<Ports<'a>>,
}

/// Where the server listens, as the configuration says it.
#[derive(Serialize)]
struct Ports<'a> {
    rtmp: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<&'a [String]>,
}

/// Reports now and then every `heartbeat.interval`, whenever the heartbeat is enabled.
pub fn start(server: &Rc<Server>) {
    let server = server.clone();
    coroutine::spawn("heartbeat", move || {
        let mut last: Option<Moment> = None;
        while !server.is_quitting() {
            let settings = server.config();
            let Heartbeat { enabled, interval, .. } = settings.heartbeat;
            let due = last.map_or(Moment::now(), |last| last + interval);
            if !enabled {
                last = None;
                server.reloading.wait_until(Moment::NEVER);
            } else if due > Moment::now() {
                server.reloading.wait_until(due);
            } else {
                last = Some(Moment::now());
                if let Err(error) = report(&server) {
                    log::warn!("heartbeat failed, {}", error.summary());
                }
            }
        }
    });
}

/// Sends one report, with what a reload may have changed since the last one. Yields.
fn report(server: &Server) -> Result<()> {
    let config = server.config();
    let url = without_query(&config.heartbeat.url);
    let body = body(server, &config)?;
    let name = || format!("heartbeat to {}", printable(url));
    let answer =
        client::fetch(&server.trust, "POST", url, &body, Timeouts::default()).map_err(|error| error.wrap(name()))?;
    // What it says is nobody's business, but an address that nobody serves is worth a warning.
    match answer.status {
        200..=299 => Ok(()),
        status => Err(Error::new(
            ErrorCode::HttpStatus,
            format!("{}: status {status}", name()),
        )),
    }
}

fn body(server: &Server, config: &Config) -> Result<Vec<u8>> {
    let report = Report {
        device_id: &config.heartbeat.device_id,
        ip: device_ip(std::env::var(DEVICE_IP).ok(), config.stats.network),
        server: &server.identity.server,
        service: &server.identity.service,
        pid: std::process::id().to_string(),
        summaries: config.heartbeat.summaries.then(|| json::Data {
            data: Summaries::of(server),
        }),
        ports: config.heartbeat.ports.then(|| ports(config)),
    };
    json::to_bytes(&report).map_err(|error| Error::new(ErrorCode::SystemAssert, format!("write a report: {error}")))
}

fn ports(config: &Config) -> Ports<'_> {
    let (http, api) = (&config.http_server, &config.http_api);
    Ports {
        rtmp: &config.listen_texts,
        http: http.enabled.then_some(&http.listen.texts),
        api: api.enabled.then_some(&api.listen.texts),
    }
}

fn device_ip(given: Option<String>, index: usize) -> String {
    let own = || host::device_address(index).map(|ip| ip.to_string());
    given.filter(|ip| !ip.is_empty()).or_else(own).unwrap_or_default()
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_left_out() {
        assert_eq!(without_query("http://a:1/b?c=d?e#f"), "http://a:1/b");
        assert_eq!(without_query("http://a:1/b"), "http://a:1/b");
    }

    #[test]
    fn the_environment_tells_the_address_before_the_system() {
        assert_eq!(device_ip(Some("192.0.2.9".into()), 0), "192.0.2.9");
        for given in [None, Some(String::new())] {
            let ip = device_ip(given, 1000);
            assert!(ip.parse::<std::net::IpAddr>().is_ok(), "{ip}");
        }
    }
}
