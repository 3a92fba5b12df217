//! A small RTMP client over a plain socket, for what no real client does: exact payloads, odd orders, hostile bytes.
//! Written apart from the server's own protocol code on purpose, so that one mistake cannot hide in both.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use super::amf::{self, Amf};
use super::flv::{AUDIO, DATA, Tag, VIDEO};

pub const SET_CHUNK_SIZE: u8 = 1;
pub const USER_CONTROL: u8 = 4;
pub const COMMAND: u8 = 20;
const HANDSHAKE_BYTES: usize = 1536;

/// A message with its payload put together.
#[derive(Clone, Debug)]
pub struct Message {
    pub kind: u8,
    pub timestamp: u32,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Message {
    pub fn is_media(&self) -> bool {
        matches!(self.kind, AUDIO | VIDEO)
    }

    pub fn into_tag(self) -> Tag {
        Tag {
            kind: self.kind,
            timestamp: self.timestamp,
            payload: self.payload,
        }
    }

    /// The values of a command or data message; empty for others.
    pub fn values(&self) -> Vec<Amf> {
        match self.kind {
            COMMAND | DATA => amf::decode(&self.payload),
            _ => Vec::new(),
        }
    }

    /// The name of a command or data message.
    pub fn name(&self) -> Option<String> {
        self.values().first().and_then(Amf::as_text).map(str::to_owned)
    }
}

/// What is remembered of one chunk stream of the server's.
#[derive(Debug, Default)]
struct Incoming {
    kind: u8,
    timestamp: u32,
    delta: u32,
    length: usize,
    stream: u32,
    extended: bool,
    payload: Vec<u8>,
}

/// One connection.
#[derive(Debug)]
pub struct Rtmp {
    socket: TcpStream,
    incoming: HashMap<u32, Incoming>,
    chunk_in: usize,
    chunk_out: usize,
    /// What came while an answer was awaited.
    pub seen: Vec<Message>,
}

impl Rtmp {
    /// Connects and shakes hands (the simple way).
    pub fn open(port: u16) -> io::Result<Self> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        socket.set_write_timeout(Some(Duration::from_secs(10)))?;
        socket.set_nodelay(true)?;
        let mut c0c1 = vec![0; 1 + HANDSHAKE_BYTES];
        c0c1[0] = 3;
        c0c1[9..].iter_mut().for_each(|byte| *byte = fastrand::u8(..));
        socket.write_all(&c0c1)?;
        let mut s0s1s2 = vec![0; 1 + 2 * HANDSHAKE_BYTES];
        socket.read_exact(&mut s0s1s2)?;
        socket.write_all(&s0s1s2[1..=HANDSHAKE_BYTES])?;
        Ok(Rtmp {
            socket,
            incoming: HashMap::new(),
            chunk_in: 128,
            chunk_out: 128,
            seen: Vec::new(),
        })
    }

    /// Connects to an application on this machine; the server must accept.
    pub fn connect(port: u16, app: &str) -> io::Result<Self> {
        Self::connect_as(port, app, &format!("rtmp://127.0.0.1:{port}/{app}"))
    }

    /// Connects with a `tcUrl` of its own.
    pub fn connect_as(port: u16, app: &str, tc_url: &str) -> io::Result<Self> {
        Self::connect_from(port, app, tc_url, "")
    }

    /// The same from a web page, as a player or publisher in a browser did.
    pub fn connect_from(port: u16, app: &str, tc_url: &str, page_url: &str) -> io::Result<Self> {
        let mut client = Self::open(port)?;
        client.set_chunk_size(60_000)?;
        let mut properties = vec![
            ("app", Amf::text(app)),
            ("flashVer", Amf::text("FMLE/3.0 (compatible; e2e)")),
            ("tcUrl", Amf::text(tc_url)),
            ("objectEncoding", Amf::Number(0.0)),
        ];
        if !page_url.is_empty() {
            properties.push(("pageUrl", Amf::text(page_url)));
        }
        client.command("connect", 1.0, 0, &[Amf::object(&properties)])?;
        let answer = client.answer(1.0)?;
        match answer.name().as_deref() {
            Some("_result") => Ok(client),
            other => Err(io::Error::other(format!("connect is answered by {other:?}"))),
        }
    }

    /// Publishes as an encoder does; returns when the server says that it has begun.
    pub fn publish(mut self, app: &str, stream: &str) -> io::Result<Self> {
        self.command("releaseStream", 2.0, 0, &[Amf::Null, Amf::text(stream)])?;
        self.command("FCPublish", 3.0, 0, &[Amf::Null, Amf::text(stream)])?;
        self.command("createStream", 4.0, 0, &[Amf::Null])?;
        let id = self.stream_id(4.0)?;
        self.command("publish", 5.0, id, &[Amf::Null, Amf::text(stream), Amf::text(app)])?;
        self.status("NetStream.Publish.Start")?;
        Ok(self)
    }

