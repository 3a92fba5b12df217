//! Forward: streams go on to other servers, whatever these do.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::amf::Amf;
use crate::support::bystander::{Bystander, number_of, numbered_frame, numbered_header};
use crate::support::callbacks::{self, Callbacks};
use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::flv::{self, Tag, assert_same_media};
use crate::support::media::Sample;
use crate::support::nginx::Nginx;
use crate::support::port::Port;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::workdir::WorkDir;

fn forwarding(destinations: &str) -> Setup {
    prompt().vhost(&format!("forward {{ enabled on; destination {destinations}; }}"))
}

/// Each message goes out as it comes, also the last one before a pause.
fn prompt() -> Setup {
    Setup::default().vhost("min_latency on;")
}

#[track_caller]
fn publish(port: u16, stream: &str) -> Rtmp {
    let client = Rtmp::connect(port, "live").and_then(|client| client.publish("live", stream));
    client.unwrap_or_else(|e| panic!("publish {stream}: {e}"))
}

#[track_caller]
fn play(port: u16, stream: &str) -> Rtmp {
    let client = Rtmp::connect(port, "live").and_then(|client| client.play(stream));
    client.unwrap_or_else(|e| panic!("play {stream}: {e}"))
}

#[track_caller]
fn play_media(port: u16, stream: &str, seconds: u64) -> Vec<Tag> {
    let mut player = play(port, stream);
    player.wait_for_media().expect("media");
    player.collect_media(Duration::from_secs(seconds))
}

#[track_caller]
fn send(publisher: &mut Rtmp, numbers: std::ops::Range<u32>) {
    if numbers.start == 0 {
        publisher.send_tag(&numbered_header()).expect("send the header");
    }
    for number in numbers {
        publisher.send_tag(&numbered_frame(number)).expect("send a frame");
    }
}

/// Receives up to the frame with this number; gives the numbers that came.
#[track_caller]
fn numbers_until(player: &mut Rtmp, last: u32) -> Vec<u32> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        let message = player
            .receive()
            .unwrap_or_else(|e| panic!("frame {last} does not come after {numbers:?}: {e}"));
        if message.is_media()
            && let Some(number) = number_of(&message.into_tag())
        {
            numbers.push(number);
        }
    }
    numbers
}

#[test]
fn nginx_gets_a_stream_as_it_is() {
    let folder = WorkDir::new("nginx");
    let nginx = Nginx::start(&folder, "");
    let server = forwarding(&format!("127.0.0.1:{}", nginx.port())).start();
    let sample = Sample::H264Aac.path();
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &sample, &server.url("sent"));
    server.wait_for_line(&["forward /live/sent to rtmp://127.0.0.1:"]);
    assert_same_media(&flv::read(&sample), &play_media(nginx.port(), "sent", 3), 50);
    let report = probe(&folder, &nginx.url("sent"));
    let mut found = codecs(&report);
    found.sort_unstable();
    assert_eq!(found, ["aac", "h264"]);
}

