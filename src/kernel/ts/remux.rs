//! A transport stream in, messages of the live path out.

use super::demux::section::Stream;
use super::demux::{Damage, Demuxer, Item, Unit};
use super::psi::StreamType;
use crate::kernel::codec::{VideoCodec, nal::AnnexBNals};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::remux::{AudioFraming, AudioRemuxer, Interleaver, Times, VideoRemuxer, opus_packets};
use crate::kernel::frame::Frame;

/// Takes bytes as they arrive ([`feed`](Self::feed)) and gives messages ([`pull`](Self::pull)), sound and pictures in
/// the order of their decoding times.
#[derive(Debug, Default)]
pub struct Remuxer {
    demuxer: Demuxer,
    program: Vec<Stream>,
    video: Option<(StreamType, VideoRemuxer)>,
    audio: Option<(StreamType, Sound)>,
    order: Interleaver,
    frames: Vec<Frame>,
}

#[derive(Debug)]
enum Sound {
    Framed(AudioRemuxer),
    Opus { channels: u8, is_told: bool },
}

impl Remuxer {
    /// Starts anywhere in a stream.
    pub fn new() -> Self {
        Remuxer {
            demuxer: Demuxer::new(),
            ..Self::default()
        }
    }

    /// Adds the bytes that follow those fed before.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.demuxer.feed(bytes);
    }

    /// The next message; none if it needs more bytes.
    ///
    /// Fails on what makes no sense or was cut by a loss, with the codes of [`Demuxer::pull`] and of the codecs. It is
    /// passed over: the next call goes on behind it.
    pub fn pull(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.order.pop() {
                return Ok(Some(frame));
            }
            match self.demuxer.pull()? {
                Some(Item::Program(streams)) => self.set_program(streams),
                Some(Item::Unit(unit)) => {
                    let taken = self.take(&unit);
                    self.frames.drain(..).for_each(|frame| self.order.push(frame));
                    taken?;
                }
                None => return Ok(None),
            }
        }
    }

    /// Lets out what waits: nothing more comes. Call [`pull`](Self::pull) for it.
    pub fn finish(&mut self) {
        self.demuxer.finish();
        while let Ok(Some(item)) = self.demuxer.pull() {
            if let Item::Unit(unit) = item {
                // What cannot be understood is left out here as elsewhere.
                let _ = self.take(&unit);
            }
        }
        self.frames.drain(..).for_each(|frame| self.order.push(frame));
        self.order.release();
    }

    /// The streams of the program, as it told them last; also those that are left out.
    pub fn program(&self) -> &[Stream] {
        &self.program
    }

    /// What could not be used so far.
    pub fn damage(&self) -> Damage {
        self.demuxer.damage()
    }

    fn set_program(&mut self, streams: Vec<Stream>) {
        self.program = streams;
        let codings = || self.program.iter().filter_map(|stream| stream.coding);
        let has_video = codings().any(StreamType::is_video);
        let has_audio = codings().any(|coding| !coding.is_video());
        self.order.expect(has_audio, has_video);
    }

    fn take(&mut self, unit: &Unit) -> Result<()> {
        match unit.coding {
            StreamType::H264 => self.take_pictures(unit, VideoCodec::H264).wrap("AVC in TS"),
            StreamType::Hevc => self.take_pictures(unit, VideoCodec::Hevc).wrap("HEVC in TS"),
            StreamType::Aac | StreamType::Mp3 | StreamType::Opus(_) => self.take_sound(unit).wrap("sound in TS"),
        }
    }

    fn take_pictures(&mut self, unit: &Unit, codec: VideoCodec) -> Result<()> {
        let Some(stamps) = unit.stamps else {
            return Err(untimed());
        };
        if self.video.as_ref().is_none_or(|(coding, _)| *coding != unit.coding) {
            self.video = VideoRemuxer::new(codec).map(|remuxer| (unit.coding, remuxer));
        }
        let Some((_, remuxer)) = &mut self.video else {
            return Ok(());
        };
        let times = Times {
            decoding: stamps.decoding,
            presentation: stamps.presentation,
        };
        remuxer.access_unit(times, AnnexBNals::new(&unit.payload), &mut self.frames)
    }

    fn take_sound(&mut self, unit: &Unit) -> Result<()> {
        if self.audio.as_ref().is_none_or(|(coding, _)| *coding != unit.coding) {
            self.audio = Some((unit.coding, Sound::new(unit.coding)));
        }
        let ticks = unit.stamps.map(|stamps| stamps.presentation);
        match &mut self.audio {
            Some((_, Sound::Framed(remuxer))) => {
                if unit.after_loss {
                    remuxer.reset();
                }
                remuxer.unit(ticks, &unit.payload, &mut self.frames)
            }
            Some((_, Sound::Opus { channels, is_told })) => {
                let ticks = ticks.ok_or_else(untimed)?;
                opus_packets(*channels, ticks, &unit.payload, is_told, &mut self.frames)
            }
            None => Ok(()),
        }
    }
}

