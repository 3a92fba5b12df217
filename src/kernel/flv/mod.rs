//! FLV tags (Adobe FLV and F4V specification, annex E; Enhanced RTMP v2).

pub mod audio;
pub mod body;
pub mod demux;
mod enhanced;
pub mod mux;
pub mod remux;
pub mod tag;
pub mod tail;
mod tracks;
pub mod video;

pub use enhanced::Layout;
pub use tracks::{Opened, TrackTag, Tracks};
