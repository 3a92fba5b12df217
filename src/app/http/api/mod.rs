//! The HTTP API: a table of endpoints, each a function from a call to an answer, a file for each family.

pub mod auth;
mod clients;
mod clusters;
mod configs;
mod coroutines;
mod dvr;
mod index;
pub mod json;
mod node;
mod raw;
mod streams;
pub mod summaries;
mod trial;
mod vhosts;

use std::rc::Rc;

use serde::Serialize;

use self::json::{Bare, Envelope};
use super::exchange::Exchange;
use super::router::{Handler, Router, Served, redirect_to_folder};
use crate::app::config::section::http_api::HttpApi;
use crate::app::exporter;
use crate::app::server::Server;
use crate::app::workers::whole::{self, Merge};
use crate::core::limits::{API_PAGE_ITEMS, API_PAGE_ITEMS_MIN};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::http::request::{Method, Request};
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// Answers one kind of call.
type Endpoint = fn(&Call<'_>) -> Answer;

/// All endpoints by path; one that ends in `/` answers for everything below that no other path covers.
const ENDPOINTS: &[(&str, Endpoint)] = &[
    ("/", index::root),
    ("/api/", index::api),
    ("/api/v1/", index::v1),
    ("/api/v1/versions", node::versions),
    ("/api/v1/summaries", summaries::answer),
    ("/api/v1/rusages", node::rusages),
    ("/api/v1/self_proc_stats", node::self_proc_stats),
    ("/api/v1/system_proc_stats", node::system_proc_stats),
    ("/api/v1/meminfos", node::meminfos),
    ("/api/v1/authors", node::authors),
    ("/api/v1/features", node::features),
    ("/api/v1/requests", trial::requests),
    ("/api/v1/vhosts/", vhosts::answer),
    ("/api/v1/streams/", streams::answer),
    ("/api/v1/clients/", clients::answer),
    ("/api/v1/raw", raw::answer),
    ("/api/v1/configs", configs::answer),
    ("/api/v1/coroutines", coroutines::answer),
    ("/api/v1/clusters", clusters::answer),
    ("/api/v1/tests/requests", trial::requests),
    ("/api/v1/tests/errors", trial::errors),
    ("/api/v1/tests/redirects", trial::redirects),
    (exporter::PATH, metrics),
    // These answer the same while WebRTC is off.
    ("/rtc/v1/play/", |_| Answer::code(RTC_FAILED)),
    ("/rtc/v1/publish/", |_| Answer::code(RTC_FAILED)),
];

/// What WebRTC's signalling answers to everything that it cannot do.
const RTC_FAILED: u16 = 400;

/// Which port the API is served at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// Its own: everything is the API's.
    Own,
    /// That of media and files, which keep what is not the API's.
    Shared,
    /// That of media and files while the API has its own or is off: the version is told all the same.
    Media,
}

/// Serves the API before everything else.
pub fn mount(router: &mut Router, port: Port) {
    router.add_first(Rc::new(Api { port }));
}

/// Warns about an API that others could use.
pub fn warn_if_open(api: &HttpApi) {
    let addresses = api.listen.addresses().unwrap_or_default();
    let open = addresses.into_iter().find(|address| !address.ip().is_loopback());
    match (&api.auth, open) {
        (None, Some(address)) => log::warn!(
            "http_api listens at {address} without http_api.auth: whoever reaches it reads the statistics and cuts \
             clients off"
        ),
        (Some(wanted), _) if wanted.username.is_empty() || wanted.password.is_empty() => {
            log::warn!("http_api.auth is enabled without username and password: nobody can use the API")
        }
        _ => {}
    }
}

struct Api {
    port: Port,
}

impl Handler for Api {
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served> {
        let (known, endpoint, id) = match self.find(&exchange.request.path) {
            Found::Endpoint(known, endpoint, rest) => (known, endpoint, rest.to_owned()),
            Found::Folder => {
                exchange.close_afterwards();
                redirect_to_folder(exchange)?;
                return Ok(Served::Yes);
            }
            Found::Nothing => return Ok(Served::Pass),
        };
        let function = jsonp_function(&exchange.request)?;
        let method = method(&exchange.request, function.is_some());
        let call = Call {
            server: exchange.server,
            request: &exchange.request,
            method,
            id: &id,
            is_part: exchange.server.workers.are_several(),
        };
        let answer = endpoint(&call);
        let function = function.filter(|_| !exchange.for_worker);
        let answer = match exchange.server.workers.are_several() && !exchange.for_worker {
            true => whole(&call, known, answer),
            false => answer,
        };
        // As in SRS, whose clients may wait for the end.
        exchange.close_afterwards();
        reply(exchange, answer, function)?;
        Ok(Served::Yes)
    }
}

