//! What media is: errors, log, byte readers, codecs and containers. Pure functions of bytes; no sockets, no config.

pub mod bits;
pub mod buf;
pub mod codec;
pub mod error;
pub mod error_code;
pub mod flv;
pub mod frame;
pub mod log;
pub mod mp4;
pub mod rate;
pub mod timeline;
pub mod ts;
