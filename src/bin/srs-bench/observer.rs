//! What a player makes of the media that passes: start-up time, latency and, where it verifies, faults.

use std::rc::Rc;
use std::time::Duration;

use crc::{Digest, Table};
use srs_may::core::clock::{Moment, unix_time};
use srs_may::kernel::frame::{AudioCodec, Codec, Facts, Kind, VideoCodec};

use crate::stamp::{self, CHECK, Stamp};
use crate::tally::{Fault, Tally};

/// Bytes of a message's start that are kept: tag fields, a delimiter and a stamp.
const HEAD_BYTES: usize = 100;

/// How a player looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether payloads and order are checked.
    pub verify: bool,
    /// How far two timestamps of one kind may lie apart.
    pub max_gap: Duration,
    /// Whether sound is in order with pictures, as it is in RTMP and FLV.
    pub in_order: bool,
}

/// Part of a message, from whatever container.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub kind: Kind,
    /// Milliseconds.
    pub timestamp: u32,
    /// Bytes of the whole body.
    pub length: usize,
    /// Where in the body these bytes lie.
    pub at: usize,
    pub bytes: &'a [u8],
}

/// One player's view of its stream.
pub struct Observer {
    tally: Rc<Tally>,
    look: Look,
    began: Moment,
    /// Pictures sent before this are no measure of latency: they waited for us. Microseconds of Unix time.
    asked_micros: u64,
    has_frame: bool,
    audio: Track,
    video: Track,
    sounds: u32,
    sound_sum: u32,
    last: Option<Marks>,
}

/// The last picture's stamp, and the sound that had come by then.
struct Marks {
    stamp: Stamp,
    sounds: u32,
    sound_sum: u32,
}

/// One kind of media.
struct Track {
    head: Vec<u8>,
    /// Whether the message under way was seen from its start.
    is_whole: bool,
    /// What is known of it once its head is complete.
    known: Option<Known>,
    last_timestamp: Option<u32>,
    has_header: bool,
}

struct Known {
    facts: Facts,
    stamp: Option<Stamp>,
    digest: Option<Digest<'static, u32, Table<16>>>,
}

impl Track {
    fn new() -> Self {
        Track {
            head: Vec::new(),
            is_whole: false,
            known: None,
            last_timestamp: None,
            has_header: false,
        }
    }
}

impl Observer {
    /// For a client that began to connect at `began`.
    pub fn new(tally: Rc<Tally>, look: Look, began: Moment) -> Self {
        Observer {
            tally,
            look,
            began,
            asked_micros: micros(unix_time()),
            has_frame: false,
            audio: Track::new(),
            video: Track::new(),
            sounds: 0,
            sound_sum: 0,
            last: None,
        }
    }

    /// The counts that it adds to.
    pub fn tally(&self) -> &Rc<Tally> {
        &self.tally
    }

    /// The server has agreed to serve us.
    pub fn accepted(&mut self) {
        self.asked_micros = micros(unix_time());
        let took = Moment::now().since(self.began);
        self.tally.connect.borrow_mut().record(took);
        Tally::add(&self.tally.served, 1);
    }

    /// Looks at part of a message. The parts of messages of one kind do not interleave.
    pub fn media(&mut self, part: Part<'_>) {
        if part.kind == Kind::Data {
            if part.at + part.bytes.len() >= part.length {
                Tally::add(&self.tally.messages, 1);
            }
            return;
        }
        if part.at == 0 {
            self.begin(part.kind, part.timestamp);
        }
        let verify = self.look.verify;
        let track = self.track(part.kind);
        if !track.is_whole {
            return;
        }
        if track.known.is_some() {
            if let Some(Known {
                digest: Some(digest), ..
            }) = &mut track.known
            {
                digest.update(part.bytes);
            }
        } else {
            let wanted = HEAD_BYTES.min(part.length);
            let taken = part.bytes.len().min(wanted - track.head.len());
            let (head, behind) = part.bytes.split_at(taken);
            track.head.extend_from_slice(head);
            if track.head.len() == wanted {
                track.known = Some(know(part.kind, &track.head, behind, verify));
            }
        }
        if part.at + part.bytes.len() >= part.length {
            self.end(part);
        }
    }

    fn track(&mut self, kind: Kind) -> &mut Track {
        match kind {
            Kind::Audio => &mut self.audio,
            _ => &mut self.video,
        }
    }

