//! The HTTP servers, their API, the exporter and what is served there, changed beside connections that stay.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::site::{Endless, Site, get, head};
use crate::support::bystander::Bystander;
use crate::support::flv::Tag;
use crate::support::port::Port;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

fn accepts(port: &Port) -> bool {
    TcpStream::connect(("127.0.0.1", port.number())).is_ok()
}

/// The configuration with these blocks in place of those of the site.
fn text(site: &Site, http_server: &str, http_api: &str) -> String {
    let globals = format!("http_server {{ {http_server} }}\nhttp_api {{ {http_api} }}\n");
    let setup = Setup::default().globals(&globals).vhost("");
    setup.configuration(site.server.port())
}

const RAW: &str = "raw_api { enabled on; allow_reload on; }";

#[test]
fn the_server_of_files_moves_and_changes() {
    let site = Site::start("", "");
    let stays = Bystander::start(site.server.port());
    let (media, second, both) = (Port::free(), Port::free(), site.http.number());
    for folder in ["one", "two"] {
        fs::create_dir_all(site.server.file(folder)).expect("a folder");
        fs::write(site.server.file(folder).join("a.txt"), folder).expect("a file");
    }
    let api = format!("enabled on; listen 127.0.0.1:{both}; {RAW}");
    let reload = |port: u16, more: &str| {
        let server = format!("enabled on; listen 127.0.0.1:{port}; {more}");
        site.reload_text(&text(&site, &server, &api));
    };
    for folder in ["one", "two"] {
        reload(both, &format!("dir ./{folder};"));
        assert_eq!(get(both, "/a.txt"), (200, folder.to_owned()), "http_server.dir");
    }
    for (crossdomain, is_there) in [("off", false), ("on", true)] {
        reload(both, &format!("crossdomain {crossdomain};"));
        let told = head(both, "/api/v1/versions", "Origin: http://b.com\r\n");
        let is_told = told.contains("Access-Control-Allow-Origin");
        assert_eq!(is_told, is_there, "http_server.crossdomain {crossdomain}: {told}");
    }
    reload(media.number(), "dir ./one;");
    assert_eq!(
        get(media.number(), "/a.txt"),
        (200, "one".to_owned()),
        "http_server.listen"
    );
    // The API answers what it does not know with a list of what it does.
    wait_for("http_server.listen to leave the API alone", 5, || {
        get(both, "/a.txt").1.contains("urls").then_some(())
    });
    reload(second.number(), "dir ./two;");
    assert_eq!(
        get(second.number(), "/a.txt"),
        (200, "two".to_owned()),
        "http_server.listen again"
    );
    wait_for("http_server.listen to leave the old port", 5, || {
        (!accepts(&media)).then_some(())
    });
    site.reload_text(&text(&site, "enabled off;", &api));
    wait_for("http_server.enabled off", 5, || (!accepts(&second)).then_some(()));
    stays.finish();
}

