//! Writes one publication as HLS: its messages become MPEG-TS or fragmented MP4, cut into segments.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::segmenter::Segmenter;
use super::stream::Stream;
use crate::app::config::section::hls::{Hls, HlsOnError};
use crate::app::pithy::Turn;
use crate::app::recording::table::Lasting;
use crate::app::recording::{OnError, Publisher, Recorder};
use crate::core::clock::Moment;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::ts::clock::AudioClock;
use crate::kernel::{mp4, ts};

/// A step of the publisher's clock beyond this, either way, breaks the timeline, milliseconds.
const JUMP_MS: i64 = 10_000;
/// A fragment of MP4 holds so much at most, milliseconds, where players do not get parts.
const FRAGMENT_MS: u32 = 1000;
/// How long media waits before it is handed over.
const LATENCY: Duration = Duration::from_millis(300);

/// One publication.
pub struct HlsRecorder {
    stream: Rc<Stream>,
    settings: Rc<Hls>,
    segmenter: Segmenter,
    container: Container,
    clock: PublisherClock,
    /// Sequence headers so far, by kind.
    headers: HashMap<Kind, Bytes>,
    scratch: Vec<u8>,
    since: Moment,
    turn: Turn,
}

/// What segments are made of.
enum Container {
    Ts(Box<ts::Muxer>),
    Mp4(Box<Mp4>),
}

struct Mp4 {
    muxer: mp4::Muxer,
    /// The number of the initialisation segment in use, and its URI.
    init: u32,
    map: Option<Rc<str>>,
    /// Where the last fragment ends, milliseconds.
    end_ms: i64,
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
    pub fn new(publisher: &Publisher, stream: Rc<Stream>) -> Self {
        let settings = stream.settings();
        let container = match settings.use_fmp4 {
            false => Container::Ts(Box::new(ts::Muxer::new(ts_options(&settings)))),
            true => Container::Mp4(Box::new(Mp4 {
                muxer: mp4::Muxer::new(mp4_options(&settings)),
                init: 0,
                map: None,
                end_ms: 0,
            })),
        };
        HlsRecorder {
            segmenter: Segmenter::new(publisher, stream.clone()),
            container,
            stream,
            settings,
            clock: PublisherClock::default(),
            headers: HashMap::new(),
            scratch: Vec::new(),
            since: Moment::now(),
            turn: Turn::default(),
        }
    }

    /// Where the segment ends if it ends now, on the clock of its begin.
    fn end_ms(&self) -> i64 {
        match &self.container {
            Container::Ts(_) => self.clock.now_ms,
            Container::Mp4(mp4) => mp4.end_ms,
        }
    }

    fn take_ts(&mut self, frame: &Frame) -> Result<()> {
        if frame.facts.sequence_header {
            let known = self.headers.insert(frame.kind, frame.payload.clone());
            if known.is_some_and(|known| known != frame.payload) {
                self.end_segment(self.clock.now_ms)?;
                self.segmenter.break_timeline();
            }
        } else if !frame.facts.coded {
            return Ok(());
        } else if self.segmenter.is_due(frame, self.clock.now_ms) {
            self.end_segment(self.clock.now_ms)?;
        }
        let Container::Ts(muxer) = &mut self.container else {
            return Ok(());
        };
        self.scratch.clear();
        if frame.facts.coded && self.segmenter.current().is_none() {
            self.segmenter.open(self.clock.now_ms, None)?;
            muxer.start(&mut self.scratch);
        }
        // Of a sequence header it makes nothing.
        let written = muxer.write(frame, &mut self.scratch);
        self.segmenter.write(&self.scratch)?;
        written.map(|_| ())
    }

    fn take_mp4(&mut self, frame: &Frame) -> Result<()> {
        let Container::Mp4(mp4) = &mut self.container else {
            return Ok(());
        };
        self.scratch.clear();
        // The fragment was ended by this message, which comes next.
        if let Some(fragment) = mp4.muxer.write(frame, &mut self.scratch)? {
            self.append(&fragment)?;
        }
        if frame.facts.coded && self.segmenter.is_due(frame, self.end_ms()) {
            self.segmenter.cut(self.end_ms())?;
        }
        Ok(())
    }

