//! The HTTP client of callbacks: one exchange on a connection of its own.

use std::rc::Rc;
use std::time::Duration;

use super::trust::Trust;
use crate::app::cli;
use crate::app::dial::{Peer, dial};
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::limits::{HTTP_ANSWER_BYTES, HTTP_HEAD_BYTES};
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::answer::{Answer, AnswerReader};
use crate::protocol::http::client::{Url, request_bytes};

/// What one read asks for, bytes.
const READ_BYTES: usize = 4 << 10;

/// How long the other side may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To find the address, connect, and agree on TLS.
    pub connect: Duration,
    /// For each read, and for taking anything of the request.
    pub step: Duration,
    /// For all of it, so that an answer that comes byte by byte ends too.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(30),
            step: Duration::from_secs(30),
            whole: Duration::from_secs(90),
        }
    }
}

/// Sends a request and gives its answer, whatever the status; redirects are not followed. `trust` tells which servers
/// are believed if the URL wants TLS. Yields.
///
/// # Errors
/// [`ErrorCode::HttpParseUrl`]; [`ErrorCode::DnsResolve`], [`ErrorCode::SocketConnect`]; [`ErrorCode::HttpsHandshake`]
/// and those of [`Trust::settings`]; [`ErrorCode::SocketTimeout`], [`ErrorCode::HttpResponseEof`] when the connection
/// breaks; those of [`AnswerReader::push`].
pub fn fetch(trust: &Trust, method: &str, url: &str, body: &[u8], timeouts: Timeouts) -> Result<Answer> {
    let mut call = Call::begin(trust, method, url, body, timeouts)?;
    let mut reader = AnswerReader::new(HTTP_ANSWER_BYTES);
    let mut buffer = [0; READ_BYTES];
    loop {
        let count = call.read(&mut buffer)?;
        if count == 0 {
            return reader.end();
        }
        if let Some(answer) = reader.push(&buffer[..count])? {
            return Ok(answer);
        }
    }
}

/// Asks for a URL and reads the answer until `body_bytes` of its body have come, or its end; what it says is nobody's
/// business. Yields.
///
/// # Errors
/// As [`fetch`], but for what is wrong with the answer.
pub fn fetch_start(trust: &Trust, url: &str, body_bytes: usize, timeouts: Timeouts) -> Result<()> {
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let mut call = Call::begin(trust, "GET", url, b"", timeouts)?;
    let (mut buffer, mut head, mut left) = ([0; READ_BYTES], Vec::new(), None);
    loop {
        let count = call.read(&mut buffer)?;
        let body = match left {
            Some(_) => count,
            None => {
                head.extend_from_slice(&buffer[..count]);
                let end = head.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END);
                match end {
                    Some(end) => head.len() - end - HEAD_END.len(),
                    None if count == 0 || head.len() > HTTP_HEAD_BYTES => return Ok(()),
                    None => continue,
                }
            }
        };
        let rest = left.unwrap_or(body_bytes).saturating_sub(body);
        if count == 0 || rest == 0 {
            return Ok(());
        }
        left = Some(rest);
    }
}

/// A request that was sent.
struct Call {
    url: Url,
    stream: Rc<Stream>,
    timeouts: Timeouts,
    end: Moment,
}

impl Call {
    fn begin(trust: &Trust, method: &str, url: &str, body: &[u8], timeouts: Timeouts) -> Result<Self> {
        let url = Url::parse(url)?;
        let end = Moment::after(timeouts.whole);
        let stream = connect(&url, trust, timeouts.connect.min(timeouts.whole))?;
        stream.set_write_timeout(Some(timeouts.step.min(timeouts.whole)));
        let request = request_bytes(method, &url, cli::SIGNATURE, body);
        let call = Call {
            url,
            stream,
            timeouts,
            end,
        };
        // Not the codes of sockets: those mean that the client has left.
        call.stream
            .write_all(&request)
            .io_wrap(ErrorCode::HttpResponseEof, || {
                format!("{} does not take the request", call.peer())
            })?;
        Ok(call)
    }

    fn peer(&self) -> String {
        format!("http server {}:{}", self.url.host, self.url.port)
    }

    /// The next bytes of the answer, 0 at its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let rest = self.end.since(Moment::now());
        if rest.is_zero() {
            let text = format!(
                "{} has not answered in {} s",
                self.peer(),
                self.timeouts.whole.as_secs_f64()
            );
            return Err(Error::new(ErrorCode::SocketTimeout, text));
        }
        self.stream.set_read_timeout(Some(self.timeouts.step.min(rest)));
        let count = self.stream.read(buffer);
        count.io_wrap(ErrorCode::HttpResponseEof, || {
            format!("read the answer of {}", self.peer())
        })
    }
}

/// As the URL wants it, all within `timeout`.
fn connect(url: &Url, trust: &Trust, timeout: Duration) -> Result<Rc<Stream>> {
    let peer = Peer {
        what: if url.is_https { "https server" } else { "http server" },
        host: &url.host,
        port: url.port,
    };
    dial(peer, url.is_https.then_some(trust), timeout)
}
