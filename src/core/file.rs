//! Whole files, off the thread: read, replace, remove, folders. The order of calls on one [`Lane`] is kept.
//!
//! The functions of [`blocking`] do the work itself, for jobs that combine several steps.

use std::io;
use std::path::PathBuf;

use super::offload::Lane;

/// Reads the file at `path`. Yields.
///
/// # Errors
/// The system's; `FileTooLarge` when it holds more than `limit_bytes`.
pub fn read(lane: &Lane, path: impl Into<PathBuf>, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let path = path.into();
    lane.run(move || blocking::read(&path, limit_bytes))?
}

/// Writes the file at `path` so that a reader finds the old content or all of the new; `temporary` is its name until then,
/// in the same file system. Folders are made. Yields.
///
/// # Errors
/// The system's; the old file stays then.
pub fn replace(
    lane: &Lane,
    temporary: impl Into<PathBuf>,
    path: impl Into<PathBuf>,
    content: impl AsRef<[u8]> + Send + 'static,
) -> io::Result<()> {
    let (temporary, path) = (temporary.into(), path.into());
    lane.run(move || blocking::replace(&temporary, &path, content.as_ref()))?
}

/// Removes the file at `path`; one that is missing is no error. Yields.
///
/// # Errors
/// The system's.
pub fn remove(lane: &Lane, path: impl Into<PathBuf>) -> io::Result<()> {
    let path = path.into();
    lane.run(move || blocking::remove(&path))?
}

/// The same for jobs that are off the thread already.
pub mod blocking {
    use std::fs::{self, File};
    use std::io::{self, Read};
    use std::path::Path;

    /// Reads a file of at most `limit_bytes`.
    ///
    /// # Errors
    /// As [`super::read`].
    pub fn read(path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        // One more than allowed tells a larger file apart, whatever its metadata say.
        let mut limited = File::open(path)?.take(limit_bytes.saturating_add(1));
        limited.read_to_end(&mut content)?;
        if content.len() as u64 > limit_bytes {
            let text = format!("{} holds more than {limit_bytes} bytes", path.display());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(content)
    }

    /// As [`super::replace`]. It is not forced to the disk: after a power failure either content may be there.
    ///
    /// # Errors
    /// The system's; the old file stays then.
    pub fn replace(temporary: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
        for name in [temporary, path] {
            if let Some(folder) = name.parent() {
                fs::create_dir_all(folder)?;
            }
        }
        let written = fs::write(temporary, content).and_then(|()| fs::rename(temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(temporary);
        }
        written
    }

    /// Removes a folder if it is there and empty.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_folder(path: &Path) -> io::Result<()> {
        match fs::remove_dir(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Ok(()),
            result => result,
        }
    }

    /// Removes a file if it is there.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::offload::Class;
    use crate::core::runtime::run;

    #[test]
    fn files_are_replaced_read_and_removed() {
        run(|| {
            let lane = Lane::new(Class::Disk, 1 << 20);
            let folder = std::env::temp_dir().join(format!("srs-file-{}", std::process::id()));
            let path = folder.join("live/stream.m3u8");
            for content in ["first", "the second"] {
                replace(&lane, folder.join("live/a.tmp"), &path, content).unwrap();
                assert_eq!(read(&lane, &path, 10).unwrap(), content.as_bytes());
            }
            let error = read(&lane, &path, 9).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
            assert_eq!(std::fs::read_dir(folder.join("live")).unwrap().count(), 1);
            remove(&lane, &path).unwrap();
            remove(&lane, &path).unwrap();
            assert_eq!(read(&lane, &path, 9).unwrap_err().kind(), io::ErrorKind::NotFound);
            std::fs::create_dir(&path).unwrap();
            replace(&lane, folder.join("live/a.tmp"), &path, "a folder is there").unwrap_err();
            assert_eq!(std::fs::read_dir(folder.join("live")).unwrap().count(), 1);
            std::fs::remove_dir_all(&folder).unwrap();
        })
        .unwrap();
    }
}
