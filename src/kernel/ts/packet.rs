//! Transport packets (ISO/IEC 13818-1, 2.4.3.2 to 2.4.3.5): header, continuity, adaptation field with PCR and stuffing.

/// Bytes of a packet.
pub const PACKET_BYTES: usize = 188;
/// The first byte of each packet.
pub const SYNC_BYTE: u8 = 0x47;
/// Bytes behind a packet's header.
pub const PACKET_BODY_BYTES: usize = PACKET_BYTES - 4;

/// A time stamp of 90 kHz has 33 bits, so it wraps after 26 hours and a half.
pub const TICKS_MASK: u64 = (1 << 33) - 1;

/// What the first packet of a unit says in its adaptation field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adaptation {
    /// program_clock_reference, in ticks of 90 kHz; written modulo 2^33, its 27 MHz extension is 0.
    pub pcr: Option<i64>,
    /// random_access_indicator: decoding can start here.
    pub random_access: bool,
    /// discontinuity_indicator: the program's clock jumps to this PCR.
    pub discontinuity: bool,
}

impl Adaptation {
    /// Bytes without stuffing; 0 if there is nothing to say.
    fn bytes(self) -> usize {
        match self.pcr {
            Some(_) => 8,
            None if self.random_access || self.discontinuity => 2,
            None => 0,
        }
    }

    /// Appends the field, stuffed to `bytes` with its length byte; nothing if `bytes` is 0.
    fn put(self, out: &mut Vec<u8>, bytes: usize) {
        let end = out.len() + bytes;
        if bytes > 0 {
            // At most 184, so it fits.
            out.push((bytes - 1) as u8);
        }
        if bytes > 1 {
            let pcr = u8::from(self.pcr.is_some());
            out.push(u8::from(self.discontinuity) << 7 | u8::from(self.random_access) << 6 | pcr << 4);
            if let Some(ticks) = self.pcr {
                out.extend(pcr_field(ticks));
            }
        }
        out.resize(end, 0xff);
    }
}

/// 33 bits of base, 6 reserved ones, 9 bits of extension (2.4.3.5).
fn pcr_field(ticks: i64) -> [u8; 6] {
    let base = ticks as u64 & TICKS_MASK;
    let [_, _, bytes @ ..] = (base << 15 | 0x3f << 9).to_be_bytes();
    bytes
}

/// Writes the packets of one PID and counts them.
#[derive(Clone, Debug)]
pub struct PidWriter {
    pid: u16,
    continuity: u8,
}

impl PidWriter {
    /// Starts at counter 0. Of `pid` the low 13 bits are used.
    pub fn new(pid: u16) -> Self {
        PidWriter {
            pid: pid & 0x1fff,
            continuity: 0,
        }
    }

    /// Its PID.
    pub fn pid(&self) -> u16 {
        self.pid
    }

    /// Appends a PES packet, which starts a packet of its own; the last one is stuffed.
    pub fn put_unit(&mut self, out: &mut Vec<u8>, adaptation: Adaptation, unit: &[u8]) {
        out.reserve((unit.len() + adaptation.bytes()).div_ceil(PACKET_BODY_BYTES) * PACKET_BYTES);
        let (mut rest, mut adaptation, mut start) = (unit, adaptation, true);
        while !rest.is_empty() {
            let room = PACKET_BODY_BYTES - adaptation.bytes();
            let (now, later) = rest.split_at(rest.len().min(room));
            let field_bytes = PACKET_BODY_BYTES - now.len();
            self.put_header(out, start, field_bytes > 0, true);
            adaptation.put(out, field_bytes);
            out.extend_from_slice(now);
            (rest, adaptation, start) = (later, Adaptation::default(), false);
        }
    }

    /// Appends a section of at most 183 bytes in a packet of its own; what a longer one has more is left out.
    pub fn put_section(&mut self, out: &mut Vec<u8>, section: &[u8]) {
        let end = out.len() + PACKET_BYTES;
        self.put_header(out, true, false, true);
        // pointer_field: the section starts at once.
        out.push(0);
        out.extend_from_slice(section);
        out.resize(end, 0xff);
    }

