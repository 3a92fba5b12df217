//! What clients may, case by case: the block of the vhost, the client, and what SRS would say (or our documents).

use super::*;
use crate::app::config::{Config, Host, LoadOptions};
use crate::app::hooks::Subject;
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtmp::url::StreamUrl;
use crate::protocol::token::Now;

const HTTP: Entrance<'static> = Entrance::Http { bearer: None };
const NOW: Now = Now {
    unix_seconds: 1_000,
    skew: 5,
};

fn subject(block: &str, page_url: &str, stream: &str) -> Subject {
    let text = format!("listen 1935; vhost __defaultVhost__ {{ {block} }}");
    let options = LoadOptions {
        path: Some("a.conf".into()),
        env_only: false,
        env: &|_| None,
        host: Host::TEST,
        read_file: &|path| match path.to_str() {
            Some("a.conf") => Ok(text.as_bytes().to_vec()),
            Some("token.key") => Ok(b"\n  the-key-of-this-year \r\nthe-key-of-last-year\n".to_vec()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        },
    };
    let config = Config::load(&options).unwrap().config;
    Subject {
        url: StreamUrl::parse("rtmp://127.0.0.1/live", stream).unwrap(),
        ip: [192, 0, 2, 1].into(),
        page_url: page_url.to_owned(),
        swf_url: String::new(),
        vhost: config.vhost("__defaultVhost__").unwrap(),
    }
}

/// The first gate that is closed, with its code.
fn verdict(subject: &Subject, action: Action, entrance: Entrance<'_>) -> Option<(Gate, ErrorCode)> {
    let visitor = Visitor {
        subject,
        action,
        entrance,
    };
    [Gate::Vhost, Gate::Stream, Gate::Media].into_iter().find_map(|gate| {
        let error = admit(visitor, gate).err()?;
        assert_eq!(admit_all(visitor).map_err(|all| all.code()), Err(error.code()));
        Some((gate, error.code()))
    })
}

#[test]
fn pages_are_looked_at_first_for_all_then_for_the_role() {
    use Action::{Play, Publish};
    const DENIED: ErrorCode = ErrorCode::SecurityDenied;
    let (vhost, media) = (Some((Gate::Vhost, DENIED)), Some((Gate::Media, DENIED)));
    for (refer, page, publish, play) in [
        ("", "", None, None),
        ("all a.com;", "http://b.com/", None, None),
        ("enabled on;", "", None, None),
        ("enabled on; all a.com;", "http://www.a.com:81/p", None, None),
        ("enabled on; all a.com;", "http://xa.com/", None, None),
        ("enabled on; all a.com b.com;", "http://b.com", None, None),
        ("enabled on; all a.com;", "http://b.com/", vhost, vhost),
        ("enabled on; all a.com;", "", vhost, vhost),
        ("enabled on; play a.com;", "http://b.com/", None, media),
        ("enabled on; play a.com;", "", None, media),
        ("enabled on; publish a.com;", "http://b.com/", media, None),
        ("enabled on; all a.com; publish s.a.com;", "http://a.com/", media, None),
        ("enabled on; all a.com; play a.com;", "http://b.com/", vhost, vhost),
    ] {
        let subject = subject(&format!("refer {{ {refer} }}"), page, "s");
        assert_eq!(verdict(&subject, Publish, Entrance::Rtmp), publish, "{refer} {page}");
        assert_eq!(verdict(&subject, Play, Entrance::Rtmp), play, "{refer} {page}");
        // As with SRS, unless the vhost wants it.
        assert_eq!(verdict(&subject, Play, HTTP), None, "{refer} {page}");
    }
    let refer = "refer { enabled on; http on; play a.com; }";
    assert_eq!(verdict(&subject(refer, "http://b.com/", "s"), Play, HTTP), media);
    assert_eq!(verdict(&subject(refer, "http://a.com/", "s"), Play, HTTP), None);
}

#[test]
fn an_old_spelling_means_the_same() {
    let subject = subject("refer a.com;", "http://b.com/", "s");
    let denied = Some((Gate::Vhost, ErrorCode::SecurityDenied));
    assert_eq!(verdict(&subject, Action::Play, Entrance::Rtmp), denied);
}

#[test]
fn the_page_goes_before_the_address_and_that_before_the_token() {
    let all = "refer { enabled on; all a.com; play p.a.com; } security { enabled on; deny play 192.0.2.1; } \
               token { enabled on; key_file token.key; }";
    let first = |block: &str, page: &str| verdict(&subject(block, page, "s"), Action::Play, Entrance::Rtmp);
    assert_eq!(first(all, ""), Some((Gate::Vhost, ErrorCode::SecurityDenied)));
    assert_eq!(
        first(all, "http://a.com"),
        Some((Gate::Stream, ErrorCode::SecurityDeny))
    );
    let all = all.replace("deny", "allow");
    assert_eq!(
        first(&all, "http://a.com"),
        Some((Gate::Stream, ErrorCode::SecurityDenied))
    );
    let all = all.replace("token { enabled on;", "token { enabled on; need publish;");
    assert_eq!(
        first(&all, "http://a.com"),
        Some((Gate::Media, ErrorCode::SecurityDenied))
    );
    assert_eq!(first(&all, "http://p.a.com"), None);
}

#[test]
fn tokens_are_found_where_clients_put_them() {
    // printf '%s' '2000 play - /live/s' | openssl dgst -sha256 -hmac the-key-of-last-year
    const SIGN: &str = "a656df20a2cbc37d642117eb8401ab4d3039c714b9fa4666e3d6e71e179bded8";
    let block = "token { enabled on; key_file token.key; }";
    for (stream, expected) in [
        (format!("s?expires=2000&sign={SIGN}"), true),
        (format!("s?a=b&sign={SIGN}&expires=2000&c"), true),
        (format!("s?expires=2000&sign={SIGN}#part"), true),
        (format!("s?vhost=__defaultVhost__&expires=2000&sign={SIGN}"), true),
        (format!("s?expires=2001&sign={SIGN}"), false),
        (format!("s2?expires=2000&sign={SIGN}"), false),
        (format!("s?expires=2000&sign={SIGN}&token=x"), false),
        (format!("s?sign={SIGN}"), false),
        ("s?expires=2000".to_owned(), false),
        ("s".to_owned(), false),
    ] {
        let subject = subject(block, "", &stream);
        let check = |action, entrance| {
            let visitor = Visitor {
                subject: &subject,
                action,
                entrance,
            };
            token::check_at(&subject.vhost.token, visitor, NOW).is_ok()
        };
        assert_eq!(check(Action::Play, Entrance::Rtmp), expected, "{stream}");
        assert_eq!(check(Action::Play, HTTP), expected, "{stream}");
        assert!(!check(Action::Publish, Entrance::Rtmp), "{stream}");
        let bearer = Entrance::Http { bearer: Some("x") };
        assert!(!check(Action::Play, bearer), "{stream}");
    }
}
