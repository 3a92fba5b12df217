//! The muxer: messages of the live path in, transport packets out.

use super::audio::{AudioFormat, Group};
use super::clock::{AudioClock, Jump, PcrSchedule, SampleClock, TICKS_PER_MS};
use super::packet::{Adaptation, PidWriter};
use super::pes::{self, Stamps};
use super::psi::{self, Program, StreamType};
use super::video::{AccessUnit, VideoFormat};
use crate::kernel::codec::{AudioCodec, Codec, VideoCodec};
use crate::kernel::error::{Result, Wrap};
use crate::kernel::flv::audio::{self, AudioTag, AudioTracks};
use crate::kernel::flv::video::{self, VideoTag, VideoTracks};
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::timeline::Timeline;

/// Keyframes may come so fast that tables before each would cost more than they help.
const PICTURE_TABLES_TICKS: i64 = 400 * TICKS_PER_MS;
/// How often players may enter a stream of sound alone.
const SOUND_TABLES_TICKS: i64 = 1000 * TICKS_PER_MS;
/// A larger buffer is given back after the picture that needed it, bytes.
const KEPT_UNIT_BYTES: usize = 1 << 20;

/// How a [`Muxer`] works.
#[derive(Clone, Copy, Debug)]
pub struct MuxerOptions {
    /// Sound that the program map tells until a message shows what there is; none tells nothing before. Where it is
    /// known that MP3 comes, which has no sequence header, telling it spares the players a new map.
    pub audio: Option<AudioCodec>,
    /// The same for pictures.
    pub video: Option<VideoCodec>,
    /// Where the times of sound come from.
    pub audio_clock: AudioClock,
    /// Frames of sound share a PES packet up to this many milliseconds; 0 gives each its own. More costs latency, less
    /// costs bytes. Without pictures at most 100, as the clock has to come so often.
    pub audio_group_ms: u32,
    /// How far the program's clock is behind the media's times, milliseconds: how long sound that was sent late and
    /// grouped may still take. Times of media are the stream's own plus this.
    pub delay_ms: u32,
    /// Write the tables again where a player may enter: before keyframes, and each second of a stream without pictures.
    /// Not needed where each segment begins with [`Muxer::start`].
    pub repeat_tables: bool,
}

impl Default for MuxerOptions {
    /// For live streams: nothing told beforehand, groups of 120 ms (five frames of AAC), 300 ms of delay, tables repeated.
    fn default() -> Self {
        MuxerOptions {
            audio: None,
            video: None,
            audio_clock: AudioClock::default(),
            audio_group_ms: 120,
            delay_ms: 300,
            repeat_tables: true,
        }
    }
}

/// What a call appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Written {
    /// Where tables start that a player may enter at, as an index of the output. A picture that decoding can start with
    /// follows them, or sound if there are no pictures.
    pub entry: Option<usize>,
}

/// Makes one transport stream of one program. Output is always whole packets.
///
/// [`write`](Self::write) takes messages in the order of the stream; tables come by themselves before the first unit and
/// when a codec changes. A file or segment that must stand alone: [`flush`](Self::flush) what belongs to the one before,
/// then [`start`](Self::start). Messages of codecs that do not go into TS ([`carries`](Self::carries)), frames before
/// their sequence header, script data and all tracks but track 0 are passed over.
///
/// It holds a group of sound, at most 64 KB, and a buffer that the last picture fitted in.
#[derive(Clone, Debug)]
pub struct Muxer {
    options: MuxerOptions,
    timeline: Timeline,
    pcr: PcrSchedule,
    tables: Tables,
    video: VideoTrack,
    audio: AudioTrack,
    /// The PES packet that is being made.
    unit: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Tables {
    association: PidWriter,
    map: PidWriter,
    /// What was written last, with its version.
    told: Option<(Program, u8)>,
    /// When.
    at: i64,
}

#[derive(Clone, Debug)]
struct VideoTrack {
    packets: PidWriter,
    format: Option<VideoFormat>,
    /// Time of the last message.
    last: Option<i64>,
    /// The last decoding time written, without the delay.
    last_decoding: Option<i64>,
    /// How much earlier than the stream says pictures are decoded, as some are shown before.
    lead: i64,
}

#[derive(Clone, Debug)]
struct AudioTrack {
    packets: PidWriter,
    format: Option<AudioFormat>,
    /// Time of the last message.
    last: Option<i64>,
    /// The last presentation time written, without the delay.
    last_presentation: Option<i64>,
    clock: SampleClock,
    group: Group,
}

impl Muxer {
    /// A muxer that has seen nothing.
    pub fn new(options: MuxerOptions) -> Self {
        Muxer {
            options,
            timeline: Timeline::default(),
            pcr: PcrSchedule::default(),
            tables: Tables::new(),
            video: VideoTrack {
                packets: PidWriter::new(psi::VIDEO_PID),
                format: None,
                last: None,
                last_decoding: None,
                lead: 0,
            },
            audio: AudioTrack {
                packets: PidWriter::new(psi::AUDIO_PID),
                format: None,
                last: None,
                last_presentation: None,
                clock: SampleClock::default(),
                group: Group::new(options.audio_group_ms),
            },
            unit: Vec::new(),
        }
    }

