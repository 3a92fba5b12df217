//! A cluster whose servers find each other's streams in a Redis server.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::clients::Ffmpeg;
use crate::support::flv::{self, assert_same_media};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::Program;
use crate::support::redis::Redis;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

const KEY: &str = "GET test:stream:/live/s";

/// A Redis server and the folder that it runs in.
struct Shared {
    redis: Redis,
    folder: WorkDir,
}

impl Shared {
    fn start(password: &str) -> Self {
        let folder = WorkDir::new("redis");
        let redis = Redis::start(&folder, password);
        Shared { redis, folder }
    }

    /// The block of a server that listens at `port`.
    fn block(&self, port: &Port, more: &str) -> String {
        format!(
            "registry {{ enabled on; address 127.0.0.1:{}; prefix test:; lease 2; advertise 127.0.0.1:{}; {more} }}\n",
            self.redis.port(),
            port.number()
        )
    }

    fn origin(&self, port: &Port) -> Server {
        self.origin_with(port, "", "")
    }

    fn origin_with(&self, port: &Port, registry: &str, cluster: &str) -> Server {
        let origin = Setup::default()
            .globals(&self.block(port, registry))
            .vhost(&format!("cluster {{ origin_cluster on; {cluster} }}"))
            .port(port)
            .allow_error("ret=1028")
            .start();
        origin.wait_for_line(&["registry:", "Redis"]);
        origin
    }

    fn edge(&self, port: &Port, cluster: &str) -> Server {
        Setup::default()
            .globals(&self.block(port, ""))
            .vhost(&format!("cluster {{ mode remote; {cluster} }}"))
            .port(port)
            .start()
    }

    fn wait_for_holder(&self, origin: &Server) {
        let place = format!("127.0.0.1:{}", origin.port());
        wait_for("the stream to be registered", 10, || {
            self.redis.ask(KEY).contains(&place).then_some(())
        });
    }
}

fn publish(origin: &Server) -> Program {
    let publisher = Ffmpeg::Debian.publish(origin.folder(), &Sample::H264Aac.path(), &origin.url("s"));
    origin.wait_for_line(&["start publish"]);
    publisher
}

#[track_caller]
fn assert_plays_sample(port: u16) {
    let mut player = Rtmp::connect(port, "live").expect("connect").play("s").expect("play");
    player.wait_for_media().expect("media");
    let played = player.collect_media(Duration::from_secs(2));
    assert_same_media(&flv::read(&Sample::H264Aac.path()), &played, 30);
}

#[track_caller]
fn assert_is_sent_on(from: &Server, to: &Server) {
    let play = |session: Rtmp| session.play("s").and_then(|mut player| player.wait_for_media());
    play(Rtmp::connect(from.port(), "live").expect("connect")).expect_err("a redirect");
    from.wait_for_line(&["ret=2997", &format!("rtmp://127.0.0.1:{}/live", to.port())]);
}

#[test]
fn origins_and_edges_find_a_stream_and_forget_it() {
    let shared = Shared::start("secret");
    let ports = [(); 3].map(|()| Port::free());
    let origins = [0, 1].map(|index| shared.origin_with(&ports[index], "password secret; database 3;", ""));
    let edge = Setup::default()
        .globals(&shared.block(&ports[2], "password secret; database 3;"))
        .vhost("cluster { mode remote; }")
        .port(&ports[2])
        .start();
    let mut publisher = publish(&origins[0]);
    assert_is_sent_on(&origins[1], &origins[0]);
    assert_plays_sample(edge.port());
    publisher.stop();
    let is_forgotten = || {
        let session = Rtmp::connect(origins[1].port(), "live").expect("connect");
        session.play("s").and_then(|mut player| player.wait_for_media()).ok();
        origins[1].log().contains("ret=3092").then_some(())
    };
    wait_for("the stream to be unknown", 10, is_forgotten);
}

#[test]
fn a_stream_has_one_origin() {
    let shared = Shared::start("");
    let ports = [Port::free(), Port::free()];
    let origins = ports.each_ref().map(|port| shared.origin(port));
    let mut publisher = publish(&origins[0]);
    shared.wait_for_holder(&origins[0]);
    let claim = || Rtmp::connect(origins[1].port(), "live").and_then(|session| session.publish("live", "s"));
    assert!(claim().is_err(), "the first origin has it");
    origins[1].wait_for_line(&["StreamBusy", &format!("127.0.0.1:{}", origins[0].port())]);
    publisher.stop();
    let _second = wait_for("the stream to be free", 10, || claim().ok());
    shared.wait_for_holder(&origins[1]);
}

