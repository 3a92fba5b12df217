//! A file that is written piece by piece, off the thread, and gets its name when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::offload::{Class, Lane};

/// Bytes that are collected before they are handed to the disk.
const PIECE_BYTES: usize = 128 << 10;
/// What may wait on the lane, bytes; each step is awaited, so it is never more than one piece and a patch.
const BACKLOG_BYTES: usize = 64 << 20;

/// A file in the making. Dropping it leaves what was written so far under its temporary name.
pub struct Output {
    lane: Lane,
    path: PathBuf,
    file: Option<File>,
    waiting: Vec<u8>,
    written: u64,
    exists: bool,
}

impl Output {
    /// A new, empty file at `path`, which is its temporary name; what stood there is gone. Folders are made. Yields.
    ///
    /// # Errors
    /// The system's.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let (path, lane) = (path.into(), Lane::new(Class::Disk, BACKLOG_BYTES));
        let place = path.clone();
        let file = lane.run(move || {
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            OpenOptions::new().write(true).create(true).truncate(true).open(&place)
        })??;
        Ok(Output {
            lane,
            path,
            file: Some(file),
            waiting: Vec::new(),
            written: 0,
            exists: true,
        })
    }

    /// Bytes so far, those that still wait among them.
    pub fn len(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the next bytes are to be put; [`Output::settle`] should follow.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    /// Appends bytes. Yields when enough wait for the disk.
    ///
    /// # Errors
    /// The system's, of this or an earlier piece.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        self.settle()
    }

    /// Writes what waits if that is enough for a piece. May yield.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn settle(&mut self) -> io::Result<()> {
        match self.waiting.len() >= PIECE_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Writes all that waits. Yields.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.waiting);
        let count = piece.len() as u64;
        self.waiting = self.with_file(move |file| file.write_all(&piece).map(|()| piece))?;
        self.waiting.clear();
        self.written += count;
        Ok(())
    }

    /// Replaces bytes that were written at `offset`. Yields.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn patch(&mut self, offset: u64, bytes: Vec<u8>) -> io::Result<()> {
        self.flush()?;
        self.with_file(move |file| file.write_all_at(&bytes, offset))
    }

    /// Writes what waits and gives the file its name; a reader finds all of it or nothing. Yields.
    ///
    /// # Errors
    /// As [`Output::write`]; the file keeps its temporary name then.
    pub fn finish(mut self, name: impl Into<PathBuf>) -> io::Result<()> {
        self.flush()?;
        self.file = None;
        let (path, name) = (self.path.clone(), name.into());
        self.lane.run(move || rename(&path, &name))?
    }

    /// Takes the file away. Yields.
    ///
    /// # Errors
    /// The system's.
    pub fn discard(mut self) -> io::Result<()> {
        self.file = None;
        if !std::mem::take(&mut self.exists) {
            return Ok(());
        }
        let path = self.path.clone();
        self.lane.run(move || fs::remove_file(path))?
    }

    /// After an error there is no file any more: half a piece may have been written.
    fn with_file<T, F>(&mut self, work: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut File) -> io::Result<T> + Send + 'static,
    {
        let Some(mut file) = self.file.take() else {
            let text = format!("{} could not be written before", self.path.display());
            return Err(io::Error::other(text));
        };
        let (file, value) = self.lane.run(move || {
            let value = work(&mut file);
            (file, value)
        })?;
        let value = value?;
        self.file = Some(file);
        Ok(value)
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match to.parent() {
        Some(folder) if from.parent() != Some(folder) => fs::create_dir_all(folder)?,
        _ => {}
    }
    fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::runtime::run;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("srs-output-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_file_gets_its_name_when_it_is_whole() {
        run(|| {
            let base = folder("name");
            let (temporary, name) = (base.join("live/a.tmp"), base.join("other/a.flv"));
            let mut output = Output::create(&temporary).unwrap();
            let piece = vec![7; PIECE_BYTES - 1];
            output.write(b"FLV").unwrap();
            output.write(&piece).unwrap();
            output.write(b"end").unwrap();
            output.patch(1, b"xy".to_vec()).unwrap();
            assert_eq!(output.len(), PIECE_BYTES as u64 + 5);
            assert!(temporary.exists() && !name.exists());
            output.finish(&name).unwrap();
            let content = fs::read(&name).unwrap();
            assert!(content.starts_with(b"Fxy\x07") && content.ends_with(b"\x07end"));
            assert!(!temporary.exists());
            let output = Output::create(&temporary).unwrap();
            assert!(output.is_empty());
            output.discard().unwrap();
            assert!(!temporary.exists());
            fs::remove_dir_all(&base).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn a_full_disk_is_an_error_that_stays() {
        run(|| {
            let mut output = Output::create("/dev/full").unwrap();
            output.write(b"x").unwrap();
            assert_eq!(output.flush().unwrap_err().raw_os_error(), Some(libc::ENOSPC));
            output.write(b"y").unwrap();
            assert!(output.flush().is_err());
            assert!(Output::create("/dev/null/a").is_err());
        })
        .unwrap();
    }
}
