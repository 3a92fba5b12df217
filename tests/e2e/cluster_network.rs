//! Origins and an edge on hosts of their own: one is cut off and comes back, and packets are lost on the way.

use std::time::{Duration, Instant};

use crate::support::clients::Ffmpeg;
use crate::support::flv::{self, assert_same_media};
use crate::support::hosts::{Hosts, apart};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::Program;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};

const ORIGINS: [usize; 2] = [0, 1];
const EDGE: usize = 2;

/// Two origins that have the same stream, and an edge, each on its host.
struct Cluster {
    origins: [Server; 2],
    edge: Server,
    _publishers: [Program; 2],
    hosts: Hosts,
    _port: Port,
}

impl Cluster {
    fn start() -> Self {
        let (hosts, port) = (Hosts::new(3), Port::free());
        let listen = format!("0.0.0.0:{}", port.number());
        let origins = ORIGINS.map(|host| hosts.on(host, || Setup::default().listen(&listen).port(&port).start()));
        let publishers = ORIGINS.map(|host| {
            let origin = &origins[host];
            let start = || Ffmpeg::Debian.publish(origin.folder(), &Sample::H264Aac.path(), &origin.url("s"));
            let publisher = hosts.on(host, start);
            origin.wait_for_line(&["start publish"]);
            publisher
        });
        let places = ORIGINS.map(|host| format!("{}:{}", hosts.address(host), port.number()));
        let cluster = format!("cluster {{ mode remote; origin {}; }}", places.join(" "));
        let edge = hosts.on(EDGE, || {
            Setup::default().listen(&listen).vhost(&cluster).port(&port).start()
        });
        Cluster {
            origins,
            edge,
            _publishers: publishers,
            hosts,
            _port: port,
        }
    }

    fn play(&self) -> Rtmp {
        let play = || Rtmp::connect(self.edge.port(), "live").and_then(|session| session.play("s"));
        let mut player = self.hosts.on(EDGE, play).expect("play at the edge");
        player.wait_for_media().expect("media");
        player
    }

    /// Which origin the edge has played from most recently.
    fn playing_from(&self) -> usize {
        let log = self.edge.log();
        let line = log
            .lines()
            .rfind(|line| line.contains("is played from"))
            .expect("a pull");
        let is_from = |host: &usize| line.contains(&self.hosts.address(*host));
        ORIGINS.into_iter().find(is_from).expect("one of the origins")
    }
}

/// Receives for so long; gives the longest time without media.
fn watch(player: &mut Rtmp, time: Duration) -> Duration {
    let (start, mut last, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
    while start.elapsed() < time {
        if player.receive().expect("the player's connection").is_media() {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
    }
    longest
}

#[test]
fn an_origin_may_be_cut_off_and_come_back() {
    apart(
        "cluster_network::an_origin_may_be_cut_off_and_come_back",
        cut_off_and_back,
    );
}

fn cut_off_and_back() {
    let cluster = Cluster::start();
    let mut player = cluster.play();
    watch(&mut player, Duration::from_secs(1));
    let first = cluster.playing_from();
    cluster.hosts.connect(first, false);
    // Nobody says goodbye: only silence tells the edge.
    let gap = watch(&mut player, Duration::from_secs(8));
    println!("an origin is cut off without a word: the longest gap of a player is {gap:?}");
    let second = cluster.playing_from();
    assert_ne!(first, second, "the other origin");
    cluster.hosts.connect(first, true);
    cluster.hosts.connect(second, false);
    let gap = watch(&mut player, Duration::from_secs(8));
    println!("it comes back and the other one is cut off: the longest gap of a player is {gap:?}");
    assert_eq!(cluster.playing_from(), first);
}

#[test]
fn a_lossy_network_changes_no_byte() {
    apart("cluster_network::a_lossy_network_changes_no_byte", play_through_losses);
}

fn play_through_losses() {
    let cluster = Cluster::start();
    // Away from the origins, and away from the edge: media and what acknowledges them.
    let disturbed = [0, 1, EDGE].map(|host| cluster.hosts.disturb(host, "delay 30ms 10ms loss 2%"));
    println!(
        "netem is {} on this kernel",
        if disturbed == [true; 3] {
            "there"
        } else {
            "missing: nothing is lost"
        }
    );
    let played = cluster.play().collect_media(Duration::from_secs(4));
    assert_same_media(&flv::read(&Sample::H264Aac.path()), &played, 60);
    drop(cluster.origins);
}
