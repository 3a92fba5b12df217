//! Playlists and segments for HLS players that have a session. See `docs/hls.md`.

use std::path::Path;
use std::rc::{Rc, Weak};

use super::exchange::Exchange;
use super::router::{Handler, Router, Served};
use super::{live, static_files, tickets};
use crate::app::config::Config;
use crate::app::config::section::vhost::Vhost;
use crate::app::hls::low_latency::Wanted;
use crate::app::hls::session::{PARAMETER, Session, with_id};
use crate::app::hls::stream::{Item, Stream};
use crate::core::clock::Moment;
use crate::core::folder::OpenFile;
use crate::core::limits::HLS_PLAYLIST_BYTES;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::mime;
use crate::protocol::http::request::Method;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// The head of a playlist that names the one of the session.
const MASTER: &str = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,AVERAGE-BANDWIDTH=1\n";

/// Whom a request for a playlist is from.
enum Seat {
    /// Players have no sessions here.
    None,
    /// A player that goes on.
    Known(Rc<Session>),
    /// A player that begins.
    New(Rc<Session>),
    /// One that may not play: it was answered.
    Answered,
}

/// Answers a request for a playlist that is there, if the vhost gives players sessions; otherwise the caller does.
pub fn serve_playlist(exchange: &mut Exchange<'_, '_>, name: &str, file: &OpenFile) -> Result<bool> {
    if exchange.request.method != Method::Get || file.size > HLS_PLAYLIST_BYTES {
        return Ok(false);
    }
    let seat = seat(exchange, name)?;
    let (session, is_new) = match seat {
        Seat::None if !tickets::are_needed(exchange) => return Ok(false),
        Seat::None => (None, false),
        Seat::Answered => return Ok(true),
        Seat::Known(session) => (Some(session), false),
        Seat::New(session) => (Some(session), true),
    };
    let size = usize::try_from(file.size).unwrap_or(usize::MAX);
    let (mut bytes, count) = file
        .read_at(0, vec![0; size])
        .map_err(|error| Error::io(ErrorCode::FileRead, &error, "read playlist"))?;
    bytes.truncate(count);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // A multivariant playlist leads to others itself, which are the same player's.
    let leads_on = is_new && !text.contains("#EXT-X-STREAM-INF:");
    match session {
        Some(session) if leads_on => send_link(exchange, &session)?,
        session => send_playlist(exchange, session.as_deref(), text)?,
    }
    Ok(true)
}

fn seat(exchange: &mut Exchange<'_, '_>, name: &str) -> Result<Seat> {
    let wants = |vhost: &Rc<Vhost>| vhost.hls.enabled && vhost.hls.ctx;
    let Some(vhost) = exchange.vhost.clone().filter(wants) else {
        return without_session(exchange);
    };
    let wished = exchange.request.query.get(PARAMETER);
    let sessions = &exchange.server.hls.sessions;
    match wished.as_deref().and_then(|id| sessions.get(id)) {
        Some(session) if session.is_kicked() => {
            let head = ResponseHead::new(Status::NOT_FOUND).with("Content-Type", "text/plain; charset=utf-8");
            exchange.reply(head, b"The stream is over for this player.")?;
            Ok(Seat::Answered)
        }
        Some(session) if tickets::are_needed(exchange) && !is_open(exchange, &vhost, &session) => refuse(exchange),
        Some(session) => {
            session.touch();
            Ok(Seat::Known(session))
        }
        None if !sessions.have_room() => without_session(exchange),
        None => begin(exchange, &vhost, wished.as_deref(), name),
    }
}

/// A player that gets no session shows its token each time.
fn without_session(exchange: &mut Exchange<'_, '_>) -> Result<Seat> {
    match !tickets::are_needed(exchange) || tickets::has_token(exchange) {
        true => Ok(Seat::None),
        false => refuse(exchange),
    }
}

