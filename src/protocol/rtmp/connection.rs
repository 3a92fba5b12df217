//! One RTMP connection after and during its handshake: bytes to messages and back, and the protocol control that both
//! sides of a session owe each other (RTMP specification 1.0, section 5.4).
//!
//! It is written as if reads and writes blocked; on a coroutine they yield. One coroutine at a time uses it.

use std::io::{self, Read, Write};

use super::chunk::{Decoder, Encoder, Message, id};
use super::message::{Command, Control, Data, UserControl};
use super::skim::Skimmer;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// The read buffer of a connection unless told otherwise, bytes; a handshake fits.
pub const READ_BYTES: usize = 4096;
/// What a look for input reads while there is no buffer, bytes.
const PROBE_BYTES: usize = 512;
/// How many reads one look for input makes at most, so that a peer with endless control messages cannot hold the caller.
const PROBES: usize = 16;
/// An output buffer above this is not kept, bytes.
const OUTPUT_KEPT_BYTES: usize = 64 << 10;

/// What a connection runs over. Timeouts are its own matter; it reports them as [`io::ErrorKind::TimedOut`].
pub trait Io: Read + Write {
    /// Reads what is there without waiting: `None` when nothing is, `Some(0)` at the end.
    ///
    /// # Errors
    /// Those of a read.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;
}

/// A connection over `S`.
#[derive(Debug)]
pub struct Connection<S> {
    io: S,
    input: ReadBuffer,
    decoder: Decoder,
    encoder: Encoder,
    /// Encoded messages that wait for [`Connection::flush`].
    output: Vec<u8>,
    received: u64,
    sent: u64,
    /// The peer wants an acknowledgement for so many bytes; 0 is never.
    window: u32,
    /// `received` at our last acknowledgement.
    acknowledged: u64,
    peer_acknowledged: u32,
}

impl<S: Io> Connection<S> {
    /// A connection on which nothing was read or written yet.
    pub fn new(io: S) -> Self {
        Connection {
            io,
            input: ReadBuffer::new(),
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            output: Vec::new(),
            received: 0,
            sent: 0,
            window: 0,
            acknowledged: 0,
            peer_acknowledged: 0,
        }
    }

    /// What it runs over. Whoever writes to it directly writes whole messages only.
    pub fn io(&self) -> &S {
        &self.io
    }

    /// What it runs over, as [`Connection::io`].
    pub fn io_mut(&mut self) -> &mut S {
        &mut self.io
    }

    /// Bytes received so far, with the handshake's.
    pub fn received_bytes(&self) -> u64 {
        self.received
    }

    /// Bytes sent so far through this connection, with the handshake's.
    pub fn sent_bytes(&self) -> u64 {
        self.sent
    }

    /// How many bytes the peer told us to have received, modulo 2^32.
    pub fn peer_acknowledged(&self) -> u32 {
        self.peer_acknowledged
    }

    /// The chunk size of what we send, bytes.
    pub fn chunk_size(&self) -> usize {
        self.encoder.chunk_size()
    }

    /// Whether the peer began a chunk stream with a header of type 1, as librtmp's pings do; worth a warning.
    pub fn peer_began_with_type1(&self) -> bool {
        self.decoder.began_with_type1()
    }

    /// How much one read asks for, bytes, at least [`READ_BYTES`]: a publisher's merged reads want more.
    pub fn set_read_size(&mut self, bytes: usize) {
        self.input.set_size(bytes.max(READ_BYTES));
    }

    /// Acknowledges after half of `bytes`, as if the peer had asked for that window; 0 is never.
    pub fn set_window(&mut self, bytes: u32) {
        self.window = bytes;
    }

    /// Gives back what an idle connection does not need; buffers return when they are wanted.
    pub fn release_buffers(&mut self) {
        self.input.release();
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    /// The next message that is no protocol control; that is answered here. Messages without payload are passed over.
    /// Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketReadFully`] when the peer has closed, [`ErrorCode::SocketTimeout`], [`ErrorCode::SocketRead`],
    /// [`ErrorCode::SocketWrite`] from an answer; those of [`Decoder::decode`], [`Decoder::set_chunk_size`] and
    /// [`Control::parse`] for a peer that breaks the rules.
    pub fn read_message(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = self.next_buffered()? {
                return Ok(message);
            }
            self.fill(0)?;
        }
    }

