//! Live streams over HTTP: one request is one player, for as long as the publisher stays.

mod admission;
mod feed;
mod player;

use std::cell::RefCell;
use std::rc::Rc;

use self::admission::Admission;
pub use self::admission::{admit, admit_new, subject};
use self::feed::Feed;
use self::player::Player;
use super::exchange::Exchange;
use super::router::{Handler, Router, Served};
use crate::app::config::Config;
use crate::app::config::section::cluster::Protocol;
use crate::app::config::section::http_remux::Format;
use crate::app::config::section::vhost::Vhost;
use crate::app::pithy::Turn;
use crate::app::source::Source;
use crate::app::stat::{self, ClientKind, NewClient};
use crate::core::id::ContextId;
use crate::kernel::error::{Result, Wrap};
use crate::kernel::log::printable;
use crate::protocol::http::request::Method;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;
use crate::protocol::rtmp::url::{RTMP_PORT, StreamUrl};
use crate::protocol::websocket;

/// What all players share.
#[derive(Default)]
pub struct Live {
    /// Whose turn it is to print.
    pub turn: Turn,
    /// Where a batch is put together; nobody holds it while waiting.
    scratch: RefCell<Vec<u8>>,
}

/// Serves the live streams of the vhosts that want it. They take precedence over files, as in SRS.
///
/// # Errors
/// [`crate::kernel::error_code::ErrorCode::HttpStreamExt`] for a mount of no known format.
pub fn mount(config: &Config, router: &mut Router) -> Result<()> {
    let mut enabled = config
        .vhosts()
        .iter()
        .filter(|vhost| vhost.enabled && vhost.http_remux.enabled)
        .peekable();
    if enabled.peek().is_some() {
        router.add_first(Rc::new(LiveStreams));
    }
    for vhost in enabled {
        vhost.http_remux.mount.format().wrap("http_remux")?;
    }
    Ok(())
}

/// The handler of all vhosts: the request's own tells which paths are streams.
struct LiveStreams;

impl Handler for LiveStreams {
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served> {
        let Some(vhost) = exchange.vhost.clone().filter(|vhost| vhost.http_remux.enabled) else {
            return Ok(Served::Pass);
        };
        let Some((app, stream)) = vhost.http_remux.mount.find(&exchange.request.path) else {
            return Ok(Served::Pass);
        };
        let format = vhost.http_remux.mount.format()?;
        let url = stream_url(&vhost, app, stream, exchange);
        match exchange.request.method {
            Method::Get => play(exchange, &vhost, &url, format)?,
            Method::Head => exchange.reply(head(format), b"")?,
            _ => exchange.reply_status(Status::METHOD_NOT_ALLOWED)?,
        }
        Ok(Served::Yes)
    }
}

/// The stream as an RTMP client would name it.
fn stream_url(vhost: &Vhost, app: &str, stream: &str, exchange: &Exchange<'_, '_>) -> StreamUrl {
    let query = exchange.request.query.raw();
    StreamUrl {
        schema: "rtmp".to_owned(),
        host: exchange.request.host.clone(),
        port: RTMP_PORT,
        vhost: vhost.name.clone(),
        app: app.to_owned(),
        stream: stream.to_owned(),
        param: if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        },
        tc_url: format!("rtmp://{}/{app}", vhost.name),
    }
}

fn head(format: Format) -> ResponseHead {
    ResponseHead::new(Status::OK).with(
        "Content-Type",
        match format {
            Format::Flv => "video/x-flv",
            Format::Ts => "video/MP2T",
            Format::Aac => "audio/x-aac",
            Format::Mp3 => "audio/mpeg",
            Format::Mp4 => "video/mp4",
        },
    )
}

fn play(exchange: &mut Exchange<'_, '_>, vhost: &Rc<Vhost>, url: &StreamUrl, format: Format) -> Result<()> {
    let Some((admission, source)) = begin(exchange, vhost, url, format)? else {
        return Ok(());
    };
    let feed = Feed::join(&source, &vhost.http_remux, format);
    let server = exchange.server.clone();
    let played = Player::new(exchange, &server, vhost, feed).play();
    admission.leave(&played);
    played
}

