//! Parameter sets that come among the pictures, and the configuration record that they make.

use bytes::Bytes;

use crate::core::limits::PARAMETER_SETS;
use crate::kernel::bits::BitReader;
use crate::kernel::codec::{VideoCodec, avc, hevc};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// What a NAL unit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Describes the stream; HEVC only.
    Vps,
    /// Describes pictures.
    Sps,
    /// Describes pictures, and belongs to an SPS.
    Pps,
    /// Of no use in FLV: delimiters, fillers, and NAL units that are too short.
    Waste,
    /// Everything else, which goes into the message.
    Coded,
}

/// Which of the two codecs with NAL units it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalCodec {
    /// AVC.
    Avc,
    /// HEVC.
    Hevc,
}

impl NalCodec {
    /// None for a codec without NAL units, or whose NAL units are not understood.
    pub fn of(codec: VideoCodec) -> Option<Self> {
        match codec {
            VideoCodec::H264 => Some(NalCodec::Avc),
            VideoCodec::Hevc => Some(NalCodec::Hevc),
            _ => None,
        }
    }

    /// What a NAL unit is for.
    pub fn role(self, nal: &[u8]) -> Role {
        match self {
            NalCodec::Avc => match avc::nal_type_of(nal) {
                Some(avc::nal_type::SPS) => Role::Sps,
                Some(avc::nal_type::PPS) => Role::Pps,
                None | Some(0 | avc::nal_type::ACCESS_UNIT_DELIMITER | avc::nal_type::FILLER) => Role::Waste,
                Some(_) => Role::Coded,
            },
            NalCodec::Hevc => match hevc::nal_type_of(nal) {
                Some(hevc::nal_type::VPS) => Role::Vps,
                Some(hevc::nal_type::SPS) => Role::Sps,
                Some(hevc::nal_type::PPS) => Role::Pps,
                None | Some(hevc::nal_type::ACCESS_UNIT_DELIMITER | hevc::nal_type::FILLER) => Role::Waste,
                Some(_) => Role::Coded,
            },
        }
    }

    /// The id of a PPS; none if it is cut short.
    fn pps_id(self, nal: &[u8]) -> Option<u32> {
        let header_bytes = match self {
            NalCodec::Avc => 1,
            NalCodec::Hevc => 2,
        };
        // An id below 256 stands in the first bytes, which hold no emulation prevention.
        let mut bits = BitReader::new(nal.get(header_bytes..)?, ErrorCode::HlsDecode);
        bits.ue("pps_id").ok()
    }
}

/// The parameter sets in force. A message carries none of them: they stand in the sequence header.
#[derive(Clone, Debug)]
pub struct ParameterSets {
    codec: NalCodec,
    vps: Vec<Bytes>,
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
}

impl ParameterSets {
    /// None yet.
    pub fn new(codec: NalCodec) -> Self {
        ParameterSets {
            codec,
            vps: Vec::new(),
            sps: Vec::new(),
            pps: Vec::new(),
        }
    }

