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
mod tests;
