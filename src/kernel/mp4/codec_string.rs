//! Names of codecs with profile and level, as playlists, manifests and `canPlayType` have them: RFC 6381, annex E of
//! ISO/IEC 14496-15, and the bindings of AV1 and VP9.

use crate::kernel::codec::aac::{AudioSpecificConfig, object_type};
use crate::kernel::codec::hevc::ProfileTierLevel;
use crate::kernel::codec::{av1, mp3, vp9};

/// Such as `avc1.64001f`: profile_idc, the constraint flags, level_idc.
pub fn avc(profile_idc: u8, compatibility: u8, level_idc: u8) -> String {
    format!("avc1.{profile_idc:02x}{compatibility:02x}{level_idc:02x}")
}

/// Such as `hvc1.1.6.L93.B0`: profile, compatibility flags from the last to the first, tier and level, constraint bytes
/// without the zeros behind.
pub fn hevc(general: &ProfileTierLevel) -> String {
    let space = match general.profile_space {
        1 => "A",
        2 => "B",
        3 => "C",
        _ => "",
    };
    let tier = if general.high_tier { 'H' } else { 'L' };
    let mut text = format!(
        "hvc1.{space}{}.{:X}.{tier}{}",
        general.profile_idc,
        general.compatibility.reverse_bits(),
        general.level_idc
    );
    let [_, _, constraints @ ..] = general.constraints.to_be_bytes();
    let told = constraints
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    for byte in constraints.iter().take(told) {
        text.push_str(&format!(".{byte:X}"));
    }
    text
}

/// Such as `av01.0.04M.08`: profile, level and tier, bits of a sample.
pub fn av1(config: &av1::DecoderConfig) -> String {
    let tier = if config.high_tier { 'H' } else { 'M' };
    let bits = match (config.samples.high_bit_depth, config.samples.twelve_bit) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    format!("av01.{}.{:02}{tier}.{bits:02}", config.profile, config.level)
}

/// Such as `vp09.00.31.08`: profile, ten times the level (1 if it is not told), bits of a sample.
pub fn vp9(config: &vp9::DecoderConfig) -> String {
    let level = if config.level == 0 { 10 } else { config.level };
    format!("vp09.{:02}.{level:02}.{:02}", config.profile, config.bit_depth)
}

/// Such as `mp4a.40.2`: the object type, that of the extension where SBR or PS is told.
pub fn aac(config: &AudioSpecificConfig) -> String {
    let told = match config.sbr_sample_rate {
        Some(_) if config.parametric_stereo => object_type::PS,
        Some(_) => object_type::SBR,
        None => config.object_type,
    };
    format!("mp4a.40.{told}")
}

/// `mp4a.6b` for MPEG-1, `mp4a.69` for the lower rates of MPEG-2 and 2.5.
pub fn mp3(version: mp3::Version) -> String {
    format!("mp4a.{:02x}", mp3_object_type(version))
}

/// objectTypeIndication of MPEG audio (ISO/IEC 14496-1, table 5).
pub fn mp3_object_type(version: mp3::Version) -> u8 {
    match version {
        mp3::Version::One => 0x6b,
        mp3::Version::Two | mp3::Version::TwoPointFive => 0x69,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_specifications() {
        assert_eq!(avc(0x64, 0, 0x1f), "avc1.64001f");
        assert_eq!(avc(0x42, 0xc0, 0x0a), "avc1.42c00a");
        let mut general = ProfileTierLevel {
            profile_space: 0,
            high_tier: false,
            profile_idc: 1,
            compatibility: 0x6000_0000,
            constraints: 0xb000_0000_0000,
            level_idc: 93,
        };
        assert_eq!(hevc(&general), "hvc1.1.6.L93.B0");
        general.constraints = 0;
        assert_eq!(hevc(&general), "hvc1.1.6.L93");
        (general.profile_space, general.high_tier, general.constraints) = (1, true, 0x9000_0023);
        assert_eq!(hevc(&general), "hvc1.A1.6.H93.0.0.90.0.0.23");
    }

    #[test]
    fn av1_and_vp9_tell_depth() {
        let config = av1::DecoderConfig::parse(&[0x81, 0x04, 0x0c, 0]).unwrap();
        assert_eq!(av1(&config), "av01.0.04M.08");
        let config = av1::DecoderConfig::parse(&[0x81, 0x2d, 0xcc, 0]).unwrap();
        assert_eq!(av1(&config), "av01.1.13H.10");
        let config = vp9::DecoderConfig::parse(&[0, 31, 0x82, 2, 2, 2, 0, 0]).unwrap();
        assert_eq!(vp9(&config), "vp09.00.31.08");
        let config = vp9::DecoderConfig::parse(&[2, 0, 0xa2, 2, 2, 2, 0, 0]).unwrap();
        assert_eq!(vp9(&config), "vp09.02.10.10");
    }

    #[test]
    fn sound_tells_its_object_type() {
        let lc = AudioSpecificConfig::parse(&[0x12, 0x10]).unwrap();
        assert_eq!(aac(&lc), "mp4a.40.2");
        let mut high = lc;
        high.sbr_sample_rate = Some(88_200);
        assert_eq!(aac(&high), "mp4a.40.5");
        high.parametric_stereo = true;
        assert_eq!(aac(&high), "mp4a.40.29");
        assert_eq!(
            (mp3(mp3::Version::One), mp3(mp3::Version::Two)),
            ("mp4a.6b".to_owned(), "mp4a.69".to_owned())
        );
    }
}
