//! A stream made here: H.264 pictures that decode to grey and AAC that decodes to silence, filled up to a bitrate, so that a
//! load needs no file and every player can show it.

use std::time::Duration;

use bytes::Bytes;
use srs_may::kernel::flv::body;
use srs_may::kernel::frame::{Frame, Kind};

/// Pictures of 320 x 240.
const WIDTH_BLOCKS: u32 = 20;
const HEIGHT_BLOCKS: u32 = 15;
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 240.0;
/// AAC LC, 44,100 Hz, two channels (ISO/IEC 14496-3, AudioSpecificConfig).
const SOUND_CONFIG: [u8; 2] = [0x12, 0x10];
const SOUND_RATE: u64 = 44_100;
const SOUND_SAMPLES: u64 = 1024;
/// A pair of channels that are silent, and the end of the frame.
const SILENCE: [u8; 6] = [0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c];
/// Bytes of a frame of sound: 48 kb/s.
const SOUND_BYTES: usize = 140;
/// User data that fills pictures up; it says so itself.
const FILLER_UUID: &[u8; 16] = b"srs-bench filler";

/// What the stream is to be like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Bits a second of sound and pictures.
    pub bitrate: u64,
    /// Pictures a second.
    pub rate: u32,
    /// Pictures from one keyframe to the next.
    pub gop: u32,
    /// Whether it has sound.
    pub sound: bool,
}

/// The headers (metadata, sequence headers), the frames of one GOP in order, and how long that lasts.
pub struct Made {
    /// Sent once.
    pub headers: Vec<Frame>,
    /// Sent again and again.
    pub frames: Vec<Frame>,
    /// Time from the first frame to the first of the next round.
    pub duration: Duration,
}

/// Makes the stream.
pub fn make(shape: Shape) -> Made {
    let duration = Duration::from_secs(shape.gop.into()) / shape.rate;
    let sounds = if shape.sound {
        duration.as_micros() as u64 * SOUND_RATE / SOUND_SAMPLES / 1_000_000
    } else {
        0
    };
    let sound_bits = sounds * SOUND_BYTES as u64 * 8;
    let bits = (shape.bitrate as f64 * duration.as_secs_f64()) as u64;
    let picture_bytes = (bits.saturating_sub(sound_bits) / 8 / u64::from(shape.gop)) as usize;
    let mut frames: Vec<Frame> = (0..shape.gop)
        .map(|number| {
            let millis = (u64::from(number) * 1000 / u64::from(shape.rate)) as u32;
            Frame::new(Kind::Video, millis, picture(number, picture_bytes))
        })
        .chain((0..sounds).map(|number| {
            let millis = (number * SOUND_SAMPLES * 1000 / SOUND_RATE) as u32;
            Frame::new(Kind::Audio, millis, sound(number as u8))
        }))
        .collect();
    frames.sort_by_key(|frame| frame.timestamp);
    Made {
        headers: headers(shape),
        frames,
        duration,
    }
}

fn headers(shape: Shape) -> Vec<Frame> {
    let mut headers = vec![
        Frame::new(Kind::Data, 0, metadata(shape)),
        Frame::new(Kind::Video, 0, picture_config()),
    ];
    if shape.sound {
        headers.push(Frame::new(Kind::Audio, 0, body::aac_header(&SOUND_CONFIG).into()));
    }
    headers
}

fn metadata(shape: Shape) -> Bytes {
    let mut out = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00".to_vec();
    let mut number = |name: &str, value: f64| {
        out.extend_from_slice(&(name.len() as u16).to_be_bytes());
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(&value.to_be_bytes());
    };
    number("width", WIDTH);
    number("height", HEIGHT);
    number("framerate", shape.rate.into());
    number("videodatarate", shape.bitrate as f64 / 1000.0);
    number("videocodecid", 7.0);
    if shape.sound {
        number("audiocodecid", 10.0);
        number("audiosamplerate", SOUND_RATE as f64);
        number("audiodatarate", 48.0);
    }
    out.extend_from_slice(&[0, 0, 9]);
    out.into()
}

