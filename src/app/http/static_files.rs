//! Files: the folder behind `/` and those that vhosts mount.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::exchange::Exchange;
use super::router::{Handler, Router, Served, redirect_to_folder};
use super::{flv_seek, hls, tickets};
use crate::app::config::Config;
use crate::core::folder::{self, Entry, OpenFile};
use crate::core::limits::HTTP_PIECE_BYTES;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::http::conditional::Validators;
use crate::protocol::http::range::Range;
use crate::protocol::http::request::Method;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;
use crate::protocol::http::{date, mime};

/// What a folder's own address shows.
const INDEX: &str = "index.html";

/// Adds a route for each folder that the configuration serves.
pub fn mount(config: &Config, router: &mut Router) {
    for vhost in config
        .vhosts()
        .iter()
        .filter(|vhost| vhost.enabled && vhost.http_static.enabled)
    {
        let (host, path) = vhost.http_static.mount.clone();
        let files = StaticFiles {
            mount: path.clone(),
            dir: vhost.http_static.dir.clone(),
        };
        log::info!("http: {} serves {} at {path}", vhost.name, files.dir.display());
        router.add(host, path, Rc::new(files));
    }
    if !router.contains(None, "/") {
        router.add(None, "/", Rc::new(StaticFiles::at_root(root(config))));
    }
}

/// The folder behind `/` of whoever names no other vhost.
pub fn root(config: &Config) -> PathBuf {
    let mut vhosts = config.vhosts().iter().filter(|vhost| vhost.enabled);
    let own = vhosts.find(|vhost| vhost.http_static.enabled && vhost.http_static.mount == (None, "/".to_owned()));
    own.map_or_else(|| config.http_server.dir.clone(), |vhost| vhost.http_static.dir.clone())
}

/// What a request may ask for below the folder `base`, without a slash at the begin: its path as it is, and the files that
/// the served folders have there.
pub fn names_below(config: &Config, vhost: &str, path: &str, base: &Path) -> Vec<String> {
    let plain = |folder: &Path| folder.strip_prefix(".").unwrap_or(folder).to_owned();
    let mut names = vec![path.trim_start_matches('/').to_owned()];
    let mounts = config
        .vhosts()
        .iter()
        .filter(|vhost| vhost.enabled && vhost.http_static.enabled);
    for files in mounts.map(|vhost| &vhost.http_static) {
        let (host, mount) = &files.mount;
        let is_for_it = host.as_deref().is_none_or(|host| host == vhost);
        let Some(rest) = path.strip_prefix(mount.as_str()).filter(|_| is_for_it) else {
            continue;
        };
        let file = plain(&files.dir).join(rest);
        let name = file.strip_prefix(plain(base)).ok().and_then(Path::to_str);
        names.extend(name.map(str::to_owned));
    }
    names
}

/// A folder whose files are served.
pub struct StaticFiles {
    /// The path of the folder in URLs, with a `/` at its end.
    mount: String,
    dir: PathBuf,
}

impl Handler for StaticFiles {
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served> {
        if !matches!(exchange.request.method, Method::Get | Method::Head) {
            refuse_method(exchange)?;
            return Ok(Served::Yes);
        }
        let mut name = exchange
            .request
            .path
            .strip_prefix(&self.mount)
            .unwrap_or_default()
            .to_owned();
        if name.is_empty() || name.ends_with('/') {
            name.push_str(INDEX);
        }
        match folder::open(&self.dir, Path::new(&name)) {
            Ok(Entry::File(file)) => send(exchange, &name, &file)?,
            Ok(Entry::Folder) => redirect_to_folder(exchange)?,
            Err(error) => exchange.reply_status(self.status_of(&error, &name))?,
        }
        Ok(Served::Yes)
    }
}

impl StaticFiles {
    /// Those of a folder that stands behind `/`.
    pub fn at_root(dir: PathBuf) -> Self {
        StaticFiles {
            mount: "/".to_owned(),
            dir,
        }
    }

    fn status_of(&self, error: &io::Error, name: &str) -> Status {
        use io::ErrorKind::*;
        match error.kind() {
            NotFound => Status::NOT_FOUND,
            PermissionDenied => Status::FORBIDDEN,
            _ => {
                log::warn!("{}/{} cannot be opened: {error}", self.dir.display(), printable(name));
                Status::SERVICE_UNAVAILABLE
            }
        }
    }
}

/// Answers a request that is neither GET nor HEAD. Yields.
///
/// # Errors
/// As [`Exchange::reply`].
pub fn refuse_method(exchange: &mut Exchange<'_, '_>) -> Result<()> {
    let status = Status::METHOD_NOT_ALLOWED;
    let head = ResponseHead::new(status)
        .with("Allow", "GET, HEAD")
        .with("Content-Type", "text/plain; charset=utf-8");
    exchange.reply(head, status.reason().as_bytes())
}

fn send(exchange: &mut Exchange<'_, '_>, name: &str, file: &OpenFile) -> Result<()> {
    let extension = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let head = ResponseHead::new(Status::OK).with("Content-Type", mime::of(name));
    if extension == "m3u8" && hls::serve_playlist(exchange, name, file)? {
        return Ok(());
    }
    if tickets::refuse(exchange)? {
        return Ok(());
    }
    if extension == "mpd"
        && tickets::are_needed(exchange)
        && let Some(text) = tickets::in_manifest(exchange, file)?
    {
        return exchange.reply(head.with("Cache-Control", "no-cache"), text.as_bytes());
    }
    if extension == "flv"
        && let Some(start) = start_of(exchange, file.size)
    {
        return send_flv_from(exchange, head, file, start);
    }
    let sent = exchange.stream().sent_bytes();
    send_file(exchange, head, &extension, file)?;
    if matches!(&*extension, "ts" | "m4s") {
        hls::count_segment(exchange, sent);
    }
    Ok(())
}

