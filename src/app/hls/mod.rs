//! HLS: live streams as files that any web server can serve, and the sessions of those who play them from ours. See
//! `docs/hls.md`.

mod floor;
mod key;
mod notice;
mod playlist;
mod recorder;
mod segment;
pub mod session;
mod stream;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use self::recorder::HlsRecorder;
use self::session::Sessions;
use self::stream::Stream;
use super::recording::{Publisher, Recorder};
use crate::core::coroutine;

/// How often players that have left are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// All streams that are, or were, written as HLS.
#[derive(Default)]
pub struct HlsStreams {
    streams: RefCell<HashMap<String, Rc<Stream>>>,
    /// Those who play them from this server.
    pub sessions: Sessions,
}

impl HlsStreams {
    /// What writes a publication, if the vhost asks for it.
    pub fn recorder(&self, publisher: &Publisher) -> Option<Box<dyn Recorder>> {
        let settings = publisher.vhost.hls.clone();
        let server = publisher.server.upgrade().filter(|_| settings.enabled)?;
        let url = &publisher.subject.url;
        let stream = self
            .streams
            .borrow_mut()
            .entry(url.stream_url())
            .or_insert_with(|| Stream::new(url.clone(), settings.clone()))
            .clone();
        stream.set_settings(settings);
        let config = server.config();
        let recorder = HlsRecorder::new(publisher, stream, config.process.utc_time, config.pithy_print);
        Some(Box::new(recorder))
    }

    /// Deletes the files of streams that nobody has published for `hls_dispose`. Yields.
    pub fn dispose_idle(&self) {
        let idle = self.take_if(|stream| stream.is_idle());
        idle.iter().for_each(|stream| stream.dispose());
        self.take_if(|stream| stream.is_forgotten());
    }

    /// Looks for players that have left, until the process ends. Yields.
    pub fn watch(&self) {
        loop {
            coroutine::sleep(LOOK);
            self.sessions.end_silent();
        }
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