#[test]
fn another_of_us_gets_hevc_with_its_vhost_and_parameters() {
    let hooks = Callbacks::start(callbacks::yes);
    let target = Setup::default()
        .vhosts(&format!(
            "vhost v.com {{ {} }}\nvhost __defaultVhost__ {{}}\n",
            hooks.block()
        ))
        .start();
    // The spelling of old, and a vhost that both servers know.
    let vhosts = format!("vhost v.com {{ forward 127.0.0.1:{}; }}\n", target.port());
    let server = Setup::default().vhosts(&vhosts).start();
    let sample = Sample::HevcAac.path();
    let url = server.url("sent?vhost=v.com&token=secret");
    let mut publisher = Sample::HevcAac.encoder().publish(server.folder(), &sample, &url);
    server.wait_for_line(&["forward v.com/live/sent to"]);
    let player = Rtmp::connect_as(target.port(), "live", "rtmp://v.com/live").and_then(|client| client.play("sent"));
    let mut player = player.expect("play");
    player.wait_for_media().expect("media");
    assert_same_media(&flv::read(&sample), &player.collect_media(Duration::from_secs(3)), 50);
    let report = probe(target.folder(), &target.url("sent?vhost=v.com"));
    let mut found = codecs(&report);
    found.sort_unstable();
    assert_eq!(found, ["aac", "hevc"]);

    let bodies = hooks.bodies();
    let body = bodies
        .iter()
        .find(|body| body["action"] == "on_publish")
        .expect("on_publish");
    assert_eq!((&body["vhost"], &body["stream"]), (&"v.com".into(), &"sent".into()));
    assert!(
        body["param"]
            .as_str()
            .is_some_and(|param| param.contains("token=secret")),
        "{body}"
    );
    // Secrets stay out of the log, and the end is told at once.
    publisher.signal(Signal::SIGTERM);
    publisher.wait(5);
    server.wait_for_line(&["forward to rtmp://127.0.0.1:", "ends"]);
    target.wait_for_lines(1, &["client disconnect peer"]);
    let forwards = server.log();
    assert!(
        !forwards
            .lines()
            .any(|line| line.contains("forward") && line.contains("secret"))
    );
}

#[test]
fn nothing_is_lost_from_first_to_last_and_a_republish_follows_at_once() {
    let target = prompt().start();
    let server = forwarding(&format!("rtmp://127.0.0.1:{}/copies/[app]_[stream]", target.port())).start();
    let player = Rtmp::connect(target.port(), "copies").and_then(|client| client.play("live_sent"));
    let mut player = player.expect("play");
    for round in 0..5 {
        let mut publisher = publish(server.port(), "sent");
        // One is over before it has begun over there.
        send(&mut publisher, 0..if round == 3 { 10 } else { 200 });
        let unpublish = [Amf::Null, Amf::text("sent")];
        publisher.command("FCUnpublish", 6.0, 1, &unpublish).expect("unpublish");
        let last = if round == 3 { 9 } else { 199 };
        assert_eq!(
            numbers_until(&mut player, last),
            Vec::from_iter(0..=last),
            "round {round}"
        );
    }
    server.wait_for_lines(5, &["forward to", "ends"]);
    assert!(!server.log().contains("tries again"), "the destination was busy");
}

#[test]
fn a_destination_that_comes_back_gets_the_stream_again() {
    let port = Port::free();
    let server = forwarding(&format!("127.0.0.1:{}", port.number())).start();
    let good = Bystander::start(server.port());
    server.wait_for_line(&["forward tries again every 3 s, failure 1,", "SocketConnect"]);
    for round in 1..3 {
        let target = prompt().port(&port).start();
        server.wait_for_lines(round, &["forward /live/bystander to"]);
        let mut player = play(target.port(), "bystander");
        player.wait_for_media().expect("media");
        let numbers: Vec<u32> = player
            .collect_media(Duration::from_secs(2))
            .iter()
            .filter_map(number_of)
            .collect();
        assert!(numbers.len() > 50, "{numbers:?}");
        assert!(numbers[0].is_multiple_of(50), "{numbers:?} begins in the middle");
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    }
    good.finish();
}

