//! One stream as HLS: what outlives a publication.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::floor::Floor;
use super::low_latency::{LowLatency, Parts, Wanted};
use super::playlist::{Segment, Window};
use super::segment::Plan;
use super::variants::Description;
use crate::app::config::section::hls::Hls;
use crate::app::recording::files::Files;
use crate::app::recording::shelf;
use crate::app::recording::table::{Lasting, Life};
use crate::app::recording::template::{self, Opened, relative};
use crate::core::sync::Condition;
use crate::kernel::error::Result;
use crate::kernel::error_code::ErrorCode;
use crate::kernel::mp4::Fragment;
use crate::protocol::rtmp::url::StreamUrl;

/// What players of low-latency HLS ask for.
#[derive(Clone)]
pub enum Item {
    /// A stream's playlist.
    Playlist(Weak<Stream>),
    /// A part.
    Part(Bytes),
    /// The part that comes next.
    Coming(Weak<Stream>),
}

/// Where they find it.
pub type Shelf = shelf::Shelf<Item>;

/// Segments, their numbers, and where all that is.
pub struct Stream {
    url: StreamUrl,
    settings: RefCell<Rc<Hls>>,
    window: RefCell<Window>,
    next_number: Cell<u64>,
    /// What is in it.
    pub description: RefCell<Description>,
    /// The grid of names.
    pub floor: RefCell<Floor>,
    life: Life,
    /// The playlist, once it is written.
    playlist: RefCell<Option<String>>,
    /// What is on the disk.
    pub files: Files,
    /// The initialisation segment that was written last, its URI, and how many there were.
    init: RefCell<Option<(Vec<u8>, Rc<str>)>>,
    inits: RefCell<Vec<String>>,
    shelf: Shelf,
    low: RefCell<Option<LowLatency>>,
    /// The part that is announced.
    hint: RefCell<Option<String>>,
    /// The playlist of low-latency HLS has got more.
    pub grown: Condition,
    this: Weak<Stream>,
}

impl Stream {
    /// A stream that was never written.
    pub fn new(url: StreamUrl, settings: Rc<Hls>, shelf: Shelf) -> Rc<Self> {
        Rc::new_cyclic(|this| Stream {
            url,
            settings: RefCell::new(settings),
            window: RefCell::default(),
            next_number: Cell::new(0),
            description: RefCell::default(),
            floor: RefCell::default(),
            life: Life::default(),
            playlist: RefCell::default(),
            files: Files::new("HLS"),
            init: RefCell::default(),
            inits: RefCell::default(),
            shelf,
            low: RefCell::default(),
            hint: RefCell::default(),
            grown: Condition::new(),
            this: this.clone(),
        })
    }

    /// Its name.
    pub fn url(&self) -> &StreamUrl {
        &self.url
    }

    /// Bits a second: the most of a segment, and all segments together.
    pub fn bandwidth(&self) -> (u64, u64) {
        self.window.borrow().bandwidth()
    }

    /// How it is written.
    pub fn settings(&self) -> Rc<Hls> {
        self.settings.borrow().clone()
    }

    /// Takes the settings of a new publication.
    pub fn set_settings(&self, settings: Rc<Hls>) {
        self.settings.replace(settings);
    }

    /// Whether players know segments of it.
    pub fn has_segments(&self) -> bool {
        self.window.borrow().segments().next().is_some()
    }

    /// The number of the next segment; [`Stream::give_back`] takes it back.
    pub fn take_number(&self) -> u64 {
        self.next_number.replace(self.next_number.get() + 1)
    }

    /// The newest number was not used.
    pub fn give_back(&self, number: u64) {
        self.next_number.set(number);
    }

    /// The playlist's name below `hls_path`.
    ///
    /// # Errors
    /// When the stream's name makes no file name.
    pub fn playlist_name(&self) -> Result<String> {
        template::expand(&self.settings().m3u8_file, &self.url, |_| None)
    }

    /// The segment's name below `hls_path`; `[duration]` stays.
    ///
    /// # Errors
    /// When the stream's name makes no file name.
    pub fn segment_name(&self, template: &str, number: u64, opened: &Opened, timestamp: Option<i64>) -> Result<String> {
        template::expand(template, &self.url, |name| match (name, timestamp) {
            ("seq", _) => Some(number.to_string()),
            ("timestamp", Some(timestamp)) => Some(timestamp.to_string()),
            _ => opened.variable(name),
        })
    }

