//! The chunk stream: messages cut into chunks and interleaved (RTMP specification 5.3).

mod header;

pub use header::{ChunkStream, message_bytes, put_delta_header, put_full_header, put_payload};
