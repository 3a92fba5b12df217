//! AAC: the AudioSpecificConfig, and ADTS frames.

pub mod adts;
mod config;

pub use config::AudioSpecificConfig;

/// The audioObjectType values that a server cares for (ISO/IEC 14496-3 table 1.17).
pub mod object_type {
    /// AAC Main.
    pub const MAIN: u8 = 1;
    /// AAC LC (low complexity).
    pub const LC: u8 = 2;
    /// AAC SSR (scalable sample rate).
    pub const SSR: u8 = 3;
    /// Spectral band replication, which makes HE-AAC.
    pub const SBR: u8 = 5;
    /// Error resilient BSAC, which alone has an extension with more fields.
    pub const ER_BSAC: u8 = 22;
    /// Parametric stereo, which makes HE-AAC version 2.
    pub const PS: u8 = 29;
}

/// Sample rates, Hz, by samplingFrequencyIndex (table 1.18); 13 and 14 are reserved, 15 is the escape.
pub const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/// Samples a channel in a frame of the usual length.
pub const FRAME_SAMPLES: u32 = 1024;