/// Answers, and has the stream come, from elsewhere if need be; `None` for a player that is refused. Not part of its caller,
/// whose stack stays in memory as long as the client plays.
#[inline(never)]
fn begin(
    exchange: &mut Exchange<'_, '_>,
    vhost: &Rc<Vhost>,
    url: &StreamUrl,
    format: Format,
) -> Result<Option<(Admission, Rc<Source>)>> {
    let admission = match Admission::ask(exchange, vhost, url) {
        Ok(admission) => admission,
        Err(status) => {
            exchange.close_afterwards();
            return exchange.reply_status(status).map(|()| None);
        }
    };
    let server = exchange.server.clone();
    let source = server.sources.fetch_or_create(&url.stream_url(), vhost);
    log_start(exchange, url, &source, format);
    let nodelay = vhost.tcp_nodelay || vhost.min_latency;
    // This fails only if the peer has gone already, which the first read tells.
    let _ = exchange.stream().set_nodelay(nodelay);
    exchange.close_afterwards();
    if websocket::is_upgrade(&exchange.request.headers) {
        match websocket::accept(&exchange.request.headers) {
            Ok(accept) => exchange.begin_websocket(accept),
            Err(error) => {
                log::warn!("http player is refused, {}", error.summary());
                return exchange.reply_status(Status::BAD_REQUEST).map(|()| None);
            }
        }
    } else {
        exchange.begin(head(format), None);
    }
    exchange.flush()?;
    server
        .edges
        .watch(&server, vhost, url, &source, client_protocol(exchange));
    server.workers.watch(&server, &source);
    Ok(Some((admission, source)))
}

/// Enters the player into the statistics.
fn enter(exchange: &Exchange<'_, '_>, url: &StreamUrl) -> stat::Entry {
    let (request, stream) = (&exchange.request, exchange.stream());
    let (id, key) = (ContextId::current(), url.stream_url());
    let new = NewClient {
        id: id.as_str(),
        kind: ClientKind::FlvPlay,
        ip: exchange.client,
        page_url: request.headers.get("Referer").unwrap_or_default(),
        swf_url: "",
        tc_url: &url.tc_url,
        vhost: &url.vhost,
        app: &url.app,
        name: request.path.rsplit('/').next().unwrap_or_default(),
        stream: key.rsplit('/').next().unwrap_or_default(),
        url: &key,
        before: (stream.received_bytes(), stream.sent_bytes()),
    };
    exchange.server.stat.enter(new, stream.clone())
}

/// How the client plays, for an edge that follows it.
pub fn client_protocol(exchange: &Exchange<'_, '_>) -> Protocol {
    if exchange.stream().is_secure() {
        Protocol::Flvs
    } else {
        Protocol::Flv
    }
}

/// The stream that a file is made of; `None` when its path names none.
pub fn url_of_file(vhost: &Vhost, exchange: &Exchange<'_, '_>) -> Option<StreamUrl> {
    let (folder, file) = exchange.request.path.strip_prefix('/')?.rsplit_once('/')?;
    let (stream, _) = file.rsplit_once('.')?;
    let named = !folder.is_empty() && !stream.is_empty();
    named.then(|| stream_url(vhost, folder, stream, exchange))
}

fn log_start(exchange: &Exchange<'_, '_>, url: &StreamUrl, source: &Source, format: Format) {
    let id = source.publisher().map(|id| id.to_string()).unwrap_or_default();
    log::info!(
        "http {format:?} player, ip={}, vhost={}, app={}, stream={}, param={}, cache={}, source_id={id}",
        exchange.client,
        printable(&url.vhost),
        printable(&url.app),
        printable(&url.stream),
        printable(&url.param),
        source.gop_messages(),
    );
}
