//! A transport stream read strictly after ISO/IEC 13818-1. Written apart from the muxer on purpose.

use std::collections::BTreeMap;

use crc::{CRC_32_MPEG_2, Crc};

const PACKET: usize = 188;
const WRAP: i64 = 1 << 33;

/// What a stream holds.
#[derive(Debug, Default)]
pub struct Report {
    /// Elementary streams by PID.
    pub streams: BTreeMap<u16, Stream>,
    /// Every program map's version, repeats left out.
    pub versions: Vec<u8>,
    /// Which packets start a PAT.
    pub associations: Vec<usize>,
    /// Every clock reference: 90 kHz, and whether the clock jumps to it.
    pub clock: Vec<(i64, bool)>,
    pub clock_pid: u16,
}

/// One elementary stream.
#[derive(Debug, Default)]
pub struct Stream {
    pub stream_type: u8,
    pub descriptors: Vec<u8>,
    pub units: Vec<Unit>,
}

/// One PES packet.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// The number of its first transport packet.
    pub packet: usize,
    /// 90 kHz, 33 bits.
    pub presentation: i64,
    pub decoding: i64,
    pub random_access: bool,
    /// The clock reference in its first packet.
    pub clock: Option<i64>,
    pub payload: Vec<u8>,
}

/// `later - earlier` of stamps of 33 bits.
pub fn difference(later: i64, earlier: i64) -> i64 {
    (later - earlier + WRAP + WRAP / 2).rem_euclid(WRAP) - WRAP / 2
}

/// Reads a stream; the first breach of a rule is the error.
pub fn check(bytes: &[u8]) -> Result<Report, String> {
    let mut checker = Checker::default();
    if !bytes.len().is_multiple_of(PACKET) {
        return Err(format!("{} bytes are no whole packets", bytes.len()));
    }
    for (number, packet) in bytes.chunks(PACKET).enumerate() {
        checker.number = number;
        checker
            .packet(packet)
            .map_err(|what| format!("packet {number}: {what}"))?;
    }
    for pid in checker.open.keys().copied().collect::<Vec<_>>() {
        checker
            .close(pid)
            .map_err(|what| format!("end of PID {pid:#x}: {what}"))?;
    }
    Ok(checker.report)
}

#[derive(Default)]
struct Checker {
    report: Report,
    number: usize,
    map_pid: Option<u16>,
    counters: BTreeMap<u16, u8>,
    /// PES packets that are not at their end.
    open: BTreeMap<u16, (Unit, Vec<u8>)>,
    last_decoding: BTreeMap<u16, i64>,
    map: Vec<u8>,
}

struct Field {
    bytes: usize,
    random_access: bool,
    clock: Option<i64>,
}

fn ensure(fine: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if fine { Ok(()) } else { Err(what()) }
}

