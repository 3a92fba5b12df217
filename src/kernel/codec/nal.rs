//! NAL units of AVC and HEVC in their two wrappings: behind their length (ISO/IEC 14496-15, "AVCC"), and behind start
//! codes (ITU-T H.264 and H.265 annex B).

use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// A start code with the zero byte that opens an access unit.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// How many bytes the length before each NAL unit has: lengthSizeMinusOne of a configuration record, plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthSize(u8);

impl LengthSize {
    /// What almost all encoders use.
    pub const FOUR: LengthSize = LengthSize(4);

    /// From the two bits lengthSizeMinusOne. 2, so three bytes, is not allowed; fails with [`ErrorCode::HlsDecode`].
    pub fn from_minus_one(bits: u8) -> Result<Self> {
        match bits & 3 {
            2 => Err(Error::new(ErrorCode::HlsDecode, "lengthSizeMinusOne is 2")),
            bits => Ok(LengthSize(bits + 1)),
        }
    }

    /// The two bits lengthSizeMinusOne.
    pub fn minus_one(self) -> u8 {
        self.0 - 1
    }

    /// Bytes: 1, 2 or 4.
    pub fn bytes(self) -> usize {
        usize::from(self.0)
    }
}

/// Goes over NAL units behind their lengths. NAL units of 0 bytes, which some cameras send, are passed over.
/// Ends after the first fault: a length beyond the end, [`ErrorCode::HlsAvcFrame`].
#[derive(Clone, Debug)]
pub struct AvccNals<'a> {
    rest: &'a [u8],
    length: LengthSize,
}

impl<'a> AvccNals<'a> {
    /// Goes over `frame`, the payload of a video message.
    pub fn new(frame: &'a [u8], length: LengthSize) -> Self {
        AvccNals { rest: frame, length }
    }

    fn step(&mut self) -> Option<Result<&'a [u8]>> {
        let whole = std::mem::take(&mut self.rest);
        if whole.is_empty() {
            return None;
        }
        let cut = || {
            let (have, length) = (whole.len(), self.length.0);
            Error::new(
                ErrorCode::HlsAvcFrame,
                format!("NAL unit length of {length} bytes goes beyond the {have} that are left"),
            )
        };
        let Some((length, rest)) = whole.split_at_checked(self.length.bytes()) else {
            return Some(Err(cut()));
        };
        let length = length.iter().fold(0u32, |length, byte| length << 8 | u32::from(*byte));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((nal, rest)) = rest.split_at_checked(length) else {
            return Some(Err(cut()));
        };
        self.rest = rest;
        Some(Ok(nal))
    }
}

impl<'a> Iterator for AvccNals<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step()? {
                Ok([]) => continue,
                other => return Some(other),
            }
        }
    }
}

/// Goes over NAL units behind start codes of three bytes, with any number of zero bytes before them. Bytes before the
/// first start code, and NAL units of 0 bytes, are passed over.
#[derive(Clone, Debug)]
pub struct AnnexBNals<'a> {
    /// Starts behind a start code; none at the end.
    rest: Option<&'a [u8]>,
}

impl<'a> AnnexBNals<'a> {
    /// Goes over a byte stream that holds whole NAL units.
    pub fn new(stream: &'a [u8]) -> Self {
        let rest = find_start_code(stream).and_then(|at| stream.get(at + 3..));
        AnnexBNals { rest }
    }
}

impl<'a> Iterator for AnnexBNals<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.rest.take()?;
            let nal = match find_start_code(rest) {
                Some(at) => {
                    self.rest = rest.get(at + 3..);
                    &rest[..at]
                }
                None => rest,
            };
            let nal = trim_zeros(nal);
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    }
}

/// Whether bytes start as a stream with start codes does.
pub fn is_annex_b(bytes: &[u8]) -> bool {
    bytes.starts_with(&START_CODE) || bytes.starts_with(&START_CODE[1..])
}

/// Appends a NAL unit behind a start code of four bytes.
pub fn put_annex_b(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}

