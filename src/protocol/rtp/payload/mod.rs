//! Access units out of the payloads of RTP packets: [`avc`] (RFC 6184), [`hevc`] (RFC 7798), [`aac`] (RFC 3640),
//! [`latm`] (RFC 6416).

pub mod aac;
pub mod avc;
pub mod hevc;
pub mod latm;
mod nals;

pub use aac::AacDepacketizer;
pub use avc::AvcDepacketizer;
pub use hevc::HevcDepacketizer;
pub use latm::LatmDepacketizer;

use bytes::Bytes;

/// The NAL units of one access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// The RTP timestamp: when it is shown, ticks of 90 kHz modulo 2^32.
    pub timestamp: u32,
    /// In the order of decoding.
    pub nals: Vec<Bytes>,
}
