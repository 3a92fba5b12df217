//! profile_tier_level (ITU-T H.265, 7.3.3), which both VPS and SPS hold.

use crate::kernel::bits::BitReader;
use crate::kernel::error::Result;

/// The general part: what a decoder must be able to do for the whole stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileTierLevel {
    /// general_profile_space, 0 to 3; 0 in this version of the specification.
    pub profile_space: u8,
    /// general_tier_flag: high tier.
    pub high_tier: bool,
    /// general_profile_idc.
    pub profile_idc: u8,
    /// general_profile_compatibility_flag 0, the highest bit, to 31.
    pub compatibility: u32,
    /// The 48 bits from general_progressive_source_flag on.
    pub constraints: u64,
    /// general_level_idc: thirty times the level.
    pub level_idc: u8,
}

impl ProfileTierLevel {
    /// Reads the general part, and passes over those of `max_sub_layers_minus1` sub-layers (0 to 6).
    pub(super) fn read(r: &mut BitReader<'_>, max_sub_layers_minus1: u32) -> Result<Self> {
        let profile_space = r.bits(2, "general_profile_space")? as u8;
        let high_tier = r.flag("general_tier_flag")?;
        let profile_idc = r.bits(5, "general_profile_idc")? as u8;
        let compatibility = r.bits(32, "general_profile_compatibility_flags")?;
        let high = r.bits(16, "general_constraint_flags")?;
        let low = r.bits(32, "general_constraint_flags")?;
        let general = ProfileTierLevel {
            profile_space,
            high_tier,
            profile_idc,
            compatibility,
            constraints: u64::from(high) << 32 | u64::from(low),
            level_idc: r.bits(8, "general_level_idc")? as u8,
        };
        if max_sub_layers_minus1 == 0 {
            return Ok(general);
        }
        // Two flags for each of eight sub-layers; those that are not there have reserved bits in their place.
        let present = r.bits(16, "sub_layer_profile_present_flags")?;
        for layer in 0..max_sub_layers_minus1.min(7) {
            let flags = present >> (14 - 2 * layer);
            if flags & 2 != 0 {
                r.skip(88, "sub_layer_profile")?;
            }
            if flags & 1 != 0 {
                r.skip(8, "sub_layer_level_idc")?;
            }
        }
        Ok(general)
    }
}
