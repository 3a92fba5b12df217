//! What our muxer and FFmpeg write is read back; losses cost the unit that they hit.

use super::*;
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::ts::mux::{Muxer, MuxerOptions};
use crate::kernel::ts::packet::{Adaptation, PACKET_BYTES, PidWriter};
use crate::kernel::ts::pes;
use crate::kernel::ts::psi::{AUDIO_PID, PMT_PID, Program, VIDEO_PID, association_section};

fn demux(bytes: &[u8], step: usize) -> (Vec<Item>, Vec<ErrorCode>, Damage) {
    let mut demuxer = Demuxer::new();
    let (mut items, mut faults) = (Vec::new(), Vec::new());
    let mut drain = |demuxer: &mut Demuxer| {
        loop {
            match demuxer.pull() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => faults.push(error.code()),
            }
        }
    };
    for piece in bytes.chunks(step.max(1)) {
        demuxer.feed(piece);
        drain(&mut demuxer);
    }
    demuxer.finish();
    drain(&mut demuxer);
    (items, faults, demuxer.damage())
}

fn units(items: &[Item], is_video: bool) -> Vec<&Unit> {
    let units = items.iter().filter_map(|item| match item {
        Item::Unit(unit) => Some(unit),
        Item::Program(_) => None,
    });
    units.filter(|unit| unit.coding.is_video() == is_video).collect()
}

/// A stream of AVC with B frames' times and AAC, by our muxer; `start_ms` is its first time.
fn muxed(start_ms: u32) -> Vec<u8> {
    let options = MuxerOptions {
        delay_ms: 0,
        audio_group_ms: 0,
        ..MuxerOptions::default()
    };
    let (mut muxer, mut out) = (Muxer::new(options), Vec::new());
    let header = b"\x17\0\0\0\0\x01\x64\0\x0d\xff\xe1\0\x04\x67\x64\0\x0d\x01\0\x02\x68\xeb";
    let mut write = |kind, time: u32, body: Vec<u8>| {
        let frame = Frame::new(kind, time.wrapping_add(start_ms), body.into());
        let _ = muxer.write(&frame, &mut out).unwrap();
    };
    write(Kind::Video, 0, header.to_vec());
    write(Kind::Audio, 0, vec![0xaf, 0, 0x12, 0x10]);
    for number in 0..10u32 {
        let (head, nal) = if number % 5 == 0 { (0x17, 0x65) } else { (0x27, 0x41) };
        let mut body = vec![head, 1, 0, 0, if number % 2 == 0 { 80 } else { 0 }];
        let nal = [&[nal][..], &[number as u8 + 1; 500]].concat();
        body.extend((nal.len() as u32).to_be_bytes());
        body.extend(nal);
        write(Kind::Video, number * 40, body);
        write(Kind::Audio, number * 40 + 5, vec![0xaf, 1, number as u8 + 1, 7, 7]);
    }
    let _ = muxer.flush(&mut out);
    out
}

#[test]
fn what_our_muxer_writes_comes_back() {
    let (items, faults, damage) = demux(&muxed(1000), 1316);
    assert_eq!((faults.as_slice(), damage), (&[][..], Damage::default()));
    let Item::Program(streams) = &items[0] else {
        panic!("no program first: {items:?}");
    };
    let codings: Vec<_> = streams.iter().map(|stream| (stream.pid, stream.coding)).collect();
    let expected = [(VIDEO_PID, Some(StreamType::H264)), (AUDIO_PID, Some(StreamType::Aac))];
    assert_eq!(codings, expected);
    let pictures = units(&items, true);
    assert_eq!(pictures.len(), 10);
    for (number, unit) in pictures.iter().enumerate() {
        let stamps = unit.stamps.unwrap();
        assert_eq!(stamps.decoding, (1000 + number as i64 * 40) * 90);
        assert_eq!(
            stamps.presentation - stamps.decoding,
            if number % 2 == 0 { 7200 } else { 0 }
        );
        assert_eq!(unit.random_access, number % 5 == 0);
        assert!(unit.payload.ends_with(&[number as u8 + 1; 500]));
    }
    let sound = units(&items, false);
    assert_eq!(sound.len(), 10);
    assert!(sound[0].payload.starts_with(&[0xff, 0xf1]) && sound[9].payload.ends_with(&[10, 7, 7]));
}

#[test]
fn cuts_change_nothing() {
    let bytes = muxed(0);
    let whole = demux(&bytes, bytes.len());
    for step in [1, 13, 188, 200, 1316] {
        assert_eq!(demux(&bytes, step), whole, "steps of {step}");
    }
}