enum Found<'p> {
    /// The one of this path, for what stands behind it.
    Endpoint(&'static str, Endpoint, &'p str),
    /// The path with a `/` behind it is one.
    Folder,
    Nothing,
}

impl Api {
    fn find<'p>(&self, path: &'p str) -> Found<'p> {
        let mut best: Option<(&'static str, Endpoint)> = None;
        for &(known, endpoint) in ENDPOINTS.iter().filter(|(known, _)| self.serves(known)) {
            if known
                .strip_suffix('/')
                .is_some_and(|folder| folder == path && !path.is_empty())
            {
                return Found::Folder;
            }
            let fits = path == known || (known.ends_with('/') && path.starts_with(known));
            if fits && best.is_none_or(|(other, _)| known.len() > other.len()) {
                best = Some((known, endpoint));
            }
        }
        match best {
            Some((known, endpoint)) => Found::Endpoint(known, endpoint, path.strip_prefix(known).unwrap_or_default()),
            None => Found::Nothing,
        }
    }

    fn serves(&self, path: &str) -> bool {
        match self.port {
            Port::Own => true,
            Port::Shared => path != "/",
            Port::Media => path == "/api/v1/versions",
        }
    }
}

/// One call of the API.
struct Call<'c> {
    server: &'c Rc<Server>,
    request: &'c Request,
    method: Method,
    /// What stands behind the endpoint's path.
    id: &'c str,
    /// The answer is one of several that become one.
    is_part: bool,
}

impl Call<'_> {
    fn query(&self, name: &str) -> String {
        self.request.query.get(name).unwrap_or_default()
    }

    /// The part of a list that this process is to tell: how many to leave out, and how many to give.
    fn page(&self) -> (usize, usize) {
        let (start, count) = self.asked_page();
        match self.is_part {
            true => (0, start.saturating_add(count)),
            false => (start, count),
        }
    }

    /// The part of the whole list that is asked for.
    fn asked_page(&self) -> (usize, usize) {
        // What a machine word cannot hold is behind the end of every list.
        let number = |name| {
            let asked = self.query(name).parse::<u64>().unwrap_or(0);
            usize::try_from(asked).unwrap_or(usize::MAX)
        };
        let count = number("count").clamp(API_PAGE_ITEMS_MIN, API_PAGE_ITEMS);
        (number("start"), count)
    }

    /// An answer with the ids of this server and a payload.
    fn ok(&self, payload: impl Serialize) -> Answer {
        let identity = &self.server.identity;
        let pid = self.server.workers.server_pid().to_string();
        Answer::json(&Envelope {
            code: 0,
            server: &identity.server,
            service: &identity.service,
            pid: &pid,
            payload,
        })
    }
}

/// How the answers of several workers become one.
fn merged_as(known: &str, id: &str, order: &str) -> Merge {
    match known {
        // One of them has the client.
        "/api/v1/raw" if order == raw::TRACE => Merge::Sum,
        "/api/v1/streams/" if id.ends_with("/dvr") => Merge::First,
        "/api/v1/vhosts/" | "/api/v1/streams/" | "/api/v1/summaries" | exporter::PATH => Merge::Sum,
        "/api/v1/clients/" if id.is_empty() => Merge::Sum,
        "/api/v1/coroutines" => Merge::Sum,
        "/api/v1/clients/" => Merge::First,
        _ => Merge::Own,
    }
}

