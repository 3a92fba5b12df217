//! The stream of all loads: 25 pictures a second of 1,000 bytes and 43 sounds of 140, about 250 kb/s.

use std::time::Duration;

use bytes::Bytes;
use nix::time::{ClockId, clock_gettime};
use srs_may::kernel::frame::{Frame, Kind};

/// Messages a second.
pub const MESSAGES: u32 = 68;
/// Messages of one batch of 350 ms.
pub const BATCH: u32 = 24;
/// Where a payload has the time at which it was made, and what stands before it.
pub const MARK: &[u8; 8] = b"\x07madeat\x07";

/// When a message is due.
pub fn due(index: u32) -> Duration {
    Duration::from_micros(u64::from(index) * 1_000_000 / u64::from(MESSAGES))
}

/// The system's clock that all processes share, ns.
pub fn nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("clock");
    Duration::from(time).as_nanos() as u64
}

/// One message, with a keyframe every other second.
pub fn frame(index: u32) -> Frame {
    let millis = due(index).as_millis() as u32;
    let is_picture = index % MESSAGES * 25 / MESSAGES != (index + MESSAGES - 1) % MESSAGES * 25 / MESSAGES;
    let (kind, head, bytes): (_, &[u8], _) = match (is_picture, index.is_multiple_of(2 * MESSAGES)) {
        (true, true) => (Kind::Video, b"\x17\x01\0\0\0", 995),
        (true, false) => (Kind::Video, b"\x27\x01\0\0\0", 995),
        (false, _) => (Kind::Audio, b"\xaf\x01", 138),
    };
    let mut payload = Vec::with_capacity(head.len() + bytes);
    payload.extend_from_slice(head);
    payload.extend_from_slice(MARK);
    payload.extend_from_slice(&nanoseconds().to_le_bytes());
    payload.resize(head.len() + bytes, 7);
    Frame::new(kind, millis, Bytes::from(payload))
}
