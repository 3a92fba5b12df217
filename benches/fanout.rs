//! What one stream to many players costs, beside a bare sender of the same bytes in the same run.
//!
//! `cargo bench --bench fanout -- [PLAYERS] [SECONDS]` starts a child process that reads and discards (on another core
//! if there is one) and prints CPU seconds a gigabit for our consumers and for the floor: one thread that does no more
//! than send ready bytes to as many sockets every 350 ms.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use srs_may::app::config::section::play::{Play, TimeJitter};
use srs_may::app::monitor::{cpu_time, resident_bytes};
use srs_may::app::source::{Delivery, MergedWrite, Source};
use srs_may::app::stream::Stream;
use srs_may::core::clock::Moment;
use srs_may::core::coroutine::{self, spawn};
use srs_may::core::runtime::run;
use srs_may::core::setup::raise_file_limit;
use srs_may::core::tcp;
use srs_may::kernel::frame::{Frame, Kind};

const BATCH: Duration = Duration::from_millis(350);

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    let first = words.next().unwrap_or_default();
    let _ = raise_file_limit();
    if first == "drain" {
        let address = words
            .next()
            .and_then(|word| word.parse().ok())
            .expect("drain ADDRESS PLAYERS");
        let players = words
            .next()
            .and_then(|word| word.parse().ok())
            .expect("drain ADDRESS PLAYERS");
        return drain(address, players);
    }
    let players: usize = first.parse().unwrap_or(1000);
    let seconds: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(10);
    let duration = Duration::from_secs(seconds);
    let floor = bare(players, duration);
    println!("bare sender: {:.4} CPU s/Gbit", floor.seconds_a_gigabit());
    let ours = coroutines(players, duration);
    println!(
        "consumers:   {:.4} CPU s/Gbit, {:.2} x the bare sender, {:.1} KB resident a player",
        ours.seconds_a_gigabit(),
        ours.seconds_a_gigabit() / floor.seconds_a_gigabit(),
        ours.resident as f64 / players as f64 / 1024.0,
    );
}

struct Cost {
    cpu: Duration,
    bytes: u64,
    resident: u64,
}

impl Cost {
    fn seconds_a_gigabit(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.bytes as f64 * 8.0 / 1e9)
    }
}

/// Connects, then reads and forgets until the server closes.
fn drain(address: SocketAddr, players: usize) {
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
    let epoll = Epoll::new(EpollCreateFlags::empty()).expect("epoll");
    let mut streams: Vec<_> = (0..players)
        .map(|index| {
            let stream = TcpStream::connect(address).expect("connect");
            stream.set_nonblocking(true).expect("nonblocking");
            epoll
                .add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))
                .expect("add");
            stream
        })
        .collect();
    let mut buffer = vec![0; 256 << 10];
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut open = players;
    while open > 0 {
        let count = epoll.wait(&mut events, EpollTimeout::NONE).unwrap_or(0);
        for event in &events[..count] {
            let stream = &mut streams[event.data() as usize];
            if matches!(stream.read(&mut buffer), Ok(0)) {
                let _ = epoll.delete(&*stream);
                open -= 1;
            }
        }
    }
}

fn start_drain(address: SocketAddr, players: usize) -> Child {
    let program = std::env::current_exe().expect("own path");
    // Off the core that is measured: run the bench itself with `taskset -c 0`.
    let mut command = Command::new("taskset");
    command
        .args(["-c", "1"])
        .arg(program)
        .arg("drain")
        .arg(address.to_string())
        .arg(players.to_string());
    command.stdin(Stdio::null()).spawn().expect("start the reading process")
}

/// The stream: 25 pictures a second of 1,000 bytes and 43 sounds of 140, about 250 kb/s.
fn frame(index: u32) -> Frame {
    let millis = index * 1000 / 68;
    if index % 68 * 25 / 68 != (index + 67) % 68 * 25 / 68 {
        let head: &[u8] = if index.is_multiple_of(136) {
            b"\x17\x01\0\0\0"
        } else {
            b"\x27\x01\0\0\0"
        };
        Frame::new(Kind::Video, millis, Bytes::from([head, &vec![7; 1000]].concat()))
    } else {
        Frame::new(
            Kind::Audio,
            millis,
            Bytes::from([b"\xaf\x01".as_slice(), &[7; 140]].concat()),
        )
    }
}

