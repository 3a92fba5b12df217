//! The other ends: a process that reads and forgets what players get, and one that publishes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use srs_may::kernel::frame::Kind;
use srs_may::protocol::rtmp::chunk::Encoder;

use crate::stream::{self, MARK};

/// The publishers' chunk size, bytes.
const CHUNK_BYTES: usize = 4096;

/// Starts this program in another role, off the core that is measured.
pub fn start(role: &str, address: SocketAddr, connections: usize) -> Child {
    let program = std::env::current_exe().expect("own path");
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(program);
    command.args([role.to_owned(), address.to_string(), connections.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("start the other end")
}

fn connect(address: SocketAddr, connections: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_nonblocking(true).expect("nonblocking");
        stream.set_nodelay(true).expect("nodelay");
        stream
    };
    (0..connections).map(connect).collect()
}

/// Connects, then reads and forgets until the server closes. Prints how old messages were when they came: the median and
/// the 99th percentile, ms.
pub fn drain(address: SocketAddr, connections: usize) {
    let epoll = Epoll::new(EpollCreateFlags::empty()).expect("epoll");
    let mut streams = connect(address, connections);
    for (index, stream) in streams.iter().enumerate() {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, index as u64);
        epoll.add(stream, event).expect("add");
    }
    let mut buffer = vec![0; 256 << 10];
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut ages = Vec::new();
    let mut open = connections;
    while open > 0 {
        let count = epoll.wait(&mut events, EpollTimeout::NONE).unwrap_or(0);
        for event in &events[..count] {
            let stream = &mut streams[event.data() as usize];
            match stream.read(&mut buffer) {
                Ok(count) if count > 0 => ages.extend(age(&buffer[..count])),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => {
                    let _ = epoll.delete(&*stream);
                    open -= 1;
                }
            }
        }
    }
    ages.sort_unstable();
    let at = |percent: usize| {
        ages.get(ages.len() * percent / 100)
            .map_or(0.0, |age| *age as f64 / 1e6)
    };
    println!("{:.2} {:.2}", at(50), at(99));
}

/// The age of the first message in `bytes`, ns.
fn age(bytes: &[u8]) -> Option<u64> {
    let at = bytes.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let made = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    Some(stream::nanoseconds().saturating_sub(made))
}

/// Publishes on every other connection, then on the rest, and so on, for as long as each pair of bytes of its input says.
pub fn publish(address: SocketAddr, connections: usize) {
    let mut streams = connect(address, connections);
    let mut begin = Vec::new();
    let size = (CHUNK_BYTES as u32).to_be_bytes();
    Encoder::new().encode(&mut begin, 2, 1, 0, 0, &size).expect("encode");
    for stream in &mut streams {
        stream.write_all(&begin).expect("publish");
    }
    let mut control = std::io::stdin();
    for side in (0..2).cycle() {
        if !matches!(control.read(&mut [0]), Ok(1)) {
            return;
        }
        let mine: Vec<_> = streams.iter_mut().skip(side).step_by(2).collect();
        publish_for(mine, &mut control);
    }
}

/// Publishes for as many seconds as the next byte says; each connection has its own moment in the time of a message.
fn publish_for(mut streams: Vec<&mut TcpStream>, control: &mut impl Read) {
    let mut seconds = [0];
    control.read_exact(&mut seconds).expect("seconds");
    let end = Duration::from_secs(u64::from(seconds[0]));
    let mut encoder = Encoder::new();
    encoder.set_chunk_size(CHUNK_BYTES);
    let (start, count) = (Instant::now(), streams.len());
    let mut bytes = Vec::new();
    for index in 0.. {
        let due = stream::due(index);
        if due >= end {
            return;
        }
        let frame = stream::frame(index);
        let (chunk_stream, kind) = if frame.kind == Kind::Video { (6, 9) } else { (7, 8) };
        bytes.clear();
        let encoded = encoder.encode(&mut bytes, chunk_stream, kind, frame.timestamp, 1, &frame.payload);
        encoded.expect("encode");
        for (place, stream) in streams.iter_mut().enumerate() {
            if place % 32 == 0 {
                let moment = due + stream::due(1) * place as u32 / count as u32;
                std::thread::sleep(moment.saturating_sub(start.elapsed()));
            }
            // What does not fit would break the stream.
            assert_eq!(stream.write(&bytes).expect("publish"), bytes.len());
        }
    }
}