fn picture_config() -> Bytes {
    let (sps, pps) = (sequence_set(), picture_set());
    let mut out = vec![0x17, 0, 0, 0, 0, 1, sps[1], sps[2], sps[3], 0xff, 0xe1];
    out.extend_from_slice(&(sps.len() as u16).to_be_bytes());
    out.extend_from_slice(&sps);
    out.push(1);
    out.extend_from_slice(&(pps.len() as u16).to_be_bytes());
    out.extend_from_slice(&pps);
    out.into()
}

/// Constrained baseline, level 3 (ITU-T H.264, 7.3.2.1).
fn sequence_set() -> Vec<u8> {
    let mut bits = Bits::after(&[0x67, 66, 0xc0, 30]);
    // Identifier, frame numbers of 4 bits, output in decoding order, one reference, no gaps.
    [0, 0, 2, 1].into_iter().for_each(|value| bits.ue(value));
    bits.put(0, 1);
    bits.ue(WIDTH_BLOCKS - 1);
    bits.ue(HEIGHT_BLOCKS - 1);
    // Frames only, 8x8 inference, no cropping, no further information.
    bits.put(0b1100, 4);
    bits.end()
}

/// CAVLC, one slice group, one reference (7.3.2.2).
fn picture_set() -> Vec<u8> {
    let mut bits = Bits::after(&[0x68]);
    bits.ue(0);
    bits.ue(0);
    bits.put(0, 2);
    [0, 0, 0].into_iter().for_each(|value| bits.ue(value));
    bits.put(0, 3);
    [0, 0, 0].into_iter().for_each(|value| bits.ue(value));
    bits.put(0, 3);
    bits.end()
}

/// A tag's body of about so many bytes: the first picture of a GOP is grey all over, the others repeat it.
fn picture(number: u32, bytes: usize) -> Bytes {
    let slice = if number == 0 { grey() } else { repeated(number) };
    let mut out = vec![if number == 0 { 0x17 } else { 0x27 }, 1, 0, 0, 0];
    // Tag fields, two lengths, and what surrounds the filling.
    let spare = bytes.saturating_sub(out.len() + 8 + slice.len());
    put_filler(&mut out, spare, number as u8);
    out.extend_from_slice(&(slice.len() as u32).to_be_bytes());
    out.extend_from_slice(&slice);
    out.into()
}

/// A NAL unit of about so many bytes, or none if there is no room for it.
fn put_filler(out: &mut Vec<u8>, bytes: usize, mark: u8) {
    const AROUND: usize = 3 + FILLER_UUID.len() + 1;
    if bytes < AROUND + 8 {
        return;
    }
    // Each 255 bytes of its size take a byte of the size field.
    let payload = (bytes - AROUND) - (bytes - AROUND) / 255 + FILLER_UUID.len();
    let mut nal = vec![0x06, 5];
    nal.extend(std::iter::repeat_n(0xff, payload / 255));
    nal.push((payload % 255) as u8);
    nal.extend_from_slice(FILLER_UUID);
    // Never zero, so that nothing looks like a start code.
    nal.extend((0..payload - FILLER_UUID.len()).map(|at| (at as u8 ^ mark) | 1));
    nal.push(0x80);
    out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    out.extend_from_slice(&nal);
}

/// An IDR slice (7.3.3, 7.3.5) whose blocks are all predicted from nothing: mid-grey.
fn grey() -> Vec<u8> {
    let mut bits = Bits::after(&[0x65]);
    [0, 7, 0].into_iter().for_each(|value| bits.ue(value));
    bits.put(0, 4);
    bits.ue(0);
    bits.put(0, 2);
    bits.ue(0);
    for _ in 0..WIDTH_BLOCKS * HEIGHT_BLOCKS {
        // I_16x16 with DC prediction and no coefficients; chroma by DC, the same quantiser, no luma levels.
        bits.ue(3);
        bits.put(0b111, 3);
    }
    bits.end()
}

