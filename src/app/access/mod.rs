//! Who may do what: the checks of `refer`, `security` and `token`, for every protocol in one order. See
//! `docs/security.md`.
//!
//! The callback servers are asked between these checks, in the order that users of SRS know:
//! [`Gate::Vhost`], `on_connect`, [`Gate::Stream`], then to publish [`Gate::Media`] and `on_publish`, to play `on_play`
//! and [`Gate::Media`]. Where no `on_connect` exists, as over HTTP, all gates come before `on_play`.

pub mod crowd;
mod refer;
mod security;
mod token;

use crate::app::config::section::security::Action;
use crate::app::hooks::Subject;
use crate::kernel::error::Result;

/// A client in front of a gate.
#[derive(Clone, Copy)]
pub struct Visitor<'a> {
    /// Who it is, and which stream it wants.
    pub subject: &'a Subject,
    /// What it wants to do.
    pub action: Action,
    /// How it came.
    pub entrance: Entrance<'a>,
}

/// How a client came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance<'a> {
    /// Over RTMP, where the page is told by `connect`.
    Rtmp,
    /// Over HTTP, where the page is told by `Referer`.
    Http {
        /// The token of an `Authorization` field.
        bearer: Option<&'a str>,
    },
}

/// When checks are due, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// As soon as the vhost is known: pages that may do anything here.
    Vhost,
    /// Before the stream is looked up: the client's address, then its token.
    Stream,
    /// Before media flow: pages that may do this.
    Media,
}

/// Whether a client may pass a gate.
///
/// # Errors
/// [`crate::kernel::error_code::ErrorCode::SecurityDenied`] for a page or a token,
/// [`crate::kernel::error_code::ErrorCode::SecurityDeny`] and
/// [`crate::kernel::error_code::ErrorCode::SecurityAllow`] for an address.
pub fn admit(visitor: Visitor<'_>, gate: Gate) -> Result<()> {
    let (subject, action) = (visitor.subject, visitor.action);
    let vhost = &subject.vhost;
    match gate {
        Gate::Vhost => refer::check(&vhost.refer, &vhost.refer.all, visitor),
        Gate::Stream => {
            security::check(&vhost.security, action, subject.ip)?;
            token::check(&vhost.token, visitor)
        }
        Gate::Media => {
            let pages = match action {
                Action::Publish => &vhost.refer.publish,
                Action::Play => &vhost.refer.play,
            };
            refer::check(&vhost.refer, pages, visitor)
        }
    }
}

/// Whether a client may pass all gates, where no callback comes between.
///
/// # Errors
/// As [`admit`].
pub fn admit_all(visitor: Visitor<'_>) -> Result<()> {
    [Gate::Vhost, Gate::Stream, Gate::Media]
        .into_iter()
        .try_for_each(|gate| admit(visitor, gate))
}

#[cfg(test)]
mod tests;
