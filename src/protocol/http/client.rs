//! The client's side of one exchange: the address and the request's bytes (RFC 9112 section 3). What comes back is read by
//! [`super::answer`].

use crate::core::limits::HTTP_TARGET_BYTES;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// An absolute `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it asks for TLS.
    pub is_https: bool,
    /// The host name or address, IPv6 without brackets.
    pub host: String,
    /// The TCP port, from 1.
    pub port: u16,
    /// Path and query as given, with a `/` at the front.
    pub target: String,
    authority: String,
}

impl Url {
    /// Reads a URL. A fragment is left out; user and password are refused, since we would not send them.
    ///
    /// # Errors
    /// [`ErrorCode::HttpParseUrl`], which shows the URL.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |cause: &str| Error::new(ErrorCode::HttpParseUrl, format!("URL {}: {cause}", printable(text)));
        if text.len() > HTTP_TARGET_BYTES || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(bad("it is too long, or holds blanks or control characters"));
        }
        let (schema, rest) = text.split_once("://").ok_or_else(|| bad("it has no schema"))?;
        let is_https = match schema.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(bad("its schema is neither http nor https")),
        };
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = split_port(authority).ok_or_else(|| bad("its host or port is malformed"))?;
        let default = if is_https { 443 } else { 80 };
        let port = match port {
            "" => default,
            digits => digits
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| bad("its port is no port"))?,
        };
        Ok(Url {
            is_https,
            host: host.to_owned(),
            port,
            target: if target.starts_with('/') {
                target.to_owned()
            } else {
                format!("/{target}")
            },
            authority: authority.to_owned(),
        })
    }
}

impl Url {
    /// Where a `Location` field of the answer to this URL points (RFC 9110 section 10.2.2).
    ///
    /// # Errors
    /// Those of [`Url::parse`].
    pub fn join(&self, location: &str) -> Result<Self> {
        let schema = if self.is_https { "https" } else { "http" };
        let folder = || {
            let path = self.target.split('?').next().unwrap_or_default();
            path.rsplit_once('/').map_or("", |(folder, _)| folder)
        };
        let whole = match location {
            whole if whole.contains("://") => whole.to_owned(),
            same if same.starts_with("//") => format!("{schema}:{same}"),
            path if path.starts_with('/') => format!("{schema}://{}{path}", self.authority),
            name => format!("{schema}://{}{}/{name}", self.authority, folder()),
        };
        Url::parse(&whole)
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let schema = if self.is_https { "https" } else { "http" };
        write!(f, "{schema}://{}{}", self.authority, self.target)
    }
}

/// Host without brackets, and the port's digits if any; `None` for what is neither.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                if behind.is_empty() {
                    ""
                } else {
                    behind.strip_prefix(':')?
                },
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let plain = !host.is_empty() && !host.contains(['@', '\\']);
    (digits && plain).then_some((host, port))
}

/// The bytes of a request with its body. `agent` is the User-Agent; none of the texts may hold a line end.
pub fn request_bytes(method: &str, url: &Url, agent: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nConnection: Keep-Alive\r\nContent-Length: {}\r\nUser-Agent: {agent}\r\n\
         Content-Type: application/json\r\n\r\n",
        url.target,
        url.authority,
        body.len(),
    );
    [head.as_bytes(), body].concat()
}

/// The bytes of a request for what a URL names, whose answer may go on for ever.
pub fn get_bytes(url: &Url, agent: &str) -> Vec<u8> {
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nConnection: close\r\nUser-Agent: {agent}\r\n\r\n",
        url.target, url.authority,
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let cases = [
            ("http://a.com", "a.com", 80, "/"),
            ("HTTP://a.com:8085/api?x=1&y=%20", "a.com", 8085, "/api?x=1&y=%20"),
            ("http://a.com?x=1", "a.com", 80, "/?x=1"),
            ("http://[::1]:81/p#f", "::1", 81, "/p"),
            ("https://a.com/", "a.com", 443, "/"),
        ];
        for (text, host, port, target) in cases {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.host.as_str(), url.port, url.target.as_str()),
                (host, port, target),
                "{text}"
            );
            assert_eq!(url.is_https, text.starts_with("https"));
        }
        for text in [
            "",
            "a.com",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a:0/",
            "http://a:65536/",
            "http://a:x/",
            "http://[::1",
            "http://[a]/",
            "http://[::1]x/",
            "http://u:p@a/",
            "http://a/\r\nX: y",
            "http://a/b c",
            "http://a:+1/",
        ] {
            assert_eq!(
                Url::parse(text).unwrap_err().code(),
                ErrorCode::HttpParseUrl,
                "{text:?}"
            );
        }
    }

    #[test]
    fn redirects_are_relative_to_what_was_asked() {
        let url = Url::parse("http://a:81/live/s.flv?k=/v").unwrap();
        for (location, whole) in [
            ("https://b/x.flv", "https://b/x.flv"),
            ("//b:82/x.flv", "http://b:82/x.flv"),
            ("/x.flv?y", "http://a:81/x.flv?y"),
            ("x.flv", "http://a:81/live/x.flv"),
        ] {
            assert_eq!(url.join(location).unwrap().to_string(), whole);
        }
        assert!(url.join("ftp://b/").is_err());
        assert!(url.join("/a b").is_err());
    }

    #[test]
    fn a_request_has_its_fields_and_body() {
        let url = Url::parse("http://[::1]:8085/api?x=1").unwrap();
        let bytes = String::from_utf8(request_bytes("POST", &url, "SRS/7", b"{}")).unwrap();
        assert!(bytes.starts_with("POST /api?x=1 HTTP/1.1\r\nHost: [::1]:8085\r\n"));
        assert!(
            bytes.contains("\r\nContent-Length: 2\r\n") && bytes.contains("\r\nContent-Type: application/json\r\n")
        );
        assert!(bytes.ends_with("\r\n\r\n{}"));
    }

    #[test]
    fn mutations_never_panic() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..5000 {
            let mut bytes = b"http://[::1]:8085/api?x=1#f".to_vec();
            for _ in 0..random.usize(1..5) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let _ = Url::parse(&String::from_utf8_lossy(&bytes));
        }
    }
}
