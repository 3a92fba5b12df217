//! Metrics of edges and of the registry, where there are any.

use super::text::{Kind, Page};
use crate::app::server::Server;

/// Writes them.
pub fn write(page: &mut Page, server: &Server) {
    let config = server.config();
    if config.vhosts().iter().any(|vhost| vhost.cluster.is_remote) {
        edge(page, server);
    }
    if config.registry.enabled {
        registry(page, server);
    }
}

fn edge(page: &mut Page, server: &Server) {
    let (edges, tally) = (&server.edges, &server.edges.tally);
    for (name, kind, about, value) in [
        (
            "srs_edge_pulls",
            Kind::Gauge,
            "Streams that are played from origins.",
            edges.pull_count() as u64,
        ),
        (
            "srs_edge_pulls_total",
            Kind::Counter,
            "Connections that played from an origin.",
            tally.pulls.get(),
        ),
        (
            "srs_edge_pull_failures_total",
            Kind::Counter,
            "Attempts and connections to play from an origin that failed.",
            tally.pull_failures.get(),
        ),
        (
            "srs_edge_pull_bytes_total",
            Kind::Counter,
            "Bytes from origins.",
            tally.pull_bytes.get(),
        ),
        (
            "srs_edge_pushes",
            Kind::Gauge,
            "Streams that are published at origins.",
            edges.push_count() as u64,
        ),
        (
            "srs_edge_pushes_total",
            Kind::Counter,
            "Connections that published at an origin.",
            tally.pushes.get(),
        ),
        (
            "srs_edge_push_failures_total",
            Kind::Counter,
            "Publishers that no origin took, or that one dropped.",
            tally.push_failures.get(),
        ),
        (
            "srs_edge_push_bytes_total",
            Kind::Counter,
            "Bytes to origins.",
            tally.push_bytes.get(),
        ),
    ] {
        page.metric(name, kind, about, &[], value);
    }
}

fn registry(page: &mut Page, server: &Server) {
    let registry = &server.edges.registry;
    for (name, kind, about, value) in [
        (
            "srs_registry_connected",
            Kind::Gauge,
            "Whether Redis can be asked.",
            u64::from(registry.is_connected()),
        ),
        (
            "srs_registry_streams",
            Kind::Gauge,
            "Streams that this origin keeps registered.",
            registry.stream_count() as u64,
        ),
        (
            "srs_registry_failures_total",
            Kind::Counter,
            "How often Redis was away, slow, or refused.",
            registry.counts.failures.get(),
        ),
        (
            "srs_registry_refused_total",
            Kind::Counter,
            "Publishers that were refused because another origin has their stream.",
            registry.counts.refused.get(),
        ),
    ] {
        page.metric(name, kind, about, &[], value);
    }
}
