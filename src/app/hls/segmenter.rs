//! Opens and ends the segments of one publication, whatever is in them.

use std::path::Path;
use std::rc::Rc;

use super::key::Key;
use super::notice;
use super::playlist::{KeyTag, Segment};
use super::segment::{KeyInUse, OpenSegment, Plan};
use super::stream::Stream;
use crate::app::config::section::hls::{Hls, HlsKeys};
use crate::app::hooks::Caller;
use crate::app::recording::Publisher;
use crate::app::recording::template::Opened;
use crate::kernel::error::{IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};

/// A segment is never cut before, milliseconds.
const CUT_MIN_MS: i64 = 200;
/// A shorter one is thrown away, milliseconds.
const LENGTH_MIN_MS: i64 = 100;

/// The segments of one publication.
pub struct Segmenter {
    publisher: Publisher,
    stream: Rc<Stream>,
    settings: Rc<Hls>,
    caller: Option<Rc<Caller>>,
    open: Option<OpenSegment>,
    key: Option<KeyInUse>,
    /// The next segment does not go on where the last one ended.
    broken: bool,
}

impl Segmenter {
    /// For a publication of this stream.
    pub fn new(publisher: &Publisher, stream: Rc<Stream>) -> Self {
        Segmenter {
            publisher: publisher.clone(),
            settings: stream.settings(),
            broken: stream.has_segments(),
            stream,
            caller: None,
            open: None,
            key: None,
        }
    }

    /// Tells callback servers of segments, as the client whose coroutine calls this.
    pub fn announce(&mut self) {
        if let Some(server) = self.publisher.server.upgrade() {
            self.caller = Some(Rc::new(Caller::new(&server)));
        }
    }

    /// Whose segments they are.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The segment that is being written.
    pub fn current(&self) -> Option<&OpenSegment> {
        self.open.as_ref()
    }

    /// What comes next does not go on where the last segment ends.
    pub fn break_timeline(&mut self) {
        self.broken = true;
    }

    /// Whether the segment is to end, at `end_ms` of the publication's clock, before this message.
    pub fn is_due(&self, frame: &Frame, end_ms: i64) -> bool {
        let Some(segment) = &self.open else {
            return false;
        };
        let length = end_ms - segment.plan.begin_ms;
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

    /// Opens a segment that begins at `begin_ms` of the publication's clock; `map` is its initialisation segment. Yields.
    ///
    /// # Errors
    /// What the disk does.
    pub fn open(&mut self, begin_ms: i64, map: Option<Rc<str>>) -> Result<()> {
        let opened = Opened::now(self.publisher.is_utc());
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
            begin_ms,
            discontinuity: std::mem::take(&mut self.broken),
            key: self.key.clone(),
            map,
            opened,
        };
        let name = self
            .stream
            .segment_name(&self.settings.segment_file, number, &plan.opened, timestamp)?;
        let path = format!("{}.tmp", self.settings.place(&name).display());
        self.stream.begin_parts(&plan);
        self.open = Some(OpenSegment::open(path, plan).inspect_err(|_| self.stream.give_back(number))?);
        Ok(())
    }

    fn new_key(&self, keys: &HlsKeys, number: u64, opened: &Opened, timestamp: Option<i64>) -> Result<KeyInUse> {
        let name = self.stream.segment_name(&keys.file, number, opened, timestamp)?;
        let path = match &keys.path {
            Some(folder) => format!("{folder}/{name}").into(),
            None => self.settings.place(&name),
        };
        let failed = || format!("no random numbers for the HLS key {}", path.display());
        let key = Key::generate().io_wrap(ErrorCode::HlsWriteFile, failed)?;
        let path = path.display().to_string();
        self.stream
            .files
            .replace(&path, key.bytes().to_vec(), ErrorCode::HlsWriteFile)?;
        let uri = match &keys.url {
            Some(prefix) => format!("{prefix}{name}"),
            None => self.stream.uri(&self.stream.playlist_name()?, &name),
        };
        let tag = Rc::new(KeyTag { uri, iv: key.iv });
        Ok(KeyInUse { key, tag })
    }

    /// Appends media to the segment. May yield.
    ///
    /// # Errors
    /// What the disk does.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.open {
            Some(segment) => segment.write(bytes),
            None => Ok(()),
        }
    }

    /// Ends the segment, which lasts until `end_ms`, and tells players of it. Yields.
    ///
    /// # Errors
    /// What the disk does.
    pub fn cut(&mut self, end_ms: i64) -> Result<()> {
        let Some(segment) = self.open.take() else {
            return Ok(());
        };
        let plan = &segment.plan;
        let duration_ms = end_ms - plan.begin_ms;
        if duration_ms < LENGTH_MIN_MS {
            self.stream.give_back(plan.number);
            self.broken |= plan.discontinuity;
            segment.discard();
            return Ok(());
        }
        let template = self
            .settings
            .segment_file
            .replace("[duration]", &duration_ms.to_string());
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
            bytes: segment.bytes(),
            discontinuity: plan.discontinuity,
            key: plan.key.as_ref().map(|key| key.tag.clone()),
            map: plan.map.clone(),
            date_ms: plan.opened.unix_ms,
        };
        segment.finish(Path::new(&path))?;
        self.stream.publish(complete.clone())?;
        if let Some(server) = self.publisher.server.upgrade() {
            server.hls.refresh_variants(&server.workers, &self.stream);
        }
        if let Some(caller) = &self.caller {
            notice::tell(&self.publisher, caller, &self.settings, &playlist, &complete);
        }
        Ok(())
    }
}
