//! Players of live MPEG-TS over HTTP, and the reader that viewers of HLS share.

use srs_may::kernel::codec::nal;
use srs_may::kernel::error::Result;
use srs_may::kernel::frame::Kind;
use srs_may::kernel::ts::demux::{Demuxer, Item, Unit};
use srs_may::kernel::ts::psi::StreamType;
use srs_may::protocol::http::client::Url;

use crate::flv;
use crate::line::Way;
use crate::observer::{Observer, Part};
use crate::stamp::Stamp;
use crate::tally::Fault;

/// Plays until interrupted. Yields.
///
/// # Errors
/// Whatever ends it before.
pub fn play(way: &Way, url: &Url, number: usize, mut observer: Observer) -> Result<()> {
    let mut reader = Reader::new();
    flv::stream(way, url, number, &mut observer, |observer, bytes| {
        reader.take(bytes, observer);
        Ok(())
    })
}

/// Shows what is in a transport stream to an observer, in the form of FLV.
pub struct Reader {
    demuxer: Demuxer,
    /// Whether parameter sets of pictures have come.
    has_sets: bool,
    has_sound: bool,
    damage: u64,
    body: Vec<u8>,
}

impl Reader {
    /// Starts anywhere in a stream.
    pub fn new() -> Self {
        Reader {
            demuxer: Demuxer::new(),
            has_sets: false,
            has_sound: false,
            damage: 0,
            body: Vec::new(),
        }
    }

    /// Takes the bytes that follow.
    pub fn take(&mut self, bytes: &[u8], observer: &mut Observer) {
        self.demuxer.feed(bytes);
        loop {
            match self.demuxer.pull() {
                Ok(Some(Item::Unit(unit))) => self.show(&unit, observer),
                Ok(Some(Item::Program(_))) => {}
                Ok(None) => break,
                Err(error) => observer.tally().fault(Fault::Broken, || error.summary()),
            }
        }
        let damage = self.demuxer.damage();
        let damage = damage.skipped_bytes + damage.dropped_units;
        if damage > self.damage {
            self.damage = damage;
            observer
                .tally()
                .fault(Fault::Broken, || "bytes of no packet, or packets lost".to_owned());
        }
    }

    fn show(&mut self, unit: &Unit, observer: &mut Observer) {
        let millis = unit.stamps.map_or(0, |stamps| stamps.decoding / 90) as u32;
        match unit.coding {
            StreamType::H264 => self.show_picture(unit, millis, observer),
            StreamType::Aac => {
                if !self.has_sound {
                    self.has_sound = true;
                    give(observer, Kind::Audio, millis, &[0xaf, 0]);
                }
                give(observer, Kind::Audio, millis, &[0xaf, 1, 0]);
            }
            // Other codings are counted, not looked into.
            StreamType::Hevc => give(observer, Kind::Video, millis, &[0x2c, 1, 0, 0, 0]),
            StreamType::Mp3 | StreamType::Opus(_) => give(observer, Kind::Audio, millis, &[0x2f, 0]),
        }
    }

    fn show_picture(&mut self, unit: &Unit, millis: u32, observer: &mut Observer) {
        const TYPE_SPS: u8 = 7;
        const TYPE_PPS: u8 = 8;
        const TYPE_DELIMITER: u8 = 9;
        let is_key = unit.random_access;
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        body.extend_from_slice(&[if is_key { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
        let mut is_stamped = false;
        for nal in nal::AnnexBNals::new(&unit.payload) {
            let kind = nal.first().map_or(0, |first| first & 0x1f);
            if kind == TYPE_SPS && !self.has_sets {
                self.has_sets = true;
                give(observer, Kind::Video, millis, &[0x17, 0, 0, 0, 0]);
            }
            is_stamped |= Stamp::read(nal).is_some();
            // What the multiplexer put before the picture; what was sent stands behind the stamp.
            if is_stamped || !matches!(kind, TYPE_SPS | TYPE_PPS | TYPE_DELIMITER) {
                body.extend_from_slice(&(nal.len() as u32).to_be_bytes());
                body.extend_from_slice(nal);
            }
        }
        give(observer, Kind::Video, millis, &body);
        self.body = body;
    }
}

fn give(observer: &mut Observer, kind: Kind, timestamp: u32, body: &[u8]) {
    observer.media(Part {
        kind,
        timestamp,
        length: body.len(),
        at: 0,
        bytes: body,
    });
}
