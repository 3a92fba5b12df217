//! Reads transport packets (ISO/IEC 13818-1, 2.4.3.2 to 2.4.3.5), and finds where they start in a run of bytes.

use bytes::{Buf, BytesMut};

use crate::kernel::buf::Reader;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::ts::packet::{PACKET_BYTES, SYNC_BYTE};

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Which stream it belongs to, 13 bits.
    pub pid: u16,
    /// payload_unit_start_indicator: a PES packet or a section starts in it.
    pub unit_start: bool,
    /// continuity_counter, 0 to 15.
    pub continuity: u8,
    /// discontinuity_indicator: the counter or the clock may jump here.
    pub discontinuity: bool,
    /// random_access_indicator: decoding can start here.
    pub random_access: bool,
    /// What it carries of its stream; none if it has an adaptation field alone.
    pub payload: Option<&'a [u8]>,
}

impl<'a> Packet<'a> {
    /// Reads a packet. Fails with [`ErrorCode::CasterTsSync`] without the sync byte, with
    /// [`ErrorCode::CasterTsHeader`] on one that is damaged (transport_error_indicator) or scrambled, and with
    /// [`ErrorCode::CasterTsAdaption`] on an adaptation field beyond its end.
    pub fn parse(bytes: &'a [u8; PACKET_BYTES]) -> Result<Self> {
        let [sync, flags, pid_low, control, body @ ..] = bytes;
        if *sync != SYNC_BYTE {
            let text = format!("TS packet starts with {sync:#04x}");
            return Err(Error::new(ErrorCode::CasterTsSync, text));
        }
        let pid = u16::from_be_bytes([flags & 0x1f, *pid_low]);
        let header_fault = |what| Error::new(ErrorCode::CasterTsHeader, format!("TS packet of PID {pid} is {what}"));
        if flags & 0x80 != 0 {
            return Err(header_fault("marked as damaged"));
        }
        if control & 0xc0 != 0 {
            return Err(header_fault("scrambled"));
        }
        let mut packet = Packet {
            pid,
            unit_start: flags & 0x40 != 0,
            continuity: control & 0x0f,
            discontinuity: false,
            random_access: false,
            payload: None,
        };
        let mut reader = Reader::new(body, ErrorCode::CasterTsAdaption);
        if control & 0x20 != 0 {
            let length = usize::from(reader.u8("adaptation_field_length")?);
            if let Some(flags) = reader.bytes(length, "adaptation field")?.first() {
                packet.discontinuity = flags & 0x80 != 0;
                packet.random_access = flags & 0x40 != 0;
            }
        }
        if control & 0x10 != 0 {
            packet.payload = Some(reader.rest());
        }
        Ok(packet)
    }
}

/// Cuts bytes into packets, however they arrive, and finds the next packet behind bytes that are none.
///
/// Holds what is fed and not yet taken. A caller that takes until nothing comes, after each feed, makes it hold at most
/// two packets and what it fed last.
#[derive(Debug, Default)]
pub struct Cutter {
    buffer: BytesMut,
    /// Bytes were passed over, or nothing was taken yet: the next sync byte needs a second one behind its packet.
    is_lost: bool,
    skipped_bytes: u64,
    /// Bytes were passed over since [`take_loss`](Self::take_loss).
    has_skipped: bool,
}

impl Cutter {
    /// Starts without knowing where packets start.
    pub fn new() -> Self {
        Cutter {
            is_lost: true,
            ..Self::default()
        }
    }

    /// Adds the bytes that follow those fed before.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// How many bytes belonged to no packet, since the start.
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    /// Whether bytes were passed over since the last call: the packet before them may be half another one.
    pub fn take_loss(&mut self) -> bool {
        std::mem::take(&mut self.has_skipped)
    }

    /// The next packet, which starts with the sync byte; none if it needs more bytes.
    pub fn take(&mut self) -> Option<[u8; PACKET_BYTES]> {
        self.is_lost |= self.buffer.first().is_some_and(|byte| *byte != SYNC_BYTE);
        if self.is_lost && !self.search() {
            return None;
        }
        let packet = *self.buffer.first_chunk::<PACKET_BYTES>()?;
        self.buffer.advance(PACKET_BYTES);
        self.is_lost = false;
        Some(packet)
    }

    /// Passes over bytes up to a sync byte that has another one a packet behind it. False if more bytes must tell.
    fn search(&mut self) -> bool {
        let is_sync = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == SYNC_BYTE);
        let candidate = (0..self.buffer.len())
            .find(|at| self.buffer[*at] == SYNC_BYTE && is_sync(self.buffer.get(at + PACKET_BYTES)));
        let at = candidate.unwrap_or(self.buffer.len());
        self.buffer.advance(at);
        self.skipped_bytes += at as u64;
        self.has_skipped |= at > 0;
        self.buffer.len() > PACKET_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::ts::packet::{Adaptation, PidWriter};

