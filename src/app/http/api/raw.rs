//! The raw API: orders to the server.

use serde::Serialize;

use super::json::Data;
use super::{Answer, Call};
use crate::app::config::difference::Change;
use crate::app::config::section::http_api::HttpApi;
use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::trace;

#[derive(Serialize)]
struct Raw<'a> {
    code: u16,
    http_api: Api<'a>,
}

#[derive(Serialize)]
struct Api<'a> {
    enabled: bool,
    listen: &'a str,
    crossdomain: bool,
    raw_api: RawApi,
}

#[derive(Serialize)]
struct RawApi {
    enabled: bool,
    allow_reload: bool,
    // Gone since version 4.
    allow_query: bool,
    allow_update: bool,
}

/// How the last reload went.
#[derive(Serialize)]
struct Reload {
    err: u16,
    msg: String,
    state: u8,
    rid: String,
    /// Beyond SRS: Unix time in milliseconds.
    time_ms: u64,
    duration_ms: u64,
    changes: Vec<Changed>,
    left_out: usize,
}

/// A directive that it changed; `effect` is `now`, `next` (for what begins afterwards) or `restart`.
#[derive(Serialize)]
struct Changed {
    directive: &'static str,
    place: String,
    old: String,
    new: String,
    effect: &'static str,
}

impl From<Change> for Changed {
    fn from(change: Change) -> Self {
        Changed {
            directive: change.directive,
            place: change.place,
            old: change.old,
            new: change.new,
            effect: change.reload.name(),
        }
    }
}

#[derive(Serialize)]
struct Reloaded {
    code: u16,
    #[serde(flatten)]
    payload: Data<Reload>,
}

#[derive(Serialize)]
struct Traced {
    code: u16,
    traced: Vec<String>,
}

/// The order to log all lines of a client.
pub const TRACE: &str = "trace";

/// `/api/v1/raw`.
pub fn answer(call: &Call<'_>) -> Answer {
    let config = call.server.config();
    let api = &config.http_api;
    let order = call.query("rpc");
    match order.as_str() {
        "raw" => about(api),
        _ if !api.raw_api => Answer::error(ErrorCode::ConfigRawDisable),
        "reload" | "upgrade" if !api.allow_reload => Answer::error(ErrorCode::ConfigRawDisable),
        "reload" => reload(call),
        "upgrade" => upgrade(call),
        "reload-fetch" => fetch(call),
        TRACE => trace_client(call),
        _ => Answer::error(ErrorCode::ConfigRaw),
    }
}

fn about(api: &HttpApi) -> Answer {
    Answer::json(&Raw {
        code: 0,
        http_api: Api {
            enabled: api.enabled,
            listen: api.listen.first(),
            crossdomain: api.crossdomain,
            raw_api: RawApi {
                enabled: api.raw_api,
                allow_reload: api.allow_reload,
                allow_query: false,
                allow_update: false,
            },
        },
    })
}

/// Answers before the reload, which may take the API's own port away.
fn reload(call: &Call<'_>) -> Answer {
    log::info!("reload, ordered by the API");
    match call.server.workers.reload_all() {
        Ok(true) => return Answer::code(0),
        Ok(false) => {}
        Err(error) => {
            log::error!("{error}");
            return Answer::error(error.code());
        }
    }
    let server = call.server.clone();
    coroutine::spawn("reload", move || {
        if let Err(error) = server.reload() {
            log::error!("reload failed, the old configuration stays: {error}");
        }
    });
    Answer::code(0)
}

/// Beyond SRS: a new program takes over, as at SIGUSR2. How that goes is told by the log, and by the `pid` of later answers.
fn upgrade(call: &Call<'_>) -> Answer {
    log::info!("hand-over, ordered by the API");
    match call.server.workers.hand_over_all() {
        Ok(()) => Answer::code(0),
        Err(error) => {
            log::error!("{error}");
            Answer::error(error.code())
        }
    }
}

/// `cid` is the client, `on` 1 or 0; without them it only tells whose lines are all logged. The end of the client ends it.
fn trace_client(call: &Call<'_>) -> Answer {
    let (id, order) = (call.query("cid"), call.query("on"));
    let client = ContextId::parse(&id).and_then(|id| call.server.clients.get(id));
    match (client, order.as_str()) {
        (None, "") if id.is_empty() => {}
        (None, "0" | "1") => return Answer::error(ErrorCode::ClientNotFound),
        (Some(client), "1") => {
            if !trace::trace(client.id) {
                log::warn!("client {id} is not traced: {} others are", trace::TRACED_MAX);
                return Answer::error(ErrorCode::ConfigRawParams);
            }
            log::info!("client {id} is traced, ordered by the API");
        }
        (Some(client), "0") => {
            trace::untrace(client.id);
            log::info!("client {id} is traced no more");
        }
        _ => return Answer::error(ErrorCode::ConfigRawParams),
    }
    Answer::json(&Traced {
        code: 0,
        traced: trace::traced().iter().map(ContextId::to_string).collect(),
    })
}

fn fetch(call: &Call<'_>) -> Answer {
    let reloads = &call.server.stat.reloads;
    let (time_ms, took) = reloads.times();
    let (changes, left_out) = reloads.changes();
    let data = Reload {
        err: reloads.code(),
        msg: reloads.message(),
        state: reloads.state() as u8,
        rid: reloads.id(),
        time_ms,
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        changes: changes.into_iter().map(Changed::from).collect(),
        left_out,
    };
    Answer::json(&Reloaded {
        code: 0,
        payload: Data { data },
    })
}
