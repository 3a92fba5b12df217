//! An origin decides about a client of the edge (`token_traverse`): it sees the client's own `connect` and stream.

use std::rc::Rc;
use std::time::Duration;

use super::origin;
use crate::app::access::Visitor;
use crate::app::config::section::security::Action;
use crate::app::rtmp::dialogue::{Approach, OnBehalf};
use crate::app::rtmp::socket::Line;
use crate::app::server::Server;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtmp::client::Client;

/// How long an origin may take to connect, and for the dialogue.
const STEP: Duration = Duration::from_secs(3);

/// Asks the first origin that can be reached whether it lets the client in. Servers like this one call `on_connect` only
/// when they know the stream, so a player plays there for a moment, and a publisher is announced. Yields.
///
/// # Errors
/// The origin's refusal, or its silence; that of the last origin when none can be reached.
pub fn traverse(server: &Rc<Server>, visitor: Visitor<'_>, client: OnBehalf<'_>) -> Result<()> {
    let (vhost, url) = (&visitor.subject.vhost, &visitor.subject.url);
    let approach = Approach {
        trust: &server.trust,
        connect_timeout: STEP,
        dialogue_timeout: STEP,
        client: Some(client),
        tells_who: vhost.cluster.debug_srs_upnode,
    };
    let begin = |client: &mut Client<Line>, name: &str| match visitor.action {
        Action::Play => client.play(name),
        Action::Publish => client.announce(name),
    };
    let asked = origin::first(&server.edges.choices, &vhost.cluster, url, |url| {
        match approach.open(url, "ask", begin) {
            Ok(_) => Ok(Ok(())),
            Err(error) if is_away(&error) => Err(error),
            // It was reached: no other one is asked.
            Err(refused) => Ok(Err(refused)),
        }
    });
    asked.and_then(|decided| decided).wrap("token traverse")
}

fn is_away(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::DnsResolve | ErrorCode::SocketConnect | ErrorCode::SocketTimeout | ErrorCode::HttpsHandshake
    )
}
