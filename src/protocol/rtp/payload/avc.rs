//! AVC in RTP (RFC 6184), modes 0 and 1: single NAL units, STAP-A, FU-A.

use bytes::Bytes;

use super::AccessUnit;
use super::nals::Gatherer;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtp::reorder::Ordered;

const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Puts access units together.
#[derive(Clone, Debug, Default)]
pub struct AvcDepacketizer {
    unit: Gatherer,
}

impl AvcDepacketizer {
    /// Takes the next packet and appends the access units that end with it, at most two. One of which something was
    /// lost is left out. Fails with [`ErrorCode::RtspP96Corrupt`] on a payload that makes no sense or is too large; its
    /// access unit is left out.
    pub fn push(&mut self, ordered: &Ordered, out: &mut Vec<AccessUnit>) -> Result<()> {
        self.unit.push(ordered, out, take)
    }
}

fn take(unit: &mut Gatherer, payload: &Bytes) -> Result<()> {
    match payload[..] {
        // Some senders keep a port open with packets of nothing.
        [] => Ok(()),
        [header, ..] if header & 0x1f == STAP_A => unit.aggregate(&payload.slice(1..)),
        [indicator, header, ref rest @ ..] if indicator & 0x1f == FU_A => {
            let whole = [indicator & 0xe0 | header & 0x1f];
            let first = (header & 0x80 != 0).then_some(&whole[..]);
            unit.fragment(first, header & 0x40 != 0, rest)
        }
        [header, ..] if (1..STAP_A).contains(&(header & 0x1f)) => unit.nal(payload.clone()),
        [header, ..] => {
            let text = format!("RTP payload of AVC has NAL unit type {}", header & 0x1f);
            Err(Error::new(ErrorCode::RtspP96Corrupt, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::limits::RTP_UNIT_BYTES;
    use crate::protocol::rtp::Packet;

    fn packet(timestamp: u32, marker: bool, payload: &[u8]) -> Ordered {
        Ordered {
            packet: Packet {
                marker,
                payload_type: 96,
                sequence: 0,
                timestamp,
                ssrc: 1,
                payload: bytes::Bytes::copy_from_slice(payload),
            },
            after_loss: false,
        }
    }

    fn units(packets: &[Ordered]) -> Vec<(u32, Vec<Vec<u8>>)> {
        let (mut depacketizer, mut out) = (AvcDepacketizer::default(), Vec::new());
        for packet in packets {
            depacketizer.push(packet, &mut out).unwrap();
        }
        out.into_iter()
            .map(|unit| (unit.timestamp, unit.nals.iter().map(|nal| nal.to_vec()).collect()))
            .collect()
    }

    #[test]
    fn single_units_aggregates_and_fragments() {
        let seen = units(&[
            packet(1, false, &[0x78, 0, 2, 0x67, 1, 0, 1, 0x68]),
            packet(1, false, &[0x7c, 0x85, 10, 11]),
            packet(1, false, &[0x7c, 0x05, 12]),
            packet(1, true, &[0x7c, 0x45, 13]),
            packet(2, true, &[0x41, 9]),
            // Without a marker, the next timestamp ends it.
            packet(3, false, &[0x41, 8]),
            packet(4, true, &[0x41, 7]),
        ]);
        let key = vec![vec![0x67, 1], vec![0x68], vec![0x65, 10, 11, 12, 13]];
        let others = [
            (2, vec![vec![0x41, 9]]),
            (3, vec![vec![0x41, 8]]),
            (4, vec![vec![0x41, 7]]),
        ];
        assert_eq!(seen, [&[(1, key)][..], &others].concat());
    }

    #[test]
    fn what_lost_something_is_left_out() {
        let mut lost = packet(1, true, &[0x7c, 0x45, 13]);
        lost.after_loss = true;
        assert!(units(&[packet(1, false, &[0x7c, 0x85, 10]), lost]).is_empty());
        let mut next = packet(2, true, &[0x41]);
        next.after_loss = true;
        // Nobody knows to which of the two the lost packets belonged.
        assert!(units(&[packet(1, false, &[0x41]), next]).is_empty());
        assert!(units(&[packet(1, true, &[0x7c, 0x05, 10])]).is_empty());
        assert!(units(&[packet(1, true, &[0x7c, 0x85, 10])]).is_empty());
    }

    #[test]
    fn faults_and_floods_end() {
        let mut depacketizer = AvcDepacketizer::default();
        let mut out = Vec::new();
        for payload in [&[0x78, 0, 9, 1][..], &[0x78, 0], &[0x7d, 1], &[0x00, 1], &[0x7c]] {
            let pushed = depacketizer.push(&packet(1, true, payload), &mut out);
            assert_eq!(pushed.unwrap_err().code(), ErrorCode::RtspP96Corrupt, "{payload:?}");
        }
        let mut pushes = 0usize;
        while depacketizer
            .push(&packet(2, false, &[0x7c, 0x05, 0, 0, 0, 0, 0, 0]), &mut out)
            .is_ok()
        {
            pushes += 1;
            assert!(pushes <= RTP_UNIT_BYTES);
        }
        assert!(out.is_empty());
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..5000 {
            let payload: Vec<u8> = (0..random.usize(..9)).map(|_| random.u8(..)).collect();
            let _ = depacketizer.push(&packet(random.u32(..3), random.bool(), &payload), &mut out);
        }
    }
}
