//! MPEG-DASH: live streams as files that any web server can serve. See `docs/dash.md`.

mod clock;
pub mod growing;
mod mpd;
mod recorder;
mod stream;
mod track;

use self::growing::Shelf;
use self::recorder::DashRecorder;
use self::stream::Stream;
use super::recording::table::Table;
use super::recording::{Publisher, Recorder};
use crate::core::clock::Moment;
use crate::kernel::error::Result;
use crate::protocol::rtmp::url::StreamUrl;

/// All streams that are, or were, written as DASH.
#[derive(Default)]
pub struct DashStreams {
    streams: Table<Stream>,
    /// What is served from memory.
    pub shelf: Shelf,
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
            .get_or_insert(url, || Stream::new(url.clone(), settings.clone()));
        stream.set_settings(settings);
        Ok(Some(Box::new(DashRecorder::new(stream, &self.shelf)?)))
    }

    /// Whether a stream is written now.
    pub fn is_live(&self, key: &str) -> bool {
        self.streams.is_live(key)
    }

    /// Leaves a stream and its files to another worker.
    pub fn give_away(&self, key: &str) {
        drop(self.streams.take(key));
    }

    /// Whether a stream has a manifest that players can fetch.
    pub fn has_manifest(&self, url: &StreamUrl) -> bool {
        self.streams.get(url).is_some_and(|stream| stream.has_manifest())
    }

    /// Deletes the files of streams that nobody has published for `dash_dispose`. Yields.
    pub fn dispose_idle(&self) {
        let idle = self.streams.take_idle(Moment::now());
        idle.iter().for_each(|stream| stream.dispose());
    }

    /// Deletes the files of all streams whose settings ask for it: the server ends. Yields.
    pub fn dispose_all(&self) {
        let all = self.streams.take_disposable();
        all.iter().for_each(|stream| stream.dispose());
    }
}
