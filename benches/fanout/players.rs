//! One stream to many players, beside a loop that does no more than send ready bytes to as many sockets.

use std::cell::Cell;
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, send};
use srs_may::app::config::section::play::Play;
use srs_may::app::source::{Delivery, Envelope, FlvConsumer, MergedWrite, Publication, Recipient, Source, Way};
use srs_may::app::stream::Stream;
use srs_may::core::clock::Moment;
use srs_may::core::coroutine::{self, JoinHandle, spawn};
use srs_may::core::machine::{cpu_time, resident_bytes};
use srs_may::core::tcp;
use srs_may::protocol::http::body::{CHUNK_END, chunk_line};

use crate::{Rounds, peers, spread, stream};

/// Who plays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// RTMP, batches of 350 ms.
    Rtmp,
    /// HTTP-FLV, batches of 350 ms.
    HttpFlv,
    /// RTMP, each message at once.
    Realtime,
}

impl Load {
    fn merged(self) -> MergedWrite {
        match self {
            Load::Rtmp | Load::HttpFlv => MergedWrite {
                messages: 8,
                latency: Duration::from_millis(350),
            },
            Load::Realtime => MergedWrite {
                messages: 0,
                latency: Duration::ZERO,
            },
        }
    }

    fn name(self) -> &'static str {
        match self {
            Load::Rtmp => "RTMP players",
            Load::HttpFlv => "HTTP-FLV players",
            Load::Realtime => "RTMP players in realtime mode",
        }
    }
}

/// What was sent, and what that cost.
struct Cost {
    cpu: Duration,
    bytes: u64,
}

impl Cost {
    fn seconds_a_gigabit(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.bytes as f64 * 8.0 / 1e9)
    }
}

