//! Publishing, playing, pausing, cutting and leaving in every order and at the worst moment, at random from a seed; at the
//! end nothing is left, and no stream stays busy.
//!
//! `SRS_E2E_SEED=7 cargo nextest run --test e2e life_cycle` repeats another run; the order of threads still varies.

use std::env;
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::support::amf::Amf;
use crate::support::bystander::{Bystander, numbered_frame, numbered_header};
use crate::support::rtmp::Rtmp;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

const ACTORS: usize = 6;
/// Streams that any actor publishes; besides, each has one of its own.
const CONTESTED: usize = 3;
const TIME: Duration = Duration::from_secs(12);
/// Longer than an idle source is kept (three seconds, looked at every three).
const PATIENCE: Duration = Duration::from_secs(7);
/// How long the server may take to see that a publisher is gone, on a busy machine.
const FREE_WITHIN: Duration = Duration::from_secs(3);

#[test]
fn any_order_of_coming_and_going_leaves_nothing_behind() {
    let seed = env::var("SRS_E2E_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let server = Setup::default().globals("srs_log_level_v2 debug;\n").start();
    let (coroutines, files) = (server.next_coroutine_count(), server.open_files());
    let bystander = Bystander::start(server.port());
    let stage = Stage::new(server.port());
    thread::scope(|scope| {
        let actors: Vec<_> = (0..ACTORS)
            .map(|actor| {
                let stage = &stage;
                scope.spawn(move || stage.act(actor, Rng::with_seed(seed * 1000 + actor as u64)))
            })
            .collect();
        let reaper = scope.spawn(|| stage.reap(Rng::with_seed(seed)));
        let patient = scope.spawn(|| a_player_outlives_the_clean_up(server.port()));
        let played: Vec<_> = actors.into_iter().map(|actor| actor.join()).collect();
        // Before anything can panic, since the scope waits for the reaper.
        stage.over.store(true, Ordering::Relaxed);
        assert!(played.iter().all(Result::is_ok), "an actor failed (see above)");
        reaper.join().expect("the reaper");
        patient.join().expect("the patient player (see above)");
    });
    stage.tally.assert_all_happened();
    bystander.finish();
    for stream in 0..CONTESTED {
        publish_soon(server.port(), &contested(stream), &mut Rng::with_seed(seed));
    }
    wait_for("the descriptors to go", 10, || {
        (server.open_files() <= files).then_some(())
    });
    assert_eq!(server.next_coroutine_count(), coroutines, "coroutines are left");
    wait_for("the last source to go", 10, || {
        let log = server.log();
        let last = log.lines().rfind(|line| line.contains("idle sources,"));
        last.is_some_and(|line| line.contains(", 0 are left")).then_some(())
    });
}

/// What the actors share.
struct Stage {
    port: u16,
    over: AtomicBool,
    /// Second handles of open connections, for the reaper.
    open: Mutex<Vec<TcpStream>>,
    tally: Tally,
}

/// How often each thing happened, so that the test cannot pass by doing nothing.
#[derive(Debug, Default)]
struct Tally {
    published: AtomicU32,
    refused: AtomicU32,
    played: AtomicU32,
    twice: AtomicU32,
    cut: AtomicU32,
}

impl Tally {
    fn assert_all_happened(&self) {
        println!("{self:?}");
        for (what, count, least) in [
            ("publications", &self.published, 50),
            ("refused publications", &self.refused, 1),
            ("players", &self.played, 20),
            ("second uses of a connection", &self.twice, 5),
            ("cut connections", &self.cut, 20),
        ] {
            let count = count.load(Ordering::Relaxed);
            assert!(count >= least, "{count} {what}");
        }
    }
}

fn add_to(count: &AtomicU32) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn contested(stream: usize) -> String {
    format!("contested-{stream}")
}

/// A publish that has to succeed: the name is nobody else's. Refusals are fine while the last publisher's end is not seen.
fn publish_soon(port: u16, stream: &str, random: &mut Rng) -> Rtmp {
    let began = Instant::now();
    loop {
        let client = Rtmp::connect(port, "live").and_then(|client| match random.bool() {
            true => client.publish("live", stream),
            false => client.publish_as_flash("live", stream),
        });
        match client {
            Ok(client) => return client,
            Err(e) => assert!(
                began.elapsed() < FREE_WITHIN,
                "{stream} cannot be published although nobody does: {e}"
            ),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A player waits while its stream's publisher goes, sources are cleaned up, and another publisher comes.
fn a_player_outlives_the_clean_up(port: u16) {
    let mut random = Rng::with_seed(0);
    let mut player = Rtmp::connect(port, "live")
        .and_then(|client| client.play("patient"))
        .expect("play");
    for round in 0..2 {
        thread::sleep(PATIENCE);
        let mut publisher = publish_soon(port, "patient", &mut random);
        let frame = numbered_frame(50 * round);
        publisher
            .send_tag(&numbered_header())
            .and_then(|()| publisher.send_tag(&frame))
            .expect("publish a frame");
        let got = player.receive_until(|message| message.payload == frame.payload);
        assert!(
            got.is_ok(),
            "the player of a stream did not get what its {round}. publisher sent: {got:?}"
        );
    }
}

impl Stage {
    fn new(port: u16) -> Self {
        Stage {
            port,
            over: AtomicBool::new(false),
            open: Mutex::default(),
            tally: Tally::default(),
        }
    }

    fn act(&self, actor: usize, mut random: Rng) {
        let end = Instant::now() + TIME;
        while Instant::now() < end {
            match random.u8(..10) {
                0..=2 => {
                    let client = publish_soon(self.port, &format!("own-{actor}"), &mut random);
                    add_to(&self.tally.published);
                    self.stream_and_leave(client, &mut random);
                }
                3..=5 => self.publish_contested(&mut random),
                6..=8 => self.play_any(&mut random),
                _ => self.leave_early(&mut random),
            }
        }
    }

    /// Cuts connections at random, as a kick-off or a network does.
    fn reap(&self, mut random: Rng) {
        while !self.over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(random.u64(1..20)));
            let mut open = self.open.lock().expect("the open connections");
            if open.is_empty() {
                continue;
            }
            let at = random.usize(..open.len());
            if open.swap_remove(at).shutdown(Shutdown::Both).is_ok() {
                add_to(&self.tally.cut);
            }
        }
        self.open.lock().expect("the open connections").clear();
    }

    fn expose(&self, client: &Rtmp) {
        let mut open = self.open.lock().expect("the open connections");
        // Old handles would keep sockets open that their owners have closed.
        while open.len() >= ACTORS {
            open.remove(0);
        }
        open.extend(client.second_handle());
    }

    fn publish_contested(&self, random: &mut Rng) {
        let stream = contested(random.usize(..CONTESTED));
        let Ok(client) = Rtmp::connect(self.port, "live") else {
            return;
        };
        match client.publish("live", &stream) {
            Ok(client) => {
                add_to(&self.tally.published);
                self.stream_and_leave(client, random);
            }
            Err(_) => add_to(&self.tally.refused),
        }
    }

    /// Sends some frames, then leaves in one of many ways. Errors are those of a connection that was cut.
    fn stream_and_leave(&self, mut client: Rtmp, random: &mut Rng) {
        if random.u8(..4) == 0 {
            self.expose(&client);
        }
        let mut sent = client.send_tag(&numbered_header());
        for number in 0..random.u32(..60) {
            sent = sent.and_then(|()| client.send_tag(&numbered_frame(number)));
            if random.u8(..8) == 0 {
                thread::sleep(Duration::from_millis(random.u64(..8)));
            }
        }
        if sent.is_err() {
            return;
        }
        match random.u8(..6) {
            0 => drop(client),
            1 => client.reset(),
            2 => drop(client.send_raw(&[6, 0, 0, 0, 0, 0xff, 0xff, 9, 1, 0, 0, 0, 0x27])),
            3 => drop(client.command("deleteStream", 0.0, 0, &[Amf::Null, Amf::Number(1.0)])),
            // Politely, and then once more on the same connection.
            way => {
                let unpublish = client.command("FCUnpublish", 6.0, 0, &[Amf::Null, Amf::text("x")]);
                let again = unpublish.and_then(|()| match way {
                    4 => client.publish("live", &contested(random.usize(..CONTESTED))),
                    _ => client.play(&contested(random.usize(..CONTESTED))),
                });
                if again.is_ok() {
                    add_to(&self.tally.twice);
                }
            }
        }
    }

    fn play_any(&self, random: &mut Rng) {
        let stream = match random.u8(..6) {
            0 => format!("nobody-{}", random.u8(..)),
            1..=3 => contested(random.usize(..CONTESTED)),
            _ => format!("own-{}", random.usize(..ACTORS)),
        };
        let Ok(mut client) = Rtmp::connect(self.port, "live").and_then(|client| client.play(&stream)) else {
            return;
        };
        add_to(&self.tally.played);
        if random.u8(..4) == 0 {
            self.expose(&client);
        }
        for _ in 0..random.u8(..4) {
            thread::sleep(Duration::from_millis(random.u64(..60)));
            let pauses = random.bool();
            let _ = client.command("pause", 0.0, 1, &[Amf::Null, Amf::Boolean(pauses), Amf::Number(0.0)]);
        }
        if random.bool() {
            let closed = client.command("closeStream", 0.0, 1, &[Amf::Null]);
            let again = closed.and_then(|()| client.play(&contested(random.usize(..CONTESTED))));
            if let Ok(again) = again {
                add_to(&self.tally.twice);
                thread::sleep(Duration::from_millis(random.u64(..30)));
                again.reset();
            }
        }
    }

    /// Leaves before it is known what for.
    fn leave_early(&self, random: &mut Rng) {
        match random.u8(..4) {
            0 => drop(TcpStream::connect(("127.0.0.1", self.port))),
            1 => drop(Rtmp::open(self.port)),
            2 => drop(Rtmp::connect(self.port, "live")),
            _ => {
                if let Ok(mut client) = Rtmp::connect(self.port, "live") {
                    let _ = client.command("createStream", 2.0, 0, &[Amf::Null]);
                    let stream = contested(random.usize(..CONTESTED));
                    let _ = client.command("publish", 3.0, 1, &[Amf::Null, Amf::text(&stream), Amf::text("live")]);
                    client.reset();
                }
            }
        }
    }
}
