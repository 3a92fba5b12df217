//! The coroutines of the server: which there are, and what each of them does now.

use serde::Serialize;

use super::{Answer, Call};
use crate::core::coroutine::{self, Doing, Snapshot};
use crate::core::id::ContextId;
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::request::Method;
use crate::protocol::http::status::Status;

#[derive(Serialize)]
struct Page {
    /// How many there are, whether shown or not.
    total: usize,
    coroutines: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    cid: String,
    /// Of the process that it lives in.
    pid: u32,
    /// `runs`, `ready`, or what it waits for.
    state: &'static str,
    /// How long it has been waiting.
    wait_ms: u64,
    stack_bytes: usize,
    /// Whether it has been asked to end.
    ends: bool,
}

impl Entry {
    fn of(snapshot: &Snapshot) -> Self {
        let (state, waited) = match snapshot.doing {
            Doing::Runs => ("runs", None),
            Doing::Ready => ("ready", None),
            Doing::Waits(wait, since) => (wait.name(), Some(since)),
        };
        Entry {
            name: snapshot.name.to_string(),
            cid: snapshot.context.to_string(),
            pid: std::process::id(),
            state,
            wait_ms: waited.map_or(0, |waited| u64::try_from(waited.as_millis()).unwrap_or(u64::MAX)),
            stack_bytes: snapshot.stack_bytes,
            ends: snapshot.is_interrupted,
        }
    }
}

/// `/api/v1/coroutines`; `?cid=ID` gives those of one context id.
pub fn answer(call: &Call<'_>) -> Answer {
    if call.method != Method::Get {
        return Answer::Status(Status::METHOD_NOT_ALLOWED);
    }
    if !call.server.config().http_api.raw_api {
        return Answer::error(ErrorCode::ConfigRawDisable);
    }
    let wanted = call.query("cid");
    let mut all = coroutine::list();
    if !wanted.is_empty() {
        let wanted = ContextId::parse(&wanted);
        all.retain(|snapshot| Some(snapshot.context) == wanted);
    }
    all.sort_by(|one, other| (one.context, &one.name).cmp(&(other.context, &other.name)));
    let (start, count) = call.page();
    call.ok(Page {
        total: all.len(),
        coroutines: all.iter().skip(start).take(count).map(Entry::of).collect(),
    })
}
