//! Writes one publication as HLS segments of MPEG-TS.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::key::Key;
use super::notice;
use super::playlist::{KeyTag, Segment};
use super::segment::{KeyInUse, OpenSegment, Plan};
use super::stream::Stream;
use crate::app::config::section::hls::{Hls, HlsKeys, HlsOnError};
use crate::app::hooks::Caller;
use crate::app::pithy::Turn;
use crate::app::recording::template::Opened;
use crate::app::recording::{OnError, Publisher, Recorder};
use crate::core::clock::Moment;
use crate::core::output::Output;
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::ts::clock::AudioClock;
use crate::kernel::ts::{Muxer, MuxerOptions};

/// A segment is never cut before, milliseconds.
const CUT_MIN_MS: i64 = 200;
/// A shorter one is thrown away, milliseconds.
const LENGTH_MIN_MS: i64 = 100;
/// A step of the publisher's clock beyond this, either way, breaks the timeline, milliseconds.
const JUMP_MS: i64 = 10_000;

/// One publication.
pub struct HlsRecorder {
    publisher: Publisher,
    stream: Rc<Stream>,
    settings: Rc<Hls>,
    utc: bool,
    caller: Option<Rc<Caller>>,
    muxer: Muxer,
    clock: PublisherClock,
    /// Sequence headers so far, by kind.
    headers: HashMap<Kind, Bytes>,
    segment: Option<OpenSegment>,
    key: Option<KeyInUse>,
    /// The next segment does not go on where the last one ended.
    broken: bool,
    scratch: Vec<u8>,
    since: Moment,
    turn: Turn,
    interval: Duration,
}

/// The publisher's time, continued past 32 bits.
#[derive(Default)]
struct PublisherClock {
    last: Option<u32>,
    now_ms: i64,
}

impl PublisherClock {
    /// Gives the step from the message before, milliseconds.
    fn follow(&mut self, timestamp: u32) -> i64 {
        let step = self
            .last
            .map_or(0, |last| i64::from(timestamp.wrapping_sub(last) as i32));
        self.last = Some(timestamp);
        self.now_ms += step;
        step
    }
}

impl HlsRecorder {
    /// For a publication of this stream.
    pub fn new(publisher: &Publisher, stream: Rc<Stream>, utc: bool, interval: Duration) -> Self {
        let settings = stream.settings();
        HlsRecorder {
            publisher: publisher.clone(),
            muxer: Muxer::new(muxer_options(&settings)),
            broken: stream.has_segments(),
            stream,
            settings,
            utc,
            caller: None,
            clock: PublisherClock::default(),
            headers: HashMap::new(),
            segment: None,
            key: None,
            scratch: Vec::new(),
            since: Moment::now(),
            turn: Turn::default(),
            interval,
        }
    }

    /// Takes note of a sequence header; one that changes what players decode with ends the segment.
    fn see_header(&mut self, frame: &Frame) -> Result<()> {
        let known = self.headers.insert(frame.kind, frame.payload.clone());
        if known.is_some_and(|known| known != frame.payload) {
            self.cut(self.clock.now_ms)?;
            self.broken = true;
        }
        Ok(())
    }

    fn is_due(&self, frame: &Frame) -> bool {
        let Some(segment) = &self.segment else {
            return false;
        };
        let length = self.clock.now_ms - segment.plan.begin_ms;
        let shift = match self.settings.ts_floor {
            true => self.stream.floor.borrow().shift_ms(self.fragment_ms()),
            false => 0,
        };
        if length < CUT_MIN_MS {
            return false;
        }
        match frame.kind {
            Kind::Video => {
                let can_begin = frame.facts.keyframe || !self.settings.wait_keyframe;
                can_begin && length >= self.settings.target_ms() + shift
            }
            Kind::Audio => length >= self.settings.limit_ms() + shift,
            Kind::Data => false,
        }
    }

    fn fragment_ms(&self) -> i64 {
        i64::try_from(self.settings.fragment.as_millis()).unwrap_or(i64::MAX)
    }

    fn open(&mut self) -> Result<()> {
        let opened = Opened::now(self.utc);
        let number = self.stream.take_number();
        let timestamp = self.settings.ts_floor.then(|| {
            let mut floor = self.stream.floor.borrow_mut();
            floor.next(opened.unix_ms, self.fragment_ms())
        });
        if let Some(keys) = self.settings.keys.clone()
            && (self.key.is_none() || number.is_multiple_of(keys.fragments_per_key))
        {
            self.key = Some(self.new_key(&keys, number, &opened, timestamp)?);
        }
        let plan = Plan {
            number,
            timestamp,
            begin_ms: self.clock.now_ms,
            discontinuity: std::mem::take(&mut self.broken),
            key: self.key.clone(),
            opened,
        };
        let name = self
            .stream
            .segment_name(&self.settings.ts_file, number, &plan.opened, timestamp)?;
        let path = format!("{}.tmp", self.settings.place(&name).display());
        let mut segment = OpenSegment::open(path, plan).inspect_err(|_| self.stream.give_back(number))?;
        self.scratch.clear();
        self.muxer.start(&mut self.scratch);
        segment.write(&self.scratch)?;
        self.segment = Some(segment);
        Ok(())
    }

