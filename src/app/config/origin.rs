//! Where a server's configuration comes from, so that a reload finds it again whatever folder the process is in by then.

use std::io;
use std::path::{Path, PathBuf};

use super::host::Host;
use super::load::{LoadOptions, Loaded, read_file};
use super::report::{self, Report};
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

    /// Reads, checks and types the configuration as it is now.
    ///
    /// # Errors
    /// As [`super::Config::load`].
    pub fn load(&self) -> Result<Loaded> {
        self.with_options(super::Config::load)
    }

    /// Tests the configuration as `-t` does.
    pub fn test(&self) -> Report {
        self.with_options(report::test)
    }

    fn with_options<T>(&self, act: impl FnOnce(&LoadOptions<'_>) -> T) -> T {
        act(&LoadOptions {
            path: self.path.clone(),
            env_only: self.env_only,
            env: &|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
            host: Host::detect(),
            read_file: &|path| self.read(path),
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        read_file(&self.folder.join(path))
    }
}
