//! A server that ends gracefully: who plays goes on, who comes is refused, and it ends when the last one has left.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::bystander::{number_of, numbered_frame, numbered_header};
use crate::support::endless::Endless;
use crate::support::flv::VIDEO;
use crate::support::port::Port;
use crate::support::post::Post;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

/// Of each of two streams, half of them over HTTP.
const PLAYERS: usize = 10;
/// A second of the streams.
const FRAMES: usize = 50;

/// A player that counts what it gets.
struct Player {
    got: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Player {
    /// Over RTMP; each frame has to come.
    fn rtmp(port: u16, stream: &str, leave: &Arc<AtomicBool>) -> Self {
        let client = Rtmp::connect(port, "live").and_then(|client| client.play(stream));
        let mut client = client.expect("play");
        let mut last = None;
        Player::start(leave, move || {
            let message = client.receive().expect("the player goes on");
            if message.kind != VIDEO {
                return 0;
            }
            let number = number_of(&message.into_tag());
            if let (Some(last), Some(number)) = (last, number) {
                assert_eq!(number, last + 1, "a frame is lost");
            }
            last = number.or(last);
            usize::from(number.is_some())
        })
    }

    /// Over HTTP-FLV; a frame is some 800 bytes.
    fn flv(port: u16, stream: &str, leave: &Arc<AtomicBool>) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        write!(socket, "GET /live/{stream}.flv HTTP/1.1\r\nHost: a\r\n\r\n").expect("ask");
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("set a time limit");
        let (mut bytes, mut part) = (0, [0; 4096]);
        Player::start(leave, move || {
            let count = socket.read(&mut part).expect("the player goes on");
            assert!(count > 0, "the player is cut off");
            let before = bytes / 830;
            bytes += count;
            bytes / 830 - before
        })
    }

    fn start(leave: &Arc<AtomicBool>, mut next: impl FnMut() -> usize + Send + 'static) -> Self {
        let (got, leave) = (Arc::new(AtomicUsize::new(0)), leave.clone());
        let counted = got.clone();
        let thread = thread::spawn(move || {
            while !leave.load(Ordering::Relaxed) {
                counted.fetch_add(next(), Ordering::Relaxed);
            }
        });
        Player { got, thread }
    }

    fn got(&self) -> usize {
        self.got.load(Ordering::Relaxed)
    }
}

/// Two streams, one published over RTMP and one over HTTP, and their players.
struct Crowd {
    server: Server,
    http: Port,
    players: Vec<Player>,
    leave: Arc<AtomicBool>,
    publisher: Endless,
    ends_post: Arc<AtomicBool>,
    post: JoinHandle<()>,
    _ports: [Port; 2],
}

