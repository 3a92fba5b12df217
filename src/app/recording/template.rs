//! Names of files: `[vhost]`, `[app]`, `[stream]`, and when the file was opened. See `docs/hls.md` and `docs/dvr.md`.

use jiff::Zoned;
use jiff::tz::TimeZone;

use crate::core::clock::unix_time;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::rtmp::url::StreamUrl;

/// When a file was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    time: Zoned,
    /// Unix time, milliseconds.
    pub unix_ms: i64,
}

impl Opened {
    /// Now: local time, or UTC where `utc_time` says so.
    pub fn now(utc: bool) -> Self {
        let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
        Self::at(unix_time().as_millis().try_into().unwrap_or(0), zone)
    }

    fn at(unix_ms: i64, zone: TimeZone) -> Self {
        let time = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
        Opened {
            time: time.to_zoned(zone),
            unix_ms,
        }
    }

    /// The value of a time variable, without its brackets.
    pub fn variable(&self, name: &str) -> Option<String> {
        let time = &self.time;
        Some(match name {
            "2006" => format!("{}", time.year()),
            "01" => format!("{:02}", time.month()),
            "02" => format!("{:02}", time.day()),
            "15" => format!("{:02}", time.hour()),
            "04" => format!("{:02}", time.minute()),
            "05" => format!("{:02}", time.second()),
            "999" => format!("{:03}", time.millisecond()),
            "timestamp" => self.unix_ms.to_string(),
            _ => return None,
        })
    }
}

/// Fills a template in with what `lookup` knows; other brackets stay. What is filled in is not looked at again, so that a
/// stream named `[2006]` stays one.
pub fn fill(template: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('[') {
        text.push_str(before);
        let found = after
            .split_once(']')
            .and_then(|(name, after)| Some((lookup(name)?, after)));
        match found {
            Some((value, after)) => {
                text.push_str(&value);
                rest = after;
            }
            None => {
                text.push('[');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

/// [`fill`]s a template in: first the stream's names, then what `lookup` knows.
///
/// # Errors
/// [`ErrorCode::HlsCreateDir`] when a name of the stream would lead out of its folder.
pub fn expand(template: &str, url: &StreamUrl, lookup: impl Fn(&str) -> Option<String>) -> Result<String> {
    let path = fill(template, |name| match name {
        "vhost" => Some(url.vhost.clone()),
        "app" => Some(url.app.clone()),
        "stream" => Some(url.stream.clone()),
        _ => lookup(name),
    });
    // Counted over the whole: two harmless names side by side may make a harmful one.
    if ups(&path) != ups(template) || path.contains('\0') || names_nothing(url) {
        let text = format!(
            "app {} and stream {} make no file name for {template}",
            printable(&url.app),
            printable(&url.stream)
        );
        return Err(Error::new(ErrorCode::HlsCreateDir, text));
    }
    Ok(path)
}

/// The way from `folder` to `name`, both below one folder.
pub fn relative(folder: &str, name: &str) -> String {
    let mut from = folder.split('/').filter(|part| !part.is_empty()).peekable();
    let mut to = name.split('/').filter(|part| !part.is_empty()).peekable();
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let mut path = "../".repeat(from.count());
    path.push_str(&to.collect::<Vec<_>>().join("/"));
    path
}

fn ups(path: &str) -> usize {
    path.split('/').filter(|part| *part == "..").count()
}

fn names_nothing(url: &StreamUrl) -> bool {
    url.stream.is_empty() || url.stream.starts_with('/') || url.app.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(app: &str, stream: &str) -> StreamUrl {
        let mut url = StreamUrl::parse("rtmp://h/live", "s").unwrap();
        (url.app, url.stream) = (app.into(), stream.into());
        url
    }

    fn opened() -> Opened {
        Opened::at(1_795_375_541_041, TimeZone::UTC)
    }

    #[test]
    fn variables_are_filled_in() {
        let template = "./html/[vhost]/[app]/[stream]-[2006]-[01]-[02]_[15].[04].[05].[999]-[timestamp]-[seq]-[x.flv";
        let path = expand(template, &url("live/a", "cam"), |name| opened().variable(name)).unwrap();
        assert_eq!(
            path,
            "./html/h/live/a/cam-2026-11-22_19.25.41.041-1795375541041-[seq]-[x.flv"
        );
    }

    #[test]
    fn what_is_filled_in_is_not_filled_in_again() {
        let path = expand("[app]/[stream].[seq]", &url("[stream]", "[2006]"), |name| match name {
            "seq" => Some("[app]".into()),
            name => opened().variable(name),
        });
        assert_eq!(path.unwrap(), "[stream]/[2006].[app]");
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for (app, stream) in [
            ("..", "s"),
            ("live", "../../etc/passwd"),
            ("a/../../b", "s"),
            ("live", "a\0b"),
            ("live", ""),
            ("/etc", "s"),
            ("live", "/etc/passwd"),
        ] {
            assert!(
                expand("html/[app]/[stream].flv", &url(app, stream), |_| None).is_err(),
                "{app} {stream}"
            );
        }
        assert!(expand("[app][stream]/x", &url(".", "."), |_| None).is_err());
        let fine = expand("../html/[app]/[stream].flv", &url("live", "..a.."), |_| None);
        assert_eq!(fine.unwrap(), "../html/live/..a...flv");
    }

    #[test]
    fn uris_are_relative_to_the_playlist() {
        for (folder, name, expected) in [
            ("live", "live/s-0.ts", "s-0.ts"),
            ("live", "live/ts/s-0.ts", "ts/s-0.ts"),
            ("", "live/s-0.ts", "live/s-0.ts"),
            ("live/m3u8", "live/s-0.ts", "../s-0.ts"),
            ("a/b", "c//d.ts", "../../c/d.ts"),
        ] {
            assert_eq!(relative(folder, name), expected, "{folder} {name}");
        }
    }
}
