//! Who may connect, publish and play is decided anew for those who come; who is there already stays.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::site::{Endless, Site, head, send};
use crate::support::amf::Amf;
use crate::support::bandcheck::Tester;
use crate::support::bystander::Bystander;
use crate::support::callbacks::{Callbacks, body, yes};
use crate::support::program::run;
use crate::support::rtmp::Rtmp;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

const REMUX: &str = "http_remux { enabled on; }";

#[test]
fn who_may_is_asked_anew_of_new_clients_only() {
    let site = Site::start_with(Setup::default().allow_error("serve error"), "", "");
    let stays = Bystander::start(site.server.port());
    for refusing in [
        "security { enabled on; deny play all; }",
        "refer { enabled on; play example.com; }",
        "token { enabled on; need play; key 0123456789abcdef0123456789abcdef; }",
        "http_hooks { enabled on; on_play http://127.0.0.1:1/; }",
        "enabled on; bandcheck { enabled on; key x; }",
    ] {
        site.reload("", "");
        assert!(site.may_play(), "before {refusing}");
        site.reload("", refusing);
        assert!(!site.may_play(), "{refusing}");
        stays.assert_flows();
    }
    site.reload("", "");
    stays.finish();
}

/// Whether a client that comes from this page may play and publish.
fn may(site: &Site, page: &str) -> (bool, bool) {
    let port = site.server.port();
    let tc_url = format!("rtmp://127.0.0.1:{port}/live");
    let connect = || Rtmp::connect_from(port, "live", &tc_url, page);
    let plays = connect().and_then(|client| client.play("bystander"));
    let plays = plays.and_then(|mut player| player.wait_for_media());
    let other = format!("other{}", fastrand::u32(..));
    let publishes = connect().and_then(|client| client.publish("live", &other));
    (plays.is_ok(), publishes.is_ok())
}

#[test]
fn the_rules_for_addresses_and_pages_are_the_new_ones() {
    let site = Site::start_with(Setup::default().allow_error("serve error"), "", REMUX);
    let stays = Bystander::start(site.server.port());
    let (both, neither, plays, publishes) = ((true, true), (false, false), (true, false), (false, true));
    for (rules, from_a, from_b) in [
        ("", both, both),
        ("security { enabled on; deny publish all; }", plays, plays),
        (
            "security { enabled on; allow publish 127.0.0.1; }",
            publishes,
            publishes,
        ),
        ("security { enabled on; }", neither, neither),
        ("security { enabled off; deny play all; }", both, both),
        ("refer { enabled on; all a.com; }", both, neither),
        ("refer { enabled on; play a.com; }", both, publishes),
        ("refer { enabled on; publish a.com; }", both, plays),
        ("refer { enabled off; all c.com; }", both, both),
    ] {
        site.reload("", &format!("{rules} {REMUX}"));
        assert_eq!(may(&site, "http://a.com/"), from_a, "from a.com: {rules:?}");
        assert_eq!(may(&site, "http://b.com/"), from_b, "from b.com: {rules:?}");
    }
    for (http, status) in [("http off;", "200"), ("http on;", "403")] {
        site.reload("", &format!("refer {{ enabled on; {http} play a.com; }} {REMUX}"));
        let answer = head(site.http.number(), "/live/bystander.flv", "Referer: http://b.com/\r\n");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "refer.{http} {answer}"
        );
    }
    stays.finish();
}

fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time after 1970").as_secs()
}

fn shell(site: &Site, script: &str) -> String {
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(site.server.folder());
    let output = run("bash", site.server.folder(), 20, &mut command).ok().output;
    output.trim().to_owned()
}

/// The stream with the query of a signed URL for playing, that ended so many seconds ago.
fn signed(site: &Site, key: &str, ago: u64, ip: &str) -> String {
    let expires = unix_now() - ago;
    let text = format!("{expires} play {ip} /live/bystander");
    let sign = format!("printf '%s' '{text}' | openssl dgst -sha256 -hmac {key} | awk '{{print $NF}}'");
    format!("bystander?expires={expires}&sign={}", shell(site, &sign))
}