    /// Publishes as Flash does: without a word before `createStream`.
    pub fn publish_as_flash(mut self, app: &str, stream: &str) -> io::Result<Self> {
        self.command("createStream", 2.0, 0, &[Amf::Null])?;
        let id = self.stream_id(2.0)?;
        self.command("publish", 3.0, id, &[Amf::Null, Amf::text(stream), Amf::text(app)])?;
        self.status("NetStream.Publish.Start")?;
        Ok(self)
    }

    /// Plays; returns when the server says that it has begun.
    pub fn play(mut self, stream: &str) -> io::Result<Self> {
        self.command("createStream", 2.0, 0, &[Amf::Null])?;
        let id = self.stream_id(2.0)?;
        self.command("play", 3.0, id, &[Amf::Null, Amf::text(stream)])?;
        self.status("NetStream.Play.Start")?;
        Ok(self)
    }

    fn stream_id(&mut self, transaction: f64) -> io::Result<u32> {
        let values = self.answer(transaction)?.values();
        let id = values.last().and_then(Amf::as_number).unwrap_or(1.0);
        Ok(id as u32)
    }

    /// Sends a command with its transaction number and arguments.
    pub fn command(&mut self, name: &str, transaction: f64, stream: u32, arguments: &[Amf]) -> io::Result<()> {
        let mut payload = amf::encode(&[Amf::text(name), Amf::Number(transaction)]);
        payload.extend(amf::encode(arguments));
        self.send(3, COMMAND, 0, stream, &payload)
    }

    /// Tells the server how large our chunks are from now on.
    pub fn set_chunk_size(&mut self, size: u32) -> io::Result<()> {
        self.send(2, SET_CHUNK_SIZE, 0, 0, &size.to_be_bytes())?;
        self.chunk_out = size as usize;
        Ok(())
    }

    /// Sends one media or data message.
    pub fn send_tag(&mut self, tag: &Tag) -> io::Result<()> {
        let chunk_stream = match tag.kind {
            AUDIO => 4,
            VIDEO => 6,
            _ => 5,
        };
        self.send(chunk_stream, tag.kind, tag.timestamp, 1, &tag.payload)
    }

    /// Sends a message; every header is of type 0, every further chunk of type 3.
    pub fn send(&mut self, chunk_stream: u8, kind: u8, timestamp: u32, stream: u32, payload: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(payload.len() + 64);
        let extended = (timestamp >= 0xff_ffff).then(|| timestamp.to_be_bytes());
        bytes.push(chunk_stream);
        bytes.extend(&timestamp.min(0xff_ffff).to_be_bytes()[1..]);
        bytes.extend(&(payload.len() as u32).to_be_bytes()[1..]);
        bytes.push(kind);
        bytes.extend(stream.to_le_bytes());
        bytes.extend(extended.iter().flatten());
        for (index, chunk) in payload.chunks(self.chunk_out).enumerate() {
            if index > 0 {
                bytes.push(0xc0 | chunk_stream);
                bytes.extend(extended.iter().flatten());
            }
            bytes.extend(chunk);
        }
        self.socket.write_all(&bytes)
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// The next message. `UnexpectedEof` when the server closed.
    pub fn receive(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.receive_chunk()? {
                self.obey(&message);
                return Ok(message);
            }
        }
    }

    fn obey(&mut self, message: &Message) {
        if message.kind == SET_CHUNK_SIZE
            && let Ok(size) = <[u8; 4]>::try_from(message.payload.as_slice())
        {
            self.chunk_in = u32::from_be_bytes(size) as usize;
        }
    }

    fn receive_chunk(&mut self) -> io::Result<Option<Message>> {
        let first = self.read::<1>()?[0];
        let chunk_stream = match first & 0x3f {
            0 => 64 + u32::from(self.read::<1>()?[0]),
            1 => 64 + u32::from(u16::from_le_bytes(self.read()?)),
            id => u32::from(id),
        };
        let mut state = self.incoming.remove(&chunk_stream).unwrap_or_default();
        self.read_chunk_header(first >> 6, &mut state)?;
        let missing = (state.length - state.payload.len()).min(self.chunk_in);
        let at = state.payload.len();
        state.payload.resize(at + missing, 0);
        self.socket.read_exact(&mut state.payload[at..])?;
        let message = (state.payload.len() == state.length).then(|| Message {
            kind: state.kind,
            timestamp: state.timestamp,
            stream: state.stream,
            payload: std::mem::take(&mut state.payload),
        });
        self.incoming.insert(chunk_stream, state);
        Ok(message)
    }

    fn read_chunk_header(&mut self, format: u8, state: &mut Incoming) -> io::Result<()> {
        let mut time = state.delta;
        if format < 3 {
            let [a, b, c] = self.read()?;
            time = u32::from_be_bytes([0, a, b, c]);
            state.extended = time == 0xff_ffff;
        }
        if format < 2 {
            let [a, b, c, kind] = self.read()?;
            state.length = u32::from_be_bytes([0, a, b, c]) as usize;
            state.kind = kind;
        }
        if format == 0 {
            state.stream = u32::from_le_bytes(self.read()?);
        }
        if state.extended {
            time = u32::from_be_bytes(self.read()?);
        }
        if !state.payload.is_empty() {
            return Ok(());
        }
        // A type 3 header that begins a message repeats the last difference; after type 0 that is the time itself.
        state.delta = time;
        state.timestamp = if format == 0 {
            time
        } else {
            state.timestamp.wrapping_add(time)
        };
        Ok(())
    }

