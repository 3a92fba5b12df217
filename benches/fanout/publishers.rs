//! Many publishers, beside a loop that reads as many sockets and forgets what came.

use std::io::Write;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, recv};
use srs_may::app::rtmp::socket::Socket;
use srs_may::app::source::Source;
use srs_may::app::stream::Stream;
use srs_may::core::coroutine::{self, spawn};
use srs_may::core::machine::{cpu_time, resident_bytes};
use srs_may::core::tcp;
use srs_may::kernel::frame::{Frame, Kind};
use srs_may::protocol::rtmp::connection::Connection;

use crate::{Rounds, peers, spread};

/// Measures and prints. Yields.
pub fn measure(publishers: usize, rounds: Rounds) {
    if publishers == 0 {
        return;
    }
    let any = "127.0.0.1:0".parse().expect("address");
    let listener = tcp::TcpListener::bind(any, tcp::ListenOptions::default()).expect("listen");
    let mut child = peers::start("publish", listener.local_addr().expect("address"), 2 * publishers);
    let accept = || listener.accept().expect("accept").0;
    let pairs: Vec<_> = (0..publishers).map(|_| (accept(), accept())).collect();
    let (bare, ours): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let reader = Reader::new(bare.into_iter().map(|stream| stream.into_std().expect("socket")));
    let before = resident_bytes();
    let streams: Vec<_> = ours.into_iter().map(|socket| Rc::new(Stream::from(socket))).collect();
    let takers: Vec<_> = streams
        .iter()
        .cloned()
        .map(|stream| spawn("publisher", move || take(stream)))
        .collect();
    let mut control = child.stdin.take().expect("a pipe");
    let mut go = |seconds: Duration| {
        control
            .write_all(&[0, seconds.as_secs() as u8])
            .expect("tell the child")
    };
    let (mut costs, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.count {
        go(rounds.span);
        let bare = reader.work(rounds.span);
        go(rounds.span);
        let cpu = cpu_time();
        coroutine::sleep(rounds.span);
        let ours = (cpu_time() - cpu).as_secs_f64() / rounds.span.as_secs_f64();
        // The child ends its part.
        coroutine::sleep(Duration::from_millis(200));
        floors.push(bare);
        costs.push(ours);
        ratios.push(ours / bare);
    }
    let resident = resident_bytes().saturating_sub(before) as f64 / publishers as f64 / 1024.0;
    let received: u64 = streams.iter().map(|stream| stream.received_bytes()).sum();
    drop(control);
    for taker in takers {
        taker.interrupt();
        let _ = taker.join();
    }
    drop(reader);
    let _ = child.wait();
    let (ratio, least, most) = spread(ratios);
    println!(
        "{publishers} publishers: {ratio:.2} x the bare reader ({least:.2} to {most:.2}), {:.1} % against {:.1} % of a \
         core, {resident:.1} KB resident a publisher with its GOP, {:.0} Mb/s",
        spread(costs).0 * 100.0,
        spread(floors).0 * 100.0,
        received as f64 * 8e-6 / (rounds.span.as_secs_f64() * rounds.count as f64),
    );
}

/// The bare reader.
struct Reader {
    epoll: Epoll,
    streams: Vec<TcpStream>,
}

impl Reader {
    fn new(streams: impl Iterator<Item = TcpStream>) -> Self {
        let epoll = Epoll::new(EpollCreateFlags::empty()).expect("epoll");
        let streams: Vec<_> = streams.collect();
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        for (index, stream) in streams.iter().enumerate() {
            epoll.add(stream, EpollEvent::new(flags, index as u64)).expect("add");
        }
        Reader { epoll, streams }
    }

    /// Gives the share of a core that it took.
    fn work(&self, span: Duration) -> f64 {
        let mut events = vec![EpollEvent::empty(); 1024];
        let mut buffer = vec![0; 16 << 10];
        let (start, cpu) = (Instant::now(), cpu_time());
        while start.elapsed() < span {
            let count = self.epoll.wait(&mut events, EpollTimeout::from(100u8)).unwrap_or(0);
            for event in &events[..count] {
                let fd = self.streams[event.data() as usize].as_raw_fd();
                let _ = recv(fd, &mut buffer, MsgFlags::MSG_DONTWAIT);
            }
        }
        (cpu_time() - cpu).as_secs_f64() / start.elapsed().as_secs_f64()
    }
}

fn take(stream: Rc<Stream>) {
    let source = Source::new("live/s".into(), "__defaultVhost__".into(), Rc::default());
    let publication = source.publish().expect("publish");
    let mut connection = Connection::new(Socket(stream));
    connection.set_read_size(16 << 10);
    while let Ok(message) = connection.read_message() {
        let kind = match message.kind {
            8 => Kind::Audio,
            _ => Kind::Video,
        };
        publication.push(Frame::new(kind, message.timestamp, message.payload));
    }
}
