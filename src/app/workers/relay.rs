//! HLS of a stream that is published at another worker: playlists and parts, which live in that worker's memory, are
//! fetched from it. Segments are files, which every worker serves.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::link;
use crate::app::config::Config;
use crate::app::config::section::vhost::{DEFAULT_VHOST, Vhost};
use crate::app::http::exchange::Exchange;
use crate::app::http::live;
use crate::app::http::router::{Handler, Router, Served};
use crate::kernel::error::Result;
use crate::protocol::http::request::Method;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// Whom a worker asks for: the client's address.
pub const CLIENT: &str = "X-Worker-Client";
/// What a worker tells of a request.
const REQUEST_FIELDS: [&str; 5] = ["Cookie", "Origin", "Range", "Referer", "User-Agent"];
/// What a client is told of the answer.
const ANSWER_FIELDS: [&str; 3] = ["Cache-Control", "Content-Type", "Set-Cookie"];
/// What else an answer may be than a status that another worker is no authority for.
const STATUSES: [Status; 4] = [
    Status::OK,
    Status::BAD_REQUEST,
    Status::FORBIDDEN,
    Status::SERVICE_UNAVAILABLE,
];
/// How long a worker may hold back a playlist that is to grow first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Relays where vhosts have HLS, before anything else is asked.
pub fn mount(config: &Config, router: &mut Router) {
    let has_hls = |vhost: &Rc<Vhost>| vhost.enabled && vhost.hls.enabled;
    if config.vhosts().iter().any(has_hls) {
        router.add_first(Rc::new(Relay));
    }
}

struct Relay;

impl Handler for Relay {
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served> {
        let workers = &exchange.server.workers;
        if exchange.for_worker || !workers.are_several() || exchange.request.method != Method::Get {
            return Ok(Served::Pass);
        }
        let Some(name) = owner(exchange) else {
            return Ok(Served::Pass);
        };
        let asked = link::send(&name, &request(exchange), PATIENCE);
        let mut reply = match asked {
            Ok(reply) => reply,
            Err(error) => {
                log::warn!("HLS of another worker, {}", error.summary());
                return Ok(Served::Pass);
            }
        };
        let Some(status) = STATUSES.into_iter().find(|status| status.code() == reply.status) else {
            return Ok(Served::Pass);
        };
        let mut head = ResponseHead::new(status);
        for field in ANSWER_FIELDS {
            if let Some(value) = reply.field(field) {
                head.set(field, value.to_owned());
            }
        }
        let length = reply.field("Content-Length").and_then(|length| length.parse().ok());
        exchange.begin(head, length);
        loop {
            exchange.write(&reply.body.split())?;
            if reply.fill()? == 0 {
                break;
            }
        }
        exchange.end()?;
        Ok(Served::Yes)
    }
}

/// The worker that has what is asked for, if it is HLS of a stream that is published elsewhere.
fn owner(exchange: &Exchange<'_, '_>) -> Option<String> {
    let vhost = exchange.vhost.as_ref().filter(|vhost| vhost.hls.enabled)?;
    let (workers, path) = (&exchange.server.workers, &exchange.request.path);
    let peer = match path.rsplit_once('.')?.1 {
        "m3u8" => workers.owner(&live::url_of_file(vhost, exchange)?.stream_url()),
        // Parts have the names of their segments, which begin with that of the stream.
        "m4s" | "mp4" if vhost.hls.part.is_some() => {
            let host = if vhost.name == DEFAULT_VHOST { "" } else { &vhost.name };
            let file = format!("{host}{path}");
            workers.owner_where(|key| file.starts_with(key))
        }
        _ => None,
    };
    peer.map(|peer| workers.name_of(&peer))
}

fn request(exchange: &Exchange<'_, '_>) -> Vec<u8> {
    let request = &exchange.request;
    let mut text = format!("GET {} HTTP/1.0\r\nHost: {}\r\n", request.target, request.host);
    for name in REQUEST_FIELDS {
        if let Some(value) = request.headers.get(name) {
            text.extend([name, ": ", value, "\r\n"]);
        }
    }
    text.extend([CLIENT, ": ", &exchange.client.to_string(), "\r\n\r\n"]);
    text.into_bytes()
}

/// Lets a request be that of the client that a worker asks for.
pub fn speak_for_client(exchange: &mut Exchange<'_, '_>) {
    let client = exchange
        .request
        .headers
        .get(CLIENT)
        .and_then(|text| text.parse::<IpAddr>().ok());
    if let Some(client) = client {
        exchange.client = client;
    }
}
