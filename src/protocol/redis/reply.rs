//! Replies, put together from bytes as they arrive.

use bytes::{Buf, Bytes, BytesMut};

use crate::core::limits::{REDIS_ARRAY_ITEMS, REDIS_BULK_BYTES, REDIS_DEPTH, REDIS_LINE_BYTES, REDIS_REPLY_ITEMS};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// What a server says to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`.
    Simple(String),
    /// `-ERR …`: the command failed.
    Failure(String),
    /// A number.
    Integer(i64),
    /// A byte string.
    Bulk(Bytes),
    /// No value.
    Nil,
    /// Several replies in one.
    Array(Vec<Reply>),
}

/// Takes bytes as they arrive ([`push`](Self::push)) and gives each reply as soon as it is whole ([`pull`](Self::pull)).
///
/// A reply holds at most [`REDIS_REPLY_ITEMS`] values, and a value at most [`REDIS_BULK_BYTES`].
#[derive(Debug, Default)]
pub struct ReplyReader {
    buffer: BytesMut,
    /// Arrays that are not whole yet, each inside the one before it.
    open: Vec<OpenArray>,
    /// Values of the reply that is being read.
    items: usize,
    /// The byte string whose length was read last.
    bulk: Option<usize>,
}

#[derive(Debug)]
struct OpenArray {
    left: usize,
    values: Vec<Reply>,
}

impl ReplyReader {
    /// Adds the bytes that follow those pushed before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next reply; none if it needs more bytes.
    ///
    /// # Errors
    /// [`ErrorCode::OriginClusterDiscover`] for bytes that are no reply, or one above a bound; no later call makes sense
    /// then.
    pub fn pull(&mut self) -> Result<Option<Reply>> {
        while let Some(mut value) = self.value()? {
            loop {
                let Some(array) = self.open.last_mut() else {
                    self.items = 0;
                    return Ok(Some(value));
                };
                array.values.push(value);
                array.left -= 1;
                if array.left > 0 {
                    break;
                }
                value = Reply::Array(self.open.pop().map(|array| array.values).unwrap_or_default());
            }
        }
        Ok(None)
    }

    /// The next value that is no array with something in it: that one opens.
    fn value(&mut self) -> Result<Option<Reply>> {
        loop {
            if let Some(length) = self.bulk {
                return self.bulk(length);
            }
            let Some(line) = self.line()? else {
                return Ok(None);
            };
            self.items += 1;
            if self.items > REDIS_REPLY_ITEMS {
                return Err(bad(format!("more than {REDIS_REPLY_ITEMS} values")));
            }
            let Some((kind, rest)) = line.split_first() else {
                return Err(bad("an empty line"));
            };
            let text = || String::from_utf8_lossy(rest).into_owned();
            match kind {
                b'+' => return Ok(Some(Reply::Simple(text()))),
                b'-' => return Ok(Some(Reply::Failure(text()))),
                b':' => return number(rest).map(|number| Some(Reply::Integer(number))),
                b'$' => match length(rest, REDIS_BULK_BYTES)? {
                    None => return Ok(Some(Reply::Nil)),
                    Some(length) => self.bulk = Some(length),
                },
                b'*' => match length(rest, REDIS_ARRAY_ITEMS)? {
                    None => return Ok(Some(Reply::Nil)),
                    Some(0) => return Ok(Some(Reply::Array(Vec::new()))),
                    Some(_) if self.open.len() >= REDIS_DEPTH => {
                        return Err(bad(format!("arrays more than {REDIS_DEPTH} deep")));
                    }
                    Some(left) => self.open.push(OpenArray {
                        left,
                        values: Vec::new(),
                    }),
                },
                other => return Err(bad(format!("a value of kind {other:#04x}"))),
            }
        }
    }

