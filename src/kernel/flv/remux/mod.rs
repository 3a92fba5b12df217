//! Elementary streams in, messages of the live path out: what comes by MPEG-TS or RTP becomes what RTMP carries.
//!
//! [`video`] takes access units of AVC and HEVC, [`audio`] frames of AAC, MP3 and Opus; [`order`] puts both in the order
//! of their decoding times.

pub mod audio;
pub mod decoding;
pub mod order;
pub mod sets;
pub mod video;

pub use audio::{AacRemuxer, AudioFraming, AudioRemuxer, opus_packets};
pub use decoding::DecodingClock;
pub use order::Interleaver;
pub use video::{Times, VideoRemuxer};

/// Ticks of a millisecond, in which elementary streams tell their times: 90 kHz.
pub const TICKS_PER_MS: i64 = 90;

/// The timestamp of a message: milliseconds modulo 2^32.
fn timestamp(ticks: i64) -> u32 {
    ticks.div_euclid(TICKS_PER_MS) as u32
}