fn bare(players: usize, duration: Duration) -> Cost {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let mut child = start_drain(listener.local_addr().expect("address"), players);
    let mut streams: Vec<_> = (0..players)
        .map(|_| {
            let stream = listener.accept().expect("accept").0;
            stream.set_nonblocking(true).expect("nonblocking");
            stream
        })
        .collect();
    let batch: Vec<u8> = (0..24).flat_map(|index| frame(index).payload.to_vec()).collect();
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut bytes = 0;
    let mut next = start;
    while start.elapsed() < duration {
        for stream in &mut streams {
            bytes += stream.write(&batch).unwrap_or(0) as u64;
        }
        next += BATCH;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let cost = Cost {
        cpu: cpu_time() - cpu,
        bytes,
        resident: 0,
    };
    drop(streams);
    let _ = child.wait();
    cost
}

fn coroutines(players: usize, duration: Duration) -> Cost {
    run(move || {
        let play = Play {
            gop_cache: true,
            gop_cache_max_frames: 2500,
            queue_length: Duration::from_secs(30),
            time_jitter: TimeJitter::Full,
            atc: false,
            mix_correct: false,
            atc_auto: false,
            mw_latency: BATCH,
            mw_msgs: 8,
            send_min_interval: Duration::ZERO,
            reduce_sequence_header: false,
        };
        let source = Source::new("live/s".into(), "__defaultVhost__".into(), Rc::new(play));
        let publication = source.publish().expect("publish");
        let any = "127.0.0.1:0".parse().expect("address");
        let listener = tcp::TcpListener::bind(any, tcp::ListenOptions::default()).expect("listen");
        let before = resident_bytes();
        let mut child = start_drain(listener.local_addr().expect("address"), players);
        let end = Moment::after(duration + Duration::from_secs(3));
        let sent = Rc::new(std::cell::Cell::new(0u64));
        let mut waiting = Vec::new();
        for _ in 0..players {
            let stream = Rc::new(Stream::from(listener.accept().expect("accept").0));
            let (source, sent) = (source.clone(), sent.clone());
            waiting.push(spawn("player", move || play_until(&source, &stream, end, &sent)));
        }
        let start = Moment::now();
        let mut index = 0;
        let publish_until = |until: Duration, index: &mut u32| {
            while Moment::now().since(start) < until {
                publication.push(frame(*index));
                *index += 1;
                let due = Duration::from_millis(u64::from(*index) * 1000 / 68);
                coroutine::sleep(due.saturating_sub(Moment::now().since(start)));
            }
        };
        publish_until(Duration::from_secs(2), &mut index);
        let (cpu, bytes) = (cpu_time(), sent.get());
        publish_until(duration + Duration::from_secs(2), &mut index);
        let cost = Cost {
            cpu: cpu_time() - cpu,
            bytes: sent.get() - bytes,
            resident: resident_bytes() - before,
        };
        for player in waiting {
            player.interrupt();
            let _ = player.join();
        }
        let _ = child.kill();
        let _ = child.wait();
        cost
    })
    .expect("run")
}

fn play_until(source: &Rc<Source>, stream: &Rc<Stream>, end: Moment, sent: &std::cell::Cell<u64>) {
    let merged = MergedWrite {
        messages: 8,
        latency: BATCH,
    };
    let delivery = Delivery::join(source, 60_000, stream, merged, true);
    let mut before = 0;
    while Moment::now() < end && !coroutine::is_interrupted() {
        let _ = stream.try_read(&mut [0; 16]);
        if delivery.is_due() && delivery.send(u64::MAX).is_err() {
            return;
        }
        sent.set(sent.get() + stream.sent_bytes() - before);
        before = stream.sent_bytes();
        delivery.wait(Moment::after(Duration::from_secs(1)));
    }
}
