//! Files below a folder, opened and read off the thread where they are not at hand. No name leads out of the folder, not even
//! through symbolic links.

mod at_hand;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::at_hand::Source;
use super::clock;
use super::coroutine;
use super::offload::{Class, offload};

/// What a name stands for.
#[derive(Debug)]
pub enum Entry {
    /// A file, open for reading.
    File(OpenFile),
    /// A folder.
    Folder,
}

/// An open file; clones share the descriptor, which has no position.
#[derive(Clone, Debug)]
pub struct OpenFile {
    file: Arc<File>,
    /// None where a read may wait for more than a disk.
    source: Option<Source>,
    /// Its size when it was opened, bytes.
    pub size: u64,
    /// The last change before it was opened, since 1970.
    pub modified: Duration,
}

/// Opens what stands at `name` below `folder`. Yields.
///
/// # Errors
/// The system's. `NotFound` for all that has no content to read: what is neither a file nor a folder, a name that leads
/// through a file, is too long or whose links run in a circle; and for a name that leads out of the folder: an absolute
/// one, one with `..`, or one whose symbolic links do.
pub fn open(folder: &Path, name: &Path) -> io::Result<Entry> {
    if !name
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return Err(outside(name));
    }
    if let Some((file, source)) = at_hand::open(folder, name) {
        return entry(file, Some(source));
    }
    let is_unknown = at_hand::is_unknown(folder);
    let (place, name) = (folder.to_owned(), name.to_owned());
    let (opened, root) = offload(Class::Disk, move || {
        let root = is_unknown.then(|| at_hand::look(&place));
        (open_now(&place, &name), root)
    })?;
    if let Some(root) = root {
        at_hand::remember(folder, root);
    }
    opened
}

impl OpenFile {
    /// Fills the front of `buffer` from `offset` on; fewer bytes than it has room for mean the file's end. Yields.
    ///
    /// # Errors
    /// The system's. The buffer is gone then.
    pub fn read_at(&self, offset: u64, mut buffer: Vec<u8>) -> io::Result<(Vec<u8>, usize)> {
        let mut filled = 0;
        if let Some(source) = self.source
            && let Ok(count) = at_hand::read(&self.file, source, &mut buffer, offset)
        {
            filled = count;
            // What is behind the size may be the file's end.
            if filled == buffer.len() || offset.saturating_add(filled as u64) == self.size {
                coroutine::tick();
                return Ok((buffer, filled));
            }
        }
        let file = self.file.clone();
        offload(Class::Disk, move || {
            while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                match file.read_at(rest, offset.saturating_add(filled as u64)) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok((buffer, filled))
        })?
    }
}

fn open_now(folder: &Path, name: &Path) -> io::Result<Entry> {
    let root = folder.canonicalize()?;
    // Not blocking: a pipe without a writer would hold the thread for ever.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(root.join(name))
        .map_err(without_content)?;
    // What was opened is looked at, not its name, which may mean something else by now.
    if !place_of(&file, &root.join(name))?.starts_with(&root) {
        return Err(outside(name));
    }
    entry(file, None)
}

fn entry(file: File, source: Option<Source>) -> io::Result<Entry> {
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Ok(Entry::Folder);
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "neither a file nor a folder"));
    }
    let modified = clock::unix_time_of(metadata.modified()?);
    Ok(Entry::File(OpenFile {
        size: metadata.len(),
        modified,
        source,
        file: Arc::new(file),
    }))
}

fn without_content(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        // The last is what a socket gives.
        Some(libc::ENOTDIR | libc::ENAMETOOLONG | libc::ELOOP | libc::ENXIO) => {
            io::Error::new(io::ErrorKind::NotFound, error)
        }
        _ => error,
    }
}

fn place_of(file: &File, name: &Path) -> io::Result<PathBuf> {
    match std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
        // Another root of the file system may have no /proc.
        Err(error) if error.kind() == io::ErrorKind::NotFound => place_by_name(file, name),
        place => place,
    }
}

/// Where a name leads to by now, if that is still this file.
fn place_by_name(file: &File, name: &Path) -> io::Result<PathBuf> {
    let place = name.canonicalize()?;
    let (found, opened) = (std::fs::symlink_metadata(&place)?, file.metadata()?);
    match (found.dev(), found.ino()) == (opened.dev(), opened.ino()) {
        true => Ok(place),
        false => Err(outside(name)),
    }
}

fn outside(name: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{} leads out of its folder", name.display()),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::core::runtime::run;

    fn is_absent(folder: &Path, name: &str) -> bool {
        open(folder, name.as_ref()).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    #[test]
    fn nothing_outside_the_folder_is_opened() {
        run(|| {
            let base = std::env::temp_dir().join(format!("srs-folder-{}", std::process::id()));
            let _ = fs::remove_dir_all(&base);
            let root = base.join("root");
            fs::create_dir_all(root.join("live")).unwrap();
            fs::create_dir_all(base.join("root-beside")).unwrap();
            fs::write(base.join("secret"), "secret").unwrap();
            fs::write(base.join("root-beside/secret"), "secret").unwrap();
            fs::write(root.join("live/a.txt"), "content").unwrap();
            symlink(base.join("secret"), root.join("out")).unwrap();
            symlink("../root-beside/secret", root.join("beside")).unwrap();
            symlink(&base, root.join("up")).unwrap();
            symlink("live/a.txt", root.join("inside")).unwrap();
            symlink(&root, base.join("alias")).unwrap();
            nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();

            for name in [
                "../secret",
                "live/../../secret",
                "/etc/passwd",
                "out",
                "beside",
                "up/secret",
                "pipe",
                "none",
            ] {
                assert!(is_absent(&root, name), "{name}");
            }
            assert!(is_absent(&base.join("none"), "live/a.txt"));
            assert!(matches!(open(&root, "live".as_ref()), Ok(Entry::Folder)));
            for (folder, name) in [
                (&root, "live/a.txt"),
                (&root, "inside"),
                (&base.join("alias"), "./live/a.txt"),
            ] {
                let Ok(Entry::File(file)) = open(folder, name.as_ref()) else {
                    panic!("{name}")
                };
                assert_eq!(file.size, 7);
                let place = place_by_name(&file.file, &root.join("inside")).unwrap();
                assert_eq!(place, root.canonicalize().unwrap().join("live/a.txt"));
                assert!(place_by_name(&file.file, &root.join("out")).is_err());
                let (buffer, count) = file.read_at(3, vec![0; 10]).unwrap();
                assert_eq!(&buffer[..count], b"tent");
                assert_eq!(
                    file.read_at(u64::MAX - 1, vec![0; 1]).map(|read| read.1).unwrap_or(0),
                    0
                );
            }
            fs::remove_dir_all(&base).unwrap();
        })
        .unwrap();
    }
}
