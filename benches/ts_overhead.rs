//! What a transport stream costs in bytes over FLV, at the bit rates of the table that SRS gives for HLS, and how fast it
//! is made.
//!
//! `cargo bench --bench ts_overhead` makes a minute of H.264 and AAC of each bit rate and writes it as FLV, as HLS segments
//! of ten seconds (what the table is about), and as one live stream whose tables are repeated before each keyframe.

use std::time::Instant;

use bytes::Bytes;
use srs_may::kernel::flv::mux::{file_start, put_tag};
use srs_may::kernel::frame::{Frame, Kind};
use srs_may::kernel::ts::{Muxer, MuxerOptions};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// All of the FLV file, bits a second.
    pub bit_rate: u32,
    /// The sound's part, bits a second.
    pub audio_bit_rate: u32,
    /// What SRS has, percent; ours must not be above.
    pub percent: f64,
}

/// Bit rates and percents are of the table; it does not tell the sound's part, so it is what encoders take for such streams.
pub const TABLE: [Case; 4] = [
    Case {
        bit_rate: 275_000,
        audio_bit_rate: 48_000,
        percent: 14.5,
    },
    Case {
        bit_rate: 565_000,
        audio_bit_rate: 64_000,
        percent: 7.1,
    },
    Case {
        bit_rate: 1_300_000,
        audio_bit_rate: 96_000,
        percent: 4.2,
    },
    Case {
        bit_rate: 5_000_000,
        audio_bit_rate: 128_000,
        percent: 2.7,
    },
];

/// What a case gave.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub flv_bytes: usize,
    pub segments_bytes: usize,
    pub live_bytes: usize,
}

impl Outcome {
    /// How much more segments take, percent.
    pub fn segments_percent(&self) -> f64 {
        (self.segments_bytes as f64 / self.flv_bytes as f64 - 1.0) * 100.0
    }

    /// How much more a live stream takes, percent.
    pub fn live_percent(&self) -> f64 {
        (self.live_bytes as f64 / self.flv_bytes as f64 - 1.0) * 100.0
    }
}

const SECONDS: u32 = 60;
const SEGMENT_MS: u32 = 10_000;
const PICTURES_PER_SECOND: u32 = 25;
const PICTURES_PER_GROUP: u32 = 50;
const SAMPLE_RATE: u64 = 44_100;
const FRAME_SAMPLES: u64 = 1024;

/// A minute of stream: a keyframe each two seconds that takes eight times what another picture takes, sizes that vary by
/// a half around their mean, sound by a quarter; in the order of time.
pub fn frames(case: Case) -> Vec<Frame> {
    let mut random = fastrand::Rng::with_seed(7);
    let pictures_bytes = (case.bit_rate - case.audio_bit_rate) / 8 / PICTURES_PER_SECOND * PICTURES_PER_GROUP;
    let mean = pictures_bytes / (PICTURES_PER_GROUP + 7);
    let sound_bytes = (u64::from(case.audio_bit_rate) / 8 * FRAME_SAMPLES / SAMPLE_RATE) as u32;
    let mut frames = vec![
        frame(Kind::Video, 0, VIDEO_HEADER, &[]),
        frame(Kind::Audio, 0, &[0xaf, 0, 0x12, 0x10], &[]),
    ];
    for picture in 0..SECONDS * PICTURES_PER_SECOND {
        let key = picture % PICTURES_PER_GROUP == 0;
        let size = random.u32(mean / 2..mean + mean / 2) * if key { 8 } else { 1 };
        let head: &[u8] = if key {
            &[0x17, 1, 0, 0, 80]
        } else {
            &[0x27, 1, 0, 0, 80]
        };
        let mut nal = vec![0x5a; size as usize];
        nal[0] = if key { 0x65 } else { 0x41 };
        let length = size.to_be_bytes();
        frames.push(frame(
            Kind::Video,
            picture * 1000 / PICTURES_PER_SECOND,
            head,
            &[&length, &nal[..]].concat(),
        ));
    }
    for sound in 0..u64::from(SECONDS) * SAMPLE_RATE / FRAME_SAMPLES {
        let time = sound * FRAME_SAMPLES * 1000 / SAMPLE_RATE;
        frames.push(frame(
            Kind::Audio,
            time as u32,
            &[0xaf, 1],
            &vec![0x21; random.u32(sound_bytes * 3 / 4..sound_bytes * 5 / 4) as usize],
        ));
    }
    frames.sort_by_key(|frame| frame.timestamp);
    frames
}

/// 768x320, High, as libx264 makes it.
const VIDEO_HEADER: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x51,
    0x9e, 0x22, 0x6c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0x65, 0x80, 0x01,
    0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

fn frame(kind: Kind, timestamp: u32, head: &[u8], body: &[u8]) -> Frame {
    Frame::new(kind, timestamp, Bytes::from([head, body].concat()))
}

/// Writes frames both ways.
pub fn compare(frames: &[Frame]) -> Outcome {
    let mut flv = file_start(true, true).to_vec();
    for frame in frames {
        put_tag(&mut flv, frame.kind, frame.timestamp, &frame.payload).expect("a tag that fits");
    }
    Outcome {
        flv_bytes: flv.len(),
        segments_bytes: write_segments(frames).len(),
        live_bytes: write_live(frames).len(),
    }
}

fn write_segments(frames: &[Frame]) -> Vec<u8> {
    let options = MuxerOptions {
        repeat_tables: false,
        ..MuxerOptions::default()
    };
    let (mut muxer, mut ts) = (Muxer::new(options), Vec::new());
    let mut start = 0;
    for frame in frames {
        if frame.facts.keyframe && frame.timestamp - start >= SEGMENT_MS {
            start = frame.timestamp;
            let _ = muxer.flush(&mut ts);
            muxer.start(&mut ts);
        }
        let _ = muxer.write(frame, &mut ts).expect("a frame that is understood");
    }
    let _ = muxer.flush(&mut ts);
    ts
}

fn write_live(frames: &[Frame]) -> Vec<u8> {
    let (mut muxer, mut ts) = (Muxer::new(MuxerOptions::default()), Vec::new());
    for frame in frames {
        let _ = muxer.write(frame, &mut ts).expect("a frame that is understood");
    }
    let _ = muxer.flush(&mut ts);
    ts
}

fn main() {
    println!("     bit/s    FLV bytes  segments      SRS      live     MB/s");
    let mut above = false;
    for case in TABLE {
        let frames = frames(case);
        let outcome = compare(&frames);
        let (start, mut bytes) = (Instant::now(), 0);
        while start.elapsed().as_millis() < 300 {
            bytes += write_live(&frames).len();
        }
        let speed = bytes as f64 / start.elapsed().as_secs_f64() / 1e6;
        let (segments, live) = (outcome.segments_percent(), outcome.live_percent());
        println!(
            "{:>10} {:>12} {segments:>8.2}% {:>7.1}% {live:>8.2}% {speed:>8.0}",
            case.bit_rate, outcome.flv_bytes, case.percent
        );
        above |= segments > case.percent;
    }
    assert!(!above, "segments cost more than those of SRS");
}