#[test]
fn tokens_are_checked_by_the_new_keys_and_rules() {
    const OLD: &str = "an-old-key-of-this-test";
    const NEW: &str = "a-new-key-of-this-test";
    let site = Site::start_with(Setup::default().allow_error("token: "), "", "");
    // It stays without a token, from before.
    let stays = Bystander::start(site.server.port());
    let plays = |stream: &str| site.play_if_it_may(stream);
    let token = |rules: &str| site.reload("", &format!("token {{ enabled on; {rules} }}"));
    token(&format!("key {OLD};"));
    let (old, new) = (signed(&site, OLD, 0, "-"), signed(&site, NEW, 0, "-"));
    assert!(plays(&signed(&site, OLD, 0, "-")), "token.key as signed");
    assert!(!plays(&new) && !plays("bystander"), "token.enabled on");
    assert!(!site.may_publish("other"), "token.need play publish");
    token(&format!("key {NEW}; clock_skew 600;"));
    assert!(plays(&new) && !plays(&old), "token.key is the new one");
    token(&format!("need publish; key {NEW};"));
    assert!(plays("bystander"), "token.need publish");

    fs::write(site.server.file("token.key"), format!("{OLD}\n")).expect("write a key file");
    token("key_file ./token.key; clock_skew 600;");
    assert!(plays(&old) && !plays(&new), "token.key_file");
    let late = signed(&site, OLD, 100, "-");
    assert!(plays(&late), "token.clock_skew 600");
    token("key_file ./token.key; clock_skew 0;");
    assert!(!plays(&late), "token.clock_skew 0");
    token("key_file ./token.key; clock_skew 600; bind_ip on;");
    assert!(!plays(&old), "token.bind_ip on: without an address");
    assert!(plays(&signed(&site, OLD, 0, "127.0.0.1")), "token.bind_ip on");
    #[cfg(feature = "jwt")]
    public_keys(&site);
    site.reload("", "token { enabled off; }");
    assert!(plays("bystander"), "token.enabled off");
    stays.finish();
}

#[cfg(feature = "jwt")]
fn public_keys(site: &Site) {
    shell(
        site,
        "for n in one two; do openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out $n.key; \
         openssl pkey -in $n.key -pubout -out $n.pem; done",
    );
    let claims = format!(
        r#"{{"exp":{},"action":"play","stream":"/live/bystander"}}"#,
        unix_now() + 60
    );
    let token = shell(
        site,
        &format!(
            "code() {{ openssl base64 -A | tr '+/' '-_' | tr -d =; }}; \
             text=$(printf '{{\"alg\":\"RS256\"}}' | code).$(printf '%s' '{claims}' | code); \
             printf '%s' \"$text\" | openssl dgst -sha256 -sign two.key -binary | code | sed \"s/^/$text./\""
        ),
    );
    let stream = format!("bystander?token={token}");
    for (file, expected) in [("one", false), ("two", true)] {
        site.reload("", &format!("token {{ enabled on; public_key_file ./{file}.pem; }}"));
        assert_eq!(site.play_if_it_may(&stream), expected, "token.public_key_file {file}");
    }
}

#[test]
fn bandwidth_tests_begin_by_the_new_rules() {
    let site = Site::start_with(Setup::default().allow_error("code=103"), "", "");
    let stays = Bystander::start(site.server.port());
    let port = site.server.port();
    let reload = |rules: &str| {
        let check = format!("vhost __defaultVhost__ {{ }} vhost check {{ bandcheck {{ {rules} }} }}");
        site.reload_vhosts("", &check);
    };
    let begins = |key: &str| Tester::connect(port, "check", key, "").is_ok();
    reload("enabled on; key one; interval 3600;");
    assert!(!begins("two"), "bandcheck.key one");
    assert!(begins("one"), "bandcheck.enabled on");
    assert!(!begins("one"), "bandcheck.interval 3600: too soon");
    reload("enabled on; key two; interval 0; limit_kbps 20;");
    assert!(!begins("one"), "bandcheck.key two");
    let mut tester = Tester::connect(port, "check", "two", "").expect("bandcheck.interval 0");
    tester.begin_play().expect("the test begins");
    let ended = tester
        .client
        .receive_until(|message| message.name().as_deref() == Some("onSrsBandCheckStopPlayBytes"));
    let values = ended.expect("the end of the first half").values();
    let bytes = values
        .last()
        .and_then(|told| told.get("bytes_delta"))
        .and_then(Amf::as_number);
    // Three seconds of it, where the default allows 375 kB.
    assert!(
        bytes.is_some_and(|bytes| bytes < 60_000.0),
        "bandcheck.limit_kbps 20: {bytes:?}"
    );
    reload("enabled off; key two;");
    let client = Rtmp::connect_as(port, "live", "rtmp://check/live");
    let publishes = client.and_then(|client| client.publish("live", "s"));
    assert!(publishes.is_ok(), "bandcheck.enabled off: a vhost like others");
    stays.finish();
}

