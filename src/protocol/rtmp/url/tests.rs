//! Tests of `url.rs`.

use super::*;

/// tcUrl, stream name; vhost, app, stream, param.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
    const ROWS: &[Row] = &[
        // What users write.
        ("rtmp://h/live", "s", "h", "live", "s", ""),
        ("rtmp://1.2.3.4/live?vhost=v.com", "s", "v.com", "live", "s", "?vhost=v.com"),
        ("rtmp://1.2.3.4/live", "s?vhost=v.com&token=t", "v.com", "live", "s", "?vhost=v.com&token=t"),
        ("rtmp://1.2.3.4/live...vhost...v.com", "s", "v.com", "live", "s", "?vhost=v.com"),
        ("rtmp://h/live", "s?domain=v.com", "v.com", "live", "s", "?domain=v.com"),
        ("rtmp://h/app/sub", "s", "h", "app/sub", "s", ""),
        ("rtmp://h/live/_definst_", "s", "h", "live", "s", ""),
        ("rtmp://h", "s", "h", DEFAULT_APP, "s", ""),
        ("rtmp://h/live?vhost=__defaultVhost__", "s", "h", "live", "s", ""),
        // Where the vhost comes from.
        ("rtmp://h/live", "s?vhost=a&vhost=b", "b", "live", "s", "?vhost=a&vhost=b"),
        ("rtmp://h/live", "s?domain=d&vhost=v", "v", "live", "s", "?domain=d&vhost=v"),
        ("rtmp://h/live", "s?vhost=&domain=d", "d", "live", "s", "?vhost=&domain=d"),
        ("rtmp://h/live", "s?vhost=__defaultVhost__&domain=d", "h", "live", "s", "?vhost=__defaultVhost__&domain=d"),
        ("rtmp://h/live", "s?domain=__defaultVhost__", "h", "live", "s", ""),
        ("rtmp://h/live", "s?vhost=__defaultVhost__&k=v", "h", "live", "s", "?vhost=__defaultVhost__&k=v"),
        ("rtmp://h/live", "s?k=v,vhost=v.com", "v.com", "live", "s", "?k=v,vhost=v.com"),
        ("rtmp://h/live", "s?k=v;vhost=v.com", "v.com", "live", "s", "?k=v;vhost=v.com"),
        ("rtmp://h/live", "s?k=v&&vhost=v.com", "v.com", "live", "s", "?k=v&&vhost=v.com"),
        ("rtmp://h/live", "s?flag&vhost=v.com", "h", "live", "s", "?flag&vhost=v.com"),
        ("rtmp://h/live", "s#vhost=v.com", "h", "live", "s", "#vhost=v.com"),
        ("rtmp://h/live", "s?vhost=%76.com", "%76.com", "live", "s", "?vhost=%76.com"),
        ("rtmp://h/live", "s?VHOST=v.com", "h", "live", "s", "?VHOST=v.com"),
        ("rtmp://__defaultVhost__/live", "s", DEFAULT_VHOST, "live", "s", ""),
        ("rtmp://h/live", "s...vhost...v.com", "v.com", "live", "s", "?vhost=v.com"),
        ("rtmp://h/live...vhost...v.com...vhost...w.com", "s", "v.com?vhost", "live", "s", "?vhost=v.com?vhost=w.com"),
        ("rtmp://H.Example/live", "s", "H.Example", "live", "s", ""),
        // Queries in the middle.
        ("rtmp://h/live?k=v", "s", "h", "live", "s", "?k=v"),
        ("rtmp://h/live#k=v", "s", "h", "live", "s", "#k=v"),
        ("rtmp://h?vhost=v.com", "s", "v.com", DEFAULT_APP, "s", "?vhost=v.com"),
        ("rtmp://h/live?vhost=v.com", "s?token=t", "v.com", "live", "s", "?vhost=v.com&token=t"),
        ("rtmp://h/live?vhost=v.com", "s?vhost=w.com", "w.com", "live", "s", "?vhost=v.com&vhost=w.com"),
        ("rtmp://h/live?vhost=v.com", "s?k=v#f", "v.com", "live", "s", "?vhost=v.com&k=v#f"),
        ("rtmp://h/live?vhost=v.com", "s?", "v.com", "live", "s", "?vhost=v.com"),
        ("rtmp://h/live?vhost=v.com", "s#f", "h", "live", "s", "#f?vhost=v.com"),
        ("rtmp://h/live#f", "s?k=v", "h", "live", "s", "?k=v#f"),
        ("rtmp://h/live?k=v#f", "s", "h", "live", "s", "?k=v#f"),
        ("rtmp://h/live", "s?k=v#f", "h", "live", "s", "?k=v#f"),
        ("rtmp://h/live", "s#f?k=v", "h", "live", "s", "#f?k=v"),
        ("rtmp://h/a/b?k=v/c", "s", "h", "a/b", "s", "?k=v/c"),
        ("rtmp://h/live", "s?", "h", "live", "s", ""),
        // Tokens.
        ("rtmp://h/live", "s?token=aGk+Zg==", "h", "live", "s", "?token=aGk+Zg=="),
        ("rtmp://h/live?token=a/b==", "s", "h", "live", "s", "?token=a/b=="),
        ("rtmp://h/live", "s?token=a/b==", "h", "live/s", "b==", "?token=a"),
        ("rtmp://h/live", "s?token=a%2Fb%3D", "h", "live", "s", "?token=a%2Fb%3D"),
        // Instances, slashes, blanks.
        ("rtmp://h/live/_definst_?vhost=v.com", "s", "v.com", "live", "s", "?vhost=v.com"),
        ("rtmp://h/_definst_", "s", "h", DEFAULT_APP, "s", ""),
        ("rtmp://h/live/_definst_/", "s", "h", "live", "s", ""),
        ("rtmp://h/live/inst", "_definst_/s", "h", "live/inst", "s", ""),
        ("rtmp://h/live/", "s", "h", "live", "s", ""),
        ("rtmp://h/live//", "//s", "h", "live", "s", ""),
        ("rtmp://h//live", "s", "h", "live", "s", ""),
        ("rtmp://h/live", "/s", "h", "live", "s", ""),
        ("rtmp://h/live", "a/s", "h", "live/a", "s", ""),
        ("rtmp://h/a//b", "s", "h", "a//b", "s", ""),
        ("rtmp://h/li ve\r\n", " s\t\n", "h", "live", "s", ""),
        ("rtmp://h/live", "s?vhost= v.com\n", "v.com", "live", "s", "?vhost= v.com\n"),
        ("rtmp://h/live", "s/ ", "h", "live/s", "", ""),
        // Names that others must escape.
        ("rtmp://h/live", "../s", "h", "live/..", "s", ""),
        ("rtmp://h/live", "$(id)`;'\"<>%s\u{0}é", "h", "live", "$(id)`;'\"<>%s\u{0}é", ""),
        ("rtmp://h/live", "%2e%2e%2fs", "h", "live", "%2e%2e%2fs", ""),
        ("rtmp://h/live", "mp4:a.mp4", "h", "live", "mp4:a.mp4", ""),
        // No name: it is looked for elsewhere.
        ("rtmp://h/live/s", "", "h", "live", "s", ""),
        ("rtmp://h/live/a/s", "", "h", "live", "a/s", ""),
        ("rtmp://h/live/s?k=v", "", "h", "live", "s", "?k=v"),
        ("rtmp://h/live?k=v/s", "", "h", "live", "s", "?k=v"),
    ];

