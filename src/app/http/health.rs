//! `/healthz` and `/readyz`, for whoever watches the process or spreads clients over several: no password, no names.

use std::rc::Rc;

use super::exchange::Exchange;
use super::router::{Handler, Router, Served};
use crate::app::server::Server;
use crate::app::watch::Water;
use crate::kernel::error::Result;
use crate::protocol::http::mime;
use crate::protocol::http::request::Method;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// Serves them before everything else.
pub fn mount(router: &mut Router) {
    router.add_first(Rc::new(Health));
}

/// Whether a path is one of them.
fn is_asked(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

struct Health;

impl Handler for Health {
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served> {
        let path = exchange.request.path.as_str();
        if !is_asked(path) || !matches!(exchange.request.method, Method::Get | Method::Head) {
            return Ok(Served::Pass);
        }
        // Who answers lives.
        let faults = match path {
            "/readyz" => faults(exchange.server),
            _ => Vec::new(),
        };
        let status = match faults.is_empty() {
            true => Status::OK,
            false => Status::SERVICE_UNAVAILABLE,
        };
        let body = match faults.is_empty() {
            true => "ok\n".to_owned(),
            false => format!("{}\n", faults.join("\n")),
        };
        let head = ResponseHead::new(status)
            .with("Content-Type", mime::of("health.txt"))
            .with("Cache-Control", "no-store");
        exchange.reply(head, body.as_bytes())?;
        Ok(Served::Yes)
    }
}

/// Why no more clients should come.
fn faults(server: &Server) -> Vec<&'static str> {
    let mut faults = Vec::new();
    if server.is_quitting() {
        faults.push("the server ends");
    }
    if server.overload.water() == Water::Dying {
        faults.push("the server is overloaded");
    }
    if server.clients.len() + server.workers.clients_elsewhere() >= server.config().max_connections as usize {
        faults.push("max_connections are connected");
    }
    faults
}
