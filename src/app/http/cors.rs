//! Answers to web pages of other sites (the Fetch standard's CORS protocol), as `http_server.crossdomain` says.

use crate::protocol::http::request::Request;
use crate::protocol::http::response::ResponseHead;

/// Lets a page read the answer, if one asked.
pub fn allow(head: &mut ResponseHead, request: &Request) {
    if request.headers.get("Origin").is_none() {
        return;
    }
    head.set("Access-Control-Allow-Origin", "*");
    head.set("Access-Control-Allow-Methods", "*");
    head.set("Access-Control-Allow-Headers", allowed_headers(request));
    head.set("Access-Control-Expose-Headers", "*");
    head.set("Access-Control-Allow-Credentials", "false");
    head.set("Access-Control-Request-Private-Network", "true");
}

/// All of them; the one that the standard leaves out of `*` is named to a page that asks for it, as it logs in at the API.
fn allowed_headers(request: &Request) -> &'static str {
    let asked = request
        .headers
        .get("Access-Control-Request-Headers")
        .unwrap_or_default();
    match asked
        .split(',')
        .any(|name| name.trim().eq_ignore_ascii_case("Authorization"))
    {
        true => "*, Authorization",
        false => "*",
    }
}
