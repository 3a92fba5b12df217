//! One stream as DASH: what outlives a publication.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::mpd::{Manifest, Segment, Track, init_name};
use crate::app::config::section::dash::Dash;
use crate::app::recording::files::Files;
use crate::app::recording::table::{Lasting, Life};
use crate::app::recording::template::{self, relative};
use crate::core::clock::unix_time;
use crate::kernel::error::Result;
use crate::kernel::error_code::ErrorCode;
use crate::kernel::mp4::TrackConfig;
use crate::protocol::rtmp::url::StreamUrl;

/// Segments, their numbers, and where all that is.
pub struct Stream {
    url: StreamUrl,
    settings: RefCell<Rc<Dash>>,
    /// Unix time of the stream's time 0, milliseconds.
    start_unix_ms: i64,
    period: Cell<u32>,
    period_begin_ms: Cell<i64>,
    tracks: RefCell<Vec<Known>>,
    life: Life,
    manifest: RefCell<Option<String>>,
    files: Files,
}

/// A track of the present period.
struct Known {
    name: &'static str,
    init: Vec<u8>,
    config: TrackConfig,
    next_number: u64,
    listed: VecDeque<Segment>,
    /// The one that is being written, where players may have it; how long it will be is a guess.
    growing: Option<Segment>,
}

impl Stream {
    /// A stream that was never written; its time 0 is now.
    pub fn new(url: StreamUrl, settings: Rc<Dash>) -> Rc<Self> {
        Rc::new(Stream {
            url,
            settings: RefCell::new(settings),
            start_unix_ms: now_unix_ms(),
            period: Cell::new(0),
            period_begin_ms: Cell::new(0),
            tracks: RefCell::default(),
            life: Life::default(),
            manifest: RefCell::default(),
            files: Files::new("DASH"),
        })
    }

    /// How it is written.
    pub fn settings(&self) -> Rc<Dash> {
        self.settings.borrow().clone()
    }

    /// Takes the settings of a new publication.
    pub fn set_settings(&self, settings: Rc<Dash>) {
        self.settings.replace(settings);
    }

    /// The stream's time now, milliseconds: that of the clock on the wall, so that it goes on over publications.
    pub fn now_ms(&self) -> i64 {
        now_unix_ms() - self.start_unix_ms
    }

    /// The folder of segments.
    ///
    /// # Errors
    /// When the stream's name makes no file name.
    pub fn folder(&self) -> Result<String> {
        Ok(self.settings().place(&self.folder_name()?).display().to_string())
    }

    /// The stream's vhost.
    pub fn vhost(&self) -> &str {
        &self.url.vhost
    }

    /// The folder of segments below that of all files.
    ///
    /// # Errors
    /// When the stream's name makes no file name.
    pub fn folder_name(&self) -> Result<String> {
        template::expand("[app]/[stream]", &self.url, |_| None)
    }

    fn manifest_name(&self) -> Result<String> {
        template::expand(&self.settings().mpd_file, &self.url, |_| None)
    }

    /// The number of a track's next segment.
    pub fn next_number(&self, track: &str) -> u64 {
        let tracks = self.tracks.borrow();
        tracks
            .iter()
            .find(|known| known.name == track)
            .map_or(0, |known| known.next_number)
    }

    /// Takes a track's initialisation segment. One that differs from what players have begins a new period. Yields.
    ///
    /// # Errors
    /// What the disk does.
    pub fn configure(&self, track: &'static str, init: Vec<u8>, config: &TrackConfig, begin_ms: i64) -> Result<()> {
        let changed = {
            let mut tracks = self.tracks.borrow_mut();
            let found = tracks.iter_mut().find(|known| known.name == track);
            match found {
                Some(known) if known.init == init => return Ok(()),
                Some(known) => {
                    (known.init, known.config) = (init, config.clone());
                    true
                }
                None => {
                    tracks.push(Known {
                        name: track,
                        init,
                        config: config.clone(),
                        next_number: 0,
                        listed: VecDeque::new(),
                        growing: None,
                    });
                    tracks.sort_by_key(|known| known.name);
                    false
                }
            }
        };
        if changed {
            self.begin_period(begin_ms);
        }
        self.write_inits()
    }

    fn begin_period(&self, begin_ms: i64) {
        self.period.set(self.period.get() + 1);
        self.period_begin_ms.set(begin_ms);
        let mut tracks = self.tracks.borrow_mut();
        let old: Vec<Segment> = tracks.iter_mut().flat_map(|known| known.listed.drain(..)).collect();
        drop(tracks);
        if self.settings().cleanup {
            self.files.delete(old.into_iter().map(|segment| segment.file));
        }
    }

