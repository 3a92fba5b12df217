//! A stream published at another server: what forwards and casters send with.
//!
//! One coroutine does it all: what the peer says meanwhile (acknowledgements, pings, that it has had enough) is looked
//! at between writes, see [`Pusher::obey`].

use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use super::dialogue::{Approach, Session};
use super::socket::Line;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::log::printable;
use crate::protocol::rtmp::chunk::{Message, id};
use crate::protocol::rtmp::client::Client;
use crate::protocol::rtmp::message::{Command, CommandName, Level, Status, kind};

/// Bytes that are gathered for one write; a single message may be larger.
const BATCH_BYTES: usize = 32 << 10;
/// Messages of the peer that one look takes, so that one which floods us holds nobody up.
const LOOK_MESSAGES: usize = 32;
/// How long a peer may take to notice that we are done.
const GOODBYE: Duration = Duration::from_secs(1);
/// How encoders begin metadata that they publish, as AMF0.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";
/// How metadata begins for players, as AMF0.
const ON_META_DATA: &[u8] = b"\x02\x00\x0aonMetaData";

/// How to publish.
#[derive(Clone, Copy)]
pub struct PushOptions<'a> {
    /// How to get there.
    pub approach: Approach<'a>,
    /// The size of our chunks, bytes, from 128.
    pub chunk_size: u32,
    /// How long it may take to take anything of what we send.
    pub send_timeout: Duration,
}

/// The publisher of one stream at one server. Dropping it cuts the connection; [`Pusher::finish`] is polite.
pub struct Pusher {
    session: Session,
    stream_id: u32,
    /// Bytes of media that wait for a write.
    queued: usize,
}

impl Pusher {
    /// Connects to the server of a URL such as `rtmp://host:1936/live/s?vhost=v&token=t`, or `rtmps://`, and publishes
    /// its stream there. Where that server says that another one is right, it goes there, once. Yields.
    ///
    /// # Errors
    /// Those of [`StreamUrl::parse_whole`] and [`dial`]; [`ErrorCode::RtmpConnect`] when the server refuses, and
    /// [`ErrorCode::RtmpRedirect`] when it sends us on a second time; [`ErrorCode::SocketTimeout`], and those of
    /// [`Client`].
    pub fn open(url: &str, options: PushOptions<'_>) -> Result<Self> {
        let publish = |client: &mut Client<Line>, name: &str| client.publish(name, options.chunk_size);
        let (mut session, stream_id) = options.approach.open(url, "publish", publish)?;
        session.client.connection().release_buffers();
        session.stream.set_write_timeout(Some(options.send_timeout));
        Ok(Pusher {
            session,
            stream_id,
            queued: 0,
        })
    }

    /// The connection: for byte counts, and to wait until the peer says something.
    pub fn stream(&self) -> &Rc<Stream> {
        &self.session.stream
    }

    /// Where it publishes, for logs.
    pub fn place(&self) -> &str {
        &self.session.place
    }

    /// Sends messages in as few writes as is sensible, with their own timestamps, and then [obeys](Pusher::obey). Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketTimeout`] when the peer takes nothing for the send timeout, [`ErrorCode::SocketWrite`];
    /// [`ErrorCode::RtmpMsgSize`] for a message that is too long for RTMP; those of [`Pusher::obey`].
    pub fn push(&mut self, frames: &[Frame]) -> Result<()> {
        for frame in frames {
            self.queue(frame).wrap_with(|| self.step("queue media"))?;
            if self.queued >= BATCH_BYTES {
                self.flush()?;
            }
        }
        self.flush()?;
        self.obey()
    }

    /// Looks at what the peer has sent, without waiting for more: acknowledgements and pings are answered, other things
    /// passed over. To be called when the stream [is readable](Stream::is_readable). Only answers yield.
    ///
    /// # Errors
    /// [`ErrorCode::RtmpConnect`] with the peer's words when it wants the stream no more; those of
    /// [`crate::protocol::rtmp::connection::Connection::try_read_message`].
    pub fn obey(&mut self) -> Result<()> {
        for _ in 0..LOOK_MESSAGES {
            let read = self.session.client.connection().try_read_message();
            let Some(message) = read.wrap_with(|| self.step("look for answers"))? else {
                break;
            };
            if let Some(status) = objection(&message) {
                let text = format!("the server ends it: {} {}", status.code, printable(&status.description));
                return Err(Error::new(ErrorCode::RtmpConnect, text).wrap(self.step("look for answers")));
            }
        }
        Ok(())
    }

