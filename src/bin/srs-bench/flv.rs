//! Players of live FLV over HTTP.

use srs_may::kernel::error::{Error, Result};
use srs_may::kernel::error_code::ErrorCode;
use srs_may::kernel::flv::tag::{FILE_HEADER_BYTES, Kind, PREVIOUS_TAG_SIZE_BYTES, TAG_HEADER_BYTES, TagHeader};
use srs_may::protocol::http::client::Url;

use crate::http::{self, Answer};
use crate::line::Way;
use crate::observer::{Observer, Part};
use crate::tally::Tally;

/// Plays until interrupted. Yields.
///
/// # Errors
/// Whatever ends it before.
pub fn play(way: &Way, url: &Url, number: usize, mut observer: Observer) -> Result<()> {
    let mut cutter = Cutter::new();
    stream(way, url, number, &mut observer, |observer, bytes| {
        cutter.take(bytes, observer)
    })
}

/// Asks for an endless answer and shows its body to `look`. Yields.
pub fn stream(
    way: &Way,
    url: &Url,
    number: usize,
    observer: &mut Observer,
    mut look: impl FnMut(&mut Observer, &[u8]) -> Result<()>,
) -> Result<()> {
    let connection = http::connect(way, url, number)?;
    http::ask(&connection, url)?;
    let (mut answer, mut rest) = (Answer::new(), Vec::new());
    loop {
        let count = way.pump(&connection, &mut rest, |input, _| {
            let before = answer.status;
            let used = answer.take(input, &mut |body| look(observer, body));
            if before == 0 && answer.status == 200 {
                observer.accepted();
            }
            used
        })?;
        Tally::add(&observer.tally().bytes, count as u64);
        if answer.status != 0 && answer.status != 200 {
            let text = format!("the server answers with status {}", answer.status);
            return Err(Error::new(ErrorCode::HttpStatus, text));
        }
        if count == 0 || answer.is_done() {
            return Err(Error::new(ErrorCode::HttpResponseEof, "the server ended the stream"));
        }
    }
}

/// Cuts FLV into parts of tags without gathering them.
struct Cutter {
    state: State,
    /// The part of a header that has come.
    head: Vec<u8>,
}

#[derive(Clone, Copy)]
enum State {
    /// So many bytes of no interest.
    Skip(usize),
    Header,
    Body {
        header: TagHeader,
        at: usize,
    },
}

impl Cutter {
    fn new() -> Self {
        Cutter {
            state: State::Skip(FILE_HEADER_BYTES + PREVIOUS_TAG_SIZE_BYTES),
            head: Vec::new(),
        }
    }

    fn take(&mut self, mut input: &[u8], observer: &mut Observer) -> Result<()> {
        while !input.is_empty() {
            match self.state {
                State::Skip(count) => {
                    let now = count.min(input.len());
                    input = &input[now..];
                    self.state = if now == count {
                        State::Header
                    } else {
                        State::Skip(count - now)
                    };
                }
                State::Header => {
                    let now = (TAG_HEADER_BYTES - self.head.len()).min(input.len());
                    let (head, behind) = input.split_at(now);
                    self.head.extend_from_slice(head);
                    input = behind;
                    if let Some(head) = self.head.first_chunk() {
                        let header = TagHeader::read(head)?;
                        self.head.clear();
                        self.state = State::Body { header, at: 0 };
                        if header.body_bytes == 0 {
                            self.state = State::Skip(PREVIOUS_TAG_SIZE_BYTES);
                        }
                    }
                }
                State::Body { header, at } => {
                    let length = header.body_bytes as usize;
                    let (bytes, behind) = input.split_at((length - at).min(input.len()));
                    input = behind;
                    observer.media(part(&header, at, bytes));
                    let at = at + bytes.len();
                    self.state = if at == length {
                        State::Skip(PREVIOUS_TAG_SIZE_BYTES)
                    } else {
                        State::Body { header, at }
                    };
                }
            }
        }
        Ok(())
    }
}

fn part<'a>(header: &TagHeader, at: usize, bytes: &'a [u8]) -> Part<'a> {
    let kind: Kind = header.kind;
    Part {
        kind,
        timestamp: header.timestamp,
        length: header.body_bytes as usize,
        at,
        bytes,
    }
}
