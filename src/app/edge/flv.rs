//! A stream that is played from an origin over HTTP, as FLV.

use std::rc::Rc;
use std::time::Duration;

use super::upstream::{Pulled, Upstream};
use crate::app::cli;
use crate::app::dial::{Peer, dial};
use crate::app::http::trust::Trust;
use crate::app::rtmp::intake;
use crate::app::stat::Carrier;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::demux::{Demuxer, Item, Tag};
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::log::printable;
use crate::protocol::http::answer::{AnswerParts, Head, Part};
use crate::protocol::http::client::{Url, get_bytes};

/// What one read asks for, bytes.
const READ_BYTES: usize = 16 << 10;
/// Reads in one go, so that others run in between.
const READS: usize = 8;
/// How often an origin may send us on, as in SRS.
const REDIRECTS: usize = 3;

/// The player of one stream at one server. Dropping it cuts the connection.
pub struct FlvPuller {
    stream: Rc<Stream>,
    place: String,
    parts: AnswerParts,
    demuxer: Demuxer,
    buffer: Vec<u8>,
    silence: Duration,
    heard: Moment,
}

impl FlvPuller {
    /// Plays the stream of an `http://` or `https://` URL, and follows redirects on the way. Each step may take `limit`, and
    /// so long the server may be silent later. Yields.
    ///
    /// # Errors
    /// Those of [`Url::parse`] and [`dial`]; [`ErrorCode::StreamNotFound`] for status 404, [`ErrorCode::HttpStatus`] for
    /// another one that is not 200; [`ErrorCode::HttpRedirectDepth`]; [`ErrorCode::SocketTimeout`] and those of
    /// [`AnswerParts`].
    pub fn open(trust: &Trust, url: &str, limit: Duration) -> Result<Self> {
        let mut url = Url::parse(url)?;
        for _ in 0..=REDIRECTS {
            let mut puller = Self::ask(trust, &url, limit)?;
            let what = format!("play from {}", puller.place);
            let head = puller.head().wrap_with(|| what.clone())?;
            match (head.status, head.headers.get("Location")) {
                (200, _) => return Ok(puller),
                (301 | 302 | 303 | 307 | 308, Some(location)) => {
                    log::info!("edge: {} sends us to {}", puller.place, printable(location));
                    url = url.join(location).wrap_with(|| what.clone())?;
                }
                (404, _) => return Err(Error::new(ErrorCode::StreamNotFound, what + ": status 404")),
                (status, _) => return Err(Error::new(ErrorCode::HttpStatus, format!("{what}: status {status}"))),
            }
        }
        let text = format!("{REDIRECTS} redirects do not end, the last one to {}", place_of(&url));
        Err(Error::new(ErrorCode::HttpRedirectDepth, text))
    }

    fn ask(trust: &Trust, url: &Url, limit: Duration) -> Result<Self> {
        let peer = Peer {
            what: if url.is_https { "https origin" } else { "http origin" },
            host: &url.host,
            port: url.port,
        };
        let stream = dial(peer, url.is_https.then_some(trust), limit)?;
        stream.set_write_timeout(Some(limit));
        let _ = stream.set_nodelay(true);
        // A stream may be silent for long, and its server gone.
        let _ = stream.set_keepalive(true);
        let place = place_of(url);
        let sent = stream.write_all(&get_bytes(url, cli::SIGNATURE));
        sent.io_wrap(ErrorCode::SocketWrite, || format!("ask {place}"))?;
        Ok(FlvPuller {
            stream,
            place,
            parts: AnswerParts::default(),
            demuxer: Demuxer::new(),
            buffer: vec![0; READ_BYTES],
            silence: limit,
            heard: Moment::now(),
        })
    }

