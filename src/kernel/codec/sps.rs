//! What the sequence parameter sets of AVC (ITU-T H.264) and HEVC (ITU-T H.265) have in common.

use crate::core::limits::PICTURE_SIDE_PIXELS;
use crate::kernel::bits::BitReader;
use crate::kernel::error::Result;

/// What is cut off a picture: frame cropping of AVC (7.4.2.1.1), the conformance window of HEVC (7.4.3.2.1). Luma samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cropping {
    pub(super) across: u64,
    pub(super) down: u64,
}

impl Cropping {
    /// Reads a flag and, where it is set, four offsets; errors name them so.
    ///
    /// # Errors
    /// The reader's.
    pub(super) fn read(r: &mut BitReader<'_>, fields: &CroppingFields, chroma_format: u8) -> Result<Self> {
        if !r.flag(fields.flag)? {
            return Ok(Cropping::default());
        }
        // Table 6-1: how many luma samples a unit has.
        let (unit_x, unit_y) = match chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let mut offset = |index: usize| r.ue(fields.offsets[index]).map(u64::from);
        Ok(Cropping {
            across: (offset(0)? + offset(1)?) * unit_x,
            down: (offset(2)? + offset(3)?) * unit_y,
        })
    }
}

/// The names of what [`Cropping::read`] reads.
pub(super) struct CroppingFields {
    /// Whether there is any.
    pub(super) flag: &'static str,
    /// Left, right, top, bottom.
    pub(super) offsets: [&'static str; 4],
}

/// What cropping leaves of a side: at least one pixel, and at most what the limits allow.
///
/// # Errors
/// The reader's fault, which names the side.
pub(super) fn crop(r: &BitReader<'_>, side: u32, cropped: u64, field: &str) -> Result<u32> {
    match u64::from(side).checked_sub(cropped) {
        Some(left) if left > 0 && left <= u64::from(PICTURE_SIDE_PIXELS) => Ok(left as u32),
        _ => Err(r.fault(format!("{field} {side} is cropped by {cropped}"))),
    }
}

/// Reads what both kinds of video usability information begin with (H.264 E.1.1, H.265 E.2.1).
///
/// # Errors
/// The reader's, when the set ends.
pub(super) fn skip_vui_head(r: &mut BitReader<'_>) -> Result<()> {
    const EXTENDED_SAR: u32 = 255;
    if r.flag("aspect_ratio_info_present_flag")? && r.bits(8, "aspect_ratio_idc")? == EXTENDED_SAR {
        r.skip(32, "sar_width, sar_height")?;
    }
    if r.flag("overscan_info_present_flag")? {
        r.flag("overscan_appropriate_flag")?;
    }
    if r.flag("video_signal_type_present_flag")? {
        r.skip(4, "video_format, video_full_range_flag")?;
        if r.flag("colour_description_present_flag")? {
            r.skip(24, "colour_primaries, transfer_characteristics, matrix_coefficients")?;
        }
    }
    if r.flag("chroma_loc_info_present_flag")? {
        r.ue("chroma_sample_loc_type_top_field")?;
        r.ue("chroma_sample_loc_type_bottom_field")?;
    }
    Ok(())
}

/// Reads the timing: how many ticks a second has, if the set tells.
///
/// # Errors
/// The reader's, when the set ends.
pub(super) fn ticks_a_second(r: &mut BitReader<'_>) -> Result<Option<f64>> {
    if !r.flag("timing_info_present_flag")? {
        return Ok(None);
    }
    let units = r.bits(32, "num_units_in_tick")?;
    let scale = r.bits(32, "time_scale")?;
    Ok((units > 0 && scale > 0).then(|| f64::from(scale) / f64::from(units)))
}
