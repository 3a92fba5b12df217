//! HDS: live streams as files for players of Adobe's HTTP Dynamic Streaming. See `docs/hds.md`.

mod manifest;
mod recorder;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use self::manifest::{Fragment, bootstrap};
use self::recorder::HdsRecorder;
use super::config::section::hds::Hds;
use super::recording::{Publisher, Recorder, template};
use crate::core::clock::Moment;
use crate::kernel::error::Result;

/// How long the numbers of a stream go on after its publication.
const KEPT: Duration = Duration::from_secs(120);

/// All streams that are, or were, written as HDS.
#[derive(Default)]
pub struct HdsStreams {
    streams: RefCell<HashMap<String, Rc<Stream>>>,
}

/// What outlives a publication.
pub struct Stream {
    next: Cell<u32>,
    clock_ms: Cell<i64>,
    version: Cell<u32>,
    fragments: RefCell<VecDeque<Fragment>>,
    /// When it was written last.
    used: Cell<Moment>,
}

impl Default for Stream {
    fn default() -> Self {
        Stream {
            next: Cell::new(1),
            clock_ms: Cell::new(0),
            version: Cell::new(0),
            fragments: RefCell::default(),
            used: Cell::new(Moment::now()),
        }
    }
}

impl Stream {
    /// Lists a fragment; gives those that leave.
    fn push(&self, fragment: Fragment, settings: &Hds) -> Vec<Fragment> {
        let window_ms = i64::try_from(settings.window.as_millis()).unwrap_or(i64::MAX);
        let mut fragments = self.fragments.borrow_mut();
        fragments.push_back(fragment);
        let mut left = Vec::new();
        while fragments.len() > 1 && fragments.iter().map(|kept| kept.duration_ms).sum::<i64>() > window_ms {
            left.extend(fragments.pop_front());
        }
        left
    }

    /// The next version of the bootstrap.
    fn bootstrap(&self) -> Vec<u8> {
        self.version.set(self.version.get().wrapping_add(1));
        bootstrap(self.version.get(), self.fragments.borrow_mut().make_contiguous())
    }
}

impl HdsStreams {
    /// Forgets streams that nobody has published for a while; their files stay, and numbers begin anew.
    pub fn forget_idle(&self) {
        let is_used = |stream: &Stream| Moment::now().since(stream.used.get()) < KEPT;
        self.streams.borrow_mut().retain(|_, stream| is_used(stream));
    }

    /// What writes a publication, if the vhost asks for it.
    ///
    /// # Errors
    /// When the stream's name makes no file name.
    pub fn recorder(&self, publisher: &Publisher) -> Result<Option<Box<dyn Recorder>>> {
        let settings = publisher.vhost.hds.clone();
        if !settings.enabled {
            return Ok(None);
        }
        let url = &publisher.subject.url;
        let name = template::expand("[app]/[stream]", url, |_| None)?;
        let stream = self.streams.borrow_mut().entry(url.stream_url()).or_default().clone();
        Ok(Some(Box::new(HdsRecorder::new(settings, stream, &name))))
    }
}
