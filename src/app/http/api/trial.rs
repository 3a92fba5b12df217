//! Endpoints to try clients with.

use serde::Serialize;

use super::json::Data;
use super::{Answer, Call};
use crate::app::cli::VERSION;
use crate::app::stat::host::wall_ms;

/// The error that clients can be tried with.
const TEST_ERROR: u16 = 100;

#[derive(Serialize)]
struct Shown<'a> {
    uri: String,
    path: &'a str,
    #[serde(rename = "METHOD")]
    method: &'static str,
    headers: Server,
}

#[derive(Serialize)]
struct Server {
    // The name that clients know.
    sigature: &'static str,
    version: &'static str,
    link: &'static str,
    time: u64,
}

/// `/api/v1/requests` and `/api/v1/tests/requests`.
pub fn requests(call: &Call<'_>) -> Answer {
    let request = call.request;
    let host = request.headers.get("Host").unwrap_or(&request.host);
    call.ok(Data {
        data: Shown {
            uri: format!("http://{host}{}", request.target),
            path: &request.path,
            method: request.method.name(),
            headers: Server {
                sigature: "SRS",
                version: VERSION,
                link: "https://github.com/ossrs/srs",
                time: wall_ms(),
            },
        },
    })
}

/// `/api/v1/tests/errors`.
pub fn errors(_: &Call<'_>) -> Answer {
    Answer::code(TEST_ERROR)
}

/// `/api/v1/tests/redirects`.
pub fn redirects(_: &Call<'_>) -> Answer {
    Answer::Moved("/api/v1/tests/errors")
}
