//! MP4 (ISO/IEC 14496-12 and -14, CMAF of ISO/IEC 23000-19): what HTTP-MP4, DASH, HLS with fMP4 and recorded files are
//! made of.
//!
//! [`mux::Muxer`] takes the messages of the live path and gives an initialisation segment and fragments. Below it:
//! [`video`] and [`audio`] turn sequence headers into track configurations and messages into samples, [`time`] gives them
//! times, [`sample_entry`] and [`movie`] write what a player must know first, [`fragment`] the samples. All of them write
//! through [`boxes`]; [`demux`] reads fragments back.
//! [`recording::Recording`] makes a whole file, with [`tables`] of its samples. [`codec_string`] names codecs for playlists, manifests and players.

pub mod audio;
pub mod boxes;
pub mod codec_string;
pub mod demux;
pub mod fragment;
pub mod movie;
pub mod mux;
pub mod recording;
pub mod sample_entry;
pub mod tables;
pub mod time;
pub mod video;

pub use mux::{Fragment, Muxer, MuxerOptions};
pub use sample_entry::{Shape, TrackConfig};
