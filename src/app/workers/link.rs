//! Requests to another worker: HTTP/1.0 over its Unix socket, so that an answer ends with the connection.

use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;

use crate::app::stream::Stream;
use crate::core::limits::HTTP_HEAD_BYTES;
use crate::core::unix;
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;

/// How long a worker may take to answer, or for each part of what it sends.
pub const STEP: Duration = Duration::from_secs(10);
/// What one read asks for, bytes.
const READ_BYTES: usize = 64 << 10;

/// An answer that is being read.
pub struct Reply {
    /// The connection.
    pub stream: Rc<Stream>,
    /// The status of the answer.
    pub status: u16,
    /// The status line and the lines of the head, without the empty one.
    pub head: String,
    /// What has come of the body and is not used yet.
    pub body: BytesMut,
    buffer: Vec<u8>,
}

/// Asks the worker that listens under a name. Yields.
///
/// # Errors
/// [`ErrorCode::SocketConnect`]; [`ErrorCode::HttpResponseEof`] when it does not answer in full.
pub fn get(name: &str, target: &str) -> Result<Reply> {
    send(
        name,
        format!("GET {target} HTTP/1.0\r\nHost: worker\r\n\r\n").as_bytes(),
        STEP,
    )
}

/// The same with a whole request, whose answer may take `patience` to begin and for each part. Yields.
///
/// # Errors
/// As [`get`].
pub fn send(name: &str, request: &[u8], patience: Duration) -> Result<Reply> {
    let socket = unix::connect(name).io_wrap(ErrorCode::SocketConnect, || format!("connect to worker @{name}"))?;
    let mut reply = Reply {
        stream: Rc::new(Stream::from(socket)),
        status: 0,
        head: String::new(),
        body: BytesMut::new(),
        buffer: vec![0; READ_BYTES],
    };
    reply.stream.set_write_timeout(Some(STEP));
    reply.stream.set_read_timeout(Some(patience));
    let written = reply.stream.write_all(request);
    written.io_wrap(ErrorCode::HttpResponseEof, || format!("ask worker @{name}"))?;
    reply.read_head()?;
    Ok(reply)
}

/// Asks and gives the status of the answer. Yields.
///
/// # Errors
/// As [`get`].
pub fn ask(name: &str, target: &str) -> Result<u16> {
    get(name, target).map(|reply| reply.status)
}

impl Reply {
    /// The value of a field of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut same = fields.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        same.next().map(|(_, value)| value.trim())
    }

    fn read_head(&mut self) -> Result<()> {
        const END: &[u8] = b"\r\n\r\n";
        let wrong = |text: &str| Error::new(ErrorCode::HttpResponseEof, format!("answer of a worker: {text}"));
        let end = loop {
            if let Some(at) = self.body.windows(END.len()).position(|bytes| bytes == END) {
                break at;
            }
            if self.body.len() > HTTP_HEAD_BYTES {
                return Err(wrong("its head is too long"));
            }
            if self.fill()? == 0 {
                return Err(wrong("it ends inside its head"));
            }
        };
        self.head = String::from_utf8_lossy(&self.body.split_to(end)).into_owned();
        let _ = self.body.split_to(END.len());
        let status = self.head.split(' ').nth(1).and_then(|status| status.parse().ok());
        self.status = status.ok_or_else(|| wrong("it has no status"))?;
        Ok(())
    }

    /// Reads more of the body; 0 at its end. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::HttpResponseEof`], also when nothing came within the read timeout.
    pub fn fill(&mut self) -> Result<usize> {
        let read = self.stream.read(&mut self.buffer);
        let count = read.io_wrap(ErrorCode::HttpResponseEof, || "read the answer of a worker".into())?;
        self.body.extend_from_slice(&self.buffer[..count]);
        Ok(count)
    }

    /// The whole body, at most `limit` bytes. Yields.
    ///
    /// # Errors
    /// As [`Reply::fill`], and for a longer one.
    pub fn read_all(mut self, limit: usize) -> Result<BytesMut> {
        while self.fill()? > 0 {
            if self.body.len() > limit {
                let text = format!("answer of a worker: its body is above {limit} bytes");
                return Err(Error::new(ErrorCode::HttpResponseEof, text));
            }
        }
        Ok(self.body)
    }
}
