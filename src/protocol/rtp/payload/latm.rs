//! AAC in RTP as LATM (RFC 6416), with its configuration in the description: what GStreamer sends.

use bytes::Bytes;

use crate::core::limits::RTP_AAC_FRAMES;
use crate::kernel::bits::BitReader;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtp::reorder::Ordered;

/// The longest AudioMuxElement, bytes.
const ELEMENT_BYTES_MAX: usize = 64 << 10;

/// Takes frames out of packets.
#[derive(Clone, Debug)]
pub struct LatmDepacketizer {
    /// In one AudioMuxElement.
    frames: usize,
    /// An element of which the first packets are here.
    partial: Vec<u8>,
    /// The rest of the present element is of no use: its begin was lost.
    is_broken: bool,
}

impl LatmDepacketizer {
    /// With the StreamMuxConfig (ISO 14496-3, 1.7.3) of the description; gives its AudioSpecificConfig too, which other
    /// bits follow. Fails with [`ErrorCode::RtspAudioConfig`] on one of several programs or layers, and on other versions.
    pub fn new(config: &[u8]) -> Result<(Self, Vec<u8>)> {
        let mut bits = BitReader::new(config, ErrorCode::RtspAudioConfig);
        let version = bits.flag("audioMuxVersion")?;
        let same_framing = bits.flag("allStreamsSameTimeFraming")?;
        let frames = bits.bits(6, "numSubFrames")? as usize + 1;
        let others = bits.bits(4, "numProgram")? + bits.bits(3, "numLayer")?;
        if version || !same_framing || others > 0 || frames > RTP_AAC_FRAMES {
            let text = "LATM of another version, or of several programs or layers";
            return Err(Error::new(ErrorCode::RtspAudioConfig, text));
        }
        let mut audio = Vec::new();
        while bits.remaining() >= 8 {
            audio.push(bits.bits(8, "AudioSpecificConfig")? as u8);
        }
        let rest = bits.remaining() as u32;
        audio.push((bits.bits(rest, "AudioSpecificConfig")? << (8 - rest)) as u8);
        Ok((
            LatmDepacketizer {
                frames,
                partial: Vec::new(),
                is_broken: false,
            },
            audio,
        ))
    }

    /// Takes the next packet and appends the frames of the element that ends with it, without ADTS. Each plays 1024
    /// samples after the one before it; the first is heard at the packet's timestamp. Fails with
    /// [`ErrorCode::RtspP97Corrupt`] on a payload that makes no sense; its frames are lost.
    pub fn push(&mut self, ordered: &Ordered, out: &mut Vec<Bytes>) -> Result<()> {
        let packet = &ordered.packet;
        if ordered.after_loss {
            // Whether this packet begins an element, nothing tells: only the one after a marker does.
            self.is_broken = true;
        }
        if self.is_broken {
            self.partial.clear();
            self.is_broken = !packet.marker;
            return Ok(());
        }
        if self.partial.len() + packet.payload.len() > ELEMENT_BYTES_MAX {
            self.partial.clear();
            self.is_broken = !packet.marker;
            return Err(corrupt("an element that does not end"));
        }
        if !packet.marker {
            self.partial.extend_from_slice(&packet.payload);
            return Ok(());
        }
        if self.partial.is_empty() {
            return self.split(packet.payload.clone(), out);
        }
        self.partial.extend_from_slice(&packet.payload);
        let element = std::mem::take(&mut self.partial);
        self.split(element.into(), out)
    }

    /// AudioMuxElement without StreamMuxConfig: each frame behind its length.
    fn split(&self, mut element: Bytes, out: &mut Vec<Bytes>) -> Result<()> {
        for _ in 0..self.frames {
            let full = element.iter().take_while(|byte| **byte == u8::MAX).count();
            let Some(last) = element.get(full) else {
                return Err(corrupt("no room for a frame's length"));
            };
            let size = full * usize::from(u8::MAX) + usize::from(*last);
            let _ = element.split_to(full + 1);
            if size > element.len() {
                return Err(corrupt("a frame that is longer than its packet"));
            }
            out.push(element.split_to(size));
        }
        Ok(())
    }
}

