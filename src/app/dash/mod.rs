//! MPEG-DASH: live streams as files that any web server can serve. See `docs/dash.md`.

mod mpd;
mod recorder;
mod stream;
mod track;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use self::recorder::DashRecorder;
use self::stream::Stream;
use super::recording::{Publisher, Recorder};
use crate::kernel::error::Result;

/// All streams that are, or were, written as DASH.
#[derive(Default)]
pub struct DashStreams {
    streams: RefCell<HashMap<String, Rc<Stream>>>,
}

impl DashStreams {
    /// What writes a publication, if the vhost asks for it.
    ///
    /// # Errors
    /// When the stream's name makes no file name.
    pub fn recorder(&self, publisher: &Publisher) -> Result<Option<Box<dyn Recorder>>> {
        let settings = publisher.vhost.dash.clone();
        if !settings.enabled {
            return Ok(None);
        }
        let url = &publisher.subject.url;
        let stream = self
            .streams
            .borrow_mut()
            .entry(url.stream_url())
            .or_insert_with(|| Stream::new(url.clone(), settings.clone()))
            .clone();
        stream.set_settings(settings);
        Ok(Some(Box::new(DashRecorder::new(stream)?)))
    }

    /// Deletes the files of streams that nobody has published for `dash_dispose`. Yields.
    pub fn dispose_idle(&self) {
        let idle = self.take_if(Stream::is_idle);
        idle.iter().for_each(|stream| stream.dispose());
        self.take_if(Stream::is_forgotten);
    }

    /// Deletes the files of all streams whose settings ask for it: the server ends. Yields.
    pub fn dispose_all(&self) {
        let all = self.take_if(|stream| !stream.settings().dispose.is_zero());
        all.iter().for_each(|stream| stream.dispose());
    }

    fn take_if(&self, wanted: impl Fn(&Stream) -> bool) -> Vec<Rc<Stream>> {
        let mut streams = self.streams.borrow_mut();
        let found: Vec<_> = streams.values().filter(|stream| wanted(stream)).cloned().collect();
        // One that is published without giving media keeps its numbers.
        streams.retain(|_, stream| stream.is_live.get() || !wanted(stream));
        found
    }
}
