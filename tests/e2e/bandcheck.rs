//! Bandwidth tests over RTMP, as clients of SRS 1 to 4 do them.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::amf::Amf;
use crate::support::bandcheck::{Report, Tester};
use crate::support::bystander::Bystander;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};

/// A server with a vhost for tests, `check`.
fn server(directives: &str) -> Server {
    let vhosts = format!(
        "vhost check {{ bandcheck {{ enabled on; key secret; {directives} }} }}\nvhost __defaultVhost__ {{ }}\n"
    );
    Setup::default().vhosts(&vhosts).start()
}

#[track_caller]
fn assert_holds(report: &Report, limit_kbps: f64) {
    // Both directions run for three seconds; one message more than the limit allows may be under way at its end.
    for (what, time, bytes, kbps) in [
        ("play", report.play_time, report.play_bytes, report.play_kbps),
        (
            "publish",
            report.publish_time,
            report.publish_bytes,
            report.publish_kbps,
        ),
    ] {
        assert!(time >= 3000.0, "{what} took {time} ms: {report:?}");
        assert_eq!(kbps, (bytes * 8.0 / time).floor(), "{what}: {report:?}");
        assert!(kbps > 0.0 && kbps <= limit_kbps * 1.25, "{what}: {report:?}");
    }
    assert!(report.end_time - report.start_time >= 6000.0, "{report:?}");
}

#[test]
fn a_test_runs_through_and_streams_beside_it_flow() {
    let server = server("interval 0; limit_kbps 2000;");
    let good = Bystander::start(server.port());
    let port = server.port();
    // Two at once, one of them as Flash does it: it falls silent at the end.
    let flash = thread::spawn(move || Tester::connect(port, "check", "secret", "http://page/a.swf")?.run());
    let report = Tester::connect(port, "check", "secret", "").and_then(Tester::run);
    let report = report.expect("the test runs through");
    println!("bandwidth test: {report:?}");
    assert_holds(&report, 2000.0);
    assert_holds(&flash.join().expect("no panic").expect("the test runs through"), 2000.0);
    // Three seconds of sending within the limit bring a good part of it.
    assert!(report.play_kbps > 500.0, "{report:?}");
    server.wait_for_lines(2, &["bandwidth test ok, play=", "publish="]);
    good.finish();
}

#[test]
fn a_low_limit_holds_too() {
    let server = server("limit_kbps 50;");
    let report = Tester::connect(server.port(), "check", "secret", "").and_then(Tester::run);
    let report = report.expect("the test runs through");
    // The client's filler comes in larger pieces than a second of this.
    assert!(report.play_kbps <= 75.0, "{report:?}");
    assert!(report.play_time >= 3000.0 && report.play_time < 5000.0, "{report:?}");
}

#[test]
fn without_key_or_too_soon_there_is_no_test() {
    let server = server("interval 60;");
    for key in ["", "wrong", "secre"] {
        assert!(Tester::connect(server.port(), "check", key, "").is_err(), "key {key:?}");
    }
    server.wait_for_lines(3, &["code=1032(BandwidthKey)"]);
    // Who is refused does not count as a test.
    let mut half_way = Tester::connect(server.port(), "check", "secret", "").expect("a test begins");
    half_way.begin_play().expect("the server begins");
    drop(half_way);
    server.wait_for_line(&["client disconnect peer", "bandwidth test"]);
    let refused = Tester::connect(server.port(), "check", "secret", "").expect_err("too soon");
    assert!(refused.to_string().contains("bandcheck rejected"), "{refused}");
    server.wait_for_line(&["code=1033(BandwidthDenied)"]);
    // Other vhosts are what they were, and this one serves no streams.
    let publisher = Rtmp::connect(server.port(), "live").and_then(|client| client.publish("live", "s"));
    publisher.expect("publish");
    let tc_url = "rtmp://check/live?key=wrong";
    assert!(Rtmp::connect_as(server.port(), "live", tc_url).is_err());
}

#[test]
fn a_client_that_stops_half_way_is_left() {
    let server = server("interval 0;");
    let mut silent = Rtmp::connect_as(server.port(), "app", "rtmp://check/app?key=secret").expect("connect");
    let mut chatty = Tester::connect(server.port(), "check", "secret", "").expect("a test begins");
    chatty.begin_play().expect("the server begins");
    let began = Instant::now();
    // Filler is no answer.
    let filler = [Amf::Null, Amf::object(&[("0", Amf::text("x"))])];
    while chatty
        .client
        .command("onSrsBandCheckPublishing", 0.0, 0, &filler)
        .is_ok()
    {
        assert!(began.elapsed() < Duration::from_secs(30), "the chatty one is kept");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(silent.is_closed_within(10));
    server.wait_for_lines(2, &["client timed out. ret=1011", "bandwidth test"]);
}
