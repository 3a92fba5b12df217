//! Reads bit by bit: parameter sets of AVC and HEVC, OBUs of AV1, AAC configurations.
//!
//! Like [`super::buf::Reader`], a reader names the field that was cut short and never panics.

use std::borrow::Cow;

use super::error::{Error, Result};
use super::error_code::ErrorCode;

/// A cursor over bits, the highest of each byte first.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    /// The first byte may be used in part.
    rest: &'a [u8],
    /// Bits used of the first byte, 0 to 7.
    used: u32,
    code: ErrorCode,
}

impl<'a> BitReader<'a> {
    /// Reads `bytes`; a fault is reported with `code`.
    pub fn new(bytes: &'a [u8], code: ErrorCode) -> Self {
        BitReader {
            rest: bytes,
            used: 0,
            code,
        }
    }

    /// How many bits are left.
    pub fn remaining(&self) -> u64 {
        (self.rest.len() as u64 * 8).saturating_sub(u64::from(self.used))
    }

    /// One bit, as a flag: `u(1)`.
    #[track_caller]
    pub fn flag(&mut self, field: &'static str) -> Result<bool> {
        let Some((first, tail)) = self.rest.split_first() else {
            return Err(self.short(1, field));
        };
        let bit = first >> (7 - self.used) & 1;
        self.used += 1;
        if self.used == 8 {
            (self.rest, self.used) = (tail, 0);
        }
        Ok(bit == 1)
    }

    /// Up to 32 bits, unsigned: `u(count)`.
    #[track_caller]
    pub fn bits(&mut self, count: u32, field: &'static str) -> Result<u32> {
        if count > 32 || u64::from(count) > self.remaining() {
            return Err(self.short(count, field));
        }
        let mut value: u64 = 0;
        let mut wanted = count;
        while wanted > 0 {
            let Some((first, tail)) = self.rest.split_first() else {
                return Err(self.short(count, field));
            };
            let left = 8 - self.used;
            let now = wanted.min(left);
            let chunk = u64::from(*first) >> (left - now) & ((1 << now) - 1);
            value = value << now | chunk;
            wanted -= now;
            self.used += now;
            if self.used == 8 {
                (self.rest, self.used) = (tail, 0);
            }
        }
        Ok(value as u32)
    }

    /// Passes over `count` bits.
    #[track_caller]
    pub fn skip(&mut self, count: u32, field: &'static str) -> Result<()> {
        if u64::from(count) > self.remaining() {
            return Err(self.short(count, field));
        }
        let total = self.used + count % 8;
        let bytes = (count / 8 + total / 8) as usize;
        self.rest = self.rest.get(bytes..).unwrap_or_default();
        self.used = total % 8;
        Ok(())
    }

    /// Passes over the rest of a byte that is used in part.
    pub fn align(&mut self) {
        if self.used > 0 {
            self.rest = self.rest.get(1..).unwrap_or_default();
            self.used = 0;
        }
    }

    /// An unsigned Exp-Golomb code, `ue(v)` (ITU-T H.264 9.1). More than 32 leading zeros, or a value above 2^32-1,
    /// is an error.
    #[track_caller]
    pub fn ue(&mut self, field: &'static str) -> Result<u32> {
        let mut zeros = 0;
        while !self.flag(field)? {
            zeros += 1;
            if zeros > 32 {
                return Err(self.fault(format!("{field} has more than 32 leading zeros")));
            }
        }
        let suffix = u64::from(self.bits(zeros, field)?);
        let value = (1u64 << zeros) - 1 + suffix;
        u32::try_from(value).map_err(|_| self.fault(format!("{field} {value} is above 2^32-1")))
    }

    /// A signed Exp-Golomb code, `se(v)` (ITU-T H.264 9.1.1).
    #[track_caller]
    pub fn se(&mut self, field: &'static str) -> Result<i32> {
        let code = i64::from(self.ue(field)?);
        let value = if code & 1 == 1 { (code + 1) / 2 } else { -(code / 2) };
        i32::try_from(value).map_err(|_| self.fault(format!("{field} {value} is above 2^31-1")))
    }

    /// A `ue(v)` that the specification bounds: above `max` is an error.
    #[track_caller]
    pub fn ue_max(&mut self, max: u32, field: &'static str) -> Result<u32> {
        let value = self.ue(field)?;
        if value > max {
            return Err(self.fault(format!("{field} {value} is above {max}")));
        }
        Ok(value)
    }

    /// An error with the reader's code.
    #[track_caller]
    #[cold]
    pub fn fault(&self, message: String) -> Error {
        Error::new(self.code, message)
    }

    #[track_caller]
    #[cold]
    fn short(&self, count: u32, field: &'static str) -> Error {
        let have = self.remaining();
        self.fault(format!("{field} needs {count} bits, {have} are left"))
    }
}

