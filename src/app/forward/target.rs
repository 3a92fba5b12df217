//! What a destination means for a stream: the URL to publish it at.

use crate::app::recording::template;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::rtmp::url::StreamUrl;

/// The URL of a stream at a destination:
/// - `host`, `host:port`, `[IPv6]:port`, or the same behind `rtmp://` or `rtmps://`: there under the same names, with its
///   parameters and its vhost, as [`StreamUrl::relay_url`] tells;
/// - a URL with one name behind the host: that app, with the stream's own name and parameters;
/// - a whole URL: that one.
///
/// In URLs `[vhost]`, `[app]`, `[stream]` and `[param]` stand for those of the stream.
///
/// # Errors
/// As [`check`], and those of [`template::expand`].
pub(super) fn url_at(destination: &str, stream: &StreamUrl) -> Result<String> {
    let Some((schema, rest)) = destination.split_once("://") else {
        return match destination.contains('/') {
            true => url_at(&format!("rtmp://{destination}"), stream),
            false => relay(destination, "rtmp", stream),
        };
    };
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.is_empty() {
        return relay(place, schema, stream);
    }
    let mut template = destination.trim_end_matches('/').to_owned();
    let names = path.split('?').next().unwrap_or_default();
    if !names.trim_end_matches('/').contains('/') && !path.contains('?') {
        template += "/[stream][param]";
    }
    let url = template::expand(&template, stream, |name| {
        (name == "param").then(|| stream.param.clone())
    })?;
    check(&url).map(|()| url)
}

/// Sees that a URL is one to publish at.
///
/// # Errors
/// [`ErrorCode::RtmpTcUrl`] for one that is not RTMP; those of [`StreamUrl::parse_whole`].
pub(super) fn check(url: &str) -> Result<()> {
    let parsed = StreamUrl::parse_whole(url).wrap_with(|| format!("forward to {}", printable(url)))?;
    match parsed.schema.to_ascii_lowercase().as_str() {
        "rtmp" | "rtmps" => Ok(()),
        _ => {
            let text = format!("forward to {}: neither rtmp:// nor rtmps://", printable(url));
            Err(Error::new(ErrorCode::RtmpTcUrl, text))
        }
    }
}

fn relay(place: &str, schema: &str, stream: &StreamUrl) -> Result<String> {
    // What a whole URL there would mean tells the port, also where it is left out.
    let there = StreamUrl::parse_whole(&format!("{schema}://{place}/app/stream"))
        .wrap_with(|| format!("forward to {}", printable(place)))?;
    let relayed = stream.relay_url(&there.host, there.port);
    let url = match relayed.strip_prefix("rtmp") {
        Some(rest) => format!("{schema}{rest}"),
        None => relayed,
    };
    check(&url).map(|()| url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtmp::url::DEFAULT_VHOST;

    fn stream(tc_url: &str, name: &str, vhost: &str) -> StreamUrl {
        let mut url = StreamUrl::parse(tc_url, name).unwrap();
        url.vhost = vhost.to_owned();
        url
    }

    #[test]
    fn a_server_gets_the_stream_under_its_own_names() {
        let plain = stream("rtmp://127.0.0.1/live", "s", DEFAULT_VHOST);
        let rich = stream("rtmp://10.0.0.1/a/b?vhost=v.com", "s?token=t", "v.com");
        let named = stream("rtmp://pub.com/live", "s?token=t", DEFAULT_VHOST);
        for (destination, stream, url) in [
            ("10.0.0.2", &plain, "rtmp://10.0.0.2:1935/live/s"),
            ("10.0.0.2:19350", &plain, "rtmp://10.0.0.2:19350/live/s"),
            ("[::1]:1936", &plain, "rtmp://[::1]:1936/live/s"),
            ("[::1]", &plain, "rtmp://[::1]:1935/live/s"),
            ("rtmp://o:1936", &plain, "rtmp://o:1936/live/s"),
            ("rtmp://o/", &plain, "rtmp://o:1935/live/s"),
            ("rtmps://o", &plain, "rtmps://o:443/live/s"),
            ("o", &rich, "rtmp://o:1935/a/b/s?vhost=v.com&token=t"),
            ("o", &named, "rtmp://o:1935/live/s?token=t&vhost=pub.com"),
        ] {
            assert_eq!(url_at(destination, stream).unwrap(), url, "{destination}");
        }
    }

    #[test]
    fn urls_are_templates() {
        let stream = stream("rtmp://h/live", "s?token=t", "v.com");
        for (destination, url) in [
            ("rtmp://o/app", "rtmp://o/app/s?token=t"),
            ("rtmp://o/app/", "rtmp://o/app/s?token=t"),
            ("o:1936/app", "rtmp://o:1936/app/s?token=t"),
            ("rtmp://o/app/key", "rtmp://o/app/key"),
            ("rtmps://o:1/app/[app]_[stream]?k=v", "rtmps://o:1/app/live_s?k=v"),
            ("rtmp://o/[vhost]/[stream][param]", "rtmp://o/v.com/s?token=t"),
            ("rtmp://[::1]:2/[app]/[stream]", "rtmp://[::1]:2/live/s"),
            ("rtmp://o/[app]/[stream]?vhost=[vhost]", "rtmp://o/live/s?vhost=v.com"),
        ] {
            assert_eq!(url_at(destination, &stream).unwrap(), url, "{destination}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let stream = stream("rtmp://h/live", "s", "v.com");
        for destination in [
            "",
            ":1935",
            "o:0",
            "o:x",
            "o:99999",
            "http://o/a/b",
            "rtmp://",
            "[::1",
            "rtmp:///a/b",
        ] {
            assert!(url_at(destination, &stream).is_err(), "{destination}");
        }
        for end in 0.."rtmp://[::1]:1/[app]/[stream]?vhost=[vhost]".len() {
            let _ = url_at(&"rtmp://[::1]:1/[app]/[stream]?vhost=[vhost]"[..end], &stream);
        }
    }
}
