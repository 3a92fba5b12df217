//! One track of a publication: fragments become segments, each a file.

use super::growing::{Grower, Shelf};
use super::mpd::Segment;
use crate::core::output::Output;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::mp4::{Fragment, Muxer, MuxerOptions, TrackConfig};

/// A fragment holds so much at most, milliseconds; it is what is kept in memory.
const PART_MS: u32 = 1000;

/// What a message brought about, in this order.
#[derive(Debug, Default)]
pub struct Progress {
    /// The last segment of the initialisation segment before is complete.
    pub ended: Option<Segment>,
    /// Another initialisation segment is needed from this time on, milliseconds.
    pub reconfigured: Option<i64>,
    /// A segment has got its first chunk, and players may have it from now on; its size and its end are not known.
    pub begun: Option<Segment>,
    /// A segment is complete.
    pub complete: Option<Segment>,
}

/// Writes one track.
pub struct TrackWriter {
    kind: Kind,
    muxer: Muxer,
    /// The number of the initialisation segment in use.
    init: u32,
    open: Option<OpenSegment>,
    next_number: u64,
    fragment_ms: i64,
    folder: Folder,
    scratch: Vec<u8>,
}

/// Where a stream's segments are.
#[derive(Clone)]
pub struct Folder {
    /// On the disk.
    pub path: String,
    /// Where players find what is being written, if they may.
    pub early: Option<Early>,
}

/// What players of low-latency DASH need.
#[derive(Clone)]
pub struct Early {
    /// What is being written.
    pub shelf: Shelf,
    /// The stream's vhost.
    pub vhost: String,
    /// The folder of its segments, below that of all files.
    pub folder: String,
    /// How long a chunk is to be, milliseconds.
    pub chunk_ms: u32,
}

struct OpenSegment {
    number: u64,
    begin_ms: i64,
    end_ms: i64,
    output: Output,
    grower: Option<Grower>,
}

impl TrackWriter {
    /// Writes segments from number `next_number` on into `folder`.
    pub fn new(kind: Kind, folder: Folder, fragment_ms: i64, next_number: u64) -> Self {
        let part_ms = folder.early.as_ref().map_or(PART_MS, |early| early.chunk_ms);
        TrackWriter {
            kind,
            muxer: Muxer::new(MuxerOptions {
                audio: kind == Kind::Audio,
                video: kind == Kind::Video,
                part_ms: part_ms.min(u32::try_from(fragment_ms).unwrap_or(PART_MS)),
                segment_type: true,
            }),
            init: 0,
            open: None,
            next_number,
            fragment_ms,
            folder,
            scratch: Vec::new(),
        }
    }

    /// The track's name in files and manifest.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Video => "video",
            Kind::Audio | Kind::Data => "audio",
        }
    }

    /// What it takes.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How it is coded; `None` before its first fragment.
    pub fn config(&self) -> Option<&TrackConfig> {
        self.muxer.tracks().first()
    }

    /// The initialisation segment.
    pub fn init(&self) -> Vec<u8> {
        let mut init = Vec::new();
        self.muxer.init(&mut init);
        init
    }

    /// Takes a message of this track. Yields.
    ///
    /// # Errors
    /// Those of the muxer; [`ErrorCode::DashMpdWrite`] for what the disk does.
    pub fn take(&mut self, frame: &Frame) -> Result<Progress> {
        self.scratch.clear();
        let Some(fragment) = self.muxer.write(frame, &mut self.scratch)? else {
            return Ok(Progress::default());
        };
        let mut progress = self.append(&fragment)?;
        // The fragment was ended by this message, which comes next.
        let may_begin = self.kind == Kind::Audio || frame.facts.keyframe;
        if may_begin && self.is_full() {
            progress.complete = self.close()?;
        }
        Ok(progress)
    }

    /// Ends the last segment. Yields.
    ///
    /// # Errors
    /// As [`TrackWriter::take`].
    pub fn finish(&mut self) -> Result<Progress> {
        self.scratch.clear();
        let mut progress = Progress::default();
        if let Some(fragment) = self.muxer.flush(&mut self.scratch) {
            progress = self.append(&fragment)?;
        }
        progress.complete = self.close()?;
        Ok(progress)
    }

    fn is_full(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.end_ms - open.begin_ms >= self.fragment_ms)
    }

    fn append(&mut self, fragment: &Fragment) -> Result<Progress> {
        let mut progress = Progress::default();
        if self.init != fragment.init {
            progress.ended = self.close()?;
            progress.reconfigured = Some(fragment.start_ms);
            self.init = fragment.init;
        }
        if self.open.is_none() {
            let open = self.begin(fragment.start_ms)?;
            if open.grower.is_some() {
                progress.begun = Some(Segment {
                    number: open.number,
                    begin_ms: open.begin_ms,
                    duration_ms: self.fragment_ms,
                    bytes: 0,
                    file: self.path(open.number),
                });
            }
            self.open = Some(open);
        }
        let Some(open) = &mut self.open else {
            return Ok(progress);
        };
        if let Some(grower) = &open.grower {
            grower.push(&self.scratch);
        }
        open.end_ms = fragment.start_ms + fragment.duration_ms;
        let number = open.number;
        let written = open.output.write(&self.scratch);
        written.map_err(|error| failed(&error, &self.path(number)))?;
        Ok(progress)
    }

    fn begin(&mut self, begin_ms: i64) -> Result<OpenSegment> {
        let number = self.next_number;
        let path = format!("{}.tmp", self.path(number));
        let output = Output::create(&path).map_err(|error| failed(&error, &path))?;
        self.next_number += 1;
        let grow = |early: &Early| {
            let path = format!("{}/{}", early.folder, self.file_name(number));
            Grower::new(&early.shelf, &early.vhost, path)
        };
        Ok(OpenSegment {
            number,
            begin_ms,
            end_ms: begin_ms,
            output,
            grower: self.folder.early.as_ref().map(grow),
        })
    }

    fn path(&self, number: u64) -> String {
        format!("{}/{}", self.folder.path, self.file_name(number))
    }

    fn file_name(&self, number: u64) -> String {
        format!("{}-{number}.m4s", self.name())
    }

    fn close(&mut self) -> Result<Option<Segment>> {
        let Some(open) = self.open.take() else { return Ok(None) };
        let file = self.path(open.number);
        let bytes = open.output.len();
        open.output.finish(&file).map_err(|error| failed(&error, &file))?;
        if let Some(grower) = open.grower {
            grower.complete();
        }
        Ok(Some(Segment {
            number: open.number,
            begin_ms: open.begin_ms,
            duration_ms: (open.end_ms - open.begin_ms).max(1),
            bytes,
            file,
        }))
    }
}

/// What became of a file.
fn failed(error: &std::io::Error, path: &str) -> Error {
    Error::io(
        ErrorCode::DashMpdWrite,
        error,
        format!("DASH file {path} cannot be written"),
    )
}
