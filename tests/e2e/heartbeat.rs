//! The heartbeat: reports that arrive at a server of the operator.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::callbacks::{Callbacks, OK};
use crate::support::port::Port;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

fn block(callbacks: &Callbacks, more: &str) -> String {
    let url = format!("http://127.0.0.1:{}/beat?left=out", callbacks.port);
    format!("heartbeat {{ enabled on; interval 1; url {url}; device_id \"my \\device\"; {more} }}\n")
}

#[track_caller]
fn wait_for_report(callbacks: &Callbacks, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, 10, || callbacks.bodies().into_iter().next_back().filter(&fits))
}

fn names(report: &Value) -> Vec<&str> {
    report
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn reports_come_again_and_again_and_a_reload_changes_them() {
    let callbacks = Callbacks::start(|_| Some(OK.to_owned()));
    let server = Setup::default().globals(&block(&callbacks, "")).start();
    wait_for("three reports", 10, || (callbacks.bodies().len() >= 3).then_some(()));
    let report = callbacks.bodies().remove(0);
    assert_eq!(names(&report), ["device_id", "ip", "server", "service", "pid"]);
    assert_eq!(
        (&report["device_id"], &report["pid"]),
        (&"my \\device".into(), &server.pid().to_string().into())
    );
    let ip = report["ip"].as_str().unwrap_or_default();
    assert!(ip.parse::<std::net::IpAddr>().is_ok(), "{report}");
    let asked = callbacks.asked.lock().expect("the record")[0].clone();
    assert_eq!(asked.0, "/beat");

    let file = server.file("srs.conf");
    let text = fs::read_to_string(&file).expect("read the configuration");
    let text = text.replace("device_id \"my \\device\";", "device_id other; summaries on;");
    fs::write(&file, text).expect("write the configuration");
    kill(Pid::from_raw(server.pid().cast_signed()), Signal::SIGHUP).expect("send SIGHUP");
    let report = wait_for_report(&callbacks, "the changed report", |report| {
        report["device_id"] == "other"
    });
    assert_eq!(
        names(&report),
        ["device_id", "ip", "server", "service", "pid", "summaries"]
    );
    let data = &report["summaries"]["data"];
    assert_eq!(names(&report["summaries"]), ["data"]);
    assert_eq!(names(data), ["ok", "now_ms", "self", "system"]);
    assert_eq!(data["self"]["pid"], server.pid());
}

#[test]
fn reports_tell_where_the_server_listens() {
    let callbacks = Callbacks::start(|_| Some(OK.to_owned()));
    let (media, api) = (Port::free(), Port::free());
    let globals = format!(
        "{}http_server {{ enabled on; listen 127.0.0.1:{}; }}\nhttp_api {{ enabled on; listen {}; }}\n",
        block(&callbacks, "ports on;"),
        media.number(),
        api.number()
    );
    let server = Setup::default().globals(&globals).start();
    let report = wait_for_report(&callbacks, "a report", |_| true);
    assert_eq!(names(&report)[5..], ["rtmp", "http", "api"]);
    assert_eq!(
        report["rtmp"],
        Value::from(vec![format!("127.0.0.1:{}", server.port())])
    );
    assert_eq!(
        report["http"],
        Value::from(vec![format!("127.0.0.1:{}", media.number())])
    );
    assert_eq!(report["api"], Value::from(vec![api.number().to_string()]));
}

#[test]
fn a_receiver_that_fails_is_a_warning() {
    let callbacks = Callbacks::start(|_| Some("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_owned()));
    let server = Setup::default().globals(&block(&callbacks, "")).start();
    server.wait_for_lines(2, &["heartbeat failed", "status 500"]);
    let server = Setup::default()
        .globals("heartbeat { enabled on; interval 1; url http://127.0.0.1:1/x; }\n")
        .start();
    server.wait_for_lines(2, &["heartbeat failed", "code=1012"]);
}
