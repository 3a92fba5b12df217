//! Tests of `decoder.rs`.

use super::*;
use crate::protocol::rtmp::chunk::{Encoder, write_delta_header, write_full_header, write_payload_chunks};

/// Feeds `bytes` in pieces of `step` and gathers what comes out.
fn decode_in_steps(decoder: &mut Decoder, bytes: &[u8], step: usize) -> Result<Vec<Message>> {
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for piece in bytes.chunks(step) {
        input.extend_from_slice(piece);
        while let Some(message) = decoder.decode(&mut input)? {
            messages.push(message);
        }
    }
    Ok(messages)
}

fn decode(bytes: &[u8]) -> Result<Vec<Message>> {
    decode_in_steps(&mut Decoder::new(), bytes, usize::MAX)
}

fn code(bytes: &[u8]) -> ErrorCode {
    decode(bytes).unwrap_err().code()
}

fn times(bytes: &[u8]) -> Vec<u32> {
    decode(bytes).unwrap().iter().map(|message| message.timestamp).collect()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

#[test]
fn messages_come_back_at_every_size_step_and_chunk_size() {
    for chunk_size in [128, 4096, 65_536] {
        let mut encoder = Encoder::new();
        encoder.set_chunk_size(chunk_size);
        let mut bytes = Vec::new();
        let sizes = [0, 1, 127, 128, 129, 300, 65_536, 70_000];
        for (index, size) in sizes.into_iter().enumerate() {
            let (id, time) = (6 + index as u32 % 2, 40 * index as u32);
            encoder.encode(&mut bytes, id, 9, time, 1, &pattern(size)).unwrap();
        }
        for step in [1, 7, 4096, usize::MAX] {
            let mut decoder = Decoder::new();
            decoder.set_chunk_size(chunk_size as u32).unwrap();
            let messages = decode_in_steps(&mut decoder, &bytes, step).unwrap();
            let got: Vec<usize> = messages.iter().map(|message| message.payload.len()).collect();
            assert_eq!(got, sizes, "chunk size {chunk_size}, step {step}");
            for (index, message) in messages.iter().enumerate() {
                assert_eq!(message.payload, pattern(sizes[index]));
                assert_eq!((message.kind, message.stream_id), (9, 1));
                assert_eq!(message.timestamp, 40 * index as u32);
            }
            assert!(decoder.is_idle());
            assert_eq!(decoder.reserved, 0);
        }
    }
}

#[test]
fn chunk_streams_interleave() {
    let bytes = [
        &b"\x06\x00\x00\x0a\x00\x00\x82\x09\x01\x00\x00\x00"[..],
        &[b'v'; 128],
        b"\x07\x00\x00\x0b\x00\x00\x81\x08\x01\x00\x00\x00",
        &[b'a'; 128],
        b"\xc6vv",
        b"\xc7a",
    ]
    .concat();
    let messages = decode(&bytes).unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].kind, messages[0].timestamp), (9, 10));
    assert_eq!(messages[0].payload, vec![b'v'; 130]);
    assert_eq!((messages[1].kind, messages[1].timestamp), (8, 11));
    assert_eq!(messages[1].payload, vec![b'a'; 129]);
}

#[test]
fn the_four_header_types_count_time_as_the_specification_says() {
    let bytes = [
        &b"\x04\x00\x03\xe8\x00\x00\x01\x08\x01\x00\x00\x00a"[..], // 1000
        b"\x44\x00\x00\x14\x00\x00\x02\x08bb",                     // + 20
        b"\x84\x00\x00\x15cc",                                     // + 21
        b"\xc4dd",                                                 // + 21 again
    ]
    .concat();
    let messages = decode(&bytes).unwrap();
    let got: Vec<_> = messages.iter().map(|m| (m.timestamp, &m.payload[..])).collect();
    assert_eq!(got, [(1000, &b"a"[..]), (1020, b"bb"), (1041, b"cc"), (1062, b"dd")]);
    assert!(messages.iter().all(|message| message.stream_id == 1));
}

#[test]
fn type_3_after_type_0_adds_the_timestamp_itself() {
    assert_eq!(
        times(b"\x04\x00\x03\xe8\x00\x00\x01\x08\x01\x00\x00\x00a\xc4b\xc4c"),
        [1000, 2000, 3000]
    );
}

#[test]
fn two_and_three_byte_ids_name_the_same_chunk_stream() {
    let bytes = b"\x00\x05\x00\x00\x01\x00\x00\x01\x08\x01\x00\x00\x00a\xc1\x05\x00b\x01\xff\xff\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00";
    let ids: Vec<u32> = decode(bytes).unwrap().iter().map(|m| m.chunk_stream).collect();
    assert_eq!(ids, [69, 69, 65_599]);
}