#[test]
fn times_go_on_over_their_wrap() {
    // 33 bits of 90 kHz end after 95,443,717 ms and 69 ticks.
    let (items, ..) = demux(&muxed(95_443_717 - 100), 1316);
    for kind in [true, false] {
        let times: Vec<i64> = units(&items, kind)
            .iter()
            .map(|unit| unit.stamps.unwrap().decoding)
            .collect();
        assert!(
            times
                .windows(2)
                .all(|pair| pair[0] < pair[1] && pair[1] - pair[0] < 20_000),
            "{times:?}"
        );
        assert!(times[0] < 1 << 33 && times[9] > 1 << 33);
    }
    assert_eq!(nearest(1, TICKS_MASK), 2);
    assert_eq!(nearest(TICKS_MASK, 1), -2);
}

#[test]
fn a_lost_packet_costs_its_unit() {
    let bytes = muxed(0);
    let packets: Vec<&[u8]> = bytes.chunks(PACKET_BYTES).collect();
    let whole = units(&demux(&bytes, 1316).0, true).len();
    // Nobody knows of the first one of a stream.
    for lost in 3..packets.len() {
        let rest = [&packets[..lost], &packets[lost + 1..]].concat().concat();
        let (items, ..) = demux(&rest, 1316);
        let pictures = units(&items, true);
        assert!(pictures.len() >= whole - 1, "without packet {lost}: {}", pictures.len());
        assert!(
            pictures.iter().all(|unit| unit.payload.len() > 500),
            "without packet {lost}"
        );
        // What follows says so, unless it was the last.
        let after = pictures.iter().filter(|unit| unit.after_loss).count();
        let last_is_there = pictures.last().is_some_and(|unit| unit.payload.ends_with(&[10; 500]));
        assert!(
            after <= 1 && (pictures.len() == whole || after == 1 || !last_is_there),
            "without packet {lost}"
        );
    }
}

#[test]
fn packets_that_come_twice_count_once() {
    let bytes = muxed(0);
    let twice: Vec<u8> = bytes
        .chunks(PACKET_BYTES)
        .flat_map(|packet| [packet, packet].concat())
        .collect();
    assert_eq!(demux(&twice, 1316).0, demux(&bytes, 1316).0);
}

#[test]
fn a_new_map_changes_the_streams() {
    let (mut pat, mut pmt, mut media) = (PidWriter::new(0), PidWriter::new(PMT_PID), PidWriter::new(VIDEO_PID));
    let mut out = Vec::new();
    pat.put_section(&mut out, &association_section());
    let stamps = Stamps {
        presentation: 9000,
        decoding: 9000,
    };
    for (version, video) in [(0, StreamType::H264), (1, StreamType::Hevc), (1, StreamType::Hevc)] {
        let program = Program {
            video: Some(video),
            ..Program::default()
        };
        pmt.put_section(&mut out, &program.map_section(version));
        let mut unit = Vec::new();
        pes::put_header(&mut unit, pes::VIDEO_STREAM_ID, stamps);
        unit.extend([0, 0, 1, 9]);
        media.put_unit(&mut out, Adaptation::default(), &unit);
    }
    let (items, faults, _) = demux(&out, 1316);
    assert!(faults.is_empty());
    assert_eq!(items.iter().filter(|item| matches!(item, Item::Program(_))).count(), 2);
    // The first unit told no length, and its end was not seen before its stream went.
    let codings: Vec<_> = units(&items, true).iter().map(|unit| unit.coding).collect();
    assert_eq!(codings, [StreamType::Hevc; 2]);
}

#[test]
fn damaged_streams_never_panic_and_end() {
    let bytes = muxed(0);
    let mut random = fastrand::Rng::with_seed(5);
    for cut in 0..bytes.len().min(3000) {
        demux(&bytes[..cut], 1316);
    }
    for _ in 0..1500 {
        let mut changed = bytes.clone();
        for _ in 0..random.usize(1..20) {
            let at = random.usize(..changed.len());
            match random.u8(..3) {
                0 => changed[at] = random.u8(..),
                1 => drop(changed.drain(at..(at + random.usize(..300)).min(changed.len()))),
                _ => changed.insert(at, random.u8(..)),
            }
            if changed.is_empty() {
                break;
            }
        }
        let (items, ..) = demux(&changed, random.usize(1..2000));
        let total: usize = units(&items, true).iter().map(|unit| unit.payload.len()).sum();
        assert!(total <= changed.len());
    }
}
