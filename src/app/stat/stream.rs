//! A stream that somebody publishes or plays.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Statistics;
use super::client::NewClient;
use super::media::{AudioInfo, MediaReader, VideoInfo};
use super::traffic::Traffic;
use super::vhost::Vhost;
use crate::kernel::frame::{Frame, Kind};

/// A stream's figures.
pub struct Stream {
    /// Random, new whenever the stream comes back after nobody used it.
    pub id: String,
    /// The name without extension.
    pub name: String,
    /// The app.
    pub app: String,
    /// The vhost.
    pub vhost: Rc<Vhost>,
    /// The URL that its first client connected to.
    pub tc_url: String,
    /// The stream's key.
    pub url: String,
    /// All its clients, those that left too.
    pub traffic: Traffic,
    pub(super) clients: Cell<usize>,
    frames: Cell<u64>,
    /// How many publish it: one, or none.
    publishers: Cell<usize>,
    publisher: RefCell<Option<String>>,
    video: Cell<Option<VideoInfo>>,
    audio: Cell<Option<AudioInfo>>,
}

impl Stream {
    pub(super) fn new(new: &NewClient<'_>, vhost: Rc<Vhost>, id: String) -> Self {
        Stream {
            id,
            name: new.stream.to_owned(),
            app: new.app.to_owned(),
            vhost,
            tc_url: new.tc_url.to_owned(),
            url: new.url.to_owned(),
            traffic: Traffic::new(),
            clients: Cell::new(0),
            frames: Cell::new(0),
            publishers: Cell::new(0),
            publisher: RefCell::new(None),
            video: Cell::new(None),
            audio: Cell::new(None),
        }
    }

    /// How many clients it has, the publisher included.
    pub fn clients(&self) -> usize {
        self.clients.get()
    }

    /// Video messages so far.
    pub fn frames(&self) -> u64 {
        self.frames.get()
    }

    /// Whether somebody publishes it.
    pub fn is_published(&self) -> bool {
        self.publishers.get() > 0
    }

    /// The id of the client that publishes it, or did last.
    pub fn publisher(&self) -> Option<String> {
        self.publisher.borrow().clone()
    }

    /// What its pictures are; `None` until that is known.
    pub fn video(&self) -> Option<VideoInfo> {
        self.video.get()
    }

    /// What its sound is; `None` until that is known.
    pub fn audio(&self) -> Option<AudioInfo> {
        self.audio.get()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.clients.get() == 0 && self.publishers.get() == 0
    }
}

/// A publication as statistics see it; dropping it ends it.
pub struct Publishing {
    stat: Rc<Statistics>,
    stream: Rc<Stream>,
    media: MediaReader,
}

impl Publishing {
    pub(super) fn new(stat: Rc<Statistics>, stream: Rc<Stream>, publisher: &str, parse_config: bool) -> Self {
        if stream.publishers.replace(stream.publishers.get() + 1) == 0 {
            stream.vhost.streams.set(stream.vhost.streams.get() + 1);
        }
        stream.publisher.replace(Some(publisher.to_owned()));
        Publishing {
            stat,
            stream,
            media: MediaReader::new(parse_config),
        }
    }

    /// Whether sequence headers are read for more than their codec, from the next one on.
    pub fn set_parse_config(&mut self, parse_config: bool) {
        self.media.set_parse_config(parse_config);
    }

    /// Looks at a message of the publisher: counts pictures, reads headers. Never fails: what cannot be read is logged
    /// once.
    #[inline]
    pub fn see(&mut self, frame: &Frame) {
        match frame.kind {
            Kind::Video => {
                self.stream.frames.set(self.stream.frames.get() + 1);
                if let Some(video) = self.media.see_video(frame) {
                    self.stream.video.set(Some(video));
                }
            }
            Kind::Audio => {
                if let Some(audio) = self.media.see_audio(frame) {
                    self.stream.audio.set(Some(audio));
                }
            }
            Kind::Data => {}
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        let stream = &self.stream;
        stream.publishers.set(stream.publishers.get() - 1);
        if stream.publishers.get() == 0 {
            stream.vhost.streams.set(stream.vhost.streams.get() - 1);
            stream.video.set(None);
            stream.audio.set(None);
        }
        self.stat.clean(stream);
    }
}
