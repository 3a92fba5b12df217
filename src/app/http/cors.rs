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
    head.set("Access-Control-Allow-Headers", "*");
    head.set("Access-Control-Expose-Headers", "*");
    head.set("Access-Control-Allow-Credentials", "false");
    head.set("Access-Control-Request-Private-Network", "true");
}
