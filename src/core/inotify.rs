//! Changes of files, as the kernel tells them of the folders that they are in.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::clock::Moment;
use super::reactor::Registration;

/// Some folders that are watched.
pub struct FolderWatch {
    // Leaves the reactor before the descriptor closes: fields drop in this order.
    registration: Registration,
    inner: Inotify,
}

impl FolderWatch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the system has no descriptor or no watcher left (fs.inotify.max_user_instances).
    pub fn new() -> io::Result<Self> {
        let inner = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        Ok(FolderWatch {
            registration: Registration::new(inner.as_fd())?,
            inner,
        })
    }

    /// Watches a folder too: files that were written and closed, created, or moved there.
    ///
    /// # Errors
    /// The system's, such as `NotFound`, or `StorageFull` when too much is watched.
    pub fn add(&self, folder: &Path) -> io::Result<()> {
        let changes = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        self.inner.add_watch(folder, changes | AddWatchFlags::IN_ONLYDIR)?;
        Ok(())
    }

    /// The names of files that have changed, without their folders; none when nothing did until `deadline`. Yields.
    ///
    /// # Errors
    /// `ConnectionAborted` when the coroutine is interrupted.
    pub fn changed(&self, deadline: Moment) -> io::Result<Vec<OsString>> {
        let slot = &self.registration.slot;
        while slot.wait_readable(deadline)? {
            match self.inner.read_events() {
                Ok(events) => return Ok(events.into_iter().filter_map(|event| event.name).collect()),
                Err(Errno::EAGAIN) => slot.readable.set(false),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::core::runtime::run;

    #[test]
    fn what_is_written_or_moved_is_told() {
        let folder = std::env::temp_dir().join(format!("srs-may-inotify-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let watched = folder.clone();
        run(move || {
            let soon = || Moment::after(Duration::from_secs(5));
            let watch = FolderWatch::new().unwrap();
            watch.add(&watched).unwrap();
            assert!(watch.add(&watched.join("none")).is_err());
            assert!(watch.changed(Moment::now()).unwrap().is_empty());
            fs::write(watched.join("a"), b"1").unwrap();
            assert!(watch.changed(soon()).unwrap().contains(&"a".into()));
            fs::rename(watched.join("a"), watched.join("b")).unwrap();
            let mut names = Vec::new();
            while !names.contains(&OsString::from("b")) {
                let more = watch.changed(soon()).unwrap();
                assert!(!more.is_empty());
                names.extend(more);
            }
        })
        .unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
