//! The muxer: messages of the live path in, an initialisation segment and fragments out.

use bytes::Bytes;

use super::audio::AudioFormat;
use super::fragment::{self, Run, Sample};
use super::movie;
use super::sample_entry::TrackConfig;
use super::time::{PictureClock, SampleClock};
use super::video::{VIDEO_TIMESCALE, VideoFormat};
use crate::core::limits::{MP4_FRAGMENT_BYTES, MP4_FRAGMENT_SAMPLES};
use crate::kernel::codec::Codec;
use crate::kernel::error::{Result, Wrap};
use crate::kernel::flv::audio::{self, AudioTag, AudioTracks};
use crate::kernel::flv::video::{self, VideoTag, VideoTracks};
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::timeline::Timeline;

const TICKS_PER_MS: i64 = VIDEO_TIMESCALE as i64 / 1000;
/// What the very last picture lasts where nothing tells: 40 ms.
const PICTURE_TICKS: u32 = VIDEO_TIMESCALE / 25;
/// Sound goes out without pictures when none has come for so long: they were, or are to come.
const PICTURES_LATE_MS: i64 = 500;
const FIRST_PICTURE_LATE_MS: i64 = 2000;

/// How a [`Muxer`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MuxerOptions {
    /// Whether there is a track of sound, once it is known how it is coded.
    pub audio: bool,
    /// The same for pictures.
    pub video: bool,
    /// A fragment holds so many milliseconds, and ends before each keyframe. More costs latency, less costs bytes; 0
    /// gives each picture a fragment of its own.
    pub part_ms: u32,
    /// Each fragment that starts with a keyframe begins with a segment type box.
    pub segment_type: bool,
}

/// A fragment that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The number of the initialisation segment that it needs; counts from 1.
    pub init: u32,
    /// A player may start with it: a keyframe comes first, or there are no pictures.
    pub independent: bool,
    /// The earliest decoding time in it, milliseconds of the stream's time without wraps.
    pub start_ms: i64,
    /// How long its pictures last, its sound if there are none; milliseconds.
    pub duration_ms: i64,
}

/// Makes a fragmented file of one or two tracks.
///
/// [`write`](Self::write) takes messages in the order of the stream and now and then appends a fragment; a fragment goes
/// out when the next picture has come, as that tells how long the last one lasts. [`init`](Self::init) is what a player
/// must have before. It changes when a sequence header does: [`Fragment::init`] tells. Messages of codecs that do not go
/// into MP4 ([`carries`](Self::carries)), messages before their sequence header, pictures before a keyframe, script data
/// and all tracks but track 0 are passed over.
///
/// It holds one fragment: at most [`MP4_FRAGMENT_BYTES`] and a message of each track.
#[derive(Clone, Debug)]
pub struct Muxer {
    options: MuxerOptions,
    timeline: Timeline,
    video: VideoTrack,
    audio: AudioTrack,
    /// What the newest initialisation segment tells; empty until the next fragment if that is to be another.
    tracks: Vec<TrackConfig>,
    /// Its number.
    init: u32,
    sequence_number: u32,
}

#[derive(Clone, Debug, Default)]
struct VideoTrack {
    format: Option<VideoFormat>,
    clock: PictureClock,
    /// A keyframe of this format has come.
    has_begun: bool,
    /// What a picture lasts, by the last two.
    step: u32,
    gathered: Gathered,
    /// The first one is a keyframe.
    independent: bool,
}

#[derive(Clone, Debug, Default)]
struct AudioTrack {
    format: Option<AudioFormat>,
    clock: SampleClock,
    gathered: Gathered,
}

/// Samples that wait for the end of their fragment.
#[derive(Clone, Debug, Default)]
struct Gathered {
    /// Decoding time of the first one, ticks.
    start: i64,
    /// Where the last one ends as far as is known, ticks.
    end: i64,
    bytes: usize,
    samples: Vec<Sample>,
}

