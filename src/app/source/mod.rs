//! Sources and consumers: the path of a packet from the publisher to its players.
//!
//! A publisher appends to the source's [journal](journal); players are cursors into it. A message is encoded once for
//! each [view](rtmp_view) that somebody wants, whatever the number of players.

mod audio_consumer;
mod audio_view;
mod clock;
mod courier;
mod cursor;
mod delivery;
mod encoded;
mod flv_consumer;
mod flv_view;
mod follower;
mod gop;
mod journal;
mod mix;
mod place;
mod rtmp_consumer;
mod rtmp_view;
#[allow(clippy::module_inception)]
mod source;
mod table;
mod ts_consumer;
mod ts_view;
mod waiters;

pub use audio_consumer::AudioConsumer;
pub use clock::Clock;
pub use delivery::Delivery;
pub use flv_consumer::{FlvConsumer, Tracks};
pub use follower::{Follower, Stop};
pub use place::{MergedWrite, Place};
pub use source::{Publication, Source};
pub use table::SourceTable;
pub use ts_consumer::TsConsumer;

#[cfg(test)]
mod tests;
