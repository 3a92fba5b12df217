//! Many at once: two thousand connections that say nothing and five hundred publishers, on one thread of the server.
//!
//! The figures that it prints (`cargo nextest run --test e2e load --success-output final`) are those of docs/testing.md.

mod reloads;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{SysconfVar, sysconf};

use crate::support::amf::Amf;
use crate::support::bystander::numbered_header;
use crate::support::flv::{Tag, VIDEO};
use crate::support::rtmp::{Message, Rtmp, USER_CONTROL};
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

const IDLE: usize = 2000;
const PUBLISHERS: usize = 500;
/// Streams that have a player.
const PLAYED: usize = 20;
/// Threads that the clients share: the server has the other core.
const THREADS: usize = 4;
/// How long all publish together.
const TIME: Duration = Duration::from_secs(20);
/// A frame of each publisher every 40 ms, 250 kb/s in all, a keyframe every two seconds.
const FRAME_MS: u32 = 40;
const FRAME_BYTES: usize = 1250;
const KEYFRAME_EVERY: u32 = 50;
/// Descriptors besides the connections: listeners, epoll, log, and as many of the test's.
const OTHER_FILES: u64 = 100;

/// What one connection may hold, kilobytes; several times what it does (see docs/testing.md), as pages are not given back.
const IDLE_KILOBYTES: u64 = 40;

#[test]
fn two_thousand_idle_connections_and_five_hundred_publishers() {
    allow_files((IDLE + PUBLISHERS + PLAYED) as u64 + OTHER_FILES);
    let server = Setup::default()
        .globals("max_connections 3000;\nsrs_log_level_v2 debug;\n")
        .start();
    let (coroutines, start) = (server.next_coroutine_count(), Usage::of(&server));

    let idle = connect_all(&server, IDLE, |client, _| client);
    let with_idle = Usage::of(&server);
    let each_idle = (with_idle.kilobytes - start.kilobytes) as f64 / IDLE as f64;
    assert!(with_idle.files >= start.files + IDLE, "{with_idle:?}");

    let (clients, streaming, done) = publish_and_play(&server);
    let each = (streaming.kilobytes.saturating_sub(with_idle.kilobytes)) as f64 / PUBLISHERS as f64;
    println!("memory of an idle connection: {each_idle:.1} kB; of a publisher with its cached GOP: {each:.1} kB");
    println!(
        "CPU at {PUBLISHERS} publishers: {:.0} % of a core",
        (done.cpu - streaming.cpu) / (TIME / 2).as_secs_f64() * 100.0
    );
    assert!(
        each_idle < IDLE_KILOBYTES as f64,
        "an idle connection takes {each_idle:.1} kB"
    );

    let log = server.log();
    for end in ["disconnect", "timed out", "[ERROR]"] {
        let line = log.lines().find(|line| line.contains(end));
        assert_eq!(line, None, "somebody left before the end");
    }
    for (number, mut client) in idle.into_iter().chain(clients) {
        assert!(client.is_open(), "client {number} was cut off");
    }
    assert_nothing_is_left(&server, start.files, coroutines);
    println!(
        "resident at the start {} kB, after all have left {} kB",
        start.kilobytes,
        Usage::of(&server).kilobytes
    );
}

/// What the server's process uses.
#[derive(Clone, Copy, Debug)]
struct Usage {
    kilobytes: u64,
    files: usize,
    /// Seconds, user and system.
    cpu: f64,
}

impl Usage {
    fn of(server: &Server) -> Self {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("the server's stat");
        // The program's name, which may hold anything, ends with the last bracket; utime and stime are fields 14 and 15.
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        let ticks_a_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        Usage {
            kilobytes: server.resident_kilobytes(),
            files: server.open_files(),
            cpu: ticks as f64 / ticks_a_second as f64,
        }
    }
}

fn allow_files(count: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    assert!(
        hard >= count,
        "this machine allows {hard} open files, {count} are needed (ulimit -Hn)"
    );
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(count), hard).expect("raise the limit of open files");
}

