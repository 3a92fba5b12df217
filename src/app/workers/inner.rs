//! What a worker answers to the others.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use super::{peers, pull, relay};
use crate::app::exporter;
use crate::app::http::{Exchange, Site, conn};
use crate::app::server::Server;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::core::tcp::TcpStream;
use crate::kernel::error::Result;
use crate::protocol::http::percent;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// How long the end of a stream may take to reach its files, and how often that is looked for.
const LAST_SEGMENT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// What is published here, and its changes; see [`peers`].
pub const STREAMS: &str = "/streams";
/// Whether a stream is published here.
pub const PUBLISHED: &str = "/published";
/// Leaves the files of a stream to whoever asks, and tells the number of its next segment of HLS.
pub const GIVE_AWAY: &str = "/give-away";
/// A stream that is published here as one quality of several; see [`Variant`](crate::app::hls::variants::Variant).
pub const VARIANT: &str = "/hls-variant";
/// The messages of a stream that is published here; see [`pull`].
pub const PLAY: &str = "/play";

/// What to ask for about a stream.
pub fn target(path: &str, key: &str) -> String {
    // What is a path need not escape what only a query must.
    let key = percent::encode_path(key)
        .replace('&', "%26")
        .replace('+', "%2B")
        .replace('#', "%23");
    format!("{path}?stream={key}")
}

/// Serves a connection of another worker.
pub fn spawn(server: &Rc<Server>, socket: TcpStream) {
    let server = server.clone();
    let body = move || {
        ContextId::generate().enter();
        let stream = Rc::new(Stream::from(socket));
        // Unix sockets have no address.
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        conn::serve_with(&server, &stream, peer, answer);
    };
    if let Err(error) = coroutine::spawn_with("worker's request", coroutine::STACK_BYTES, body) {
        log::error!("no memory for the request of a worker: {error}");
    }
}

fn answer(exchange: &mut Exchange<'_, '_>) -> Result<()> {
    exchange.close_afterwards();
    let key = exchange.request.query.get("stream").unwrap_or_default();
    let path = exchange.request.path.clone();
    match path.as_str() {
        STREAMS => peers::tell(exchange),
        PLAY => pull::serve(exchange, &key),
        GIVE_AWAY => {
            let server = exchange.server.clone();
            wait_for_last_segment(&server, &key);
            server.dash.give_away(&key);
            let number = server.hls.give_away(&key).unwrap_or(0);
            exchange.reply(ResponseHead::new(Status::OK), number.to_string().as_bytes())
        }
        VARIANT => match exchange
            .server
            .hls
            .variant(&key)
            .map(|variant| serde_json::to_vec(&variant))
        {
            Some(Ok(text)) => exchange.reply(ResponseHead::new(Status::OK), &text),
            _ => exchange.reply_status(Status::NOT_FOUND),
        },
        PUBLISHED => {
            let is_here = exchange.server.workers.published.borrow().contains_key(&key);
            exchange.reply_status(if is_here { Status::OK } else { Status::NOT_FOUND })
        }
        _ => {
            exchange.for_worker = true;
            relay::speak_for_client(exchange);
            let is_api = path.starts_with("/api/") || path == exporter::PATH;
            let site = if is_api { Site::Api } else { Site::Media };
            exchange.server.http.router(site).serve(exchange)
        }
    }
}

/// Waits until the files of a stream that has ended here are written, but not for a slow disk. Yields.
fn wait_for_last_segment(server: &Server, key: &str) {
    let deadline = Moment::after(LAST_SEGMENT);
    while (server.hls.is_live(key) || server.dash.is_live(key)) && Moment::now() < deadline {
        coroutine::sleep(LOOK);
    }
}
