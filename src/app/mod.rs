//! What the server does with it: config, listeners, sources and consumers, connections.

pub mod config;
pub mod source;
