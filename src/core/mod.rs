//! What the operating system gives: coroutines, clocks, sockets, timers, signals, processes, files off the thread, ids.
//!
//! This layer never logs; it returns `std::io::Error`, and `kernel` wraps it. It is the only layer with `unsafe`.

pub mod account;
pub mod authorities;
pub mod clock;
pub mod coroutine;
pub mod crash;
pub mod dns;
pub mod file;
pub mod folder;
pub mod id;
pub mod inheritance;
pub mod inotify;
pub mod limits;
pub mod log_file;
pub mod machine;
pub mod mini_http;
pub mod offload;
pub mod output;
pub mod process;
mod reactor;
pub mod resources;
pub mod runtime;
pub mod setup;
pub mod signal;
pub mod sync;
pub mod tcp;
pub mod udp;
pub mod unix;
