//! Sources and consumers: the path of a packet from the publisher to its players.
//!
//! A publisher appends to the source's [journal](journal); players are cursors into it. A message is encoded once for
//! each [view] that somebody wants, whatever the number of players.

mod audio_view;
mod clock;
mod consumer;
mod courier;
mod delivery;
mod encoded;
mod flv_view;
mod follower;
mod gop;
mod journal;
mod mix;
mod mp4_view;
mod parcel;
mod place;
mod positions;
mod recipient;
mod rtmp_consumer;
mod rtmp_view;
#[allow(clippy::module_inception)]
mod source;
mod table;
mod tracks;
mod ts_view;
mod view;
mod waiters;

pub use audio_view::AudioConsumer;
pub use clock::Clock;
pub use consumer::Way;
pub use delivery::Delivery;
pub use flv_view::FlvConsumer;
pub use follower::{Follower, Stop};
pub use mp4_view::Mp4Consumer;
pub use parcel::Envelope;
pub use place::{MergedWrite, Place};
pub use positions::Parked;
pub use recipient::Recipient;
pub use source::{Publication, Source};
pub use table::SourceTable;
pub use tracks::Tracks;
pub use ts_view::TsConsumer;

#[cfg(test)]
mod tests;