/// Appends a NAL unit behind its length in four bytes. Fails with [`ErrorCode::HlsAvcFrame`] above 4 GB.
pub fn put_avcc(out: &mut Vec<u8>, nal: &[u8]) -> Result<()> {
    let length = u32::try_from(nal.len()).map_err(|_| {
        Error::new(
            ErrorCode::HlsAvcFrame,
            format!("NAL unit of {} bytes is above 4 GB", nal.len()),
        )
    })?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(nal);
    Ok(())
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    // A start code ends in 1 and has zeros before: most bytes are passed three at a time.
    let mut at = 2;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            0 => at += 1,
            1 if bytes[at - 1] == 0 && bytes[at - 2] == 0 => return Some(at - 2),
            _ => at += 3,
        }
    }
    None
}

/// Takes trailing_zero_8bits and the first zero of a four-byte start code off the end; a NAL unit never ends in zero.
fn trim_zeros(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &nal[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn avcc(frame: &[u8], minus_one: u8) -> Result<Vec<&[u8]>> {
        AvccNals::new(frame, LengthSize::from_minus_one(minus_one)?).collect()
    }

    #[test]
    fn lengths_of_one_two_and_four_bytes() {
        assert_eq!(avcc(&[1, 0x65, 2, 0x41, 9], 0).unwrap(), [&[0x65][..], &[0x41, 9]]);
        assert_eq!(
            avcc(&[0, 1, 0x65, 0, 2, 0x41, 9], 1).unwrap(),
            [&[0x65][..], &[0x41, 9]]
        );
        assert_eq!(avcc(&[0, 0, 0, 1, 0x65], 3).unwrap(), [&[0x65][..]]);
        assert_eq!(avcc(&[], 2).unwrap_err().code(), ErrorCode::HlsDecode);
        assert_eq!(LengthSize::from_minus_one(0xff).unwrap(), LengthSize::FOUR);
        assert_eq!(LengthSize::FOUR.minus_one(), 3);
    }

    #[test]
    fn empty_nal_units_are_passed_over_and_long_ones_refused() {
        assert_eq!(
            avcc(&[0, 0, 0, 0, 0, 0, 0, 1, 0x65, 0, 0, 0, 0], 3).unwrap(),
            [&[0x65][..]]
        );
        for frame in [&[0, 0, 0, 2, 0x65][..], &[0, 0, 1], &[0xff; 9], &[0, 0, 0, 1, 0x65, 0]] {
            assert_eq!(avcc(frame, 3).unwrap_err().code(), ErrorCode::HlsAvcFrame);
        }
        let mut nals = AvccNals::new(&[0xff; 9], LengthSize::FOUR);
        assert!(nals.next().unwrap().is_err());
        assert!(nals.next().is_none());
    }

    #[test]
    fn start_codes_of_three_and_four_bytes() {
        let stream = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 0, 0, 0, 0, 1, 0x65, 0, 0, 3, 0, 0];
        let nals: Vec<&[u8]> = AnnexBNals::new(&stream).collect();
        assert_eq!(nals, [&[0x67, 1][..], &[0x68], &[0x65, 0, 0, 3]]);
        assert!(is_annex_b(&stream) && is_annex_b(&[0, 0, 1]) && !is_annex_b(&[0, 0, 2]));
        assert_eq!(AnnexBNals::new(&[1, 2, 3, 0, 0]).count(), 0);
        assert_eq!(AnnexBNals::new(&[9, 0, 0, 1, 0, 0, 1, 0x41]).count(), 1);
        assert_eq!(AnnexBNals::new(&[0, 0, 1]).count(), 0);
    }

    #[test]
    fn the_quick_search_finds_what_the_plain_one_finds() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..3000 {
            let bytes: Vec<u8> = (0..random.usize(..24)).map(|_| random.u8(..3)).collect();
            let plain = bytes.windows(3).position(|three| three == [0, 0, 1]);
            assert_eq!(find_start_code(&bytes), plain, "{bytes:?}");
            let _ = avcc(&bytes, random.u8(..4));
        }
    }

    #[test]
    fn both_wrappings_keep_the_nal_units() {
        let nals = [&[0x67, 0x42][..], &[0x68], &[0x65, 0, 0, 3, 1]];
        let (mut annex_b, mut lengths) = (Vec::new(), Vec::new());
        for nal in nals {
            put_annex_b(&mut annex_b, nal);
            put_avcc(&mut lengths, nal).unwrap();
        }
        assert!(AnnexBNals::new(&annex_b).eq(nals));
        assert_eq!(avcc(&lengths, 3).unwrap(), nals);
    }
}
