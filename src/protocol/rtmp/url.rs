//! From `tcUrl` and stream name to vhost, app, stream and parameters, and back to URLs for other servers.
//!
//! Clients split one URL in different ways and put the vhost in different places; the rules here are those that users
//! of SRS rely on. Percent escapes stay as they are.
//!
//! Every name comes from a peer and may hold anything but blanks, tabs and line ends: quotes, `$()`, `..`, control
//! characters. Parameters may hold those too. Whoever prints them, or makes file names or commands of them, escapes
//! or refuses them there.
//!
//! A `/` in parameters is taken for the start of the stream name, as the old form `rtmp://h/app?vhost=v/stream` wants
//! it. So a token with slashes must come with `%2F`.

use std::net::IpAddr;

use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The vhost that takes what no other is configured for.
pub const DEFAULT_VHOST: &str = "__defaultVhost__";
/// The app of a URL that has none.
pub const DEFAULT_APP: &str = "__defaultApp__";
/// The port that RTMP URLs leave out.
pub const RTMP_PORT: u16 = 1935;

/// What FMLE puts after the app where it has no instance.
const DEFAULT_INSTANCE: &str = "/_definst_";
/// What stands for `?vhost=` in the URLs of clients that take no `?`.
const VHOST_MARK: &str = "...vhost...";

/// A stream's address, as one client gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamUrl {
    /// Such as `rtmp`.
    pub schema: String,
    /// The host name or address, IPv6 without brackets.
    pub host: String,
    /// The TCP port, from 1.
    pub port: u16,
    /// The vhost that the client asks for; the caller looks it up, and puts the one it found here.
    pub vhost: String,
    /// The app; may hold `/` inside.
    pub app: String,
    /// The stream name; empty after `connect`.
    pub stream: String,
    /// `?query` and `#fragment` for the hooks, or nothing. No part of the stream's identity.
    pub param: String,
    /// The `tcUrl` of the client, as it was sent.
    pub tc_url: String,
}

impl StreamUrl {
    /// The address that the `tcUrl` of a `connect` tells; its stream is empty.
    ///
    /// # Errors
    /// [`ErrorCode::RtmpTcUrl`] if schema, vhost or app are missing, or the port is 0 or no port.
    pub fn connect(tc_url: &str) -> Result<Self> {
        Self::discover(tc_url, "", None)?.checked()
    }

    /// The address of the stream that a client of this `connect` plays or publishes.
    ///
    /// `name` may bring parameters (`s?token=t`). The vhost found at `connect` stays, unless they name another.
    ///
    /// # Errors
    /// Those of [`StreamUrl::connect`], and [`ErrorCode::StreamNameEmpty`] if no part of the URL names a stream.
    pub fn with_stream(&self, name: &str) -> Result<Self> {
        Self::of_stream(&self.tc_url, name, Some(&self.vhost))
    }

    /// The address of a stream from its `tcUrl` and name, at once.
    ///
    /// # Errors
    /// Those of [`StreamUrl::with_stream`].
    pub fn parse(tc_url: &str, name: &str) -> Result<Self> {
        Self::of_stream(tc_url, name, None)
    }

    /// The address of a stream from a whole URL, such as a forward destination or the URL of a WebRTC client.
    ///
    /// # Errors
    /// Those of [`StreamUrl::with_stream`].
    pub fn parse_whole(url: &str) -> Result<Self> {
        let (tc_url, name) = url.rsplit_once('/').unwrap_or((url, ""));
        Self::of_stream(tc_url, name, None)
    }

    fn of_stream(tc_url: &str, name: &str, known_vhost: Option<&str>) -> Result<Self> {
        let mut url = Self::discover(tc_url, name, known_vhost)?;
        if url.stream.is_empty() {
            url.guess_stream();
        }
        let url = url.checked()?;
        if url.stream.is_empty() {
            return Err(Error::new(
                ErrorCode::StreamNameEmpty,
                format!("no stream name in tcUrl {} and name {}", shown(tc_url), shown(name)),
            ));
        }
        Ok(url)
    }