impl Checker {
    fn packet(&mut self, packet: &[u8]) -> Result<(), String> {
        ensure(packet[0] == 0x47, || format!("sync byte {:02x}", packet[0]))?;
        ensure(packet[1] & 0x80 == 0, || "transport_error_indicator".into())?;
        ensure(packet[3] & 0xc0 == 0, || "scrambled".into())?;
        let start = packet[1] & 0x40 != 0;
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let (has_field, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        ensure(has_field || has_payload, || "adaptation_field_control 0".into())?;
        self.continuity(pid, packet[3] & 0x0f, has_payload)?;
        let field = if has_field {
            self.field(pid, packet, has_payload)?
        } else {
            Field {
                bytes: 0,
                random_access: false,
                clock: None,
            }
        };
        ensure(has_payload || !start, || "a start without payload".into())?;
        if !has_payload {
            return Ok(());
        }
        let payload = &packet[4 + field.bytes..];
        match pid {
            0 => self.association(start, payload),
            pid if Some(pid) == self.map_pid => self.program_map(start, payload),
            pid => self.elementary(pid, start, &field, payload),
        }
    }

    fn continuity(&mut self, pid: u16, counter: u8, has_payload: bool) -> Result<(), String> {
        if let Some(last) = self.counters.insert(pid, counter) {
            let expected = if has_payload { (last + 1) & 15 } else { last };
            return ensure(counter == expected, || {
                format!("PID {pid:#x} counts {counter} after {last}")
            });
        }
        Ok(())
    }

    fn field(&mut self, pid: u16, packet: &[u8], has_payload: bool) -> Result<Field, String> {
        let length = usize::from(packet[4]);
        let fits = if has_payload { length <= 182 } else { length == 183 };
        ensure(fits, || format!("adaptation field of {length} bytes"))?;
        let mut field = Field {
            bytes: 1 + length,
            random_access: false,
            clock: None,
        };
        if length == 0 {
            return Ok(field);
        }
        let flags = packet[5];
        ensure(flags & 0x2f == 0, || format!("adaptation flags {flags:02x}"))?;
        field.random_access = flags & 0x40 != 0;
        let mut at = 6;
        if flags & 0x10 != 0 {
            let clock = packet[6..12].iter().fold(0i64, |sum, byte| sum << 8 | i64::from(*byte));
            ensure(clock >> 9 & 0x3f == 0x3f, || "reserved bits of the PCR".into())?;
            ensure(clock & 0x1ff < 300, || "PCR extension".into())?;
            field.clock = Some(clock >> 15);
            self.clock(pid, clock >> 15, flags & 0x80 != 0)?;
            at = 12;
        } else {
            ensure(flags & 0x80 == 0, || "a discontinuity without a clock".into())?;
        }
        let stuffing = &packet[at..5 + length];
        ensure(stuffing.iter().all(|byte| *byte == 0xff), || "stuffing".into())?;
        Ok(field)
    }

    fn clock(&mut self, pid: u16, clock: i64, jump: bool) -> Result<(), String> {
        ensure(pid == self.report.clock_pid, || {
            format!("PCR on PID {pid:#x}, told {:#x}", self.report.clock_pid)
        })?;
        if let Some((last, _)) = self.report.clock.last()
            && !jump
        {
            let step = difference(clock, *last);
            ensure((1..=9000).contains(&step), || format!("PCR steps by {step} ticks"))?;
        }
        if jump {
            // What comes before it keeps the old clock.
            for pid in self.open.keys().copied().collect::<Vec<_>>() {
                self.close(pid)?;
            }
            self.last_decoding.clear();
        }
        self.report.clock.push((clock, jump));
        Ok(())
    }

    fn association(&mut self, start: bool, payload: &[u8]) -> Result<(), String> {
        let body = section(start, payload, 0)?;
        ensure(body.len() == 4, || format!("PAT body of {} bytes", body.len()))?;
        ensure(body[..2] == [0, 1] && body[2] & 0xe0 == 0xe0, || {
            format!("PAT {body:02x?}")
        })?;
        self.map_pid = Some(u16::from_be_bytes([body[2] & 0x1f, body[3]]));
        self.report.associations.push(self.number);
        Ok(())
    }

    fn program_map(&mut self, start: bool, payload: &[u8]) -> Result<(), String> {
        let body = section(start, payload, 2)?;
        let version = payload[6] >> 1 & 0x1f;
        if self.report.versions.last() == Some(&version) {
            return ensure(body == self.map, || format!("another map in version {version}"));
        }
        if let Some(last) = self.report.versions.last() {
            ensure(version == (last + 1) & 0x1f, || {
                format!("version {version} after {last}")
            })?;
            ensure(body != self.map, || format!("the same map in version {version}"))?;
        }
        self.report.versions.push(version);
        self.map = body.to_vec();
        self.report.clock_pid = u16::from_be_bytes([body[0] & 0x1f, body[1]]);
        ensure(body[2..4] == [0xf0, 0], || "program_info_length".into())?;
        let mut rest = &body[4..];
        while let [stream_type, high, low, length_high, length_low, tail @ ..] = rest {
            let pid = u16::from_be_bytes([high & 0x1f, *low]);
            let length = usize::from(u16::from_be_bytes([length_high & 0x0f, *length_low]));
            let (descriptors, tail) = tail.split_at_checked(length).ok_or("descriptors cut short")?;
            let stream = self.report.streams.entry(pid).or_default();
            (stream.stream_type, stream.descriptors) = (*stream_type, descriptors.to_vec());
            rest = tail;
        }
        ensure(rest.is_empty(), || "bytes behind the last stream".into())?;
        let known = self.report.streams.contains_key(&self.report.clock_pid);
        ensure(known, || format!("PCR_PID {:#x} is no stream", self.report.clock_pid))
    }

    fn elementary(&mut self, pid: u16, start: bool, field: &Field, payload: &[u8]) -> Result<(), String> {
        ensure(self.report.streams.contains_key(&pid), || {
            format!("PID {pid:#x} is not in the map")
        })?;
        if start {
            self.close(pid)?;
            let unit = Unit {
                packet: self.number,
                random_access: field.random_access,
                clock: field.clock,
                ..Unit::default()
            };
            self.open.insert(pid, (unit, Vec::new()));
        }
        let (_, bytes) = self.open.get_mut(&pid).ok_or("payload before a start")?;
        bytes.extend_from_slice(payload);
        Ok(())
    }

    /// Reads a PES packet whose last byte has come.
    fn close(&mut self, pid: u16) -> Result<(), String> {
        let Some((mut unit, bytes)) = self.open.remove(&pid) else {
            return Ok(());
        };
        let [0, 0, 1, id, length_high, length_low, marks, flags, header, rest @ ..] = &bytes[..] else {
            return Err("no PES header".into());
        };
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let expected = bytes.len() - 6;
        let unbounded = length == 0 && id & 0xf0 == 0xe0 && expected > 0xffff;
        ensure(length == expected || unbounded, || {
            format!("PES length {length}, has {expected}")
        })?;
        ensure(marks & 0xf0 == 0x80, || format!("PES marks {marks:02x}"))?;
        let (stamps, payload) = rest
            .split_at_checked(usize::from(*header))
            .ok_or("PES header cut short")?;
        (unit.presentation, unit.decoding) = match (flags, stamps) {
            (0x80, one) if one.len() == 5 => (stamp(one, 2)?, stamp(one, 2)?),
            (0xc0, both) if both.len() == 10 => (stamp(&both[..5], 3)?, stamp(&both[5..], 1)?),
            _ => return Err(format!("PES flags {flags:02x} with {} bytes", stamps.len())),
        };
        unit.payload = payload.to_vec();
        self.order(pid, &unit)?;
        let stream = self.report.streams.get_mut(&pid).ok_or("a stream of no map")?;
        ensure(!payload.is_empty(), || "an empty unit".into())?;
        stream.units.push(unit);
        Ok(())
    }

    fn order(&mut self, pid: u16, unit: &Unit) -> Result<(), String> {
        let shown = difference(unit.presentation, unit.decoding);
        ensure((0..900_000).contains(&shown), || {
            format!("PTS is {shown} ticks after DTS")
        })?;
        if let Some(last) = self.last_decoding.insert(pid, unit.decoding) {
            let step = difference(unit.decoding, last);
            ensure(step > 0, || format!("PID {pid:#x}: DTS steps by {step} ticks"))?;
        }
        if let Some(clock) = unit.clock {
            let early = difference(unit.decoding, clock);
            ensure((0..=90_000).contains(&early), || {
                format!("DTS is {early} ticks after its PCR")
            })?;
        }
        Ok(())
    }
}

/// The body of a section that fills a packet alone.
fn section(start: bool, payload: &[u8], table_id: u8) -> Result<&[u8], String> {
    ensure(start && payload[0] == 0, || {
        "a section that does not start its packet".into()
    })?;
    let length = usize::from(u16::from_be_bytes([payload[2] & 0x0f, payload[3]]));
    let (section, rest) = payload[1..].split_at_checked(3 + length).ok_or("section cut short")?;
    ensure(section[0] == table_id && section[1] & 0xf0 == 0xb0, || {
        format!("{:02x?}", &section[..3])
    })?;
    let check_sum = Crc::<u32>::new(&CRC_32_MPEG_2).checksum(section);
    ensure(check_sum == 0, || "check sum".into())?;
    ensure(section[5] & 0xc1 == 0xc1 && section[6..8] == [0, 0], || {
        "section numbers".into()
    })?;
    ensure(rest.iter().all(|byte| *byte == 0xff), || {
        "bytes behind the section".into()
    })?;
    Ok(&section[8..section.len() - 4])
}

fn stamp(bytes: &[u8], prefix: u8) -> Result<i64, String> {
    let marked = bytes[0] >> 4 == prefix && [0, 2, 4].iter().all(|at| bytes[*at] & 1 == 1);
    ensure(marked, || format!("time stamp {bytes:02x?}"))?;
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|at| i64::from(bytes[at]));
    Ok((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}