    /// As [`Connection::read_message`], but `None` when there is no whole message yet. It reads a bounded number of
    /// times, so the socket may still be readable then. Only answers may yield.
    ///
    /// # Errors
    /// As [`Connection::read_message`], without the timeout of a read.
    pub fn try_read_message(&mut self) -> Result<Option<Message>> {
        for _ in 0..PROBES {
            if let Some(message) = self.next_buffered()? {
                return Ok(Some(message));
            }
            if !self.try_fill()? {
                self.input.release();
                return Ok(None);
            }
        }
        self.next_buffered()
    }

    /// The next `count` bytes without using them up, for the handshake. Yields.
    ///
    /// # Errors
    /// As [`Connection::read_message`], for the socket.
    pub fn peek(&mut self, count: usize) -> Result<&[u8]> {
        while self.input.unread().len() < count {
            self.fill(count)?;
        }
        Ok(&self.input.unread()[..count])
    }

    /// Uses up `count` bytes that [`Connection::peek`] gave.
    pub fn consume(&mut self, count: usize) {
        self.input.consume(count);
    }

    /// Ends the gathering of messages: from here on [`Skimmer`] reads them as they pass. Gives it with what was read and
    /// not used yet, and what the connection ran over. What was queued and not flushed is lost.
    pub fn into_skimmer(self) -> (S, Skimmer, Vec<u8>) {
        let unread = self.input.unread().to_vec();
        let skimmer = Skimmer::new(self.decoder, self.encoder, self.received, self.window);
        (self.io, skimmer, unread)
    }

    /// Puts a control message behind what waits for [`Connection::flush`].
    pub fn queue_control(&mut self, control: &Control) {
        log::trace!("-> {control:?}");
        self.queue(id::CONTROL, control.kind(), 0, &control.encode());
        if let Control::SetChunkSize(size) = control {
            self.encoder.set_chunk_size(*size as usize);
        }
    }

    /// Puts a command behind what waits for [`Connection::flush`]; `chunk_stream` is one of [`id`].
    pub fn queue_command(&mut self, chunk_stream: u32, stream_id: u32, command: &Command) {
        log::debug!("-> {} #{}", command.name, command.transaction_id);
        self.queue(chunk_stream, command.kind(), stream_id, &command.encode());
    }

    /// Puts a data message behind what waits for [`Connection::flush`]; `chunk_stream` is one of [`id`].
    pub fn queue_data(&mut self, chunk_stream: u32, stream_id: u32, data: &Data) {
        self.queue(chunk_stream, data.kind(), stream_id, &data.encode());
    }

    /// Puts a media message behind what waits for [`Connection::flush`], for senders with a single receiver.
    ///
    /// # Errors
    /// [`ErrorCode::RtmpMsgSize`] if it is too long for RTMP.
    pub fn queue_message(
        &mut self,
        chunk_stream: u32,
        kind: u8,
        timestamp: u32,
        stream_id: u32,
        payload: &[u8],
    ) -> Result<()> {
        let (encoder, out) = (&self.encoder, &mut self.output);
        encoder.encode(out, chunk_stream, kind, timestamp, stream_id, payload)
    }

    fn queue(&mut self, chunk_stream: u32, kind: u8, stream_id: u32, payload: &[u8]) {
        // What we compose ourselves is far below 16 MB.
        let queued = self.queue_message(chunk_stream, kind, 0, stream_id, payload);
        debug_assert!(queued.is_ok(), "{queued:?}");
    }