#[cold]
fn corrupt(what: &str) -> Error {
    Error::new(ErrorCode::RtspP97Corrupt, format!("RTP payload of LATM: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::codec::aac::AudioSpecificConfig;
    use crate::protocol::rtp::Packet;

    /// AAC-LC, 44100 Hz, one channel, as GStreamer describes it.
    const CONFIG: [u8; 6] = [0x40, 0x00, 0x24, 0x10, 0x3f, 0xc0];

    fn push(latm: &mut LatmDepacketizer, payload: &[u8], marker: bool, after_loss: bool) -> Result<Vec<Vec<u8>>> {
        let packet = Packet {
            marker,
            payload_type: 97,
            sequence: 0,
            timestamp: 5,
            ssrc: 1,
            payload: Bytes::copy_from_slice(payload),
        };
        let mut out = Vec::new();
        latm.push(&Ordered { packet, after_loss }, &mut out)?;
        Ok(out.iter().map(|frame| frame.to_vec()).collect())
    }

    #[test]
    fn the_configuration_is_found() {
        let (_, audio) = LatmDepacketizer::new(&CONFIG).unwrap();
        let config = AudioSpecificConfig::parse(&audio).unwrap();
        assert_eq!((config.sample_rate, config.channel_configuration), (44_100, 1));
        for length in 0..2 {
            assert!(LatmDepacketizer::new(&CONFIG[..length]).is_err());
        }
        for (first, second) in [(0xc0, 0), (0, 0), (0x40, 0x10), (0x40, 0x02)] {
            let error = LatmDepacketizer::new(&[first, second, 0x24, 0x10]).unwrap_err();
            assert_eq!(error.code(), ErrorCode::RtspAudioConfig);
        }
    }

    #[test]
    fn frames_have_lengths_and_go_over_packets() {
        let (mut latm, _) = LatmDepacketizer::new(&CONFIG).unwrap();
        assert_eq!(push(&mut latm, &[2, 7, 8], true, false).unwrap(), [[7, 8]]);
        let long: Vec<u8> = (0..300).map(|n| n as u8).collect();
        let element = [&[255, 45][..], &long].concat();
        assert!(push(&mut latm, &element[..100], false, false).unwrap().is_empty());
        assert_eq!(push(&mut latm, &element[100..], true, false).unwrap(), [long]);
    }

    #[test]
    fn a_loss_costs_the_element_it_is_in() {
        let (mut latm, _) = LatmDepacketizer::new(&CONFIG).unwrap();
        assert!(push(&mut latm, &[4, 1, 2], false, false).unwrap().is_empty());
        assert!(push(&mut latm, &[3, 4], true, true).unwrap().is_empty());
        assert_eq!(push(&mut latm, &[1, 9], true, false).unwrap(), [[9]]);
    }

    #[test]
    fn faults_are_named_and_never_panic() {
        let (mut latm, _) = LatmDepacketizer::new(&CONFIG).unwrap();
        for payload in [&[][..], &[255], &[3, 1, 2]] {
            let error = push(&mut latm, payload, true, false).unwrap_err();
            assert_eq!(error.code(), ErrorCode::RtspP97Corrupt, "{payload:?}");
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..5000 {
            let bytes: Vec<u8> = (0..random.usize(..12)).map(|_| random.u8(..)).collect();
            let _ = push(&mut latm, &bytes, random.bool(), random.bool());
            let _ = LatmDepacketizer::new(&bytes);
        }
        // The random packets may have ended within an element that is broken.
        let (mut latm, _) = LatmDepacketizer::new(&CONFIG).unwrap();
        assert!((0..10).any(|_| push(&mut latm, &[0; 10_000], false, false).is_err()));
    }
}
