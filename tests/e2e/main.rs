//! End to end: the real program on free ports of this machine, with real clients. Files are named by behaviour.
//!
//! `scripts/clients.sh` gets the clients; a test that misses one fails and says how to install it. One test alone:
//! `scripts/test.sh h264_and_aac`. A test that fails leaves its folder under `target/tmp` and prints the programs' output.
//! `SRS_E2E_SERVER=nginx-rtmp cargo nextest run --test e2e publish_play` runs scenarios against nginx-rtmp instead, to
//! tell a fault of a client or of the harness from one of the server (what nginx-rtmp cannot do fails there).

mod support;

mod access_refer;
mod access_token;
mod bandcheck;
mod browser_adaptive;
mod browser_console;
mod browser_dash;
mod browser_hls;
mod browser_mp4;
mod browser_mpegts;
mod browser_player;
mod casters;
mod children;
mod cluster;
mod cluster_documented;
mod cluster_network;
mod cluster_registry;
mod config_cli;
mod connect;
mod dash;
mod disk_faults;
mod dvr;
mod dvr_control;
mod edge;
mod edge_flv;
mod forward;
mod fuzz_corpus;
mod gop_cache;
mod grace;
mod gstreamer;
mod handover;
mod hds;
mod heartbeat;
mod hls;
mod hls_low_latency;
mod hls_rules;
mod hostile;
mod http_api;
mod http_api_fields;
mod http_hooks;
mod http_live;
mod http_mp4;
mod http_players;
mod http_static;
mod idle_publisher;
mod init_script;
mod inspection;
mod life_cycle;
mod limits;
mod load;
mod metrics;
mod nginx_peer;
mod operations;
mod overload;
mod packages;
mod process;
mod publish_play;
mod reload;
mod republish_busy;
mod router;
mod rtmpdump;
mod security;
mod self_watch;
mod srs_bench;
mod timestamps;
#[cfg(feature = "tls")]
mod tls;
mod user;
mod vhosts;
mod vlc;
mod wait_for_publisher;
mod workers;
mod workers_whole;
