//! MPEG transport streams (ISO/IEC 13818-1): what HTTP-TS players, HLS segments and SRT callers read, and
//! what encoders send.
//!
//! [`demux::Demuxer`] takes packets and gives access units, of which
//! [`remux::Remuxer`] makes messages. [`mux::Muxer`] takes the messages of the live path and gives packets. Below it: [`packet`] cuts units into packets,
//! [`psi`] writes the tables, [`pes`] the headers of access units, [`clock`] keeps time, [`video`] and [`audio`] turn the
//! payloads of FLV messages into elementary streams.

pub mod audio;
pub mod clock;
pub mod demux;
pub mod mux;
pub mod packet;
pub mod pes;
pub mod psi;
pub mod remux;
pub mod video;

pub use demux::Demuxer;
pub use mux::{Muxer, MuxerOptions, Written};
pub use remux::Remuxer;