fn refuse(exchange: &mut Exchange<'_, '_>) -> Result<Seat> {
    exchange.reply_status(Status::FORBIDDEN).map(|()| Seat::Answered)
}

/// Whether what opened the session opens this playlist too: it is of the same stream, or a playlist led to it.
fn is_open(exchange: &Exchange<'_, '_>, vhost: &Vhost, session: &Session) -> bool {
    let url = live::url_of_file(vhost, exchange);
    let is_own = url.is_some_and(|url| session.is_of(&url.stream_url()));
    is_own || tickets::has_one(exchange) || tickets::has_token(exchange)
}

fn send_playlist(exchange: &mut Exchange<'_, '_>, session: Option<&Session>, mut text: String) -> Result<()> {
    let ts_ctx = exchange.vhost.as_ref().is_some_and(|vhost| vhost.hls.ts_ctx);
    if let Some(session) = session
        && (ts_ctx || text.contains("#EXT-X-STREAM-INF:"))
    {
        text = with_id(&text, &session.id);
    }
    if tickets::are_needed(exchange) {
        text = tickets::in_playlist(exchange, &text, session.map_or(0, |session| session.begun));
    }
    if let Some(session) = session {
        session.carry(0, text.len() as u64);
    }
    exchange.reply(head(), text.as_bytes())
}

/// Serves what low-latency HLS has in memory, before files are looked for.
pub fn mount(config: &Config, router: &mut Router) {
    let wants = |vhost: &&Rc<Vhost>| vhost.enabled && vhost.hls.enabled && vhost.hls.part.is_some();
    if config.vhosts().iter().any(|vhost| wants(&vhost)) {
        router.add_first(Rc::new(LowLatencyHls));
    }
}

/// The handler of all vhosts.
struct LowLatencyHls;

impl Handler for LowLatencyHls {
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served> {
        if exchange.request.method != Method::Get {
            return Ok(Served::Pass);
        }
        let Some(vhost) = exchange.vhost.clone() else {
            return Ok(Served::Pass);
        };
        let (config, path) = (exchange.server.config(), &exchange.request.path);
        let names = static_files::names_below(&config, &vhost.name, path, Path::new(&vhost.hls.path));
        let on_shelf = |exchange: &Exchange<'_, '_>| {
            let mut names = names.iter();
            names.find_map(|name| exchange.server.hls.shelf.get(&vhost.name, name))
        };
        match on_shelf(exchange) {
            None => return Ok(Served::Pass),
            Some(Item::Part(_) | Item::Coming(_)) if tickets::refuse(exchange)? => {}
            Some(Item::Part(bytes)) => send_part(exchange, &bytes)?,
            Some(Item::Coming(stream)) => {
                let is_here = |exchange: &Exchange<'_, '_>| matches!(on_shelf(exchange), Some(Item::Part(_)) | None);
                wait(exchange, &stream, is_here);
                match on_shelf(exchange) {
                    Some(Item::Part(bytes)) => send_part(exchange, &bytes)?,
                    _ => exchange.reply_status(Status::NOT_FOUND)?,
                }
            }
            Some(Item::Playlist(stream)) => {
                let Some(stream) = stream.upgrade() else {
                    return Ok(Served::Pass);
                };
                let path = exchange.request.path.trim_start_matches('/').to_owned();
                serve_live_playlist(exchange, &path, &stream)?;
            }
        }
        Ok(Served::Yes)
    }
}

/// Waits until a stream has grown so far, or for too long. Yields.
fn wait(exchange: &Exchange<'_, '_>, stream: &Weak<Stream>, is_here: impl Fn(&Exchange<'_, '_>) -> bool) {
    let Some(stream) = stream.upgrade() else { return };
    let deadline = Moment::after(stream.patience());
    while !is_here(exchange) && stream.grown.wait_until(deadline) {}
}

