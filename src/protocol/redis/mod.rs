//! The client's side of the Redis protocol, version 2 (RESP2), as code over bytes: commands are written, replies are read
//! as they arrive. Which commands, and the socket, are `app`'s.

pub mod command;
pub mod reply;
