//! HEVC, ITU-T H.265: NAL unit types, configuration records, video and sequence parameter sets.

mod config;
mod profile;
mod sps;
mod vps;

pub use config::{DecoderConfig, NalArray};
pub use profile::ProfileTierLevel;
pub use sps::Sps;
pub use vps::Vps;

/// The nal_unit_type values that a server cares for (ITU-T H.265 table 7-1).
pub mod nal_type {
    /// The first of the types that open decoding anywhere (IRAP): BLA, IDR, CRA.
    pub const IRAP_FIRST: u8 = 16;
    /// The last of the types that open decoding anywhere.
    pub const IRAP_LAST: u8 = 23;
    /// Video parameter set.
    pub const VPS: u8 = 32;
    /// Sequence parameter set.
    pub const SPS: u8 = 33;
    /// Picture parameter set.
    pub const PPS: u8 = 34;
    /// Access unit delimiter.
    pub const ACCESS_UNIT_DELIMITER: u8 = 35;
    /// Filler data.
    pub const FILLER: u8 = 38;
    /// Supplemental enhancement information before the picture.
    pub const PREFIX_SEI: u8 = 39;
    /// Supplemental enhancement information behind the picture.
    pub const SUFFIX_SEI: u8 = 40;
}

/// The nal_unit_type of a NAL unit; none if it has fewer bytes than its header, 2.
pub fn nal_type_of(nal: &[u8]) -> Option<u8> {
    match nal {
        [first, _, ..] => Some(first >> 1 & 0x3f),
        _ => None,
    }
}

/// Whether a decoder can start with an access unit that holds these NAL units.
pub fn is_keyframe<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> bool {
    nals.into_iter()
        .any(|nal| nal_type_of(nal).is_some_and(|kind| (nal_type::IRAP_FIRST..=nal_type::IRAP_LAST).contains(&kind)))
}

/// The profile's name in the HTTP API, from general_profile_idc.
pub fn profile_name(profile_idc: u8) -> &'static str {
    match profile_idc {
        1 => "Main",
        2 => "Main10",
        3 => "Main Still Picture",
        4 => "Rext",
        _ => "Other",
    }
}

/// The level in the HTTP API, from general_level_idc, which is thirty times the level.
pub fn level_name(level_idc: u8) -> &'static str {
    match level_idc {
        30 => "1",
        60 => "2",
        63 => "2.1",
        90 => "3",
        93 => "3.1",
        120 => "4",
        123 => "4.1",
        150 => "5",
        153 => "5.1",
        156 => "5.2",
        180 => "6",
        183 => "6.1",
        186 => "6.2",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idr_cra_and_bla_make_keyframes() {
        for kind in [16, 19, 20, 21] {
            assert!(is_keyframe([&[0x46, 1, 0x50][..], &[kind << 1, 1]]));
        }
        assert!(!is_keyframe([&[0x02, 1, 0xd0][..], &[0x26], &[]]));
        assert_eq!(nal_type_of(&[0x26]), None);
    }
}
