//! DVR: streams as FLV and MP4 files, whenever they are published or when the API asks for it. See `docs/dvr.md`.

mod clock;
mod file;
mod flv;
mod headers;
mod mp4;
mod paths;
mod plan;
mod recorder;
mod writer;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use self::paths::Paths;
use self::recorder::DvrRecorder;
pub use self::recorder::Progress;
use super::config::section::vhost::Vhost;
use super::recording::{self, Beginning, Publisher, Recorder, Running};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// How long who stops a recording waits for its file.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// What is published, and which of that is recorded.
#[derive(Default)]
pub struct DvrStreams {
    live: Rc<RefCell<HashMap<String, Live>>>,
    paths: Paths,
}

/// One publication.
struct Live {
    publisher: Publisher,
    recording: Option<Recording>,
}

#[derive(Clone)]
struct Recording {
    progress: Rc<Progress>,
    /// `None` until it has begun.
    running: Option<Rc<Running>>,
}

/// A publication that can be recorded until this is dropped.
pub struct Enrolled {
    live: Rc<RefCell<HashMap<String, Live>>>,
    url: String,
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.live.borrow_mut().remove(&self.url);
    }
}

impl DvrStreams {
    /// Enters a publication, and records it if the vhost's settings say so. Yields.
    ///
    /// # Errors
    /// The publication is to be refused with them: [`ErrorCode::DvrPlan`], [`ErrorCode::DvrAppend`],
    /// [`ErrorCode::FileOpen`], [`ErrorCode::HlsCreateDir`] on a stream whose name makes no file name.
    pub fn enroll(&self, publisher: &Publisher) -> Result<Enrolled> {
        let url = &publisher.subject.url;
        let enrolled = Enrolled {
            live: self.live.clone(),
            url: url.stream_url(),
        };
        let live = Live {
            publisher: publisher.clone(),
            recording: None,
        };
        self.live.borrow_mut().insert(enrolled.url.clone(), live);
        if wants(publisher) {
            self.record(&enrolled.url, Beginning::First)?;
        }
        Ok(enrolled)
    }

    /// Makes the recording of a publication what its new settings ask for, in place of the `old` ones: it begins at the next
    /// keyframe, ends, or goes on in another file from the next keyframe on. One that the API has ordered goes on too while
    /// DVR is enabled. Failures are told in the log. Yields.
    pub fn apply(&self, old: &Vhost, publisher: &Publisher) {
        let url = publisher.subject.url.stream_url();
        let recording = match self.live.borrow_mut().get_mut(&url) {
            Some(live) if live.publisher.id == publisher.id => {
                live.publisher = publisher.clone();
                live.recording.clone()
            }
            _ => return,
        };
        let (old, new) = (&old.dvr, &publisher.vhost.dvr);
        if old == new {
            return;
        }
        let running = recording
            .filter(|recording| recording.progress.runs.get())
            .and_then(|recording| recording.running);
        let names = &publisher.subject.url;
        let was_wanted = old.apply.applies_to(&names.app, &names.stream);
        let applied = match running {
            Some(running) if !new.enabled || (was_wanted && !wants(publisher)) => {
                running.stop();
                Ok(())
            }
            Some(running) => {
                self.replace(&url, publisher, &running);
                Ok(())
            }
            None if wants(publisher) => self.record(&url, Beginning::Keyframe),
            None => Ok(()),
        };
        if let Err(error) = applied {
            log::error!("{}", error.summary());
        }
    }

    fn replace(&self, url: &str, publisher: &Publisher, running: &Running) {
        let (live, paths) = (self.live.clone(), self.paths.clone());
        let (url, publisher) = (url.to_owned(), publisher.clone());
        running.replace(move || {
            let recorder = DvrRecorder::new(&publisher, &paths, Beginning::Late)?;
            let mut live = live.borrow_mut();
            let live = live.get_mut(&url).filter(|live| live.publisher.id == publisher.id);
            if let Some(recording) = live.and_then(|live| live.recording.as_mut()) {
                recording.progress = recorder.progress();
            }
            Ok(Some(Box::new(recorder) as Box<dyn Recorder>))
        });
    }

