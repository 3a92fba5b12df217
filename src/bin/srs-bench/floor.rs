//! The bare sender: one thread that lets players in and then sends all of them the same ready bytes at the same moments,
//! with epoll for those whose sockets are full. What a server costs above it is the server's own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use srs_may::kernel::error::{IoWrap, Result};
use srs_may::kernel::error_code::ErrorCode;
use srs_may::kernel::flv::mux;
use srs_may::kernel::frame::{Frame, Kind};
use srs_may::protocol::rtmp::chunk::{id, write_delta_header, write_full_header, write_payload_chunks};
use srs_may::protocol::rtmp::connection::Io;
use srs_may::protocol::rtmp::message::kind;
use srs_may::protocol::rtmp::server::{ConnectReply, Identity, Role, Server};

use crate::reel::Reel;

/// How often all sockets get what has come since: what merged writes of servers do.
const BATCH: Duration = Duration::from_millis(350);
/// How long one player may take to come in; it holds the others up meanwhile.
const ENTRY: Duration = Duration::from_secs(2);
const CHUNK_BYTES: usize = 60_000;
const LISTENER: u64 = u64::MAX;

/// When what has come is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// All of [`BATCH`] with one write.
    Batches,
    /// Each message by itself, at its own time.
    Each,
}

/// Serves until a signal ends the process.
///
/// # Errors
/// A listener that cannot be opened, or an epoll set that fails.
pub fn serve(address: SocketAddr, reel: &Reel, cadence: Cadence) -> Result<()> {
    let listener = TcpListener::bind(address).io_wrap(ErrorCode::SocketListen, || format!("listen at {address}"))?;
    println!("bare sender at {address}: rtmp:// and http://….flv");
    let failed = Sender::new(listener, reel, cadence).and_then(|mut sender| sender.run());
    failed.io_wrap(ErrorCode::SocketListen, || "serve".to_owned())
}

struct Sender<'a> {
    listener: TcpListener,
    epoll: Epoll,
    players: Vec<Option<Player>>,
    reel: &'a Reel,
    cadence: Cadence,
}

struct Player {
    socket: TcpStream,
    is_flv: bool,
    /// What its socket did not take.
    rest: Vec<u8>,
}

impl<'a> Sender<'a> {
    fn new(listener: TcpListener, reel: &'a Reel, cadence: Cadence) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(Sender {
            listener,
            epoll,
            players: Vec::new(),
            reel,
            cadence,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let start = Instant::now();
        let mut sent = Duration::ZERO;
        for number in 0usize.. {
            let shots = &self.reel.shots;
            let due = match self.cadence {
                Cadence::Batches => sent + BATCH,
                Cadence::Each => self.time_of(number / shots.len(), number % shots.len()),
            };
            self.attend(start + due)?;
            let [rtmp, flv] = [false, true].map(|is_flv| match self.cadence {
                Cadence::Batches => self.batch(sent, due, is_flv),
                Cadence::Each => self.message(number % shots.len(), due, is_flv),
            });
            self.send_all(&rtmp, &flv);
            sent = due;
        }
        Ok(())
    }

    fn time_of(&self, round: usize, shot: usize) -> Duration {
        let round = u32::try_from(round).unwrap_or(u32::MAX);
        self.reel.duration * round + Duration::from_millis(self.reel.shots[shot].frame.timestamp.into())
    }

    fn send_all(&mut self, rtmp: &[u8], flv: &[u8]) {
        for place in &mut self.players {
            let Some(player) = place else { continue };
            let bytes = if player.is_flv { flv } else { rtmp };
            if player.send(bytes).is_err() {
                *place = None;
            }
        }
    }

    fn message(&self, shot: usize, time: Duration, is_flv: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let frame = &self.reel.shots[shot].frame;
        put(&mut out, frame, time.as_millis() as u32, is_flv, None);
        out
    }