fn send_file(exchange: &mut Exchange<'_, '_>, mut head: ResponseHead, extension: &str, file: &OpenFile) -> Result<()> {
    match extension {
        // Written anew every few seconds: two states may share a second and a size, so none is called unchanged.
        "m3u8" | "mpd" => head.set("Cache-Control", "no-cache"),
        _ => {
            if matches!(extension, "ts" | "m4s") {
                // A finished segment does not change, but a restarted stream may use its name again.
                head.set("Cache-Control", "max-age=60");
            }
            let validators = Validators::of_file(file.modified.as_nanos(), file.size);
            head.set("ETag", validators.etag.clone());
            head.set("Last-Modified", date::format(validators.modified));
            if validators.not_modified(&exchange.request.headers) {
                head.status = Status::NOT_MODIFIED;
                return exchange.reply(head, b"");
            }
            if validators.range_counts(&exchange.request.headers) {
                return send_range(exchange, head, file, range_of(exchange, extension, file.size));
            }
        }
    }
    send_range(exchange, head, file, Range::Whole)
}

/// Where a player wants to go on in an FLV file; `None` for all of it.
fn start_of(exchange: &Exchange<'_, '_>, size: u64) -> Option<u64> {
    let start: i64 = exchange.request.query.get("start")?.parse().ok()?;
    u64::try_from(start).ok().filter(|start| (1..size).contains(start))
}

/// The part that is asked for; players of MP4 may ask in the query as well.
fn range_of(exchange: &Exchange<'_, '_>, extension: &str, size: u64) -> Range {
    let request = &exchange.request;
    if let Some(field) = request.headers.get("Range") {
        return Range::parse(field, size);
    }
    let by_query = || request.query.get("range").or_else(|| request.query.get("bytes"));
    match by_query().filter(|_| extension == "mp4") {
        Some(span) => Range::parse_span(&span, size),
        None => Range::Whole,
    }
}

fn send_range(exchange: &mut Exchange<'_, '_>, head: ResponseHead, file: &OpenFile, range: Range) -> Result<()> {
    let mut head = head.with("Accept-Ranges", "bytes");
    let size = file.size;
    let (first, length) = match range {
        Range::Whole => (0, size),
        Range::Part { first, last } => {
            head.status = Status::PARTIAL_CONTENT;
            head.set("Content-Range", format!("bytes {first}-{last}/{size}"));
            (first, last - first + 1)
        }
        Range::Unsatisfiable => {
            let status = Status::RANGE_NOT_SATISFIABLE;
            let head = ResponseHead::new(status)
                .with("Content-Range", format!("bytes */{size}"))
                .with("Content-Type", "text/plain; charset=utf-8");
            return exchange.reply(head, status.reason().as_bytes());
        }
    };
    exchange.begin(head, Some(length));
    send_bytes(exchange, file, first, length)?;
    exchange.end()
}

fn send_flv_from(exchange: &mut Exchange<'_, '_>, head: ResponseHead, file: &OpenFile, start: u64) -> Result<()> {
    let preamble = flv_seek::preamble(file)?;
    if preamble.is_empty() {
        return send_range(exchange, head, file, Range::Whole);
    }
    let rest = file.size.saturating_sub(start);
    exchange.begin(head, Some(rest.saturating_add(preamble.len() as u64)));
    exchange.write(&preamble)?;
    send_bytes(exchange, file, start, rest)?;
    exchange.end()
}

/// Sends a part of a file in pieces: the next is read when the peer has taken the one before.
fn send_bytes(exchange: &mut Exchange<'_, '_>, file: &OpenFile, first: u64, length: u64) -> Result<()> {
    if exchange.request.method == Method::Head {
        return Ok(());
    }
    let (mut offset, mut left) = (first, length);
    let mut buffer = Vec::new();
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(HTTP_PIECE_BYTES);
        buffer.resize(wanted, 0);
        let (piece, count) = file
            .read_at(offset, buffer)
            .map_err(|error| Error::io(ErrorCode::FileRead, &error, format!("read file from byte {offset}")))?;
        if count == 0 {
            // The head has promised more; only the connection's end can tell the peer now.
            return Err(Error::new(
                ErrorCode::FileEof,
                format!("file was cut to {offset} bytes while it was sent"),
            ));
        }
        exchange.write(&piece[..count])?;
        buffer = piece;
        offset += count as u64;
        left -= count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{Host, load_text};

    #[test]
    fn served_folders_lead_to_what_is_below_another() {
        let text = "listen 1935; daemon off; http_server { enabled on; dir ./html; }
            vhost a { http_static { enabled on; mount [vhost]/hls; dir ./html/hls; } }
            vhost b { http_static { enabled on; mount /all; dir html; } }";
        let config = load_text(text, Host::TEST).unwrap().config;
        let names = |vhost, path, base| names_below(&config, vhost, path, Path::new(base));
        assert_eq!(names("a", "/live/s.m3u8", "./html"), ["live/s.m3u8"]);
        assert_eq!(names("a", "/hls/live/s.m3u8", "html/hls")[1..], ["live/s.m3u8"]);
        assert_eq!(names("a", "/hls/live/s.m3u8", "./html/")[1..], ["hls/live/s.m3u8"]);
        assert_eq!(names("b", "/hls/live/s.m3u8", "html/hls").len(), 1);
        assert_eq!(names("b", "/all/hls/live/s.m3u8", "./html/hls")[1..], ["live/s.m3u8"]);
        assert_eq!(names("b", "/all/live/s.m3u8", "./html/hls").len(), 1);
    }
}
