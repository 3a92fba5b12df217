//! Instructions of the hot functions, counted and not timed: the same on every machine for one compiler.
//!
//! `scripts/bench-instructions.sh` runs `instructions NAME ROUNDS` under callgrind for two numbers of rounds, so that what
//! comes before and after falls out, and compares with `counts.txt`. A round is a second of H.264 and AAC at
//! 250 kb/s in 68 messages, or 100 commands.

use std::hint::black_box;
use std::rc::Rc;

use bytes::Bytes;
use srs_may::app::source::Source;
use srs_may::core::runtime::run;
use srs_may::kernel::flv::mux::{put_tag, rebase_timestamps};
use srs_may::kernel::frame::{Frame, Kind};
use srs_may::kernel::ts::{Muxer, MuxerOptions};
use srs_may::protocol::amf0::Object;
use srs_may::protocol::rtmp::chunk::{Decoder, Encoder};
use srs_may::protocol::rtmp::message::{Command, CommandName};

/// A name, and what runs so many times.
type Bench = (&'static str, fn(u32));

const BENCHES: [Bench; 7] = [
    ("chunk_read", chunk_read),
    ("chunk_skim", chunk_skim),
    ("chunk_write", chunk_write),
    ("flv_view", flv_view),
    ("journal_append", journal_append),
    ("ts_packets", ts_packets),
    ("amf_decode", amf_decode),
];

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let bench = BENCHES
        .iter()
        .find(|(name, _)| words.first().is_some_and(|word| word == name));
    let rounds = words.get(1).and_then(|word| word.parse().ok());
    match (bench, rounds) {
        (Some((_, bench)), Some(rounds)) => bench(rounds),
        _ => BENCHES.iter().for_each(|(name, _)| println!("{name}")),
    }
}

/// A second of media, with its sequence headers in front.
fn second() -> Vec<Frame> {
    let sps = [0x67, 0x42, 0xc0, 0x1e, 0xf4, 0x05, 0x01, 0xec, 0x80];
    let pps = [0x68, 0xce, 0x38, 0x80];
    let mut config = vec![0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, sps.len() as u8];
    config.extend_from_slice(&sps);
    config.extend_from_slice(&[1, 0, pps.len() as u8]);
    config.extend_from_slice(&pps);
    let mut frames = vec![
        Frame::new(Kind::Video, 0, config.into()),
        Frame::new(Kind::Audio, 0, Bytes::from_static(&[0xaf, 0, 0x12, 0x10])),
    ];
    let pictures = (0..25u32).map(|number| {
        let head = if number == 0 {
            [0x17, 1, 0, 0, 0, 0, 0, 0x03, 0xe8, 0x65]
        } else {
            [0x27, 1, 0, 0, 0, 0, 0, 0x03, 0xe8, 0x41]
        };
        Frame::new(Kind::Video, number * 40, [&head[..], &[7; 999]].concat().into())
    });
    let sounds = (0..43u32).map(|number| {
        Frame::new(
            Kind::Audio,
            number * 1000 / 43,
            [&[0xaf, 1][..], &[7; 140]].concat().into(),
        )
    });
    let mut media: Vec<Frame> = pictures.chain(sounds).collect();
    media.sort_by_key(|frame| frame.timestamp);
    frames.extend(media);
    frames
}

fn chunks(frames: &[Frame]) -> Vec<u8> {
    let (encoder, mut out) = (Encoder::new(), Vec::new());
    for frame in frames {
        let kind = frame.kind.number();
        let encoded = encoder.encode(&mut out, 6, kind, frame.timestamp, 1, &frame.payload);
        encoded.expect("a short message");
    }
    out
}

fn chunk_read(rounds: u32) {
    let (bytes, mut decoder) = (chunks(&second()), Decoder::new());
    for _ in 0..rounds {
        let mut rest = &bytes[..];
        while let Some(message) = decoder.decode_slice(&mut rest).expect("good chunks") {
            black_box(message);
        }
    }
}

fn chunk_skim(rounds: u32) {
    let (bytes, mut decoder) = (chunks(&second()), Decoder::new());
    for _ in 0..rounds {
        let mut rest = &bytes[..];
        while let Some(part) = decoder.skim_slice(&mut rest).expect("good chunks") {
            black_box(part);
        }
    }
}

fn chunk_write(rounds: u32) {
    let (frames, mut encoder, mut out) = (second(), Encoder::new(), Vec::new());
    encoder.set_chunk_size(60_000);
    for _ in 0..rounds {
        out.clear();
        for frame in &frames {
            let kind = frame.kind.number();
            let encoded = encoder.encode(&mut out, 6, kind, frame.timestamp, 1, &frame.payload);
            encoded.expect("a short message");
        }
        black_box(&out);
    }
}

fn flv_view(rounds: u32) {
    let (frames, mut out, mut scratch) = (second(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        out.clear();
        for frame in &frames {
            put_tag(&mut out, frame.kind, frame.timestamp, &frame.payload).expect("a short tag");
        }
        scratch.clear();
        scratch.extend_from_slice(&out);
        rebase_timestamps(&mut scratch, 7);
        black_box(&scratch);
    }
}

fn journal_append(rounds: u32) {
    let appended = run(move || {
        let source = Source::new("live/s".into(), "__defaultVhost__".into(), Rc::default());
        let publication = source.publish().expect("publish");
        let frames = second();
        for round in 0..rounds {
            for frame in &frames {
                let timestamp = round * 1000 + frame.timestamp;
                publication.push(Frame {
                    timestamp,
                    ..frame.clone()
                });
            }
        }
    });
    appended.expect("run");
}

fn ts_packets(rounds: u32) {
    let (frames, mut muxer, mut out) = (second(), Muxer::new(MuxerOptions::default()), Vec::new());
    for round in 0..rounds {
        out.clear();
        for frame in &frames {
            let timestamp = round * 1000 + frame.timestamp;
            let written = muxer.write(
                &Frame {
                    timestamp,
                    ..frame.clone()
                },
                &mut out,
            );
            let _ = black_box(written.expect("good frames"));
        }
        black_box(&out);
    }
}

fn amf_decode(rounds: u32) {
    let object = Object::new()
        .with("app", "live")
        .with("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)")
        .with("tcUrl", "rtmp://127.0.0.1:1935/live")
        .with("fpad", false)
        .with("capabilities", 15.0)
        .with("audioCodecs", 4071.0)
        .with("videoCodecs", 252.0)
        .with("videoFunction", 1.0);
    let payload = Command::new(CommandName::Connect, 1.0, [object.into()]).encode();
    for _ in 0..rounds * 100 {
        black_box(Command::parse(black_box(&payload)).expect("a command"));
    }
}
