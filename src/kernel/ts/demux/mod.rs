//! The demultiplexer: transport packets in, access units out (ISO/IEC 13818-1).
//!
//! Of several programs the first one is read, of its streams the first of pictures and the first of sound that are
//! understood. Below it: [`packet`] finds packets, [`section`] reads the tables, [`unit`] puts PES packets together.

pub mod packet;
pub mod section;
pub mod unit;

use std::collections::VecDeque;

use bytes::Bytes;

use self::packet::{Cutter, Packet};
use self::section::Stream;
use self::unit::{Arrival, Continuity, RawUnit};
use super::packet::TICKS_MASK;
use super::pes::Stamps;
use super::psi::{PAT_PID, StreamType};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// What the demultiplexer found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The program's streams, before the first unit and whenever they change. Those without a coding are left out.
    Program(Vec<Stream>),
    /// An access unit of pictures, or some frames of sound.
    Unit(Unit),
}

/// What one PES packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// How it is coded.
    pub coding: StreamType,
    /// Its times, ticks of 90 kHz, which go on where their 33 bits wrap; none if they are not told.
    pub stamps: Option<Stamps>,
    /// The sender says that decoding can start here.
    pub random_access: bool,
    /// Something of this stream was lost before it.
    pub after_loss: bool,
    /// The elementary stream: pictures behind start codes, ADTS frames, MPEG audio frames, Opus with control headers.
    pub payload: Bytes,
}

/// What could not be used, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bytes that belonged to no packet.
    pub skipped_bytes: u64,
    /// Units of which packets were lost, and those that make no sense.
    pub dropped_units: u64,
}

/// Takes bytes as they arrive ([`feed`](Self::feed)) and gives what is whole ([`pull`](Self::pull)).
#[derive(Debug, Default)]
pub struct Demuxer {
    cutter: Cutter,
    association: Table,
    map: Option<(u16, Table)>,
    streams: Vec<Stream>,
    tracks: Vec<Track>,
    clock: Clock,
    ready: VecDeque<Item>,
    dropped_units: u64,
}

/// A PID of sections.
#[derive(Debug, Default)]
struct Table {
    continuity: Continuity,
    assembler: section::Assembler,
    /// The last section, as tables are repeated many times.
    last: Vec<u8>,
}

/// A stream that is read.
#[derive(Debug)]
struct Track {
    pid: u16,
    coding: StreamType,
    continuity: Continuity,
    assembler: unit::Assembler,
    after_loss: bool,
}

impl Demuxer {
    /// Starts anywhere in a stream.
    pub fn new() -> Self {
        Demuxer {
            cutter: Cutter::new(),
            ..Self::default()
        }
    }

    /// Adds the bytes that follow those fed before.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.cutter.feed(bytes);
    }

    /// What could not be used so far.
    pub fn damage(&self) -> Damage {
        Damage {
            skipped_bytes: self.cutter.skipped_bytes(),
            dropped_units: self.dropped_units,
        }
    }

    /// The next item; none if it needs more bytes.
    ///
    /// Fails on a packet, a table or a unit that makes no sense or is cut by a loss, with a code from
    /// [`ErrorCode::CasterTsHeader`] to [`ErrorCode::CasterTsPse`]. It is passed over: the next call goes on behind it.
    pub fn pull(&mut self) -> Result<Option<Item>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            let Some(packet) = self.cutter.take() else {
                return Ok(None);
            };
            if self.cutter.take_loss() {
                self.drop_units();
            }
            self.take_packet(&Packet::parse(&packet)?)?;
        }
    }

    /// Ends the units that tell no length: nothing follows. Call [`pull`](Self::pull) for them.
    pub fn finish(&mut self) {
        for track in &mut self.tracks {
            if let Ok(Some(unit)) = track.assembler.finish() {
                self.ready.push_back(track.unit(unit, &mut self.clock));
            }
        }
    }

    fn take_packet(&mut self, packet: &Packet<'_>) -> Result<()> {
        if packet.pid == PAT_PID {
            return self.take_association(packet);
        }
        if self.map.as_ref().is_some_and(|(pid, _)| *pid == packet.pid) {
            return self.take_map(packet);
        }
        let Some(track) = self.tracks.iter_mut().find(|track| track.pid == packet.pid) else {
            return Ok(());
        };
        let (ready, clock) = (&mut self.ready, &mut self.clock);
        let taken = track.take(packet, |item| ready.push_back(item), clock);
        if taken.is_err() {
            self.dropped_units += 1;
        }
        taken
    }

    /// What has begun may hold bytes that are not its own.
    fn drop_units(&mut self) {
        for track in &mut self.tracks {
            track.after_loss = true;
            self.dropped_units += u64::from(track.assembler.reset());
        }
    }

    fn take_association(&mut self, packet: &Packet<'_>) -> Result<()> {
        let Some(section) = self.association.take(packet) else {
            return Ok(());
        };
        let pid = section::map_pid(&section).wrap("TS program association")?;
        self.association.last = section;
        if let Some(pid) = pid
            && self.map.as_ref().is_none_or(|(old, _)| *old != pid)
        {
            self.map = Some((pid, Table::default()));
        }
        Ok(())
    }

    fn take_map(&mut self, packet: &Packet<'_>) -> Result<()> {
        let Some((_, table)) = &mut self.map else {
            return Ok(());
        };
        let Some(section) = table.take(packet) else {
            return Ok(());
        };
        let streams = section::streams(&section).wrap("TS program map")?;
        table.last = section;
        match streams {
            Some(streams) if streams != self.streams => self.set_streams(streams),
            _ => {}
        }
        Ok(())
    }

    /// Streams that stay as they are go on where they are.
    fn set_streams(&mut self, streams: Vec<Stream>) {
        let mut old = std::mem::take(&mut self.tracks);
        for is_video in [true, false] {
            let mut understood = streams.iter().filter_map(|stream| Some((stream.pid, stream.coding?)));
            let Some((pid, coding)) = understood.find(|(_, coding)| coding.is_video() == is_video) else {
                continue;
            };
            let kept = old.iter().position(|track| (track.pid, track.coding) == (pid, coding));
            self.tracks.push(match kept {
                Some(at) => old.swap_remove(at),
                None => Track::new(pid, coding),
            });
        }
        self.streams.clone_from(&streams);
        self.ready.push_back(Item::Program(streams));
    }
}

