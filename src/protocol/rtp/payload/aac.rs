//! AAC in RTP (RFC 3640): the modes AAC-hbr and AAC-lbr, without interleaving.

use bytes::Bytes;

use crate::core::limits::RTP_AAC_FRAMES;
use crate::kernel::bits::BitReader;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtp::reorder::Ordered;

/// The longest AAC frame, bytes: six channels of 6144 bits are 4.6 KB.
const FRAME_BYTES_MAX: usize = 16 << 10;

/// Takes frames out of packets.
#[derive(Clone, Debug)]
pub struct AacDepacketizer {
    size_length: u32,
    index_length: u32,
    /// A frame of which the first packets are here: its timestamp, its size, what has come.
    partial: Option<(u32, usize, Vec<u8>)>,
}

impl AacDepacketizer {
    /// With the lengths of a header's fields, bits: `sizelength` and `indexlength` of the description. Fails with
    /// [`ErrorCode::RtspAudioConfig`] on those that make no sense.
    pub fn new(size_length: u32, index_length: u32) -> Result<Self> {
        if !(1..=16).contains(&size_length) || index_length > 8 {
            let text = format!("AAC in RTP with sizelength {size_length} and indexlength {index_length}");
            return Err(Error::new(ErrorCode::RtspAudioConfig, text));
        }
        Ok(AacDepacketizer {
            size_length,
            index_length,
            partial: None,
        })
    }

    /// Takes the next packet and appends its frames, without ADTS. Each plays 1024 samples after the one before it;
    /// the first is heard at the packet's timestamp. Fails with [`ErrorCode::RtspP97Corrupt`] on a payload that makes
    /// no sense; its frames are lost.
    pub fn push(&mut self, ordered: &Ordered, out: &mut Vec<Bytes>) -> Result<()> {
        let packet = &ordered.packet;
        if ordered.after_loss {
            self.partial = None;
        }
        if packet.payload.is_empty() {
            return Ok(());
        }
        let sizes = self.sizes(&packet.payload)?;
        let (sizes, mut rest) = (sizes.0, packet.payload.slice(sizes.1..));
        if let [size] = sizes[..]
            && (size > rest.len() || self.partial.is_some())
        {
            return self.fragment(packet.timestamp, size, &rest, out);
        }
        self.partial = None;
        for size in sizes {
            if size > rest.len() {
                return Err(corrupt(format!("frame of {size} bytes, {} are left", rest.len())));
            }
            out.push(rest.split_to(size));
        }
        Ok(())
    }

    /// The sizes of the frames, and where the first one starts.
    fn sizes(&self, payload: &[u8]) -> Result<(Vec<usize>, usize)> {
        let Some((length, rest)) = payload.split_first_chunk::<2>() else {
            return Err(corrupt("no room for the headers' length".to_owned()));
        };
        let header_bits = u32::from(u16::from_be_bytes(*length));
        let header_bytes = header_bits.div_ceil(8) as usize;
        let Some(headers) = rest.get(..header_bytes) else {
            return Err(corrupt(format!(
                "headers of {header_bits} bits, {} bytes are left",
                rest.len()
            )));
        };
        let count = (header_bits / (self.size_length + self.index_length)) as usize;
        if count == 0 || count > RTP_AAC_FRAMES {
            return Err(corrupt(format!("{count} frames")));
        }
        let mut bits = BitReader::new(headers, ErrorCode::RtspP97Corrupt);
        let mut sizes = Vec::with_capacity(count);
        for _ in 0..count {
            sizes.push(bits.bits(self.size_length, "AU-size")? as usize);
            bits.skip(self.index_length, "AU-index")?;
        }
        Ok((sizes, 2 + header_bytes))
    }

    /// A frame that goes over packets; all of them tell its whole size.
    fn fragment(&mut self, timestamp: u32, size: usize, part: &[u8], out: &mut Vec<Bytes>) -> Result<()> {
        let partial = self
            .partial
            .take()
            .filter(|(old, old_size, _)| (*old, *old_size) == (timestamp, size));
        let mut bytes = partial.map(|(_, _, bytes)| bytes).unwrap_or_default();
        bytes.extend_from_slice(part);
        if size > FRAME_BYTES_MAX || bytes.len() > size {
            return Err(corrupt(format!(
                "frame of {size} bytes in fragments of {}",
                bytes.len()
            )));
        }
        if bytes.len() == size {
            out.push(bytes.into());
        } else {
            self.partial = Some((timestamp, size, bytes));
        }
        Ok(())
    }
}

#[cold]
fn corrupt(what: String) -> Error {
    Error::new(ErrorCode::RtspP97Corrupt, format!("RTP payload of AAC: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::Packet;

    fn push(depacketizer: &mut AacDepacketizer, payload: &[u8]) -> Result<Vec<Vec<u8>>> {
        let packet = Packet {
            marker: true,
            payload_type: 97,
            sequence: 0,
            timestamp: 5,
            ssrc: 1,
            payload: Bytes::copy_from_slice(payload),
        };
        let ordered = Ordered {
            packet,
            after_loss: false,
        };
        let mut out = Vec::new();
        depacketizer.push(&ordered, &mut out)?;
        Ok(out.iter().map(|frame| frame.to_vec()).collect())
    }

    #[test]
    fn frames_share_packets_and_go_over_them() {
        let mut hbr = AacDepacketizer::new(13, 3).unwrap();
        // Two frames of 2 and 3 bytes: sizes in 13 bits.
        let payload = [0, 32, 0, 2 << 3, 0, 3 << 3, 1, 2, 3, 4, 5];
        assert_eq!(push(&mut hbr, &payload).unwrap(), [&[1, 2][..], &[3, 4, 5]]);
        assert!(push(&mut hbr, &[0, 16, 0, 4 << 3, 1, 2]).unwrap().is_empty());
        assert_eq!(push(&mut hbr, &[0, 16, 0, 4 << 3, 3, 4]).unwrap(), [[1, 2, 3, 4]]);
        assert!(AacDepacketizer::new(0, 3).is_err() && AacDepacketizer::new(13, 9).is_err());
    }

    #[test]
    fn faults_are_named_and_never_panic() {
        let mut hbr = AacDepacketizer::new(13, 3).unwrap();
        for payload in [
            &[0][..],
            &[0, 0, 1],
            &[0, 32, 0, 16],
            &[0, 32, 0, 16, 0, 24, 1, 2],
            &[0xff; 9],
        ] {
            let error = push(&mut hbr, payload).unwrap_err();
            assert_eq!(error.code(), ErrorCode::RtspP97Corrupt, "{payload:?}");
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..5000 {
            let payload: Vec<u8> = (0..random.usize(..12)).map(|_| random.u8(..64)).collect();
            let _ = push(&mut hbr, &payload);
        }
    }
}