/// Connects so many clients from all threads, and makes each what it shall be; `number` counts from 0.
fn connect_all(server: &Server, count: usize, make: impl Fn(Rtmp, usize) -> Rtmp + Sync) -> Vec<(usize, Rtmp)> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let make = &make;
                scope.spawn(move || -> Vec<(usize, Rtmp)> {
                    let numbers = (thread..count).step_by(THREADS);
                    let connect = || Rtmp::connect(server.port(), "live").expect("connect");
                    numbers.map(|number| (number, make(connect(), number))).collect()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("connect all"))
            .collect()
    })
}

/// Publishes for [`TIME`] with players on some; gives all these clients, and the server's usage at half time and at the end.
fn publish_and_play(server: &Server) -> (Vec<(usize, Rtmp)>, Usage, Usage) {
    let mut publishers = connect_all(server, PUBLISHERS, |client, number| {
        let mut client = client.publish("live", &format!("load-{number}")).expect("publish");
        client.send_tag(&numbered_header()).expect("send the header");
        client
    });
    let (stop, late) = (AtomicBool::new(false), AtomicU64::new(0));
    let (players, half, done) = thread::scope(|scope| {
        let share = PUBLISHERS.div_ceil(THREADS);
        for clients in publishers.chunks_mut(share) {
            scope.spawn(|| publish(clients, &stop, &late));
        }
        let player = scope.spawn(|| play(server, &stop));
        thread::sleep(TIME / 2);
        let half = Usage::of(server);
        thread::sleep(TIME / 2);
        let done = Usage::of(server);
        stop.store(true, Ordering::Relaxed);
        let (frames, players) = player.join().expect("the players are content");
        println!(
            "{PLAYED} players got {frames} frames, none lost; frames were sent up to {} ms late",
            late.load(Ordering::Relaxed)
        );
        (players, half, done)
    });
    publishers.extend(players);
    (publishers, half, done)
}

/// Sends the frames of some publishers, a quarter of them every 10 ms.
fn publish(clients: &mut [(usize, Rtmp)], stop: &AtomicBool, late: &AtomicU64) {
    let began = Instant::now();
    for step in 0u32.. {
        let due = Duration::from_millis((step * FRAME_MS / 4).into());
        thread::sleep(due.saturating_sub(began.elapsed()));
        late.fetch_max(
            began.elapsed().saturating_sub(due).as_millis() as u64,
            Ordering::Relaxed,
        );
        if stop.load(Ordering::Relaxed) {
            return;
        }
        for (number, client) in clients.iter_mut().skip(step as usize % 4).step_by(4) {
            client.send_tag(&frame(*number, step / 4)).expect("publish a frame");
        }
    }
}

/// Plays the first streams until told to stop, in turn, as all are equally fast; gives how many frames came, and the
/// players.
fn play(server: &Server, stop: &AtomicBool) -> (u32, Vec<(usize, Rtmp)>) {
    let mut players: Vec<(usize, Rtmp, Option<u32>)> = (0..PLAYED)
        .map(|stream| {
            let player = Rtmp::connect(server.port(), "live").expect("connect");
            (stream, player.play(&format!("load-{stream}")).expect("play"), None)
        })
        .collect();
    let mut total = 0;
    while !stop.load(Ordering::Relaxed) {
        for (stream, player, last) in &mut players {
            let message = player.receive().expect("a player's stream goes on");
            let tag = message.into_tag();
            if tag.kind != VIDEO || tag.is_header() {
                continue;
            }
            let number = u32::from_be_bytes(tag.payload[14..18].try_into().expect("a frame's number"));
            assert_eq!(
                tag.payload,
                frame(*stream, number).payload,
                "frame {number} of stream {stream}"
            );
            assert!(
                last.is_none_or(|last| number == last + 1),
                "frame {number} after {last:?}"
            );
            *last = Some(number);
            total += 1;
        }
    }
    let least = (TIME.as_millis() as u32 / FRAME_MS) / 2;
    for (stream, _, last) in &players {
        assert!(
            last.is_some_and(|last| last > least),
            "stream {stream} ended at frame {last:?}"
        );
    }
    let players = players.into_iter().map(|(stream, player, _)| (stream, player));
    (total, players.collect())
}