#[test]
fn extended_timestamps_work_in_both_styles() {
    for time in [0xff_ffff_u32, 0x100_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        for repeats in [true, false] {
            let mut bytes = Vec::new();
            for _ in 0..2 {
                let extended = write_full_header(&mut bytes, 6, 9, 300, time, 1);
                let extended = extended.filter(|_| repeats);
                write_payload_chunks(&mut bytes, 6, &pattern(300), 128, extended);
            }
            for step in [1, usize::MAX] {
                let messages = decode_in_steps(&mut Decoder::new(), &bytes, step).unwrap();
                assert_eq!(messages.len(), 2, "time {time:#x}, repeats {repeats}, step {step}");
                for message in messages {
                    assert_eq!(message.timestamp, time);
                    assert_eq!(message.payload, pattern(300));
                }
            }
        }
    }
}

#[test]
fn a_short_last_chunk_without_the_extended_timestamp_needs_no_more_input() {
    let mut bytes = Vec::new();
    write_full_header(&mut bytes, 6, 9, 129, 0x0100_0000, 1);
    write_payload_chunks(&mut bytes, 6, &[7; 129], 128, None);
    assert_eq!(times(&bytes), [0x0100_0000]);
}

#[test]
fn extended_differences_stand_in_types_1_2_and_at_the_start_of_type_3() {
    let bytes = [
        &b"\x04\x00\x00\x05\x00\x00\x01\x08\x01\x00\x00\x00a"[..],
        b"\x44\xff\xff\xff\x00\x00\x01\x08\x01\x00\x00\x00b",
        b"\x84\xff\xff\xff\x02\x00\x00\x00c",
        b"\xc4\x03\x00\x00\x00d",
        b"\x84\x00\x00\x01e",
        b"\xc4f",
    ]
    .concat();
    assert_eq!(
        times(&bytes),
        [5, 0x0100_0005, 0x0300_0005, 0x0600_0005, 0x0600_0006, 0x0600_0007]
    );
}

#[test]
fn time_wraps_at_32_bits_and_nowhere_before() {
    for start in [0xff_fff0_u32, 0x7fff_fff0, 0xffff_fff0] {
        let mut bytes = Vec::new();
        write_full_header(&mut bytes, 6, 9, 0, start, 1);
        write_delta_header(&mut bytes, 6, 9, 0, 0x20);
        write_delta_header(&mut bytes, 6, 9, 0, u32::MAX);
        let second = start.wrapping_add(0x20);
        assert_eq!(times(&bytes), [start, second, second.wrapping_sub(1)]);
    }
}

#[test]
fn a_fresh_chunk_stream_may_begin_with_type_1_only() {
    let mut decoder = Decoder::new();
    let ping = b"\x42\x00\x00\x07\x00\x00\x06\x04\x00\x03\x00\x00\x00\x00";
    let messages = decode_in_steps(&mut decoder, ping, 1).unwrap();
    assert_eq!((messages[0].timestamp, messages[0].stream_id), (7, 0));
    assert!(decoder.began_with_type1());
    assert_eq!(code(b"\x82\x00\x00\x07"), ErrorCode::RtmpChunkStart);
    assert_eq!(code(b"\xc2"), ErrorCode::RtmpChunkStart);
}

#[test]
fn a_message_neither_starts_nor_changes_its_length_inside_another() {
    let begun = [&b"\x06\x00\x00\x00\x00\x01\x00\x09\x01\x00\x00\x00"[..], &[0; 128]].concat();
    let with = |tail: &[u8]| [&begun[..], tail].concat();
    let again = with(b"\x06\x00\x00\x00\x00\x01\x00\x09\x01\x00\x00\x00");
    assert_eq!(code(&again), ErrorCode::RtmpChunkStart);
    let shorter = with(b"\x46\x00\x00\x00\x00\x00\x90\x09");
    assert_eq!(code(&shorter), ErrorCode::RtmpPacketSize);
    // The same length again is odd but harmless; the message keeps its first time.
    let same = [with(b"\x46\x00\x00\x05\x00\x01\x00\x09"), vec![0; 128]].concat();
    assert_eq!(times(&same), [0]);
}

#[test]
fn chunk_sizes_have_a_floor_and_a_ceiling() {
    let mut decoder = Decoder::new();
    for size in [0, 1, 127] {
        assert_eq!(
            decoder.set_chunk_size(size).unwrap_err().code(),
            ErrorCode::RtmpChunkSize
        );
    }
    assert_eq!(decoder.chunk_size(), 128);
    for size in [128, 65_536, RTMP_CHUNK_BYTES_MAX as u32] {
        decoder.set_chunk_size(size).unwrap();
        assert_eq!(decoder.chunk_size(), size as usize);
    }
    decoder.set_chunk_size(u32::MAX).unwrap();
    assert_eq!(decoder.chunk_size(), RTMP_CHUNK_BYTES_MAX);
}

