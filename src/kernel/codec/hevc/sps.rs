//! HEVC sequence parameter sets (ITU-T H.265, 7.3.2.2 and E.2.1).

use super::{ProfileTierLevel, nal_type, nal_type_of};
use crate::core::limits::PICTURE_SIDE_PIXELS;
use crate::kernel::bits::{BitReader, remove_emulation_prevention};
use crate::kernel::codec::sps::{Cropping, CroppingFields, crop, skip_vui_head, ticks_a_second};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// What a sequence parameter set says about the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sps {
    /// sps_video_parameter_set_id, 0 to 15.
    pub vps_id: u8,
    /// sps_seq_parameter_set_id, 0 to 15.
    pub id: u8,
    /// How many temporal sub-layers there may be, 1 to 7.
    pub sub_layers: u8,
    /// sps_temporal_id_nesting_flag.
    pub temporal_id_nesting: bool,
    /// What a decoder must be able to do.
    pub general: ProfileTierLevel,
    /// chroma_format_idc: 0 is monochrome, 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample, 8 to 16.
    pub bit_depth_luma: u8,
    /// Bits of a chroma sample, 8 to 16.
    pub bit_depth_chroma: u8,
    /// Pixels, after the conformance window.
    pub width: u32,
    /// Pixels, after the conformance window.
    pub height: u32,
    /// Pictures a second; none if the set does not tell.
    pub frame_rate: Option<f64>,
}

impl Sps {
    /// Reads a whole NAL unit. Fails with [`ErrorCode::HevcDecode`] on another NAL unit, and with
    /// [`ErrorCode::HevcNaluUev`] on a field that is cut short or out of its range. A set that is cut short behind its
    /// bit depths only loses the frame rate.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        if nal_type_of(nal) != Some(nal_type::SPS) {
            return Err(Error::new(
                ErrorCode::HevcDecode,
                format!("NAL unit of {} bytes is no HEVC SPS", nal.len()),
            ));
        }
        let rbsp = remove_emulation_prevention(nal);
        let mut reader = BitReader::new(&rbsp, ErrorCode::HevcNaluUev);
        let r = &mut reader;
        r.skip(16, "nal_unit_header")?;
        let vps_id = r.bits(4, "sps_video_parameter_set_id")? as u8;
        let max_sub_layers_minus1 = r.bits(3, "sps_max_sub_layers_minus1")?;
        if max_sub_layers_minus1 > 6 {
            return Err(r.fault("sps_max_sub_layers_minus1 is 7".to_owned()));
        }
        let temporal_id_nesting = r.flag("sps_temporal_id_nesting_flag")?;
        let general = ProfileTierLevel::read(r, max_sub_layers_minus1)?;
        let id = r.ue_max(15, "sps_seq_parameter_set_id")? as u8;
        let chroma_format = r.ue_max(3, "chroma_format_idc")? as u8;
        if chroma_format == 3 {
            r.flag("separate_colour_plane_flag")?;
        }
        let (width, height) = size(r, chroma_format)?;
        Ok(Sps {
            vps_id,
            id,
            sub_layers: max_sub_layers_minus1 as u8 + 1,
            temporal_id_nesting,
            general,
            chroma_format,
            bit_depth_luma: 8 + r.ue_max(8, "bit_depth_luma_minus8")? as u8,
            bit_depth_chroma: 8 + r.ue_max(8, "bit_depth_chroma_minus8")? as u8,
            width,
            height,
            frame_rate: frame_rate(r, max_sub_layers_minus1).ok().flatten(),
        })
    }
}

const CROPPING: CroppingFields = CroppingFields {
    flag: "conformance_window_flag",
    offsets: [
        "conf_win_left_offset",
        "conf_win_right_offset",
        "conf_win_top_offset",
        "conf_win_bottom_offset",
    ],
};