/// The answer of the whole server, of which `own` is this worker's part. Yields.
fn whole(call: &Call<'_>, known: &str, own: Answer) -> Answer {
    let how = merged_as(known, call.id, &call.query("rpc"));
    let (is_page, own) = match own {
        Answer::Json(bytes) if how != Merge::Own => (false, bytes),
        Answer::Metrics(bytes) => (true, bytes),
        other => return other,
    };
    let (start, count) = call.asked_page();
    let mut answers = vec![own];
    let mut target = format!("{}?start=0&count={}", call.request.path, start.saturating_add(count));
    for name in ["rpc", "cid", "on"] {
        let value = call.query(name);
        // Others mean nothing to those who get them, and what these are made of needs no escapes.
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            target += &format!("&{name}={value}");
        }
    }
    answers.extend(whole::ask_others(&call.server.workers, call.method.name(), &target));
    if is_page {
        return Answer::Metrics(whole::merge_metrics(&answers));
    }
    let Some(mut merged) = whole::merge(how, &answers) else {
        return Answer::Status(Status::INTERNAL_SERVER_ERROR);
    };
    let lists = merged
        .as_object_mut()
        .into_iter()
        .flat_map(|members| members.values_mut());
    for list in lists
        .filter_map(serde_json::Value::as_array_mut)
        .filter(|_| !matches!(known, "/api/v1/vhosts/" | "/api/v1/raw"))
    {
        list.sort_by(|one, other| one["id"].as_str().cmp(&other["id"].as_str()));
        list.truncate(start.saturating_add(count));
        list.drain(..start.min(list.len()));
    }
    Answer::json(&merged)
}

/// `/metrics`.
fn metrics(call: &Call<'_>) -> Answer {
    match call.server.exporter.is_enabled() {
        true => Answer::Metrics(exporter::page(call.server)),
        false => Answer::error(ErrorCode::ExporterDisable),
    }
}

/// What an endpoint answers.
#[derive(Debug)]
enum Answer {
    /// A JSON text, with status 200 also for errors of the API.
    Json(Vec<u8>),
    /// A page of metrics.
    Metrics(Vec<u8>),
    /// Plain text.
    Text(Vec<u8>),
    /// A status with its phrase as the body.
    Status(Status),
    /// Another path, for good.
    Moved(&'static str),
}

impl Answer {
    fn json(value: &impl Serialize) -> Self {
        match json::to_bytes(value) {
            Ok(bytes) => Answer::Json(bytes),
            Err(error) => {
                log::error!("API answer cannot be written: {error}");
                Answer::Status(Status::INTERNAL_SERVER_ERROR)
            }
        }
    }

    fn code(code: u16) -> Self {
        Answer::json(&Bare { code })
    }

    fn error(code: ErrorCode) -> Self {
        Answer::code(code.number())
    }
}

/// The function that the answer is to be an argument of; none for plain JSON.
///
/// # Errors
/// A name that might be more than a name; the connection is closed without an answer then.
fn jsonp_function(request: &Request) -> Result<Option<String>> {
    let Some(name) = request.query.get("callback").filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    if json::is_function_name(&name) {
        return Ok(Some(name));
    }
    let message = format!("JSONP callback {} is no name", printable(&name));
    Err(Error::new(ErrorCode::HttpJsonp, message))
}

/// A page that uses JSONP can only send GET, so it may tell another method in the query.
fn method(request: &Request, is_jsonp: bool) -> Method {
    match request.query.get("method").as_deref() {
        Some("GET") if is_jsonp => Method::Get,
        Some("PUT") if is_jsonp => Method::Put,
        Some("POST") if is_jsonp => Method::Post,
        Some("DELETE") if is_jsonp => Method::Delete,
        _ if request.method == Method::Head => Method::Get,
        _ => request.method,
    }
}

fn reply(exchange: &mut Exchange<'_, '_>, answer: Answer, function: Option<String>) -> Result<()> {
    match (answer, function) {
        (Answer::Json(body), None) => {
            let head = ResponseHead::new(Status::OK).with("Content-Type", "application/json");
            exchange.reply(head, &body)
        }
        (Answer::Json(body), Some(function)) => {
            let head = ResponseHead::new(Status::OK).with("Content-Type", "text/javascript");
            exchange.reply(head, &[function.as_bytes(), b"(", &body, b")"].concat())
        }
        (Answer::Metrics(body) | Answer::Text(body), _) => {
            let head = ResponseHead::new(Status::OK).with("Content-Type", "text/plain; charset=utf-8");
            exchange.reply(head, &body)
        }
        (Answer::Status(status), _) => exchange.reply_status(status),
        (Answer::Moved(location), _) => {
            let head = ResponseHead::new(Status::MOVED_PERMANENTLY)
                .with("Location", location)
                .with("Content-Type", "text/plain; charset=utf-8");
            exchange.reply(head, format!("Redirect to {location}").as_bytes())
        }
    }
}