    /// What the playlist calls a file below `hls_path`.
    pub fn uri(&self, playlist_name: &str, name: &str) -> String {
        let settings = self.settings();
        let folder = playlist_name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let relative = relative(folder, name);
        match settings.entry_prefix.trim_end_matches('/') {
            "" => relative,
            prefix if folder.is_empty() => format!("{prefix}/{relative}"),
            prefix => format!("{prefix}/{folder}/{relative}"),
        }
    }

    /// Lists a segment that is complete: writes the playlist, then deletes what has left it. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::HlsWriteFile`].
    pub fn publish(&self, segment: Segment) -> Result<()> {
        let settings = self.settings();
        let window_ms = i64::try_from(settings.window.as_millis()).unwrap_or(i64::MAX);
        let (left, text) = {
            let mut window = self.window.borrow_mut();
            let left = window.push(segment, window_ms);
            (left, window.playlist(settings.target_ms()))
        };
        self.grow();
        self.write_playlist(&settings, text)?;
        if settings.cleanup {
            self.files.delete(left.into_iter().map(|segment| segment.file));
        }
        Ok(())
    }

    fn write_playlist(&self, settings: &Hls, text: String) -> Result<()> {
        let path = settings.place(&self.playlist_name()?).display().to_string();
        // The temporary name is SRS's.
        let temporary = format!("{path}.temp");
        self.files
            .replace_by(temporary, &path, text.into_bytes(), ErrorCode::HlsWriteFile)?;
        self.playlist.replace(Some(path));
        Ok(())
    }

    /// Writes an initialisation segment, unless it is the one that players have; gives its URI. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::HlsWriteFile`].
    pub fn place_init(&self, init: Vec<u8>) -> Result<Rc<str>> {
        if let Some((known, uri)) = &*self.init.borrow()
            && *known == init
        {
            return Ok(uri.clone());
        }
        let settings = self.settings();
        let mut name = template::expand(&settings.init_file, &self.url, |_| None)?;
        let count = self.inits.borrow().len();
        if count > 0 {
            // Another name: players and caches keep what they have fetched.
            let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, "mp4"));
            name = format!("{stem}-{count}.{extension}");
        }
        let path = settings.place(&name).display().to_string();
        self.files.replace(&path, init.clone(), ErrorCode::HlsWriteFile)?;
        let uri: Rc<str> = self.uri(&self.playlist_name()?, &name).into();
        self.inits.borrow_mut().push(path);
        self.init.replace(Some((init, uri.clone())));
        Ok(uri)
    }

    /// Deletes all its files; numbers go on. Yields.
    pub fn dispose(&self) {
        let segments = std::mem::take(&mut *self.window.borrow_mut());
        let mut files: Vec<String> = segments.segments().map(|segment| segment.file.clone()).collect();
        let playlist = self.playlist.take();
        if playlist.is_some() {
            log::info!("HLS files of {} are deleted", self.url.stream_url());
        }
        // What is published goes on with the one it has.
        if !self.life.is_live() {
            files.extend(self.inits.take());
            self.init.take();
        }
        // The playlist first: no player is to find segments in it that are gone.
        self.files.delete(playlist.into_iter().chain(files));
        self.files.settle();
    }
}

/// Low-latency HLS.
impl Stream {
    /// Lets players ask for the playlist and parts, if the settings say so.
    ///
    /// # Errors
    /// When the stream's name makes no file name.
    pub fn serve_parts(&self) -> Result<()> {
        let name = self.playlist_name()?;
        let Some(part) = self.settings().part else {
            return Ok(());
        };
        let stem = name.rsplit('/').next().unwrap_or_default().trim_end_matches(".m3u8");
        let part_ms = i64::try_from(part.as_millis()).unwrap_or(i64::MAX);
        self.low.replace(Some(LowLatency::new(stem.to_owned(), part_ms)));
        self.shelf
            .put(&self.url.vhost, &name, Item::Playlist(self.this.clone()));
        Ok(())
    }

    /// Nothing more comes: what was only in memory is gone, the playlist is that of the disk.
    pub fn end_parts(&self) {
        let Some(low) = self.low.take() else { return };
        low.names().for_each(|name| self.take_down(name));
        if let Some(hint) = self.hint.take() {
            self.take_down(&hint);
        }
        if let Ok(name) = self.playlist_name() {
            self.shelf.remove(&self.url.vhost, &name);
        }
        self.grown.notify_all();
    }

    /// A segment begins.
    pub fn begin_parts(&self, plan: &Plan) {
        let parts = Parts::new(plan.number, plan.discontinuity, plan.map.clone(), plan.opened.unix_ms);
        let dropped = self.low.borrow_mut().as_mut().map(|low| low.begin(parts));
        for name in dropped.unwrap_or_default() {
            self.take_down(&name);
        }
    }

