//! One stream as HLS: what outlives a publication.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::floor::Floor;
use super::playlist::{Segment, Window};
use crate::app::config::section::hls::Hls;
use crate::app::recording::template::{self, Opened, relative};
use crate::core::clock::Moment;
use crate::core::file;
use crate::core::offload::{Class, Lane};
use crate::core::output::Output;
use crate::kernel::error::{IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtmp::url::StreamUrl;

/// Deletions and the like that may wait, bytes.
const BACKLOG_BYTES: usize = 1 << 20;

/// How long the numbers of a stream go on at least after its publication.
const KEPT: Duration = Duration::from_secs(120);

/// Segments, their numbers, and where all that is.
pub struct Stream {
    url: StreamUrl,
    settings: RefCell<Rc<Hls>>,
    window: RefCell<Window>,
    next_number: Cell<u64>,
    /// The grid of names.
    pub floor: RefCell<Floor>,
    /// Whether a publication writes it.
    pub is_live: Cell<bool>,
    last_data: Cell<Moment>,
    /// The playlist, once it is written.
    playlist: RefCell<Option<String>>,
    lane: Lane,
}

impl Stream {
    /// A stream that was never written.
    pub fn new(url: StreamUrl, settings: Rc<Hls>) -> Rc<Self> {
        Rc::new(Stream {
            url,
            settings: RefCell::new(settings),
            window: RefCell::default(),
            next_number: Cell::new(0),
            floor: RefCell::default(),
            is_live: Cell::new(false),
            last_data: Cell::new(Moment::now()),
            playlist: RefCell::default(),
            lane: Lane::new(Class::Disk, BACKLOG_BYTES),
        })
    }

    /// How it is written.
    pub fn settings(&self) -> Rc<Hls> {
        self.settings.borrow().clone()
    }

    /// Takes the settings of a new publication.
    pub fn set_settings(&self, settings: Rc<Hls>) {
        self.settings.replace(settings);
    }

    /// Notes that media came.
    pub fn touch(&self) {
        self.last_data.set(Moment::now());
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
    /// [`ErrorCode::HlsOpenFile`], [`ErrorCode::HlsWriteFile`].
    pub fn publish(&self, segment: Segment) -> Result<()> {
        let settings = self.settings();
        let window_ms = i64::try_from(settings.window.as_millis()).unwrap_or(i64::MAX);
        let (left, text) = {
            let mut window = self.window.borrow_mut();
            let left = window.push(segment, window_ms);
            (left, window.playlist(settings.target_ms()))
        };
        self.write_playlist(&settings, &text)?;
        if settings.cleanup {
            self.delete(left.into_iter().map(|segment| segment.file));
        }
        Ok(())
    }

    fn write_playlist(&self, settings: &Hls, text: &str) -> Result<()> {
        let path = settings.place(&self.playlist_name()?);
        let name = path.display().to_string();
        let mut output = Output::create(format!("{name}.temp"))
            .io_wrap(ErrorCode::HlsOpenFile, || format!("playlist {name} cannot be written"))?;
        output
            .write(text.as_bytes())
            .and_then(|()| output.finish(&path))
            .io_wrap(ErrorCode::HlsWriteFile, || format!("playlist {name} cannot be written"))?;
        self.playlist.replace(Some(name));
        Ok(())
    }

    fn delete(&self, files: impl Iterator<Item = String>) {
        for name in files {
            let job = move || {
                if let Err(error) = file::blocking::remove(name.as_ref()) {
                    log::warn!("HLS file {name} cannot be deleted: {error}");
                }
            };
            if let Err(error) = self.lane.post(0, job) {
                log::warn!("HLS files are not deleted, the disk is too slow: {error}");
            }
        }
    }

    /// Whether nothing came for `hls_dispose`.
    pub fn is_idle(&self) -> bool {
        let dispose = self.settings().dispose;
        !dispose.is_zero() && Moment::now().since(self.last_data.get()) >= dispose
    }

    /// Whether its files are to stay, but it was silent so long that its numbers may begin anew.
    pub fn is_forgotten(&self) -> bool {
        !self.is_live.get() && Moment::now().since(self.last_data.get()) >= KEPT.max(self.settings().dispose)
    }

    /// Deletes all its files; numbers go on. Yields.
    pub fn dispose(&self) {
        let segments = std::mem::take(&mut *self.window.borrow_mut());
        let files: Vec<String> = segments.segments().map(|segment| segment.file.clone()).collect();
        let playlist = self.playlist.take();
        if playlist.is_some() {
            log::info!("HLS files of {} are deleted", self.url.stream_url());
        }
        // The playlist first: no player is to find segments in it that are gone.
        self.delete(playlist.into_iter().chain(files));
        // Fails when the disk hangs, and then nothing can be done.
        let _ = self.lane.run(|| ());
    }
}