    fn append(&mut self, fragment: &mp4::Fragment) -> Result<()> {
        let Container::Mp4(mp4) = &mut self.container else {
            return Ok(());
        };
        if mp4.init != fragment.init {
            self.segmenter.cut(mp4.end_ms)?;
            if mp4.init != 0 {
                self.segmenter.break_timeline();
            }
            mp4.init = fragment.init;
            let mut init = Vec::new();
            mp4.muxer.init(&mut init);
            mp4.map = Some(self.stream.place_init(init)?);
        }
        if self.segmenter.current().is_none() {
            self.segmenter.open(fragment.start_ms, mp4.map.clone())?;
        }
        mp4.end_ms = fragment.start_ms + fragment.duration_ms;
        self.stream.add_part(&self.scratch, fragment);
        self.segmenter.write(&self.scratch)
    }

    /// Ends the segment with all that waits for it.
    fn end_segment(&mut self, end_ms: i64) -> Result<()> {
        self.scratch.clear();
        match &mut self.container {
            Container::Ts(muxer) => {
                let _ = muxer.flush(&mut self.scratch);
                self.segmenter.write(&self.scratch)?;
                self.segmenter.cut(end_ms)
            }
            Container::Mp4(mp4) => {
                if let Some(fragment) = mp4.muxer.flush(&mut self.scratch) {
                    self.append(&fragment)?;
                }
                self.segmenter.cut(self.end_ms())
            }
        }
    }
}

fn ts_options(settings: &Hls) -> ts::MuxerOptions {
    ts::MuxerOptions {
        audio: settings.audio,
        video: settings.video,
        audio_clock: match settings.dts_directly {
            true => AudioClock::Stream,
            false => AudioClock::Samples,
        },
        repeat_tables: false,
        ..ts::MuxerOptions::default()
    }
}

fn mp4_options(settings: &Hls) -> mp4::MuxerOptions {
    mp4::MuxerOptions {
        audio: true,
        video: true,
        // A part may not be longer than it is told; one picture more than this may be in it.
        part_ms: settings
            .part
            .map_or(FRAGMENT_MS, |part| (part.as_millis() as u32).saturating_mul(9) / 10),
        segment_type: true,
    }
}

impl Recorder for HlsRecorder {
    fn name(&self) -> &'static str {
        "HLS"
    }

    fn latency(&self) -> Duration {
        match self.settings.part {
            Some(_) => Duration::ZERO,
            None => LATENCY,
        }
    }

    fn begin(&mut self) -> Result<()> {
        self.segmenter.announce();
        self.stream.life().set_live(true);
        self.stream.serve_parts().map(|_| ())
    }

    fn take(&mut self, frame: &Frame) -> Result<()> {
        if frame.kind == Kind::Data || frame.facts.track != 0 {
            return Ok(());
        }
        let before = self.clock.now_ms;
        let step = self.clock.follow(frame.timestamp);
        if step.abs() > JUMP_MS {
            log::warn!("HLS: the publisher's time jumps by {step} ms");
            self.end_segment(before)?;
            self.segmenter.break_timeline();
        }
        self.stream.description.borrow_mut().see(frame);
        match self.container {
            Container::Ts(_) => self.take_ts(frame),
            Container::Mp4(_) => self.take_mp4(frame),
        }
    }

    fn missed(&mut self, _count: u64) {
        // What is there ends where the loss begins.
        if let Err(error) = self.end_segment(self.clock.now_ms) {
            log::error!("HLS: {}", error.summary());
        }
        self.segmenter.break_timeline();
    }

    fn batch_ended(&mut self) -> Result<()> {
        self.stream.life().touch();
        if self.turn.take(self.segmenter.publisher().pithy_print())
            && let Some(segment) = self.segmenter.current()
        {
            log::info!(
                "-> HLS time={}, sequence_no={}, ts={}, duration={}ms",
                Moment::now().since(self.since).as_millis(),
                segment.plan.number,
                segment.path(),
                self.end_ms() - segment.plan.begin_ms,
            );
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.stream.life().touch();
        let ended = self.end_segment(self.clock.now_ms);
        self.stream.life().set_live(false);
        self.stream.end_parts();
        ended
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
