//! A publisher of an edge: what it publishes goes to an origin.

use std::rc::Rc;
use std::time::Duration;

use super::intake::Sink;
use super::publish;
use super::request::Request;
use super::socket::Socket;
use crate::app::edge::Proxied;
use crate::app::hooks::Event;
use crate::app::pithy::Turn;
use crate::app::stream::Stream;
use crate::kernel::error::{Result, Wrap};
use crate::kernel::frame::Frame;
use crate::protocol::rtmp::message::StatusCode;
use crate::protocol::rtmp::server::{PublishKind, Server as Session};

impl Sink for Proxied {
    fn push(&mut self, frame: Frame) -> Result<()> {
        Proxied::push(self, frame)
    }
}

/// Hands on what the client publishes until it unpublishes, leaves, or the origin does. Yields.
///
/// # Errors
/// Those of [`crate::app::edge::Edges::publish`]; the session's and the sockets' otherwise.
pub(super) fn serve(
    session: &mut Session<Socket>,
    stream: &Rc<Stream>,
    request: &Request,
    kind: PublishKind,
    turn: &Turn,
    interval: Duration,
) -> Result<()> {
    session.start_publish(kind)?;
    if let Err(refused) = request.ask(Event::Publish) {
        // As any publisher is told; one that has left needs no answer.
        let _ = session.reject(&StatusCode::PublishBadName, "publishing is refused");
        return Err(refused);
    }
    let edges = &request.server.edges;
    let proxied = edges.publish(&request.server, &request.vhost, &request.subject.url);
    let ended = match proxied.wrap("edge publish") {
        Ok(proxied) => {
            log::info!("edge publishes at {}", proxied.place());
            publish::take(session, stream, request, proxied, kind, turn, interval)
        }
        Err(refused) => {
            let _ = session.reject(&StatusCode::PublishBadName, "no origin takes the stream");
            Err(refused)
        }
    };
    request.tell(Event::Unpublish);
    ended
}
