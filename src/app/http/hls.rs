//! Playlists and segments for HLS players that have a session. See `docs/hls.md`.

use std::rc::Rc;

use super::exchange::Exchange;
use super::live;
use crate::app::config::section::vhost::Vhost;
use crate::app::hls::session::{PARAMETER, Session, with_id};
use crate::app::hooks::Subject;
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

/// Answers a request for a playlist that is there, if the vhost gives players sessions; otherwise the caller does.
pub fn serve_playlist(exchange: &mut Exchange<'_, '_>, name: &str, file: &OpenFile) -> Result<bool> {
    let wants = |vhost: &Rc<Vhost>| vhost.hls.enabled && vhost.hls.ctx;
    let Some(vhost) = exchange.vhost.clone().filter(wants) else {
        return Ok(false);
    };
    if exchange.request.method != Method::Get || file.size > HLS_PLAYLIST_BYTES {
        return Ok(false);
    }
    let wished = exchange.request.query.get(PARAMETER);
    let sessions = &exchange.server.hls.sessions;
    match wished.as_deref().and_then(|id| sessions.get(id)) {
        Some(session) => answer_known(exchange, &vhost, &session, file).map(|()| true),
        None if !sessions.have_room() => Ok(false),
        None => answer_new(exchange, &vhost, wished.as_deref(), name).map(|()| true),
    }
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

fn answer_known(exchange: &mut Exchange<'_, '_>, vhost: &Vhost, session: &Session, file: &OpenFile) -> Result<()> {
    if session.is_kicked() {
        let head = ResponseHead::new(Status::NOT_FOUND).with("Content-Type", "text/plain; charset=utf-8");
        return exchange.reply(head, b"The stream is over for this player.");
    }
    session.touch();
    let size = usize::try_from(file.size).unwrap_or(usize::MAX);
    let (mut bytes, count) = file
        .read_at(0, vec![0; size])
        .map_err(|error| Error::io(ErrorCode::FileRead, &error, "read playlist"))?;
    bytes.truncate(count);
    if vhost.hls.ts_ctx {
        bytes = with_id(&String::from_utf8_lossy(&bytes), &session.id).into_bytes();
    }
    session.carry(0, bytes.len() as u64);
    exchange.reply(head(), &bytes)
}

fn answer_new(exchange: &mut Exchange<'_, '_>, vhost: &Rc<Vhost>, wished: Option<&str>, name: &str) -> Result<()> {
    let Some(url) = live::url_of_file(vhost, exchange) else {
        return exchange.reply_status(Status::NOT_FOUND);
    };
    if let Err(status) = live::admit(exchange, vhost) {
        return exchange.reply_status(status);
    }
    let page_url = exchange.request.headers.get("Referer").unwrap_or_default().to_owned();
    let subject = Subject {
        url,
        ip: exchange.client,
        page_url,
        vhost: vhost.clone(),
    };
    let server = exchange.server.clone();
    let file = name.rsplit('/').next().unwrap_or_default();
    let session = match server.hls.sessions.begin(&server, wished, subject, file) {
        Ok(session) => session,
        Err(error) => {
            log::warn!("HLS player is refused, {}", error.summary());
            return exchange.reply_status(Status::FORBIDDEN);
        }
    };
    let request = &exchange.request;
    let path = request.target.split('?').next().unwrap_or_default();
    let mut target = format!("{path}?{PARAMETER}={}", session.id);
    let is_other = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some(PARAMETER);
    for pair in request.query.raw().split('&').filter(is_other) {
        target.push('&');
        target.push_str(pair);
    }
    log::info!("HLS session {} begins, ip={}, {target}", session.id, exchange.client);
    let body = format!("{MASTER}{target}\n");
    session.carry(0, body.len() as u64);
    exchange.reply(head(), body.as_bytes())
}

fn head() -> ResponseHead {
    ResponseHead::new(Status::OK)
        .with("Content-Type", mime::of("playlist.m3u8"))
        .with("Cache-Control", "no-cache")
}