    /// What comes before the media. A server may wait with it until it has some.
    fn head(&mut self) -> Result<Head> {
        let deadline = Moment::after(self.silence);
        loop {
            if let Some(Part::Head(head)) = self.parts.pull()? {
                return Ok(head);
            }
            if Moment::now() >= deadline {
                return Err(Error::new(ErrorCode::SocketTimeout, "no answer in time"));
            }
            match self.read()? {
                Some(0) => return Err(self.cut()),
                Some(_) => {}
                None => drop(self.wait(deadline)?),
            }
        }
    }

    /// Reads what is there; 0 bytes are the server's end.
    fn read(&mut self) -> Result<Option<usize>> {
        let read = self.stream.try_read(&mut self.buffer);
        let read = read.io_wrap(ErrorCode::SocketRead, || format!("play from {}", self.place))?;
        if let Some(count) = read {
            self.heard = Moment::now();
            self.parts.push(&self.buffer[..count]);
        }
        Ok(read)
    }

    /// Hands over what is whole; gives whether the stream has ended.
    fn drain(&mut self, frames: &mut Vec<Frame>) -> Result<bool> {
        while let Some(part) = self.parts.pull()? {
            match part {
                Part::Head(_) => {}
                Part::Data(data) => {
                    self.demuxer.feed(&data);
                    while let Some(item) = self.demuxer.pull()? {
                        if let Item::Tag(tag) = item {
                            frames.extend(frame_of(tag));
                        }
                    }
                }
                Part::End => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Gives whether something came.
    fn wait(&self, deadline: Moment) -> Result<bool> {
        let silent_at = self.heard + self.silence;
        let what = || format!("play from {}", self.place);
        let came = self.stream.wait_readable(deadline.min(silent_at));
        if came.io_wrap(ErrorCode::SocketRead, what)? {
            return Ok(true);
        }
        if Moment::now() >= silent_at {
            let text = format!("{}: nothing for {} s", what(), self.silence.as_secs_f64());
            return Err(Error::new(ErrorCode::SocketTimeout, text));
        }
        Ok(false)
    }

    /// The connection ended without the stream's end: its server is gone, or says no more.
    fn cut(&self) -> Error {
        Error::new(
            ErrorCode::HttpResponseEof,
            format!("{} has closed the connection", self.place),
        )
    }
}

impl Upstream for FlvPuller {
    fn place(&self) -> &str {
        &self.place
    }

    fn carrier(&self) -> &dyn Carrier {
        &*self.stream
    }

    /// Fails with [`ErrorCode::SocketTimeout`] when the server was silent for too long, [`ErrorCode::SocketRead`],
    /// [`ErrorCode::HttpResponseEof`] when it closes before the body's end, and those of [`AnswerParts`] and [`Demuxer`].
    /// Yields.
    fn take(&mut self, frames: &mut Vec<Frame>, deadline: Moment) -> Result<Pulled> {
        for round in 0..READS {
            // What came with the head is here before anything is read.
            let ended = self.drain(frames);
            if ended.wrap_with(|| format!("play from {}", self.place))? {
                return Ok(Pulled::Ended);
            }
            match self.read()? {
                Some(0) => return Err(self.cut()),
                Some(_) => {}
                None if round > 0 || !frames.is_empty() || !self.wait(deadline)? => break,
                None => {}
            }
        }
        Ok(Pulled::Live)
    }
}

fn frame_of(tag: Tag) -> Option<Frame> {
    match tag.kind {
        Kind::Data => intake::data_frame(tag.timestamp, &tag.body),
        kind => Some(Frame::new(kind, tag.timestamp, tag.body)),
    }
}

/// For logs: without parameters, which may hold secrets.
fn place_of(url: &Url) -> String {
    let whole = url.to_string();
    printable(whole.split('?').next().unwrap_or_default()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::coroutine::spawn;
    use crate::core::runtime::run;
    use crate::core::tcp::{ListenOptions, TcpListener};
    use crate::kernel::flv::mux::{file_start, put_tag};

    const SOON: Duration = Duration::from_millis(800);

    /// A server that gives one of `answers` to each client in turn and closes; `{port}` in them is its own.
    fn serve(answers: Vec<Vec<u8>>) -> (u16, impl FnOnce() -> Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap(), ListenOptions::default()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = spawn("server", move || {
            let mut targets = Vec::new();
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let count = stream.read(&mut request).unwrap();
                let text = String::from_utf8_lossy(&request[..count]).into_owned();
                targets.push(text.lines().next().unwrap_or_default().to_owned());
                stream.write_all(&answer).unwrap();
            }
            targets
        });
        (port, move || serving.join().unwrap())
    }

    fn file() -> Vec<u8> {
        let mut file = file_start(true, true).to_vec();
        put_tag(&mut file, Kind::Video, 40, b"\x17\x01\0\0\0\x09").unwrap();
        put_tag(&mut file, Kind::Audio, 41, b"\xaf\x01\x02").unwrap();
        file
    }

    fn chunked(body: &[u8], is_whole: bool) -> Vec<u8> {
        let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for piece in body.chunks(7) {
            answer.extend(format!("{:x}\r\n", piece.len()).into_bytes());
            answer.extend(piece);
            answer.extend(b"\r\n");
        }
        if is_whole {
            answer.extend(b"0\r\n\r\n");
        }
        answer
    }

    fn play(port: u16, path: &str) -> Result<(Vec<u32>, Pulled)> {
        let mut puller = FlvPuller::open(&Trust::default(), &format!("http://127.0.0.1:{port}{path}"), SOON)?;
        let mut frames = Vec::new();
        loop {
            match puller.take(&mut frames, Moment::after(SOON)) {
                Ok(Pulled::Live) => {}
                Ok(end) => return Ok((frames.iter().map(|frame| frame.timestamp).collect(), end)),
                Err(error) => return Err(error),
            }
        }
    }

    #[test]
    fn the_end_of_a_stream_differs_from_that_of_its_server() {
        run(|| {
            let (port, asked) = serve(vec![chunked(&file(), true), chunked(&file(), false)]);
            assert_eq!(play(port, "/live/s.flv?k=v").unwrap(), (vec![40, 41], Pulled::Ended));
            assert_eq!(
                play(port, "/live/s.flv").unwrap_err().code(),
                ErrorCode::HttpResponseEof
            );
            assert_eq!(asked()[0], "GET /live/s.flv?k=v HTTP/1.1");
        })
        .unwrap();
    }

    #[test]
    fn redirects_are_followed_up_to_a_bound() {
        run(|| {
            let moved =
                |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes();
            let answers = vec![moved("/b/s.flv?x=1"), chunked(&file(), true)];
            let (port, asked) = serve(answers);
            assert_eq!(play(port, "/a/s.flv").unwrap().0, [40, 41]);
            assert_eq!(asked()[1], "GET /b/s.flv?x=1 HTTP/1.1");
            let (port, _asked) = serve(vec![moved("/again.flv"); 4]);
            assert_eq!(play(port, "/a/s.flv").unwrap_err().code(), ErrorCode::HttpRedirectDepth);
        })
        .unwrap();
    }

    #[test]
    fn refusals_and_silence_are_errors() {
        run(|| {
            for (answer, code) in [
                (
                    &b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"[..],
                    ErrorCode::StreamNotFound,
                ),
                (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", ErrorCode::HttpStatus),
                (b"HTTP/1.1 200 OK\r\n\r\nnot what FLV looks like", ErrorCode::FlvHeader),
                (b"nonsense\r\n\r\n", ErrorCode::HttpParseHeader),
                (b"HTTP/1.1 200", ErrorCode::HttpResponseEof),
            ] {
                let (port, _asked) = serve(vec![answer.to_vec()]);
                assert_eq!(play(port, "/live/s.flv").unwrap_err().code(), code);
            }
            let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap(), ListenOptions::default()).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert_eq!(play(port, "/live/s.flv").unwrap_err().code(), ErrorCode::SocketTimeout);
        })
        .unwrap();
    }
}