#[test]
fn an_origin_that_dies_loses_its_streams_after_the_lease() {
    let shared = Shared::start("");
    let ports = [Port::free(), Port::free()];
    let mut origins = ports.each_ref().map(|port| shared.origin(port));
    let _publisher = publish(&origins[0]);
    shared.wait_for_holder(&origins[0]);
    origins[0].kill();
    let _second = wait_for("the lease to end", 10, || {
        let session = Rtmp::connect(origins[1].port(), "live").expect("connect");
        session.publish("live", "s").ok()
    });
    shared.wait_for_holder(&origins[1]);
}

#[test]
fn redis_may_be_away_and_come_back() {
    let mut shared = Shared::start("");
    let ports = [(); 3].map(|()| Port::free());
    let [api, other_api] = [Port::free(), Port::free()];
    let origin = |index: usize, own: &Port, other: &Port| {
        Setup::default()
            .globals(&shared.block(&ports[index], ""))
            .globals(&format!(
                "http_api {{ enabled on; listen 127.0.0.1:{}; }}\n",
                own.number()
            ))
            .vhost(&format!(
                "cluster {{ origin_cluster on; coworkers 127.0.0.1:{}; }}",
                other.number()
            ))
            .port(&ports[index])
            .start()
    };
    let origins = [origin(0, &api, &other_api), origin(1, &other_api, &api)];
    let edge = shared.edge(&ports[2], &format!("origin 127.0.0.1:{};", ports[1].number()));
    for server in origins.iter().chain([&edge]) {
        server.wait_for_line(&["registry: connected"]);
    }
    shared.redis.stop();
    for server in origins.iter().chain([&edge]) {
        server.wait_for_line(&["registry: the connection to Redis has ended"]);
    }
    // Without it: published, looked up with the coworkers and the list of origins.
    let _publisher = publish(&origins[0]);
    origins[0].wait_for_line(&["unregistered for now"]);
    assert_is_sent_on(&origins[1], &origins[0]);
    assert_plays_sample(edge.port());
    shared.redis.start_again(&shared.folder);
    shared.wait_for_holder(&origins[0]);
    assert!(origins[1].log().contains("registry:"));
}

#[test]
fn a_slow_redis_holds_up_nobody_for_long() {
    let shared = Shared::start("");
    let ports = [Port::free(), Port::free()];
    let origins = ports
        .each_ref()
        .map(|port| shared.origin_with(port, "timeout 300;", ""));
    shared.redis.signal(Signal::SIGSTOP);
    let publishers = origins.each_ref().map(publish);
    for origin in &origins {
        assert_plays_sample(origin.port());
    }
    // It comes back: the first one to register has the stream, the other one plays on and says so.
    shared.redis.signal(Signal::SIGCONT);
    let disputed = || {
        let told = |origin: &&Server| origin.log().contains("had it first");
        origins.iter().find(told)
    };
    wait_for("both to be registered", 15, disputed);
    for origin in &origins {
        assert_plays_sample(origin.port());
    }
    drop(publishers);
}

#[test]
fn a_dead_origin_in_the_registry_is_passed_over() {
    let shared = Shared::start("");
    let ports = [(); 2].map(|()| Port::free());
    let origin = Server::start();
    let _publisher = publish(&origin);
    let gone = Port::free();
    let record = format!("{{\"server\":\"vid-gone\",\"rtmp\":\"127.0.0.1:{}\"}}", gone.number());
    let record = record.replace('"', "\\\"");
    assert_eq!(
        shared.redis.ask(&format!("SET test:stream:/live/s \"{record}\"")),
        "+OK"
    );
    let edge = shared.edge(&ports[0], &format!("origin 127.0.0.1:{};", origin.port()));
    edge.wait_for_line(&["registry: connected"]);
    assert_plays_sample(edge.port());
    edge.wait_for_line(&["the next origin is tried", &gone.number().to_string()]);
}

#[test]
fn a_registry_may_refuse_us_until_a_reload_tells_better() {
    let shared = Shared::start("secret");
    let port = Port::free();
    let origin = shared.origin_with(&port, "password wrong;", "");
    origin.wait_for_line(&["registry: it is sought again", "refuses", "WRONGPASS"]);
    let _publisher = publish(&origin);
    assert_plays_sample(origin.port());
    let file = origin.file("srs.conf");
    let text = std::fs::read_to_string(&file).expect("read the configuration");
    std::fs::write(&file, text.replace("password wrong;", "password secret;")).expect("write the configuration");
    origin.signal(Signal::SIGHUP);
    origin.wait_for_line(&["reload success"]);
    shared.wait_for_holder(&origin);
}