#[test]
fn the_api_moves_and_is_open_to_others() {
    let site = Site::start("", "");
    let stays = Bystander::start(site.server.port());
    let (api, both) = (Port::free(), site.http.number());
    let reload = |settings: &str| site.reload_unseen(&text(&site, "enabled off;", settings));
    for (more, allowed) in [
        ("raw_api { enabled off; allow_reload on; }", false),
        ("raw_api { enabled on; allow_reload off; }", false),
        (RAW, true),
    ] {
        reload(&format!("enabled on; listen 127.0.0.1:{both}; {more}"));
        let before = site.server.log().matches("reload success").count();
        let (_, body) = get(both, "/api/v1/raw?rpc=reload");
        assert_eq!(body.contains("\"code\":0"), allowed, "http_api.{more}: {body}");
        if allowed {
            site.server.wait_for_lines(before + 1, &["reload success"]);
        }
    }
    for (user, password) in [("a", "b"), ("a", "c"), ("d", "c")] {
        let auth = format!("auth {{ enabled on; username {user}; password {password}; }}");
        reload(&format!("enabled on; listen 127.0.0.1:{both}; {auth}"));
        // a:b, a:c and d:c.
        for (known, authorization) in [("a b", "YTpi"), ("a c", "YTpj"), ("d c", "ZDpj")] {
            let field = format!("Authorization: Basic {authorization}\r\n");
            let is_let_in = head(both, "/api/v1/versions", &field).starts_with("HTTP/1.1 200 ");
            let is_right = known == format!("{user} {password}");
            assert_eq!(is_let_in, is_right, "http_api.auth.enabled on, {auth}: {known}");
        }
    }
    reload(&format!("enabled on; listen 127.0.0.1:{};", api.number()));
    assert_eq!(
        get(api.number(), "/api/v1/versions").0,
        200,
        "http_api.listen, auth.enabled off"
    );
    wait_for("http_api.listen to leave the old port", 5, || {
        (!accepts(&site.http)).then_some(())
    });
    reload(&format!("enabled off; listen 127.0.0.1:{};", api.number()));
    wait_for("http_api.enabled off", 5, || (!accepts(&api)).then_some(()));
    stays.finish();
}

#[test]
fn the_exporter_and_proxies_are_those_of_the_new_file() {
    let site = Site::start("", "http_remux { enabled on; }");
    let stays = Bystander::start(site.server.port());
    let ports = [Port::free(), Port::free()];
    for (port, label, tag) in [(0, "a", "b"), (1, "c", "b"), (1, "c", "d")] {
        let listen = ports[port].number();
        let block = format!("exporter {{ enabled on; listen 127.0.0.1:{listen}; label {label}; tag {tag}; }}\n");
        site.reload(&block, "http_remux { enabled on; }");
        let (_, page) = get(listen, "/metrics");
        assert!(page.contains(&format!("label=\"{label}\"")), "exporter.label {label}");
        assert!(page.contains(&format!("tag=\"{tag}\"")), "exporter.tag {tag}");
    }
    wait_for("exporter.listen to leave the old port", 5, || {
        (!accepts(&ports[0])).then_some(())
    });
    site.reload("", "http_remux { enabled on; }");
    wait_for("exporter.enabled off", 5, || (!accepts(&ports[1])).then_some(()));

    // Whether the API has a player over HTTP at this address.
    let is_at = |proxies: &str, address: &str| {
        site.reload(proxies, "http_remux { enabled on; }");
        let mut player = TcpStream::connect(("127.0.0.1", site.http.number())).expect("connect");
        let request = "GET /live/bystander.flv HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n";
        player.write_all(request.as_bytes()).expect("ask");
        player.read_exact(&mut [0; 64]).expect("FLV");
        let (_, body) = get(site.http.number(), "/api/v1/clients/");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        let mut clients = answer["clients"].as_array().expect("clients").iter();
        clients.any(|client| client["type"] == "flv-play" && client["ip"] == address)
    };
    assert!(!is_at("", "192.0.2.9"), "without trusted_proxies");
    assert!(is_at("trusted_proxies 127.0.0.0/8;\n", "192.0.2.9"), "trusted_proxies");
    stays.finish();
}

/// The first bytes of a stream over HTTP, head left out; as much as comes in a moment.
fn played(port: u16, target: &str) -> Vec<u8> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    socket
        .set_read_timeout(Some(Duration::from_millis(150)))
        .expect("set a time limit");
    write!(socket, "GET {target} HTTP/1.0\r\nHost: a\r\n\r\n").expect("ask");
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = socket.read(&mut part) {
        answer.extend(&part[..count]);
        if answer.len() > 30_000 {
            break;
        }
    }
    let begin = answer
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .map_or(0, |at| at + 4);
    answer.split_off(begin)
}