    /// A line without its end.
    fn line(&mut self) -> Result<Option<Bytes>> {
        let window = &self.buffer[..self.buffer.len().min(REDIS_LINE_BYTES)];
        let Some(at) = window.windows(2).position(|end| end == b"\r\n") else {
            if self.buffer.len() >= REDIS_LINE_BYTES {
                return Err(bad(format!("a line of more than {REDIS_LINE_BYTES} bytes")));
            }
            return Ok(None);
        };
        let line = self.buffer.split_to(at).freeze();
        self.buffer.advance(2);
        Ok(Some(line))
    }

    fn bulk(&mut self, length: usize) -> Result<Option<Reply>> {
        if self.buffer.len() < length + 2 {
            return Ok(None);
        }
        let value = self.buffer.split_to(length).freeze();
        if *self.buffer.split_to(2) != *b"\r\n" {
            return Err(bad("a byte string is longer than it says"));
        }
        self.bulk = None;
        Ok(Some(Reply::Bulk(value)))
    }
}

/// A length up to `most`; `None` for -1, which means no value.
fn length(digits: &[u8], most: usize) -> Result<Option<usize>> {
    match number(digits)? {
        -1 => Ok(None),
        length => usize::try_from(length)
            .ok()
            .filter(|length| *length <= most)
            .map(Some)
            .ok_or_else(|| bad(format!("a length of {length}, 0 to {most} are taken"))),
    }
}

fn number(digits: &[u8]) -> Result<i64> {
    let text = std::str::from_utf8(digits).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| bad(format!("{} is no number", printable(&String::from_utf8_lossy(digits)))))
}

#[cold]
fn bad(cause: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::OriginClusterDiscover, format!("Redis reply: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[u8] =
        b"+OK\r\n-ERR no\r\n:-42\r\n$4\r\na\r\nb\r\n$-1\r\n*-1\r\n*0\r\n*2\r\n*2\r\n:1\r\n$0\r\n\r\n$1\r\nx\r\n";

    fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Reply>> {
        let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
        for piece in pieces {
            reader.push(piece);
            while let Some(reply) = reader.pull()? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn replies_are_read_however_they_are_cut() {
        let expected = vec![
            Reply::Simple("OK".to_owned()),
            Reply::Failure("ERR no".to_owned()),
            Reply::Integer(-42),
            bulk("a\r\nb"),
            Reply::Nil,
            Reply::Nil,
            Reply::Array(Vec::new()),
            Reply::Array(vec![Reply::Array(vec![Reply::Integer(1), bulk("")]), bulk("x")]),
        ];
        for size in 1..=ALL.len() {
            assert_eq!(read(ALL.chunks(size)).unwrap(), expected, "{size}");
        }
    }

    #[test]
    fn what_is_no_reply_or_too_large_is_refused() {
        let deep = "*1\r\n".repeat(REDIS_DEPTH + 1);
        let wide = format!("*{}\r\n", REDIS_ARRAY_ITEMS + 1);
        let long = format!("+{}", "a".repeat(REDIS_LINE_BYTES));
        let large = format!("${}\r\n", REDIS_BULK_BYTES + 1);
        for bytes in [
            "\r\n",
            "?\r\n",
            ":\r\n",
            ":1x\r\n",
            "$-2\r\n",
            "$x\r\n",
            "$1\r\nab\r\n",
            "*-2\r\n",
            &deep,
            &wide,
            &long,
            &large,
        ] {
            let error = read(std::iter::once(bytes.as_bytes())).unwrap_err();
            assert_eq!(error.code(), ErrorCode::OriginClusterDiscover, "{bytes:?}");
        }
    }

    #[test]
    fn a_reply_has_a_bound_over_all_its_arrays() {
        let inner = format!("*{REDIS_ARRAY_ITEMS}\r\n") + &":1\r\n".repeat(REDIS_ARRAY_ITEMS);
        let many = REDIS_REPLY_ITEMS / REDIS_ARRAY_ITEMS + 1;
        let bytes = format!("*{many}\r\n") + &inner.repeat(many);
        assert!(read(std::iter::once(bytes.as_bytes())).is_err());
    }
}
