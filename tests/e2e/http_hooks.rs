//! Callbacks: what a server of the operator is asked and told, and that its faults hurt nobody else.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::bystander::{Bystander, numbered_frame, numbered_header};
use crate::support::callbacks::{Answer, Callbacks, OK, body, yes};
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

fn publish(server: &Server, stream: &str) -> std::io::Result<Rtmp> {
    Rtmp::connect(server.port(), "live")?.publish("live", stream)
}

#[test]
fn a_publisher_and_a_player_are_told_in_order() {
    let callbacks = Callbacks::start(yes);
    let server = Setup::default().vhost(&callbacks.block()).start();
    let mut publisher = publish(&server, "s?token=a&x=1").expect("publish");
    publisher.send_tag(&numbered_header()).expect("send a header");
    publisher.send_tag(&numbered_frame(0)).expect("send a frame");
    let mut order = vec!["on_connect", "on_publish"];
    callbacks.wait_for(&order);
    let player = Rtmp::connect(server.port(), "live").expect("connect").play("s?tk=9");
    order.extend(["on_connect", "on_play"]);
    callbacks.wait_for(&order);
    drop(player);
    order.extend(["on_stop", "on_close"]);
    callbacks.wait_for(&order);
    drop(publisher);
    order.extend(["on_unpublish", "on_close"]);
    callbacks.wait_for(&order);

    let bodies = callbacks.bodies();
    let ids = bodies.iter().map(|body| body["client_id"].as_str().expect("an id"));
    let ids: Vec<&str> = ids.collect();
    assert!(ids[0] != ids[2] && [1, 6, 7].iter().all(|index| ids[*index] == ids[0]));
    assert!([3, 4, 5].iter().all(|index| ids[*index] == ids[2]));
    for (field, value) in [
        ("ip", "127.0.0.1"),
        ("vhost", "__defaultVhost__"),
        ("app", "live"),
        ("stream", "s"),
        ("param", "?token=a&x=1"),
        ("stream_url", "/live/s"),
    ] {
        assert_eq!(bodies[1][field], value, "{field}");
    }
    assert_eq!(bodies[1]["tcUrl"], format!("rtmp://127.0.0.1:{}/live", server.port()));
    assert_eq!(bodies[3]["param"], "?tk=9");
    assert!(bodies[7]["recv_bytes"].as_u64() > Some(3000) && bodies[7]["send_bytes"].as_u64() > Some(3000));
    assert!(
        bodies
            .iter()
            .all(|body| body["server_id"].as_str().is_some_and(|id| id.starts_with("vid-")))
    );
    let stream_id = bodies[1]["stream_id"].as_str().unwrap_or_default();
    assert!(stream_id.starts_with("vid-"), "the API's id of the stream: {stream_id}");
    assert!([3, 4, 6].iter().all(|index| bodies[*index]["stream_id"] == stream_id));
    let asked = callbacks.asked.lock().expect("the record");
    assert_eq!(asked[0].0, "/on_connect?from=srs");
    assert!(asked[0].1.starts_with("{\"server_id\":\"vid-") && asked[0].1.contains("\",\"service_id\":\""));
}

#[test]
fn a_refused_publisher_is_told_and_closed() {
    let answers: [(Answer, &str); 4] = [
        (
            |target| {
                Some(if target.contains("publish") {
                    body("{\"code\":1}")
                } else {
                    OK.to_owned()
                })
            },
            "ret=3064",
        ),
        (
            |target| {
                Some(if target.contains("publish") {
                    body("no")
                } else {
                    OK.to_owned()
                })
            },
            "ret=3008",
        ),
        (
            |target| Some(OK.replace("200", if target.contains("publish") { "403" } else { "200" })),
            "ret=4005",
        ),
        (
            |target| {
                (!target.contains("publish"))
                    .then(|| OK.to_owned())
                    .or(Some(String::new()))
            },
            "ret=4025",
        ),
    ];
    for (answer, number) in answers {
        let callbacks = Callbacks::start(answer);
        let server = Setup::default()
            .vhost(&callbacks.block())
            .allow_error("serve error")
            .start();
        assert!(publish(&server, "s").is_err(), "{number}");
        callbacks.wait_for(&["on_connect", "on_publish", "on_close"]);
        let number = number.replace("ret=", "code=");
        server.wait_for_line(&["on_publish", &number]);
    }
}

#[test]
fn a_refused_connect_and_a_refused_player_get_nothing() {
    let callbacks = Callbacks::start(|target| Some(body(if target.contains("connect") { "1" } else { "0" })));
    let server = Setup::default()
        .vhost(&callbacks.block())
        .allow_error("serve error")
        .start();
    assert!(publish(&server, "s").is_err());
    callbacks.wait_for(&["on_connect", "on_close"]);

    let callbacks = Callbacks::start(|target| Some(body(if target.contains("on_play") { "1" } else { "0" })));
    let server = Setup::default()
        .vhost(&callbacks.block())
        .allow_error("serve error")
        .start();
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("s")
        .expect("play starts");
    while let Ok(message) = player.receive() {
        assert!(!message.is_media());
    }
    callbacks.wait_for(&["on_connect", "on_play", "on_close"]);
}