    fn read<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.socket.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Receives until the answer to a transaction comes.
    pub fn answer(&mut self, transaction: f64) -> io::Result<Message> {
        self.receive_until(|message| {
            let values = message.values();
            let name = values.first().and_then(Amf::as_text);
            matches!(name, Some("_result" | "_error")) && values.get(1).and_then(Amf::as_number) == Some(transaction)
        })
    }

    /// Receives until an `onStatus` of this code comes; an `onStatus` of level `error` is an error.
    pub fn status(&mut self, code: &str) -> io::Result<Message> {
        let message = self.receive_until(|message| {
            let info = status_info(message);
            info.as_ref()
                .is_some_and(|info| is_text(info, "code", code) || is_text(info, "level", "error"))
        })?;
        match status_info(&message) {
            Some(info) if is_text(&info, "code", code) => Ok(message),
            other => Err(io::Error::other(format!("waited for {code}, got {other:?}"))),
        }
    }

    /// Receives until a message fits; those before it are kept in `seen`.
    pub fn receive_until(&mut self, fits: impl Fn(&Message) -> bool) -> io::Result<Message> {
        loop {
            let message = self.receive()?;
            if fits(&message) {
                return Ok(message);
            }
            self.seen.push(message);
        }
    }

    /// All messages (those `seen` first) until the server closes or `time` is over.
    pub fn collect(&mut self, time: Duration) -> Vec<Message> {
        let deadline = Instant::now() + time;
        let mut messages = std::mem::take(&mut self.seen);
        while let Some(left) = deadline
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            let _ = self.socket.set_read_timeout(Some(left));
            match self.receive() {
                Ok(message) => messages.push(message),
                // A time-out in the middle of a chunk loses the place, so this is the last call on this connection.
                Err(_) => break,
            }
        }
        messages
    }

    /// Waits for the first media message (headers count); it stays in `seen`.
    pub fn wait_for_media(&mut self) -> io::Result<()> {
        let first = self.receive_until(Message::is_media)?;
        self.seen.push(first);
        Ok(())
    }

    /// Media messages that come within `time` (those `seen` too), as tags.
    pub fn collect_media(&mut self, time: Duration) -> Vec<Tag> {
        let messages = self.collect(time).into_iter();
        messages.filter(Message::is_media).map(Message::into_tag).collect()
    }

    /// Another handle of the connection, for whoever shall cut it.
    pub fn second_handle(&self) -> Option<TcpStream> {
        self.socket.try_clone().ok()
    }

    /// Leaves without a proper end: the server sees a reset.
    pub fn reset(self) {
        let at_once = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let _ = setsockopt(&self.socket, sockopt::Linger, &at_once);
    }

    /// Whether the server has sent something that is not received yet.
    pub fn has_input(&mut self) -> io::Result<bool> {
        self.socket.set_nonblocking(true)?;
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false)?;
        match peeked {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            peeked => peeked.map(|_| true),
        }
    }

    /// Whether the server has left the connection open so far. What it has sent is thrown away.
    pub fn is_open(&mut self) -> bool {
        let mut scratch = [0; 4096];
        let _ = self.socket.set_nonblocking(true);
        let end = loop {
            match self.socket.read(&mut scratch) {
                Ok(1..) => {}
                end => break end,
            }
        };
        let _ = self.socket.set_nonblocking(false);
        end.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the server closes the connection within `seconds` (what it sends before does not matter).
    pub fn is_closed_within(&mut self, seconds: u64) -> bool {
        closes_within(&mut self.socket, seconds)
    }
}

/// Whether a peer closes a connection within `seconds`.
pub fn closes_within(socket: &mut TcpStream, seconds: u64) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let _ = socket.set_read_timeout(Some(Duration::from_millis(200)));
    let mut scratch = [0; 65_536];
    while Instant::now() < deadline {
        match socket.read(&mut scratch) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => return true,
        }
    }
    false
}

fn status_info(message: &Message) -> Option<Amf> {
    let values = message.values();
    (values.first().and_then(Amf::as_text) == Some("onStatus")).then(|| values.last().cloned())?
}

fn is_text(object: &Amf, field: &str, text: &str) -> bool {
    object.get(field).and_then(Amf::as_text) == Some(text)
}

/// Sends tags at the speed of their timestamps (the first one at once).
pub fn send_paced(client: &mut Rtmp, tags: &[Tag]) -> io::Result<()> {
    let (began, first) = (Instant::now(), tags.first().map_or(0, |tag| tag.timestamp));
    for tag in tags {
        let due = Duration::from_millis(tag.timestamp.wrapping_sub(first).into());
        thread::sleep(due.saturating_sub(began.elapsed()));
        client.send_tag(tag)?;
    }
    Ok(())
}