    fn begin(&mut self, kind: Kind, timestamp: u32) {
        let max_gap = self.look.max_gap;
        let track = self.track(kind);
        track.head.clear();
        track.known = None;
        track.is_whole = true;
        let Some(last) = track.last_timestamp.replace(timestamp) else {
            return;
        };
        let step = timestamp.wrapping_sub(last) as i32;
        if !self.look.verify {
            return;
        }
        if step < 0 {
            self.tally.fault(Fault::TimeBack, || {
                format!("{kind:?} at {timestamp} ms after {last} ms")
            });
        } else if Duration::from_millis(step as u64) > max_gap {
            self.tally
                .fault(Fault::TimeGap, || format!("{kind:?} at {timestamp} ms after {last} ms"));
        }
    }

    fn end(&mut self, part: Part<'_>) {
        let track = self.track(part.kind);
        track.is_whole = false;
        let Some(known) = track.known.take() else { return };
        let facts = known.facts;
        if facts.sequence_header {
            track.has_header = true;
        }
        let has_header = track.has_header;
        Tally::add(&self.tally.messages, 1);
        if !facts.coded {
            return;
        }
        if !has_header && self.look.verify && needs_header(facts.codec) {
            self.track(part.kind).has_header = true;
            let timestamp = part.timestamp;
            self.tally.fault(Fault::NoHeader, || {
                format!("{:?} at {timestamp} ms came before its sequence header", part.kind)
            });
        }
        if part.kind == Kind::Video {
            Tally::add(&self.tally.pictures, 1);
        }
        self.note_first_frame(part.kind, facts);
        if part.kind == Kind::Audio {
            self.sounds = self.sounds.wrapping_add(1);
            if let Some(digest) = known.digest {
                self.sound_sum = self.sound_sum.wrapping_add(digest.finalize());
            }
        } else if let Some(stamp) = known.stamp {
            self.stamped(stamp, known.digest);
        }
    }

    fn note_first_frame(&mut self, kind: Kind, facts: Facts) {
        if self.has_frame {
            return;
        }
        self.has_frame = true;
        let took = Moment::now().since(self.began);
        self.tally.first_frame.borrow_mut().record(took);
        if kind == Kind::Video && !facts.keyframe {
            Tally::add(&self.tally.began_late, 1);
        }
    }

    fn stamped(&mut self, stamp: Stamp, digest: Option<Digest<'static, u32, Table<16>>>) {
        if stamp.sent_micros >= self.asked_micros {
            let late = micros(unix_time()).saturating_sub(stamp.sent_micros);
            self.tally.latency.borrow_mut().record(Duration::from_micros(late));
        }
        let marks = Marks {
            stamp,
            sounds: self.sounds,
            sound_sum: self.sound_sum,
        };
        let last = self.last.replace(marks);
        if !self.look.verify {
            return;
        }
        let number = stamp.number;
        if digest.is_some_and(|digest| digest.finalize() != stamp.digest) {
            self.tally
                .fault(Fault::Changed, || format!("picture {number} is not what was sent"));
        }
        // Another publication counts anew.
        let Some(last) = last.filter(|last| last.stamp.stream == stamp.stream) else {
            return;
        };
        let before = last.stamp.number;
        if number != before.wrapping_add(1) {
            self.tally
                .fault(Fault::Lost, || format!("picture {number} came after picture {before}"));
            return;
        }
        let sent = (
            stamp.sounds.wrapping_sub(last.stamp.sounds),
            stamp.sound_sum.wrapping_sub(last.stamp.sound_sum),
        );
        let came = (
            self.sounds.wrapping_sub(last.sounds),
            self.sound_sum.wrapping_sub(last.sound_sum),
        );
        if self.look.in_order && sent != came {
            self.tally.fault(Fault::Sound, || {
                let (came, sent) = (came.0, sent.0);
                format!("before picture {number} came {came} frames of sound, sent were {sent}, or they differ")
            });
        }
    }
}

fn know(kind: Kind, head: &[u8], behind: &[u8], verify: bool) -> Known {
    let facts = Facts::peek(kind, head);
    let is_stampable = facts.coded && facts.codec == Some(Codec::Video(VideoCodec::H264));
    let at = if is_stampable { stamp::place(head) } else { None };
    let stamp = at.and_then(|at| Stamp::read(head.get(at + 4..)?));
    let from = match (at, stamp, kind) {
        (Some(at), Some(_), _) => Some(at + 4 + stamp::NAL_BYTES),
        (_, _, Kind::Audio) if facts.coded => Some(0),
        _ => None,
    };
    let digest = from.filter(|_| verify).map(|from| {
        let mut digest = CHECK.digest();
        digest.update(head.get(from..).unwrap_or_default());
        digest.update(behind);
        digest
    });
    Known { facts, stamp, digest }
}

