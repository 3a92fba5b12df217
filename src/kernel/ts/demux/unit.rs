//! Puts PES packets together (ISO/IEC 13818-1, 2.4.3.6 and 2.4.3.7) and reads their headers.

use bytes::Bytes;

use super::packet::Packet;
use crate::core::limits::TS_UNIT_BYTES;
use crate::kernel::buf::Reader;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The bytes before PES_packet_length ends.
const START_BYTES: usize = 6;
/// A buffer for the next unit starts with no more than this, bytes.
const FIRST_BYTES_MAX: usize = 64 << 10;

/// How a packet follows the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Nothing is missing.
    Next,
    /// It was there before (2.4.3.3 lets a packet come twice), or has nothing of the stream.
    Repeat,
    /// Packets are missing before it.
    Jump,
}

/// Watches the continuity counter of one PID.
#[derive(Clone, Copy, Debug, Default)]
pub struct Continuity {
    last: Option<u8>,
}

impl Continuity {
    /// Takes the next packet of the PID.
    pub fn check(&mut self, packet: &Packet<'_>) -> Arrival {
        if packet.payload.is_none() {
            return Arrival::Repeat;
        }
        match self.last.replace(packet.continuity) {
            None => Arrival::Next,
            Some(last) if packet.continuity == (last + 1) & 0x0f => Arrival::Next,
            Some(_) if packet.discontinuity => Arrival::Next,
            Some(last) if packet.continuity == last => Arrival::Repeat,
            Some(_) => Arrival::Jump,
        }
    }
}

/// The time stamps of a PES packet, 33 bits of 90 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawStamps {
    /// PTS.
    pub presentation: u64,
    /// DTS, which is the PTS if it is not told.
    pub decoding: u64,
}

/// A whole PES packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawUnit {
    /// Its times; none if the header has none.
    pub stamps: Option<RawStamps>,
    /// Decoding can start here, said the packet that it began in.
    pub random_access: bool,
    /// What is behind the header.
    pub payload: Bytes,
}

/// Puts the PES packets of one PID together. Holds at most [`TS_UNIT_BYTES`].
#[derive(Clone, Debug, Default)]
pub struct Assembler {
    bytes: Vec<u8>,
    /// Between its first and its last packet.
    is_open: bool,
    random_access: bool,
    /// How long the unit before was.
    last_bytes: usize,
}

impl Assembler {
    /// Forgets what has begun: packets were lost. Says whether there was something to forget.
    pub fn reset(&mut self) -> bool {
        self.bytes = Vec::new();
        std::mem::take(&mut self.is_open)
    }

    /// Takes what a packet has of the stream and gives the units that end with it to `each`: one that had no length, and
    /// one that reaches it. Fails with [`ErrorCode::CasterTsPse`] on what is no PES packet or is too large; what has
    /// begun is dropped then.
    pub fn push(&mut self, packet: &Packet<'_>, mut each: impl FnMut(RawUnit)) -> Result<()> {
        let mut result = Ok(());
        if packet.unit_start {
            result = self.finish().map(|unit| unit.into_iter().for_each(&mut each));
            self.is_open = true;
            self.random_access = packet.random_access;
            self.bytes.reserve(self.last_bytes.min(FIRST_BYTES_MAX));
        }
        if !self.is_open {
            return result;
        }
        self.bytes.extend_from_slice(packet.payload.unwrap_or_default());
        if self.bytes.len() > TS_UNIT_BYTES {
            self.reset();
            let text = format!("TS unit of PID {} is above {TS_UNIT_BYTES} bytes", packet.pid);
            return Err(Error::new(ErrorCode::CasterTsPse, text));
        }
        if self.is_complete() {
            self.finish()?.into_iter().for_each(&mut each);
        }
        result
    }