    fn packets(count: u8) -> Vec<u8> {
        let (mut writer, mut out) = (PidWriter::new(0x100), Vec::new());
        for number in 0..count {
            writer.put_unit(&mut out, Adaptation::default(), &[number; 184]);
        }
        out
    }

    fn cut(bytes: &[u8], step: usize) -> (Vec<u8>, u64) {
        let mut cutter = Cutter::new();
        let mut numbers = Vec::new();
        for piece in bytes.chunks(step) {
            cutter.feed(piece);
            while let Some(packet) = cutter.take() {
                numbers.push(packet[187]);
            }
            assert!(cutter.buffer.len() <= PACKET_BYTES);
        }
        (numbers, cutter.skipped_bytes())
    }

    #[test]
    fn what_is_written_is_read() {
        let adaptation = Adaptation {
            pcr: Some(1),
            random_access: true,
            discontinuity: true,
        };
        let (mut writer, mut out) = (PidWriter::new(0x1abc), Vec::new());
        writer.put_unit(&mut out, adaptation, &[7; 176]);
        writer.put_adaptation(&mut out, Adaptation::default());
        let (packets, rest) = out.as_chunks();
        assert!(rest.is_empty());
        let first = Packet {
            pid: 0x1abc,
            unit_start: true,
            continuity: 0,
            discontinuity: true,
            random_access: true,
            payload: Some(&[7; 176]),
        };
        assert_eq!(Packet::parse(&packets[0]).unwrap(), first);
        let second = Packet::parse(&packets[1]).unwrap();
        assert_eq!((second.payload, second.unit_start, second.continuity), (None, false, 0));
    }

    #[test]
    fn faults_of_a_packet_are_told_apart() {
        let parse = |start: &[u8]| {
            let mut packet = [0xff; PACKET_BYTES];
            packet[..start.len()].copy_from_slice(start);
            Packet::parse(&packet)
                .map(|packet| packet.payload.map(<[u8]>::len))
                .map_err(|error| error.code())
        };
        assert_eq!(parse(&[0x46, 0x41, 0, 0x10]), Err(ErrorCode::CasterTsSync));
        assert_eq!(parse(&[0x47, 0xc1, 0, 0x10]), Err(ErrorCode::CasterTsHeader));
        assert_eq!(parse(&[0x47, 0x41, 0, 0x90]), Err(ErrorCode::CasterTsHeader));
        assert_eq!(parse(&[0x47, 0x41, 0, 0x30, 184]), Err(ErrorCode::CasterTsAdaption));
        assert_eq!(parse(&[0x47, 0x41, 0, 0x30, 183]), Ok(Some(0)));
        assert_eq!(parse(&[0x47, 0x41, 0, 0x30, 0]), Ok(Some(183)));
        assert_eq!(parse(&[0x47, 0x41, 0, 0x10]), Ok(Some(184)));
    }

    #[test]
    fn pieces_of_any_size_give_the_same_packets() {
        let bytes = packets(9);
        for step in [1, 7, 187, 188, 189, 1316, 4000] {
            let (numbers, skipped) = cut(&bytes, step);
            // The last one may only be waiting for what follows it when packets were never found before.
            assert_eq!((numbers, skipped), ((0..9).collect(), 0), "steps of {step}");
        }
    }

    #[test]
    fn garbage_between_packets_is_passed_over() {
        let bytes = packets(6);
        let garbage = [0x47, 1, 2, 3, 0x47, 0x47, 9];
        let dirty = [&garbage[..], &bytes[..188 * 2], &garbage[..5], &bytes[188 * 2..]].concat();
        for step in [1, 5, 188, 2000] {
            let (numbers, skipped) = cut(&dirty, step);
            // A sync byte in the garbage passes for a packet once; then its packet is the one lost.
            assert!(
                numbers.len() >= 5 && numbers.ends_with(&[4, 5]),
                "{numbers:?} in steps of {step}"
            );
            assert!(skipped >= 7);
        }
        let lost = [&bytes[..188 * 2 + 50], &bytes[188 * 3 + 20..]].concat();
        let (numbers, _) = cut(&lost, 1316);
        assert!(numbers.ends_with(&[4, 5]), "{numbers:?}");
        assert!(cut(&[0; 5000], 100).0.is_empty());
    }
}
