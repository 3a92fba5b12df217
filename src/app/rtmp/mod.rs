//! RTMP connections: one coroutine each, from the handshake to the last byte; and those that we open, to publish elsewhere.

mod bandcheck;
mod conn;
pub mod dialogue;
pub(in crate::app) mod intake;
mod play;
mod proxy;
mod publish;
pub mod pull;
pub mod push;
mod request;
pub mod socket;
mod who;

pub use bandcheck::Bandchecks;
pub use conn::serve;
