//! Typed snapshots, a file for each feature: read once when a configuration is loaded, immutable from then on.

pub mod dash;
pub mod dvr;
pub mod exporter;
pub mod hds;
pub mod heartbeat;
pub mod hls;
pub mod http_api;
pub mod http_hooks;
pub mod http_remux;
pub mod http_server;
pub mod http_static;
pub mod limits;
pub mod listen;
pub mod log;
pub mod play;
pub mod process;
pub mod publish;
pub mod refer;
pub mod rtmps;
pub mod security;
pub mod stats;
pub mod token;
pub mod vhost;
