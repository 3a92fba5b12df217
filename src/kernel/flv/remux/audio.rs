//! Frames of AAC, MP3 and Opus become sequence headers and coded messages.

use super::{TICKS_PER_MS, timestamp};
use crate::kernel::codec::aac::{self, adts};
use crate::kernel::codec::mp3::FrameHeader;
use crate::kernel::codec::opus::{self, OpusHead};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::body;
use crate::kernel::frame::{Frame, Kind};

/// Makes messages of AAC frames without ADTS.
#[derive(Clone, Debug, Default)]
pub struct AacRemuxer {
    config: Vec<u8>,
    is_told: bool,
}

impl AacRemuxer {
    /// Sets the AudioSpecificConfig of the frames that follow.
    pub fn set_config(&mut self, config: &[u8]) {
        if self.config != config {
            self.config = config.to_vec();
            self.is_told = false;
        }
    }

    /// Appends the message of a frame that is heard at `ticks` of 90 kHz, behind a sequence header if the configuration
    /// is new. Nothing comes of an empty frame.
    pub fn frame(&mut self, ticks: i64, raw: &[u8], out: &mut Vec<Frame>) {
        if raw.is_empty() {
            return;
        }
        if !self.is_told {
            self.is_told = true;
            put(out, ticks, body::aac_header(&self.config));
        }
        put(out, ticks, body::aac_frame(raw));
    }
}

/// How frames of sound tell where they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFraming {
    /// AAC behind ADTS headers.
    Adts,
    /// MPEG audio of layer III.
    Mp3,
}

/// A frame's header, of either framing.
enum Head {
    Adts(adts::Header),
    Mp3(FrameHeader),
}

/// Makes messages of a byte stream of frames that come in units of any size, as PES packets have them: a frame may go
/// over from one to the next.
#[derive(Clone, Debug)]
pub struct AudioRemuxer {
    framing: AudioFraming,
    aac: AacRemuxer,
    /// The start of a frame, below 8 KB.
    tail: Vec<u8>,
    /// When the next frame is heard, in parts of a tick; none before the first time that is told.
    next: Option<Clock>,
}

/// A time in ticks of 90 kHz with samples counted from there.
#[derive(Clone, Copy, Debug)]
struct Clock {
    start: i64,
    samples: u64,
}

impl AudioRemuxer {
    /// Before the first frame.
    pub fn new(framing: AudioFraming) -> Self {
        AudioRemuxer {
            framing,
            aac: AacRemuxer::default(),
            tail: Vec::new(),
            next: None,
        }
    }

    /// Forgets the frame that has begun: something was lost.
    pub fn reset(&mut self) {
        self.tail.clear();
    }

    /// Appends the messages of the frames that end in `unit`. `ticks` of 90 kHz is when the first frame that begins in
    /// it is heard; without it, sound goes on where it was.
    ///
    /// Fails with the code of the frame's parser, or with [`ErrorCode::CasterTsCodec`] on MPEG audio of another layer,
    /// when bytes had to be passed over; what could be read is in `out`.
    pub fn unit(&mut self, ticks: Option<i64>, unit: &[u8], out: &mut Vec<Frame>) -> Result<()> {
        let carried = self.tail.len();
        let mut bytes = std::mem::take(&mut self.tail);
        bytes.extend_from_slice(unit);
        let (mut at, mut told, mut fault) = (0, ticks, None);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if at >= carried
                && let Some(start) = told.take()
            {
                self.next = Some(Clock { start, samples: 0 });
            }
            if rest.len() < self.header_bytes() {
                break;
            }
            let head = match self.head(rest) {
                Ok(head) => head,
                Err(error) => {
                    fault.get_or_insert(error);
                    // The next byte that could start a frame.
                    at += 1 + rest.iter().skip(1).take_while(|byte| **byte != 0xff).count();
                    continue;
                }
            };
            let Some(frame) = rest.get(..head.frame_bytes()) else {
                break;
            };
            self.frame(&head, frame, out)?;
            at += frame.len();
        }
        self.tail = bytes.split_off(at.min(bytes.len()));
        fault.map_or(Ok(()), Err)
    }

    fn header_bytes(&self) -> usize {
        match self.framing {
            AudioFraming::Adts => adts::HEADER_BYTES,
            AudioFraming::Mp3 => crate::kernel::codec::mp3::HEADER_BYTES,
        }
    }

    fn head(&self, bytes: &[u8]) -> Result<Head> {
        match self.framing {
            AudioFraming::Adts => adts::Header::parse(bytes).map(Head::Adts),
            AudioFraming::Mp3 => {
                let header = FrameHeader::parse(bytes)?;
                if header.layer != 3 {
                    let text = format!("MPEG audio of layer {} has no form in FLV", header.layer);
                    return Err(Error::new(ErrorCode::CasterTsCodec, text));
                }
                Ok(Head::Mp3(header))
            }
        }
    }

    fn frame(&mut self, head: &Head, frame: &[u8], out: &mut Vec<Frame>) -> Result<()> {
        let Some(clock) = &mut self.next else {
            return Ok(());
        };
        let ticks = clock.start + (clock.samples * 1000 * TICKS_PER_MS as u64 / u64::from(head.sample_rate())) as i64;
        clock.samples += u64::from(head.samples());
        match head {
            Head::Adts(header) => {
                let config = header.config()?;
                self.aac.set_config(&config.write());
                self.aac
                    .frame(ticks, frame.get(header.header_bytes..).unwrap_or_default(), out);
            }
            Head::Mp3(header) => put(out, ticks, body::mp3_frame(header, frame)),
        }
        Ok(())
    }
}

