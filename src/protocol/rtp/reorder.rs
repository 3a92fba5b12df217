//! Puts the packets of one source in the order of their sequence numbers.

use std::collections::VecDeque;

use super::packet::Packet;
use crate::core::limits::RTP_REORDER_PACKETS;

/// A packet, and whether some before it are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// The packet.
    pub packet: Packet,
    /// Packets between the one before and this one never came.
    pub after_loss: bool,
}

/// Holds packets that came too early until those before them come, or until too many wait.
#[derive(Debug, Default)]
pub struct Reorder {
    next: Option<u16>,
    /// In the order of their numbers.
    waiting: VecDeque<Packet>,
    lost: u32,
    highest: Option<u32>,
}

impl Reorder {
    /// Takes a packet. One that comes twice, or too late, is dropped; a jump of the numbers starts anew.
    pub fn push(&mut self, packet: Packet) {
        self.count(packet.sequence);
        let next = *self.next.get_or_insert(packet.sequence);
        let ahead = distance(packet.sequence, next);
        if ahead < 0 && ahead > -(RTP_REORDER_PACKETS as i32) {
            return;
        }
        if ahead.unsigned_abs() as usize >= RTP_REORDER_PACKETS * 16 || ahead < 0 {
            // Another stream from here on; what waits of the old one is of no use.
            self.waiting.clear();
            self.next = Some(packet.sequence);
        }
        let at = self
            .waiting
            .partition_point(|other| distance(other.sequence, packet.sequence) < 0);
        if self
            .waiting
            .get(at)
            .is_none_or(|other| other.sequence != packet.sequence)
        {
            self.waiting.insert(at, packet);
        }
    }

    /// The next packet; none if it may still come.
    pub fn pop(&mut self) -> Option<Ordered> {
        let next = self.next?;
        let first = self.waiting.front()?.sequence;
        let missing = distance(first, next);
        if missing > 0 && self.waiting.len() < RTP_REORDER_PACKETS {
            return None;
        }
        let packet = self.waiting.pop_front()?;
        self.next = Some(first.wrapping_add(1));
        self.lost = self.lost.saturating_add(missing.unsigned_abs());
        Some(Ordered {
            packet,
            after_loss: missing > 0,
        })
    }

    /// How many never came.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// The highest number so far, with its cycles in the high half; 0 before the first packet.
    pub fn highest_sequence(&self) -> u32 {
        self.highest.unwrap_or(0)
    }

    fn count(&mut self, sequence: u16) {
        let extended = match self.highest {
            None => u32::from(sequence),
            Some(highest) => {
                let step = distance(sequence, highest as u16);
                highest.max(highest.wrapping_add_signed(step))
            }
        };
        self.highest = Some(extended);
    }
}

/// How far it is from one number to another, either way.
fn distance(to: u16, from: u16) -> i32 {
    i32::from(to.wrapping_sub(from) as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16) -> Packet {
        Packet {
            marker: false,
            payload_type: 96,
            sequence,
            timestamp: 0,
            ssrc: 1,
            payload: bytes::Bytes::new(),
        }
    }

    fn run(sequences: impl IntoIterator<Item = u16>) -> (Vec<(u16, bool)>, Reorder) {
        let (mut reorder, mut out) = (Reorder::default(), Vec::new());
        for sequence in sequences {
            reorder.push(packet(sequence));
            assert!(reorder.waiting.len() <= RTP_REORDER_PACKETS);
            while let Some(ordered) = reorder.pop() {
                out.push((ordered.packet.sequence, ordered.after_loss));
            }
        }
        (out, reorder)
    }

    #[test]
    fn packets_come_out_in_order_over_the_wrap() {
        let (out, reorder) = run([65_534, 0, 65_535, 1, 1, 0, 3, 2]);
        let numbers: Vec<u16> = out.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [65_534, 65_535, 0, 1, 2, 3]);
        assert!(out.iter().all(|(_, lost)| !lost));
        assert_eq!((reorder.lost(), reorder.highest_sequence()), (0, 0x1_0003));
    }

    #[test]
    fn a_lost_packet_is_waited_for_in_vain() {
        let count = RTP_REORDER_PACKETS as u16;
        let (out, reorder) = run((0..5).chain(6..6 + count));
        assert_eq!(out.len(), 5 + RTP_REORDER_PACKETS);
        assert_eq!(out[5], (6, true));
        assert!(!out[6].1);
        assert_eq!(reorder.lost(), 1);
    }

    #[test]
    fn a_jump_starts_anew() {
        let (out, _) = run([1, 2, 3, 30_000, 30_001, 100, 101]);
        let numbers: Vec<u16> = out.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 3, 30_000, 30_001, 100, 101]);
    }
}
