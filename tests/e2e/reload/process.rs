//! What is the whole server's: its log, its limits, its reports, and files that the configuration includes.

use std::fs;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::site::{Endless, Site, next_frame, send};
use crate::support::bystander::Bystander;
use crate::support::callbacks::{Callbacks, yes};
use crate::support::port::Port;
use crate::support::rtmp::Rtmp;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

/// The configuration with these log directives in place of those of the tests.
fn logging(site: &Site, log: &str, globals: &str, vhost: &str) -> String {
    let text = Setup::default()
        .globals(&site.globals)
        .globals(globals)
        .vhost(vhost)
        .configuration(site.server.port());
    text.replace("srs_log_tank console;", log)
}

#[test]
fn the_log_moves_and_tells_more_or_less() {
    let vhost = "min_latency on;";
    let site = Site::start("", vhost);
    let (mut publisher, mut player) = (site.publish("s"), site.play("s"));
    send(&mut publisher, 0..1);
    next_frame(&mut player);
    for name in ["one.log", "two.log"] {
        site.reload_text(&logging(
            &site,
            &format!("srs_log_tank file; srs_log_file ./{name};"),
            "",
            vhost,
        ));
        site.wait_for_text(name, &["reload success"]);
    }
    let read = |name: &str| fs::read_to_string(site.server.file(name)).unwrap_or_default();
    let before = read("one.log").len();
    // Each reload writes lines of the levels info and, with these, debug.
    for (file, level, told, not_told) in [
        ("debug.log", "srs_log_level_v2 debug;", "play settings have changed", ""),
        (
            "info.log",
            "srs_log_level_v2 info;",
            "reload success",
            "play settings have changed",
        ),
        ("warn.log", "srs_log_level_v2 warn;", "", "reload success"),
        ("old.log", "srs_log_level info;", "play settings have changed", ""),
        ("old-error.log", "srs_log_level error;", "", "reload success"),
    ] {
        let log = format!("srs_log_tank file; srs_log_file ./{file}; {level}");
        // The player tells of its settings when the next one is in force.
        site.reload_text(&logging(&site, &log, "", "min_latency on; tcp_nodelay on;"));
        site.reload_text(&logging(&site, &log, "", vhost));
        let number = fastrand::u32(50..1_000_000);
        send(&mut publisher, number..number + 1);
        next_frame(&mut player);
        if !told.is_empty() {
            site.wait_for_text(file, &[told]);
        }
        let text = read(file);
        assert!(not_told.is_empty() || !text.contains(not_told), "{level} {text}");
    }
    site.wait_for_text("debug.log", &["play settings have changed", "tcp_nodelay=1"]);
    assert_eq!(
        read("one.log").len(),
        before,
        "srs_log_file: nothing comes to the one before"
    );
    site.reload_text(&logging(&site, "srs_log_tank console;", "pithy_print_ms 1;\n", vhost));
    send(&mut publisher, 1..3);
    site.server.wait_for_line(&["<- CPB"]);
}

/// Whether the server takes a connection and keeps it.
fn takes(site: &Site) -> bool {
    Rtmp::open(site.server.port()).is_ok()
}

#[test]
fn limits_are_for_who_comes() {
    let site = Site::start("", "");
    let stays = Bystander::start(site.server.port());
    let mut held: Vec<Rtmp> = (0..6)
        .map(|_| Rtmp::connect(site.server.port(), "live").expect("connect"))
        .collect();
    for (limit, released) in [
        ("max_connections 5;", "max_connections 100;"),
        (
            "limits { connections_per_ip 5; exempt 192.0.2.0/24; }",
            "limits { connections_per_ip 5; exempt 127.0.0.1; }",
        ),
        (
            "limits { new_connections_per_ip 1; }",
            "limits { new_connections_per_ip 10000; }",
        ),
    ] {
        let globals = format!("{limit}\n");
        let text = Setup::default().globals(&site.globals).globals(&globals).vhost("");
        site.reload_unseen(&text.configuration(site.server.port()));
        // Those who came before there was a limit for addresses are not counted.
        let mut others = Vec::new();
        wait_for(limit, 10, || match Rtmp::open(site.server.port()) {
            Ok(client) => {
                others.push(client);
                None
            }
            Err(_) => Some(()),
        });
        site.server
            .wait_for_line(&["is refused", limit.split([' ', ';']).next().unwrap_or_default()]);
        let globals = format!("{released}\n");
        let text = Setup::default().globals(&site.globals).globals(&globals).vhost("");
        site.reload_unseen(&text.configuration(site.server.port()));
        wait_for(released, 10, || takes(&site).then_some(()));
        for client in &mut held {
            assert!(client.is_open(), "who is there stays, with {limit}");
        }
    }
    stays.finish();
}