#[test]
fn names_are_found() {
    for &(tc_url, name, vhost, app, stream, param) in ROWS {
        let parsed = StreamUrl::parse(tc_url, name);
        if stream.is_empty() {
            assert_eq!(
                parsed.unwrap_err().code(),
                ErrorCode::StreamNameEmpty,
                "{tc_url} {name}"
            );
            continue;
        }
        let url = parsed.unwrap();
        let found = (url.vhost.as_str(), url.app.as_str(), url.stream.as_str());
        assert_eq!(found, (vhost, app, stream), "{tc_url} {name}");
        assert_eq!(url.param, param, "{tc_url} {name}");
        assert_eq!(url.tc_url, tc_url);
    }
}

#[test]
fn a_whole_url_is_split_at_its_last_slash() {
    for (whole, vhost, app, stream, param) in [
        ("rtmp://h/live/s", "h", "live", "s", ""),
        (
            "rtmp://1.2.3.4/live?vhost=v.com/s",
            "v.com",
            "live",
            "s",
            "?vhost=v.com",
        ),
        (
            "rtmp://1.2.3.4/live/s?vhost=v.com&token=t",
            "v.com",
            "live",
            "s",
            "?vhost=v.com&token=t",
        ),
        (
            "rtmp://1.2.3.4/live...vhost...v.com/s",
            "v.com",
            "live",
            "s",
            "?vhost=v.com",
        ),
        ("rtmp://h/live/_definst_/s", "h", "live", "s", ""),
        ("rtmp://h/s", "h", DEFAULT_APP, "s", ""),
        ("webrtc://h/live/s?eip=1.2.3.4", "h", "live", "s", "?eip=1.2.3.4"),
    ] {
        let url = StreamUrl::parse_whole(whole).unwrap();
        let found = (
            url.vhost.as_str(),
            url.app.as_str(),
            url.stream.as_str(),
            url.param.as_str(),
        );
        assert_eq!(found, (vhost, app, stream, param), "{whole}");
    }
}

