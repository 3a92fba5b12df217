//! Writes one publication as DASH segments, each track in files of its own.

use std::rc::Rc;
use std::time::Duration;

use super::clock::Clock;
use super::growing::Shelf;
use super::stream::Stream;
use super::track::{Early, Folder, Progress, TrackWriter};
use crate::app::recording::table::Lasting;
use crate::app::recording::{OnError, Recorder};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};

/// How long media may wait before it is written.
const LATENCY: Duration = Duration::from_millis(300);

/// One publication.
pub struct DashRecorder {
    stream: Rc<Stream>,
    tracks: Vec<TrackWriter>,
    clock: Clock,
}

impl DashRecorder {
    /// For a publication of this stream.
    ///
    /// # Errors
    /// When the stream's name makes no file name.
    pub fn new(stream: Rc<Stream>, shelf: &Shelf) -> Result<Self> {
        let settings = stream.settings();
        let name = stream.folder_name()?;
        let early = settings.low_latency.map(|low_latency| Early {
            shelf: shelf.clone(),
            vhost: stream.vhost().to_owned(),
            folder: name,
            chunk_ms: u32::try_from(low_latency.chunk.as_millis()).unwrap_or(u32::MAX),
        });
        let folder = Folder {
            path: stream.folder()?,
            early,
        };
        let fragment_ms = i64::try_from(settings.fragment.as_millis()).unwrap_or(i64::MAX);
        let writer = |kind, name| TrackWriter::new(kind, folder.clone(), fragment_ms, stream.next_number(name));
        Ok(DashRecorder {
            tracks: vec![writer(Kind::Video, "video"), writer(Kind::Audio, "audio")],
            stream,
            clock: Clock::default(),
        })
    }

    /// Makes what a track did known to players.
    fn settle(&self, track: &TrackWriter, progress: Progress) -> Result<()> {
        if let Some(segment) = progress.ended {
            self.stream.publish(track.name(), segment)?;
        }
        if let (Some(begin_ms), Some(config)) = (progress.reconfigured, track.config()) {
            self.stream.configure(track.name(), track.init(), config, begin_ms)?;
        }
        if let Some(segment) = progress.begun {
            self.stream.announce(track.name(), segment)?;
        }
        match progress.complete {
            Some(segment) => self.stream.publish(track.name(), segment),
            None => Ok(()),
        }
    }

    fn finish_tracks(&mut self) -> Result<()> {
        for index in 0..self.tracks.len() {
            let progress = self.tracks[index].finish()?;
            self.settle(&self.tracks[index], progress)?;
        }
        Ok(())
    }
}

impl Recorder for DashRecorder {
    fn name(&self) -> &'static str {
        "DASH"
    }

    fn latency(&self) -> Duration {
        match self.stream.settings().low_latency {
            Some(_) => Duration::ZERO,
            None => LATENCY,
        }
    }

    fn begin(&mut self) -> Result<()> {
        self.stream.life().set_live(true);
        Ok(())
    }

    fn take(&mut self, frame: &Frame) -> Result<()> {
        if frame.facts.track != 0 {
            return Ok(());
        }
        let Some(index) = self.tracks.iter().position(|track| track.kind() == frame.kind) else {
            return Ok(());
        };
        // The stream's time began when it was published first, whatever the publisher's says.
        let (timestamp, jump) = self.clock.follow(frame.timestamp, self.stream.now_ms());
        if let Some(jump) = jump {
            log::warn!("DASH: the publisher's time jumps by {} ms", -jump);
        }
        let mut frame = frame.clone();
        frame.timestamp = timestamp;
        let progress = self.tracks[index].take(&frame)?;
        self.settle(&self.tracks[index], progress)
    }

    fn missed(&mut self, _count: u64) {}

    fn batch_ended(&mut self) -> Result<()> {
        self.stream.life().touch();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.stream.life().set_live(false);
        let ended = self.finish_tracks();
        self.stream.forget_growing();
        ended
    }

    fn on_error(&self, error: &Error) -> OnError {
        match error.code() {
            ErrorCode::DashMpdWrite | ErrorCode::HlsCreateDir => OnError::Stop,
            // A message that cannot be understood.
            _ => OnError::Continue,
        }
    }
}