fn size(r: &mut BitReader<'_>, chroma_format: u8) -> Result<(u32, u32)> {
    let width = r.ue_max(PICTURE_SIDE_PIXELS, "pic_width_in_luma_samples")?;
    let height = r.ue_max(PICTURE_SIDE_PIXELS, "pic_height_in_luma_samples")?;
    let cropping = Cropping::read(r, &CROPPING, chroma_format)?;
    Ok((
        crop(r, width, cropping.across, "width")?,
        crop(r, height, cropping.down, "height")?,
    ))
}

/// Reads from log2_max_pic_order_cnt_lsb_minus4 on to the timing in the VUI.
fn frame_rate(r: &mut BitReader<'_>, max_sub_layers_minus1: u32) -> Result<Option<f64>> {
    let order_bits = 4 + r.ue_max(12, "log2_max_pic_order_cnt_lsb_minus4")?;
    let all = r.flag("sps_sub_layer_ordering_info_present_flag")?;
    for _ in if all { 0 } else { max_sub_layers_minus1 }..=max_sub_layers_minus1 {
        r.ue("sps_max_dec_pic_buffering_minus1")?;
        r.ue("sps_max_num_reorder_pics")?;
        r.ue("sps_max_latency_increase_plus1")?;
    }
    for field in [
        "log2_min_luma_coding_block_size_minus3",
        "log2_diff_max_min_luma_coding_block_size",
        "log2_min_luma_transform_block_size_minus2",
        "log2_diff_max_min_luma_transform_block_size",
        "max_transform_hierarchy_depth_inter",
        "max_transform_hierarchy_depth_intra",
    ] {
        r.ue(field)?;
    }
    if r.flag("scaling_list_enabled_flag")? && r.flag("sps_scaling_list_data_present_flag")? {
        skip_scaling_lists(r)?;
    }
    r.skip(2, "amp_enabled_flag, sample_adaptive_offset_enabled_flag")?;
    if r.flag("pcm_enabled_flag")? {
        r.skip(8, "pcm_sample_bit_depths")?;
        r.ue("log2_min_pcm_luma_coding_block_size_minus3")?;
        r.ue("log2_diff_max_min_pcm_luma_coding_block_size")?;
        r.flag("pcm_loop_filter_disabled_flag")?;
    }
    skip_reference_sets(r)?;
    if r.flag("long_term_ref_pics_present_flag")? {
        let count = r.ue_max(32, "num_long_term_ref_pics_sps")?;
        r.skip(count * (order_bits + 1), "lt_ref_pic_poc_lsb_sps")?;
    }
    r.skip(2, "sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag")?;
    if !r.flag("vui_parameters_present_flag")? {
        return Ok(None);
    }
    vui_frame_rate(r)
}

