//! FLV tags (Adobe FLV and F4V specification, annex E; Enhanced RTMP v2).

pub mod audio;
mod enhanced;
pub mod tag;
pub mod video;

pub use enhanced::Layout;