#[test]
fn bad_destinations_harm_nobody() {
    let target = prompt().start();
    // Five accept and never answer, five are not there.
    let silent: Vec<TcpListener> = (0..5)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("listen"))
        .collect();
    let absent: Vec<Port> = (0..5).map(|_| Port::free()).collect();
    let mut destinations = String::new();
    for copy in 0..10 {
        destinations += &format!("rtmp://127.0.0.1:{}/live/copy{copy} ", target.port());
    }
    for listener in &silent {
        destinations += &format!("{} ", listener.local_addr().expect("an address"));
    }
    for port in &absent {
        destinations += &format!("127.0.0.1:{} ", port.number());
    }
    let server = forwarding(&destinations).start();
    let players: Vec<_> = (0..10)
        .map(|copy| play(target.port(), &format!("copy{copy}")))
        .collect();
    let good = Bystander::start(server.port());
    let players = players
        .into_iter()
        .map(|mut player| thread::spawn(move || numbers_until(&mut player, 600)));
    for player in Vec::from_iter(players) {
        assert_eq!(player.join().expect("a copy plays"), Vec::from_iter(0..=600));
    }
    good.finish();
    // The silent ones were given up once, after ten seconds.
    server.wait_for_lines(5, &["forward tries again", "shake hands", "SocketTimeout"]);
    server.wait_for_lines(10, &["forward to rtmp://", "ends"]);
    let counts = Vec::from_iter((0..2).map(|_| server.next_coroutine_count()));
    assert!(counts[1] < 14, "forwards are left: {counts:?}");
}

#[test]
fn a_destination_that_reads_nothing_loses_only_its_own_media() {
    let (stuck, target) = (prompt().start(), prompt().start());
    let server = forwarding(&format!("127.0.0.1:{} 127.0.0.1:{}", stuck.port(), target.port()))
        .vhost("play { queue_length 2; }")
        .start();
    let mut publisher = publish(server.port(), "sent");
    let mut player = play(target.port(), "sent");
    let at_home = play(server.port(), "sent");
    send(&mut publisher, 0..100);
    assert_eq!(numbers_until(&mut player, 99).len(), 100);
    stuck.signal(Signal::SIGSTOP);
    let watching =
        [player, at_home].map(|mut player| thread::spawn(move || (numbers_until(&mut player, 4999), player)));
    // Twenty megabytes, as fast as the good ones can follow.
    for number in 100..5000 {
        let mut frame = numbered_frame(number);
        frame.payload.resize(4000, 7);
        publisher.send_tag(&frame).expect("send a frame");
        thread::sleep(Duration::from_micros(700));
    }
    for player in watching {
        let (numbers, _) = player.join().expect("a player");
        assert!(
            numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "a good one lost frames"
        );
    }
    let before = server.log().matches("is too slow and loses").count();
    stuck.signal(Signal::SIGCONT);
    let mut late = play(stuck.port(), "sent");
    send(&mut publisher, 5000..5400);
    numbers_until(&mut late, 5399);
    server.wait_for_lines(before.max(1), &["is too slow and loses", "messages"]);
}

#[test]
fn the_backend_says_where_to() {
    // The target of the call names the port to forward to.
    let hooks = Callbacks::start(|target| {
        let (what, port) = target.strip_prefix('/')?.split_once('/')?;
        Some(callbacks::body(&match what {
            "urls" => format!(
                r#"{{"code":0,"data":{{"urls":["rtmp://127.0.0.1:{port}/live/one?vhost=v.com","","rtmp://127.0.0.1:{port}/live/two"]}}}}"#
            ),
            "none" => r#"{"code":0,"data":{"urls":[]}}"#.to_owned(),
            "no" => r#"{"code":1}"#.to_owned(),
            _ => r#"{"code":0}"#.to_owned(),
        }))
    });
    let target = prompt().start();
    let mut vhosts = String::new();
    for what in ["urls", "none", "no", "nothing"] {
        vhosts += &format!(
            "vhost {what} {{ min_latency on; forward {{ enabled on; destination 127.0.0.1:1; backend http://127.0.0.1:{}/{what}/{}; }} }}\n",
            hooks.port,
            target.port()
        );
    }
    vhosts += "vhost dead { forward { enabled on; backend http://127.0.0.1:1/; } }\n";
    let server = Setup::default().vhosts(&vhosts).allow_error("serve error").start();
    let publish = |vhost: &str| {
        let tc_url = format!("rtmp://{vhost}/live");
        Rtmp::connect_as(server.port(), "live", &tc_url)?.publish("live", "sent?token=t")
    };
    for (vhost, code) in [("no", "code=3064"), ("nothing", "code=1030"), ("dead", "code=1012")] {
        let refused = publish(vhost).expect_err("the publication is refused");
        assert!(
            refused
                .to_string()
                .contains("cannot be recorded, forwarded or transcoded"),
            "{vhost}: {refused}"
        );
        server.wait_for_line(&["serve error", code, "on_forward"]);
    }
    let mut unsent = publish("none").expect("publish");
    send(&mut unsent, 0..10);
    let mut publisher = publish("urls").expect("publish");
    send(&mut publisher, 0..100);
    for stream in ["one", "two"] {
        assert_eq!(numbers_until(&mut play(target.port(), stream), 99).last(), Some(&99));
    }
    server.wait_for_lines(2, &["forward urls/live/sent to"]);
    assert!(!server.log().contains("forward none/live/sent to"));
    let bodies = hooks.bodies();
    let body = bodies.iter().find(|body| body["vhost"] == "urls").expect("a call");
    assert_eq!(
        (&body["action"], &body["param"]),
        (&"on_forward".into(), &"?token=t".into())
    );
    assert_eq!(body["tcUrl"], "rtmp://urls/live");
}

