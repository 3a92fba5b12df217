//! The indexes: which paths there are.

use serde::Serialize;

use super::{Answer, Call};

#[derive(Serialize)]
struct Urls<T> {
    urls: T,
}

#[derive(Serialize)]
struct Root {
    api: &'static str,
    rtc: Rtc,
}

#[derive(Serialize)]
struct Rtc {
    v1: RtcV1,
}

#[derive(Serialize)]
struct RtcV1 {
    play: &'static str,
    publish: &'static str,
    nack: &'static str,
}

/// `/`, and every path that nothing else covers.
pub fn root(call: &Call<'_>) -> Answer {
    let v1 = RtcV1 {
        play: "play a stream over WebRTC",
        publish: "publish a stream over WebRTC",
        nack: "lose packets on purpose",
    };
    call.ok(Urls {
        urls: Root {
            api: "the API",
            rtc: Rtc { v1 },
        },
    })
}

#[derive(Serialize)]
struct Versions {
    v1: &'static str,
}

/// `/api/`.
pub fn api(call: &Call<'_>) -> Answer {
    call.ok(Urls {
        urls: Versions {
            v1: "version 1.0 of the API",
        },
    })
}

#[derive(Serialize)]
struct V1 {
    urls: Endpoints,
    tests: Trials,
}

#[derive(Serialize)]
struct Endpoints {
    versions: &'static str,
    summaries: &'static str,
    rusages: &'static str,
    self_proc_stats: &'static str,
    system_proc_stats: &'static str,
    meminfos: &'static str,
    authors: &'static str,
    features: &'static str,
    requests: &'static str,
    vhosts: &'static str,
    streams: &'static str,
    clients: &'static str,
    raw: &'static str,
    clusters: &'static str,
    perf: &'static str,
    tcmalloc: &'static str,
}

#[derive(Serialize)]
struct Trials {
    requests: &'static str,
    errors: &'static str,
    redirects: &'static str,
    #[serde(rename = "[vhost]")]
    vhost: &'static str,
}

/// `/api/v1/`, and what is unknown below.
pub fn v1(call: &Call<'_>) -> Answer {
    call.ok(V1 {
        urls: Endpoints {
            versions: "the version of the server",
            summaries: "the server and its machine at a glance: uptime, load, memory, disk, network",
            rusages: "what the process has used (getrusage)",
            self_proc_stats: "the process (/proc/self/stat)",
            system_proc_stats: "the processors of the machine (/proc/stat)",
            meminfos: "the memory of the machine (/proc/meminfo)",
            authors: "the licence and who wrote it",
            features: "what the server can do",
            requests: "the request itself",
            vhosts: "all vhosts, or one by its id",
            streams: "streams, or one by its id; ?start=N&count=N",
            clients: "clients, or one by its id; ?start=N&count=N; DELETE cuts one off",
            raw: "orders: ?rpc=raw, reload, reload-fetch, upgrade, trace",
            clusters: "the origin that has a stream; ?vhost=V&app=A&stream=S",
            perf: "not available",
            tcmalloc: "not available",
        },
        tests: Trials {
            requests: "shows the request",
            errors: "answers with error 100",
            redirects: "redirects to tests/errors",
            vhost: "http://error.srs.com:1985/api/v1/tests/errors",
        },
    })
}
