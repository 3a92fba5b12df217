//! Whether a client may, by what it brings along: the `token` block of a vhost. There is no server to ask: the keys are
//! here, and whoever has them makes tokens.

use super::{Entrance, Visitor};
use crate::app::config::section::security::Action;
use crate::app::config::section::token::Token;
use crate::core::clock;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::http::query::Query;
use crate::protocol::token::signature::{self, Shown};
use crate::protocol::token::{Now, Wish, jwt};

/// The parameter with a JSON Web Token.
const TOKEN: &str = "token";
/// The parameters of a signed URL.
const EXPIRES: &str = "expires";
const SIGN: &str = "sign";

/// Checks the token of a client that needs one.
///
/// # Errors
/// [`ErrorCode::SecurityDenied`]; the text never holds the token.
pub fn check(token: &Token, visitor: Visitor<'_>) -> Result<()> {
    let now = Now {
        unix_seconds: clock::unix_time().as_secs(),
        skew: token.clock_skew.as_secs(),
    };
    check_at(token, visitor, now)
}

pub(super) fn check_at(token: &Token, visitor: Visitor<'_>, now: Now) -> Result<()> {
    if !token.is_needed(visitor.action) {
        return Ok(());
    }
    let stream = format!("/{}/{}", visitor.subject.url.app, visitor.subject.url.stream);
    let wish = Wish {
        action: match visitor.action {
            Action::Play => "play",
            Action::Publish => "publish",
        },
        stream: &stream,
        client: visitor.subject.ip,
    };
    verify(token, visitor, wish, now).map_err(|cause| {
        let (action, client) = (wish.action, wish.client);
        let text = format!("token: {client} may not {action} {}, {cause}", printable(&stream));
        Error::new(ErrorCode::SecurityDenied, text)
    })
}

/// One that brings a JSON Web Token is judged by that, even where its URL is signed too.
fn verify(token: &Token, visitor: Visitor<'_>, wish: Wish<'_>, now: Now) -> std::result::Result<(), String> {
    let param = visitor.subject.url.param.trim_start_matches('?');
    let query = Query::new(param.split('#').next().unwrap_or_default());
    let bearer = match visitor.entrance {
        Entrance::Http { bearer } => bearer.map(str::to_owned),
        Entrance::Rtmp => None,
    };
    if let Some(text) = query.get(TOKEN).or(bearer) {
        return jwt::verify(&token.keys, &token.public_keys, &text, wish, now, token.bind_ip);
    }
    match (query.get(EXPIRES), query.get(SIGN)) {
        (Some(expires), Some(sign)) => {
            let shown = Shown {
                expires: &expires,
                sign: &sign,
            };
            signature::verify(&token.keys, shown, wish, now, token.bind_ip).map_err(str::to_owned)
        }
        _ => Err("it brings no token and no signature".to_owned()),
    }
}