    /// Takes the URL apart; nothing is stripped or checked yet.
    fn discover(tc_url: &str, name: &str, known_vhost: Option<&str>) -> Result<Self> {
        let slash = if name.starts_with('/') { "" } else { "/" };
        let whole = format!("{tc_url}{slash}{name}").replace(VHOST_MARK, "?vhost=");
        let whole = query_to_end(whole).replace(DEFAULT_INSTANCE, "");
        let parts = Parts::of(&whole).map_err(|fault| {
            let message = format!("{fault} in tcUrl {}", shown(tc_url));
            Error::new(ErrorCode::RtmpTcUrl, message)
        })?;

        let (app, stream) = parts.path.rsplit_once('/').unwrap_or(("", parts.path));
        let app = app.strip_prefix('/').unwrap_or(app);
        let asked = query_value(parts.query, "vhost")
            .filter(|vhost| !vhost.is_empty())
            .or_else(|| query_value(parts.query, "domain"))
            .unwrap_or_default();
        let vhost = match asked {
            "" | DEFAULT_VHOST => known_vhost.filter(|known| !known.is_empty()).unwrap_or(parts.host),
            asked => asked,
        };
        let mut param = String::new();
        // A query that only asks for the default vhost is what some clients add to every URL.
        if asked != DEFAULT_VHOST || parts.query.contains('&') {
            push_part(&mut param, '?', parts.query);
            push_part(&mut param, '#', parts.fragment);
        }
        Ok(StreamUrl {
            schema: parts.schema.to_owned(),
            host: parts.host.to_owned(),
            port: parts.port,
            vhost: vhost.to_owned(),
            app: if app.is_empty() { DEFAULT_APP } else { app }.to_owned(),
            stream: stream.to_owned(),
            param,
            tc_url: tc_url.to_owned(),
        })
    }

    /// Looks for the stream's name in the app, else in the parameters: some clients send it all as `tcUrl`.
    fn guess_stream(&mut self) {
        if let Some((app, stream)) = self.app.split_once('/') {
            (self.app, self.stream) = (app.to_owned(), stream.to_owned());
        } else if let Some((param, stream)) = self.param.split_once('/') {
            (self.param, self.stream) = (param.to_owned(), stream.to_owned());
        }
    }

    /// Strips what no name may hold, and sees that nothing is missing.
    fn checked(mut self) -> Result<Self> {
        for name in [&mut self.host, &mut self.vhost] {
            name.retain(|letter| letter != '/' && !is_stripped(letter));
        }
        for name in [&mut self.app, &mut self.stream] {
            name.retain(|letter| !is_stripped(letter));
            let trimmed = name.trim_matches('/');
            if trimmed.len() < name.len() {
                *name = trimmed.to_owned();
            }
        }
        for (field, value) in [("vhost", &self.vhost), ("app", &self.app)] {
            if value.is_empty() {
                return Err(Error::new(
                    ErrorCode::RtmpTcUrl,
                    format!("empty {field} in tcUrl {}", shown(&self.tc_url)),
                ));
            }
        }
        Ok(self)
    }

    /// The key of the stream, for sources, statistics and hooks: `vhost/app/stream`, where the default vhost is left
    /// out and the stream loses its extension.
    pub fn stream_url(&self) -> String {
        let vhost = if self.vhost == DEFAULT_VHOST { "" } else { &self.vhost };
        let stem = match self.stream.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => &self.stream,
        };
        format!("{vhost}/{}/{stem}", self.app)
    }

    /// The URL of this stream at another server, for edge, forward and redirect.
    ///
    /// It tells the vhost in its query, unless the parameters do already: the one set here, or for the default vhost
    /// the client's host, if that is a name.
    pub fn relay_url(&self, server: &str, port: u16) -> String {
        let mut query = self.param.trim_start_matches(['?', '&']).to_owned();
        let vhost = match self.vhost.as_str() {
            DEFAULT_VHOST if self.host.parse::<IpAddr>().is_ok() => "",
            DEFAULT_VHOST => &self.host,
            vhost => vhost,
        };
        if !vhost.is_empty() && !query.contains("vhost=") {
            // The fragment, which would swallow the vhost, stays last.
            let end = query.find('#').unwrap_or(query.len());
            let separator = if end == 0 { "" } else { "&" };
            query.insert_str(end, &format!("{separator}vhost={vhost}"));
        }
        let mark = query_mark(&query);
        format!(
            "rtmp://{}:{port}/{}/{}{mark}{query}",
            bracketed(server),
            self.app,
            self.stream
        )
    }

    /// The `tcUrl` that our client sends to the server of this address: it names the vhost in place of the host, and
    /// has no parameters, which go with the stream.
    pub fn outgoing_tc_url(&self) -> String {
        let vhost = match self.vhost.as_str() {
            DEFAULT_VHOST if !self.host.is_empty() => &self.host,
            vhost => vhost,
        };
        let port = if self.port == RTMP_PORT {
            String::new()
        } else {
            format!(":{}", self.port)
        };
        format!("{}://{}{port}/{}", self.schema, bracketed(vhost), self.app)
    }

    /// The stream name that our client sends to the server of this address: with the parameters, but without the
    /// vhost, which `tcUrl` tells.
    pub fn outgoing_stream(&self) -> String {
        let query = self.param.trim_start_matches(['?', '&']);
        let items: Vec<&str> = query.split('&').filter(|item| !item.starts_with("vhost=")).collect();
        let query = items.join("&");
        format!("{}{}{query}", self.stream, query_mark(&query))
    }

    /// The URL at which a program on this machine plays the stream, given the server's own RTMP port.
    pub fn loopback_url(&self, port: u16) -> String {
        format!(
            "rtmp://127.0.0.1:{port}/{}?vhost={}/{}{}",
            self.app, self.vhost, self.stream, self.param
        )
    }
}