    /// Ends the unit that has begun; none if there is none, or if it is shorter than it says.
    /// Fails with [`ErrorCode::CasterTsPse`] on a header that makes no sense.
    pub fn finish(&mut self) -> Result<Option<RawUnit>> {
        if !std::mem::take(&mut self.is_open) {
            return Ok(None);
        }
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        self.last_bytes = bytes.len();
        let Some(header) = Header::parse(&bytes)? else {
            return Ok(None);
        };
        let end = header.end.unwrap_or(bytes.len());
        if end > bytes.len() || header.bytes > end {
            let text = format!("PES packet tells {end} bytes and has {}", bytes.len());
            return Err(Error::new(ErrorCode::CasterTsPse, text));
        }
        Ok(Some(RawUnit {
            stamps: header.stamps,
            random_access: self.random_access,
            payload: bytes.slice(header.bytes..end),
        }))
    }

    /// Whether all bytes are there that the length tells; one without a length ends where the next begins.
    fn is_complete(&self) -> bool {
        let length = self
            .bytes
            .first_chunk()
            .map(|[.., high, low]: &[u8; START_BYTES]| [*high, *low]);
        match length.map(u16::from_be_bytes) {
            None | Some(0) => false,
            Some(length) => self.bytes.len() >= START_BYTES + usize::from(length),
        }
    }
}

/// What stands before the payload.
struct Header {
    /// Bytes before the payload.
    bytes: usize,
    /// Where the PES packet ends; none if it tells no length.
    end: Option<usize>,
    stamps: Option<RawStamps>,
}

impl Header {
    /// None for a stream_id whose packets have no header and no media, such as padding.
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let mut reader = Reader::new(bytes, ErrorCode::CasterTsPse);
        let r = &mut reader;
        let prefix = r.u24("packet_start_code_prefix")?;
        if prefix != 1 {
            let text = format!("PES packet starts with {prefix:#08x}");
            return Err(Error::new(ErrorCode::CasterTsPse, text));
        }
        let stream_id = r.u8("stream_id")?;
        let length = usize::from(r.u16("PES_packet_length")?);
        if matches!(stream_id, 0xbc | 0xbe | 0xbf | 0xf0..=0xf2 | 0xf8 | 0xff) {
            return Ok(None);
        }
        let marks = r.u8("PES flags")?;
        if marks >> 6 != 2 {
            let text = format!(
                "PES header of stream {stream_id:#04x} has marker bits {:#04b}",
                marks >> 6
            );
            return Err(Error::new(ErrorCode::CasterTsPse, text));
        }
        let flags = r.u8("PTS_DTS_flags")?;
        let header_bytes = usize::from(r.u8("PES_header_data_length")?);
        let mut fields = Reader::new(r.bytes(header_bytes, "PES header data")?, ErrorCode::CasterTsPse);
        let stamps = match flags >> 6 {
            2 => {
                let presentation = stamp(&mut fields, "PTS")?;
                Some((presentation, presentation))
            }
            3 => Some((stamp(&mut fields, "PTS")?, stamp(&mut fields, "DTS")?)),
            _ => None,
        };
        Ok(Some(Header {
            bytes: bytes.len() - r.remaining(),
            end: (length > 0).then_some(START_BYTES + length),
            stamps: stamps.map(|(presentation, decoding)| RawStamps { presentation, decoding }),
        }))
    }
}

