//! Files of streams whose players need a token: playlists and manifests pass by the player's own, and lead to segments
//! with tickets, since no player repeats its token for each of them.

use super::exchange::Exchange;
use super::live;
use crate::app::access::{self, Visitor};
use crate::app::config::section::security::Action;
use crate::app::hls::uris;
use crate::app::hooks::Subject;
use crate::core::clock;
use crate::core::folder::OpenFile;
use crate::core::limits::HLS_PLAYLIST_BYTES;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::path;
use crate::protocol::http::status::Status;
use crate::protocol::token::ticket::{self, PARAMETER};

/// Files of media by their extensions; fragments of HDS have none. Other files of a site are free.
const MEDIA: [&str; 14] = [
    "ts", "m4s", "mp4", "m4a", "m4v", "aac", "mp3", "flv", "key", "m3u8", "mpd", "f4m", "abst", "f4v",
];
const HDS_FRAGMENT: &str = "Seg1-Frag";
/// A segment is gone long before its ticket ends, seconds.
const SEGMENT_TERM: u64 = 7 * 24 * 3600;
/// A folder's ticket opens what is to come too; the manifest is read again in time. Seconds.
const FOLDER_TERM: u64 = 3600;

/// Whether players of the request's vhost need a token.
pub fn are_needed(exchange: &Exchange<'_, '_>) -> bool {
    let vhost = exchange.vhost.as_ref();
    vhost.is_some_and(|vhost| vhost.token.is_needed(Action::Play))
}

/// Whether the request brings a ticket for its path.
pub fn has_one(exchange: &Exchange<'_, '_>) -> bool {
    let now = clock::unix_time().as_secs();
    let ticket = exchange.request.query.get(PARAMETER);
    let opens = |ticket: String| exchange.server.tickets.open(&ticket, &exchange.request.path, now);
    ticket.is_some_and(opens)
}

/// Whether the request brings a token for the stream that its path names, and its client may play that.
pub fn has_token(exchange: &Exchange<'_, '_>) -> bool {
    let Some(vhost) = &exchange.vhost else { return false };
    let Some(url) = live::url_of_file(vhost, exchange) else {
        return false;
    };
    live::admit(exchange, &live::subject(exchange, vhost, url)).is_ok()
}

/// Refuses a file of media that the client may not have; gives whether it did. Yields.
///
/// # Errors
/// As [`Exchange::reply`].
pub fn refuse(exchange: &mut Exchange<'_, '_>) -> Result<bool> {
    let file = exchange.request.path.rsplit('/').next().unwrap_or_default();
    let extension = file
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_ascii_lowercase();
    let is_media = MEDIA.contains(&extension.as_str()) || file.contains(HDS_FRAGMENT);
    // A ticket would open a playlist for longer than its player's session lives.
    let by_ticket = extension != "m3u8" && has_one(exchange);
    if !are_needed(exchange) || !is_media || by_ticket || has_token(exchange) {
        return Ok(false);
    }
    exchange.reply_status(Status::FORBIDDEN)?;
    Ok(true)
}

/// A playlist of which each URI has its ticket. `begun` is when its player came, Unix time in seconds: tickets stay the
/// same from one reading to the next.
pub fn in_playlist(exchange: &Exchange<'_, '_>, playlist: &str, begun: u64) -> String {
    let until = ticket::end(begun, clock::unix_time().as_secs(), SEGMENT_TERM);
    uris::with_parameter(playlist, |uri| {
        let path = path_of(&exchange.request.path, uri)?;
        Some(parameter(exchange, &path, until))
    })
}

/// The manifest of DASH in a file, with a ticket for the folder of its segments; `None` when it is none that this server
/// has written. Yields.
///
/// # Errors
/// [`ErrorCode::FileRead`].
pub fn in_manifest(exchange: &Exchange<'_, '_>, file: &OpenFile) -> Result<Option<String>> {
    if file.size > HLS_PLAYLIST_BYTES {
        return Ok(None);
    }
    let size = usize::try_from(file.size).unwrap_or(usize::MAX);
    let (mut bytes, count) = file
        .read_at(0, vec![0; size])
        .map_err(|error| Error::io(ErrorCode::FileRead, &error, "read manifest"))?;
    bytes.truncate(count);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let folder = text
        .split_once("<BaseURL>")
        .and_then(|(_, rest)| rest.split_once("</BaseURL>"))
        .and_then(|(folder, _)| path_of(&exchange.request.path, &unescaped(folder)));
    Ok(folder.map(|folder| {
        let until = ticket::end(0, clock::unix_time().as_secs(), FOLDER_TERM);
        let parameter = parameter(exchange, &folder, until);
        // What the templates of our manifests end with; `value` is the file whose answer tells the time.
        text.replace(".m4s\"", &format!(".m4s?{parameter}\""))
            .replace(".mp4\"", &format!(".mp4?{parameter}\""))
    }))
}

fn parameter(exchange: &Exchange<'_, '_>, path: &str, until: u64) -> String {
    format!("{PARAMETER}={}", exchange.server.tickets.issue(path, until))
}

/// The path of a URI that stands in the file at `base`, wherever its server is; `None` when it has none that a request
/// could name.
fn path_of(base: &str, uri: &str) -> Option<String> {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    let raw = match uri.split_once("://") {
        Some((_, rest)) => rest.find('/').map(|at| rest[at..].to_owned())?,
        None if uri.starts_with('/') => uri.to_owned(),
        // The base is decoded already: joined once the URI is too.
        None => {
            let own = path::resolve(&format!("/{uri}")).ok()?;
            let (folder, _) = base.rsplit_once('/')?;
            return Some(format!("{folder}{own}"));
        }
    };
    path::resolve(&raw).ok()
}

/// The text of XML without its escapes, of which our manifests use these.
fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&amp;", "&")
}

/// Who asks for a file.
pub fn visitor<'a>(exchange: &'a Exchange<'_, '_>, subject: &'a Subject) -> Visitor<'a> {
    let field = exchange.request.headers.get("Authorization");
    let bearer = field.and_then(|field| {
        let (scheme, token) = field.split_once(' ')?;
        scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
    });
    Visitor {
        subject,
        action: Action::Play,
        entrance: access::Entrance::Http { bearer },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_become_paths() {
        for (base, uri, expected) in [
            ("/live/s.m3u8", "s-1.ts", Some("/live/s-1.ts")),
            ("/live/s.m3u8", "s-1.ts?hls_ctx=1", Some("/live/s-1.ts")),
            ("/live/s.m3u8", "a/s%201.ts", Some("/live/a/s 1.ts")),
            ("/live/s.m3u8", "/k/1.key", Some("/k/1.key")),
            ("/live/s.m3u8", "https://cdn.example.com/x/s-1.ts", Some("/x/s-1.ts")),
            ("/live/s.m3u8", "https://cdn.example.com", None),
            ("/live/100%.m3u8", "b.ts", Some("/live/b.ts")),
            ("/live/s.m3u8", "../../etc/x.ts", None),
            ("/live/s.mpd", "s/", Some("/live/s/")),
        ] {
            assert_eq!(path_of(base, uri).as_deref(), expected, "{base} {uri}");
        }
    }
}