/// Measures and prints. Yields.
pub fn measure(load: Load, players: usize, rounds: Rounds) {
    if players == 0 {
        return;
    }
    let any = "127.0.0.1:0".parse().expect("address");
    let listener = tcp::TcpListener::bind(any, tcp::ListenOptions::default()).expect("listen");
    let mut child = peers::start("drain", listener.local_addr().expect("address"), 2 * players);
    let accept = || listener.accept().expect("accept").0;
    let pairs: Vec<_> = (0..players).map(|_| (accept(), accept())).collect();
    let (bare, ours): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let floor = Floor::new(bare.into_iter().map(|stream| stream.into_std().expect("socket")));
    let before = resident_bytes();
    let audience = Audience::new(load, ours);
    audience.publish(Duration::from_secs(2));
    let (mut costs, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.count {
        let bare = floor.work(load, rounds.span).seconds_a_gigabit();
        let ours = audience.work(rounds.span).seconds_a_gigabit();
        floors.push(bare);
        costs.push(ours);
        ratios.push(ours / bare);
    }
    let resident = resident_bytes().saturating_sub(before) as f64 / players as f64 / 1024.0;
    audience.leave();
    drop(floor);
    let mut ages = String::new();
    let told = child.stdout.take().map(|mut out| out.read_to_string(&mut ages));
    told.expect("a pipe").expect("read");
    let _ = child.wait();
    let (ratio, least, most) = spread(ratios);
    let ages: Vec<_> = ages.split_whitespace().collect();
    println!(
        "{players} {}: {ratio:.2} x the bare sender ({least:.2} to {most:.2}), {:.4} against {:.4} CPU s/Gbit, \
         {resident:.1} KB resident a player, messages {} ms old on arrival, p99 {}",
        load.name(),
        spread(costs).0,
        spread(floors).0,
        ages.first().unwrap_or(&"?"),
        ages.get(1).unwrap_or(&"?"),
    );
}

/// The bare sender: sockets in an epoll set, as whoever serves them must have it, and ready bytes.
struct Floor {
    epoll: Epoll,
    streams: Vec<TcpStream>,
}

impl Floor {
    fn new(streams: impl Iterator<Item = TcpStream>) -> Self {
        let epoll = Epoll::new(EpollCreateFlags::empty()).expect("epoll");
        let streams: Vec<_> = streams.collect();
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        for (index, stream) in streams.iter().enumerate() {
            epoll.add(stream, EpollEvent::new(flags, index as u64)).expect("add");
        }
        Floor { epoll, streams }
    }

    fn work(&self, load: Load, span: Duration) -> Cost {
        let step = match load {
            Load::Rtmp | Load::HttpFlv => stream::BATCH,
            Load::Realtime => 1,
        };
        let mut events = vec![EpollEvent::empty(); 1024];
        let (start, cpu) = (Instant::now(), cpu_time());
        let mut bytes = 0;
        let mut index = 0;
        while stream::due(index) < span {
            let batch: Vec<u8> = (index..index + step)
                .flat_map(|index| [&[0; 8], &stream::frame(index).payload[..]].concat())
                .collect();
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            for stream in &self.streams {
                bytes += send(stream.as_raw_fd(), &batch, flags).unwrap_or(0) as u64;
            }
            index += step;
            let rest = stream::due(index).saturating_sub(start.elapsed());
            let timeout = EpollTimeout::try_from(rest).expect("milliseconds");
            let _ = self.epoll.wait(&mut events, timeout);
        }
        Cost {
            cpu: cpu_time() - cpu,
            bytes,
        }
    }
}

/// The server's part: a source and its players.
struct Audience {
    publication: Publication,
    streams: Vec<Rc<Stream>>,
    players: Vec<JoinHandle<()>>,
    index: Cell<u32>,
}

impl Audience {
    fn new(load: Load, sockets: Vec<tcp::TcpStream>) -> Self {
        let source = Source::new("live/s".into(), "__defaultVhost__".into(), Rc::new(play(load)));
        let publication = source.publish().expect("publish");
        let streams: Vec<_> = sockets
            .into_iter()
            .map(|socket| Rc::new(Stream::from(socket)))
            .collect();
        let enter = |stream: &Rc<Stream>| {
            let (source, stream) = (source.clone(), stream.clone());
            spawn("player", move || match load {
                Load::HttpFlv => play_flv(&source, &stream),
                Load::Rtmp | Load::Realtime => play_rtmp(&source, &stream, load.merged()),
            })
        };
        Audience {
            publication,
            players: streams.iter().map(enter).collect(),
            streams,
            index: Cell::new(0),
        }
    }

    fn publish(&self, span: Duration) {
        let (start, first) = (Moment::now(), self.index.get());
        while stream::due(self.index.get() - first) < span {
            self.publication.push(stream::frame(self.index.get()));
            self.index.set(self.index.get() + 1);
            let due = stream::due(self.index.get() - first);
            coroutine::sleep(due.saturating_sub(Moment::now().since(start)));
        }
    }

    fn work(&self, span: Duration) -> Cost {
        let sent = || self.streams.iter().map(|stream| stream.sent_bytes()).sum::<u64>();
        // What the last round left goes out when the courier sees the pause.
        coroutine::sleep(Duration::from_millis(1200));
        let (cpu, before) = (cpu_time(), sent());
        self.publish(span);
        Cost {
            cpu: cpu_time() - cpu,
            bytes: sent() - before,
        }
    }

    fn leave(self) {
        for player in self.players {
            player.interrupt();
            let _ = player.join();
        }
    }
}

fn play(load: Load) -> Play {
    let merged = load.merged();
    Play {
        gop_cache: load != Load::Realtime,
        mw_latency: merged.latency,
        mw_msgs: merged.messages,
        ..Play::default()
    }
}

fn play_rtmp(source: &Rc<Source>, stream: &Rc<Stream>, merged: MergedWrite) {
    let delivery = Delivery::join(source, 60_000, stream, merged, true);
    while !coroutine::is_interrupted() {
        let _ = stream.try_read(&mut [0; 16]);
        if delivery.is_due() && delivery.send(u64::MAX).is_err() {
            return;
        }
        delivery.wait(Moment::NEVER);
    }
}

fn play_flv(source: &Rc<Source>, stream: &Rc<Stream>) {
    let mut consumer = FlvConsumer::join(source);
    let recipient = Rc::new(Recipient::current());
    let way = Way {
        stream,
        envelope: Envelope::Chunk,
        merged: Load::HttpFlv.merged(),
        recipient: &recipient,
    };
    while !coroutine::is_interrupted() {
        let _ = stream.try_read(&mut [0; 16]);
        let mut bytes = recipient.take_turn();
        let begin = bytes.len();
        if consumer.place.is_due(way.merged) && consumer.take_batch(&mut bytes) > 0 {
            let line = chunk_line(bytes.len() - begin);
            bytes.splice(begin..begin, line.into_bytes());
            bytes.extend_from_slice(CHUNK_END);
        }
        if stream.write_all(&bytes).is_err() {
            return;
        }
        consumer
            .place
            .wait(consumer.parked(&way), way.merged, stream, Moment::NEVER);
    }
}
