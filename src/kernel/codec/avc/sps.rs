//! AVC sequence parameter sets (ITU-T H.264, 7.3.2.1.1 and E.1.1).

use super::{nal_type, nal_type_of};
use crate::core::limits::PICTURE_SIDE_PIXELS;
use crate::kernel::bits::{BitReader, remove_emulation_prevention};
use crate::kernel::codec::sps::{Cropping, CroppingFields, crop, skip_vui_head, ticks_a_second};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// What a sequence parameter set says about the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sps {
    /// profile_idc.
    pub profile_idc: u8,
    /// constraint_set0_flag, the highest bit, to constraint_set5_flag, and two bits zero.
    pub constraint_flags: u8,
    /// level_idc: ten times the level.
    pub level_idc: u8,
    /// seq_parameter_set_id, 0 to 31.
    pub id: u8,
    /// chroma_format_idc: 0 is monochrome, 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample, 8 to 14.
    pub bit_depth_luma: u8,
    /// Bits of a chroma sample, 8 to 14.
    pub bit_depth_chroma: u8,
    /// Pixels, after cropping.
    pub width: u32,
    /// Pixels, after cropping.
    pub height: u32,
    /// Whether pictures may be fields.
    pub interlaced: bool,
    /// Pictures a second; none if the set does not tell.
    pub frame_rate: Option<f64>,
}

impl Sps {
    /// Reads a whole NAL unit. Fails with [`ErrorCode::HlsDecode`] on another NAL unit, and with
    /// [`ErrorCode::AvcNaluUev`] on a field that is cut short or out of its range. A VUI that is cut short, as some
    /// cameras send it, only loses the frame rate.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        if nal_type_of(nal) != Some(nal_type::SPS) {
            return Err(Error::new(
                ErrorCode::HlsDecode,
                format!("NAL unit of {} bytes is no AVC SPS", nal.len()),
            ));
        }
        let rbsp = remove_emulation_prevention(nal);
        let mut reader = BitReader::new(&rbsp, ErrorCode::AvcNaluUev);
        let r = &mut reader;
        r.skip(8, "nal_unit_header")?;
        let profile_idc = r.bits(8, "profile_idc")? as u8;
        let constraint_flags = r.bits(8, "constraint_set_flags")? as u8;
        let level_idc = r.bits(8, "level_idc")? as u8;
        let id = r.ue_max(31, "seq_parameter_set_id")? as u8;
        let samples = Samples::read(r, profile_idc)?;
        r.ue_max(12, "log2_max_frame_num_minus4")?;
        skip_picture_order(r)?;
        r.ue("max_num_ref_frames")?;
        r.flag("gaps_in_frame_num_value_allowed_flag")?;
        let size = Size::read(r, &samples)?;
        let has_vui = r.flag("vui_parameters_present_flag")?;
        Ok(Sps {
            profile_idc,
            constraint_flags,
            level_idc,
            id,
            chroma_format: samples.chroma_format,
            bit_depth_luma: samples.bit_depth_luma,
            bit_depth_chroma: samples.bit_depth_chroma,
            width: size.width,
            height: size.height,
            interlaced: size.interlaced,
            frame_rate: if has_vui { frame_rate(r).ok().flatten() } else { None },
        })
    }
}

/// How samples are kept; only the High profiles write it.
struct Samples {
    chroma_format: u8,
    bit_depth_luma: u8,
    bit_depth_chroma: u8,
}

