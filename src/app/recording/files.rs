//! Small files of a stream, such as playlists and manifests: written whole, deleted when nobody wants them any more. All
//! of it off the thread and in the order given.

use crate::core::file::{self, blocking};
use crate::core::offload::{Class, Lane};
use crate::kernel::error::{IoWrap, Result};
use crate::kernel::error_code::ErrorCode;

/// Deletions that may wait, bytes of their names.
const BACKLOG_BYTES: usize = 1 << 20;

/// The files of one stream in one format.
pub struct Files {
    format: &'static str,
    lane: Lane,
}

impl Files {
    /// `format` is what messages call it, such as `HLS`.
    pub fn new(format: &'static str) -> Self {
        Files {
            format,
            lane: Lane::new(Class::Disk, BACKLOG_BYTES),
        }
    }

    /// Writes a file so that a reader finds the old content or all of the new; `temporary` is its name until then. Folders
    /// are made. Yields.
    ///
    /// # Errors
    /// With `code`, what the disk does.
    pub fn replace_by(&self, temporary: String, path: &str, content: Vec<u8>, code: ErrorCode) -> Result<()> {
        file::replace(&self.lane, temporary, path, content)
            .io_wrap(code, || format!("{} file {path} cannot be written", self.format))
    }

    /// The same under a temporary name that ends in `.tmp`.
    ///
    /// # Errors
    /// As [`Files::replace_by`].
    pub fn replace(&self, path: &str, content: Vec<u8>, code: ErrorCode) -> Result<()> {
        self.replace_by(format!("{path}.tmp"), path, content, code)
    }

    /// Deletes a file now. Yields.
    ///
    /// # Errors
    /// With `code`, what the disk does.
    pub fn remove(&self, path: &str, code: ErrorCode) -> Result<()> {
        file::remove(&self.lane, path).io_wrap(code, || format!("{} file {path} cannot be deleted", self.format))
    }

    /// Deletes files some time soon; failures are warnings.
    pub fn delete(&self, paths: impl IntoIterator<Item = String>) {
        let format = self.format;
        for path in paths {
            let bytes = path.len();
            let job = move || {
                if let Err(error) = blocking::remove(path.as_ref()) {
                    log::warn!("{format} file {path} cannot be deleted: {error}");
                }
            };
            if let Err(error) = self.lane.post(bytes, job) {
                log::warn!("{format} files are not deleted, the disk is too slow: {error}");
            }
        }
    }

    /// Waits until all that was asked for is done. Yields.
    pub fn settle(&self) {
        // Fails when the disk hangs, and then nothing can be done.
        let _ = self.lane.run(|| ());
    }

    /// The same, then deletes a folder if it is empty by now. Yields.
    pub fn settle_folder(&self, folder: String) {
        // As above; what cannot be deleted was told.
        let _ = self.lane.run(move || blocking::remove_folder(folder.as_ref()));
    }
}
