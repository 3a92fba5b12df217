//! The harness: the server under test, sample media, real clients, and a raw RTMP client for what no real client does.

pub mod amf;
pub mod api;
pub mod bandcheck;
pub mod browser;
pub mod bystander;
pub mod callbacks;
#[cfg(feature = "tls")]
pub mod certificate;
pub mod clients;
pub mod endless;
pub mod flv;
pub mod hosts;
pub mod media;
pub mod nginx;
pub mod playlist;
pub mod port;
pub mod post;
pub mod program;
pub mod redis;
pub mod rtmp;
pub mod server;
pub mod wait;
pub mod web;
pub mod workdir;