    /// Writes what was queued, at once. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketWrite`] or [`ErrorCode::SocketTimeout`].
    pub fn flush(&mut self) -> Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut output = std::mem::take(&mut self.output);
        self.write_bytes(&output)?;
        if output.capacity() <= OUTPUT_KEPT_BYTES {
            output.clear();
            self.output = output;
        }
        Ok(())
    }

    /// Writes bytes of whole encoded messages, after what was queued. Yields.
    ///
    /// # Errors
    /// As [`Connection::flush`].
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.flush()?;
        self.write_bytes(bytes)
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.io.write_all(bytes).and_then(|()| self.io.flush());
        written.io_wrap(ErrorCode::SocketWrite, || format!("write {} bytes", bytes.len()))?;
        self.sent += bytes.len() as u64;
        Ok(())
    }

    fn next_buffered(&mut self) -> Result<Option<Message>> {
        loop {
            let mut rest = self.input.unread();
            let have = rest.len();
            let decoded = self.decoder.decode_slice(&mut rest);
            let used = have - rest.len();
            self.input.consume(used);
            let Some(message) = decoded.wrap("read chunk stream")? else {
                return Ok(None);
            };
            if message.payload.is_empty() {
                continue;
            }
            match Control::parse(message.kind, &message.payload)? {
                Some(control) => self.handle(&control)?,
                None => return Ok(Some(message)),
            }
        }
    }

    fn handle(&mut self, control: &Control) -> Result<()> {
        log::trace!("<- {control:?}");
        match control {
            Control::SetChunkSize(size) => self.decoder.set_chunk_size(*size)?,
            Control::Abort { chunk_stream } => self.decoder.abort(*chunk_stream),
            Control::Acknowledgement(sequence) => self.peer_acknowledged = *sequence,
            Control::WindowAckSize(window) => self.window = *window,
            Control::UserControl(UserControl::PingRequest(timestamp)) => {
                let response = UserControl::PingResponse(*timestamp);
                self.queue_control(&Control::UserControl(response));
                self.flush().wrap("answer ping")?;
            }
            // We send no faster than the stream comes, so a bandwidth is no news; other events tell about streams.
            Control::SetPeerBandwidth { .. } | Control::UserControl(_) => {}
        }
        Ok(())
    }

    /// Reads at least one byte; makes room for `wanted` unread bytes in all.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        let count = self
            .io
            .read(self.input.space(wanted))
            .io_wrap(ErrorCode::SocketRead, || "read from the peer".to_owned())?;
        self.filled(count)
    }

    fn try_fill(&mut self) -> Result<bool> {
        let read = if self.input.is_released() {
            let mut probe = [0; PROBE_BYTES];
            let read = self.io.try_read(&mut probe);
            if let Ok(Some(count)) = read {
                self.input.space(count)[..count].copy_from_slice(&probe[..count]);
            }
            read
        } else {
            self.io.try_read(self.input.space(0))
        };
        match read.io_wrap(ErrorCode::SocketRead, || "look for input".to_owned())? {
            Some(count) => self.filled(count).map(|()| true),
            None => Ok(false),
        }
    }

    fn filled(&mut self, count: usize) -> Result<()> {
        if count == 0 {
            let text = format!("the peer closed after {} bytes", self.received);
            return Err(Error::new(ErrorCode::SocketReadFully, text));
        }
        self.input.filled(count);
        self.received += count as u64;
        self.acknowledge()
    }

    /// Half a window early, so that a peer which stops at its window never has to.
    fn acknowledge(&mut self) -> Result<()> {
        if self.window == 0 || self.received - self.acknowledged < u64::from(self.window / 2) {
            return Ok(());
        }
        self.acknowledged = self.received;
        // The field counts modulo 2^32.
        self.queue_control(&Control::Acknowledgement(self.received as u32));
        self.flush().wrap("acknowledge")
    }
}

/// Bytes that were read and not yet decoded. Little is left over between reads, so moving it to the front is cheap.
#[derive(Debug)]
struct ReadBuffer {
    /// All initialized; empty while released.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    size: usize,
}

impl ReadBuffer {
    fn new() -> Self {
        ReadBuffer {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            size: READ_BYTES,
        }
    }

    fn set_size(&mut self, size: usize) {
        if size < self.size {
            self.release();
        }
        self.size = size;
    }

    fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// Where to read to; never empty. With `wanted` unread bytes in all, it need not grow.
    fn space(&mut self, wanted: usize) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let room = self.size.max(wanted).max(self.end + 1);
        if self.bytes.len() < room {
            self.bytes.resize(room, 0);
        }
        &mut self.bytes[self.end..]
    }

    fn filled(&mut self, count: usize) {
        self.end = self.bytes.len().min(self.end + count);
    }

    fn release(&mut self) {
        if self.start == self.end {
            self.bytes = Vec::new();
            (self.start, self.end) = (0, 0);
        }
    }

    fn is_released(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A connection's other end as a script, for tests.
#[cfg(test)]
pub(super) mod memory {
    use super::*;
    use crate::protocol::rtmp::chunk::DEFAULT_CHUNK_SIZE;

    /// Gives `input` in pieces of `step` bytes and then what `end` says; keeps what is written.
    pub struct Memory {
        pub input: Vec<u8>,
        pub step: usize,
        pub end: Option<io::ErrorKind>,
        pub output: Vec<u8>,
        pub writable: bool,
    }

    impl Memory {
        pub fn new(input: Vec<u8>) -> Self {
            Memory {
                input,
                step: 1000,
                end: None,
                output: Vec::new(),
                writable: true,
            }
        }
    }

    impl Read for Memory {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.input.is_empty() {
                return self.end.map_or(Ok(0), |kind| Err(kind.into()));
            }
            let count = buffer.len().min(self.step).min(self.input.len());
            buffer[..count].copy_from_slice(&self.input[..count]);
            self.input.drain(..count);
            Ok(count)
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.writable {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.output.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Io for Memory {
        fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
            match self.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                result => result.map(Some),
            }
        }
    }

    /// Takes messages apart as a peer would.
    pub fn decode_all(mut bytes: &[u8]) -> Vec<Message> {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.chunk_size(), DEFAULT_CHUNK_SIZE);
        let mut messages = Vec::new();
        while let Some(message) = decoder.decode_slice(&mut bytes).unwrap() {
            if let Some(Control::SetChunkSize(size)) = Control::parse(message.kind, &message.payload).unwrap() {
                decoder.set_chunk_size(size).unwrap();
            }
            messages.push(message);
        }
        assert!(bytes.is_empty() && decoder.is_idle(), "output ends in a message");
        messages
    }

    /// The bytes of control messages and commands, as a peer with chunks of 128 bytes sends them.
    pub fn encode(queue: impl FnOnce(&mut Connection<Memory>)) -> Vec<u8> {
        let mut connection = Connection::new(Memory::new(Vec::new()));
        queue(&mut connection);
        connection.flush().unwrap();
        connection.io.output
    }
}

