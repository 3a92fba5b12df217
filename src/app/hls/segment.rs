//! The segment that is being written.

use std::io;
use std::path::Path;
use std::rc::Rc;

use super::key::{Encryptor, Key};
use super::playlist::KeyTag;
use crate::app::recording::template::Opened;
use crate::core::output::Output;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// A key, and what the playlist says of it.
#[derive(Clone)]
pub struct KeyInUse {
    /// The key.
    pub key: Key,
    /// What players are told.
    pub tag: Rc<KeyTag>,
}

/// What a segment is opened with.
pub struct Plan {
    /// Its media sequence number.
    pub number: u64,
    /// When it is opened.
    pub opened: Opened,
    /// Its value for `[timestamp]` if that is not the time.
    pub timestamp: Option<i64>,
    /// The publication's clock at its begin, milliseconds.
    pub begin_ms: i64,
    /// Times or codecs do not go on from the segment before.
    pub discontinuity: bool,
    /// What it is encrypted with.
    pub key: Option<KeyInUse>,
    /// The URI of its initialisation segment, if it is fragmented MP4.
    pub map: Option<Rc<str>>,
}

/// A segment from its first byte on.
pub struct OpenSegment {
    /// What it was opened with.
    pub plan: Plan,
    encryptor: Option<Encryptor>,
    output: Output,
    path: String,
}

impl OpenSegment {
    /// Creates its file under the temporary name `path`. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::HlsOpenFile`].
    pub fn open(path: String, plan: Plan) -> Result<Self> {
        let output = Output::create(&path).map_err(|error| failed(ErrorCode::HlsOpenFile, &error, &path))?;
        Ok(OpenSegment {
            encryptor: plan.key.as_ref().map(|key| key.key.encryptor()),
            plan,
            output,
            path,
        })
    }

    /// Its size so far, bytes.
    pub fn bytes(&self) -> u64 {
        self.output.len()
    }

    /// Its temporary name.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Appends media. May yield.
    ///
    /// # Errors
    /// [`ErrorCode::HlsWriteFile`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.encryptor {
            Some(encryptor) => encryptor.push(bytes, self.output.buffer()),
            None => self.output.buffer().extend_from_slice(bytes),
        }
        let settled = self.output.settle();
        settled.map_err(|error| failed(ErrorCode::HlsWriteFile, &error, &self.path))
    }

    /// Gives the file its name; readers find it from now on. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::HlsWriteFile`].
    pub fn finish(mut self, path: &Path) -> Result<()> {
        if let Some(encryptor) = self.encryptor.take() {
            encryptor.finish(self.output.buffer());
        }
        let finished = self.output.finish(path);
        finished.map_err(|error| failed(ErrorCode::HlsWriteFile, &error, &self.path))
    }

    /// Takes the file away. Yields.
    pub fn discard(self) {
        let path = self.path;
        if let Err(error) = self.output.discard() {
            log::warn!("HLS segment {path} cannot be deleted: {error}");
        }
    }
}

fn failed(code: ErrorCode, error: &io::Error, path: &str) -> Error {
    Error::io(code, error, format!("HLS segment {path} cannot be written"))
}