/// The keys and values of a query, without its `?`.
///
/// `=`, `,`, `&`, `&&` and `;` all separate; every first piece is a key, every second one its value. So a key without
/// `=` takes the next key for its value, as it does in SRS.
pub fn query_items(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Some(query);
    let mut piece = move || {
        let text = rest?;
        let Some(at) = text.find(['=', ',', '&', ';']) else {
            return rest.take();
        };
        let tail = &text[at..];
        rest = Some(tail.strip_prefix("&&").unwrap_or(&tail[1..]));
        Some(&text[..at])
    };
    std::iter::from_fn(move || Some((piece()?, piece().unwrap_or_default())))
}

/// The value of `key` in a query without its `?`; the last one, if there are several. See [`query_items`].
pub fn query_value<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    query_items(query)
        .filter(|(name, _)| *name == key)
        .last()
        .map(|(_, value)| value)
}

/// A URL's parts, borrowed; the path begins with `/` or is empty.
struct Parts<'a> {
    schema: &'a str,
    host: &'a str,
    port: u16,
    path: &'a str,
    query: &'a str,
    fragment: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes a URL apart, or says what is wrong with it.
    fn of(url: &'a str) -> Result<Self, &'static str> {
        let (schema, rest) = url.split_once("://").ok_or("no schema")?;
        let is_schema_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !schema.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
            || !schema.bytes().all(is_schema_letter)
        {
            return Err("no schema");
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, port) = Self::host_and_port(authority)?;
        Ok(Parts {
            schema,
            host,
            port: port.unwrap_or_else(|| default_port(schema)),
            path,
            query,
            fragment,
        })
    }

    fn host_and_port(authority: &'a str) -> Result<(&'a str, Option<u16>), &'static str> {
        let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        let (host, port) = match address.strip_prefix('[') {
            Some(inside) => inside.split_once(']').ok_or("no ] after the IPv6 address")?,
            None => address.split_at(address.find(':').unwrap_or(address.len())),
        };
        if host.is_empty() {
            return Err("no host");
        }
        let port = match port.strip_prefix(':') {
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                let port = digits.parse().ok().filter(|&port| port != 0);
                Some(port.ok_or("a port beyond 1 to 65535")?)
            }
            None if port.is_empty() => None,
            _ => return Err("no number for a port"),
        };
        Ok((host, port))
    }
}

fn default_port(schema: &str) -> u16 {
    match schema.to_ascii_lowercase().as_str() {
        "rtmp" => RTMP_PORT,
        "rtmps" | "https" => 443,
        _ => 80,
    }
}

/// Moves a query that stands before the last `/` behind the stream: `h/app?k=v/s` becomes `h/app/s?k=v`.
///
/// If the stream has a query of its own, both become one, the stream's last, so that its values win. (SRS leaves the
/// second `?` there, and the value before it swallows the key behind it.)
fn query_to_end(url: String) -> String {
    let (query, slash) = match (url.find(['?', '#']), url.rfind('/')) {
        (Some(query), Some(slash)) if query < slash => (query, slash),
        _ => return url,
    };
    let (app, moved, stream) = (&url[..query], &url[query..slash], &url[slash..]);
    match stream.split_once('?') {
        Some((name, "")) => format!("{app}{name}{moved}"),
        Some((name, own)) if moved.starts_with('?') && !name.contains('#') => format!("{app}{name}{moved}&{own}"),
        _ => format!("{app}{stream}{moved}"),
    }
}

fn is_stripped(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}

fn push_part(text: &mut String, mark: char, part: &str) {
    if !part.is_empty() {
        text.push(mark);
        text.push_str(part);
    }
}

/// What goes before a query that comes without its `?`; a fragment alone needs none.
fn query_mark(query: &str) -> &'static str {
    if query.is_empty() || query.starts_with('#') {
        ""
    } else {
        "?"
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// A peer's text for an error message: escaped, and no longer than a log line can hold.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(200).collect();
    format!("{start:?}")
}

#[cfg(test)]
mod tests;