/// A P slice that skips all blocks.
fn repeated(number: u32) -> Vec<u8> {
    let mut bits = Bits::after(&[0x41]);
    [0, 5, 0].into_iter().for_each(|value| bits.ue(value));
    bits.put(number % 16, 4);
    bits.put(0, 3);
    bits.ue(0);
    bits.ue(WIDTH_BLOCKS * HEIGHT_BLOCKS);
    bits.end()
}

/// A frame of silence behind a data stream element that decoders pass over (ISO/IEC 14496-3, 4.4.2.5).
fn sound(number: u8) -> Bytes {
    const FIELDS: usize = 2;
    let filling = SOUND_BYTES - FIELDS - SILENCE.len() - FIELDS;
    let mut frame = vec![0x81, filling as u8];
    frame.extend((0..filling).map(|at| at as u8 ^ number));
    frame.extend_from_slice(&SILENCE);
    body::aac_frame(&frame).into()
}

/// Writes the syntax elements of H.264.
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn after(start: &[u8]) -> Self {
        Bits {
            bytes: start.to_vec(),
            used: 8,
        }
    }

    fn put(&mut self, value: u32, count: u32) {
        for at in (0..count).rev() {
            if self.used == 8 {
                self.bytes.push(0);
                self.used = 0;
            }
            let bit = (value >> at & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.used);
            }
            self.used += 1;
        }
    }

    /// An Exp-Golomb code (9.1).
    fn ue(&mut self, value: u32) {
        let bits = (value + 1).ilog2();
        self.put(0, bits);
        self.put(value + 1, bits + 1);
    }

    /// The stop bit, then emulation prevention.
    fn end(mut self) -> Vec<u8> {
        self.put(1, 1);
        let mut out: Vec<u8> = Vec::with_capacity(self.bytes.len());
        for byte in self.bytes {
            if out.ends_with(&[0, 0]) && byte <= 3 {
                out.push(3);
            }
            out.push(byte);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use srs_may::kernel::codec::avc::Sps;

    use super::*;

    const SHAPE: Shape = Shape {
        bitrate: 250_000,
        rate: 25,
        gop: 50,
        sound: true,
    };

    #[test]
    fn the_bitrate_is_what_was_asked_for() {
        for bitrate in [250_000, 2_000_000, 40_000_000] {
            let made = make(Shape { bitrate, ..SHAPE });
            let bytes: usize = made.frames.iter().map(|frame| frame.payload.len()).sum();
            let have = bytes as f64 * 8.0 / made.duration.as_secs_f64();
            assert!((have / bitrate as f64 - 1.0).abs() < 0.02, "{have} for {bitrate}");
        }
        assert_eq!(make(SHAPE).duration, Duration::from_secs(2));
    }

    #[test]
    fn it_begins_with_its_headers_and_a_keyframe() {
        let made = make(SHAPE);
        assert!(made.headers[1].facts.is_video_sequence_header());
        assert!(made.headers[2].facts.is_audio_sequence_header());
        let keys: Vec<bool> = made.frames.iter().map(|frame| frame.facts.keyframe).collect();
        assert!(keys[0] && !keys[1..].contains(&true));
        assert!(made.frames.iter().all(|frame| frame.facts.coded));
        assert!(made.frames.is_sorted_by_key(|frame| frame.timestamp));
        let silent = make(Shape { sound: false, ..SHAPE });
        assert_eq!((silent.headers.len(), silent.frames.len()), (2, 50));
    }

    #[test]
    fn our_own_reader_understands_the_parameter_set() {
        let sps = Sps::parse(&sequence_set()).unwrap();
        assert_eq!((sps.width, sps.height), (320, 240));
    }
}
