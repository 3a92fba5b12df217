//! Clients, and how to get rid of one.

use std::net::IpAddr;

use serde::Serialize;

use super::json::Nothing;
use super::vhosts::Kbps;
use super::{Answer, Call};
use crate::app::stat::Client;
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::request::Method;
use crate::protocol::http::status::Status;

/// The answer about a client that cannot be cut off from outside.
const NOT_KICKABLE: u16 = 400;

#[derive(Serialize)]
struct ClientEntry<'a> {
    id: &'a str,
    vhost: &'a str,
    stream: &'a str,
    ip: IpAddr,
    #[serde(rename = "pageUrl")]
    page_url: &'a str,
    #[serde(rename = "swfUrl")]
    swf_url: &'a str,
    #[serde(rename = "tcUrl")]
    tc_url: &'a str,
    url: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    publish: bool,
    alive: f64,
    send_bytes: u64,
    recv_bytes: u64,
    kbps: Kbps,
}

impl<'a> ClientEntry<'a> {
    fn of(client: &'a Client) -> Self {
        ClientEntry {
            id: &client.id,
            vhost: &client.stream.vhost.id,
            stream: &client.stream.id,
            ip: client.ip.to_canonical(),
            page_url: &client.page_url,
            swf_url: &client.swf_url,
            tc_url: &client.tc_url,
            url: &client.stream.url,
            name: &client.name,
            kind: client.kind.name(),
            publish: client.kind.is_publish(),
            alive: client.alive().as_secs_f64(),
            send_bytes: client.traffic.sent(),
            recv_bytes: client.traffic.received(),
            kbps: Kbps::of(&client.traffic),
        }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    clients: Vec<ClientEntry<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    client: ClientEntry<'a>,
}

/// `/api/v1/clients/` and `/api/v1/clients/ID`.
pub fn answer(call: &Call<'_>) -> Answer {
    match call.method {
        Method::Get => get(call),
        Method::Delete => kick(call),
        _ => Answer::Status(Status::METHOD_NOT_ALLOWED),
    }
}

fn get(call: &Call<'_>) -> Answer {
    let stat = &call.server.stat;
    if call.id.is_empty() {
        let (start, count) = call.page();
        let clients = stat.clients(start, count);
        return call.ok(Page {
            clients: clients.iter().map(|client| ClientEntry::of(client)).collect(),
        });
    }
    match stat.client(call.id) {
        Some(client) => call.ok(One {
            client: ClientEntry::of(&client),
        }),
        None => Answer::error(ErrorCode::ClientNotFound),
    }
}

fn kick(call: &Call<'_>) -> Answer {
    let Some(client) = call.server.stat.client(call.id) else {
        return Answer::error(ErrorCode::ClientNotFound);
    };
    if !client.kick() {
        return Answer::code(NOT_KICKABLE);
    }
    log::warn!("client {} is kicked off by the API", client.id);
    call.ok(Nothing {})
}