/// 7.3.4.
fn skip_scaling_lists(r: &mut BitReader<'_>) -> Result<()> {
    for size_id in 0..4 {
        // The largest size has two matrices, the others have six.
        for _ in 0..if size_id == 3 { 2 } else { 6 } {
            if !r.flag("scaling_list_pred_mode_flag")? {
                r.ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if size_id > 1 {
                r.se("scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..if size_id == 0 { 16 } else { 64 } {
                r.se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// All st_ref_pic_set of the SPS (7.3.7). One may be told as a difference to the one before, so counts are kept.
fn skip_reference_sets(r: &mut BitReader<'_>) -> Result<()> {
    let sets = r.ue_max(64, "num_short_term_ref_pic_sets")?;
    let mut pictures = 0u32;
    for set in 0..sets {
        if set > 0 && r.flag("inter_ref_pic_set_prediction_flag")? {
            r.flag("delta_rps_sign")?;
            r.ue_max(0x7fff, "abs_delta_rps_minus1")?;
            let mut kept = 0;
            for _ in 0..=pictures {
                if r.flag("used_by_curr_pic_flag")? || r.flag("use_delta_flag")? {
                    kept += 1;
                }
            }
            pictures = kept;
        } else {
            let negative = r.ue_max(16, "num_negative_pics")?;
            let positive = r.ue_max(16, "num_positive_pics")?;
            pictures = negative + positive;
            for _ in 0..pictures {
                r.ue("delta_poc_minus1")?;
                r.flag("used_by_curr_pic_flag")?;
            }
        }
        if pictures > 32 {
            return Err(r.fault(format!("reference picture set {set} has {pictures} pictures")));
        }
    }
    Ok(())
}

/// Reads the VUI as far as its timing (E.2.1).
fn vui_frame_rate(r: &mut BitReader<'_>) -> Result<Option<f64>> {
    skip_vui_head(r)?;
    r.skip(
        3,
        "neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag",
    )?;
    if r.flag("default_display_window_flag")? {
        for _ in 0..4 {
            r.ue("def_disp_win_offset")?;
        }
    }
    ticks_a_second(r)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 322x182 with 10 bits at 25 pictures a second, Main 10, level 2, by libx265.
    const TEN_BITS: &[u8] = &[
        0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3c,
        0xa0, 0x0a, 0x48, 0x0b, 0x9c, 0x94, 0xd9, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0x00, 0x00, 0x03,
        0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x40,
    ];
    /// 640x360, two temporal sub-layers, by libx265.
    const TWO_LAYERS: &[u8] = &[
        0x42, 0x01, 0x02, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3f,
        0x00, 0x00, 0xa0, 0x05, 0x02, 0x01, 0x69, 0x65, 0x95, 0x98, 0xac, 0xd2, 0x49, 0x95, 0xe0, 0x2d, 0x01, 0x00,
        0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x19, 0x08,
    ];

    #[test]
    fn the_conformance_window_crops() {
        let sps = Sps::parse(TEN_BITS).unwrap();
        assert_eq!((sps.width, sps.height), (322, 182));
        assert_eq!(
            (sps.bit_depth_luma, sps.bit_depth_chroma, sps.chroma_format),
            (10, 10, 1)
        );
        assert_eq!((sps.general.profile_idc, sps.general.level_idc), (2, 60));
        assert_eq!(sps.frame_rate, Some(25.0));
    }

    #[test]
    fn sub_layers_are_passed_over() {
        let sps = Sps::parse(TWO_LAYERS).unwrap();
        assert_eq!((sps.width, sps.height, sps.sub_layers), (640, 360, 2));
        assert!(!sps.temporal_id_nesting);
        assert_eq!(sps.frame_rate, Some(25.0));
    }

    #[test]
    fn faults_are_named() {
        let mut seven = TEN_BITS.to_vec();
        seven[2] = 0x0f;
        assert!(
            Sps::parse(&seven)
                .unwrap_err()
                .message()
                .contains("sub_layers_minus1 is 7")
        );
        // Behind the level, where the id stands: 33 zeros and more.
        let zeros = [&TEN_BITS[..18], &[0, 0, 3, 0, 0, 3, 0, 0x40, 0xff]].concat();
        let error = Sps::parse(&zeros).unwrap_err();
        assert_eq!(error.code(), ErrorCode::HevcNaluUev);
        assert_eq!(
            error.message(),
            "sps_seq_parameter_set_id has more than 32 leading zeros"
        );
        assert_eq!(Sps::parse(&[0x42]).unwrap_err().code(), ErrorCode::HevcDecode);
        assert_eq!(Sps::parse(&[0x40, 1]).unwrap_err().code(), ErrorCode::HevcDecode);
    }

    #[test]
    fn cut_and_changed_sets_never_panic() {
        for set in [TEN_BITS, TWO_LAYERS] {
            let whole = Sps::parse(set).unwrap();
            for cut in 0..set.len() {
                if let Ok(sps) = Sps::parse(&set[..cut]) {
                    assert_eq!((sps.width, sps.height), (whole.width, whole.height));
                    assert!(cut > 24);
                }
            }
        }
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..5000 {
            let mut set = TWO_LAYERS.to_vec();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(2..set.len());
                set[at] = random.u8(..);
            }
            if let Ok(sps) = Sps::parse(&set) {
                assert!((1..=PICTURE_SIDE_PIXELS).contains(&sps.height));
            }
        }
    }
}