    fn write_inits(&self) -> Result<()> {
        let folder = self.folder()?;
        let inits: Vec<(String, Vec<u8>)> = {
            let tracks = self.tracks.borrow();
            let named = |known: &Known| (init_name(known.name, self.period.get()), known.init.clone());
            tracks.iter().map(named).collect()
        };
        inits
            .into_iter()
            .try_for_each(|(name, init)| self.replace(&format!("{folder}/{name}"), init))
    }

    /// Lists a segment that is being written, and writes the manifest. Yields.
    ///
    /// # Errors
    /// What the disk does.
    pub fn announce(&self, track: &str, segment: Segment) -> Result<()> {
        self.with_track(track, |known| {
            let guess = known.listed.back().map_or(segment.duration_ms, |last| last.duration_ms);
            known.growing = Some(Segment {
                duration_ms: guess,
                ..segment
            });
        });
        self.write_manifest(&self.settings())
    }

    /// What was being written is not any more.
    pub fn forget_growing(&self) {
        for known in self.tracks.borrow_mut().iter_mut() {
            known.growing = None;
        }
    }

    fn with_track<T>(&self, name: &str, work: impl FnOnce(&mut Known) -> T) -> Option<T> {
        self.tracks
            .borrow_mut()
            .iter_mut()
            .find(|known| known.name == name)
            .map(work)
    }

    fn write_manifest(&self, settings: &Dash) -> Result<()> {
        if let Some(text) = self.manifest_text(settings)? {
            let path = settings.place(&self.manifest_name()?).display().to_string();
            self.replace(&path, text.into_bytes())?;
            self.manifest.replace(Some(path));
        }
        Ok(())
    }

    /// Lists a segment that is complete, and writes the manifest. Yields.
    ///
    /// # Errors
    /// What the disk does.
    pub fn publish(&self, track: &str, segment: Segment) -> Result<()> {
        let settings = self.settings();
        let left: Option<Vec<Segment>> = self.with_track(track, |known| {
            known.growing = None;
            known.next_number = segment.number + 1;
            known.listed.push_back(segment);
            let leaving = known.listed.len().saturating_sub(settings.window_size);
            known.listed.drain(..leaving).collect()
        });
        self.write_manifest(&settings)?;
        if settings.cleanup {
            let left = left.into_iter().flatten();
            self.files.delete(left.map(|segment| segment.file));
        }
        Ok(())
    }

    /// `None` while there is a track that may still tell how it is coded: players take no track that comes later.
    fn manifest_text(&self, settings: &Dash) -> Result<Option<String>> {
        let name = self.manifest_name()?;
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let base = format!("{}/", relative(folder, &self.folder_name()?));
        let known = self.tracks.borrow();
        let tracks: Vec<Track<'_>> = known
            .iter()
            .map(|known| Track {
                config: &known.config,
                segments: known.listed.iter().chain(&known.growing).collect(),
            })
            .filter(|track| !track.segments.is_empty())
            .collect();
        let longest = tracks.iter().map(|track| track.segments.len()).max().unwrap_or(0);
        if tracks.len() < 2 && longest < 2 {
            return Ok(None);
        }
        let manifest = Manifest {
            start_unix_ms: self.start_unix_ms,
            now_unix_ms: now_unix_ms(),
            update_ms: i64::try_from(settings.update_period.as_millis()).unwrap_or(i64::MAX),
            window: settings.window_size,
            period: self.period.get(),
            period_begin_ms: self.period_begin_ms.get(),
            base: &base,
            low_latency: settings.low_latency,
            tracks: &tracks,
        };
        Ok(Some(manifest.to_text()))
    }

    fn replace(&self, path: &str, content: Vec<u8>) -> Result<()> {
        self.files.replace(path, content, ErrorCode::DashMpdWrite)
    }

    /// Deletes all its files. Yields.
    pub fn dispose(&self) {
        let Ok(folder) = self.folder() else { return };
        let manifest = self.manifest.take();
        if manifest.is_some() {
            log::info!("DASH files of {} are deleted", self.url.stream_url());
        }
        let mut files: Vec<String> = manifest.into_iter().collect();
        for known in self.tracks.borrow_mut().iter_mut() {
            let inits = (0..=self.period.get()).map(|period| format!("{folder}/{}", init_name(known.name, period)));
            files.extend(inits);
            files.extend(known.listed.drain(..).map(|segment| segment.file));
        }
        self.files.delete(files);
        self.files.settle_folder(folder);
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

fn now_unix_ms() -> i64 {
    unix_time().as_millis().try_into().unwrap_or(0)
}
