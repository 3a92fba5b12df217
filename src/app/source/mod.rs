//! Sources and consumers: the path of a packet from the publisher to its players.
//!
//! A publisher appends to the source's [journal](journal); players are cursors into it. A message is encoded once for
//! each [view](rtmp_view) that somebody wants, whatever the number of players.

mod clock;
mod consumer;
mod cursor;
mod gop;
mod journal;
mod mix;
mod rtmp_view;
#[allow(clippy::module_inception)]
mod source;
mod table;
mod waiters;

pub use consumer::{Consumer, MergedWrite};
pub use source::{Publication, Source};
pub use table::SourceTable;

#[cfg(test)]
mod tests;