impl Table {
    /// The last section that ends in a packet, unless it says what the one before said.
    fn take(&mut self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        match self.continuity.check(packet) {
            Arrival::Next => {}
            Arrival::Repeat => return None,
            Arrival::Jump => self.assembler.reset(),
        }
        let (mut found, last) = (None, &self.last);
        let payload = packet.payload.unwrap_or_default();
        self.assembler.push(packet.unit_start, payload, |section| {
            if section != last.as_slice() {
                found = Some(section.to_vec());
            }
        });
        found
    }
}

impl Track {
    fn new(pid: u16, coding: StreamType) -> Self {
        Track {
            pid,
            coding,
            continuity: Continuity::default(),
            assembler: unit::Assembler::default(),
            after_loss: false,
        }
    }

    fn take(&mut self, packet: &Packet<'_>, mut each: impl FnMut(Item), clock: &mut Clock) -> Result<()> {
        let arrival = self.continuity.check(packet);
        if arrival == Arrival::Repeat {
            return Ok(());
        }
        let is_cut = arrival == Arrival::Jump && self.assembler.reset();
        self.after_loss |= arrival == Arrival::Jump;
        let mut units = Vec::new();
        let pushed = self.assembler.push(packet, |unit| units.push(unit));
        for unit in units {
            each(self.unit(unit, clock));
        }
        self.after_loss |= pushed.is_err();
        pushed?;
        if is_cut {
            let text = format!("TS packets of PID {} are lost", self.pid);
            return Err(Error::new(ErrorCode::CasterTsPse, text));
        }
        Ok(())
    }

    fn unit(&mut self, unit: RawUnit, clock: &mut Clock) -> Item {
        let stamps = unit.stamps.map(|raw| {
            let decoding = clock.time(raw.decoding);
            Stamps {
                presentation: decoding + nearest(raw.presentation, raw.decoding),
                decoding,
            }
        });
        Item::Unit(Unit {
            coding: self.coding,
            stamps,
            random_access: unit.random_access,
            after_loss: std::mem::take(&mut self.after_loss),
            payload: unit.payload,
        })
    }
}

/// Makes times of 33 bits go on where they wrap. One for all streams of a program, so that they wrap together.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    last: Option<i64>,
}

impl Clock {
    fn time(&mut self, stamp: u64) -> i64 {
        let time = match self.last {
            None => (stamp & TICKS_MASK) as i64,
            Some(last) => last + nearest(stamp, last as u64),
        };
        self.last = Some(time);
        time
    }
}

/// How far it is from one stamp to another, modulo 2^33: less than half of that, either way.
fn nearest(to: u64, from: u64) -> i64 {
    let ticks = (to.wrapping_sub(from) & TICKS_MASK) as i64;
    if ticks > (TICKS_MASK / 2) as i64 {
        ticks - TICKS_MASK as i64 - 1
    } else {
        ticks
    }
}

#[cfg(test)]
mod tests;
