//! One file while it is written.

use std::io::{self, ErrorKind};
use std::rc::Rc;

use super::clock::FileClock;
use super::flv::FlvWriter;
use super::headers::Headers;
use super::paths::Claim;
use super::plan::Plan;
use super::writer::Writer;
use crate::app::config::section::dvr::Dvr;
use crate::core::output::Output;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::tail;
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::mp4::recording::{Layout, Recording};

/// Media that is written at least so often reaches the file: what a killed process leaves plays up to there, milliseconds.
const FLUSH_MS: i64 = 1000;
/// The step from the last message of a file to the first one that goes on with it, milliseconds: pictures are shown some
/// time after they are decoded, and the last ones must be over.
const APPEND_STEP_MS: u32 = 200;

/// A file that is being recorded.
pub struct DvrFile {
    path: String,
    output: Output,
    writer: Box<dyn Writer>,
    clock: FileClock,
    settings: Rc<Dvr>,
    /// It had content before.
    continued: bool,
    /// The first message is written.
    begun: bool,
    flushed_ms: i64,
    picture_ms: i64,
    /// As long as it is written, nobody else writes it.
    _claim: Claim,
}

impl DvrFile {
    /// Opens the file that is to be called `path`. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::DvrAppend`] if there is one already, [`ErrorCode::FileOpen`].
    pub fn open(path: String, claim: Claim, plan: Plan, settings: &Rc<Dvr>) -> Result<Self> {
        let (output, writer, offset_ms): (_, Box<dyn Writer>, _) = match plan {
            Plan::Append => {
                let found = Output::append(path.as_str(), |file| tail::look(file).map(|tail| (tail.end, tail)));
                let (output, tail) = found
                    .map_err(|cause| fault(ErrorCode::FileOpen, &cause, format!("dvr: {path} cannot be continued")))?;
                let is_new = tail.end == 0;
                let offset_ms = if is_new {
                    0
                } else {
                    tail.timestamp.wrapping_add(APPEND_STEP_MS)
                };
                (output, Box::new(FlvWriter::continuing(tail)), offset_ms)
            }
            Plan::Session | Plan::Segment { .. } => {
                let output = Output::create_for(path.as_str()).map_err(|cause| match cause.kind() {
                    ErrorKind::AlreadyExists => {
                        Error::new(ErrorCode::DvrAppend, format!("dvr: file {path} exists already"))
                    }
                    _ => fault(ErrorCode::FileOpen, &cause, format!("dvr: {path}.tmp cannot be made")),
                })?;
                (output, writer_for(settings), 0)
            }
        };
        Ok(DvrFile {
            path,
            continued: !output.is_empty(),
            output,
            writer,
            clock: FileClock::new(settings.time_jitter, offset_ms),
            settings: settings.clone(),
            begun: false,
            flushed_ms: 0,
            picture_ms: 0,
            _claim: claim,
        })
    }

    /// The name that it will have.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Media in it, milliseconds; what was there before does not count.
    pub fn length_ms(&self) -> i64 {
        self.clock.length_ms()
    }

    /// Bytes in it.
    pub fn len(&self) -> u64 {
        self.output.len()
    }

    /// Whether a coded message or a header belongs into the next file.
    ///
    /// # Errors
    /// Those of [`Writer::ends_before`].
    pub fn ends_before(&self, frame: &Frame) -> Result<bool> {
        Ok(self.begun && self.writer.ends_before(frame)?)
    }

    /// Takes a coded message, unless the plan ends the file before it; gives whether it was taken. Yields when the disk
    /// has much to write.
    ///
    /// # Errors
    /// Those of [`Writer::write`]; [`ErrorCode::FileWrite`].
    pub fn take(&mut self, frame: &Frame, plan: Plan, headers: &Headers) -> Result<bool> {
        let timestamp = self.clock.stamp(frame.timestamp);
        let length_ms = self.clock.length_ms();
        if self.begun && plan.ends_before(frame, length_ms, length_ms - self.picture_ms) {
            return Ok(false);
        }
        if frame.kind == Kind::Video {
            self.picture_ms = length_ms;
        }
        if !self.begun {
            let (writer, out) = (&mut self.writer, self.output.buffer());
            keep_whole(out, |out| writer.begin(headers, timestamp, out))?;
            self.begun = true;
        }
        self.put(frame, timestamp)?;
        Ok(true)
    }

