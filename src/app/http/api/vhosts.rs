//! Vhosts.

use serde::Serialize;

use super::{Answer, Call};
use crate::app::config::Config;
use crate::app::stat::{Traffic, Vhost};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::request::Method;
use crate::protocol::http::status::Status;

/// Kilobits a second.
#[derive(Serialize)]
pub struct Kbps {
    recv_30s: u64,
    send_30s: u64,
}

impl Kbps {
    /// The rates of this traffic.
    pub fn of(traffic: &Traffic) -> Self {
        Kbps {
            recv_30s: traffic.received_kbps(),
            send_30s: traffic.sent_kbps(),
        }
    }
}

#[derive(Serialize)]
struct VhostEntry<'a> {
    id: &'a str,
    name: &'a str,
    enabled: bool,
    clients: usize,
    streams: usize,
    send_bytes: u64,
    recv_bytes: u64,
    kbps: Kbps,
    hls: Hls,
}

#[derive(Serialize)]
struct Hls {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fragment: Option<f64>,
}

impl<'a> VhostEntry<'a> {
    fn of(vhost: &'a Vhost, config: &Config) -> Self {
        let configured = config.vhosts().iter().find(|found| found.name == vhost.name);
        let hls = configured.map(|found| &found.hls).filter(|hls| hls.enabled);
        VhostEntry {
            id: &vhost.id,
            name: &vhost.name,
            enabled: configured.is_some_and(|found| found.enabled),
            clients: vhost.clients(),
            streams: vhost.streams(),
            send_bytes: vhost.traffic.sent(),
            recv_bytes: vhost.traffic.received(),
            kbps: Kbps::of(&vhost.traffic),
            hls: Hls {
                enabled: hls.is_some(),
                fragment: hls.map(|hls| hls.fragment.as_secs_f64()),
            },
        }
    }
}

#[derive(Serialize)]
struct All<'a> {
    vhosts: Vec<VhostEntry<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    vhost: VhostEntry<'a>,
}

/// `/api/v1/vhosts/` and `/api/v1/vhosts/ID`.
pub fn answer(call: &Call<'_>) -> Answer {
    if call.method != Method::Get {
        return Answer::Status(Status::METHOD_NOT_ALLOWED);
    }
    let (stat, config) = (&call.server.stat, call.server.config());
    if call.id.is_empty() {
        let vhosts = stat.vhosts();
        return call.ok(All {
            vhosts: vhosts.iter().map(|vhost| VhostEntry::of(vhost, &config)).collect(),
        });
    }
    match stat.vhost(call.id) {
        Some(vhost) => call.ok(One {
            vhost: VhostEntry::of(&vhost, &config),
        }),
        None => Answer::error(ErrorCode::NoVhost),
    }
}
