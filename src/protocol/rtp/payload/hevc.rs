//! HEVC in RTP (RFC 7798) without decoding order numbers: single NAL units, aggregation packets, fragments.

use bytes::Bytes;

use super::AccessUnit;
use super::nals::Gatherer;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtp::reorder::Ordered;

const AGGREGATION: u8 = 48;
const FRAGMENT: u8 = 49;

/// Puts access units together.
#[derive(Clone, Debug, Default)]
pub struct HevcDepacketizer {
    unit: Gatherer,
}

impl HevcDepacketizer {
    /// As [`super::AvcDepacketizer::push`].
    pub fn push(&mut self, ordered: &Ordered, out: &mut Vec<AccessUnit>) -> Result<()> {
        self.unit.push(ordered, out, take)
    }
}

fn take(unit: &mut Gatherer, payload: &Bytes) -> Result<()> {
    let Some((&[high, low], rest)) = payload.split_first_chunk::<2>() else {
        return match payload.is_empty() {
            true => Ok(()),
            false => Err(Error::new(
                ErrorCode::RtspP96Corrupt,
                "RTP payload of HEVC has one byte",
            )),
        };
    };
    match high >> 1 & 0x3f {
        AGGREGATION => unit.aggregate(&payload.slice(2..)),
        FRAGMENT => {
            let Some((header, rest)) = rest.split_first() else {
                return Err(Error::new(
                    ErrorCode::RtspP96Corrupt,
                    "fragment of HEVC without its header",
                ));
            };
            let whole = [high & 0x81 | (header & 0x3f) << 1, low];
            let first = (header & 0x80 != 0).then_some(&whole[..]);
            unit.fragment(first, header & 0x40 != 0, rest)
        }
        0..AGGREGATION => unit.nal(payload.clone()),
        other => {
            let text = format!("RTP payload of HEVC has NAL unit type {other}");
            Err(Error::new(ErrorCode::RtspP96Corrupt, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::Packet;

    fn push(depacketizer: &mut HevcDepacketizer, marker: bool, payload: &[u8]) -> Result<Vec<Vec<u8>>> {
        let packet = Packet {
            marker,
            payload_type: 96,
            sequence: 0,
            timestamp: 5,
            ssrc: 1,
            payload: bytes::Bytes::copy_from_slice(payload),
        };
        let ordered = Ordered {
            packet,
            after_loss: false,
        };
        let mut out = Vec::new();
        depacketizer.push(&ordered, &mut out)?;
        Ok(out
            .into_iter()
            .flat_map(|unit| unit.nals)
            .map(|nal| nal.to_vec())
            .collect())
    }

    #[test]
    fn single_units_aggregates_and_fragments() {
        let mut depacketizer = HevcDepacketizer::default();
        let d = &mut depacketizer;
        assert!(
            push(d, false, &[0x60, 1, 0, 3, 0x40, 1, 9, 0, 2, 0x42, 1])
                .unwrap()
                .is_empty()
        );
        assert!(push(d, false, &[0x62, 1, 0x80 | 19, 10, 11]).unwrap().is_empty());
        let whole = push(d, true, &[0x62, 1, 0x40 | 19, 12]).unwrap();
        assert_eq!(whole, [&[0x40, 1, 9][..], &[0x42, 1], &[0x26, 1, 10, 11, 12]]);
        assert_eq!(push(d, true, &[0x02, 1, 7]).unwrap(), [[0x02, 1, 7]]);
    }

    #[test]
    fn faults_are_named_and_never_panic() {
        let mut depacketizer = HevcDepacketizer::default();
        for payload in [&[0x02][..], &[0x62, 1], &[0x60, 1, 0, 9, 1], &[0x64, 1, 0]] {
            let error = push(&mut depacketizer, true, payload).unwrap_err();
            assert_eq!(error.code(), ErrorCode::RtspP96Corrupt);
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..5000 {
            let payload: Vec<u8> = (0..random.usize(..9)).map(|_| random.u8(..)).collect();
            let _ = push(&mut depacketizer, random.bool(), &payload);
        }
    }
}
