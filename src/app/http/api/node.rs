//! The server itself: version, resources, features.

use serde::Serialize;

use super::json::Data;
use super::{Answer, Call};
use crate::app::cli::{self, VERSION};
use crate::app::config::directive;
use crate::app::stat::host::date;

#[derive(Serialize)]
struct Versions {
    major: u32,
    minor: u32,
    revision: u32,
    version: &'static str,
}

/// `/api/v1/versions`.
pub fn versions(call: &Call<'_>) -> Answer {
    let mut numbers = VERSION.split('.').map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    call.ok(Data {
        data: Versions {
            major: next(),
            minor: next(),
            revision: next(),
            version: VERSION,
        },
    })
}

/// `/api/v1/rusages`.
pub fn rusages(call: &Call<'_>) -> Answer {
    call.ok(Data {
        data: &*call.server.stat.host.rusage(),
    })
}

/// `/api/v1/self_proc_stats`.
pub fn self_proc_stats(call: &Call<'_>) -> Answer {
    call.ok(Data {
        data: &*call.server.stat.host.process_cpu(),
    })
}

/// `/api/v1/system_proc_stats`.
pub fn system_proc_stats(call: &Call<'_>) -> Answer {
    call.ok(Data {
        data: &*call.server.stat.host.machine_cpu(),
    })
}

/// `/api/v1/meminfos`.
pub fn meminfos(call: &Call<'_>) -> Answer {
    call.ok(Data {
        data: &*call.server.stat.host.memory(),
    })
}

#[derive(Serialize)]
struct Authors {
    license: &'static str,
    contributors: &'static str,
}

/// `/api/v1/authors`.
pub fn authors(call: &Call<'_>) -> Answer {
    call.ok(Data {
        data: Authors {
            license: "MIT",
            contributors: "https://github.com/ossrs/srs/blob/develop/trunk/AUTHORS.md",
        },
    })
}

#[derive(Serialize)]
struct Features {
    options: String,
    options2: String,
    build: String,
    build2: String,
    features: Flags,
}

#[derive(Serialize)]
struct Flags {
    ssl: bool,
    hls: bool,
    hds: bool,
    callback: bool,
    api: bool,
    httpd: bool,
    dvr: bool,
    transcode: bool,
    ingest: bool,
    stat: bool,
    caster: bool,
    complex_send: bool,
    tcp_nodelay: bool,
    so_sendbuf: bool,
    mr: bool,
}

/// `/api/v1/features`: what is built in, by the table of directives.
pub fn features(call: &Call<'_>) -> Answer {
    let can = |path: &str| directive::row(path).is_some_and(|row| row.built);
    let built = call.server.stat.host.process.built;
    let options: String = cli::OPTIONAL_PARTS
        .iter()
        .map(|(name, is_on)| format!(" --{name}={}", if *is_on { "on" } else { "off" }))
        .collect();
    call.ok(Data {
        data: Features {
            options: options.trim_start().to_owned(),
            options2: format!("srs-may {}{options}", env!("CARGO_PKG_VERSION")),
            build: date(built),
            build2: built.to_string(),
            features: Flags {
                ssl: cfg!(feature = "tls"),
                hls: can("vhost.hls.enabled"),
                hds: can("vhost.hds.enabled"),
                callback: can("vhost.http_hooks.enabled"),
                api: true,
                httpd: can("http_server.enabled"),
                dvr: can("vhost.dvr.enabled"),
                transcode: can("vhost.transcode.enabled"),
                ingest: can("vhost.ingest.enabled"),
                stat: true,
                caster: can("stream_caster.enabled"),
                complex_send: true,
                tcp_nodelay: true,
                so_sendbuf: false,
                mr: can("vhost.publish.mr"),
            },
        },
    })
}
