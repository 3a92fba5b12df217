//! Aggregate messages (RTMP specification 1.0, section 7.1.6): several messages in one, as FLV tags.
//!
//! The times inside have a base of their own: the first stands for the aggregate's timestamp, the others keep their
//! distance from it. The aggregate's message stream holds for all.

use bytes::Bytes;

use super::chunk::Message;
use super::message::kind;
use crate::core::limits::RTMP_AGGREGATE_DEPTH;
use crate::kernel::buf::Reader;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

const _: () = assert!(RTMP_AGGREGATE_DEPTH == 1, "aggregates in aggregates are not split");

/// Type, size, timestamp with its high byte, stream id.
const HEADER_BYTES: usize = 11;
const BACK_POINTER_BYTES: usize = 4;

/// The messages of an aggregate, one by one. They share its payload. After an error there are no more.
#[derive(Debug)]
pub struct Aggregate {
    outer: Message,
    rest: Bytes,
    /// What turns inner times into outer ones, modulo 2^32; known from the first message on.
    time_offset: Option<u32>,
}

impl Aggregate {
    /// Splits a message of type 22.
    pub fn new(message: Message) -> Self {
        let rest = message.payload.clone();
        Aggregate {
            outer: message,
            rest,
            time_offset: None,
        }
    }

    fn split_first(&mut self) -> Result<Message> {
        let mut reader = Reader::new(&self.rest, ErrorCode::RtmpAggregate);
        let message_kind = reader.u8("type of a message in an aggregate")?;
        let length = reader.u24("length of a message in an aggregate")? as usize;
        let low = reader.u24("timestamp of a message in an aggregate")?;
        let high = reader.u8("high byte of a timestamp in an aggregate")?;
        reader.skip(3, "stream id of a message in an aggregate")?;
        reader.skip(length, "payload of a message in an aggregate")?;
        reader.skip(BACK_POINTER_BYTES, "back pointer in an aggregate")?;
        if message_kind == kind::AGGREGATE {
            return Err(Error::new(
                ErrorCode::RtmpAggregate,
                "an aggregate stands in an aggregate",
            ));
        }
        let time = u32::from(high) << 24 | low;
        let outer_time = self.outer.timestamp;
        let offset = *self.time_offset.get_or_insert(outer_time.wrapping_sub(time));
        let mut tag = self.rest.split_to(HEADER_BYTES + length + BACK_POINTER_BYTES);
        Ok(Message {
            kind: message_kind,
            timestamp: time.wrapping_add(offset),
            stream_id: self.outer.stream_id,
            chunk_stream: self.outer.chunk_stream,
            payload: tag.split_off(HEADER_BYTES).slice(..length),
        })
    }
}

impl Iterator for Aggregate {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let result = self.split_first();
        if result.is_err() {
            self.rest.clear();
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::buf::Put;

    fn put_tag(out: &mut Vec<u8>, message_kind: u8, time: u32, payload: &[u8]) {
        out.put_u8(message_kind);
        out.put_u24(payload.len() as u32);
        out.put_u24(time);
        out.put_u8((time >> 24) as u8);
        out.put_u24(0);
        out.put_slice(payload);
        out.put_u32(11 + payload.len() as u32);
    }

    fn aggregate(timestamp: u32, payload: Vec<u8>) -> Aggregate {
        Aggregate::new(Message {
            kind: kind::AGGREGATE,
            timestamp,
            stream_id: 1,
            chunk_stream: 6,
            payload: payload.into(),
        })
    }

    fn sample() -> Vec<u8> {
        let mut payload = Vec::new();
        put_tag(&mut payload, kind::VIDEO, 0x0100_0000, b"video");
        put_tag(&mut payload, kind::AUDIO, 0x0100_0017, b"");
        put_tag(&mut payload, kind::AUDIO, 0x00ff_fff0, b"audio");
        payload
    }

    #[test]
    fn times_move_to_the_aggregates_own() {
        let got: Vec<Message> = aggregate(5, sample()).map(Result::unwrap).collect();
        let facts: Vec<_> = got.iter().map(|m| (m.kind, m.timestamp, &m.payload[..])).collect();
        let earlier = 5_u32.wrapping_sub(16);
        assert_eq!(facts, [(9, 5, &b"video"[..]), (8, 28, b""), (8, earlier, b"audio")]);
        assert!(got.iter().all(|message| message.stream_id == 1));
        assert_eq!(aggregate(5, Vec::new()).count(), 0);
    }

    #[test]
    fn an_aggregate_inside_is_refused() {
        let mut payload = Vec::new();
        put_tag(&mut payload, kind::AUDIO, 0, b"a");
        put_tag(&mut payload, kind::AGGREGATE, 0, b"b");
        put_tag(&mut payload, kind::AUDIO, 0, b"c");
        let codes: Vec<_> = aggregate(0, payload)
            .map(|m| m.map_err(|error| error.code()).map(|m| m.kind))
            .collect();
        assert_eq!(codes, [Ok(8), Err(ErrorCode::RtmpAggregate)]);
    }

    #[test]
    fn every_cut_gives_an_error_or_whole_messages() {
        let payload = sample();
        let ends = [20, 35, 55];
        for end in 0..=payload.len() {
            let results: Vec<_> = aggregate(0, payload[..end].to_vec()).collect();
            let whole = ends.iter().filter(|message_end| **message_end <= end).count();
            let cut = end != 0 && !ends.contains(&end);
            assert_eq!(results.len(), whole + usize::from(cut), "{end} bytes");
            assert_eq!(results.iter().any(Result::is_err), cut);
        }
    }

    #[test]
    fn mutated_aggregates_end() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..3000 {
            let mut payload = sample();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..payload.len());
                payload[at] = random.u8(..);
            }
            let size = payload.len();
            assert!(aggregate(0, payload).count() <= size / 15 + 1);
        }
    }
}