impl Sound {
    fn new(coding: StreamType) -> Self {
        match coding {
            StreamType::Opus(channels) => Sound::Opus {
                channels,
                is_told: false,
            },
            StreamType::Mp3 => Sound::Framed(AudioRemuxer::new(AudioFraming::Mp3)),
            _ => Sound::Framed(AudioRemuxer::new(AudioFraming::Adts)),
        }
    }
}

fn untimed() -> Error {
    Error::new(ErrorCode::CasterTsPse, "PES packet without a time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::frame::Kind;
    use crate::kernel::ts::mux::{Muxer, MuxerOptions};
    use crate::kernel::ts::packet::PACKET_BYTES;

    /// A header of AVC 64x48 Main with its parameter sets by x264, and AAC at 44100 Hz.
    const AVC_HEADER: &[u8] = b"\x17\0\0\0\0\x01\x4d\x40\x0a\xff\xe1\0\x17\x67\x4d\x40\x0a\xf2\x08\xf6\x02\x20\0\0\x03\
        \0\x20\0\0\x03\x02\x81\xe2\x44\xa2\x40\x01\0\x06\x68\xeb\xe0\x4d\x2c\x80";
    const AAC_HEADER: &[u8] = &[0xaf, 0, 0x12, 0x10];

    /// A keyframe each second; the picture's number and the sound's follow each other as a publisher sends them.
    fn messages(pictures: u32) -> Vec<Frame> {
        let mut frames = vec![
            Frame::new(Kind::Video, 0, AVC_HEADER.into()),
            Frame::new(Kind::Audio, 0, AAC_HEADER.into()),
        ];
        for number in 0..pictures {
            let (head, nal) = if number % 25 == 0 { (0x17, 0x65) } else { (0x27, 0x41) };
            let mut body = vec![head, 1, 0, 0, if number % 3 == 0 { 80 } else { 0 }, 0, 0, 1, 0x2d, nal];
            body.resize(10 + 300, number as u8 | 1);
            frames.push(Frame::new(Kind::Video, number * 40, body.into()));
            frames.push(Frame::new(
                Kind::Audio,
                number * 40 + 7,
                vec![0xaf, 1, number as u8 | 1, 9].into(),
            ));
        }
        frames
    }

    fn mux(frames: &[Frame]) -> Vec<u8> {
        let options = MuxerOptions {
            delay_ms: 0,
            audio_group_ms: 0,
            audio_clock: crate::kernel::ts::clock::AudioClock::Stream,
            ..MuxerOptions::default()
        };
        let (mut muxer, mut out) = (Muxer::new(options), Vec::new());
        for frame in frames {
            let _ = muxer.write(frame, &mut out).unwrap();
        }
        let _ = muxer.flush(&mut out);
        out
    }

    fn remux(bytes: &[u8]) -> (Vec<Frame>, usize) {
        let (mut remuxer, mut frames, mut faults) = (Remuxer::new(), Vec::new(), 0);
        for piece in bytes.chunks(1316) {
            remuxer.feed(piece);
            loop {
                match remuxer.pull() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(_) => faults += 1,
                }
            }
        }
        remuxer.finish();
        while let Ok(Some(frame)) = remuxer.pull() {
            frames.push(frame);
        }
        (frames, faults)
    }

    fn payloads(frames: &[Frame], kind: Kind) -> Vec<(u32, &[u8])> {
        let frames = frames.iter().filter(|frame| frame.kind == kind);
        frames.map(|frame| (frame.timestamp, &frame.payload[..])).collect()
    }

    #[test]
    fn messages_come_back_as_they_were() {
        let sent = messages(60);
        let (seen, faults) = remux(&mux(&sent));
        assert_eq!(faults, 0);
        let pictures = payloads(&seen, Kind::Video);
        // Our muxer writes the record's profile and parameter sets; the record that is made of them is the same.
        assert_eq!(pictures, payloads(&sent, Kind::Video));
        // The sound's header comes with the first sound.
        let (sound, sent_sound) = (payloads(&seen, Kind::Audio), payloads(&sent, Kind::Audio));
        assert_eq!((sound[0], &sound[1..]), ((7, AAC_HEADER), &sent_sound[1..]));
        assert!(seen.is_sorted_by_key(|frame| frame.timestamp));
    }

    #[test]
    fn losses_cost_what_they_hit() {
        let sent = messages(50);
        let bytes = mux(&sent);
        let mut random = fastrand::Rng::with_seed(11);
        let mut left = 0;
        for _ in 0..100 {
            let kept = bytes.chunks(PACKET_BYTES).filter(|_| random.u8(..) > 5);
            let (seen, _) = remux(&kept.collect::<Vec<_>>().concat());
            let whole = payloads(&sent, Kind::Video);
            let mut pictures = payloads(&seen, Kind::Video);
            // The header comes with the first keyframe that is left.
            pictures.retain(|(_, payload)| *payload != AVC_HEADER);
            let foreign = pictures.iter().find(|picture| !whole.contains(picture));
            assert_eq!(foreign, None, "a picture is not as it was sent");
            left += pictures.len();
        }
        assert!(left > 100 * 25, "{left} are left");
    }
}