#[test]
fn hosts_and_ports() {
    for (tc_url, schema, host, port) in [
        ("rtmp://h/live", "rtmp", "h", 1935),
        ("rtmp://h:19350/live", "rtmp", "h", 19350),
        ("rtmp://h:/live", "rtmp", "h", 1935),
        ("RTMP://h/live", "RTMP", "h", 1935),
        ("rtmps://h/live", "rtmps", "h", 443),
        ("https://h/live", "https", "h", 443),
        ("http://h/live", "http", "h", 80),
        ("webrtc://h/live", "webrtc", "h", 80),
        ("rtmp://[::1]/live", "rtmp", "::1", 1935),
        ("rtmp://[fe80::1%25eth0]:1936/live", "rtmp", "fe80::1%25eth0", 1936),
        ("rtmp://user:p@ss@h:1936/live", "rtmp", "h", 1936),
        ("rtmp://h:65535?k=v", "rtmp", "h", 65535),
    ] {
        let url = StreamUrl::parse(tc_url, "s").unwrap();
        let found = (url.schema.as_str(), url.host.as_str(), url.port);
        assert_eq!(found, (schema, host, port), "{tc_url}");
    }
}

#[test]
fn what_is_no_address_is_refused() {
    for tc_url in [
        "",
        "/",
        "live",
        "h/live",
        "://h/live",
        "1x://h/live",
        " rtmp://h/live",
        "rtmp:/h/live",
        "rtmp://",
        "rtmp:///live",
        "rtmp://:1935/live",
        "rtmp://user@/live",
        "rtmp://[]/live",
        "rtmp://[::1/live",
        "rtmp://[::1]1935/live",
        "rtmp://::1/live",
        "rtmp://h:0/live",
        "rtmp://h:00/live",
        "rtmp://h:65536/live",
        "rtmp://h:99999999999999999999/live",
        "rtmp://h:+1/live",
        "rtmp://h:x/live",
        "rtmp:// /live",
        "rtmp://h/ /",
        "rtmp://h/live?vhost= ",
    ] {
        let error = StreamUrl::parse(tc_url, "s").unwrap_err();
        assert_eq!(error.code(), ErrorCode::RtmpTcUrl, "{tc_url}: {error}");
        assert!(error.message().len() < 300);
    }
}