    /// Whether messages of a codec are written and not passed over.
    pub fn carries(codec: Codec) -> bool {
        match codec {
            Codec::Video(codec) => StreamType::of_video(codec).is_some(),
            Codec::Audio(codec) => StreamType::of_audio(codec).is_some(),
        }
    }

    /// Appends the tables, if it is known what to tell, and lets the clock come with the next unit.
    pub fn start(&mut self, out: &mut Vec<u8>) {
        self.pcr.want();
        let program = self.program();
        if program == Program::default() {
            return;
        }
        self.tables.put(program, out);
    }

    /// Takes a message. Sound may come out with a later one, see [`MuxerOptions::audio_group_ms`].
    ///
    /// Fails on a message that cannot be understood, with the codes of the FLV and codec parsers; nothing of it is
    /// written then, and the next one may be fine.
    pub fn write(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<Written> {
        match frame.kind {
            Kind::Video => self.write_video(frame, out).wrap("video message to TS"),
            Kind::Audio => self.write_audio(frame, out).wrap("audio message to TS"),
            Kind::Data => Ok(Written::default()),
        }
    }

    /// Appends the sound that waits for its group to fill.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Written {
        if self.audio.group.bytes.is_empty() {
            return Written::default();
        }
        let (start, on_audio) = (self.audio.group.start, self.program().pcr_pid() == psi::AUDIO_PID);
        let mut written = Written::default();
        let mut adaptation = Adaptation::default();
        if on_audio {
            self.fill_clock(start, out);
            if self.tables_are_due(start, SOUND_TABLES_TICKS) {
                written.entry = Some(out.len());
                self.put_tables(start, out);
            }
            if self.pcr.is_due(start) {
                adaptation.pcr = Some(start);
                adaptation.random_access = true;
            }
        } else {
            self.put_changed_tables(start, out);
        }
        let presentation = self.audio.next_presentation() + self.delay();
        let stamps = Stamps {
            presentation,
            decoding: presentation,
        };
        self.unit.clear();
        let stream_id = match self.audio.format {
            Some(AudioFormat::Opus(_)) => pes::PRIVATE_STREAM_ID,
            _ => pes::AUDIO_STREAM_ID,
        };
        pes::put_header(&mut self.unit, stream_id, stamps);
        self.unit.extend_from_slice(&self.audio.group.bytes);
        self.audio.group.clear();
        pes::finish(&mut self.unit);
        self.audio.packets.put_unit(out, adaptation, &self.unit);
        written
    }