impl Crowd {
    fn start(globals: &str) -> Self {
        let (rtmp, http, caster) = (Port::free(), Port::free(), Port::free());
        let (number, listen) = (rtmp.number(), caster.number());
        let server = Setup::default()
            .globals(&format!(
                "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}
                stream_caster {{ enabled on; caster flv; listen 127.0.0.1:{listen};
                    output rtmp://127.0.0.1:{number}/[app]/[stream]; }}\n{globals}",
                http.number()
            ))
            .vhost("http_remux { enabled on; } play { mw_latency 50; }")
            .port(&rtmp)
            .allow_error("the server ends already")
            .start();
        wait_for("all listeners", 10, || {
            [&http, &caster].iter().all(|port| accepts(port.number())).then_some(())
        });
        let client = Rtmp::connect(number, "live").and_then(|client| client.publish("live", "pushed"));
        let mut client = client.expect("publish");
        client.send_tag(&numbered_header()).expect("send the header");
        let ends_post = Arc::new(AtomicBool::new(false));
        let mut crowd = Crowd {
            publisher: Endless::start(client),
            post: post(&caster, &ends_post),
            ends_post,
            server,
            http,
            players: Vec::new(),
            leave: Arc::default(),
            _ports: [rtmp, caster],
        };
        crowd.server.wait_for_lines(2, &["start publish"]);
        crowd.join();
        crowd
    }

    fn join(&mut self) {
        for stream in ["pushed", "posted"] {
            for _ in 0..PLAYERS / 2 {
                self.players.push(Player::rtmp(self.server.port(), stream, &self.leave));
                self.players.push(Player::flv(self.http.number(), stream, &self.leave));
            }
        }
        self.assert_flows();
    }

    /// All players get a second's worth more.
    #[track_caller]
    fn assert_flows(&self) {
        let before: Vec<usize> = self.players.iter().map(Player::got).collect();
        wait_for("all players to go on", 20, || {
            let flows = |(player, before): (&Player, &usize)| {
                assert!(!player.thread.is_finished(), "a player was disturbed (see above)");
                player.got() >= before + FRAMES
            };
            self.players.iter().zip(&before).all(flows).then_some(())
        });
    }

    #[track_caller]
    fn wait_until_refused(&self) {
        wait_for("new connections to be refused", 15, || {
            (!accepts(self.server.port()) && !accepts(self.http.number())).then_some(())
        });
    }

    /// All leave; gives the log, to its end.
    #[track_caller]
    fn leave(mut self) -> String {
        self.leave.store(true, Ordering::Relaxed);
        for player in self.players {
            assert!(player.thread.join().is_ok(), "a player was disturbed (see above)");
        }
        self.ends_post.store(true, Ordering::Relaxed);
        assert!(self.post.join().is_ok(), "the post was cut off (see above)");
        self.publisher.finish();
        self.server.wait_until_ended(20);
        let file = fs::read_to_string(self.server.file("srs.pid")).expect("the pid file stays, as with SRS");
        assert_eq!(file.trim(), self.server.pid().to_string());
        self.server.log()
    }
}

/// Posts the second stream until it is told to end.
fn post(caster: &Port, end: &Arc<AtomicBool>) -> JoinHandle<()> {
    let mut post = Post::start(caster.number(), "/live/posted.flv");
    let end = end.clone();
    thread::spawn(move || {
        for number in 0.. {
            if end.load(Ordering::Relaxed) {
                return;
            }
            post.send(&numbered_frame(number));
            thread::sleep(Duration::from_millis(20));
        }
    })
}

fn accepts(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// The status of `/readyz`.
fn readiness(port: u16) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    write!(socket, "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("ask");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn players_go_on_until_they_leave_by_themselves() {
    let mut crowd = Crowd::start("grace_start_wait 2500; grace_final_wait 200;\n");
    assert!(readiness(crowd.http.number()).starts_with("HTTP/1.1 200 "));
    crowd.server.signal(Signal::SIGQUIT);
    crowd.server.wait_for_line(&["graceful quit, listeners close in 2.5s"]);
    // Those who watch over it send nobody more, and who comes nevertheless is served for a while.
    let told = readiness(crowd.http.number());
    assert!(
        told.starts_with("HTTP/1.1 503 ") && told.ends_with("the server ends\n"),
        "{told}"
    );
    crowd.join();
    crowd.wait_until_refused();
    crowd.assert_flows();
    crowd
        .server
        .wait_for_line(&["graceful quit waits for", "clients, 1 s so far"]);
    crowd.assert_flows();
    let log = crowd.leave();
    assert!(log.contains("graceful quit, 0 clients are left"), "{log}");
}

#[test]
fn players_of_several_workers_go_on_too() {
    let crowd = Crowd::start("workers 2;\ngrace_start_wait 100; grace_final_wait 100;\n");
    crowd.server.signal(Signal::SIGQUIT);
    crowd.wait_until_refused();
    crowd.assert_flows();
    crowd
        .server
        .wait_for_lines(2, &["graceful quit waits for", "1 s so far"]);
    crowd.assert_flows();
    let log = crowd.leave();
    assert_eq!(log.matches("graceful quit, 0 clients are left").count(), 2, "{log}");
}

#[test]
fn sigterm_ends_the_wait() {
    let crowd = Crowd::start("grace_start_wait 50; grace_final_wait 50;\n");
    crowd.server.signal(Signal::SIGQUIT);
    crowd.wait_until_refused();
    crowd.assert_flows();
    let Crowd {
        server,
        players,
        publisher,
        post,
        ..
    } = crowd;
    assert_eq!(server.end_by(Signal::SIGTERM).code(), Some(0));
    // All were cut off: each thread fails of it.
    for player in players {
        assert!(player.thread.join().is_err(), "the player has ended by itself");
    }
    assert!(post.join().is_err(), "the post has ended by itself");
    wait_for("the publisher to be cut off", 5, || {
        publisher.is_cut_off().then_some(())
    });
}

#[test]
fn a_reload_decides_how_the_server_ends() {
    let crowd = Crowd::start("grace_start_wait 600000; grace_final_wait 600000; force_grace_quit off;\n");
    let file = crowd.server.file("srs.conf");
    let text = fs::read_to_string(&file).expect("the configuration");
    let text = text
        .replace("600000", "50")
        .replace("force_grace_quit off", "force_grace_quit on");
    fs::write(&file, &text).expect("change the configuration");
    crowd.server.signal(Signal::SIGHUP);
    crowd.server.wait_for_line(&["reload success"]);
    // It waits as at SIGQUIT, and another one does not end that.
    crowd.server.signal(Signal::SIGTERM);
    crowd.server.wait_for_line(&["graceful quit, listeners close in 50ms"]);
    crowd.wait_until_refused();
    crowd.server.signal(Signal::SIGTERM);
    crowd.assert_flows();
    // What is closed stays closed.
    crowd.server.signal(Signal::SIGHUP);
    crowd
        .server
        .wait_for_line(&["reload failed", "the server ends already"]);
    crowd.wait_until_refused();
    crowd.assert_flows();
    crowd.leave();
}

#[test]
fn an_edge_keeps_its_streams_meanwhile() {
    let origin = Server::start();
    let client = Rtmp::connect(origin.port(), "live").and_then(|client| client.publish("live", "s"));
    let mut client = client.expect("publish");
    client.send_tag(&numbered_header()).expect("send the header");
    let _publisher = Endless::start(client);
    let mut edge = Setup::default()
        .globals("grace_start_wait 50; grace_final_wait 50;\n")
        .vhost(&format!(
            "cluster {{ mode remote; origin 127.0.0.1:{}; }}",
            origin.port()
        ))
        .start();
    let leave = Arc::new(AtomicBool::new(false));
    let player = Player::rtmp(edge.port(), "s", &leave);
    wait_for("the stream", 10, || (player.got() > 0).then_some(()));
    edge.signal(Signal::SIGQUIT);
    wait_for("new connections to be refused", 10, || {
        (!accepts(edge.port())).then_some(())
    });
    let before = player.got();
    wait_for("the player to go on", 15, || {
        (player.got() > before + 3 * FRAMES).then_some(())
    });
    leave.store(true, Ordering::Relaxed);
    assert!(player.thread.join().is_ok(), "the player was disturbed (see above)");
    edge.wait_until_ended(20);
}