    /// Takes a header that comes after the first message; the others are written before that. Yields as
    /// [`DvrFile::take`].
    ///
    /// # Errors
    /// As [`DvrFile::take`].
    pub fn take_header(&mut self, frame: &Frame) -> Result<()> {
        match self.begun {
            true => self.put(frame, self.clock.now_ms()),
            false => Ok(()),
        }
    }

    fn put(&mut self, frame: &Frame, timestamp: u32) -> Result<()> {
        let frame = Frame {
            timestamp,
            ..frame.clone()
        };
        let (writer, out) = (&mut self.writer, self.output.buffer());
        keep_whole(out, |out| writer.write(&frame, out))?;
        let settled = self.output.settle();
        settled.map_err(|cause| cannot_write(&self.path, &cause))
    }

    /// Hands what is written to the disk, now and then. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::FileWrite`].
    pub fn flush(&mut self) -> Result<()> {
        let now_ms = self.clock.length_ms();
        if (now_ms - self.flushed_ms).abs() < FLUSH_MS {
            return Ok(());
        }
        self.flushed_ms = now_ms;
        let flushed = self.output.flush();
        flushed.map_err(|cause| cannot_write(&self.path, &cause))
    }

    /// Ends the file and gives it its name; gives that name unless there is nothing in it. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::FileWrite`], [`ErrorCode::SystemFragmentRename`]; it keeps its temporary name then.
    pub fn close(mut self) -> Result<Option<String>> {
        if !self.begun && self.continued {
            return Ok(None);
        }
        let mut patches = Vec::new();
        if self.begun {
            patches = self.writer.finish(self.output.buffer()).wrap("end of recording")?;
        }
        if !self.begun || self.writer.is_empty() {
            log::info!("dvr: {} has no media, it is removed", self.path);
            let removed = self.output.discard();
            return removed.map(|()| None).map_err(|cause| cannot_write(&self.path, &cause));
        }
        let mut written = self.output.flush();
        for (offset, bytes) in patches {
            written = written.and_then(|()| self.output.patch(offset, bytes));
        }
        written.map_err(|cause| cannot_write(&self.path, &cause))?;
        let (bytes, length_ms) = (self.output.len(), self.clock.length_ms());
        let named = self.output.finish(self.path.as_str());
        named.map_err(|cause| {
            let text = format!("dvr: {0}.tmp cannot be renamed to {0}", self.path);
            fault(ErrorCode::SystemFragmentRename, &cause, text)
        })?;
        log::info!(
            "dvr: {} is complete, {length_ms} ms, {bytes} bytes, plan {}",
            self.path,
            self.settings.plan
        );
        Ok(Some(self.path))
    }
}

fn writer_for(settings: &Dvr) -> Box<dyn Writer> {
    match (settings.path.ends_with(".mp4"), settings.mp4_fragmented) {
        (false, _) => Box::new(FlvWriter::default()),
        (true, false) => Box::new(Recording::new(Layout::Plain)),
        (true, true) => Box::new(Recording::new(Layout::Fragments)),
    }
}

fn cannot_write(path: &str, cause: &io::Error) -> Error {
    let text = format!("dvr: {path}.tmp cannot be written, what was recorded so far stays there");
    fault(ErrorCode::FileWrite, cause, text)
}

/// What the disk says belongs into the one line that is logged.
fn fault(code: ErrorCode, cause: &io::Error, text: String) -> Error {
    Error::io(code, cause, format!("{text}: {cause}"))
}

/// What is appended by something that fails goes.
fn keep_whole(out: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let before = out.len();
    append(out).inspect_err(|_| out.truncate(before))
}
