//! Where a server's configuration comes from, so that a reload finds it again whatever folder the process is in by then.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::difference::{self, Change};
use super::effective::Effective;
use super::env::Env;
use super::host::Host;
use super::load::{LoadOptions, Loaded, read_file};
use super::report::{self, Report};
use super::syntax::{ReadFile, Tree};
use crate::core::offload::{Class, offload};
use crate::kernel::error::Result;

/// The command line's part of [`LoadOptions`], and the folder that it was given in.
#[derive(Clone, Debug)]
pub struct Origin {
    path: Option<PathBuf>,
    env_only: bool,
    folder: PathBuf,
}

impl Origin {
    /// What the command line says, here and now.
    pub fn new(path: Option<PathBuf>, env_only: bool) -> Self {
        // Without a present folder, relative paths stay as they are.
        Origin {
            path,
            env_only,
            folder: std::env::current_dir().unwrap_or_default(),
        }
    }

    /// The same for a process whose root of the file system is this folder; `None` when the file is not in there.
    pub fn below(&self, root: &Path) -> Option<Self> {
        let inside = |path: &Path| {
            let inside = self.folder.join(path);
            inside.strip_prefix(root).ok().map(|rest| Path::new("/").join(rest))
        };
        let path = match &self.path {
            Some(path) => Some(inside(path)?),
            None => None,
        };
        let folder = inside(Path::new("")).unwrap_or_else(|| "/".into());
        Some(Origin {
            path,
            folder,
            ..self.clone()
        })
    }

    /// Reads, checks and types the configuration as it is now.
    ///
    /// # Errors
    /// As [`super::Config::load`].
    pub fn load(&self) -> Result<Loaded> {
        self.with_options(super::Config::load)
    }

    /// The same while the server runs: files are read off the thread. Yields.
    ///
    /// # Errors
    /// As [`super::Config::load`].
    pub fn load_again(&self) -> Result<Loaded> {
        self.with_reader(&|path| self.read_off_the_thread(path), super::Config::load)
    }

    /// The files that the configuration is read from: the main one, and those that it includes, as far as that can be told.
    /// Yields.
    pub fn files(&self) -> Vec<PathBuf> {
        let files = RefCell::new(Vec::new());
        let read = |path: &Path| {
            files.borrow_mut().push(self.folder.join(path));
            self.read_off_the_thread(path)
        };
        // What is wrong with it is told by a reload.
        let _ = self.with_reader(&read, super::Config::load);
        files.into_inner()
    }

    fn read_off_the_thread(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = self.folder.join(path);
        let read = offload(Class::Disk, move || read_file(&path));
        read.map_err(|unfinished| io::Error::other(unfinished.to_string()))?
    }

    /// What two trees of it say differently, as the process's environment lets them.
    pub fn difference(&self, old: &Tree, new: &Tree) -> Vec<Change> {
        let is_env_only = self.with_options(|options| options.is_env_only());
        difference::difference(old, new, Env::new(&variable, is_env_only))
    }

    /// What a tree of it amounts to in the process's environment, with the vhosts of that range in the order of the file.
    pub fn effective(&self, tree: &Tree, vhosts: Range<usize>) -> Effective {
        self.with_options(|options| {
            let env = Env::new(options.env, options.is_env_only());
            Effective::of(tree, env, &options.host, vhosts)
        })
    }

    /// Tests the configuration as `-t` does.
    pub fn test(&self) -> Report {
        self.with_options(report::test)
    }

    fn with_options<T>(&self, act: impl FnOnce(&LoadOptions<'_>) -> T) -> T {
        self.with_reader(&|path| self.read(path), act)
    }

    fn with_reader<T>(&self, read_file: ReadFile<'_>, act: impl FnOnce(&LoadOptions<'_>) -> T) -> T {
        act(&LoadOptions {
            path: self.path.clone(),
            env_only: self.env_only,
            env: &variable,
            host: Host::detect(),
            read_file,
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        read_file(&self.folder.join(path))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_root_is_cut_off() {
        let origin = |path: &str| Origin {
            path: Some(path.into()),
            env_only: false,
            folder: "/srv/media/run".into(),
        };
        let below = |path: &str, root: &str| {
            origin(path)
                .below(Path::new(root))
                .map(|moved| (moved.path, moved.folder))
        };
        let found = |path: &str, folder: &str| Some((Some(PathBuf::from(path)), PathBuf::from(folder)));
        assert_eq!(
            below("conf/srs.conf", "/srv/media"),
            found("/run/conf/srs.conf", "/run")
        );
        assert_eq!(below("/srv/media/srs.conf", "/srv/media"), found("/srs.conf", "/run"));
        assert_eq!(
            below("/srv/media/run/x/srs.conf", "/srv/media/run/x"),
            found("/srs.conf", "/")
        );
        assert_eq!(below("/etc/srs.conf", "/srv/media"), None);
    }
}
