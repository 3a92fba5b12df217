//! A file that is written piece by piece, off the thread, and gets its name when it is whole.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::clock;
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
        let path = path.into();
        let place = path.clone();
        let open = move || {
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&place)?;
            Ok((file, 0, ()))
        };
        Ok(Self::open_with(path, open)?.0)
    }

    /// A new file that is to be called `name`, written as `name.tmp` until then; [`Output::finish`] it with `name`. What a
    /// process that was killed has left there is kept, under a name with the time of its last change. Folders are made.
    /// Yields.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if there is a file of that name; the system's.
    pub fn create_for(name: impl Into<PathBuf>) -> io::Result<Self> {
        let name = name.into();
        let path = beside(&name, "tmp");
        let place = path.clone();
        let open = move || {
            if name.try_exists()? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if let Some(folder) = name.parent() {
                fs::create_dir_all(folder)?;
            }
            keep_left_over(&name, &place)?;
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&place)?;
            Ok((file, 0, ()))
        };
        Ok(Self::open_with(path, open)?.0)
    }

    /// A file that grows at its end, made if there is none. `look` reads it and tells how many of its bytes are good: what
    /// stands behind them is cut off. Folders are made. Yields.
    ///
    /// # Errors
    /// The system's, and those of `look`.
    pub fn append<T, F>(path: impl Into<PathBuf>, look: F) -> io::Result<(Self, T)>
    where
        T: Send + 'static,
        F: FnOnce(&mut File) -> io::Result<(u64, T)> + Send + 'static,
    {
        let path = path.into();
        let place = path.clone();
        Self::open_with(path, move || {
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            let options = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .clone();
            let mut file = options.open(&place)?;
            let (good, found) = look(&mut file)?;
            file.set_len(good)?;
            // Not opened for appending: that would put patches at the end too.
            file.seek(SeekFrom::Start(good))?;
            Ok((file, good, found))
        })
    }

    fn open_with<T, F>(path: PathBuf, open: F) -> io::Result<(Self, T)>
    where
        T: Send + 'static,
        F: FnOnce() -> io::Result<(File, u64, T)> + Send + 'static,
    {
        let lane = Lane::new(Class::Disk, BACKLOG_BYTES);
        let (file, written, found) = lane.run(open)??;
        let output = Output {
            lane,
            path,
            file: Some(file),
            waiting: Vec::new(),
            written,
            exists: true,
        };
        Ok((output, found))
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

/// `path` with an extension behind the one that it has.
fn beside(path: &Path, extension: impl AsRef<OsStr>) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn keep_left_over(name: &Path, temporary: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(temporary) else {
        return Ok(());
    };
    // A pipe or a device that somebody put there is meant to be written.
    if !found.is_file() || found.len() == 0 {
        return Ok(());
    }
    let changed = clock::unix_time_of(found.modified()?);
    let kept = beside(name, format!("{}.tmp", changed.as_millis()));
    fs::rename(temporary, kept)
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
    fn what_a_killed_process_left_is_kept() {
        run(|| {
            let base = folder("left");
            let name = base.join("a/b.flv");
            let output = Output::create_for(&name).unwrap();
            drop(output);
            let temporary = base.join("a/b.flv.tmp");
            fs::write(&temporary, b"left").unwrap();
            let mut output = Output::create_for(&name).unwrap();
            output.write(b"new").unwrap();
            output.finish(&name).unwrap();
            let mut contents: Vec<_> = fs::read_dir(base.join("a"))
                .unwrap()
                .map(|entry| fs::read(entry.unwrap().path()).unwrap())
                .collect();
            contents.sort();
            assert_eq!(contents, [b"left".to_vec(), b"new".to_vec()]);
            let again = Output::create_for(&name).err().unwrap();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
            fs::remove_dir_all(&base).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn a_file_grows_where_it_is_good() {
        run(|| {
            let base = folder("grows");
            let name = base.join("c.flv");
            for expected in ["x", "x.", "x.."] {
                let (mut output, found) = Output::append(&name, |file| {
                    let mut text = String::new();
                    io::Read::read_to_string(file, &mut text)?;
                    let good = text.trim_end_matches('?').len() as u64;
                    Ok((good, good))
                })
                .unwrap();
                assert_eq!((output.len(), output.is_empty()), (found, found == 0));
                output.write(if found == 0 { b"o??" } else { b".??" }).unwrap();
                output.patch(0, b"x".to_vec()).unwrap();
                output.finish(&name).unwrap();
                assert_eq!(fs::read_to_string(&name).unwrap(), format!("{expected}??"));
            }
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
