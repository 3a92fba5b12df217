//! Readers and writers of big-endian bytes, for containers and protocols.
//!
//! A reader names the field that was cut short; a peer's bytes can make it fail, never panic.

use super::error::{Error, Result};
use super::error_code::ErrorCode;

/// A cursor over bytes that a peer or a file sent.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    code: ErrorCode,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`; a shortage is reported with `code`.
    pub fn new(bytes: &'a [u8], code: ErrorCode) -> Self {
        Reader { rest: bytes, code }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether all bytes are used up.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that are left, without using them up.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes; `field` names them in the error if there are fewer.
    #[track_caller]
    pub fn bytes(&mut self, count: usize, field: &'static str) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => {
                let have = self.rest.len();
                Err(Error::new(
                    self.code,
                    format!("{field} needs {count} bytes, {have} are left"),
                ))
            }
        }
    }

    #[track_caller]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N, field)?);
        Ok(array)
    }

    /// Passes over `count` bytes.
    #[track_caller]
    pub fn skip(&mut self, count: usize, field: &'static str) -> Result<()> {
        self.bytes(count, field).map(|_| ())
    }

    /// One byte.
    #[track_caller]
    pub fn u8(&mut self, field: &'static str) -> Result<u8> {
        Ok(self.array::<1>(field)?[0])
    }

    /// Two bytes, big-endian.
    #[track_caller]
    pub fn u16(&mut self, field: &'static str) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    /// Three bytes, big-endian.
    #[track_caller]
    pub fn u24(&mut self, field: &'static str) -> Result<u32> {
        let [a, b, c] = self.array(field)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Three bytes, big-endian, sign extended.
    #[track_caller]
    pub fn i24(&mut self, field: &'static str) -> Result<i32> {
        Ok(((self.u24(field)? << 8) as i32) >> 8)
    }

    /// Four bytes, big-endian.
    #[track_caller]
    pub fn u32(&mut self, field: &'static str) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    /// Eight bytes, big-endian.
    #[track_caller]
    pub fn u64(&mut self, field: &'static str) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array(field)?))
    }

    /// An IEEE 754 double, big-endian.
    #[track_caller]
    pub fn f64(&mut self, field: &'static str) -> Result<f64> {
        Ok(f64::from_be_bytes(self.array(field)?))
    }
}

/// Appends big-endian values to a growing buffer.
pub trait Put {
    /// Appends bytes as they are.
    fn put_slice(&mut self, bytes: &[u8]);

    /// Appends one byte.
    fn put_u8(&mut self, value: u8) {
        self.put_slice(&[value]);
    }

    /// Appends two bytes.
    fn put_u16(&mut self, value: u16) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Appends the low three bytes.
    fn put_u24(&mut self, value: u32) {
        self.put_slice(&value.to_be_bytes()[1..]);
    }

    /// Appends four bytes.
    fn put_u32(&mut self, value: u32) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Appends eight bytes.
    fn put_u64(&mut self, value: u64) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Appends an IEEE 754 double.
    fn put_f64(&mut self, value: f64) {
        self.put_slice(&value.to_be_bytes());
    }
}

impl Put for Vec<u8> {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut bytes = Vec::new();
        bytes.put_u8(1);
        bytes.put_u16(0x0203);
        bytes.put_u24(0xff_0506);
        bytes.put_u32(0x0708_090a);
        bytes.put_u64(11);
        bytes.put_f64(-1.5);
        let mut reader = Reader::new(&bytes, ErrorCode::RtmpDecode);
        assert_eq!(reader.u8("a").unwrap(), 1);
        assert_eq!(reader.u16("b").unwrap(), 0x0203);
        assert_eq!(reader.clone().u24("c").unwrap(), 0xff_0506);
        assert_eq!(reader.i24("c").unwrap(), 0xff_0506 - 0x100_0000);
        assert_eq!(reader.u32("d").unwrap(), 0x0708_090a);
        assert_eq!(reader.u64("e").unwrap(), 11);
        assert_eq!(reader.f64("f").unwrap(), -1.5);
        assert!(reader.is_empty());
    }

    #[test]
    fn a_cut_field_is_named_and_nothing_is_used_up() {
        let mut reader = Reader::new(&[1, 2], ErrorCode::Amf0Decode);
        let error = reader.u32("timestamp").unwrap_err();
        assert_eq!(error.code(), ErrorCode::Amf0Decode);
        assert_eq!(error.message(), "timestamp needs 4 bytes, 2 are left");
        assert_eq!(reader.remaining(), 2);
    }
}
