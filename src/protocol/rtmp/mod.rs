//! RTMP (Adobe RTMP specification 1.0; Enhanced RTMP v2): handshake, chunk stream, messages, sessions, URLs.

pub mod aggregate;
pub mod chunk;
pub mod client;
pub mod connection;
pub mod handshake;
pub mod message;
pub mod metadata;
pub mod server;
pub mod skim;
pub mod url;
