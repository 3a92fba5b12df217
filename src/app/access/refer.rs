//! Whether a client may, by the page that it came from: the `refer` block of a vhost.

use super::{Entrance, Visitor};
use crate::app::config::section::refer::Refer;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// Checks the page against one of the block's lists; an empty list allows everyone. Clients over HTTP are checked where
/// the vhost wants that, since SRS does not.
///
/// # Errors
/// [`ErrorCode::SecurityDenied`].
pub fn check(refer: &Refer, pages: &[String], visitor: Visitor<'_>) -> Result<()> {
    let is_checked = refer.enabled && (visitor.entrance == Entrance::Rtmp || refer.http);
    let page = &visitor.subject.page_url;
    if !is_checked || pages.is_empty() || pages.iter().any(|suffix| is_from(page, suffix)) {
        return Ok(());
    }
    let text = match page.is_empty() {
        true => "refer: the client tells no page that it came from".to_owned(),
        false => format!("refer: page {} is not among {}", printable(page), pages.join(" ")),
    };
    Err(Error::new(ErrorCode::SecurityDenied, text))
}

/// Whether a page's host ends with a text. A whole label is not asked for: `a.com` fits `xa.com` too, as with SRS.
fn is_from(page: &str, suffix: &str) -> bool {
    !page.is_empty() && host(page).to_ascii_lowercase().ends_with(&suffix.to_ascii_lowercase())
}

/// The host of a page's URL: what stands between `://` and the path, without user and port. A text without a scheme
/// is a host with what follows it.
fn host(page: &str) -> &str {
    let rest = page.split_once("://").map_or(page, |(_, rest)| rest);
    // RFC 3986, 3.2: the authority ends here. Browsers take a backslash for a slash.
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_cut_out() {
        for (page, expected) in [
            ("http://www.example.com/player.html", "www.example.com"),
            ("https://www.example.com:8443", "www.example.com"),
            ("http://user:word@www.example.com:80/", "www.example.com"),
            ("http://evil.org/?example.com", "evil.org"),
            ("http://evil.org?.example.com", "evil.org"),
            ("http://evil.org#.example.com", "evil.org"),
            ("http://evil.org\\.example.com", "evil.org"),
            ("http://evil.org:80/@example.com", "evil.org"),
            ("http://[2001:db8::1]:80/", "2001:db8::1"),
            ("www.example.com/a", "www.example.com"),
            ("rtmp://", ""),
            ("", ""),
        ] {
            assert_eq!(host(page), expected, "{page}");
        }
    }

    #[test]
    fn suffixes_are_texts() {
        for (page, suffix, expected) in [
            ("http://a.com/", "a.com", true),
            ("http://www.a.com:8080/x", "a.com", true),
            ("http://xa.com/", "a.com", true),
            ("http://a.com.evil.org/", "a.com", false),
            ("http://evil.org/a.com", "a.com", false),
            ("http://WWW.A.COM/", "a.com", true),
            ("http://a.com/", "b.com", false),
            ("", "a.com", false),
            ("", "", false),
        ] {
            assert_eq!(is_from(page, suffix), expected, "{page} {suffix}");
        }
    }
}
