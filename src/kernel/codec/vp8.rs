//! VP8: the start of a keyframe (RFC 6386, 9.1), the only place where its size stands.

use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The start of a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyframeHeader {
    /// Pixels, 0 to 16,383, before scaling.
    pub width: u32,
    /// Pixels, 0 to 16,383, before scaling.
    pub height: u32,
}

impl KeyframeHeader {
    /// Reads the frame tag and what follows; none if it is no keyframe. Fails with [`ErrorCode::HlsDecode`].
    pub fn parse(frame: &[u8]) -> Result<Option<Self>> {
        match *frame {
            [tag, _, _, ..] if tag & 1 == 1 => Ok(None),
            [_, _, _, 0x9d, 0x01, 0x2a, width0, width1, height0, height1, ..] => Ok(Some(KeyframeHeader {
                width: u32::from(u16::from_le_bytes([width0, width1]) & 0x3fff),
                height: u32::from(u16::from_le_bytes([height0, height1]) & 0x3fff),
            })),
            _ => Err(Error::new(
                ErrorCode::HlsDecode,
                format!("VP8 frame of {} bytes has no keyframe start code", frame.len()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyframe_tells_its_size() {
        // 322x182 by libvpx.
        let frame = [0xb0, 0x5a, 0x00, 0x9d, 0x01, 0x2a, 0x42, 0x01, 0xb6, 0x00, 0x00, 0x47];
        let header = KeyframeHeader::parse(&frame).unwrap().unwrap();
        assert_eq!((header.width, header.height), (322, 182));
        assert_eq!(KeyframeHeader::parse(&[0x31, 0, 0]).unwrap(), None);
        for cut in 0..10 {
            assert!(KeyframeHeader::parse(&frame[..cut]).is_err());
        }
    }
}
