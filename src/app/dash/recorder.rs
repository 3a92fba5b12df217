//! Writes one publication as DASH segments, each track in files of its own.

use std::rc::Rc;

use super::stream::Stream;
use super::track::{Progress, TrackWriter};
use crate::app::recording::table::Lasting;
use crate::app::recording::{OnError, Recorder};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};

/// One publication.
pub struct DashRecorder {
    stream: Rc<Stream>,
    tracks: Vec<TrackWriter>,
    /// What is added to the publisher's time stamps, milliseconds modulo 2^32.
    shift: Option<u32>,
}

impl DashRecorder {
    /// For a publication of this stream.
    ///
    /// # Errors
    /// When the stream's name makes no file name.
    pub fn new(stream: Rc<Stream>) -> Result<Self> {
        let folder = stream.folder()?;
        let fragment_ms = i64::try_from(stream.settings().fragment.as_millis()).unwrap_or(i64::MAX);
        let writer = |kind, name| TrackWriter::new(kind, folder.clone(), fragment_ms, stream.next_number(name));
        Ok(DashRecorder {
            tracks: vec![writer(Kind::Video, "video"), writer(Kind::Audio, "audio")],
            stream,
            shift: None,
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
        match progress.complete {
            Some(segment) => self.stream.publish(track.name(), segment),
            None => Ok(()),
        }
    }
}

impl Recorder for DashRecorder {
    fn name(&self) -> &'static str {
        "DASH"
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
        let now_ms = self.stream.now_ms();
        let shift = *self.shift.get_or_insert((now_ms as u32).wrapping_sub(frame.timestamp));
        let mut frame = frame.clone();
        frame.timestamp = frame.timestamp.wrapping_add(shift);
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
        for index in 0..self.tracks.len() {
            let progress = self.tracks[index].finish()?;
            self.settle(&self.tracks[index], progress)?;
        }
        Ok(())
    }

    fn on_error(&self, error: &Error) -> OnError {
        match error.code() {
            ErrorCode::DashMpdWrite | ErrorCode::HlsCreateDir => OnError::Stop,
            // A message that cannot be understood.
            _ => OnError::Continue,
        }
    }
}