#[test]
fn a_chunk_size_set_in_mid_message_holds_from_the_next_chunk() {
    let mut decoder = Decoder::new();
    let mut input = BytesMut::from(&b"\x06\x00\x00\x00\x00\x01\x2c\x09\x01\x00\x00\x00"[..]);
    input.extend_from_slice(&[1; 100]);
    assert_eq!(decoder.decode(&mut input).unwrap(), None);
    decoder.set_chunk_size(200).unwrap();
    input.extend_from_slice(&[1; 28]);
    input.extend_from_slice(b"\xc6");
    input.extend_from_slice(&[2; 172]);
    let message = decoder.decode(&mut input).unwrap().unwrap();
    assert_eq!(message.payload, [[1; 128].as_slice(), &[2; 172]].concat());
}

#[test]
fn abort_drops_the_unfinished_message() {
    let mut decoder = Decoder::new();
    let mut input = BytesMut::from(&b"\x06\x00\x00\x00\x00\x01\x2c\x09\x01\x00\x00\x00"[..]);
    input.extend_from_slice(&[1; 128]);
    assert_eq!(decoder.decode(&mut input).unwrap(), None);
    decoder.abort(6);
    decoder.abort(99);
    assert_eq!(decoder.reserved, 0);
    input.extend_from_slice(b"\x06\x00\x00\x00\x00\x00\x01\x09\x01\x00\x00\x00x");
    assert_eq!(decoder.decode(&mut input).unwrap().unwrap().payload, &b"x"[..]);
}

#[test]
fn a_header_alone_reserves_little() {
    let mut decoder = Decoder::new();
    let mut input = BytesMut::from(&b"\x06\x00\x00\x00\xff\xff\xff\x09\x01\x00\x00\x00x"[..]);
    assert_eq!(decoder.decode(&mut input).unwrap(), None);
    assert!(decoder.reserved <= FIRST_RESERVE_BYTES);
}

#[test]
fn unfinished_messages_are_bounded_over_all_chunk_streams() {
    let mut decoder = Decoder::new();
    // Each chunk stream gets all but the last byte of a message of two thirds of the bound.
    let length = RTMP_PARTIAL_BYTES / 3 * 2;
    let [_, high, middle, low] = u32::try_from(length).unwrap().to_be_bytes();
    decoder.set_chunk_size(length as u32 - 1).unwrap();
    let mut codes = Vec::new();
    for id in 3..5 {
        let mut input = BytesMut::from(&[id, 0, 0, 0, high, middle, low, 9, 1, 0, 0, 0][..]);
        input.resize(input.len() + length - 1, 0);
        codes.push(decoder.decode(&mut input).map_err(|error| error.code()));
    }
    assert_eq!(codes, [Ok(None), Err(ErrorCode::RtmpMsgSize)]);
    assert!(decoder.reserved <= RTMP_PARTIAL_BYTES);
}

#[test]
fn chunk_streams_are_bounded() {
    let mut bytes = Vec::new();
    for id in 0..=RTMP_CHUNK_STREAMS as u32 {
        write_full_header(&mut bytes, 3 + id, 8, 0, 0, 1);
    }
    let mut decoder = Decoder::new();
    let mut input = BytesMut::from(&bytes[..]);
    for _ in 0..RTMP_CHUNK_STREAMS {
        assert!(decoder.decode(&mut input).unwrap().is_some());
    }
    assert_eq!(
        decoder.decode(&mut input).unwrap_err().code(),
        ErrorCode::RtmpChunkStart
    );
}

#[test]
fn every_prefix_gives_whole_messages_only() {
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for time in [5, 0x0100_0000] {
        let extended = write_full_header(&mut bytes, 300, 9, 200, time, 1);
        write_payload_chunks(&mut bytes, 300, &pattern(200), 128, extended);
        ends.push(bytes.len());
    }
    for end in 0..=bytes.len() {
        let whole = ends.iter().filter(|message_end| **message_end <= end).count();
        assert_eq!(decode(&bytes[..end]).unwrap().len(), whole, "{end} bytes");
    }
}

#[test]
fn mutated_bytes_never_panic_and_stay_in_bounds() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut valid = Vec::new();
    for index in 0..6 {
        let extended = write_full_header(&mut valid, 4 + index % 3, 9, 150, index * 0x80_0000, 1);
        write_payload_chunks(&mut valid, 4 + index % 3, &pattern(150), 128, extended);
    }
    for _ in 0..4000 {
        let mut bytes = valid.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let mut decoder = Decoder::new();
        let step = random.usize(1..400);
        if let Ok(messages) = decode_in_steps(&mut decoder, &bytes, step) {
            assert!(messages.iter().map(|m| m.payload.len()).sum::<usize>() <= bytes.len());
        }
        assert!(decoder.streams.len() <= RTMP_CHUNK_STREAMS);
        let held: usize = decoder
            .streams
            .iter()
            .filter_map(|s| s.partial.as_ref())
            .map(Vec::capacity)
            .sum();
        assert_eq!(held, decoder.reserved);
    }
}
