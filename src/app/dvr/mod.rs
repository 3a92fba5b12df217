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
use super::recording::{self, Beginning, Publisher};
use crate::app::source::Stop;
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
    stop: Option<Rc<Stop>>,
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
        let settings = &publisher.vhost.dvr;
        if settings.enabled && settings.apply.applies_to(&url.app, &url.stream) {
            self.record(&enrolled.url, Beginning::First)?;
        }
        Ok(enrolled)
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
            stop: Some(stop),
        }) = recording
        else {
            let text = format!("dvr: stream {url} is not being recorded");
            return Err(Error::new(ErrorCode::DvrRequest, text));
        };
        stop.stop();
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
            stop: None,
        }));
        let started = recording::start(&publisher, Box::new(recorder), beginning);
        let stop = started.inspect_err(|_| set(None))?;
        set(Some(Recording {
            progress,
            stop: stop.map(Rc::new),
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
        let utc = publisher
            .server
            .upgrade()
            .is_some_and(|server| server.config().process.utc_time);
        let recorder = DvrRecorder::new(publisher, &self.paths, beginning, utc)?;
        Ok((publisher.clone(), recorder))
    }
}

fn not_published(url: &str) -> Error {
    Error::new(ErrorCode::StreamNotFound, format!("dvr: nobody publishes stream {url}"))
}