    /// Ends the publication: the peer is told, and has a moment to take what is still on its way. Yields.
    ///
    /// # Errors
    /// As [`Pusher::push`].
    pub fn finish(mut self) -> Result<()> {
        let deadline = Moment::after(GOODBYE);
        self.session.stream.set_write_timeout(Some(GOODBYE));
        let told = self.session.client.unpublish(&self.session.name, self.stream_id);
        told.wrap_with(|| self.step("unpublish"))?;
        let _ = self.session.stream.shutdown(Shutdown::Write);
        // To close while its last words are unread here would cut off ours.
        let mut scratch = [0; 512];
        while Moment::now() < deadline && self.session.stream.wait_readable(deadline).unwrap_or(false) {
            if !matches!(self.session.stream.try_read(&mut scratch), Ok(None | Some(1..))) {
                break;
            }
        }
        Ok(())
    }

    fn queue(&mut self, frame: &Frame) -> Result<()> {
        let (chunk_stream, kind) = match frame.kind {
            Kind::Audio => (id::AUDIO, kind::AUDIO),
            Kind::Video => (id::VIDEO, kind::VIDEO),
            Kind::Data => (id::METADATA, kind::AMF0_DATA),
        };
        self.queued += frame.payload.len();
        let connection = self.session.client.connection();
        if frame.kind == Kind::Data && frame.payload.starts_with(ON_META_DATA) {
            let payload = [SET_DATA_FRAME, &frame.payload].concat();
            return connection.queue_message(chunk_stream, kind, frame.timestamp, self.stream_id, &payload);
        }
        connection.queue_message(chunk_stream, kind, frame.timestamp, self.stream_id, &frame.payload)
    }

    fn flush(&mut self) -> Result<()> {
        self.queued = 0;
        let flushed = self.session.client.connection().flush();
        flushed.wrap_with(|| self.step("send media"))
    }

    fn step(&self, step: &str) -> String {
        format!("push to {}: {step}", self.session.place)
    }
}