    fn new_key(&self, keys: &HlsKeys, number: u64, opened: &Opened, timestamp: Option<i64>) -> Result<KeyInUse> {
        let name = self.stream.segment_name(&keys.file, number, opened, timestamp)?;
        let path = match &keys.path {
            Some(folder) => format!("{folder}/{name}").into(),
            None => self.settings.place(&name),
        };
        let failed = || format!("HLS key {} cannot be written", path.display());
        let key = Key::generate().io_wrap(ErrorCode::HlsWriteFile, failed)?;
        let mut output = Output::create(format!("{}.tmp", path.display())).io_wrap(ErrorCode::HlsOpenFile, failed)?;
        output
            .write(key.bytes())
            .and_then(|()| output.finish(&path))
            .io_wrap(ErrorCode::HlsWriteFile, failed)?;
        let uri = match &keys.url {
            Some(prefix) => format!("{prefix}{name}"),
            None => self.stream.uri(&self.stream.playlist_name()?, &name),
        };
        let tag = Rc::new(KeyTag { uri, iv: key.iv });
        Ok(KeyInUse { key, tag })
    }

    /// Ends the segment, which lasts until `end_ms`, and tells players of it.
    fn cut(&mut self, end_ms: i64) -> Result<()> {
        let Some(mut segment) = self.segment.take() else {
            return Ok(());
        };
        self.scratch.clear();
        let _ = self.muxer.flush(&mut self.scratch);
        segment.write(&self.scratch)?;
        let plan = &segment.plan;
        let duration_ms = end_ms - plan.begin_ms;
        if duration_ms < LENGTH_MIN_MS {
            self.stream.give_back(plan.number);
            self.broken |= plan.discontinuity;
            segment.discard();
            return Ok(());
        }
        let template = self.settings.ts_file.replace("[duration]", &duration_ms.to_string());
        let name = self
            .stream
            .segment_name(&template, plan.number, &plan.opened, plan.timestamp)?;
        let playlist = self.stream.playlist_name()?;
        let path = self.settings.place(&name);
        let complete = Segment {
            number: plan.number,
            uri: self.stream.uri(&playlist, &name),
            file: path.display().to_string(),
            duration_ms,
            discontinuity: plan.discontinuity,
            key: plan.key.as_ref().map(|key| key.tag.clone()),
        };
        segment.finish(Path::new(&path))?;
        self.stream.publish(complete.clone())?;
        if let Some(caller) = &self.caller {
            notice::tell(&self.publisher, caller, &self.settings, &playlist, &complete);
        }
        Ok(())
    }

    fn put(&mut self, frame: &Frame) -> Result<()> {
        if self.segment.is_none() {
            self.open()?;
        }
        self.scratch.clear();
        let _ = self.muxer.write(frame, &mut self.scratch)?;
        match &mut self.segment {
            Some(segment) => segment.write(&self.scratch),
            None => Ok(()),
        }
    }
}

fn muxer_options(settings: &Hls) -> MuxerOptions {
    MuxerOptions {
        audio: settings.audio,
        video: settings.video,
        audio_clock: match settings.dts_directly {
            true => AudioClock::Stream,
            false => AudioClock::Samples,
        },
        repeat_tables: false,
        ..MuxerOptions::default()
    }
}

impl Recorder for HlsRecorder {
    fn name(&self) -> &'static str {
        "HLS"
    }

    fn begin(&mut self) -> Result<()> {
        if let Some(server) = self.publisher.server.upgrade() {
            self.caller = Some(Rc::new(Caller::new(&server)));
        }
        self.stream.is_live.set(true);
        self.stream.touch();
        self.stream.playlist_name().map(|_| ())
    }

    fn take(&mut self, frame: &Frame) -> Result<()> {
        if frame.kind == Kind::Data || frame.facts.track != 0 {
            return Ok(());
        }
        let before = self.clock.now_ms;
        let step = self.clock.follow(frame.timestamp);
        if step.abs() > JUMP_MS {
            log::warn!("HLS: the publisher's time jumps by {step} ms");
            self.cut(before)?;
            self.broken = true;
        }
        if frame.facts.sequence_header {
            self.see_header(frame)?;
            self.scratch.clear();
            // It gives no packets.
            let _ = self.muxer.write(frame, &mut self.scratch)?;
            return Ok(());
        }
        if !frame.facts.coded {
            return Ok(());
        }
        if self.is_due(frame) {
            self.cut(self.clock.now_ms)?;
        }
        self.put(frame)
    }

    fn missed(&mut self, _count: u64) {
        // What is there ends where the loss begins.
        if let Err(error) = self.cut(self.clock.now_ms) {
            log::error!("HLS: {}", error.summary());
        }
        self.broken = true;
    }

    fn batch_ended(&mut self) -> Result<()> {
        self.stream.touch();
        if self.turn.take(self.interval)
            && let Some(segment) = &self.segment
        {
            log::info!(
                "-> HLS time={}, sequence_no={}, ts={}, duration={}ms",
                Moment::now().since(self.since).as_millis(),
                segment.plan.number,
                segment.path(),
                self.clock.now_ms - segment.plan.begin_ms,
            );
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.stream.is_live.set(false);
        self.stream.touch();
        self.cut(self.clock.now_ms)
    }

    fn on_error(&self, error: &Error) -> OnError {
        let is_media = !matches!(
            error.code(),
            ErrorCode::HlsOpenFile | ErrorCode::HlsWriteFile | ErrorCode::HlsCreateDir
        );
        match self.settings.on_error {
            HlsOnError::Ignore => OnError::Stop,
            HlsOnError::Continue if is_media => OnError::Continue,
            HlsOnError::Continue | HlsOnError::Disconnect => OnError::Disconnect,
        }
    }
}