    /// Appends a packet that carries nothing but an adaptation field.
    pub fn put_adaptation(&mut self, out: &mut Vec<u8>, adaptation: Adaptation) {
        self.put_header(out, false, true, false);
        adaptation.put(out, PACKET_BODY_BYTES);
    }

    fn put_header(&mut self, out: &mut Vec<u8>, start: bool, adaptation: bool, payload: bool) {
        let [high, low] = self.pid.to_be_bytes();
        // A packet without payload repeats the counter of the one before (2.4.3.3).
        let continuity = if payload {
            let now = self.continuity;
            self.continuity = (now + 1) & 0x0f;
            now
        } else {
            self.continuity.wrapping_sub(1) & 0x0f
        };
        let control = u8::from(adaptation) << 5 | u8::from(payload) << 4;
        out.extend([SYNC_BYTE, u8::from(start) << 6 | high, low, control | continuity]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_every_length_are_stuffed_to_whole_packets() {
        let adaptations = [
            Adaptation::default(),
            Adaptation {
                random_access: true,
                ..Adaptation::default()
            },
            Adaptation {
                pcr: Some(1),
                ..Adaptation::default()
            },
        ];
        for adaptation in adaptations {
            for length in 1..600 {
                let unit: Vec<u8> = (0..length).map(|at| at as u8).collect();
                let (mut writer, mut out) = (PidWriter::new(0x100), Vec::new());
                writer.put_unit(&mut out, adaptation, &unit);
                assert_eq!(out.len() % PACKET_BYTES, 0, "{length} bytes");
                let mut body = Vec::new();
                for (at, packet) in out.chunks(PACKET_BYTES).enumerate() {
                    assert_eq!(packet[0], 0x47);
                    assert_eq!(packet[1..3], if at == 0 { [0x41, 0x00] } else { [0x01, 0x00] });
                    assert_eq!(usize::from(packet[3] & 0x0f), at);
                    let field = match packet[3] >> 4 {
                        1 => 0,
                        3 => 1 + usize::from(packet[4]),
                        other => panic!("control {other}"),
                    };
                    body.extend_from_slice(&packet[4 + field..]);
                }
                assert_eq!(body, unit, "{length} bytes");
            }
        }
    }

    #[test]
    fn a_clock_reference_is_written_bit_by_bit() {
        // Base 1: 32 zeros and a one, six ones, nine zeros.
        assert_eq!(pcr_field(1), [0, 0, 0, 0, 0xfe, 0]);
        assert_eq!(pcr_field(-1), [0xff, 0xff, 0xff, 0xff, 0xfe, 0]);
        assert_eq!(pcr_field(1 << 33), pcr_field(0));
        assert_eq!(pcr_field(2), [0, 0, 0, 1, 0x7e, 0]);
    }

    #[test]
    fn the_counter_wraps_and_stands_still_without_payload() {
        let (mut writer, mut out) = (PidWriter::new(0xffff), Vec::new());
        assert_eq!(writer.pid(), 0x1fff);
        for _ in 0..17 {
            writer.put_unit(&mut out, Adaptation::default(), &[1]);
        }
        let pcr = Adaptation {
            pcr: Some(0),
            discontinuity: true,
            ..Adaptation::default()
        };
        writer.put_adaptation(&mut out, pcr);
        writer.put_unit(&mut out, Adaptation::default(), &[1]);
        let counters: Vec<u8> = out.chunks(PACKET_BYTES).map(|packet| packet[3] & 0x0f).collect();
        assert_eq!(counters[14..], [14, 15, 0, 0, 1]);
        let packet = &out[17 * PACKET_BYTES..18 * PACKET_BYTES];
        assert_eq!(packet[3..6], [0x20, 183, 0x90]);
        assert!(packet[12..].iter().all(|byte| *byte == 0xff));
    }

    #[test]
    fn a_section_fills_its_packet() {
        let (mut writer, mut out) = (PidWriter::new(0), Vec::new());
        writer.put_section(&mut out, &[7; 9]);
        assert_eq!(out[..6], [0x47, 0x40, 0, 0x10, 0, 7]);
        assert_eq!((out.len(), out[14]), (PACKET_BYTES, 0xff));
    }
}
