//! Records one publication.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::file::DvrFile;
use super::headers::Headers;
use super::paths::Paths;
use super::plan::Plan;
use crate::app::config::section::dvr::Dvr;
use crate::app::hooks::{Caller, Details, Event};
use crate::app::recording::template::{self, Opened};
use crate::app::recording::{Beginning, OnError, Publisher, Recorder};
use crate::core::clock::Moment;
use crate::core::sync::Condition;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};

/// How a recording goes, for who looks at it.
pub struct Progress {
    /// It is still written.
    pub runs: Cell<bool>,
    /// The file that is written, or was written last.
    pub file: RefCell<String>,
    /// Media in that file, milliseconds.
    pub length_ms: Cell<i64>,
    /// Bytes in that file.
    pub bytes: Cell<u64>,
    ended: Condition,
}

impl Progress {
    fn new() -> Rc<Self> {
        Rc::new(Progress {
            runs: Cell::new(true),
            file: RefCell::default(),
            length_ms: Cell::new(0),
            bytes: Cell::new(0),
            ended: Condition::new(),
        })
    }

    /// Waits until the last file is closed, or so long; gives whether it is. Yields.
    pub fn wait_ended(&self, limit: Duration) -> bool {
        let deadline = Moment::after(limit);
        while self.runs.get() && self.ended.wait_until(deadline) {}
        !self.runs.get()
    }

    fn end(&self) {
        self.runs.set(false);
        self.ended.notify_all();
    }
}

/// Records one publication.
pub struct DvrRecorder {
    publisher: Publisher,
    settings: Rc<Dvr>,
    paths: Paths,
    plan: Plan,
    caller: Option<Caller>,
    headers: Headers,
    file: Option<DvrFile>,
    /// Nothing is written before a keyframe.
    awaits_keyframe: bool,
    progress: Rc<Progress>,
}

impl DvrRecorder {
    /// For a publication.
    ///
    /// # Errors
    /// [`ErrorCode::DvrPlan`].
    pub fn new(publisher: &Publisher, paths: &Paths, beginning: Beginning) -> Result<Self> {
        let settings = publisher.vhost.dvr.clone();
        Ok(DvrRecorder {
            publisher: publisher.clone(),
            plan: Plan::of(&settings)?,
            settings,
            paths: paths.clone(),
            caller: None,
            headers: Headers::default(),
            file: None,
            awaits_keyframe: beginning != Beginning::First,
            progress: Progress::new(),
        })
    }

    /// How it goes.
    pub fn progress(&self) -> Rc<Progress> {
        self.progress.clone()
    }

    fn open(&mut self) -> Result<DvrFile> {
        let opened = Opened::now(self.publisher.is_utc());
        let url = &self.publisher.subject.url;
        let path = template::expand(&self.settings.path, url, |name| opened.variable(name)).wrap("dvr_path")?;
        let claim = self.paths.claim(&path)?;
        let file = DvrFile::open(path, claim, self.plan, &self.settings)?;
        log::info!("dvr: {} is recorded, plan {}", file.path(), self.settings.plan);
        self.progress.file.replace(file.path().to_owned());
        self.note(&file);
        Ok(file)
    }

    fn note(&self, file: &DvrFile) {
        self.progress.length_ms.set(file.length_ms());
        self.progress.bytes.set(file.len());
    }

    fn close(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        self.note(&file);
        if let (Some(path), Some(caller)) = (file.close()?, &self.caller) {
            caller.tell(Event::Dvr, &self.publisher.subject, Details::File(&path));
        }
        Ok(())
    }

    fn take_header(&mut self, frame: &Frame) -> Result<()> {
        self.headers.see(frame);
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        // Then the next file, which begins with the next message, begins with this header.
        match file.ends_before(frame)? {
            true => self.close(),
            false => file.take_header(frame),
        }
    }

    fn take_coded(&mut self, frame: &Frame) -> Result<()> {
        if self.awaits_keyframe {
            let is_sound_alone = frame.kind == Kind::Audio && !self.headers.has_video();
            if !frame.facts.keyframe && !is_sound_alone {
                return Ok(());
            }
            self.awaits_keyframe = false;
        }
        if let Some(file) = &mut self.file
            && !file.ends_before(frame)?
            && file.take(frame, self.plan, &self.headers)?
        {
            return Ok(());
        }
        self.close()?;
        let mut file = self.open()?;
        let taken = file.take(frame, self.plan, &self.headers);
        self.file = Some(file);
        taken.map(|_| ())
    }
}

/// Whether the disk, or the name, is at fault and not a message.
fn is_fatal(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::FileOpen
            | ErrorCode::FileWrite
            | ErrorCode::SystemFragmentRename
            | ErrorCode::DvrAppend
            | ErrorCode::HlsCreateDir
    )
}

impl Recorder for DvrRecorder {
    fn name(&self) -> &'static str {
        "DVR"
    }

    fn begin(&mut self) -> Result<()> {
        if let Some(server) = self.publisher.server.upgrade() {
            self.caller = Some(Caller::new(&server));
        }
        let file = self.open().inspect_err(|_| self.progress.end())?;
        self.file = Some(file);
        Ok(())
    }

    fn take(&mut self, frame: &Frame) -> Result<()> {
        let taken = match frame.kind {
            Kind::Data => {
                self.headers.see_data(frame);
                Ok(())
            }
            _ if frame.facts.sequence_header || frame.facts.presentation => self.take_header(frame),
            _ if frame.facts.codec.is_some() => self.take_coded(frame),
            _ => Ok(()),
        };
        taken.inspect_err(|error| {
            if is_fatal(error) {
                // What is written so far stays; there is nothing to be finished.
                self.file = None;
            }
        })
    }

    fn missed(&mut self, _count: u64) {
        self.awaits_keyframe = true;
    }

    fn batch_ended(&mut self) -> Result<()> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        file.flush()?;
        self.note(&file);
        self.file = Some(file);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let closed = self.close();
        self.progress.end();
        closed
    }

    fn on_error(&self, error: &Error) -> OnError {
        match is_fatal(error) {
            true => OnError::Stop,
            false => OnError::Continue,
        }
    }
}