    /// Lets players in and serves full sockets until it is time.
    fn attend(&mut self, until: Instant) -> io::Result<()> {
        let mut events = vec![EpollEvent::empty(); 256];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let timeout = EpollTimeout::try_from(left).unwrap_or(EpollTimeout::ZERO);
            let count = match self.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for event in &events[..count] {
                match usize::try_from(event.data()) {
                    Ok(index) if event.data() != LISTENER => self.flush(index),
                    _ => self.accept(),
                }
            }
        }
    }

    fn flush(&mut self, index: usize) {
        let Some(Some(player)) = self.players.get_mut(index) else {
            return;
        };
        if player.send(&[]).is_err() {
            self.players[index] = None;
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            // One that does not come in is its own loss.
            let Ok(player) = self.enter(socket) else { continue };
            let flags = EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
            if self
                .epoll
                .add(&player.socket, EpollEvent::new(flags, self.players.len() as u64))
                .is_ok()
            {
                self.players.push(Some(player));
            }
        }
    }

    fn enter(&self, socket: TcpStream) -> io::Result<Player> {
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ENTRY))?;
        let mut first = [0];
        socket.peek(&mut first)?;
        let is_flv = first[0] == b'G';
        let mut player = Player {
            socket,
            is_flv,
            rest: Vec::new(),
        };
        if is_flv {
            answer_http(&mut player.socket)?;
        } else {
            answer_rtmp(&player.socket).map_err(|error| io::Error::other(error.summary()))?;
        }
        let mut start = Vec::new();
        for header in &self.reel.headers {
            put(&mut start, header, 0, is_flv, None);
        }
        player.socket.set_nonblocking(true)?;
        player.send(&start)?;
        Ok(player)
    }

    /// The media from one moment to another. In RTMP the first message of each kind has a whole header and the others tell
    /// differences, so the same bytes are right for everybody.
    fn batch(&self, from: Duration, to: Duration, is_flv: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut last: [Option<u32>; 2] = [None; 2];
        let rounds = self.reel.duration;
        let first_round = (from.as_micros() / rounds.as_micros().max(1)) as u32;
        let last_round = (to.as_micros() / rounds.as_micros().max(1)) as u32;
        for round in first_round..=last_round {
            for shot in &self.reel.shots {
                let time = rounds * round + Duration::from_millis(shot.frame.timestamp.into());
                if time < from || time >= to {
                    continue;
                }
                let millis = time.as_millis() as u32;
                let slot = usize::from(shot.frame.kind == Kind::Audio);
                put(&mut out, &shot.frame, millis, is_flv, last[slot].replace(millis));
            }
        }
        out
    }
}

impl Player {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(bytes);
            let sent = write(&self.socket, &self.rest)?;
            self.rest.drain(..sent);
            return Ok(());
        }
        let sent = write(&self.socket, bytes)?;
        self.rest.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}

fn write(mut socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match socket.write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

fn put(out: &mut Vec<u8>, frame: &Frame, millis: u32, is_flv: bool, last: Option<u32>) {
    if is_flv {
        // A reel's bodies fit a tag.
        let _ = mux::put_tag(out, frame.kind, millis, &frame.payload);
        return;
    }
    let (chunk_stream, kind) = match frame.kind {
        Kind::Audio => (id::AUDIO, kind::AUDIO),
        Kind::Video => (id::VIDEO, kind::VIDEO),
        Kind::Data => (id::METADATA, kind::AMF0_DATA),
    };
    let length = frame.payload.len();
    let extended = match last {
        Some(last) => write_delta_header(out, chunk_stream, kind, length, millis.wrapping_sub(last)),
        None => write_full_header(out, chunk_stream, kind, length, millis, 1),
    };
    write_payload_chunks(out, chunk_stream, &frame.payload, CHUNK_BYTES, extended);
}

fn answer_http(socket: &mut TcpStream) -> io::Result<()> {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") {
        if socket.read(&mut byte)? == 0 || request.len() > 4096 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        request.push(byte[0]);
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nConnection: close\r\n\r\n")?;
    socket.write_all(&mux::file_start(true, true))
}

struct Blocking<'a>(&'a TcpStream);

impl Read for Blocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Blocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Io for Blocking<'_> {
    fn try_read(&mut self, _: &mut [u8]) -> io::Result<Option<usize>> {
        Ok(None)
    }
}

fn answer_rtmp(socket: &TcpStream) -> Result<()> {
    let mut server = Server::new(Blocking(socket));
    server.handshake(0, &mut |bytes| fastrand::fill(bytes))?;
    let request = server.read_connect()?;
    let identity = Identity {
        signature: "",
        server: "srs-bench",
        license: "MIT",
        url: "",
        version: env!("CARGO_PKG_VERSION"),
        authors: "",
        ip: "",
        pid: 0,
        id: "",
    };
    let reply = ConnectReply {
        out_ack_size: 2_500_000,
        in_ack_size: 0,
        peer_bandwidth: 2_500_000,
        chunk_size: CHUNK_BYTES as u32,
        identity,
    };
    server.accept_connect(&request, &reply)?;
    match server.identify()? {
        Role::Play { .. } => server.start_play(),
        _ => server.reject(
            &srs_may::protocol::rtmp::message::StatusCode::ConnectRejected,
            "players only",
        ),
    }
}