#[test]
fn a_reload_changes_the_destinations_of_a_live_stream_one_by_one() {
    let (first, second, third) = (prompt().start(), prompt().start(), prompt().start());
    let at = |server: &Server| format!("127.0.0.1:{}", server.port());
    let server = forwarding(&format!("{} {}", at(&first), at(&second))).start();
    let mut publisher = publish(server.port(), "sent");
    send(&mut publisher, 0..60);
    let mut stays = play(first.port(), "sent");
    assert_eq!(numbers_until(&mut stays, 59).last(), Some(&59));
    numbers_until(&mut play(second.port(), "sent"), 59);
    let file = server.file("srs.conf");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    std::fs::write(&file, text.replace(&at(&second), &at(&third))).expect("change the configuration");
    server.signal(Signal::SIGHUP);
    server.wait_for_line(&["reload success"]);
    second.wait_for_line(&["client disconnect peer"]);
    let mut player = play(third.port(), "sent");
    third.wait_for_line(&["start publish"]);
    send(&mut publisher, 60..120);
    let numbers = numbers_until(&mut player, 119);
    assert!(
        numbers.contains(&100) && numbers.last() == Some(&119),
        "from the next keyframe on: {numbers:?}"
    );
    let kept = numbers_until(&mut stays, 119);
    assert_eq!(
        (kept.first(), kept.len()),
        (Some(&60), 60),
        "the one that stays misses nothing"
    );
    assert_eq!(first.log().matches("start publish").count(), 1);
}

#[cfg(feature = "tls")]
#[test]
fn a_destination_may_be_behind_tls() {
    use crate::support::certificate::{self, Form};
    let keys = WorkDir::new("keys");
    certificate::make(&keys, "rtmps", Form::Pkcs8);
    let rtmps = Port::free();
    let (port, file) = (rtmps.number(), keys.join("rtmps"));
    let file = file.display();
    let listen = format!("rtmps {{ enabled on; listen 127.0.0.1:{port}; key {file}.key; cert {file}.crt; }}\n");
    let target = prompt().globals(&listen).start();
    let server = forwarding(&format!("rtmps://localhost:{port}")).start();
    let mut publisher = publish(server.port(), "sent");
    send(&mut publisher, 0..500);
    let player = Rtmp::connect_as(
        target.port(),
        "live",
        &format!("rtmp://localhost:{}/live", target.port()),
    );
    let mut player = player.and_then(|client| client.play("sent")).expect("play");
    assert_eq!(numbers_until(&mut player, 499).last(), Some(&499));
    server.wait_for_line(&["forward /live/sent to rtmps://localhost:"]);
}