#[test]
fn messages_escape_and_cut_what_the_peer_sent() {
    let error = StreamUrl::connect(&format!("a\n{}", "b".repeat(60_000))).unwrap_err();
    assert!(error.message().starts_with("no schema in tcUrl \"a\\nbbb"));
    assert!(error.message().len() < 300);
}

#[test]
fn connect_tells_no_stream_and_its_vhost_stays() {
    let mut url = StreamUrl::connect("rtmp://h/live/sub?vhost=v.com").unwrap();
    assert_eq!(
        (url.vhost.as_str(), url.app.as_str(), url.stream.as_str()),
        ("v.com", "live/sub", "")
    );
    assert_eq!(url.with_stream("s?token=t").unwrap().vhost, "v.com");
    assert_eq!(url.with_stream("s?vhost=w.com&token=t").unwrap().vhost, "w.com");
    let guessed = url.with_stream("").unwrap();
    assert_eq!((guessed.app.as_str(), guessed.stream.as_str()), ("live", "sub"));
    url = StreamUrl::connect("rtmp://h/live").unwrap();
    url.vhost = DEFAULT_VHOST.to_owned();
    assert_eq!(url.with_stream("s").unwrap().vhost, DEFAULT_VHOST);
    assert_eq!(url.with_stream("").unwrap_err().code(), ErrorCode::StreamNameEmpty);
}

#[test]
fn the_key_has_neither_default_vhost_nor_extension() {
    let key = |vhost: &str, stream: &str| {
        let mut url = StreamUrl::parse("rtmp://h/live/a", stream).unwrap();
        url.vhost = vhost.to_owned();
        url.stream_url()
    };
    assert_eq!(key(DEFAULT_VHOST, "s"), "/live/a/s");
    assert_eq!(key("v.com", "s.flv?token=t"), "v.com/live/a/s");
    assert_eq!(key("v.com", "s.1.flv"), "v.com/live/a/s.1");
    assert_eq!(key("v.com", "s."), "v.com/live/a/s");
    assert_eq!(key("v.com", ".s"), "v.com/live/a/.s");
}

#[test]
fn relay_urls_tell_the_vhost_once() {
    for (tc_url, name, vhost, relay) in [
        ("rtmp://1.2.3.4/live", "s", DEFAULT_VHOST, "rtmp://o:1936/live/s"),
        ("rtmp://[::1]/live", "s", DEFAULT_VHOST, "rtmp://o:1936/live/s"),
        ("rtmp://h/live", "s", DEFAULT_VHOST, "rtmp://o:1936/live/s?vhost=h"),
        (
            "rtmp://h/live",
            "s?k=v",
            "v.com",
            "rtmp://o:1936/live/s?k=v&vhost=v.com",
        ),
        (
            "rtmp://h/live",
            "s?k=v#f",
            "v.com",
            "rtmp://o:1936/live/s?k=v&vhost=v.com#f",
        ),
        ("rtmp://h/live", "s#f", "v.com", "rtmp://o:1936/live/s?vhost=v.com#f"),
        ("rtmp://1.2.3.4/live", "s#f", DEFAULT_VHOST, "rtmp://o:1936/live/s#f"),
        (
            "rtmp://h/live?vhost=a.com",
            "s",
            "v.com",
            "rtmp://o:1936/live/s?vhost=a.com",
        ),
    ] {
        let mut url = StreamUrl::parse(tc_url, name).unwrap();
        url.vhost = vhost.to_owned();
        assert_eq!(url.relay_url("o", 1936), relay, "{tc_url} {name} {vhost}");
    }
    let url = StreamUrl::parse("rtmp://1.2.3.4/live", "s").unwrap();
    assert_eq!(url.relay_url("::1", 1935), "rtmp://[::1]:1935/live/s?vhost=1.2.3.4");
}

