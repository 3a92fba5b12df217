//! What configurations amount to.

use super::super::host::Host;
use super::super::load::{LoadOptions, load};
use super::*;

fn effective_with(text: &str, vars: &[(&str, &str)], host: Host) -> Effective {
    let env = |name: &str| {
        let found = vars.iter().find(|(var, _)| *var == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let read = |_: &std::path::Path| Ok(text.as_bytes().to_vec());
    let options = LoadOptions {
        path: Some("conf/a.conf".into()),
        env_only: false,
        env: &env,
        host,
        read_file: &read,
    };
    let loaded = load(&options).unwrap();
    Effective::of(&loaded.tree, Env::new(&env, false), &host, 0..usize::MAX)
}

/// The lines that tell of these names, without what is before them.
fn lines(effective: &Effective, names: &[&str]) -> Vec<String> {
    let text = effective.to_string();
    let of = |line: &&str| {
        let name = line
            .trim_start_matches('#')
            .split([' ', ';'])
            .next()
            .unwrap_or_default();
        names.contains(&name)
    };
    text.lines()
        .map(str::trim_start)
        .filter(of)
        .map(str::to_owned)
        .collect()
}

#[test]
fn everybody_who_gives_a_value_is_named() {
    let text = "listen 1935 1936;\nmax_connections 10;\nvhost a {\n  play { gop_cache off; }\n}\n";
    let vars = [("SRS_MAX_CONNECTIONS", "20"), ("SRS_VHOST_PLAY_QUEUE_LENGTH", "7")];
    let effective = effective_with(text, &vars, Host::TEST);
    let names = [
        "listen",
        "max_connections",
        "vhost",
        "play",
        "gop_cache",
        "queue_length",
        "server_id",
    ];
    let found = lines(&effective, &names);
    for line in [
        "#server_id; # default",
        "max_connections 20; # env SRS_MAX_CONNECTIONS",
        "listen 1935 1936; # conf/a.conf:1",
        "vhost a { # conf/a.conf:3",
        "play { # conf/a.conf:4",
        "gop_cache off; # conf/a.conf:4",
        "queue_length 7; # env SRS_VHOST_PLAY_QUEUE_LENGTH",
    ] {
        assert!(found.iter().any(|found| found == line), "{line} in {found:#?}");
    }
}

#[test]
fn values_are_what_holds_not_what_was_said() {
    let text = "listen 1935; pithy_print_ms 10s; chunk_size 7; vhost a { min_latency on; play { gop_cache yes; } \
                hls { hls_td_ratio 1x; hls_fragment 2.5s; } } \
                vhost a { tcp_nodelay on; } vhost b { play { mw_msgs 500; mw_latency 7; } }";
    let names = [
        "pithy_print_ms",
        "chunk_size",
        "gop_cache",
        "mw_latency",
        "mw_msgs",
        "tcp_nodelay",
        "hls_td_ratio",
    ];
    assert_eq!(
        lines(&effective_with(text, &[], Host::TEST), &names),
        [
            "pithy_print_ms 10; # conf/a.conf:1",
            "chunk_size 128; # conf/a.conf:1: held to what RTMP allows",
            "tcp_nodelay off; # default",
            "chunk_size 128; # default: chunk_size",
            "gop_cache on; # conf/a.conf:1",
            "mw_latency 0; # default: min_latency",
            "mw_msgs 0; # default: min_latency",
            "hls_td_ratio 1.0; # conf/a.conf:1: no number",
            "tcp_nodelay off; # default",
            "chunk_size 128; # default: chunk_size",
            "gop_cache on; # default",
            "mw_latency 7; # conf/a.conf:1",
            "mw_msgs 128; # conf/a.conf:1: the most that is allowed",
            "hls_td_ratio 1.0; # default",
        ]
    );
}

#[test]
fn a_container_changes_what_holds() {
    let host = Host {
        in_docker: true,
        ..Host::TEST
    };
    let found = lines(
        &effective_with("listen 1;\ndaemon on;", &[], host),
        &["daemon", "srs_log_tank", "in_docker"],
    );
    assert_eq!(
        found,
        [
            "srs_log_tank console; # default: in a container",
            "daemon off; # conf/a.conf:2: in a container",
            "in_docker on; # default: in a container",
        ]
    );
}

#[test]
fn secrets_are_hidden() {
    let text = "listen 1; http_api { auth { username me; password hunter2; } } registry { password hunter2; }
        vhost a { exec { publish ./x hunter2; publish ./y hunter2; } token { key hunter2hunter2hunter2; }
            forward { destination rtmp://hunter2@h/live?key=hunter2; }
            ingest i { engine { perfile { i http://h/?hunter2; } } } }";
    let vars = [("SRS_SRT_SERVER_PASSPHRASE", "hunter2hunter2")];
    let effective = effective_with(text, &vars, Host::TEST);
    let shown = effective.to_string();
    assert!(!shown.contains("hunter2"), "{shown}");
    let names = ["username", "password", "publish", "passphrase", "destination", "i"];
    assert_eq!(
        lines(&effective, &names)
            .iter()
            .map(|line| line.split(" # ").next().unwrap_or_default())
            .collect::<Vec<_>>(),
        [
            "username me;",
            "password ***;",
            "passphrase ***;",
            "#username;",
            "password ***;",
            "destination rtmp://***@h/live?key=***;",
            "publish {",
            "#publish;",
            "publish ***;",
            "publish ***;",
            "i http://h/?***;",
        ]
    );
}

#[test]
fn blocks_of_one_kind_are_told_apart() {
    let text = "listen 1; stream_caster { caster flv; } stream_caster { caster rtsp; } vhost v.com { ingest a { } ingest b { } }
        vhost w.com { }";
    let effective = effective_with(text, &[], Host::TEST);
    let values = effective.values();
    let found = |path: &str| -> Vec<(&str, String)> {
        let of = values.iter().filter(|(_, value)| value.path() == path);
        of.map(|(place, value)| (place.as_str(), value.words.join(" ")))
            .collect()
    };
    let pair = |place, value: &str| (place, value.to_owned());
    assert_eq!(
        found("stream_caster.caster"),
        [pair("stream_caster #1", "flv"), pair("stream_caster #2", "rtsp")]
    );
    assert_eq!(
        found("vhost.ingest.enabled"),
        [pair("vhost v.com ingest a", "off"), pair("vhost v.com ingest b", "off")]
    );
    assert_eq!(
        found("vhost.enabled"),
        [pair("vhost v.com", "on"), pair("vhost w.com", "on")]
    );
    assert_eq!(found("listen"), [pair("", "1")]);
    assert_eq!(effective.vhosts, 2);
}

#[test]
fn what_does_nothing_is_left_out_unless_somebody_gave_it() {
    let shown = |text: &str| {
        lines(
            &effective_with(text, &[], Host::TEST),
            &["candidate", "tcmalloc_release_rate"],
        )
    };
    assert_eq!(shown("listen 1;"), [""; 0]);
    assert_eq!(
        shown("listen 1; rtc_server { candidate *; } tcmalloc_release_rate 0.5;"),
        [
            "tcmalloc_release_rate 0.5; # conf/a.conf:1",
            "candidate *; # conf/a.conf:1"
        ]
    );
}