impl Samples {
    fn read(r: &mut BitReader<'_>, profile_idc: u8) -> Result<Self> {
        let mut samples = Samples {
            chroma_format: 1,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
        };
        if !matches!(
            profile_idc,
            100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
        ) {
            return Ok(samples);
        }
        samples.chroma_format = r.ue_max(3, "chroma_format_idc")? as u8;
        if samples.chroma_format == 3 {
            r.flag("separate_colour_plane_flag")?;
        }
        samples.bit_depth_luma = 8 + r.ue_max(6, "bit_depth_luma_minus8")? as u8;
        samples.bit_depth_chroma = 8 + r.ue_max(6, "bit_depth_chroma_minus8")? as u8;
        r.flag("qpprime_y_zero_transform_bypass_flag")?;
        if r.flag("seq_scaling_matrix_present_flag")? {
            let lists = if samples.chroma_format == 3 { 12 } else { 8 };
            for list in 0..lists {
                if r.flag("seq_scaling_list_present_flag")? {
                    skip_scaling_list(r, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(samples)
    }
}

/// 7.3.2.1.1.1.
fn skip_scaling_list(r: &mut BitReader<'_>, size: u32) -> Result<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            let delta = r.se("delta_scale")?;
            if !(-128..=127).contains(&delta) {
                return Err(r.fault(format!("delta_scale {delta} is outside -128 to 127")));
            }
            next = (last + delta + 256) % 256;
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

fn skip_picture_order(r: &mut BitReader<'_>) -> Result<()> {
    match r.ue_max(2, "pic_order_cnt_type")? {
        0 => {
            r.ue_max(12, "log2_max_pic_order_cnt_lsb_minus4")?;
        }
        1 => {
            r.flag("delta_pic_order_always_zero_flag")?;
            r.se("offset_for_non_ref_pic")?;
            r.se("offset_for_top_to_bottom_field")?;
            for _ in 0..r.ue_max(255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                r.se("offset_for_ref_frame")?;
            }
        }
        _ => {}
    }
    Ok(())
}

const CROPPING: CroppingFields = CroppingFields {
    flag: "frame_cropping_flag",
    offsets: [
        "frame_crop_left_offset",
        "frame_crop_right_offset",
        "frame_crop_top_offset",
        "frame_crop_bottom_offset",
    ],
};

struct Size {
    width: u32,
    height: u32,
    interlaced: bool,
}

impl Size {
    fn read(r: &mut BitReader<'_>, samples: &Samples) -> Result<Self> {
        let most = PICTURE_SIDE_PIXELS / 16;
        let width = 16 * (r.ue_max(most, "pic_width_in_mbs_minus1")? + 1);
        let units = r.ue_max(most, "pic_height_in_map_units_minus1")? + 1;
        let interlaced = !r.flag("frame_mbs_only_flag")?;
        let height = 16 * units * if interlaced { 2 } else { 1 };
        if interlaced {
            r.flag("mb_adaptive_frame_field_flag")?;
        }
        r.flag("direct_8x8_inference_flag")?;
        let mut cropping = Cropping::read(r, &CROPPING, samples.chroma_format)?;
        if interlaced {
            cropping.down *= 2;
        }
        Ok(Size {
            width: crop(r, width, cropping.across, "width")?,
            height: crop(r, height, cropping.down, "height")?,
            interlaced,
        })
    }
}

/// Reads the VUI as far as its timing (E.1.1). A picture has two ticks, even if it is no pair of fields (D.2.3).
fn frame_rate(r: &mut BitReader<'_>) -> Result<Option<f64>> {
    skip_vui_head(r)?;
    Ok(ticks_a_second(r)?.map(|ticks| ticks / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 320x228 in fields at 30 pictures a second, High 2.1, by libx264.
    const INTERLACED: &[u8] = &[
        0x67, 0x64, 0x00, 0x15, 0xac, 0xd9, 0x41, 0x41, 0x0f, 0xc4, 0x60, 0x22, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00,
        0x00, 0x03, 0x00, 0x78, 0x3e, 0x28, 0x53, 0x2c,
    ];
    /// 320x240 4:4:4, High 4:4:4 Predictive 1.3, by libx264.
    const FULL_CHROMA: &[u8] = &[
        0x67, 0xf4, 0x00, 0x0d, 0x91, 0x9b, 0x28, 0x28, 0x3f, 0x60, 0x22, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00,
        0x03, 0x00, 0x78, 0x1e, 0x28, 0x53, 0x2c,
    ];
    /// 320x240 4:2:2 with 10 bits, High 4:2:2 1.3, by libx264.
    const TEN_BITS: &[u8] = &[
        0x67, 0x7a, 0x00, 0x0d, 0xb6, 0xcd, 0x94, 0x14, 0x1f, 0xb0, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00,
        0x03, 0x00, 0x3c, 0x8f, 0x14, 0x29, 0x96,
    ];
    /// 64x48 at 10 pictures a second, Main 1, by libx264.
    const SMALL: &[u8] = &[
        0x67, 0x4d, 0x40, 0x0a, 0xf2, 0x08, 0xf6, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x20, 0x00, 0x00, 0x03, 0x02,
        0x81, 0xe2, 0x44, 0xa2, 0x40,
    ];

    /// Writes fields bit by bit, for sets that no encoder at hand makes.
    #[derive(Default)]
    struct Bits(Vec<bool>);

    impl Bits {
        fn u(&mut self, count: u32, value: u32) -> &mut Self {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn ue(&mut self, value: u32) -> &mut Self {
            let code = u64::from(value) + 1;
            let length = 64 - code.leading_zeros();
            self.0.extend((1..length).map(|_| false));
            self.0.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
            self
        }

        fn bytes(&self) -> Vec<u8> {
            let byte = |bits: &[bool]| {
                bits.iter()
                    .enumerate()
                    .fold(0, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at))
            };
            self.0.chunks(8).map(byte).collect()
        }
    }

    /// A Baseline set up to pic_order_cnt_type.
    fn baseline() -> Bits {
        let mut bits = Bits::default();
        bits.u(8, 0x67).u(8, 66).u(8, 0).u(8, 30).ue(0).ue(0);
        bits
    }

    /// The rest of a set of 640x480 behind the picture order.
    fn finish(bits: &mut Bits) -> Vec<u8> {
        bits.ue(1)
            .u(1, 0)
            .ue(39)
            .ue(29)
            .u(1, 1)
            .u(1, 1)
            .u(1, 0)
            .u(1, 0)
            .u(1, 1)
            .bytes()
    }

    #[test]
    fn fields_double_the_height_and_its_cropping() {
        let sps = Sps::parse(INTERLACED).unwrap();
        assert_eq!((sps.width, sps.height, sps.interlaced), (320, 228, true));
        assert_eq!(sps.frame_rate, Some(30.0));
    }

    #[test]
    fn sample_formats_are_told() {
        let sps = Sps::parse(FULL_CHROMA).unwrap();
        assert_eq!((sps.chroma_format, sps.bit_depth_luma), (3, 8));
        assert_eq!((sps.width, sps.height, sps.frame_rate), (320, 240, Some(30.0)));
        let sps = Sps::parse(TEN_BITS).unwrap();
        assert_eq!(
            (sps.chroma_format, sps.bit_depth_luma, sps.bit_depth_chroma),
            (2, 10, 10)
        );
        assert_eq!((sps.width, sps.height), (320, 240));
        let sps = Sps::parse(SMALL).unwrap();
        assert_eq!((sps.profile_idc, sps.level_idc, sps.chroma_format), (77, 10, 1));
        assert_eq!((sps.width, sps.height, sps.frame_rate), (64, 48, Some(10.0)));
    }

    #[test]
    fn scaling_lists_are_passed_over() {
        let mut bits = Bits::default();
        bits.u(8, 0x67)
            .u(8, 100)
            .u(8, 0)
            .u(8, 30)
            .ue(0)
            .ue(1)
            .ue(0)
            .ue(0)
            .u(1, 0)
            .u(1, 1);
        // A list of 16 equal steps, one that ends after its first step (delta_scale -8), six that are not there.
        bits.u(1, 1);
        (0..16).for_each(|_| {
            bits.ue(1);
        });
        bits.u(1, 1).ue(16).u(6, 0);
        let nal = finish(bits.ue(0).ue(2));
        let sps = Sps::parse(&nal).unwrap();
        assert_eq!((sps.width, sps.height), (640, 480));
    }

    #[test]
    fn picture_order_cycles_are_bounded() {
        let nal = finish(baseline().ue(1).u(1, 0).ue(0).ue(0).ue(2).ue(5).ue(6));
        assert_eq!(Sps::parse(&nal).unwrap().width, 640);
        let nal = finish(baseline().ue(1).u(1, 0).ue(0).ue(0).ue(256));
        assert_eq!(Sps::parse(&nal).unwrap_err().code(), ErrorCode::AvcNaluUev);
        let nal = finish(baseline().ue(3));
        assert!(Sps::parse(&nal).unwrap_err().message().contains("pic_order_cnt_type 3"));
    }

    #[test]
    fn sizes_and_croppings_out_of_range_are_refused() {
        let size = |width: u32, height: u32, crop: [u32; 4]| {
            let mut bits = baseline();
            bits.ue(2).ue(1).u(1, 0).ue(width).ue(height).u(1, 1).u(1, 1).u(1, 1);
            for side in crop {
                bits.ue(side);
            }
            Sps::parse(&bits.u(1, 0).u(1, 1).bytes()).map(|sps| (sps.width, sps.height))
        };
        assert_eq!(size(39, 29, [0, 1, 2, 3]).unwrap(), (638, 470));
        assert_eq!(size(0, 0, [0, 7, 7, 0]).unwrap(), (2, 2));
        assert!(size(0, 0, [0, 8, 0, 0]).is_err());
        assert!(size(39, 29, [u32::MAX, u32::MAX, 0, 0]).is_err());
        assert!(size(u32::MAX, 29, [0; 4]).is_err());
        assert!(size(39, 4095, [0; 4]).is_err());
    }

    #[test]
    fn long_exp_golomb_codes_are_refused() {
        let nal = [0x67, 66, 0, 30, 0, 0, 4, 0, 0, 0x20, 0, 0, 0];
        let error = Sps::parse(&nal).unwrap_err();
        assert_eq!(error.code(), ErrorCode::AvcNaluUev);
        let zeros = [&[0x67, 66, 0, 30][..], &[0; 4], &[0x40; 12]].concat();
        let error = Sps::parse(&zeros).unwrap_err();
        assert_eq!(error.message(), "seq_parameter_set_id has more than 32 leading zeros");
        assert!(Sps::parse(&[]).is_err());
        assert!(Sps::parse(&[0x68, 0xeb]).is_err());
    }

    #[test]
    fn cut_and_changed_sets_never_panic() {
        for set in [INTERLACED, FULL_CHROMA, TEN_BITS, SMALL] {
            let whole = Sps::parse(set).unwrap();
            for cut in 0..set.len() {
                if let Ok(sps) = Sps::parse(&set[..cut]) {
                    assert_eq!((sps.width, sps.height), (whole.width, whole.height));
                }
            }
            assert!(Sps::parse(&set[..6]).is_err());
        }
        let mut random = fastrand::Rng::with_seed(6);
        for _ in 0..4000 {
            let mut set = FULL_CHROMA.to_vec();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(1..set.len());
                set[at] = random.u8(..);
            }
            if let Ok(sps) = Sps::parse(&set) {
                assert!((1..=PICTURE_SIDE_PIXELS).contains(&sps.width));
            }
        }
    }
}