#[test]
fn our_client_names_the_vhost_in_its_tc_url() {
    for (whole, tc_url, stream) in [
        ("rtmp://o:1935/live/s", "rtmp://o/live", "s"),
        ("rtmp://o:1936/live/s?vhost=v.com", "rtmp://v.com:1936/live", "s"),
        ("rtmp://o/live/s?k=v&vhost=v.com", "rtmp://v.com/live", "s?k=v"),
        ("rtmp://o/live/s?vhost=v.com&k=v", "rtmp://v.com/live", "s?k=v"),
        ("rtmp://o/a/b/s?k=v&vhost=v.com&l=w", "rtmp://v.com/a/b", "s?k=v&l=w"),
        ("rtmp://[::1]:1936/live/s", "rtmp://[::1]:1936/live", "s"),
    ] {
        let mut url = StreamUrl::parse_whole(whole).unwrap();
        assert_eq!(
            (url.outgoing_tc_url().as_str(), url.outgoing_stream().as_str()),
            (tc_url, stream)
        );
        let known = StreamUrl::parse(&url.outgoing_tc_url(), &url.outgoing_stream()).unwrap();
        assert_eq!(
            known.stream_url(),
            url.stream_url(),
            "the other server finds the same stream"
        );
        url.vhost = DEFAULT_VHOST.to_owned();
        assert!(url.outgoing_tc_url().contains(&bracketed(&url.host)));
    }
}

#[test]
fn local_programs_find_the_vhost() {
    let url = StreamUrl::parse("rtmp://h/live", "s?k=v").unwrap();
    assert_eq!(url.loopback_url(1935), "rtmp://127.0.0.1:1935/live?vhost=h/s?k=v");
    let url = StreamUrl::parse("rtmp://h/live", "s").unwrap();
    assert_eq!(
        StreamUrl::parse_whole(&url.loopback_url(1935)).unwrap().stream_url(),
        "h/live/s"
    );
}

#[test]
fn query_pieces_pair_up() {
    let items = |query| query_items(query).collect::<Vec<_>>();
    assert_eq!(items("a=1&b=2"), [("a", "1"), ("b", "2")]);
    assert_eq!(items("a=1&&b=2;c,3"), [("a", "1"), ("b", "2"), ("c", "3")]);
    assert_eq!(items("a=&b"), [("a", ""), ("b", "")]);
    assert_eq!(items("flag&a=1"), [("flag", "a"), ("1", "")]);
    assert_eq!(items("t=Zg=="), [("t", "Zg"), ("", "")]);
    assert_eq!(items(""), [("", "")]);
    assert_eq!(query_value("a=1&b=2&a=3", "a"), Some("3"));
    assert_eq!(query_value("a=1", "b"), None);
}

#[test]
fn any_text_gives_an_address_or_an_error() {
    let mut random = fastrand::Rng::with_seed(0x0715);
    let pieces = [
        "rtmp://",
        "h",
        "/",
        "?",
        "#",
        "&",
        "=",
        ":",
        "1935",
        "...vhost...",
        "vhost=",
        "/_definst_",
        "[",
        "]",
        "@",
        " ",
        "\r\n",
        ".",
        "é",
        "\u{fffd}",
        "%2f",
        ";",
        ",",
        "__defaultVhost__",
    ];
    for _ in 0..5000 {
        let mut text = |most: usize| -> String {
            let count = random.usize(..most);
            (0..count).map(|_| pieces[random.usize(..pieces.len())]).collect()
        };
        let (tc_url, name) = (format!("rtmp://{}", text(10)), text(8));
        if let Ok(url) = StreamUrl::parse(&tc_url, &name) {
            assert!(!url.vhost.is_empty() && !url.app.is_empty() && !url.stream.is_empty() && url.port > 0);
            let names = [&url.host, &url.vhost, &url.app, &url.stream];
            assert!(names.iter().all(|name| !name.contains(is_stripped)), "{url:?}");
            url.stream_url();
            url.relay_url("o", 1935);
            url.outgoing_tc_url();
            url.outgoing_stream();
        }
    }
}
