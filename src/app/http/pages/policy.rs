//! What a page may load and speak to (Content Security Policy Level 3).

/// Which servers a page speaks to. Code, styles and pictures come from its own origin only, either way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// The one that it came from, at any port: the API may have a port of its own.
    OwnHost,
    /// Any, for media: a link may name a stream of another server.
    AnyMedia,
}

/// The policy of a page that was asked for by the name or address `host`.
pub fn of(reach: Reach, host: &str) -> String {
    const CODE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                        base-uri 'none'; form-action 'none'";
    match reach {
        Reach::OwnHost => format!("{CODE}; connect-src {}; frame-ancestors 'none'", own_host(host)),
        Reach::AnyMedia => {
            format!("{CODE}; connect-src http: https: ws: wss:; media-src blob: http: https:; worker-src 'self' blob:")
        }
    }
}

fn own_host(host: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !host.is_empty() && host.chars().all(is_name) {
        format!("'self' http://{host}:* https://{host}:*")
    } else {
        // The grammar has no IPv6 addresses.
        "'self' http: https:".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_speaks_to_its_own_host_only() {
        let policy = of(Reach::OwnHost, "live.example.com");
        assert!(
            policy.contains("connect-src 'self' http://live.example.com:* https://live.example.com:*;"),
            "{policy}"
        );
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        for odd in ["", "::1", "a; script-src *", "a b", "a'", "a\nb"] {
            assert!(
                of(Reach::OwnHost, odd).contains("connect-src 'self' http: https:;"),
                "{odd}"
            );
        }
    }

    #[test]
    fn the_player_takes_code_from_nowhere_else() {
        let policy = of(Reach::AnyMedia, "a");
        assert!(policy.contains("script-src 'self';") && policy.contains("media-src blob: http: https:"));
    }
}
