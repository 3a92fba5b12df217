//! Which metrics there are: those of SRS in its order, then ours.

use super::text::{Kind, Page};
use super::{Settings, cluster};
use crate::app::access::crowd::Refused;
use crate::app::cli::{SIGNATURE, VERSION};
use crate::app::server::Server;
use crate::app::stat::host::date;
use crate::core::resources::Usage;
use crate::core::{coroutine, machine};
use crate::kernel::log::dropped_lines;

/// Writes all of them.
pub fn write(server: &Server, settings: &Settings) -> Vec<u8> {
    let mut page = Page::default();
    who(&mut page, server, settings);
    load(&mut page, server);
    own(&mut page, server);
    cluster::write(&mut page, server);
    page.into_bytes()
}

fn who(page: &mut Page, server: &Server, settings: &Settings) {
    if let Ok(system) = nix::sys::utsname::uname() {
        let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
        let labels = [
            ("sysname", text(system.sysname())),
            ("nodename", text(system.nodename())),
            ("release", text(system.release())),
            ("version", text(system.version())),
            ("machine", text(system.machine())),
        ];
        let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
        page.metric("srs_node_uname_info", Kind::Gauge, "The machine, by uname.", &labels, 1);
    }
    let process = &server.stat.host.process;
    let (pid, built) = (process.pid.to_string(), date(process.built));
    let major = VERSION.split('.').next().unwrap_or_default();
    let code = SIGNATURE.split(['(', ')']).nth(1).unwrap_or_default();
    let mut labels = vec![
        ("server", server.identity.server.as_str()),
        ("service", server.identity.service.as_str()),
        ("pid", pid.as_str()),
        ("build_date", built.as_str()),
        ("major", major),
        ("version", VERSION),
        ("code", code),
    ];
    let optional = [("label", settings.label.as_str()), ("tag", settings.tag.as_str())];
    labels.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
    page.metric("srs_build_info", Kind::Gauge, "The server.", &labels, 1);
}

fn load(page: &mut Page, server: &Server) {
    let stat = &server.stat;
    let cpu = format!("{:.6}", stat.host.process_cpu().percent * 100.0);
    page.metric(
        "srs_cpu_percent",
        Kind::Gauge,
        "Processor time of the server, 100 is one core.",
        &[],
        cpu,
    );
    let memory = machine::resident_bytes() >> 10;
    page.metric("srs_memory", Kind::Gauge, "Memory of the server, KiB.", &[], memory);
    let total = &stat.total;
    let (sent, received) = (total.sent(), total.received());
    page.metric("srs_send_bytes_total", Kind::Counter, "Bytes to clients.", &[], sent);
    page.metric(
        "srs_receive_bytes_total",
        Kind::Counter,
        "Bytes from clients.",
        &[],
        received,
    );
    let (streams, clients) = (stat.published_streams(), stat.client_count());
    page.metric("srs_streams", Kind::Gauge, "Streams that are published.", &[], streams);
    page.metric(
        "srs_clients",
        Kind::Gauge,
        "Clients that publish or play.",
        &[],
        clients,
    );
    let (entered, failed) = (stat.entered(), stat.failed());
    page.metric(
        "srs_clients_total",
        Kind::Counter,
        "Clients since the start.",
        &[],
        entered,
    );
    page.metric(
        "srs_clients_errs_total",
        Kind::Counter,
        "Clients that ended with an error, a disconnect is one.",
        &[],
        failed,
    );
}

/// What SRS does not tell.
fn own(page: &mut Page, server: &Server) {
    let lag = format!("{:.6}", server.stat.lag().as_secs_f64());
    page.metric(
        "srs_event_loop_lag_seconds",
        Kind::Gauge,
        "How late a coroutine woke at the last sample, every three seconds.",
        &[],
        lag,
    );
    let coroutines = coroutine::live_count();
    page.metric(
        "srs_coroutines",
        Kind::Gauge,
        "Coroutines of the server.",
        &[],
        coroutines,
    );
    let crowd = &server.crowd;
    let refused = crowd.refused(Refused::Connections) + crowd.refused(Refused::Rate);
    page.metric(
        "srs_connections_refused_total",
        Kind::Counter,
        "Connections above the limits of their address.",
        &[],
        refused,
    );
    overload(page, server);
    limits(page, server);
    page.metric(
        "srs_log_lines_lost_total",
        Kind::Counter,
        "Log lines that the disk was too slow for.",
        &[],
        dropped_lines(),
    );
}

fn overload(page: &mut Page, server: &Server) {
    let overload = &server.overload;
    page.metric(
        "srs_circuit_breaker_state",
        Kind::Gauge,
        "How overloaded the server is: 0 not at all, 1 high, 2 critical, 3 dying water.",
        &[],
        overload.water().number(),
    );
    page.metric(
        "srs_overload_refused_total",
        Kind::Counter,
        "Clients refused because the server was overloaded.",
        &[],
        overload.refused(),
    );
}

fn limits(page: &mut Page, server: &Server) {
    let resources = server.limits.resources();
    let used = |usage: Option<Usage>| usage.map(|usage| usage.used);
    let limit = |usage: Option<Usage>| usage.map(|usage| usage.limit);
    for (name, about, value) in [
        (
            "srs_open_files",
            "Descriptors of the server.",
            used(resources.open_files),
        ),
        (
            "srs_open_files_limit",
            "Descriptors that it may have.",
            limit(resources.open_files),
        ),
        (
            "srs_memory_maps",
            "Memory maps of the server.",
            used(resources.memory_maps),
        ),
        (
            "srs_memory_maps_limit",
            "Memory maps that it may have.",
            limit(resources.memory_maps),
        ),
        (
            "srs_memory_limit",
            "Memory that the server may have, KiB.",
            limit(resources.memory).map(|bytes| bytes >> 10),
        ),
    ] {
        if let Some(value) = value {
            page.metric(name, Kind::Gauge, about, &[], value);
        }
    }
}
