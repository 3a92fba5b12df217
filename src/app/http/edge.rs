//! Players of files on an edge: who asks for a playlist has the stream played from its origin. See `docs/edge.md`.

use std::rc::Rc;
use std::time::Duration;

use super::exchange::Exchange;
use super::live;
use super::router::{Handler, Router, Served};
use crate::app::config::Config;
use crate::app::config::section::vhost::Vhost;
use crate::core::clock::Moment;
use crate::kernel::error::Result;
use crate::protocol::http::request::Method;

/// A player that has not asked for so long has left.
const PAUSE: Duration = Duration::from_secs(30);
/// How long a player waits for the first segments.
const PATIENCE: Duration = Duration::from_secs(15);

/// Has playlists made where a vhost is an edge, before files are looked for.
pub fn mount(config: &Config, router: &mut Router) {
    let is_edge = |vhost: &Rc<Vhost>| vhost.enabled && vhost.cluster.is_remote;
    if config.vhosts().iter().any(is_edge) {
        router.add_first(Rc::new(EdgeFiles));
    }
}

/// The handler of all vhosts. It answers nothing itself.
struct EdgeFiles;

impl Handler for EdgeFiles {
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served> {
        let Some(vhost) = exchange.vhost.clone() else {
            return Ok(Served::Pass);
        };
        let path = &exchange.request.path;
        let is_hls = vhost.hls.enabled && path.ends_with(".m3u8");
        let is_dash = vhost.dash.enabled && path.ends_with(".mpd");
        let is_wanted = exchange.request.method == Method::Get && (is_hls || is_dash);
        let Some(url) = live::url_of_file(&vhost, exchange).filter(|_| is_wanted && vhost.cluster.is_remote) else {
            return Ok(Served::Pass);
        };
        // Who may not play makes no origin work; what he gets is told by those who serve the file.
        let subject = live::subject(exchange, &vhost, url.clone());
        if live::admit(exchange, &subject).is_err() {
            return Ok(Served::Pass);
        }
        let server = exchange.server.clone();
        let source = server.sources.fetch_or_create(&url.stream_url(), &vhost);
        let client = live::client_protocol(exchange);
        let watched = server.edges.watch_for(&server, &vhost, &url, &source, client, PAUSE);
        let Some(pull) = watched else {
            return Ok(Served::Pass);
        };
        let is_there = || match is_hls {
            true => server.hls.has_playlist(&url),
            false => server.dash.has_manifest(&url),
        };
        let deadline = Moment::after(PATIENCE);
        while !is_there() && pull.progressed.wait_until(deadline) {}
        Ok(Served::Pass)
    }
}