#[test]
fn callbacks_go_to_the_new_urls() {
    let (old, new) = (Callbacks::start(yes), Callbacks::start(yes));
    let files = "dvr { enabled on; dvr_path ./[stream].[timestamp].flv; dvr_plan segment; dvr_duration 1; }
        hls { enabled on; hls_path ./html; hls_fragment 1; }";
    let hooks = |callbacks: &Callbacks, switch: &str| {
        let more = ["on_dvr", "on_hls"].map(|event| format!("{event} http://127.0.0.1:{}/{event};", callbacks.port));
        let notify = format!("on_hls_notify http://127.0.0.1:{}/notify/[stream];", callbacks.port);
        let block = callbacks.block().replace("enabled on;", &format!("enabled {switch};"));
        let block = block.replacen('{', &format!("{{ {} {notify} ", more.concat()), 1);
        format!("{block} {files}")
    };
    let site = Site::start("", &hooks(&old, "on"));
    let mut publisher = site.publish("s");
    send(&mut publisher, 0..10);
    let player = site.play("s");
    wait_for("on_play", 10, || {
        old.actions().contains(&"on_play".to_owned()).then_some(())
    });
    let before = old.actions();
    assert_eq!(before, ["on_connect", "on_publish", "on_connect", "on_play"]);

    // For who is there already: files, and the end.
    site.reload("", &hooks(&new, "on"));
    for begin in [10, 60, 110] {
        send(&mut publisher, begin..begin + 50);
        // Files are named by the time.
        thread::sleep(Duration::from_millis(50));
    }
    let told = |event: &str| {
        wait_for(&format!("http_hooks.{event} at the new URL"), 15, || {
            new.actions().iter().any(|action| action == event).then_some(())
        });
    };
    told("on_hls");
    told("on_dvr");
    wait_for("http_hooks.on_hls_notify at the new URL", 15, || {
        let asked = new.asked.lock().expect("the record");
        asked
            .iter()
            .any(|(target, _)| target.starts_with("/notify/s"))
            .then_some(())
    });
    drop(player);
    told("on_stop");
    told("on_close");
    drop(publisher);
    told("on_unpublish");
    // For who comes.
    let mut publisher = site.publish("t");
    send(&mut publisher, 0..10);
    told("on_connect");
    told("on_publish");
    let _player = site.play("t");
    told("on_play");
    assert_eq!(old.actions(), before, "nothing more comes to the old URLs");

    site.reload("", &hooks(&new, "off"));
    let count = new.actions().len();
    let mut late = site.publish("u");
    send(&mut late, 0..10);
    assert_eq!(new.actions().len(), count, "http_hooks.enabled off");
}

#[test]
fn callbacks_decide_about_forwards_anew() {
    let target = Setup::default().vhost("min_latency on;").start();
    let urls = Callbacks::start(|target| {
        let (port, stream) = target.strip_prefix('/')?.split_once('/')?;
        let url = format!("rtmp://127.0.0.1:{port}/live/{stream}");
        Some(body(&format!(r#"{{"code":0,"data":{{"urls":["{url}"]}}}}"#)))
    });
    let site = Site::start("", "min_latency on;");
    let publisher = Endless::start(site.publish("s"));
    let copy = |stream: &str| {
        let player = Rtmp::connect(target.port(), "live").and_then(|client| client.play(stream));
        let mut player = player.expect("play the copy");
        player
            .wait_for_media()
            .unwrap_or_else(|e| panic!("the copy {stream}: {e}"));
    };
    let forward = |settings: &str| site.reload("", &format!("min_latency on; forward {{ {settings} }}"));
    let backend = |stream: &str| {
        let url = format!("http://127.0.0.1:{}/{}/{stream}", urls.port, target.port());
        forward(&format!("enabled on; backend {url};"));
    };
    backend("one");
    copy("one");
    backend("two");
    copy("two");
    site.server.wait_for_line(&["forward to rtmp://", "ends"]);
    forward(&format!(
        "enabled on; destination rtmp://127.0.0.1:{}/live/three;",
        target.port()
    ));
    copy("three");
    site.server.wait_for_lines(2, &["forward to rtmp://", "ends"]);
    forward("enabled off; destination 127.0.0.1:1;");
    site.server.wait_for_lines(3, &["forward to rtmp://", "ends"]);
    publisher.finish();
}