fn serve_live_playlist(exchange: &mut Exchange<'_, '_>, name: &str, stream: &Rc<Stream>) -> Result<()> {
    let session = match seat(exchange, name)? {
        Seat::Answered => return Ok(()),
        Seat::New(session) => return send_link(exchange, &session),
        Seat::Known(session) => Some(session),
        Seat::None => None,
    };
    let query = &exchange.request.query;
    let number = |name: &str| query.get(name).map(|text| text.parse::<u64>());
    let (segment, part) = match (number("_HLS_msn"), number("_HLS_part")) {
        (None, None) => (None, None),
        (Some(Ok(segment)), None) => (Some(segment), None),
        (Some(Ok(segment)), Some(Ok(part))) => (Some(segment), Some(part)),
        _ => return exchange.reply_status(Status::BAD_REQUEST),
    };
    let skips = query.get("_HLS_skip").is_some_and(|text| text == "YES" || text == "v2");
    if let Some(segment) = segment {
        let wanted = Wanted { segment, part };
        if stream.lists(wanted).is_none() && stream.live_playlist(false).is_some() {
            // It cannot be there soon (6.2.5.2).
            return exchange.reply_status(Status::BAD_REQUEST);
        }
        wait(exchange, &Rc::downgrade(stream), |_| {
            stream.lists(wanted) != Some(false)
        });
    }
    match stream.live_playlist(skips) {
        Some(text) => send_playlist(exchange, session.as_deref(), text),
        None => exchange.reply_status(Status::NOT_FOUND),
    }
}

fn send_part(exchange: &mut Exchange<'_, '_>, bytes: &[u8]) -> Result<()> {
    let head = ResponseHead::new(Status::OK)
        .with("Content-Type", mime::of("part.m4s"))
        .with("Cache-Control", "max-age=60");
    exchange.reply(head, bytes)
}

/// Counts what was sent of a segment for its session.
pub fn count_segment(exchange: &Exchange<'_, '_>, sent_before: u64) {
    let Some(id) = exchange.request.query.get(PARAMETER) else {
        return;
    };
    if let Some(session) = exchange.server.hls.sessions.get(&id) {
        session.carry(0, exchange.stream().sent_bytes().saturating_sub(sent_before));
    }
}

fn begin(exchange: &mut Exchange<'_, '_>, vhost: &Rc<Vhost>, wished: Option<&str>, name: &str) -> Result<Seat> {
    let Some(url) = live::url_of_file(vhost, exchange) else {
        return exchange.reply_status(Status::NOT_FOUND).map(|()| Seat::Answered);
    };
    let subject = live::subject(exchange, vhost, url);
    if let Err(status) = live::admit(exchange, &subject).and_then(|()| live::admit_new(exchange)) {
        return exchange.reply_status(status).map(|()| Seat::Answered);
    }
    let server = exchange.server.clone();
    let file = name.rsplit('/').next().unwrap_or_default();
    match server.hls.sessions.begin(&server, wished, subject, file) {
        Ok(session) => {
            log::info!("HLS session {} begins, ip={}, {name}", session.id, exchange.client);
            Ok(Seat::New(session))
        }
        Err(error) => {
            log::warn!("HLS player is refused, {}", error.summary());
            exchange.reply_status(Status::FORBIDDEN).map(|()| Seat::Answered)
        }
    }
}

/// Leads a new player to the playlist of its session.
fn send_link(exchange: &mut Exchange<'_, '_>, session: &Session) -> Result<()> {
    let request = &exchange.request;
    let path = request.target.split('?').next().unwrap_or_default();
    let mut target = format!("{path}?{PARAMETER}={}", session.id);
    let is_other = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some(PARAMETER);
    for pair in request.query.raw().split('&').filter(is_other) {
        target.push('&');
        target.push_str(pair);
    }
    let body = format!("{MASTER}{target}\n");
    session.carry(0, body.len() as u64);
    exchange.reply(head(), body.as_bytes())
}

fn head() -> ResponseHead {
    ResponseHead::new(Status::OK)
        .with("Content-Type", mime::of("playlist.m3u8"))
        .with("Cache-Control", "no-cache")
}