    /// Takes the sets among the NAL units of one access unit, and says whether something changed. SPS and VPS take the
    /// place of all older ones, a PPS that of the one with its id.
    pub fn update<'a>(&mut self, nals: impl Iterator<Item = &'a [u8]>) -> bool {
        let (mut vps, mut sps, mut pps) = (Vec::new(), Vec::new(), Vec::new());
        for nal in nals {
            let sets = match self.codec.role(nal) {
                Role::Vps => &mut vps,
                Role::Sps => &mut sps,
                Role::Pps => &mut pps,
                Role::Waste | Role::Coded => continue,
            };
            // No record can tell a longer one.
            let fits = sets.len() < PARAMETER_SETS / 4 && nal.len() <= usize::from(u16::MAX);
            if fits && !sets.contains(&nal) {
                sets.push(nal);
            }
        }
        let mut changed = replace(&mut self.vps, &vps);
        if replace(&mut self.sps, &sps) {
            changed = true;
            self.pps.clear();
        }
        for nal in pps {
            changed |= self.set_pps(nal);
        }
        changed
    }

    fn set_pps(&mut self, nal: &[u8]) -> bool {
        let id = self.codec.pps_id(nal);
        let (codec, is_full) = (self.codec, self.pps.len() >= PARAMETER_SETS / 4);
        match self.pps.iter_mut().find(|old| codec.pps_id(old) == id) {
            Some(old) if old == nal => return false,
            Some(old) => *old = Bytes::copy_from_slice(nal),
            None if is_full => return false,
            None => self.pps.push(Bytes::copy_from_slice(nal)),
        }
        true
    }

    /// Whether a decoder could start.
    pub fn is_complete(&self) -> bool {
        !self.sps.is_empty() && !self.pps.is_empty() && (self.codec == NalCodec::Avc || !self.vps.is_empty())
    }

    /// The configuration record. Fails with [`ErrorCode::CasterTsAvcSps`] or [`ErrorCode::CasterTsHevcSps`] on an SPS
    /// that makes no sense.
    pub fn record(&self) -> Result<Vec<u8>> {
        let nals = self.vps.iter().chain(&self.sps).chain(&self.pps).map(|nal| &nal[..]);
        let (record, code) = match self.codec {
            NalCodec::Avc => (
                avc::DecoderConfig::from_nals(nals).and_then(|config| config.write()),
                ErrorCode::CasterTsAvcSps,
            ),
            NalCodec::Hevc => (
                hevc::DecoderConfig::from_nals(nals).and_then(|config| config.write()),
                ErrorCode::CasterTsHevcSps,
            ),
        };
        record.map_err(|cause| Error::new(code, format!("parameter sets: {}", cause.message())))
    }
}

/// Puts new sets in the place of the old ones, if there are any and they differ.
fn replace(old: &mut Vec<Bytes>, new: &[&[u8]]) -> bool {
    if new.is_empty() || old.iter().map(|nal| &nal[..]).eq(new.iter().copied()) {
        return false;
    }
    *old = new.iter().map(|nal| Bytes::copy_from_slice(nal)).collect();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_nal_units() {
        let roles = [&[0x67, 1][..], &[0x68], &[0x09, 0xf0], &[0x0c], &[0x65], &[0x06], &[]];
        use Role::{Coded, Pps, Sps, Vps, Waste};
        assert_eq!(
            roles.map(|nal| NalCodec::Avc.role(nal)),
            [Sps, Pps, Waste, Waste, Coded, Coded, Waste]
        );
        let roles = [&[0x40, 1][..], &[0x42, 1], &[0x44, 1], &[0x46, 1], &[0x26, 1], &[0x26]];
        assert_eq!(
            roles.map(|nal| NalCodec::Hevc.role(nal)),
            [Vps, Sps, Pps, Waste, Coded, Waste]
        );
    }

    #[test]
    fn a_set_takes_the_place_of_the_one_with_its_id() {
        // pps_id 0 is the bit 1; pps_id 1 is 010.
        let (zero, zero_new, one) = (&[0x68, 0x80][..], &[0x68, 0x81][..], &[0x68, 0x40][..]);
        let (sps, sps_new) = (&[0x67, 1][..], &[0x67, 2][..]);
        let mut sets = ParameterSets::new(NalCodec::Avc);
        assert!(sets.update([sps, zero].into_iter()) && sets.is_complete());
        assert!(!sets.update([sps, zero, &[0x65]].into_iter()));
        assert!(sets.update([one].into_iter()));
        assert!(sets.update([zero_new].into_iter()));
        assert_eq!(sets.pps, [zero_new, one]);
        assert!(sets.update([sps_new].into_iter()) && !sets.is_complete());
    }

    #[test]
    fn there_is_a_bound_on_sets() {
        let mut sets = ParameterSets::new(NalCodec::Avc);
        let many: Vec<[u8; 3]> = (0..200).map(|id: u8| [0x68, 0, id | 1]).collect();
        for nal in &many {
            sets.update(std::iter::once(&nal[..]));
        }
        sets.update(many.iter().map(|nal| &nal[..]));
        assert!(sets.pps.len() <= PARAMETER_SETS / 4);
        let long = vec![0x67; 70_000];
        assert!(!sets.update(std::iter::once(&long[..])));
    }
}