impl Gathered {
    fn push(&mut self, start: i64, sample: Sample) {
        if self.samples.is_empty() {
            (self.start, self.end) = (start, start);
        } else {
            self.end_at(start);
        }
        self.end += i64::from(sample.duration);
        self.bytes += sample.data.len();
        self.samples.push(sample);
    }

    /// The last sample ends where the next one starts; gives how long it lasts.
    fn end_at(&mut self, time: i64) -> Option<u32> {
        let start = self.last_start()?;
        let last = self.samples.last_mut()?;
        last.duration = u32::try_from(time - start).unwrap_or(1).max(1);
        self.end = start + i64::from(last.duration);
        Some(last.duration)
    }

    fn last_start(&self) -> Option<i64> {
        Some(self.end - i64::from(self.samples.last()?.duration))
    }

    fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    fn clear(&mut self) {
        self.samples.clear();
        self.bytes = 0;
    }

    fn run<'a>(&'a self, track: &'a TrackConfig, starts_with_sync: bool) -> Run<'a> {
        Run {
            track,
            start: u64::try_from(self.start).unwrap_or_default(),
            starts_with_sync,
            samples: &self.samples,
        }
    }
}

impl VideoTrack {
    /// Whether it is known what the pictures are like; a header that leaves their size open tells too little.
    fn is_known(&self) -> bool {
        self.format.as_ref().is_some_and(|format| format.config().is_some())
    }
}

impl Muxer {
    /// A muxer that has seen nothing.
    pub fn new(options: MuxerOptions) -> Self {
        Muxer {
            options,
            timeline: Timeline::default(),
            video: VideoTrack::default(),
            audio: AudioTrack::default(),
            tracks: Vec::new(),
            init: 0,
            sequence_number: 0,
        }
    }

    /// Whether messages of a codec are written and not passed over.
    pub fn carries(codec: Codec) -> bool {
        match codec {
            Codec::Video(codec) => VideoFormat::carries(codec),
            Codec::Audio(codec) => AudioFormat::carries(codec),
        }
    }

    /// The tracks of the newest initialisation segment; none before the first fragment.
    pub fn tracks(&self) -> &[TrackConfig] {
        &self.tracks
    }

    /// Appends the initialisation segment of the newest fragment; nothing before the first one.
    pub fn init(&self, out: &mut Vec<u8>) {
        if !self.tracks.is_empty() {
            movie::put_init(out, &self.tracks);
        }
    }

    /// Whether it is known how all tracks are coded that are asked for.
    pub fn is_configured(&self) -> bool {
        let has_video = self
            .video
            .format
            .as_ref()
            .is_some_and(|format| format.config().is_some());
        (has_video || !self.options.video) && (self.audio.format.is_some() || !self.options.audio)
    }

