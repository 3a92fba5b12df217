//! End to end: the real program on free ports of this machine, with real clients. Files are named by behaviour.

mod support;

mod config_cli;
mod connect;
mod gop_cache;
mod gstreamer;
mod hostile;
mod init_script;
mod nginx_peer;
mod process;
mod publish_play;
mod republish_busy;
mod rtmpdump;
mod timestamps;
mod vhosts;
mod wait_for_publisher;
