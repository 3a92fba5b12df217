//! HEVC video parameter sets (ITU-T H.265, 7.3.2.1).

use super::{ProfileTierLevel, nal_type, nal_type_of};
use crate::kernel::bits::{BitReader, remove_emulation_prevention};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// What a video parameter set says about the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vps {
    /// vps_video_parameter_set_id, 0 to 15.
    pub id: u8,
    /// How many temporal sub-layers there may be, 1 to 7.
    pub sub_layers: u8,
    /// vps_temporal_id_nesting_flag.
    pub temporal_id_nesting: bool,
    /// What a decoder must be able to do.
    pub general: ProfileTierLevel,
    /// Pictures a second; none if the set does not tell.
    pub frame_rate: Option<f64>,
}

impl Vps {
    /// Reads a whole NAL unit. Fails with [`ErrorCode::HevcDecode`] on another NAL unit, and with
    /// [`ErrorCode::HevcNaluUev`] on a field that is cut short or out of its range. A set that is cut short behind its
    /// level only loses the frame rate.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        if nal_type_of(nal) != Some(nal_type::VPS) {
            return Err(Error::new(
                ErrorCode::HevcDecode,
                format!("NAL unit of {} bytes is no HEVC VPS", nal.len()),
            ));
        }
        let rbsp = remove_emulation_prevention(nal);
        let mut reader = BitReader::new(&rbsp, ErrorCode::HevcNaluUev);
        let r = &mut reader;
        r.skip(16, "nal_unit_header")?;
        let id = r.bits(4, "vps_video_parameter_set_id")? as u8;
        r.skip(2 + 6, "vps_base_layer flags, vps_max_layers_minus1")?;
        let max_sub_layers_minus1 = r.bits(3, "vps_max_sub_layers_minus1")?;
        if max_sub_layers_minus1 > 6 {
            return Err(r.fault("vps_max_sub_layers_minus1 is 7".to_owned()));
        }
        let temporal_id_nesting = r.flag("vps_temporal_id_nesting_flag")?;
        r.skip(16, "vps_reserved_0xffff_16bits")?;
        let general = ProfileTierLevel::read(r, max_sub_layers_minus1)?;
        Ok(Vps {
            id,
            sub_layers: max_sub_layers_minus1 as u8 + 1,
            temporal_id_nesting,
            general,
            frame_rate: frame_rate(r, max_sub_layers_minus1).ok().flatten(),
        })
    }
}

/// Reads from the ordering information on to the timing.
fn frame_rate(r: &mut BitReader<'_>, max_sub_layers_minus1: u32) -> Result<Option<f64>> {
    let all = r.flag("vps_sub_layer_ordering_info_present_flag")?;
    for _ in if all { 0 } else { max_sub_layers_minus1 }..=max_sub_layers_minus1 {
        r.ue("vps_max_dec_pic_buffering_minus1")?;
        r.ue("vps_max_num_reorder_pics")?;
        r.ue("vps_max_latency_increase_plus1")?;
    }
    let max_layer_id = r.bits(6, "vps_max_layer_id")?;
    let layer_sets = r.ue_max(1023, "vps_num_layer_sets_minus1")?;
    r.skip(layer_sets * (max_layer_id + 1), "layer_id_included_flags")?;
    if !r.flag("vps_timing_info_present_flag")? {
        return Ok(None);
    }
    let ticks = r.bits(32, "vps_num_units_in_tick")?;
    let scale = r.bits(32, "vps_time_scale")?;
    if ticks == 0 || scale == 0 {
        return Ok(None);
    }
    Ok(Some(f64::from(scale) / f64::from(ticks)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Main, two temporal sub-layers, level 2.1, by libx265, which writes no timing here.
    const TWO_LAYERS: &[u8] = &[
        0x40, 0x01, 0x0c, 0x02, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x3f, 0x00, 0x00, 0x95, 0x98, 0xac, 0xc0, 0x48,
    ];

    #[test]
    fn sub_layers_are_counted() {
        let vps = Vps::parse(TWO_LAYERS).unwrap();
        assert_eq!((vps.id, vps.sub_layers, vps.general.level_idc), (0, 2, 63));
        assert_eq!((vps.general.profile_idc, vps.general.high_tier), (1, false));
        assert_eq!(vps.frame_rate, None);
    }

    #[test]
    fn timing_is_ticks_in_a_second() {
        // The set above without sub-layers, up to its level, then: ordering 1 1 1, no layers, timing 1001/30000.
        let mut nal = vec![
            0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3f,
        ];
        // 1 1 1 1 | 000000 1 1 | 00000000 00000000 00000011 11101001 | 0111 0101 0011 0000 in its low half.
        let mut bits: Vec<bool> = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1].map(|bit| bit == 1).to_vec();
        for value in [1001u32, 30_000] {
            bits.extend((0..32).rev().map(|bit| value >> bit & 1 == 1));
        }
        let mut zeros = 0;
        for byte in bits.chunks(8) {
            let byte = byte
                .iter()
                .enumerate()
                .fold(0, |sum, (at, bit)| sum | u8::from(*bit) << (7 - at));
            if zeros >= 2 && byte <= 3 {
                nal.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            nal.push(byte);
        }
        let rate = Vps::parse(&nal).unwrap().frame_rate.unwrap();
        assert!((rate - 29.97).abs() < 0.001, "{rate}");
    }

    #[test]
    fn cut_and_changed_sets_never_panic() {
        for cut in 0..TWO_LAYERS.len() {
            let parsed = Vps::parse(&TWO_LAYERS[..cut]);
            assert!(cut >= 23 || parsed.is_err(), "{cut} bytes");
        }
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..3000 {
            let mut set = TWO_LAYERS.to_vec();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(2..set.len());
                set[at] = random.u8(..);
            }
            let _ = Vps::parse(&set);
        }
    }
}
