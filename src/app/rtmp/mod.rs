//! RTMP connections: one coroutine each, from the handshake to the last byte; and those that we open, to publish elsewhere.

mod bandcheck;
mod conn;
mod play;
mod publish;
pub mod push;
mod request;
mod socket;
mod who;

pub use bandcheck::Bandchecks;
pub use conn::serve;
