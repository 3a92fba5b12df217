//! What the server does with it: config, listeners, sources and consumers, connections.

pub mod access;
pub mod certificates;
pub mod cli;
pub mod clients;
pub mod config;
pub mod dash;
pub mod dvr;
pub mod exporter;
pub mod hds;
pub mod heartbeat;
pub mod hls;
pub mod hooks;
pub mod http;
pub mod identity;
pub mod listener;
pub mod monitor;
pub mod pithy;
pub mod recording;
pub mod rtmp;
pub mod server;
pub mod source;
pub mod stat;
pub mod stream;
