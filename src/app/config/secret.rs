//! What nobody is shown of a configuration: the values of some directives, and names, passwords and parameters in URLs.

/// Directives whose values are hidden as a whole.
const SECRETS: [&str; 10] = [
    "http_api.auth.password",
    "registry.password",
    "srt_server.passphrase",
    "vhost.token.key",
    "vhost.bandcheck.key",
    "tencentcloud_cls.secret_id",
    "tencentcloud_cls.secret_key",
    "tencentcloud_apm.token",
    "vhost.exec.publish",
    "vhost.hls.hls_key_url",
];

/// Whether the value of a directive is hidden, by its path in the table.
pub(super) fn is_secret(path: &str) -> bool {
    SECRETS.contains(&path)
}

/// A word as it may be shown: of a URL, `mask` stands for the user and for the values of parameters. Templates such as
/// `vhost=[vhost]` stay, as they hold nothing.
pub(super) fn without_secrets(word: &str, mask: &str) -> String {
    let Some((schema, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    let host = address.split('/').next().unwrap_or(address);
    let address = match host.rsplit_once('@') {
        Some((user, _)) => format!("{mask}{}", &address[user.len()..]),
        None => address.to_owned(),
    };
    let query = query.map_or_else(String::new, |query| format!("?{}", parameters(query, mask)));
    format!("{schema}://{address}{query}")
}

fn parameters(query: &str, mask: &str) -> String {
    let shown = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((_, value)) if is_template(value) => parameter.to_owned(),
        Some((name, _)) => format!("{name}={mask}"),
        None if is_template(parameter) => parameter.to_owned(),
        None => mask.to_owned(),
    });
    shown.collect::<Vec<_>>().join("&")
}

/// Whether a text is one variable, such as `[vhost]`, and what may follow it in a path.
fn is_template(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    inside.is_some_and(|(name, rest)| {
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && (rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::directive;
    use super::*;

    #[test]
    fn urls_keep_what_is_no_secret() {
        for (url, shown) in [
            ("rtmp://me:pw@h/live?key=1", "rtmp://***@h/live?key=***"),
            ("rtmp://h:1935/live/a", "rtmp://h:1935/live/a"),
            ("http://h/a@b?x&y=&z=[param]", "http://h/a@b?***&y=***&z=[param]"),
            (
                "rtmp://h/live?vhost=[vhost]/[stream]",
                "rtmp://h/live?vhost=[vhost]/[stream]",
            ),
            ("rtmp://h/live?k=[A1b]", "rtmp://h/live?k=***"),
            ("me:pw@h", "me:pw@h"),
        ] {
            assert_eq!(without_secrets(url, "***"), shown, "{url}");
        }
    }

    #[test]
    fn every_secret_is_a_directive() {
        for path in SECRETS {
            assert!(directive::row(path).is_some(), "{path}");
        }
        let suspicious = |name: &str| {
            ["password", "passphrase", "secret"]
                .iter()
                .any(|word| name.contains(word))
        };
        for row in directive::all().filter(|row| suspicious(row.name())) {
            assert!(is_secret(row.path), "{} is shown", row.path);
        }
    }
}