    /// Learns from a message how its track is coded, and nothing else. So a track is known whose first message comes
    /// after the first fragment ends.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn prime(&mut self, frame: &Frame) -> Result<()> {
        match frame.kind {
            Kind::Video if self.options.video => {
                if let Some(tag) = picture_of(frame)? {
                    self.learn_video(&tag, &mut Vec::new())?;
                }
            }
            Kind::Audio if self.options.audio => {
                if let Some(tag) = sound_of(frame)? {
                    self.learn_audio(&tag, &mut Vec::new())?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a message; gives the fragment that was appended.
    ///
    /// # Errors
    /// On a message that cannot be understood, with the codes of the FLV and codec parsers; nothing of it is written then,
    /// and the next one may be fine.
    pub fn write(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<Option<Fragment>> {
        match frame.kind {
            Kind::Video if self.options.video => self.write_video(frame, out).wrap("video message to MP4"),
            Kind::Audio if self.options.audio => self.write_audio(frame, out).wrap("audio message to MP4"),
            _ => Ok(None),
        }
    }

    fn write_video(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<Option<Fragment>> {
        let Some(tag) = picture_of(frame)? else {
            return Ok(None);
        };
        let learned = self.learn_video(&tag, out)?;
        let is_key = tag.is_keyframe();
        let format = self.video.format.as_ref().filter(|format| format.is_of(tag.codec));
        let Some(format) = format.filter(|format| format.config().is_some()) else {
            return Ok(learned);
        };
        if tag.packet_type != video::PacketType::CodedFrames || !(is_key || self.video.has_begun) {
            return Ok(learned);
        }
        let Some(data) = format.sample(&frame.payload, tag.payload)? else {
            return Ok(learned);
        };
        // A keyframe that tells the size at last ends nothing: what came before was sound alone.
        let fragment = self.add_picture(frame.timestamp, &tag, data, out);
        Ok(learned.or(fragment))
    }

    fn add_picture(
        &mut self,
        timestamp_ms: u32,
        tag: &VideoTag<'_>,
        data: Bytes,
        out: &mut Vec<u8>,
    ) -> Option<Fragment> {
        let now = self.timeline.millis(timestamp_ms) * TICKS_PER_MS;
        let time = self.video.clock.stamp(now, VIDEO_TIMESCALE);
        let before = &mut self.video.gathered;
        let restarts = before.last_start().is_some_and(|last| time < last);
        if !restarts && let Some(step) = before.end_at(time) {
            self.video.step = step.min(VIDEO_TIMESCALE);
        }
        let fragment = if tag.is_keyframe() || restarts || self.is_full(time) {
            self.close(out)
        } else {
            None
        };
        if self.video.gathered.is_empty() {
            self.video.independent = tag.is_keyframe();
        }
        self.video.has_begun = true;
        // Nanoseconds to ticks; less than a millisecond.
        let nanos = i64::from(tag.nano_offset.min(999_999)) * TICKS_PER_MS / 1_000_000;
        let shown = now + i64::from(tag.composition_time) * TICKS_PER_MS + nanos;
        let step = if self.video.step == 0 {
            PICTURE_TICKS
        } else {
            self.video.step
        };
        let sample = Sample {
            duration: step,
            composition: (shown - time).clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            data,
        };
        self.video.gathered.push(time, sample);
        fragment
    }

    fn write_audio(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<Option<Fragment>> {
        let Some(tag) = sound_of(frame)? else {
            return Ok(None);
        };
        let learned = self.learn_audio(&tag, out)?;
        let format = self.audio.format.as_ref().filter(|format| format.is_of(tag.codec));
        let Some(format) = format else {
            return Ok(learned);
        };
        if tag.packet_type != audio::PacketType::CodedFrames || tag.payload.is_empty() {
            return Ok(learned);
        }
        let (samples, rate) = (format.samples(tag.payload)?, format.config().timescale);
        let now = self.timeline.millis(frame.timestamp) * i64::from(rate) / 1000;
        let stamp = self.audio.clock.stamp(now, samples, rate);
        let mut fragment = learned;
        let restarts = !self.audio.gathered.is_empty() && stamp.start < self.audio.gathered.end;
        if fragment.is_none() && (restarts || self.sound_is_full(stamp.start, rate)) {
            fragment = self.close(out);
        }
        let data = frame.payload.slice_ref(tag.payload);
        let sample = Sample {
            duration: stamp.duration,
            composition: 0,
            data,
        };
        self.audio.gathered.push(stamp.start, sample);
        Ok(fragment)
    }

    /// Whether pictures from `time` on belong into the next fragment.
    fn is_full(&self, time: i64) -> bool {
        let gathered = &self.video.gathered;
        let span = time - gathered.start;
        let long = !gathered.is_empty() && span >= i64::from(self.options.part_ms) * TICKS_PER_MS;
        long || self.is_heavy()
    }

    fn is_heavy(&self) -> bool {
        let tracks = [&self.video.gathered, &self.audio.gathered];
        tracks
            .iter()
            .any(|gathered| gathered.samples.len() >= MP4_FRAGMENT_SAMPLES)
            || tracks.iter().map(|gathered| gathered.bytes).sum::<usize>() >= MP4_FRAGMENT_BYTES
    }

    /// The same for sound, which waits for pictures if there are some.
    fn sound_is_full(&self, start: i64, rate: u32) -> bool {
        let part_ms = i64::from(self.options.part_ms);
        let has_pictures =
            self.options.video && (self.tracks.is_empty() || self.tracks.iter().any(TrackConfig::is_video));
        let longest_ms = match (has_pictures, self.video.has_begun) {
            (false, _) => part_ms,
            (true, true) => part_ms + PICTURES_LATE_MS,
            (true, false) => part_ms + FIRST_PICTURE_LATE_MS,
        };
        let gathered = &self.audio.gathered;
        let span_ms = (start - gathered.start) * 1000 / i64::from(rate.max(1));
        (!gathered.is_empty() && span_ms >= longest_ms) || self.is_heavy()
    }

    /// Appends what waits for the end of its fragment. To be called at the end of the stream, and where a file or segment
    /// must end that does not end at a keyframe.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Option<Fragment> {
        self.close(out)
    }

    /// Makes a fragment of what is gathered.
    fn close(&mut self, out: &mut Vec<u8>) -> Option<Fragment> {
        if self.video.gathered.is_empty() && self.audio.gathered.is_empty() {
            return None;
        }
        if self.tracks.is_empty() {
            let video = self.video.format.as_ref().and_then(VideoFormat::config);
            let audio = self.audio.format.as_ref().map(AudioFormat::config);
            self.tracks = video.into_iter().chain(audio).cloned().collect();
            self.init += 1;
        }
        let independent = match self.tracks.iter().any(TrackConfig::is_video) {
            true => !self.video.gathered.is_empty() && self.video.independent,
            false => true,
        };
        if independent && self.options.segment_type {
            fragment::put_segment_type(out);
        }
        self.sequence_number = self.sequence_number.wrapping_add(1);
        let runs = self.tracks.iter().map(|track| match track.is_video() {
            true => self.video.gathered.run(track, self.video.independent),
            false => self.audio.gathered.run(track, true),
        });
        let runs: Vec<Run<'_>> = runs.collect();
        fragment::put_fragment(out, self.sequence_number, &runs);
        let fragment = self.describe(independent);
        self.video.gathered.clear();
        self.audio.gathered.clear();
        Some(fragment)
    }

    fn describe(&self, independent: bool) -> Fragment {
        let rate = self
            .audio
            .format
            .as_ref()
            .map_or(1, |format| format.config().timescale.max(1));
        let sound = &self.audio.gathered;
        let [heard, silent] = [sound.start, sound.end].map(|time| (time * 1000).div_euclid(i64::from(rate)));
        let [shown, over] = [self.video.gathered.start, self.video.gathered.end].map(|time| time / TICKS_PER_MS);
        let (start_ms, duration_ms) = match (self.video.gathered.is_empty(), sound.is_empty()) {
            (true, _) => (heard, silent - heard),
            (false, true) => (shown, over - shown),
            (false, false) => (shown.min(heard), over - shown),
        };
        Fragment {
            init: self.init,
            independent,
            start_ms,
            duration_ms,
        }
    }

    /// Whether a message needs another initialisation segment than what came before: a file that has but one must end
    /// before it.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn changes(&self, frame: &Frame) -> Result<bool> {
        let (is_new, was_known) = match frame.kind {
            Kind::Video if self.options.video => match picture_of(frame)? {
                Some(tag) => (self.learned_video(&tag)?.is_some(), self.video.is_known()),
                None => return Ok(false),
            },
            Kind::Audio if self.options.audio => match sound_of(frame)? {
                Some(tag) => (self.learned_audio(&tag)?.is_some(), self.audio.format.is_some()),
                None => return Ok(false),
            },
            _ => return Ok(false),
        };
        let is_empty = self.video.gathered.is_empty() && self.audio.gathered.is_empty();
        Ok(is_new && (!self.tracks.is_empty() || (was_known && !is_empty)))
    }

    /// Takes another format from a sequence header, or a size from a keyframe; what waits belongs to the old one.
    fn learn_video(&mut self, tag: &VideoTag<'_>, out: &mut Vec<u8>) -> Result<Option<Fragment>> {
        let Some(learned) = self.learned_video(tag)? else {
            return Ok(None);
        };
        let fragment = self.change(self.video.is_known(), out);
        self.video.format = learned;
        self.video.has_begun = false;
        Ok(fragment)
    }

    /// What the format is by this message; `None` if that is nothing new.
    fn learned_video(&self, tag: &VideoTag<'_>) -> Result<Option<Option<VideoFormat>>> {
        let known = self.video.format.as_ref();
        let learned = match (tag.packet_type, tag.codec) {
            (video::PacketType::SequenceStart, Some(codec)) => VideoFormat::parse(codec, tag.payload)?,
            (video::PacketType::CodedFrames, codec) if tag.is_keyframe() => {
                let unsized_one = known.filter(|known| known.config().is_none() && known.is_of(codec));
                let Some(mut format) = unsized_one.cloned() else {
                    return Ok(None);
                };
                format.learn_size(tag.payload)?;
                Some(format)
            }
            _ => return Ok(None),
        };
        let repeats = |new: &VideoFormat| {
            let is_header = tag.packet_type == video::PacketType::SequenceStart;
            is_header && known.is_some_and(|known| new.is_same_header(known))
        };
        let is_same = learned.as_ref() == known || learned.as_ref().is_some_and(repeats);
        Ok((!is_same).then_some(learned))
    }

    fn learn_audio(&mut self, tag: &AudioTag<'_>, out: &mut Vec<u8>) -> Result<Option<Fragment>> {
        let Some(learned) = self.learned_audio(tag)? else {
            return Ok(None);
        };
        let fragment = self.change(self.audio.format.is_some(), out);
        self.audio.format = learned;
        self.audio.clock = SampleClock::default();
        Ok(fragment)
    }

    /// What the format is by this message; `None` if that is nothing new.
    fn learned_audio(&self, tag: &AudioTag<'_>) -> Result<Option<Option<AudioFormat>>> {
        let known = self.audio.format.as_ref();
        let learned = match tag.packet_type {
            audio::PacketType::SequenceStart => AudioFormat::parse(tag.codec, tag.payload)?,
            audio::PacketType::CodedFrames if known.is_some_and(|known| known.fits(tag.codec, tag.payload)) => {
                return Ok(None);
            }
            audio::PacketType::CodedFrames => match AudioFormat::of_message(tag.codec, tag.payload)? {
                Some(format) => Some(format),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok((learned.as_ref() != known).then_some(learned))
    }

    /// Ends what the old formats hold for. A track that comes to be known before the first fragment ends nothing.
    fn change(&mut self, was_known: bool, out: &mut Vec<u8>) -> Option<Fragment> {
        if self.tracks.is_empty() && !was_known {
            return None;
        }
        let fragment = self.close(out);
        self.tracks.clear();
        fragment
    }
}

fn picture_of(frame: &Frame) -> Result<Option<VideoTag<'_>>> {
    VideoTracks::new(&frame.payload)
        .find(|tag| tag.as_ref().map_or(true, |tag| tag.track == 0))
        .transpose()
}

fn sound_of(frame: &Frame) -> Result<Option<AudioTag<'_>>> {
    AudioTracks::new(&frame.payload)
        .find(|tag| tag.as_ref().map_or(true, |tag| tag.track == 0))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::super::demux::Demuxer;
    use super::*;

    const BOTH: MuxerOptions = MuxerOptions {
        audio: true,
        video: true,
        part_ms: 100,
        segment_type: false,
    };
    /// 322x182, High 1.3, by libx264; behind the head of an FLV tag's body.
    const AVC: &[u8] = &[
        0x17, 0, 0, 0, 0, 0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41,
        0x51, 0x9e, 0x22, 0x6c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0x65,
        0x80, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
    ];
    const AAC: &[u8] = b"\xaf\x00\x12\x10";

    fn video(time: u32, key: bool, composition: u8) -> Frame {
        let head = [if key { 0x17 } else { 0x27 }, 1, 0, 0, composition];
        let nal = [0, 0, 0, 3, if key { 0x65 } else { 0x41 }, time as u8, 0x80];
        Frame::new(Kind::Video, time, [&head[..], &nal].concat().into())
    }

    fn audio(time: u32) -> Frame {
        Frame::new(Kind::Audio, time, vec![0xaf, 1, time as u8, 7].into())
    }

    fn header(kind: Kind, body: &'static [u8]) -> Frame {
        Frame::new(kind, 0, Bytes::from_static(body))
    }

    /// The headers, then a second and a bit of 25 pictures a second and sound, in the order of time.
    fn stream() -> Vec<Frame> {
        let mut frames: Vec<Frame> = (0..30).map(|index| video(index * 40, index % 10 == 0, 80)).collect();
        frames.extend((0..52).map(|index| audio(index * 1024 * 1000 / 44_100)));
        frames.sort_by_key(|frame| frame.timestamp);
        frames.insert(0, header(Kind::Audio, AAC));
        frames.insert(0, header(Kind::Video, AVC));
        frames
    }

    struct Made {
        muxer: Muxer,
        out: Vec<u8>,
        fragments: Vec<Fragment>,
    }

    fn mux(options: MuxerOptions, frames: &[Frame]) -> Made {
        let mut made = Made {
            muxer: Muxer::new(options),
            out: Vec::new(),
            fragments: Vec::new(),
        };
        for frame in frames {
            let before = made.out.len();
            let fragment = made.muxer.write(frame, &mut made.out).unwrap();
            assert_eq!(fragment.is_some(), made.out.len() > before);
            made.fragments.extend(fragment);
        }
        made.fragments.extend(made.muxer.flush(&mut made.out));
        made
    }

    impl Made {
        fn demuxer(&self) -> Demuxer {
            let mut init = Vec::new();
            self.muxer.init(&mut init);
            Demuxer::new(&init).unwrap()
        }

        fn times(&self, track: u32) -> Vec<(u64, u32, i32, bool)> {
            let samples = self.demuxer().samples(&self.out).unwrap().into_iter();
            let samples = samples.filter(|sample| sample.track == track);
            samples
                .map(|sample| (sample.time, sample.duration, sample.composition, sample.sync))
                .collect()
        }
    }

    #[test]
    fn all_samples_are_there_at_their_times() {
        let made = mux(BOTH, &stream());
        let expected: Vec<_> = (0..30u64)
            .map(|index| (index * 3600, 3600, 7200, index % 10 == 0))
            .collect();
        assert_eq!(made.times(1), expected);
        let expected: Vec<_> = (0..52u64).map(|index| (index * 1024, 1024, 0, true)).collect();
        assert_eq!(made.times(2), expected);
        // Three pictures each, and a short one before each keyframe.
        assert_eq!(made.fragments.len(), 12);
        let starts: Vec<_> = made.fragments.iter().map(|fragment| fragment.independent).collect();
        assert_eq!(starts, [true, false, false, false].repeat(3));
        let fifth = made.fragments[4];
        assert_eq!((fifth.init, fifth.duration_ms), (1, 120));
        assert!((390..=400).contains(&fifth.start_ms), "{fifth:?}");
        let strings: Vec<_> = made
            .muxer
            .tracks()
            .iter()
            .map(|track| track.codec_string.as_str())
            .collect();
        assert_eq!(strings, ["avc1.64000d", "mp4a.40.2"]);
    }

    #[test]
    fn part_zero_gives_each_picture_its_fragment() {
        let made = mux(MuxerOptions { part_ms: 0, ..BOTH }, &stream());
        assert_eq!(
            (made.fragments.len(), made.times(1).len(), made.times(2).len()),
            (30, 30, 52)
        );
    }

    #[test]
    fn one_track_can_be_left_out() {
        let only = |audio, video| {
            let options = MuxerOptions {
                audio,
                video,
                segment_type: true,
                ..BOTH
            };
            mux(options, &stream())
        };
        let pictures = only(false, true);
        assert_eq!(
            (pictures.times(1).len(), pictures.demuxer().tracks().collect()),
            (30, vec![1])
        );
        assert!(pictures.out.starts_with(b"\0\0\0\x18stypmsdh"));
        let sound = only(true, false);
        assert_eq!(
            (sound.times(2).len(), sound.demuxer().tracks().collect()),
            (52, vec![2])
        );
        // 100 ms are 4.3 messages; all of them can be entered.
        assert_eq!(sound.fragments.len(), 52usize.div_ceil(5));
        assert!(sound.fragments.iter().all(|fragment| fragment.independent));
    }

    #[test]
    fn uneven_pictures_last_until_the_next_one() {
        let frames = [
            header(Kind::Video, AVC),
            video(0, false, 0),
            video(1000, true, 0),
            video(1033, false, 0),
            video(1033, false, 0),
            video(1020, false, 0),
            video(1100, false, 0),
            video(1133, false, 0),
        ];
        let made = mux(BOTH, &frames);
        let times: Vec<_> = made
            .times(1)
            .iter()
            .map(|sample| (sample.0, sample.1, sample.2))
            .collect();
        // The one before the keyframe is left out. Those that do not step on are shown when they say.
        assert_eq!(
            times,
            [
                (90_000, 2970, 0),
                (92_970, 1, 0),
                (92_971, 1, -1),
                (92_972, 6028, -1172),
                (99_000, 2970, 0),
                (101_970, 2970, 0),
            ]
        );
    }

    #[test]
    fn equal_headers_change_nothing_and_others_the_init_segment() {
        let mut frames = stream();
        frames.push(header(Kind::Video, AVC));
        frames.push(header(Kind::Audio, AAC));
        frames.push(video(1200, true, 0));
        assert!(mux(BOTH, &frames).fragments.iter().all(|fragment| fragment.init == 1));
        let before = frames.len();
        frames.push(header(Kind::Audio, b"\xaf\x00\x11\x90"));
        frames.push(video(1240, false, 0));
        frames.push(video(1280, true, 0));
        let made = mux(BOTH, &frames);
        let inits: Vec<u32> = made.fragments.iter().map(|fragment| fragment.init).collect();
        assert!(inits.is_sorted() && inits.last() == Some(&2), "{inits:?}");
        assert_eq!(made.muxer.tracks()[1].timescale, 48_000);
        // What waited went out under the old one.
        let whole = mux(BOTH, &frames[..before]);
        assert_eq!(made.out[..whole.out.len()], whole.out[..]);
    }

    #[test]
    fn a_track_that_is_known_late_is_known_when_primed() {
        let mut frames = stream();
        let late = frames.remove(1);
        frames.retain(|frame| frame.kind == Kind::Video || frame.timestamp > 300);
        let mut muxer = Muxer::new(BOTH);
        assert!(!muxer.is_configured());
        muxer.prime(&frames[0]).unwrap();
        muxer.prime(&late).unwrap();
        assert!(muxer.is_configured() && muxer.tracks().is_empty());
        let mut out = Vec::new();
        let fragments: Vec<_> = frames
            .iter()
            .filter_map(|frame| muxer.write(frame, &mut out).unwrap())
            .collect();
        assert!(fragments.iter().all(|fragment| fragment.init == 1) && muxer.tracks().len() == 2);
    }

    #[test]
    fn vp9_begins_with_the_keyframe_that_tells_its_size() {
        let header = header(Kind::Video, b"\x90vp09\x01\0\0\0\0\x0b\x82\x02\x02\x02\0\0");
        let key = b"\x91vp09\x82\x49\x83\x42\0\x13\xf0\x0b\x36\x06";
        let frame = |time, body: &'static [u8]| Frame::new(Kind::Video, time, Bytes::from_static(body));
        let inter: &[u8] = b"\xa1vp09\x86\x00";
        let frames = [
            header.clone(),
            frame(0, inter),
            frame(40, key),
            frame(80, inter),
            header,
            frame(120, inter),
        ];
        let made = mux(BOTH, &frames);
        assert_eq!(made.times(1).len(), 3);
        assert_eq!(made.fragments.len(), 1);
    }

    #[test]
    fn sound_goes_on_without_pictures() {
        let mut frames = stream();
        frames.extend((52..200).map(|index| audio(index * 1024 * 1000 / 44_100)));
        let made = mux(BOTH, &frames);
        assert_eq!(made.times(2).len(), 200);
        assert!(
            made.fragments
                .iter()
                .rev()
                .take(3)
                .all(|fragment| !fragment.independent)
        );
        assert!(
            made.fragments
                .iter()
                .skip(12)
                .all(|fragment| fragment.duration_ms <= 640)
        );
    }

    #[test]
    fn nothing_is_gathered_without_bound() {
        let mut muxer = Muxer::new(MuxerOptions {
            part_ms: u32::MAX,
            ..BOTH
        });
        let mut out = Vec::new();
        muxer.write(&header(Kind::Video, AVC), &mut out).unwrap();
        muxer.write(&video(0, true, 0), &mut out).unwrap();
        let count = (0..2500)
            .filter(|_| muxer.write(&video(0, false, 0), &mut out).unwrap().is_some())
            .count();
        assert_eq!(count, 2);
        let mut heavy = video(0, false, 0).payload.to_vec();
        heavy.splice(5.., [&0x00ff_ffffu32.to_be_bytes()[..], &vec![1; 0x00ff_ffff]].concat());
        let heavy = Frame::new(Kind::Video, 0, heavy.into());
        assert!(muxer.write(&heavy, &mut out).unwrap().is_none());
        assert!(muxer.write(&heavy, &mut out).unwrap().is_some());
    }

    #[test]
    fn cut_and_changed_messages_never_panic() {
        let frames = stream();
        let mut random = fastrand::Rng::with_seed(34);
        for round in 0..300 {
            let mut muxer = Muxer::new(MuxerOptions {
                part_ms: random.u32(..300),
                audio: random.bool(),
                ..BOTH
            });
            let mut out = Vec::new();
            for frame in &frames {
                let mut body = frame.payload.to_vec();
                if random.u8(..4) == 0 {
                    body.truncate(random.usize(..=body.len()));
                    if let Some(byte) = body.get_mut(random.usize(..8)) {
                        *byte = random.u8(..);
                    }
                }
                let time = if random.u8(..20) == 0 {
                    random.u32(..)
                } else {
                    frame.timestamp
                };
                let _ = muxer.write(&Frame::new(frame.kind, time, body.into()), &mut out);
            }
            let _ = muxer.flush(&mut out);
            let moofs = super::super::boxes::Boxes::new(&out).filter(|found| found.kind == *b"moof");
            let whole: usize = super::super::boxes::Boxes::new(&out)
                .map(|found| found.contents.len() + 8)
                .sum();
            assert_eq!(whole, out.len(), "round {round}");
            assert!(moofs.count() <= frames.len());
        }
    }
}
