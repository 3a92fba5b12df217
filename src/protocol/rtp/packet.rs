//! RTP packets (RFC 3550, 5.1).

use bytes::Bytes;

use crate::kernel::buf::{Put, Reader};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// M: for pictures, the last packet of an access unit.
    pub marker: bool,
    /// PT, 0 to 127.
    pub payload_type: u8,
    /// Counts packets, modulo 2^16.
    pub sequence: u16,
    /// Ticks of the clock that the payload type has, modulo 2^32.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
    /// Without header, extension and padding.
    pub payload: Bytes,
}

impl Packet {
    /// Reads a packet; contributing sources and extensions are passed over. Fails with [`ErrorCode::RtcRtpHeader`].
    pub fn parse(bytes: &Bytes) -> Result<Self> {
        let mut reader = Reader::new(bytes, ErrorCode::RtcRtpHeader);
        let r = &mut reader;
        let flags = r.u8("RTP flags")?;
        if flags >> 6 != 2 {
            return Err(Error::new(
                ErrorCode::RtcRtpHeader,
                format!("RTP version is {}", flags >> 6),
            ));
        }
        let kind = r.u8("RTP payload type")?;
        let (sequence, timestamp, ssrc) = (r.u16("sequence")?, r.u32("timestamp")?, r.u32("SSRC")?);
        r.skip(usize::from(flags & 0x0f) * 4, "CSRC")?;
        if flags & 0x10 != 0 {
            r.skip(2, "extension profile")?;
            let words = usize::from(r.u16("extension length")?);
            r.skip(words * 4, "extension")?;
        }
        let start = bytes.len() - r.remaining();
        let padding = match flags & 0x20 {
            0 => 0,
            _ => usize::from(r.rest().last().copied().unwrap_or(0)),
        };
        let end = bytes.len().checked_sub(padding).filter(|end| *end >= start);
        let Some(end) = end else {
            let text = format!("RTP padding of {padding} bytes, {} are left", r.remaining());
            return Err(Error::new(ErrorCode::RtcRtpHeader, text));
        };
        Ok(Packet {
            marker: kind & 0x80 != 0,
            payload_type: kind & 0x7f,
            sequence,
            timestamp,
            ssrc,
            payload: bytes.slice(start..end),
        })
    }

    /// Appends the packet, without extensions.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_slice(&[0x80, u8::from(self.marker) << 7 | self.payload_type & 0x7f]);
        out.put_u16(self.sequence);
        out.put_u32(self.timestamp);
        out.put_u32(self.ssrc);
        out.put_slice(&self.payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Packet {
        Packet {
            marker: true,
            payload_type: 96,
            sequence: 65_535,
            timestamp: 0xffff_fff0,
            ssrc: 7,
            payload: Bytes::from_static(&[1, 2, 3]),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        packet().write(&mut bytes);
        assert_eq!(Packet::parse(&bytes.clone().into()).unwrap(), packet());
        // Two sources, an extension of one word, three bytes of padding.
        bytes[0] = 0x80 | 0x20 | 0x10 | 2;
        bytes.splice(12..12, [&[0; 8][..], &[0xbe, 0xde, 0, 1, 9, 9, 9, 9]].concat());
        bytes.extend([0, 0, 3]);
        assert_eq!(Packet::parse(&bytes.into()).unwrap(), packet());
    }

    #[test]
    fn faults_are_refused() {
        let mut bytes = Vec::new();
        packet().write(&mut bytes);
        for cut in 0..12 {
            assert!(Packet::parse(&Bytes::copy_from_slice(&bytes[..cut])).is_err());
        }
        for flags in [0x40, 0x9f, 0x8f, 0xa0] {
            let mut changed = bytes.clone();
            changed[0] = flags;
            // Padding longer than the payload.
            *changed.last_mut().unwrap() = 200;
            assert_eq!(
                Packet::parse(&changed.into()).unwrap_err().code(),
                ErrorCode::RtcRtpHeader,
                "{flags:#x}"
            );
        }
    }
}
