//! The configuration in force: every directive with its value and who gave it.

use std::fmt::Write;

use serde::Serialize;

use super::json::Data;
use super::{Answer, Call};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::request::Method;
use crate::protocol::http::status::Status;

#[derive(Serialize)]
struct Configuration {
    /// How many vhosts there are; `directives` has those of the page that was asked for.
    vhosts: usize,
    directives: Vec<Directive>,
}

#[derive(Serialize)]
struct Directive {
    directive: String,
    /// The blocks that it stands in, as in the answer to `reload-fetch`.
    place: String,
    value: String,
    /// `FILE:LINE`, `env NAME` or `default`, and a reason after a colon.
    origin: String,
}

/// `/api/v1/configs`; `?format=text` as `srs -t -v` prints it.
pub fn answer(call: &Call<'_>) -> Answer {
    if call.method != Method::Get {
        return Answer::Status(Status::METHOD_NOT_ALLOWED);
    }
    if !call.server.config().http_api.raw_api {
        return Answer::error(ErrorCode::ConfigRawDisable);
    }
    let (start, count) = call.asked_page();
    let effective = call.server.effective(start..start.saturating_add(count));
    if call.query("format") == "text" {
        let mut text = String::from("# The effective configuration\n");
        // Writing to a String cannot fail.
        let _ = write!(text, "{effective}");
        return Answer::Text(text.into_bytes());
    }
    let directives = effective.values().into_iter().map(|(place, value)| Directive {
        directive: value.path(),
        place,
        value: value.words.join(" "),
        origin: value.origin.to_string(),
    });
    call.ok(Data {
        data: Configuration {
            vhosts: effective.vhosts,
            directives: directives.collect(),
        },
    })
}