#[cfg(test)]
mod tests {
    use super::memory::{Memory, decode_all, encode};
    use super::*;
    use crate::protocol::rtmp::message::kind;

    fn connect(input: Vec<u8>) -> Connection<Memory> {
        Connection::new(Memory::new(input))
    }

    fn queue_video(peer: &mut Connection<Memory>, length: usize) {
        peer.queue_message(id::VIDEO, kind::VIDEO, 40, 1, &vec![7; length])
            .unwrap();
    }

    #[test]
    fn control_is_answered_and_the_rest_is_given() {
        let input = encode(|peer| {
            peer.queue_control(&Control::SetChunkSize(65_536));
            peer.queue_control(&Control::UserControl(UserControl::PingRequest(99)));
            peer.queue_control(&Control::Acknowledgement(1234));
            peer.queue_control(&Control::SetPeerBandwidth {
                window: 1,
                limit: super::super::message::Limit::Soft,
            });
            queue_video(peer, 0);
            queue_video(peer, 70_000);
        });
        for step in [1, 13, 5000] {
            let mut connection = connect(input.clone());
            connection.io.step = step;
            let message = connection.read_message().unwrap();
            assert_eq!(
                (message.kind, message.timestamp, message.payload.len()),
                (kind::VIDEO, 40, 70_000)
            );
            assert_eq!(connection.peer_acknowledged(), 1234);
            assert_eq!(connection.received_bytes(), input.len() as u64);
            let answers = decode_all(&connection.io.output);
            let pong = Control::UserControl(UserControl::PingResponse(99));
            assert_eq!(answers.len(), 1);
            assert_eq!(
                Control::parse(answers[0].kind, &answers[0].payload).unwrap(),
                Some(pong)
            );
            assert_eq!((answers[0].chunk_stream, answers[0].stream_id), (2, 0));
            assert_eq!(connection.sent_bytes(), connection.io.output.len() as u64);
        }
    }