fn needs_header(codec: Option<Codec>) -> bool {
    use VideoCodec::{H264, Hevc};
    matches!(codec, Some(Codec::Video(H264 | Hevc) | Codec::Audio(AudioCodec::Aac)))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reel::{Film, Reel};
    use crate::synthetic::Shape;

    const LOOK: Look = Look {
        verify: true,
        max_gap: Duration::from_secs(2),
        in_order: true,
    };

    /// The messages of a publisher: headers, then two rounds of stamped media.
    fn messages() -> Vec<(Kind, u32, Vec<u8>)> {
        let shape = Shape {
            bitrate: 250_000,
            rate: 25,
            gop: 10,
            sound: true,
        };
        let reel = Reel::load(&Film::Synthetic(shape)).unwrap();
        let mut out: Vec<_> = reel
            .headers
            .iter()
            .map(|frame| (frame.kind, 0, frame.payload.to_vec()))
            .collect();
        let (mut number, mut sounds, mut sound_sum) = (0, 0, 0u32);
        for round in 0..2 {
            for shot in &reel.shots {
                let time = (reel.duration * round).as_millis() as u32 + shot.frame.timestamp;
                let Some(at) = shot.stamp_at else {
                    sounds += 1;
                    sound_sum = sound_sum.wrapping_add(shot.digest);
                    out.push((Kind::Audio, time, shot.frame.payload.to_vec()));
                    continue;
                };
                let stamp = Stamp {
                    stream: 1,
                    number,
                    sent_micros: micros(unix_time()) + 1_000_000,
                    digest: shot.digest,
                    sounds,
                    sound_sum,
                };
                number += 1;
                out.push((Kind::Video, time, shot.stamped(at, &stamp).to_vec()));
            }
        }
        out
    }

    fn faults_of(messages: &[(Kind, u32, Vec<u8>)], step: usize) -> (Rc<Tally>, Vec<(Fault, u64)>) {
        let tally = Rc::new(Tally::default());
        let mut observer = Observer::new(tally.clone(), LOOK, Moment::now());
        observer.accepted();
        for (kind, timestamp, body) in messages {
            for (index, bytes) in body.chunks(step).enumerate() {
                observer.media(Part {
                    kind: *kind,
                    timestamp: *timestamp,
                    length: body.len(),
                    at: index * step,
                    bytes,
                });
            }
        }
        let faults = tally.faults();
        (tally, faults)
    }

    #[test]
    fn a_good_stream_has_no_faults_however_it_is_cut() {
        let messages = messages();
        for step in [1, 50, 99, 100, 101, 10_000] {
            let (tally, faults) = faults_of(&messages, step);
            assert_eq!(faults, [], "{:?}", tally.examples());
            assert_eq!(tally.messages.get(), messages.len() as u64);
            assert_eq!(tally.pictures.get(), 20);
            assert_eq!(tally.latency.borrow().count(), 20);
            assert_eq!(tally.first_frame.borrow().count(), 1);
        }
    }

    #[test]
    fn each_fault_is_found() {
        let good = messages();
        let position = |kind: Kind, nth: usize| {
            let mut of_kind = good.iter().enumerate().filter(|(_, message)| message.0 == kind);
            of_kind.nth(nth).unwrap().0
        };
        let without = |at: usize| {
            let mut bad = good.clone();
            bad.remove(at);
            bad
        };
        type Message = (Kind, u32, Vec<u8>);
        let changed = |at: usize, change: &dyn Fn(&mut Message)| {
            let mut bad = good.clone();
            change(&mut bad[at]);
            bad
        };
        // A header comes first of each kind.
        let (picture, sound) = (position(Kind::Video, 5), position(Kind::Audio, 5));
        let cases = [
            (without(position(Kind::Video, 0)), Fault::NoHeader),
            (without(picture), Fault::Lost),
            (without(sound), Fault::Sound),
            (
                changed(picture, &|message| *message.2.last_mut().unwrap() ^= 1),
                Fault::Changed,
            ),
            (changed(sound, &|message| message.2[20] ^= 1), Fault::Sound),
            (changed(picture, &|message| message.1 = 0), Fault::TimeBack),
            (changed(good.len() - 1, &|message| message.1 += 3000), Fault::TimeGap),
        ];
        for (messages, fault) in cases {
            let (_, faults) = faults_of(&messages, 64);
            assert_eq!(faults, [(fault, 1)]);
        }
    }

    #[test]
    fn a_player_that_joins_late_begins_where_it_is() {
        let good = messages();
        // Its headers, then the second half.
        let late = [&good[..3], &good[good.len() / 2..]].concat();
        let (tally, faults) = faults_of(&late, 64);
        assert_eq!(faults, [], "{:?}", tally.examples());
    }
}