/// What a message has against our publishing. Late answers to calls that the server does not know are nothing of that kind,
/// and a command that we cannot read is no reason to stop a stream that flows.
fn objection(message: &Message) -> Option<Status> {
    if !kind::is_command(message.kind) {
        return None;
    }
    let command = Command::parse(&message.payload).ok()?;
    let status = Status::find(&command).filter(|_| command.name == CommandName::OnStatus);
    status.filter(|status| status.level == Level::Error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::http::trust::Trust;
    use crate::app::rtmp::who::Who;
    use crate::core::coroutine::{JoinHandle, sleep, spawn};
    use crate::core::runtime::run;
    use crate::core::tcp::{ListenOptions, TcpListener};
    use crate::protocol::rtmp::message::{Redirect, StatusCode};
    use crate::protocol::rtmp::server::{ConnectReply, ConnectRequest, PublishEvent, PublishKind, Role, Server};

    const SOON: Duration = Duration::from_secs(5);

    fn options(trust: &Trust) -> PushOptions<'_> {
        PushOptions {
            approach: Approach {
                trust,
                connect_timeout: SOON,
                dialogue_timeout: SOON,
                tells_who: true,
                client: None,
            },
            chunk_size: 4096,
            send_timeout: SOON,
        }
    }

    type Accepted = Server<super::super::socket::Socket>;

    /// A server for one client after the other; gives its port.
    fn listen<T: 'static>(
        clients: usize,
        mut serve: impl FnMut(Rc<Stream>) -> T + 'static,
    ) -> (u16, JoinHandle<Vec<T>>) {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap(), ListenOptions::default()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = spawn("server", move || {
            (0..clients)
                .map(|_| serve(Rc::new(Stream::from(listener.accept().unwrap().0))))
                .collect()
        });
        (port, serving)
    }

    fn begin(stream: &Rc<Stream>) -> (Accepted, ConnectRequest) {
        let mut session = Server::new(super::super::socket::Socket(stream.clone()));
        session.handshake(0, &mut |bytes| fastrand::fill(bytes)).unwrap();
        let request = session.read_connect().unwrap();
        (session, request)
    }

    /// Up to where the client may send; gives the stream's name.
    fn accept(session: &mut Accepted, request: &ConnectRequest, stream: &Stream) -> String {
        let who = Who::on(stream);
        let reply = ConnectReply {
            out_ack_size: 2_500_000,
            in_ack_size: 0,
            peer_bandwidth: 2_500_000,
            chunk_size: 60_000,
            identity: who.identity(),
        };
        session.accept_connect(request, &reply).unwrap();
        let Role::Publish { kind, stream } = session.identify().unwrap() else {
            panic!("a player");
        };
        session.start_publish(kind).unwrap();
        session.publish_started().unwrap();
        stream
    }

    fn frame(kind: Kind, timestamp: u32, payload: &'static [u8]) -> Frame {
        Frame::new(kind, timestamp, bytes::Bytes::from_static(payload))
    }

    #[test]
    fn a_stream_arrives_as_it_was_and_ends_politely() {
        run(|| {
            let (port, serving) = listen(1, |stream| {
                let (mut session, request) = begin(&stream);
                let args = request.args.clone().unwrap();
                assert_eq!(args.string("srs_sig"), Some("SRS"));
                assert_eq!(args.string("srs_server_ip"), Some("127.0.0.1"));
                assert_eq!(args.string("srs_id").map(str::len), Some(8));
                let name = accept(&mut session, &request, &stream);
                let mut seen = Vec::new();
                loop {
                    let message = session.connection().read_message().unwrap();
                    if kind::is_command(message.kind) {
                        let command = Command::parse(&message.payload).unwrap();
                        let event = session.publish_command(PublishKind::Fmle, &command).unwrap();
                        assert_eq!(event, PublishEvent::Unpublished);
                        return (request.tc_url, name, seen);
                    }
                    seen.push((message.kind, message.timestamp, message.payload));
                }
            });
            let trust = Trust::default();
            let url = format!("rtmp://127.0.0.1:{port}/live/s?vhost=v.com&token=t");
            let mut pusher = Pusher::open(&url, options(&trust)).unwrap();
            assert_eq!(pusher.place(), format!("rtmp://127.0.0.1:{port}/live/s"));
            let large: &'static [u8] = Box::leak(vec![0x27; 100_000].into());
            let metadata = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09";
            let frames = [
                frame(Kind::Data, 0, metadata),
                frame(Kind::Video, 4_000_000_000, large),
                frame(Kind::Audio, 17, b"\xaf\x01\x02"),
                frame(Kind::Data, 18, b"\x02\x00\x05other"),
            ];
            pusher.push(&frames).unwrap();
            assert!(pusher.stream().sent_bytes() > 100_000);
            pusher.finish().unwrap();
            let (tc_url, name, seen) = serving.join().unwrap().remove(0);
            assert_eq!(tc_url, format!("rtmp://v.com:{port}/live"));
            assert_eq!(name, "s?token=t");
            assert_eq!(seen.len(), 4);
            assert_eq!(seen[0].2, [SET_DATA_FRAME, metadata].concat());
            for (seen, sent) in seen.iter().zip(&frames).skip(1) {
                assert_eq!((seen.1, &seen.2), (sent.timestamp, &sent.payload));
            }
            let kinds: Vec<u8> = seen.iter().map(|message| message.0).collect();
            assert_eq!(kinds, [18, 9, 8, 18]);
        })
        .unwrap();
    }

    #[test]
    fn a_redirect_is_followed_once() {
        run(|| {
            for (hops, is_url_known) in [(1, true), (1, false), (2, true)] {
                let (last, accepting) = listen(1, |stream| {
                    let (mut session, request) = begin(&stream);
                    accept(&mut session, &request, &stream)
                });
                let mut left = hops;
                let (port, redirecting) = listen(hops, move |stream| {
                    left -= 1;
                    let here = stream.local_addr().unwrap().port();
                    let next = if left == 0 { last } else { here };
                    let (mut session, _) = begin(&stream);
                    let tc_url = format!("rtmp://127.0.0.1:{next}/live");
                    let redirect = Redirect {
                        url: is_url_known.then(|| format!("{tc_url}/other?token=u")),
                        tc_url,
                    };
                    session.redirect(&redirect).unwrap();
                });
                let trust = Trust::default();
                let opened = Pusher::open(&format!("rtmp://127.0.0.1:{port}/live/s?token=t"), options(&trust));
                redirecting.join().unwrap();
                if hops == 2 {
                    assert_eq!(opened.err().map(|error| error.code()), Some(ErrorCode::RtmpRedirect));
                    accepting.interrupt();
                    let _ = accepting.join();
                    continue;
                }
                opened.unwrap();
                let name = accepting.join().unwrap().remove(0);
                assert_eq!(name, if is_url_known { "other?token=u" } else { "s?token=t" });
            }
        })
        .unwrap();
    }

    #[test]
    fn refusals_tell_the_peer_and_its_words() {
        run(|| {
            let (port, serving) = listen(1, |stream| {
                let (mut session, _) = begin(&stream);
                session.reject(&StatusCode::ConnectRejected, "no such app").unwrap();
            });
            let trust = Trust::default();
            let url = format!("rtmp://127.0.0.1:{port}/live/s?token=secret");
            let error = Pusher::open(&url, options(&trust)).err().unwrap();
            assert_eq!(error.code(), ErrorCode::RtmpConnect);
            let text = error.summary();
            assert!(text.contains(&format!("127.0.0.1:{port}/live/s")), "{text}");
            assert!(text.contains("connect") && text.contains("no such app"), "{text}");
            assert!(!text.contains("secret"), "{text}");
            serving.join().unwrap();
            for (url, code) in [
                ("http://127.0.0.1/live/s", ErrorCode::RtmpTcUrl),
                ("rtmp://127.0.0.1/", ErrorCode::StreamNameEmpty),
                ("rtmp://127.0.0.1:1/live/s", ErrorCode::SocketConnect),
            ] {
                assert_eq!(Pusher::open(url, options(&trust)).err().unwrap().code(), code, "{url}");
            }
        })
        .unwrap();
    }

    #[test]
    fn a_peer_that_talks_for_ever_is_left_in_time() {
        run(|| {
            for answer in [&b""[..], b"\x03"] {
                let (port, serving) = listen(1, |stream| {
                    while stream.write_all(answer).is_ok() && stream.wait_readable(Moment::after(SOON)).is_ok() {
                        sleep(Duration::from_millis(5));
                        if stream.try_read(&mut [0; 4096]).is_ok_and(|read| read == Some(0)) {
                            break;
                        }
                    }
                });
                let trust = Trust::default();
                let mut options = options(&trust);
                options.approach.dialogue_timeout = Duration::from_millis(100);
                let opened = Pusher::open(&format!("rtmp://127.0.0.1:{port}/live/s"), options);
                assert_eq!(opened.err().unwrap().code(), ErrorCode::SocketTimeout);
                serving.join().unwrap();
            }
        })
        .unwrap();
    }

    #[test]
    fn a_status_of_the_peer_ends_it_and_other_words_do_not() {
        run(|| {
            let (port, serving) = listen(1, |stream| {
                let (mut session, request) = begin(&stream);
                accept(&mut session, &request, &stream);
                let late = Command::new(CommandName::Error, 2.0, []);
                session.connection().queue_command(id::CONNECTION, 0, &late);
                session
                    .connection()
                    .queue_message(id::CONNECTION, kind::AMF0_COMMAND, 0, 0, b"?")
                    .unwrap();
                session.connection().flush().unwrap();
                // The client has looked at that.
                session.connection().read_message().unwrap();
                session.reject(&StatusCode::PublishBadName, "enough").unwrap();
                while session.connection().read_message().is_ok() {}
            });
            let trust = Trust::default();
            let mut pusher = Pusher::open(&format!("rtmp://127.0.0.1:{port}/live/s"), options(&trust)).unwrap();
            pusher.obey().unwrap();
            let mut obeyed = pusher.push(&[frame(Kind::Audio, 0, b"\xaf\x01\x02")]);
            while obeyed.is_ok() {
                assert!(pusher.stream().wait_readable(Moment::after(SOON)).unwrap());
                obeyed = pusher.obey();
            }
            let error = obeyed.unwrap_err();
            assert_eq!(error.code(), ErrorCode::RtmpConnect);
            assert!(error.summary().contains("enough"), "{}", error.summary());
            drop(pusher);
            serving.join().unwrap();
        })
        .unwrap();
    }
}
