//! What a publisher writes into each picture, so that whoever plays it can tell what was lost or changed, and how long it
//! took: a NAL unit of supplemental information (ITU-T H.264, annex D, user_data_unregistered), which every server and
//! container carries along and every decoder passes over. `docs/srs-bench.md` describes it for others.

use std::io::Write;

use crc::{Crc, Table};

/// The check sum of the stamps.
pub static CHECK: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&crc::CRC_32_ISO_HDLC);

/// What tells our stamps from others' user data.
const UUID: &[u8; 16] = b"srs-bench stamp1";
/// Digits of base 16: stream, number, time, digest, sounds, sum of sounds.
const TEXT_BYTES: usize = 56;
/// `sei_message` of this type and size, after the NAL unit's header: no emulation prevention is needed anywhere.
const START: [u8; 3] = [0x06, 5, (UUID.len() + TEXT_BYTES) as u8];
const RBSP_END: u8 = 0x80;
/// Bytes of the NAL unit.
pub const NAL_BYTES: usize = START.len() + UUID.len() + TEXT_BYTES + 1;

/// One picture's stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which publication it is; random.
    pub stream: u32,
    /// Pictures before it.
    pub number: u32,
    /// When it was sent: microseconds of Unix time on the publisher's clock.
    pub sent_micros: u64,
    /// [`CHECK`] of the picture's NAL units behind the stamp, each with four bytes of length.
    pub digest: u32,
    /// Frames of sound sent before it, modulo 2^32.
    pub sounds: u32,
    /// The sum of their check sums, modulo 2^32.
    pub sound_sum: u32,
}

impl Stamp {
    /// Appends the NAL unit behind four bytes of its length.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(NAL_BYTES as u32).to_be_bytes());
        out.extend_from_slice(&START);
        out.extend_from_slice(UUID);
        // To memory, which takes all.
        let _ = write!(
            out,
            "{:08x}{:08x}{:016x}{:08x}{:08x}{:08x}",
            self.stream, self.number, self.sent_micros, self.digest, self.sounds, self.sound_sum
        );
        out.push(RBSP_END);
    }

    /// The stamp in a NAL unit, if it is one of ours.
    pub fn read(nal: &[u8]) -> Option<Self> {
        let text = nal.strip_prefix(&START)?.strip_prefix(UUID)?.get(..TEXT_BYTES)?;
        let text = std::str::from_utf8(text).ok()?;
        let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok();
        Some(Stamp {
            stream: word(0)?,
            number: word(8)?,
            sent_micros: u64::from_str_radix(text.get(16..32)?, 16).ok()?,
            digest: word(32)?,
            sounds: word(40)?,
            sound_sum: word(48)?,
        })
    }
}

/// Where in the body of an H.264 picture's FLV tag its stamp stands or is to stand: after the tag's own fields and a leading
/// access unit delimiter. `None` if the body is too short, or its NAL units have no lengths of four bytes.
pub fn place(body: &[u8]) -> Option<usize> {
    const FIELDS: usize = 5;
    let length = u32::from_be_bytes(body.get(FIELDS..FIELDS + 4)?.try_into().ok()?) as usize;
    let is_delimiter = body.get(FIELDS + 4)? & 0x1f == 9;
    if is_delimiter && length <= 4 {
        return Some(FIELDS + 4 + length);
    }
    Some(FIELDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        stream: 0xfedc_ba98,
        number: 7,
        sent_micros: 1_800_000_000_000_000,
        digest: 0,
        sounds: u32::MAX,
        sound_sum: 1,
    };

    #[test]
    fn a_stamp_comes_back_and_needs_no_emulation_prevention() {
        let mut out = Vec::new();
        STAMP.put(&mut out);
        assert_eq!(out.len(), 4 + NAL_BYTES);
        assert_eq!(Stamp::read(&out[4..]), Some(STAMP));
        let is_prevented = |three: &[u8]| three[..2] == [0, 0] && three[2] <= 3;
        assert!(!out[4..].windows(3).any(is_prevented));
        for cut in 4..out.len() - 1 {
            assert_eq!(Stamp::read(&out[4..cut]), None);
        }
        out[10] ^= 1;
        assert_eq!(Stamp::read(&out[4..]), None);
    }

    #[test]
    fn a_stamp_stands_behind_the_delimiter() {
        let picture = [&[0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 1][..]].concat();
        assert_eq!(place(&picture), Some(5));
        let delimited = [&picture[..5], &[0, 0, 0, 2, 9, 0x10], &picture[5..]].concat();
        assert_eq!(place(&delimited), Some(11));
        assert_eq!(place(&picture[..8]), None);
    }
}