/// 3, 15 and 15 bits with a marker bit behind each; markers are not looked at, as some senders forget them.
fn stamp(reader: &mut Reader<'_>, field: &'static str) -> Result<u64> {
    let high = u64::from(reader.u8(field)? >> 1 & 7);
    let middle = u64::from(reader.u16(field)? >> 1);
    let low = u64::from(reader.u16(field)? >> 1);
    Ok(high << 30 | middle << 15 | low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::ts::packet::{Adaptation, PidWriter, TICKS_MASK};
    use crate::kernel::ts::pes::{self, Stamps};

    fn unit(stamps: Stamps, payload: &[u8]) -> Vec<u8> {
        let mut unit = Vec::new();
        pes::put_header(&mut unit, pes::VIDEO_STREAM_ID, stamps);
        unit.extend_from_slice(payload);
        pes::finish(&mut unit);
        unit
    }

    fn assemble(units: &[Vec<u8>]) -> Vec<RawUnit> {
        let (mut writer, mut out) = (PidWriter::new(0x100), Vec::new());
        for unit in units {
            writer.put_unit(&mut out, Adaptation::default(), unit);
        }
        let (mut assembler, mut seen) = (Assembler::default(), Vec::new());
        for packet in out.as_chunks().0 {
            let packet = Packet::parse(packet).unwrap();
            assembler.push(&packet, |unit| seen.push(unit)).unwrap();
        }
        seen.extend(assembler.finish().unwrap());
        seen
    }

    #[test]
    fn units_of_all_sizes_come_back() {
        for size in (0..700).chain([65_000, 70_000, 300_000]) {
            let stamps = Stamps {
                presentation: -1,
                decoding: 1 << 30,
            };
            let payload = vec![7; size];
            let units = assemble(&[unit(stamps, &payload), unit(stamps, &[9])]);
            assert_eq!(units.len(), 2, "{size} bytes");
            assert_eq!(units[0].payload, payload);
            let expected = RawStamps {
                presentation: TICKS_MASK,
                decoding: 1 << 30,
            };
            assert_eq!(units[0].stamps, Some(expected));
            assert_eq!(&units[1].payload[..], [9]);
        }
    }

    #[test]
    fn a_unit_with_a_length_does_not_wait_for_the_next() {
        let stamps = Stamps {
            presentation: 5,
            decoding: 5,
        };
        let mut out = Vec::new();
        PidWriter::new(9).put_unit(&mut out, Adaptation::default(), &unit(stamps, &[1; 400]));
        let mut count = 0;
        let mut assembler = Assembler::default();
        for packet in out.as_chunks().0 {
            let packet = Packet::parse(packet).unwrap();
            assembler.push(&packet, |_| count += 1).unwrap();
        }
        assert_eq!((count, assembler.finish().unwrap()), (1, None));
    }

    #[test]
    fn a_unit_without_end_is_dropped_at_the_bound() {
        let packet = |unit_start| Packet {
            pid: 1,
            unit_start,
            continuity: 0,
            discontinuity: false,
            random_access: false,
            payload: Some(&[0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0, 9]),
        };
        let mut assembler = Assembler::default();
        assembler.push(&packet(true), |_| ()).unwrap();
        let mut pushes = 0usize;
        while assembler.push(&packet(false), |_| ()).is_ok() {
            pushes += 1;
            assert!(pushes <= TS_UNIT_BYTES / 10);
        }
        assert_eq!(pushes, TS_UNIT_BYTES / 10 - 1);
        assert!(!assembler.reset());
    }

    #[test]
    fn counters_tell_repeats_and_jumps() {
        let packet = |continuity, discontinuity, payload| Packet {
            pid: 1,
            unit_start: false,
            continuity,
            discontinuity,
            random_access: false,
            payload,
        };
        let mut watch = Continuity::default();
        let mut check = |continuity, jumps| watch.check(&packet(continuity, jumps, Some(&[])));
        let seen = [(14, false), (15, false), (0, false), (0, false), (2, false), (9, true)];
        let arrivals = seen.map(|(continuity, jumps)| check(continuity, jumps));
        use Arrival::{Jump, Next, Repeat};
        assert_eq!(arrivals, [Next, Next, Next, Repeat, Jump, Next]);
        assert_eq!(watch.check(&packet(9, false, None)), Repeat);
    }

    #[test]
    fn cut_and_changed_headers_never_panic() {
        let stamps = Stamps {
            presentation: 9000,
            decoding: 3600,
        };
        let whole = unit(stamps, &[1, 2, 3]);
        let mut random = fastrand::Rng::with_seed(2);
        for cut in 0..whole.len() {
            assert!(Header::parse(&whole[..cut]).is_err() || cut >= 19);
        }
        for _ in 0..5000 {
            let mut changed = whole.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..changed.len());
                changed[at] = random.u8(..);
            }
            let mut assembler = Assembler {
                bytes: changed,
                is_open: true,
                ..Assembler::default()
            };
            let _ = assembler.finish();
        }
    }
}