impl Head {
    fn frame_bytes(&self) -> usize {
        match self {
            Head::Adts(header) => header.frame_bytes,
            Head::Mp3(header) => header.frame_bytes.max(1),
        }
    }

    fn samples(&self) -> u32 {
        match self {
            Head::Adts(_) => aac::FRAME_SAMPLES,
            Head::Mp3(header) => header.samples,
        }
    }

    fn sample_rate(&self) -> u32 {
        let rate = match self {
            Head::Adts(header) => aac::SAMPLE_RATES.get(usize::from(header.sample_rate_index)).copied(),
            Head::Mp3(header) => Some(header.sample_rate),
        };
        rate.unwrap_or(1).max(1)
    }
}

/// Appends the messages of a PES packet of Opus: packets behind control headers (ETSI TS 103 491, as FFmpeg and
/// GStreamer write them). The sequence header goes first if `is_told` says that it was not.
///
/// Fails with [`ErrorCode::CasterTsEs`] on a control header that makes no sense; the packets before it are in `out`.
pub fn opus_packets(channels: u8, ticks: i64, unit: &[u8], is_told: &mut bool, out: &mut Vec<Frame>) -> Result<()> {
    let (mut rest, mut samples) = (unit, 0i64);
    while !rest.is_empty() {
        let fault = |what| Error::new(ErrorCode::CasterTsEs, format!("Opus control header: {what}"));
        let packet = opus_packet(&mut rest).map_err(fault)?;
        let now = ticks + samples * 1000 * TICKS_PER_MS / i64::from(opus::SAMPLE_RATE);
        if !std::mem::replace(is_told, true) {
            put(out, now, body::opus_header(&OpusHead::new(channels).write()));
        }
        samples += i64::from(opus::packet_samples(packet).ok_or_else(|| fault("its packet has no length"))?);
        put(out, now, body::opus_frame(packet));
    }
    Ok(())
}

/// Takes a control header and its packet off the front.
fn opus_packet<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    const CUT: &str = "it is cut short";
    fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], &'static str> {
        let (head, tail) = rest.split_at_checked(count).ok_or(CUT)?;
        *rest = tail;
        Ok(head)
    }
    let [prefix, flags] = *take(rest, 2)? else {
        return Err(CUT);
    };
    if prefix != 0x7f || flags & 0xe0 != 0xe0 {
        return Err("it does not start with 0x3ff");
    }
    let full = rest.iter().take_while(|byte| **byte == 0xff).count();
    let size = full * 255 + usize::from(*rest.get(full).ok_or(CUT)?);
    take(rest, full + 1)?;
    // start_trim_flag and end_trim_flag, each with two bytes; control_extension_flag, with its length.
    let trims = (flags >> 4 & 1) + (flags >> 3 & 1);
    take(rest, usize::from(trims) * 2)?;
    if flags & 4 != 0 {
        let [length] = *take(rest, 1)? else {
            return Err(CUT);
        };
        take(rest, usize::from(length))?;
    }
    take(rest, size)
}

