//! What live MP4 costs in bytes over FLV, by the length of its fragments, and how fast it is made.
//!
//! `cargo bench --bench mp4_overhead` takes the streams of `ts_overhead`.

#[allow(dead_code)]
#[path = "ts_overhead.rs"]
mod ts_overhead;

use std::time::Instant;

use srs_may::kernel::flv::mux::{file_start, put_tag};
use srs_may::kernel::frame::{Frame, Kind};
use srs_may::kernel::mp4::{Muxer, MuxerOptions};

/// Milliseconds; the live stream takes the longest one.
const PARTS: [u32; 6] = [0, 80, 120, 200, 350, 1000];

fn flv_bytes(frames: &[Frame]) -> usize {
    let mut flv = file_start(true, true).to_vec();
    for frame in frames {
        put_tag(&mut flv, frame.kind, frame.timestamp, &frame.payload).expect("a tag that fits");
    }
    flv.len()
}

fn mp4_bytes(frames: &[Frame], part_ms: u32) -> usize {
    let mut muxer = Muxer::new(MuxerOptions {
        audio: true,
        video: true,
        part_ms,
        segment_type: false,
    });
    let (mut bytes, mut out) = (0, Vec::new());
    for frame in frames {
        muxer.write(frame, &mut out).expect("a frame that is understood");
        bytes += out.len();
        out.clear();
    }
    muxer.flush(&mut out);
    muxer.init(&mut out);
    bytes + out.len()
}

fn main() {
    println!(
        "    bit/s  sound   {}     MB/s",
        PARTS.map(|part| format!("{part:>5} ms")).join("  ")
    );
    for case in ts_overhead::TABLE {
        let mut streams = vec![ts_overhead::frames(case)];
        let sound = streams[0]
            .iter()
            .filter(|frame| frame.kind == Kind::Audio)
            .cloned()
            .collect();
        streams.push(sound);
        for (frames, name) in streams.iter().zip(["both", "alone"]) {
            let flv = flv_bytes(frames) as f64;
            let percents = PARTS.map(|part| (mp4_bytes(frames, part) as f64 / flv - 1.0) * 100.0);
            let (start, mut bytes) = (Instant::now(), 0);
            while start.elapsed().as_millis() < 200 {
                bytes += mp4_bytes(frames, 200);
            }
            let speed = bytes as f64 / start.elapsed().as_secs_f64() / 1e6;
            let columns = percents.map(|percent| format!("{percent:>7.2}%")).join("  ");
            println!("{:>9}  {name:<6} {columns} {speed:>8.0}", case.bit_rate);
        }
    }
}
