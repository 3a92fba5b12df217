//! A changed configuration file is a reload (`inotify_auto_reload`).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::config::Origin;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::inotify::FolderWatch;
use crate::kernel::error::{IoWrap, Result};
use crate::kernel::error_code::ErrorCode;

/// After a reload further changes are looked at when so much time has passed, as in SRS.
const SETTLE: Duration = Duration::from_secs(3);
/// How long a file must be left alone: editors write in several steps.
const QUIET: Duration = Duration::from_millis(200);
/// What Kubernetes changes when a config map does.
const CONFIG_MAP: &str = "..data";

/// Calls `reload` whenever the configuration file, or one that it includes, was changed. Yields.
///
/// # Errors
/// [`ErrorCode::SystemAssert`] when nothing can be watched; the server goes on without.
pub fn run(origin: &Origin, reload: impl Fn()) -> Result<()> {
    let watch = FolderWatch::new().io_wrap(ErrorCode::SystemAssert, || "watch the configuration".into())?;
    let mut files = origin.files();
    let mut folders: Vec<PathBuf> = Vec::new();
    loop {
        for folder in files.iter().filter_map(|file| file.parent()) {
            if folders.iter().any(|known| known == folder) {
                continue;
            }
            let what = || format!("watch {}", folder.display());
            watch.add(folder).io_wrap(ErrorCode::SystemAssert, what)?;
            log::info!("changes of the configuration in {} are watched", folder.display());
            folders.push(folder.to_owned());
        }
        let changed = watch.changed(Moment::NEVER);
        let changed = changed.io_wrap(ErrorCode::SystemAssert, || "watch the configuration".into())?;
        let Some(name) = changed.iter().find(|name| concerns(name, &files)) else {
            continue;
        };
        log::info!("{} has changed, reload", Path::new(name).display());
        wait_until_quiet(&watch)?;
        reload();
        coroutine::sleep(SETTLE);
        // Another file may be included now; a configuration with faults may not tell.
        for file in origin.files() {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
}

fn wait_until_quiet(watch: &FolderWatch) -> Result<()> {
    loop {
        let more = watch.changed(Moment::after(QUIET));
        if more
            .io_wrap(ErrorCode::SystemAssert, || "watch the configuration".into())?
            .is_empty()
        {
            return Ok(());
        }
    }
}

fn concerns(name: &OsString, files: &[PathBuf]) -> bool {
    name == CONFIG_MAP || files.iter().any(|file| file.file_name() == Some(OsStr::new(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_configuration_concern_it() {
        let files = [PathBuf::from("/etc/srs/srs.conf"), "/etc/srs/vhosts/a.conf".into()];
        let concerned = |name: &str| concerns(&name.into(), &files);
        assert!(concerned("srs.conf") && concerned("a.conf") && concerned("..data"));
        assert!(!concerned("srs.conf.swp") && !concerned("srs.conf~") && !concerned("etc"));
    }
}