#[test]
fn streams_over_http_begin_by_the_new_settings() {
    let remux = |more: &str| format!("min_latency on; http_remux {{ enabled on; {more} }}");
    let site = Site::start("", &remux(""));
    let stays = Bystander::start(site.server.port());
    let alone = Endless::of(site.publish_bare("sound"), Duration::from_millis(50), |number| {
        Tag::sound(number, 50)
    });
    // The flags of an FLV header: 4 is sound, 1 is pictures.
    let flags = |settings: &str| {
        site.reload("", &remux(settings));
        wait_for("FLV", 10, || {
            played(site.http.number(), "/live/bystander.flv").get(4).copied()
        })
    };
    assert_eq!(flags("guess_has_av on;"), 1, "http_remux.guess_has_av on");
    assert_eq!(flags("guess_has_av off;"), 5, "http_remux.guess_has_av off");
    assert_eq!(flags("guess_has_av off; has_audio off;"), 1, "http_remux.has_audio off");
    assert_eq!(flags("guess_has_av off; has_video off;"), 4, "http_remux.has_video off");
    let pictures = |settings: &str| {
        site.reload("", &remux(settings));
        let bytes = played(site.http.number(), "/live/bystander.flv");
        // The first tag after the header and the size before it.
        bytes.get(13) == Some(&9)
    };
    let declared = "guess_has_av off; has_video off;";
    assert!(
        !pictures(&format!("{declared} drop_if_not_match on;")),
        "http_remux.drop_if_not_match on"
    );
    assert!(
        pictures(&format!("{declared} drop_if_not_match off;")),
        "http_remux.drop_if_not_match off"
    );

    // Sound that is kept for those who come: two seconds of it are forty frames at once.
    let at_once = |settings: &str| {
        site.reload("", &remux(&format!("mount [vhost]/[app]/[stream].aac; {settings}")));
        let mut socket = TcpStream::connect(("127.0.0.1", site.http.number())).expect("connect");
        write!(socket, "GET /live/sound.aac HTTP/1.0\r\nHost: a\r\n\r\n").expect("ask");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("set a time limit");
        let mut part = [0; 16_384];
        let mut count = 0;
        while count < 400 {
            count += socket.read(&mut part[count..]).expect("sound");
        }
        count
    };
    site.reload("", &remux("mount [vhost]/[app]/[stream].aac; fast_cache 2;"));
    wait_for("http_remux.fast_cache 2 to keep sound", 15, || {
        (at_once("fast_cache 2;") > 2000).then_some(())
    });
    assert!(at_once("fast_cache 0;") < 2000, "http_remux.fast_cache 0");

    site.reload("", "min_latency on; http_remux { enabled off; }");
    assert_eq!(
        get(site.http.number(), "/live/sound.aac").0,
        404,
        "http_remux.enabled off"
    );
    alone.finish();
    stays.finish();
}

#[test]
fn mounts_of_files_come_and_go() {
    let site = Site::start("", "");
    let stays = Bystander::start(site.server.port());
    for folder in ["one", "two"] {
        fs::create_dir_all(site.server.file(folder)).expect("a folder");
        fs::write(site.server.file(&format!("{folder}/a.txt")), folder).expect("a file");
    }
    let status = |path: &str| get(site.http.number(), path);
    assert_eq!(status("/vod/a.txt").0, 404);
    let files = |switch: &str, mount: &str, folder: &str| {
        let block = format!("http_static {{ enabled {switch}; mount [vhost]/{mount}; dir ./{folder}; }}");
        site.reload("", &block);
    };
    files("on", "vod/", "one");
    assert_eq!(status("/vod/a.txt"), (200, "one".to_owned()), "http_static.enabled on");
    files("on", "vod/", "two");
    assert_eq!(status("/vod/a.txt"), (200, "two".to_owned()), "http_static.dir");
    files("on", "demand/", "two");
    assert_eq!(status("/demand/a.txt").0, 200, "http_static.mount");
    assert_eq!(status("/vod/a.txt").0, 404, "http_static.mount: not at the old one");
    files("off", "demand/", "two");
    assert_eq!(status("/demand/a.txt").0, 404, "http_static.enabled off");
    stays.finish();
}
