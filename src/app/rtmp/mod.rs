//! RTMP connections: one coroutine each, from the handshake to the last byte.

mod conn;
mod play;
mod publish;
mod request;
mod socket;

pub use conn::serve;
