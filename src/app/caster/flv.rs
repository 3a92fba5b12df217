//! The caster `flv`: an FLV file or stream that is posted over HTTP.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::outlet::{Names, Outlet};
use crate::app::clients::Entry;
use crate::app::config::section::caster::{Caster, CasterKind};
use crate::app::http::{Exchange, conn};
use crate::app::server::Server;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::demux::{Demuxer, Item};
use crate::kernel::frame::Frame;
use crate::protocol::http::path;
use crate::protocol::http::request::Method;
use crate::protocol::http::status::Status;

/// How long a publisher may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Serves a connection until its end. Yields.
pub fn serve(server: &Rc<Server>, stream: &Rc<Stream>, peer: SocketAddr, _entry: &Entry) {
    let local = stream.local_addr();
    let caster = local
        .ok()
        .and_then(|local| server.casters.of_connection(CasterKind::Flv, local));
    if let Some(caster) = caster {
        conn::serve_with(server, stream, peer, |exchange| answer(&caster, exchange));
    }
}

fn answer(caster: &Caster, exchange: &mut Exchange<'_, '_>) -> Result<()> {
    // As SRS does: one stream a connection.
    exchange.close_afterwards();
    if !matches!(exchange.request.method, Method::Post | Method::Put) {
        return exchange.reply_status(Status::METHOD_NOT_ALLOWED);
    }
    let names = match names(exchange) {
        Ok(names) => names,
        Err(error) => {
            exchange.reply_status(Status::BAD_REQUEST)?;
            return Err(error);
        }
    };
    let server = exchange.server.clone();
    let mut outlet = Outlet::new(&server, names.fill(&caster.output));
    let result = relay(exchange, &mut outlet);
    outlet.finish();
    match result {
        Ok(()) => exchange.reply_status(Status::OK),
        Err((status, error)) => {
            // Those of the body's form and of the connection are told already, or cannot be.
            if let Some(status) = status {
                exchange.reply_status(status)?;
            }
            Err(error.wrap("caster flv"))
        }
    }
}

fn names(exchange: &Exchange<'_, '_>) -> Result<Names> {
    let raw = exchange.request.target.split('?').next().unwrap_or_default();
    let path = path::resolve(raw)
        .map_err(|cause| Error::new(ErrorCode::RtmpTcUrl, format!("path of the posted stream: {cause}")))?;
    Names::of_path(&exchange.request.vhost_name(), &path, ".flv")
}

/// Sends the body's tags until its end. An error comes with the status that the client is to be told.
fn relay(exchange: &mut Exchange<'_, '_>, outlet: &mut Outlet<'_>) -> Result<(), (Option<Status>, Error)> {
    let mut demuxer = Demuxer::new();
    let mut frames = Vec::new();
    let place = outlet.place().to_owned();
    log::info!("caster flv: {} posts to {place}", exchange.client);
    loop {
        let piece = exchange.body_piece(Moment::after(SILENCE));
        let Some(piece) = piece.wrap("read FLV").map_err(|error| (None, error))? else {
            break;
        };
        demuxer.feed(&piece);
        pull(&mut demuxer, &mut frames).map_err(|error| (Some(Status::BAD_REQUEST), error))?;
        outlet
            .send(&frames)
            .map_err(|error| (Some(Status::SERVICE_UNAVAILABLE), error))?;
        frames.clear();
        tell(exchange, &place);
    }
    if demuxer.pending_bytes() > 0 {
        log::info!("caster flv: {} ended inside a tag", exchange.client);
    }
    Ok(())
}

fn pull(demuxer: &mut Demuxer, frames: &mut Vec<Frame>) -> Result<()> {
    while let Some(item) = demuxer.pull().wrap("posted FLV")? {
        if let Item::Tag(tag) = item {
            frames.push(Frame::new(tag.kind, tag.timestamp, tag.body));
        }
    }
    Ok(())
}

fn tell(exchange: &Exchange<'_, '_>, place: &str) {
    let server = exchange.server;
    if server.casters.turn.take(server.config().pithy_print) {
        let received = exchange.stream().received_bytes();
        log::info!("<- CST flv {} to {place}, received={received} bytes", exchange.client);
    }
}
