//! The pages that come with the program: the console at `/console/` and the player at `/players/`. A folder of that name
//! below `http_server.dir` takes their place.

mod files;
mod policy;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use self::files::{CONSOLE, File, OLD_NAMES, PLAYERS};
use self::policy::Reach;
use super::exchange::Exchange;
use super::router::{Handler, Router, Served, redirect_to_folder};
use super::static_files::{StaticFiles, refuse_method, root};
use crate::app::config::section::http_remux::Mount;
use crate::app::config::{Config, directive};
use crate::core::folder::{self, Entry};
use crate::kernel::error::Result;
use crate::protocol::http::conditional::Validators;
use crate::protocol::http::request::Method;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;
use crate::protocol::http::{date, mime};

/// Serves both pages beside media and files.
pub fn mount(config: &Config, router: &mut Router) {
    for page in [&CONSOLE_PAGE, &PLAYERS_PAGE] {
        router.add(None, page.path, Rc::new(Pages::new(page, root(config))));
    }
}

/// Serves the console on the API's own port, which has no files otherwise; to be called before the API is mounted.
pub fn mount_console(config: &Config, router: &mut Router) {
    router.add_first(Rc::new(Pages::new(&CONSOLE_PAGE, config.http_server.dir.clone())));
}

/// A page and what belongs to it.
struct Page {
    /// Where it is, with a `/` at both ends.
    path: &'static str,
    files: &'static [File],
    reach: Reach,
}

impl Page {
    /// The file that stands at a path below the page's own.
    fn find(&self, name: &str) -> Option<&'static File> {
        let name = match OLD_NAMES.iter().find(|(old, _)| *old == name) {
            Some((_, new)) => new,
            None if name.is_empty() => "index.html",
            None => name,
        };
        self.files.iter().find(|file| file.name == name)
    }
}

const CONSOLE_PAGE: Page = Page {
    path: "/console/",
    files: CONSOLE,
    reach: Reach::OwnHost,
};

const PLAYERS_PAGE: Page = Page {
    path: "/players/",
    files: PLAYERS,
    reach: Reach::AnyMedia,
};

struct Pages {
    page: &'static Page,
    /// The folder that may hold a page of the site's own.
    dir: PathBuf,
    on_disk: StaticFiles,
}

impl Pages {
    fn new(page: &'static Page, dir: PathBuf) -> Self {
        let on_disk = StaticFiles::at_root(dir.clone());
        Pages { page, dir, on_disk }
    }

    /// Yields.
    fn is_on_disk(&self) -> bool {
        let folder = Path::new(self.page.path.trim_matches('/'));
        matches!(folder::open(&self.dir, folder), Ok(Entry::Folder))
    }
}

impl Handler for Pages {
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served> {
        let path = exchange.request.path.clone();
        if Some(path.as_str()) == self.page.path.strip_suffix('/') {
            redirect_to_folder(exchange)?;
            return Ok(Served::Yes);
        }
        let Some(name) = path.strip_prefix(self.page.path) else {
            return Ok(Served::Pass);
        };
        if self.is_on_disk() {
            return self.on_disk.serve(exchange);
        }
        if !matches!(exchange.request.method, Method::Get | Method::Head) {
            refuse_method(exchange)?;
            return Ok(Served::Yes);
        }
        if name == ABILITIES {
            return send_abilities(exchange).map(|()| Served::Yes);
        }
        match self.page.find(name) {
            Some(file) => send(exchange, file, self.page.reach)?,
            None => exchange.reply_status(Status::NOT_FOUND)?,
        }
        Ok(Served::Yes)
    }
}

/// A file that is written when it is asked for: what the server can do, for pages on ports without the API.
const ABILITIES: &str = "abilities.json";

fn send_abilities(exchange: &mut Exchange<'_, '_>) -> Result<()> {
    let can = |path: &str| directive::row(path).is_some_and(|row| row.built);
    let abilities = [
        ("mp4", Mount::new("[vhost]/[app]/[stream].mp4").format().is_ok()),
        ("hls", can("vhost.hls.enabled")),
        ("rtc", can("rtc_server.enabled")),
    ];
    let members: Vec<String> = abilities
        .iter()
        .map(|(name, can)| format!("\"{name}\":{can}"))
        .collect();
    let head = ResponseHead::new(Status::OK)
        .with("Content-Type", "application/json")
        .with("Cache-Control", "no-cache");
    exchange.reply(head, format!("{{{}}}", members.join(",")).as_bytes())
}

fn send(exchange: &mut Exchange<'_, '_>, file: &File, reach: Reach) -> Result<()> {
    let validators = Validators {
        etag: format!("\"{:016x}\"", fingerprint(file.content)),
        modified: exchange.server.stat.host.process.built,
    };
    let content_type = match mime::of(file.name) {
        text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        other => other.to_owned(),
    };
    let mut head = ResponseHead::new(Status::OK)
        .with("Content-Type", content_type)
        // Kept by browsers, but never used unasked: a new program brings new pages.
        .with("Cache-Control", "no-cache")
        .with("Content-Security-Policy", policy::of(reach, &exchange.request.host))
        .with("Referrer-Policy", "no-referrer")
        .with("X-Content-Type-Options", "nosniff")
        .with("ETag", validators.etag.clone())
        .with("Last-Modified", date::format(validators.modified));
    if validators.not_modified(&exchange.request.headers) {
        head.status = Status::NOT_MODIFIED;
        return exchange.reply(head, b"");
    }
    exchange.reply(head, file.content)
}

/// The 64-bit FNV-1a hash: tells two states of a file apart, which is all that an entity tag is for.
fn fingerprint(content: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    content.iter().fold(BASIS, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_fnv_1a() {
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fingerprint(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