    /// A part of the segment is there.
    pub fn add_part(&self, bytes: &[u8], fragment: &Fragment) {
        let added = {
            let mut low = self.low.borrow_mut();
            let Some(low) = low.as_mut() else { return };
            low.add(
                Bytes::copy_from_slice(bytes),
                fragment.duration_ms,
                fragment.independent,
            )
        };
        if let Some(part) = added {
            self.hint.borrow_mut().take_if(|hint| *hint == part.name);
            let path = self.beside_playlist(&part.name);
            self.shelf.put(&self.url.vhost, &path, Item::Part(part.bytes));
        }
        self.grow();
    }

    /// Lets waiting players look again.
    fn grow(&self) {
        let next = match &*self.low.borrow() {
            Some(low) => low.next_name(&self.window.borrow()),
            None => return,
        };
        let before = self.hint.replace(next.clone());
        if let Some(name) = before.filter(|name| Some(name) != next.as_ref()) {
            // Its segment ended without it.
            self.take_down(&name);
        }
        if let Some(name) = next {
            let path = self.beside_playlist(&name);
            self.shelf.put(&self.url.vhost, &path, Item::Coming(self.this.clone()));
        }
        self.grown.notify_all();
    }

    fn take_down(&self, name: &str) {
        self.shelf.remove(&self.url.vhost, &self.beside_playlist(name));
    }

    fn beside_playlist(&self, name: &str) -> String {
        let playlist = self.playlist_name().unwrap_or_default();
        match playlist.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.to_owned(),
        }
    }

    /// Whether the playlist lists what a player wants; `None` when that is far ahead, or the stream is over.
    pub fn lists(&self, wanted: Wanted) -> Option<bool> {
        self.low.borrow().as_ref()?.has(&self.window.borrow(), wanted)
    }

    /// The playlist with parts; `None` when the stream is over.
    pub fn live_playlist(&self, skips: bool) -> Option<String> {
        let target_ms = self.settings().target_ms();
        let low = self.low.borrow();
        Some(low.as_ref()?.playlist(&self.window.borrow(), target_ms, skips))
    }

    /// How long a player may be kept waiting.
    pub fn patience(&self) -> Duration {
        let target = self.window.borrow().target_seconds(self.settings().target_ms());
        Duration::from_secs(target * 3)
    }
}

impl Lasting for Stream {
    fn life(&self) -> &Life {
        &self.life
    }

    fn dispose_after(&self) -> Duration {
        self.settings().dispose
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{Host, load_text};
    use crate::core::runtime::run;

    const CONFIG: &str = "listen 1935; vhost v { hls { enabled on; hls_low_latency on; hls_path PATH; } }";

    fn stream(folder: &std::path::Path) -> (Rc<Stream>, Shelf) {
        let text = CONFIG.replace("PATH", &folder.display().to_string());
        let loaded = load_text(&text, Host::TEST);
        let vhost = loaded.unwrap().config.vhost("v").unwrap();
        let mut url = StreamUrl::parse("rtmp://h/live", "s").unwrap();
        url.vhost = "v".into();
        let shelf = Shelf::default();
        (Stream::new(url, vhost.hls.clone(), shelf.clone()), shelf)
    }

    #[test]
    fn what_was_announced_and_never_came_is_taken_down() {
        run(|| {
            let folder = std::env::temp_dir().join(format!("srs-hls-{}", std::process::id()));
            let (stream, shelf) = stream(&folder);
            stream.serve_parts().unwrap();
            let fragment = Fragment {
                init: 1,
                independent: true,
                start_ms: 0,
                duration_ms: 300,
            };
            for number in 0..20 {
                stream.begin_parts(&Plan {
                    number,
                    opened: Opened::now(true),
                    timestamp: None,
                    begin_ms: 0,
                    discontinuity: false,
                    key: None,
                    map: None,
                });
                stream.add_part(b"part", &fragment);
                let complete = Segment {
                    number,
                    uri: format!("s-{number}.m4s"),
                    file: format!("s-{number}.m4s"),
                    duration_ms: 2000,
                    bytes: 4,
                    discontinuity: false,
                    key: None,
                    map: None,
                    date_ms: 0,
                };
                stream.publish(complete).unwrap();
            }
            // The playlist, the parts of the newest segments, and the one that comes next.
            assert_eq!(shelf.count(), 6);
            stream.end_parts();
            assert_eq!(shelf.count(), 0);
            std::fs::remove_dir_all(&folder).unwrap();
        })
        .unwrap();
    }
}