#[test]
fn several_urls_are_called_in_order_up_to_the_first_refusal() {
    let callbacks = Callbacks::start(|target| Some(body(if target == "/2" { "1" } else { "0" })));
    let url = |number| format!("http://127.0.0.1:{}/{number}", callbacks.port);
    let block = format!(
        "http_hooks {{ enabled on; on_publish {} {} {}; }}",
        url(1),
        url(2),
        url(3)
    );
    let server = Setup::default().vhost(&block).allow_error("serve error").start();
    assert!(publish(&server, "s").is_err());
    callbacks.wait_for(&["on_publish", "on_publish"]);
    let asked = callbacks.asked.lock().expect("the record");
    assert_eq!((asked[0].0.as_str(), asked[1].0.as_str()), ("/1", "/2"));
}

#[test]
fn a_dead_server_and_https_refuse_only_where_they_are_asked() {
    let callbacks = Callbacks::start(yes);
    let vhosts = format!(
        "vhost __defaultVhost__ {{ }} vhost dead.com {{ http_hooks {{ enabled on; on_publish http://127.0.0.1:1/; }} }}\
         vhost tls.com {{ http_hooks {{ enabled on; on_publish https://127.0.0.1:1/; }} }}\
         vhost off.com {{ {} }} vhost told.com {{ http_hooks {{ enabled on; on_unpublish http://127.0.0.1:1/; }} }}",
        callbacks.block().replace("enabled on", "enabled off"),
    );
    let server = Setup::default().vhosts(&vhosts).allow_error("serve error").start();
    let other = Bystander::start(server.port());
    for vhost in ["dead.com", "tls.com", "off.com", "told.com"] {
        let tc_url = format!("rtmp://{vhost}:{}/live", server.port());
        let client = Rtmp::connect_as(server.port(), "live", &tc_url).expect("connect");
        let accepted = client.publish("live", "s").is_ok();
        assert_eq!(accepted, vhost == "off.com" || vhost == "told.com", "{vhost}");
    }
    server.wait_for_line(&["connect to http server 127.0.0.1:1"]);
    server.wait_for_line(&["on_unpublish", "is ignored"]);
    assert!(callbacks.bodies().is_empty());
    other.finish();
}

#[test]
fn a_slow_server_delays_only_its_client_and_times_out() {
    let callbacks = Callbacks::start(|target| (!target.contains("/on_")).then(|| OK.to_owned()));
    let vhosts = format!(
        "vhost __defaultVhost__ {{ }} vhost slow.com {{ {} }}",
        callbacks.block()
    );
    let server = Setup::default().vhosts(&vhosts).start();
    let other = Bystander::start(server.port());
    let port = server.port();
    let started = Instant::now();
    let client = thread::spawn(move || {
        let tc_url = format!("rtmp://slow.com:{port}/live");
        Rtmp::connect_as(port, "live", &tc_url).and_then(|client| client.publish("live", "s"))
    });
    callbacks.wait_for(&["on_connect"]);
    other.assert_flows();
    assert!(client.join().expect("the client").is_err());
    wait_for("the time limit", 40, || {
        server.log().contains("client timed out").then_some(())
    });
    assert!(started.elapsed() > Duration::from_secs(29), "{:?}", started.elapsed());
    other.finish();
}

#[test]
fn the_next_publisher_does_not_wait_for_on_unpublish() {
    let callbacks = Callbacks::start(|target| (!target.contains("unpublish")).then(|| OK.to_owned()));
    let server = Setup::default().vhost(&callbacks.block()).start();
    for round in 0..3 {
        let publisher = publish(&server, "s").unwrap_or_else(|e| panic!("publish for the {round}. time: {e}"));
        let gone = round + 1;
        drop(publisher);
        server.wait_for_lines(gone, &["client disconnect peer"]);
    }
}

#[test]
fn hostile_names_stay_inside_their_text() {
    let callbacks = Callbacks::start(yes);
    let server = Setup::default().vhost(&callbacks.block()).start();
    let name = "a\",\"ip\":\"`$(x);%s\u{1}\r\n\\";
    drop(publish(&server, name).expect("publish"));
    callbacks.wait_for(&["on_connect", "on_publish", "on_unpublish", "on_close"]);
    for body in callbacks.bodies() {
        assert_eq!(body["ip"], "127.0.0.1");
        assert!(body["action"] == "on_close" || body["stream"].as_str().is_some_and(|text| text.contains("$(x);%s")));
    }
}

#[test]
fn the_end_of_the_server_is_told() {
    let callbacks = Callbacks::start(yes);
    let server = Setup::default().vhost(&callbacks.block()).start();
    let publisher = publish(&server, "s").expect("publish");
    callbacks.wait_for(&["on_connect", "on_publish"]);
    drop(server);
    callbacks.wait_for(&["on_connect", "on_publish", "on_unpublish", "on_close"]);
    drop(publisher);
}
