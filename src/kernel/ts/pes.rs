//! Headers of PES packets (ISO/IEC 13818-1, 2.4.3.6 and 2.4.3.7).

use super::packet::TICKS_MASK;
use crate::kernel::buf::Put;

/// stream_id of the first video stream.
pub const VIDEO_STREAM_ID: u8 = 0xe0;
/// stream_id of the first audio stream.
pub const AUDIO_STREAM_ID: u8 = 0xc0;
/// stream_id of private_stream_1.
pub const PRIVATE_STREAM_ID: u8 = 0xbd;

/// The most that a PES packet of sound may carry, bytes: its length must be told in 16 bits.
pub const AUDIO_PAYLOAD_BYTES_MAX: usize = 0xffff - (FLAG_BYTES + STAMP_BYTES);

const START_BYTES: usize = 6;
const FLAG_BYTES: usize = 3;
const STAMP_BYTES: usize = 5;

/// Times of an access unit, ticks of 90 kHz; written modulo 2^33.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// When it is shown or heard.
    pub presentation: i64,
    /// When it is decoded; written only if it is another time.
    pub decoding: i64,
}

/// Appends a header with length 0; [`finish`] puts the length in when the payload is behind it.
pub fn put_header(unit: &mut Vec<u8>, stream_id: u8, stamps: Stamps) {
    let same = stamps.presentation == stamps.decoding;
    let stamp_bytes = if same { STAMP_BYTES } else { 2 * STAMP_BYTES };
    unit.put_slice(&[0, 0, 1, stream_id, 0, 0]);
    // Marker bits '10', data_alignment_indicator; PTS_DTS_flags; PES_header_data_length.
    unit.put_slice(&[0x84, if same { 0x80 } else { 0xc0 }, stamp_bytes as u8]);
    if same {
        unit.put_slice(&stamp(2, stamps.presentation));
    } else {
        unit.put_slice(&stamp(3, stamps.presentation));
        unit.put_slice(&stamp(1, stamps.decoding));
    }
}

/// Tells the length of a unit that [`put_header`] started, so that a player need not wait for the next one. It stays 0,
/// which only pictures may have, on those above 64 KB.
pub fn finish(unit: &mut [u8]) {
    let length = unit.len().saturating_sub(START_BYTES);
    if let (Ok(length), Some(field)) = (u16::try_from(length), unit.get_mut(4..6)) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Four bits of prefix, then 3, 15 and 15 bits with a marker bit behind each.
fn stamp(prefix: u8, ticks: i64) -> [u8; STAMP_BYTES] {
    let ticks = ticks as u64 & TICKS_MASK;
    [
        prefix << 4 | (ticks >> 29) as u8 & 0x0e | 1,
        (ticks >> 22) as u8,
        (ticks >> 14) as u8 | 1,
        (ticks >> 7) as u8,
        (ticks << 1) as u8 | 1,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_written_bit_by_bit() {
        assert_eq!(stamp(2, 0), [0x21, 0, 1, 0, 1]);
        assert_eq!(stamp(3, -1), [0x3f, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(stamp(1, 1 << 30), [0x13, 0, 1, 0, 1]);
        // 1 second and 0.4 seconds, by FFmpeg: 126000 ticks.
        assert_eq!(stamp(2, 126_000), [0x21, 0x00, 0x07, 0xd8, 0x61]);
    }

    #[test]
    fn a_unit_tells_its_length_if_it_can() {
        let stamps = Stamps {
            presentation: 3600,
            decoding: 0,
        };
        let mut unit = Vec::new();
        put_header(&mut unit, VIDEO_STREAM_ID, stamps);
        assert_eq!(unit[..9], [0, 0, 1, 0xe0, 0, 0, 0x84, 0xc0, 10]);
        unit.extend([7; 100]);
        finish(&mut unit);
        assert_eq!(unit[4..6], [0, 113]);
        let mut unit = Vec::new();
        let stamps = Stamps {
            presentation: 0,
            decoding: 0,
        };
        put_header(&mut unit, AUDIO_STREAM_ID, stamps);
        unit.resize(unit.len() + AUDIO_PAYLOAD_BYTES_MAX, 0);
        finish(&mut unit);
        assert_eq!(unit[4..9], [0xff, 0xff, 0x84, 0x80, 5]);
        unit.push(0);
        unit[4..6].fill(0);
        finish(&mut unit);
        assert_eq!(unit[4..6], [0, 0]);
        finish(&mut []);
    }
}