/// The RBSP of a NAL unit: without the bytes 3 that keep start codes out (ITU-T H.264 7.4.1, H.265 7.4.2).
/// Copies only if there is such a byte.
pub fn remove_emulation_prevention(nal: &[u8]) -> Cow<'_, [u8]> {
    if !nal.windows(3).any(|three| three == [0, 0, 3]) {
        return Cow::Borrowed(nal);
    }
    let mut rbsp = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        rbsp.push(byte);
    }
    Cow::Owned(rbsp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> BitReader<'_> {
        BitReader::new(bytes, ErrorCode::AvcNaluUev)
    }

    #[test]
    fn bits_cross_bytes() {
        let mut bits = reader(&[0b1010_0101, 0xff, 0x00, 0x80, 0x12]);
        assert!(bits.flag("a").unwrap());
        assert_eq!(bits.bits(3, "b").unwrap(), 0b010);
        assert_eq!(bits.bits(0, "none").unwrap(), 0);
        assert_eq!(bits.bits(32, "c").unwrap(), 0x5ff0_0801);
        assert_eq!(bits.remaining(), 4);
        assert_eq!(bits.bits(4, "d").unwrap(), 2);
        let error = bits.flag("end").unwrap_err();
        assert_eq!(error.message(), "end needs 1 bits, 0 are left");
    }

    #[test]
    fn skip_equals_reading() {
        let bytes = [0x12, 0x34, 0x56, 0x78, 0x9a];
        for first in 0..=8 {
            for second in 0..=24 {
                let (mut read, mut skip) = (reader(&bytes), reader(&bytes));
                read.bits(first, "a").unwrap();
                read.bits(second, "b").unwrap();
                skip.skip(first, "a").unwrap();
                skip.skip(second, "b").unwrap();
                assert_eq!(read.bits(8, "c").unwrap(), skip.bits(8, "c").unwrap());
            }
        }
        assert!(reader(&bytes).skip(41, "d").is_err());
        assert!(reader(&bytes).skip(u32::MAX, "d").is_err());
        assert!(reader(&bytes).bits(33, "d").is_err());
        let mut aligned = reader(&bytes);
        aligned.align();
        aligned.skip(3, "e").unwrap();
        aligned.align();
        assert_eq!(aligned.bits(8, "f").unwrap(), 0x34);
    }

    #[test]
    fn exp_golomb_is_the_table_of_the_specification() {
        // Table 9-2: 1, 010, 011, 00100, 00101, 00110, 00111, 0001000.
        let mut bits = reader(&[0b1010_0110, 0b0100_0010, 0b1001_1000, 0b1110_0010, 0b0000_0000]);
        for value in 0..8 {
            assert_eq!(bits.ue("v").unwrap(), value);
        }
        // Table 9-3: the same codes are 0, 1, -1, 2, -2, 3, -3, 4.
        let mut bits = reader(&[0b1010_0110, 0b0100_0010, 0b1001_1000, 0b1110_0010, 0b0000_0000]);
        for value in [0, 1, -1, 2, -2, 3, -3, 4] {
            assert_eq!(bits.se("v").unwrap(), value);
        }
    }

    #[test]
    fn exp_golomb_ends_after_32_zeros() {
        // 31 zeros: the largest are 2^32-2.
        let bytes = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe];
        assert_eq!(reader(&bytes).ue("v").unwrap(), u32::MAX - 1);
        // 32 zeros, then 1 and 32 bits: 2^32-1 if these are zeros, too much otherwise.
        let bytes = [0, 0, 0, 0, 0x80, 0, 0, 0, 0x00];
        assert_eq!(reader(&bytes).ue("v").unwrap(), u32::MAX);
        assert!(reader(&bytes).se("v").is_err());
        let bytes = [0, 0, 0, 0, 0x80, 0, 0, 0, 0x80];
        assert!(reader(&bytes).ue("v").unwrap_err().message().contains("above 2^32-1"));
        // 33 zeros.
        let bytes = [0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0];
        let error = reader(&bytes).ue("v").unwrap_err();
        assert_eq!(error.code(), ErrorCode::AvcNaluUev);
        assert_eq!(error.message(), "v has more than 32 leading zeros");
        assert!(reader(&[0; 4]).ue("v").is_err());
        assert!(reader(&[0b0100_0000]).ue_max(0, "v").is_err());
        assert_eq!(reader(&[0b0100_0000]).ue_max(1, "v").unwrap(), 1);
    }

    #[test]
    fn emulation_prevention_goes_away() {
        assert!(matches!(
            remove_emulation_prevention(&[0, 3, 0, 1, 3]),
            Cow::Borrowed(_)
        ));
        assert_eq!(
            remove_emulation_prevention(&[1, 0, 0, 3, 1, 0, 0, 3])[..],
            [1, 0, 0, 1, 0, 0]
        );
        assert_eq!(remove_emulation_prevention(&[0, 0, 3, 0, 0, 3, 0])[..], [0, 0, 0, 0, 0]);
        assert_eq!(remove_emulation_prevention(&[0, 0, 0, 3, 3])[..], [0, 0, 0, 3]);
    }
}
