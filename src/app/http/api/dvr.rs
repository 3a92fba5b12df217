//! Recordings of published streams: looked at, begun and ended. SRS has no such calls since version 3; those of nginx-rtmp's
//! control module are the model.

use serde::Serialize;

use super::{Answer, Call};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::request::Method;
use crate::protocol::http::status::Status;

#[derive(Serialize)]
struct One {
    dvr: Recording,
}

#[derive(Default, Serialize)]
struct Recording {
    /// Whether it is written now.
    recording: bool,
    /// The file that is written, or was written last.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// Media in it, milliseconds.
    duration_ms: i64,
    bytes: u64,
}

/// `/api/v1/streams/ID/dvr`: GET looks, POST begins, DELETE ends. Yields.
pub fn answer(call: &Call<'_>, id: &str) -> Answer {
    let Some(stream) = call.server.stat.stream(id) else {
        return Answer::error(ErrorCode::StreamNotFound);
    };
    let dvr = &call.server.dvr;
    let ordered = match call.method {
        Method::Get => Ok(()),
        Method::Post => dvr.start(&stream.url),
        Method::Delete => dvr.stop(&stream.url),
        _ => return Answer::Status(Status::METHOD_NOT_ALLOWED),
    };
    if let Err(error) = ordered {
        log::warn!("API: {}", error.summary());
        return Answer::error(error.code());
    }
    let Some(progress) = dvr.look(&stream.url) else {
        return Answer::error(ErrorCode::StreamNotFound);
    };
    let recording = progress.map_or_else(Recording::default, |progress| Recording {
        recording: progress.runs.get(),
        file: Some(progress.file.borrow().clone()),
        duration_ms: progress.length_ms.get(),
        bytes: progress.bytes.get(),
    });
    call.ok(One { dvr: recording })
}