fn put(out: &mut Vec<Frame>, ticks: i64, body: Vec<u8>) {
    out.push(Frame::new(Kind::Audio, timestamp(ticks), body.into()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::codec::aac::AudioSpecificConfig;
    use crate::kernel::flv::audio::AudioTag;

    fn adts_frames(count: u8) -> Vec<u8> {
        let config = AudioSpecificConfig::parse(&[0x12, 0x10]).unwrap();
        let mut out = Vec::new();
        for number in 0..count {
            let raw = [number; 40];
            out.extend(adts::write_header(&config, raw.len()).unwrap());
            out.extend(raw);
        }
        out
    }

    fn seen(out: &[Frame]) -> Vec<(u32, u8)> {
        let coded = out.iter().filter(|frame| frame.facts.coded);
        coded
            .map(|frame| (frame.timestamp, AudioTag::parse(&frame.payload).unwrap().payload[0]))
            .collect()
    }

    #[test]
    fn frames_of_a_unit_are_heard_one_after_the_other() {
        let (mut remuxer, mut out) = (AudioRemuxer::new(AudioFraming::Adts), Vec::new());
        remuxer.unit(Some(9000), &adts_frames(4), &mut out).unwrap();
        remuxer.unit(None, &adts_frames(1), &mut out).unwrap();
        assert!(out[0].facts.sequence_header && out[0].payload[..] == [0xaf, 0, 0x12, 0x10]);
        assert_eq!(seen(&out), [(100, 0), (123, 1), (146, 2), (169, 3), (192, 0)]);
        assert_eq!(out.len(), 6);
    }

    #[test]
    fn a_frame_may_go_over_units() {
        let bytes = adts_frames(4);
        for cut in 0..bytes.len() {
            let (mut remuxer, mut out) = (AudioRemuxer::new(AudioFraming::Adts), Vec::new());
            remuxer.unit(Some(9000), &bytes[..cut], &mut out).unwrap();
            // The first frame that begins in the second part.
            let begun = cut.div_ceil(47);
            let ticks = 9000 + (begun as i64 * 1024 * 90_000 / 44_100);
            remuxer.unit(Some(ticks), &bytes[cut..], &mut out).unwrap();
            let expected = [(100, 0), (123, 1), (146, 2), (169, 3)];
            for (seen, expected) in seen(&out).into_iter().zip(expected) {
                assert!(
                    seen.1 == expected.1 && seen.0.abs_diff(expected.0) <= 1,
                    "cut at {cut}: {seen:?}"
                );
            }
            assert!(remuxer.tail.is_empty() && out.len() == 5, "cut at {cut}");
        }
    }

    #[test]
    fn garbage_between_frames_is_a_fault_and_passed_over() {
        let frames = adts_frames(2);
        let dirty = [&[1, 2, 0xff, 0xff][..], &frames[..47], &[0xff, 3], &frames[47..]].concat();
        let (mut remuxer, mut out) = (AudioRemuxer::new(AudioFraming::Adts), Vec::new());
        let error = remuxer.unit(Some(0), &dirty, &mut out).unwrap_err();
        assert_eq!(error.code(), ErrorCode::AacAdtsRequire);
        assert_eq!(seen(&out), [(0, 0), (23, 1)]);
        let mut random = fastrand::Rng::with_seed(6);
        for _ in 0..3000 {
            let mut changed = adts_frames(5);
            for _ in 0..random.usize(1..9) {
                let at = random.usize(..changed.len());
                changed[at] = random.u8(..);
            }
            let mut out = Vec::new();
            let _ = remuxer.unit(Some(0), &changed, &mut out);
            assert!(remuxer.tail.len() <= adts::FRAME_BYTES_MAX);
        }
    }

    #[test]
    fn mp3_goes_as_it_is_and_other_layers_do_not() {
        // 128 kbit/s at 44100 Hz: 417 bytes.
        let mut frame = vec![0xff, 0xfb, 0x90, 0x00];
        frame.resize(417, 0);
        let (mut remuxer, mut out) = (AudioRemuxer::new(AudioFraming::Mp3), Vec::new());
        remuxer
            .unit(Some(0), &[frame.clone(), frame.clone()].concat(), &mut out)
            .unwrap();
        assert_eq!(out.iter().map(|frame| frame.timestamp).collect::<Vec<_>>(), [0, 26]);
        assert_eq!(out[0].payload.len(), 418);
        // Layer II.
        frame[1] = 0xfd;
        let error = remuxer.unit(Some(0), &frame, &mut out).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CasterTsCodec);
    }

    #[test]
    fn opus_packets_lose_their_control_headers() {
        // 20 ms each: TOC 0xfc; the second one with trims and an extension.
        let first = [&[0x7f, 0xe0, 3][..], &[0xfc, 1, 2]].concat();
        let second = [&[0x7f, 0xfc, 0xff, 1, 0, 1, 0, 2, 1, 9][..], &[0xfc; 256]].concat();
        let unit = [first, second].concat();
        let (mut is_told, mut out) = (false, Vec::new());
        opus_packets(2, 900, &unit, &mut is_told, &mut out).unwrap();
        let times: Vec<_> = out.iter().map(|frame| (frame.timestamp, frame.payload.len())).collect();
        assert_eq!(times, [(10, 5 + 19), (10, 8), (30, 5 + 256)]);
        assert!(out[0].facts.sequence_header && is_told);
        for cut in 1..unit.len() {
            let _ = opus_packets(2, 0, &unit[..cut], &mut is_told, &mut Vec::new());
        }
        assert!(opus_packets(2, 0, &[1, 2, 3], &mut is_told, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_new_configuration_is_told() {
        let (mut remuxer, mut out) = (AacRemuxer::default(), Vec::new());
        for config in [[0x12, 0x10], [0x12, 0x10], [0x11, 0x90]] {
            remuxer.set_config(&config);
            remuxer.frame(0, &[7], &mut out);
        }
        remuxer.frame(0, &[], &mut out);
        let headers: Vec<bool> = out.iter().map(|frame| frame.facts.sequence_header).collect();
        assert_eq!(headers, [true, false, false, true, false]);
    }
}