    fn write_video(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<Written> {
        let Some(tag) = picture_of(frame)? else {
            return Ok(Written::default());
        };
        match (tag.packet_type, tag.codec) {
            (video::PacketType::SequenceStart, Some(codec)) => {
                self.video.format = VideoFormat::parse(codec, tag.payload)?;
                return Ok(Written::default());
            }
            (video::PacketType::CodedFrames, _) => {}
            _ => return Ok(Written::default()),
        }
        let Some(format) = self.video.format.as_ref().filter(|format| format.is_of(tag.codec)) else {
            return Ok(Written::default());
        };
        match format.access_unit(tag.payload, tag.is_keyframe())? {
            Some(unit) => Ok(self.write_picture(frame.timestamp, tag.composition_time, unit, out)),
            None => Ok(Written::default()),
        }
    }

    fn write_picture(
        &mut self,
        timestamp_ms: u32,
        composition_ms: i32,
        unit: AccessUnit<'_>,
        out: &mut Vec<u8>,
    ) -> Written {
        let now = self.timeline.millis(timestamp_ms) * TICKS_PER_MS;
        let random_access = unit.is_random_access();
        let mut written = Written::default();
        if random_access || self.audio.group.is_stale(now) {
            // Sound that is older than the picture goes before a place where players enter.
            written = self.flush(out);
        }
        if self.video.last.replace(now).is_some_and(|last| Jump::is_one(last, now)) {
            self.video.last_decoding = None;
            self.jump_clock(now, out);
        }
        self.fill_clock(now, out);
        if random_access && self.tables_are_due(now, PICTURE_TABLES_TICKS) {
            written.entry = Some(out.len());
            self.put_tables(now, out);
        } else {
            self.put_changed_tables(now, out);
        }
        if random_access {
            self.pcr.want();
        }
        let adaptation = Adaptation {
            pcr: self.pcr.is_due(now).then_some(now),
            random_access,
            discontinuity: false,
        };
        let delay = self.delay();
        let stamps = self.video.stamps(now, composition_ms, delay);
        self.unit.clear();
        pes::put_header(&mut self.unit, pes::VIDEO_STREAM_ID, stamps);
        if let Some(format) = &self.video.format {
            format.put(unit, &mut self.unit);
        }
        pes::finish(&mut self.unit);
        self.video.packets.put_unit(out, adaptation, &self.unit);
        if self.unit.capacity() > KEPT_UNIT_BYTES {
            self.unit = Vec::new();
        }
        written
    }

    fn write_audio(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<Written> {
        let Some(tag) = sound_of(frame)? else {
            return Ok(Written::default());
        };
        match tag.packet_type {
            audio::PacketType::SequenceStart => {
                let format = AudioFormat::parse(tag.codec, tag.payload)?;
                return Ok(self.set_audio(format, out));
            }
            audio::PacketType::CodedFrames if !tag.payload.is_empty() => {}
            _ => return Ok(Written::default()),
        }
        let mut written = Written::default();
        if !self.audio.format.is_some_and(|format| format.is_of(tag.codec)) {
            let Some(format) = AudioFormat::without_header(tag.codec) else {
                return Ok(Written::default());
            };
            written = self.set_audio(Some(format), out);
        }
        let Some(format) = self.audio.format else {
            return Ok(written);
        };
        let span = format.span(tag.payload)?;
        let stream = self.timeline.millis(frame.timestamp) * TICKS_PER_MS;
        if self
            .audio
            .last
            .replace(stream)
            .is_some_and(|last| Jump::is_one(last, stream))
        {
            written.merge(self.flush(out));
            self.audio.restart();
            self.jump_clock(stream, out);
        }
        let carries_clock = self.program().pcr_pid() == psi::AUDIO_PID;
        if !carries_clock {
            self.fill_clock(stream, out);
        }
        let now = match self.options.audio_clock {
            AudioClock::Stream => stream,
            AudioClock::Samples => self.audio.clock.stamp(stream, span),
        };
        if !self.audio.group.takes(now, tag.payload.len()) {
            written.merge(self.flush(out));
        }
        self.audio.group.push(now, span, &format, tag.payload)?;
        if self.audio.group.is_full(span, carries_clock) {
            written.merge(self.flush(out));
        }
        Ok(written)
    }

    /// Takes another format; what waits belongs to the old one.
    fn set_audio(&mut self, format: Option<AudioFormat>, out: &mut Vec<u8>) -> Written {
        if self.audio.format == format {
            return Written::default();
        }
        let written = self.flush(out);
        self.audio.format = format;
        written
    }

    fn delay(&self) -> i64 {
        i64::from(self.options.delay_ms) * TICKS_PER_MS
    }

    /// What there is to tell now.
    fn program(&self) -> Program {
        let video = self.video.format.as_ref().map(VideoFormat::stream_type);
        let audio = self.audio.format.as_ref().map(AudioFormat::stream_type);
        Program {
            video: video.or(self.options.video.and_then(StreamType::of_video)),
            audio: audio.or(self.options.audio.and_then(StreamType::of_audio)),
            clock_on_audio: video.is_none() && audio.is_some(),
        }
    }

    /// Whether tables go before a unit where players may enter.
    fn tables_are_due(&self, now: i64, interval_ticks: i64) -> bool {
        let old = now.abs_diff(self.tables.at) >= interval_ticks as u64;
        (self.options.repeat_tables && old) || !self.tables.tell(self.program())
    }

    fn put_changed_tables(&mut self, now: i64, out: &mut Vec<u8>) {
        if !self.tables.tell(self.program()) {
            self.put_tables(now, out);
        }
    }

    fn put_tables(&mut self, now: i64, out: &mut Vec<u8>) {
        let program = self.program();
        self.tables.put(program, out);
        self.tables.at = now;
        self.pcr.want();
    }

    /// Lets the clock go on where units come too seldom to carry it.
    fn fill_clock(&mut self, now: i64, out: &mut Vec<u8>) {
        while let Some(pcr) = self.pcr.fill(now) {
            let adaptation = Adaptation {
                pcr: Some(pcr),
                ..Adaptation::default()
            };
            self.clock_packets().put_adaptation(out, adaptation);
        }
    }

    /// Lets the clock jump with a track, unless it did already with the other one.
    fn jump_clock(&mut self, now: i64, out: &mut Vec<u8>) {
        if self.pcr.jump(now) {
            let adaptation = Adaptation {
                pcr: Some(now),
                discontinuity: true,
                random_access: false,
            };
            self.clock_packets().put_adaptation(out, adaptation);
        }
    }

    fn clock_packets(&mut self) -> &mut PidWriter {
        if self.program().pcr_pid() == psi::AUDIO_PID {
            &mut self.audio.packets
        } else {
            &mut self.video.packets
        }
    }
}

impl Written {
    fn merge(&mut self, later: Written) {
        self.entry = self.entry.or(later.entry);
    }
}

impl Tables {
    fn new() -> Self {
        Tables {
            association: PidWriter::new(psi::PAT_PID),
            map: PidWriter::new(psi::PMT_PID),
            told: None,
            at: 0,
        }
    }

    /// Whether those written last tell this.
    fn tell(&self, program: Program) -> bool {
        self.told.is_some_and(|(told, _)| told == program)
    }

    /// Appends them; what they tell anew is a new version.
    fn put(&mut self, program: Program, out: &mut Vec<u8>) {
        let version = match self.told {
            Some((told, version)) if told != program => (version + 1) & 0x1f,
            Some((_, version)) => version,
            None => 0,
        };
        self.told = Some((program, version));
        self.association.put_section(out, &psi::association_section());
        self.map.put_section(out, &program.map_section(version));
    }
}

impl VideoTrack {
    /// Decoding times grow, and no picture is shown before it is decoded (2.7.4). A publisher that shows some before
    /// (negative composition times) gets earlier decoding times, as far as the delay allows.
    fn stamps(&mut self, now: i64, composition_ms: i32, delay: i64) -> Stamps {
        let presentation = now + i64::from(composition_ms) * TICKS_PER_MS;
        self.lead = self.lead.max((now - presentation).min(delay / 2));
        let earliest = self.last_decoding.map_or(i64::MIN, |last| last + 1);
        let decoding = (now - self.lead).max(earliest);
        self.last_decoding = Some(decoding);
        Stamps {
            presentation: presentation.max(decoding) + delay,
            decoding: decoding + delay,
        }
    }
}

impl AudioTrack {
    /// Times of sound grow.
    fn next_presentation(&mut self) -> i64 {
        let earliest = self.last_presentation.map_or(i64::MIN, |last| last + 1);
        let presentation = self.group.start.max(earliest);
        self.last_presentation = Some(presentation);
        presentation
    }

    fn restart(&mut self) {
        self.clock.restart();
        self.last_presentation = None;
    }
}

fn picture_of(frame: &Frame) -> Result<Option<VideoTag<'_>>> {
    for tag in VideoTracks::new(&frame.payload) {
        let tag = tag?;
        if tag.track == 0 {
            return Ok(Some(tag));
        }
    }
    Ok(None)
}

fn sound_of(frame: &Frame) -> Result<Option<AudioTag<'_>>> {
    for tag in AudioTracks::new(&frame.payload) {
        let tag = tag?;
        if tag.track == 0 {
            return Ok(Some(tag));
        }
    }
    Ok(None)
}
