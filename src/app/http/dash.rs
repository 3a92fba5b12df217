//! Segments of low-latency DASH, for players that fetch them while they are written. See `docs/dash.md`.

use std::path::Path;
use std::rc::Rc;

use super::exchange::Exchange;
use super::router::{Handler, Router, Served};
use super::{static_files, tickets};
use crate::app::config::Config;
use crate::app::config::section::vhost::Vhost;
use crate::app::dash::growing::{End, Growing, Next};
use crate::core::clock::Moment;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::mime;
use crate::protocol::http::request::Method;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// A writer that is silent for so many segments has given up.
const PATIENCE_SEGMENTS: u32 = 3;

/// Serves what low-latency DASH has in memory, before files are looked for.
pub fn mount(config: &Config, router: &mut Router) {
    let wants = |vhost: &Rc<Vhost>| vhost.enabled && vhost.dash.enabled && vhost.dash.low_latency.is_some();
    if config.vhosts().iter().any(wants) {
        router.add_first(Rc::new(LowLatencyDash));
    }
}

/// The handler of all vhosts.
struct LowLatencyDash;

impl Handler for LowLatencyDash {
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served> {
        let Some(vhost) = exchange.vhost.clone() else {
            return Ok(Served::Pass);
        };
        let (config, path) = (exchange.server.config(), &exchange.request.path);
        let names = static_files::names_below(&config, &vhost.name, path, Path::new(&vhost.dash.path));
        let shelf = &exchange.server.dash.shelf;
        let found = names.iter().find_map(|name| shelf.get(&vhost.name, name));
        match found.filter(|_| exchange.request.method == Method::Get) {
            None => Ok(Served::Pass),
            Some(_) if tickets::refuse(exchange)? => Ok(Served::Yes),
            Some(growing) => send(exchange, &growing, &vhost).map(|()| Served::Yes),
        }
    }
}

/// Sends each chunk when it is there. Yields.
fn send(exchange: &mut Exchange<'_, '_>, growing: &Growing, vhost: &Vhost) -> Result<()> {
    for index in 0.. {
        let deadline = Moment::after(vhost.dash.fragment * PATIENCE_SEGMENTS);
        match growing.chunk(index, deadline) {
            Next::Chunk(chunk) => {
                if index == 0 {
                    let head = ResponseHead::new(Status::OK)
                        .with("Content-Type", mime::of("segment.m4s"))
                        .with("Cache-Control", "max-age=60");
                    exchange.begin(head, None);
                }
                exchange.write(&chunk)?;
            }
            Next::End(_) if index == 0 => return exchange.reply_status(Status::NOT_FOUND),
            Next::End(End::Complete) => break,
            // Without the last chunk of the transfer encoding, the player knows that it has not all.
            Next::End(End::Broken) => {
                let text = "the segment breaks off, its writer has failed";
                return Err(Error::new(ErrorCode::DashMpdWrite, text));
            }
        }
    }
    exchange.end()
}
