//! Messages looked at as they pass, for readers of many streams that keep none: payloads are neither copied nor gathered.

use super::{ChunkStream, Decoder, OpenChunk};
use crate::kernel::error::Result;

/// Some bytes of a message, as they lie in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Message type id, audio 8, video 9, ….
    pub kind: u8,
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// Bytes of the whole payload.
    pub length: usize,
    /// Where in the payload these bytes lie. Messages of different chunk streams may interleave.
    pub at: usize,
    /// The bytes; none only of a message that has none.
    pub bytes: &'a [u8],
}

impl Part<'_> {
    /// Whether the message ends with them.
    pub fn is_last(&self) -> bool {
        self.at + self.bytes.len() >= self.length
    }
}

impl Decoder {
    /// As [`Decoder::decode_slice`], but gives each message in the parts in which it comes. One decoder does either; a
    /// message of which [`Decoder::decode_slice`] has gathered a part lacks that part here.
    ///
    /// # Errors
    /// As [`Decoder::decode`], without those about memory.
    pub fn skim_slice<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Part<'a>>> {
        loop {
            let Some(chunk) = self.next_chunk(input)? else {
                return Ok(None);
            };
            let (bytes, tail) = input.split_at(chunk.left.min(input.len()));
            *input = tail;
            let stream = &mut self.streams[chunk.stream];
            let part = stream.pass(bytes);
            if bytes.len() < chunk.left {
                let left = chunk.left - bytes.len();
                self.open = Some(OpenChunk { left, ..chunk });
                if bytes.is_empty() {
                    return Ok(None);
                }
                return Ok(Some(part));
            }
            if part.is_last() {
                // What was gathered of it before is dropped with it.
                self.reserved -= stream.partial.take().map_or(0, |partial| partial.capacity());
                stream.skimmed = 0;
            }
            if !bytes.is_empty() || part.is_last() {
                return Ok(Some(part));
            }
        }
    }
}

impl ChunkStream {
    fn pass<'a>(&mut self, bytes: &'a [u8]) -> Part<'a> {
        let gathered = self.partial.as_ref().map_or(0, Vec::len);
        let at = gathered + self.skimmed;
        self.skimmed += bytes.len();
        Part {
            kind: self.kind,
            timestamp: self.timestamp,
            length: self.length,
            at,
            bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::protocol::rtmp::chunk::Encoder;

    fn stream() -> Vec<u8> {
        let mut out = Vec::new();
        let encoder = Encoder::new();
        for (index, length) in [3usize, 128, 129, 1000, 0, 40].into_iter().enumerate() {
            let payload: Vec<u8> = (0..length).map(|at| (at * 7 + index) as u8).collect();
            let time = index as u32 * 0x80_0000;
            encoder
                .encode(&mut out, 6 + index as u32 % 2, 9, time, 1, &payload)
                .unwrap();
        }
        out
    }

    #[test]
    fn parts_add_up_to_the_messages_however_the_bytes_are_cut() {
        let bytes = stream();
        let mut gathering = Decoder::new();
        let mut input = BytesMut::from(&bytes[..]);
        let mut expected = Vec::new();
        while let Some(message) = gathering.decode(&mut input).unwrap() {
            expected.push((message.kind, message.timestamp, message.payload.to_vec()));
        }
        for step in [1, 2, 13, 127, 500, bytes.len()] {
            let mut decoder = Decoder::new();
            let (mut have, mut payload, mut messages) = (Vec::new(), Vec::new(), Vec::new());
            for piece in bytes.chunks(step) {
                have.extend_from_slice(piece);
                let mut rest = &have[..];
                while let Some(part) = decoder.skim_slice(&mut rest).unwrap() {
                    assert_eq!(part.at, payload.len());
                    payload.extend_from_slice(part.bytes);
                    if part.is_last() {
                        assert_eq!(part.length, payload.len());
                        messages.push((part.kind, part.timestamp, std::mem::take(&mut payload)));
                    }
                }
                let used = have.len() - rest.len();
                have.drain(..used);
            }
            assert_eq!(messages, expected, "in steps of {step}");
            assert!(decoder.is_idle());
        }
    }

    #[test]
    fn a_message_begun_by_the_gathering_side_goes_on() {
        let bytes = stream();
        let mut decoder = Decoder::new();
        // The first message, and the first chunk of the second but for two bytes.
        let (head, tail) = bytes.split_at(15 + 12 + 126);
        let mut rest = head;
        assert_eq!(decoder.decode_slice(&mut rest).unwrap().unwrap().payload.len(), 3);
        assert_eq!(decoder.decode_slice(&mut rest).unwrap(), None);
        let mut rest = tail;
        let part = decoder.skim_slice(&mut rest).unwrap().unwrap();
        assert_eq!((part.at, part.bytes.len(), part.is_last()), (126, 2, true));
        assert_eq!(decoder.reserved, 0);
    }
}