#[test]
fn reports_follow() {
    let (one, two) = (Callbacks::start(yes), Callbacks::start(yes));
    let site = Site::start("", "");
    let publisher = Endless::start(site.publish("s"));
    let beat = |to: &Callbacks, more: &str| {
        let url = format!("http://127.0.0.1:{}/beat", to.port);
        site.reload(&format!("heartbeat {{ enabled on; url {url}; {more} }}\n"), "");
    };
    let report = |from: &Callbacks, fits: &dyn Fn(&Value) -> bool| {
        wait_for("a report", 10, || {
            from.bodies().into_iter().next_back().filter(|body| fits(body))
        })
    };
    beat(&one, "interval 3600; device_id first;");
    let first = report(&one, &|_| true);
    assert_eq!(first["device_id"], "first", "heartbeat.enabled on, device_id");
    assert!(first["summaries"].is_null() && first["rtmp"].is_null());
    beat(&one, "interval 1; device_id second;");
    report(&one, &|body| body["device_id"] == "second");
    let count = one.bodies().len();
    wait_for("heartbeat.interval 1", 10, || {
        (one.bodies().len() > count + 1).then_some(())
    });
    beat(&one, "interval 1; summaries on;");
    report(&one, &|body| body["summaries"]["data"]["ok"] == true);
    beat(&one, "interval 1; ports on;");
    report(&one, &|body| body["rtmp"].is_array() && body["summaries"].is_null());
    beat(&two, "interval 1;");
    report(&two, &|_| true);
    let before = one.bodies().len();
    wait_for("heartbeat.url", 10, || (two.bodies().len() > 1).then_some(()));
    assert_eq!(
        one.bodies().len(),
        before,
        "heartbeat.url: nothing comes to the old one"
    );
    site.reload(
        &format!("heartbeat {{ enabled off; url http://127.0.0.1:{}/; }}\n", two.port),
        "",
    );
    // One may be under way.
    thread::sleep(Duration::from_millis(200));
    let before = two.bodies().len();
    thread::sleep(Duration::from_millis(1300));
    assert_eq!(two.bodies().len(), before, "heartbeat.enabled off");
    publisher.finish();
}

#[test]
fn included_files_count() {
    let setup = Setup::default().allow_error("reload failed").allow_error("serve error");
    let site = Site::start_with(setup, "", "");
    let stays = Bystander::start(site.server.port());
    let file = site.server.file("more.conf");
    let include = format!("include {};\n", file.display());
    fs::write(&file, "min_latency on;\n").expect("write");
    let vhosts = format!("vhost __defaultVhost__ {{ {include} }}\n");
    site.reload_vhosts("", &vhosts);
    assert!(site.may_play());
    fs::write(&file, "security { enabled on; deny play all; }\n").expect("write");
    site.reload_vhosts("", &vhosts);
    assert!(!site.may_play(), "what the included file says now");
    stays.assert_flows();
    fs::remove_file(&file).expect("remove");
    let failed = site.try_reload("", &vhosts);
    assert!(
        failed["err"] != 0 && failed["msg"].as_str().is_some_and(|text| text.contains("more.conf")),
        "{failed}"
    );
    site.server.wait_for_line(&["reload failed"]);
    stays.finish();
}

#[test]
fn ports_of_rtmp_come_and_go() {
    let site = Site::start("", "");
    let stays = Bystander::start(site.server.port());
    let more = Port::free();
    let listen = format!("listen 127.0.0.1:{}", site.server.port());
    let text = Setup::default()
        .globals(&site.globals)
        .vhost("")
        .configuration(site.server.port());
    site.reload_text(&text.replace(&listen, &format!("{listen} 127.0.0.1:{}", more.number())));
    let mut there = Rtmp::connect(more.number(), "live").expect("the new port of listen");
    site.reload_text(&text);
    wait_for("the port to close", 5, || {
        TcpStream::connect(("127.0.0.1", more.number())).is_err().then_some(())
    });
    assert!(there.is_open(), "who came by a port that is gone stays");
    stays.finish();
}
