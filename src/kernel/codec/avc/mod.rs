//! AVC, ITU-T H.264: NAL unit types, configuration records, sequence parameter sets.

mod config;
mod sps;

pub use config::DecoderConfig;
pub use sps::Sps;

/// The nal_unit_type values that a server cares for (ITU-T H.264 table 7-1).
pub mod nal_type {
    /// Coded slice of a picture that is no IDR picture.
    pub const SLICE: u8 = 1;
    /// Coded slice of an IDR picture.
    pub const IDR: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Access unit delimiter.
    pub const ACCESS_UNIT_DELIMITER: u8 = 9;
    /// Filler data.
    pub const FILLER: u8 = 12;
    /// Sequence parameter set extension.
    pub const SPS_EXTENSION: u8 = 13;
}

/// The nal_unit_type of a NAL unit; none if it has 0 bytes.
pub fn nal_type_of(nal: &[u8]) -> Option<u8> {
    nal.first().map(|header| header & 0x1f)
}

/// Whether a decoder can start with an access unit that holds these NAL units.
pub fn is_keyframe<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> bool {
    nals.into_iter().any(|nal| nal_type_of(nal) == Some(nal_type::IDR))
}

/// Whether an SEI NAL unit has a recovery point (D.1.8): decoding may start at its picture, though it is no IDR picture.
/// Broadcasters and open GOPs have no others.
pub fn is_recovery_point(nal: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    let [header, messages @ ..] = nal else {
        return false;
    };
    if header & 0x1f != nal_type::SEI {
        return false;
    }
    let mut rest = messages;
    // The last byte ends the NAL unit.
    while rest.len() > 2 {
        let (Some(kind), Some(size)) = (sei_number(&mut rest), sei_number(&mut rest)) else {
            return false;
        };
        if kind == RECOVERY_POINT {
            return true;
        }
        rest = rest.get(size..).unwrap_or_default();
    }
    false
}

/// A number of an SEI message: bytes of 255, and one below that (7.3.2.3.1).
fn sei_number(rest: &mut &[u8]) -> Option<usize> {
    let full = rest.iter().take_while(|byte| **byte == 0xff).count();
    let last = *rest.get(full)?;
    *rest = &rest[full + 1..];
    Some(full * 255 + usize::from(last))
}

/// The profile's name in the HTTP API. As in SRS it comes from profile_idc alone, so that the constrained and the
/// intra profiles show as those that they are part of.
pub fn profile_name(profile_idc: u8) -> &'static str {
    match profile_idc {
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High(10)",
        122 => "High(422)",
        144 => "High(444)",
        244 => "High(444+Predictive)",
        _ => "Other",
    }
}

/// The level in the HTTP API; the list is that of SRS, which has no name for 4.2, 5.2 and those above.
pub fn level_name(level_idc: u8) -> &'static str {
    match level_idc {
        10 => "1",
        11 => "1.1",
        12 => "1.2",
        13 => "1.3",
        20 => "2",
        21 => "2.1",
        22 => "2.2",
        30 => "3",
        31 => "3.1",
        32 => "3.2",
        40 => "4",
        41 => "4.1",
        50 => "5",
        51 => "5.1",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idr_slice_makes_a_keyframe() {
        assert!(is_keyframe([&[0x09, 0xf0][..], &[0x67], &[0x65, 0x88]]));
        assert!(!is_keyframe([&[0x41, 0x9a][..], &[]]));
        assert_eq!(nal_type_of(&[]), None);
    }

    #[test]
    fn a_recovery_point_is_found_among_other_messages() {
        assert!(is_recovery_point(&[6, 6, 1, 0xc4, 0x80]));
        assert!(is_recovery_point(&[6, 5, 2, 1, 2, 6, 1, 0xc4, 0x80]));
        let long = [&[6, 5, 0xff, 1][..], &[9; 256], &[6, 1, 0xc4, 0x80]].concat();
        assert!(is_recovery_point(&long));
        for nal in [
            &[][..],
            &[6],
            &[0x65, 6, 1, 0xc4],
            &[6, 5, 9, 6, 1, 0xc4, 0x80],
            &[6, 0xff, 0xff, 0xff],
        ] {
            assert!(!is_recovery_point(nal), "{nal:?}");
        }
    }

    #[test]
    fn names_are_those_of_the_api() {
        assert_eq!((profile_name(77), level_name(30)), ("Main", "3"));
        assert_eq!((profile_name(244), level_name(31)), ("High(444+Predictive)", "3.1"));
        assert_eq!((profile_name(1), level_name(42)), ("Other", "Other"));
    }
}