fn frame(stream: usize, number: u32) -> Tag {
    let (flags, nal_type) = if number.is_multiple_of(KEYFRAME_EVERY) {
        (0x17, 0x65)
    } else {
        (0x27, 0x41)
    };
    let mut payload = vec![flags, 1, 0, 0, 0];
    payload.extend((FRAME_BYTES as u32 - 9).to_be_bytes());
    payload.push(nal_type);
    payload.extend((stream as u32).to_be_bytes());
    payload.extend(number.to_be_bytes());
    payload.resize(FRAME_BYTES, (stream as u32 * 7 + number) as u8 | 1);
    Tag {
        kind: VIDEO,
        timestamp: number * FRAME_MS,
        payload,
    }
}

fn assert_nothing_is_left(server: &Server, files: usize, expected: u32) {
    wait_for("the descriptors to go", 10, || {
        (server.open_files() <= files).then_some(())
    });
    assert_eq!(server.next_coroutine_count(), expected, "coroutines are left");
    server.wait_for_line(&["idle sources, 0 are left"]);
}

/// Publishes with `send` to a player that has paused; gives by how many kilobytes the server grows.
fn growth_for_a_paused_player(send: impl FnOnce(&mut Rtmp)) -> u64 {
    let server = Server::start();
    let publisher = Rtmp::connect(server.port(), "live").and_then(|client| client.publish("live", "still"));
    let mut publisher = publisher.expect("publish");
    publisher.send_tag(&numbered_header()).expect("send the header");
    let player = Rtmp::connect(server.port(), "live").and_then(|client| client.play("still"));
    let mut player = player.expect("play");
    let arguments = [Amf::Null, Amf::Boolean(true), Amf::Number(0.0)];
    player.command("pause", 0.0, 1, &arguments).expect("pause");
    player.status("NetStream.Pause.Notify").expect("the player pauses");
    let before = Usage::of(&server);
    send(&mut publisher);
    // All of it has been taken when an answer comes to what is said after it.
    publisher
        .send(2, USER_CONTROL, 0, 0, &[0, 6, 0, 0, 0, 7])
        .expect("ping");
    let pong = |message: &Message| message.kind == USER_CONTROL && message.payload == [0, 7, 0, 0, 0, 7];
    publisher.receive_until(pong).expect("the server's answer to a ping");
    let grown = Usage::of(&server).kilobytes - before.kilobytes;
    println!("the server grew by {grown} kB");
    grown
}

/// Queues are bounded by time, and this stream's time stands still.
#[test]
fn frames_without_time_are_bounded_by_their_bytes() {
    let grown = growth_for_a_paused_player(|publisher| {
        let payload = [&[0x27, 1, 0, 0, 0][..], &[1; 80_000]].concat();
        let tag = Tag {
            kind: VIDEO,
            timestamp: 0,
            payload,
        };
        (0..4000).for_each(|_| publisher.send_tag(&tag).expect("publish a frame"));
    });
    assert!(grown < 200_000, "320 MB are kept as {grown} kB");
}

/// A chunk of two bytes is a whole message, for which the server keeps more than a hundred.
#[test]
fn small_messages_without_time_are_bounded_by_what_they_cost() {
    let grown = growth_for_a_paused_player(|publisher| {
        publisher
            .send_raw(&[6, 0, 0, 0, 0, 0, 1, VIDEO, 1, 0, 0, 0, 0x27])
            .expect("publish");
        let messages = [0xc6, 0x27].repeat(50_000);
        (0..80).for_each(|_| publisher.send_raw(&messages).expect("publish small messages"));
    });
    assert!(grown < 250_000, "4,000,000 messages of one byte are kept as {grown} kB");
}