    #[test]
    fn acknowledgements_come_after_half_a_window() {
        let input = encode(|peer| {
            peer.queue_control(&Control::WindowAckSize(4000));
            (0..10).for_each(|_| queue_video(peer, 1000));
        });
        let mut connection = connect(input);
        for _ in 0..10 {
            connection.read_message().unwrap();
        }
        let acknowledged: Vec<u32> = decode_all(&connection.io.output)
            .iter()
            .map(|message| match Control::parse(message.kind, &message.payload) {
                Ok(Some(Control::Acknowledgement(sequence))) => sequence,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(acknowledged, [2000, 4000, 6000, 8000, 10_000]);
    }

    #[test]
    fn a_window_of_zero_is_never_acknowledged_and_one_of_one_at_each_read() {
        // The first of three reads brings the window itself.
        for (window, answers) in [(0, 0), (1, 2)] {
            let input = encode(|peer| {
                peer.queue_control(&Control::WindowAckSize(window));
                (0..3).for_each(|_| queue_video(peer, 900));
            });
            let mut connection = connect(input);
            for _ in 0..3 {
                connection.read_message().unwrap();
            }
            assert_eq!(decode_all(&connection.io.output).len(), answers, "window {window}");
        }
    }

    #[test]
    fn ends_and_timeouts_have_their_codes() {
        let mut closed = connect(vec![3]);
        let error = closed.read_message().unwrap_err();
        assert_eq!(error.code(), ErrorCode::SocketReadFully);
        assert!(error.is_client_gone());
        for (end, code) in [
            (io::ErrorKind::TimedOut, ErrorCode::SocketTimeout),
            (io::ErrorKind::ConnectionReset, ErrorCode::SocketRead),
        ] {
            let mut connection = connect(Vec::new());
            connection.io.end = Some(end);
            assert_eq!(connection.read_message().unwrap_err().code(), code);
            assert_eq!(connection.try_read_message().unwrap_err().code(), code);
        }
        let mut broken = connect(Vec::new());
        broken.io.writable = false;
        assert_eq!(broken.write_all(b"x").unwrap_err().code(), ErrorCode::SocketWrite);
    }

    #[test]
    fn a_look_for_input_takes_what_is_there_and_keeps_no_buffer() {
        let input = encode(|peer| queue_video(peer, 3000));
        let mut connection = connect(input[..1000].to_vec());
        connection.io.end = Some(io::ErrorKind::WouldBlock);
        assert_eq!(connection.try_read_message().unwrap(), None);
        assert!(connection.input.is_released());
        connection.io.input = input[1000..].to_vec();
        assert_eq!(connection.try_read_message().unwrap().unwrap().payload.len(), 3000);
        assert_eq!(connection.try_read_message().unwrap(), None);
        assert!(connection.input.is_released());
        // A header cut in the middle stays.
        connection.io.input = input[..5].to_vec();
        assert_eq!(connection.try_read_message().unwrap(), None);
        assert!(!connection.input.is_released());
        connection.io.input = input[5..].to_vec();
        assert!(connection.try_read_message().unwrap().is_some());
    }

    #[test]
    fn endless_control_messages_do_not_hold_a_look_for_input() {
        let input = encode(|peer| {
            (0..50_000).for_each(|_| peer.queue_control(&Control::Acknowledgement(1)));
        });
        let mut connection = connect(input);
        connection.io.step = usize::MAX;
        assert_eq!(connection.try_read_message().unwrap(), None);
        assert!(!connection.io.input.is_empty());
    }

    #[test]
    fn hostile_control_messages_end_the_connection_or_nothing() {
        let after = |control: Control| {
            let mut connection = connect(encode(|peer| {
                let payload = control.encode();
                peer.queue_message(id::CONTROL, control.kind(), 0, 0, &payload).unwrap();
                queue_video(peer, 100);
            }));
            connection
                .read_message()
                .map(|message| message.kind)
                .map_err(|error| error.code())
        };
        for size in [0, 1, 127] {
            assert_eq!(after(Control::SetChunkSize(size)), Err(ErrorCode::RtmpChunkSize));
        }
        assert_eq!(after(Control::SetChunkSize(u32::MAX)), Ok(kind::VIDEO));
        assert_eq!(after(Control::Abort { chunk_stream: 77 }), Ok(kind::VIDEO));
        assert_eq!(after(Control::WindowAckSize(u32::MAX)), Ok(kind::VIDEO));
        let unknown = UserControl::Unknown {
            event: 26,
            data: vec![],
        };
        assert_eq!(after(Control::UserControl(unknown)), Ok(kind::VIDEO));
        let mut cut = connect(encode(|peer| {
            peer.queue_message(2, kind::SET_CHUNK_SIZE, 0, 0, &[1]).unwrap()
        }));
        assert_eq!(cut.read_message().unwrap_err().code(), ErrorCode::RtmpDecode);
    }

    #[test]
    fn an_aborted_message_never_comes() {
        let video = encode(|peer| queue_video(peer, 200));
        let mut input = video[..12 + 128].to_vec();
        input.extend(encode(|peer| {
            peer.queue_control(&Control::Abort {
                chunk_stream: id::VIDEO,
            })
        }));
        input.extend(encode(|peer| queue_video(peer, 50)));
        assert_eq!(connect(input).read_message().unwrap().payload.len(), 50);
    }

    #[test]
    fn mutated_input_never_panics() {
        let mut random = fastrand::Rng::with_seed(4);
        let valid = encode(|peer| {
            peer.queue_control(&Control::WindowAckSize(100));
            peer.queue_control(&Control::UserControl(UserControl::PingRequest(1)));
            peer.queue_control(&Control::SetChunkSize(200));
            (0..3).for_each(|_| queue_video(peer, 300));
        });
        for _ in 0..3000 {
            let mut bytes = valid.clone();
            for _ in 0..random.usize(1..5) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let mut connection = connect(bytes);
            connection.io.step = random.usize(1..300);
            while connection.read_message().is_ok() {}
        }
    }
}
