//! The chunk stream (RTMP specification 1.0, section 5.3): messages cut into chunks that interleave.

mod decoder;
mod encoder;

pub use decoder::{Decoder, Message, Part};
pub use encoder::{Encoder, Extended, write_delta_header, write_full_header, write_payload_chunks};

/// The chunk size of both directions until a peer sets another, bytes (section 5.4.1).
pub const DEFAULT_CHUNK_SIZE: usize = 128;

/// The chunk stream ids on which we send; clients are known to be strict about some of them.
pub mod id {
    /// Protocol control: chunk size, windows, user control (section 5.4 demands 2).
    pub const CONTROL: u32 = 2;
    /// Commands of the connection: connect, createStream and their answers.
    pub const CONNECTION: u32 = 3;
    /// Metadata and other data messages.
    pub const METADATA: u32 = 4;
    /// Commands of a stream: publish, play, onStatus.
    pub const STREAM: u32 = 5;
    /// Video.
    pub const VIDEO: u32 = 6;
    /// Audio.
    pub const AUDIO: u32 = 7;
}

/// The value of a 24-bit timestamp field that says that the 32-bit extended timestamp follows (section 5.3.1.3).
const EXTENDED_MARK: u32 = 0xff_ffff;