    /// How the recording of a published stream goes, or went last; `None` when nobody publishes it. Of the rest `None` when
    /// it has not been recorded.
    pub fn look(&self, url: &str) -> Option<Option<Rc<Progress>>> {
        let live = self.live.borrow();
        let recording = live.get(url)?.recording.as_ref();
        Some(recording.map(|recording| recording.progress.clone()))
    }

    /// Records a published stream from its newest keyframe on. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::StreamNotFound`] when nobody publishes it, [`ErrorCode::DvrDisabled`] when its vhost has no DVR,
    /// [`ErrorCode::DvrRequest`] when it is being recorded; those of [`DvrStreams::enroll`].
    pub fn start(&self, url: &str) -> Result<()> {
        self.record(url, Beginning::Late)
    }

    /// Ends a recording and waits a while until its file is closed. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::StreamNotFound`] when nobody publishes the stream, [`ErrorCode::DvrRequest`] when it is not recorded.
    pub fn stop(&self, url: &str) -> Result<()> {
        let found = self.live.borrow().get(url).map(|live| live.recording.clone());
        let recording = found
            .ok_or_else(|| not_published(url))?
            .filter(|recording| recording.progress.runs.get());
        let Some(Recording {
            progress,
            running: Some(running),
        }) = recording
        else {
            let text = format!("dvr: stream {url} is not being recorded");
            return Err(Error::new(ErrorCode::DvrRequest, text));
        };
        running.stop();
        if !progress.wait_ended(CLOSE_LIMIT) {
            log::warn!("dvr: stream {url} is still being written after {CLOSE_LIMIT:?}, the disk is slow");
        }
        Ok(())
    }

    fn record(&self, url: &str, beginning: Beginning) -> Result<()> {
        let (publisher, recorder) = self.prepare(url, beginning)?;
        let progress = recorder.progress();
        let set = |recording: Option<Recording>| {
            let mut live = self.live.borrow_mut();
            // Another publication may have followed in the meantime.
            if let Some(live) = live.get_mut(url).filter(|live| live.publisher.id == publisher.id) {
                live.recording = recording;
            }
        };
        set(Some(Recording {
            progress: progress.clone(),
            running: None,
        }));
        let started = recording::start(&publisher, Box::new(recorder), beginning);
        let running = started.inspect_err(|_| set(None))?;
        set(Some(Recording {
            progress,
            running: running.map(Rc::new),
        }));
        Ok(())
    }

    fn prepare(&self, url: &str, beginning: Beginning) -> Result<(Publisher, DvrRecorder)> {
        let live = self.live.borrow();
        let Live { publisher, recording } = live.get(url).ok_or_else(|| not_published(url))?;
        if !publisher.vhost.dvr.enabled {
            let text = format!("dvr is not enabled in vhost {}", publisher.vhost.name);
            return Err(Error::new(ErrorCode::DvrDisabled, text));
        }
        if recording
            .as_ref()
            .is_some_and(|recording| recording.progress.runs.get())
        {
            let text = format!("dvr: stream {url} is being recorded");
            return Err(Error::new(ErrorCode::DvrRequest, text));
        }
        let recorder = DvrRecorder::new(publisher, &self.paths, beginning)?;
        Ok((publisher.clone(), recorder))
    }
}

/// Whether the settings ask for a recording of the whole publication.
fn wants(publisher: &Publisher) -> bool {
    let (settings, url) = (&publisher.vhost.dvr, &publisher.subject.url);
    settings.enabled && settings.apply.applies_to(&url.app, &url.stream)
}

fn not_published(url: &str) -> Error {
    Error::new(ErrorCode::StreamNotFound, format!("dvr: nobody publishes stream {url}"))
}
