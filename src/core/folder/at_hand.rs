//! Files that the kernel has at hand: opened and read on the thread, as nobody has to wait for that.
//!
//! Another thread costs a request more than all else that a small file does. So the kernel is asked for what its caches
//! hold, and to refuse the rest (RESOLVE_CACHED of openat2, RWF_NOWAIT of preadv2), which the other thread does then. Only
//! file systems count that never ask a network for what is cached: a folder's own is looked at off the thread, and no name
//! leads to another one from there (RESOLVE_NO_XDEV).

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::statfs::{self, FsType, fstatfs};

use crate::core::coroutine;
use crate::core::offload::{Class, offload};

/// How long a folder is believed to be the one of its name. One that nobody asks for in that time is let go of: whoever
/// unmounts its file system is not to find it in use.
const BELIEVED: Duration = Duration::from_secs(1);
/// So many folders are known at most.
const FOLDERS: usize = 64;
/// Those whose caches answer by themselves. Of an overlay the lower ones may be others; it has no reads that refuse.
const LOCAL: [FsType; 5] = [
    statfs::EXT4_SUPER_MAGIC,
    XFS,
    statfs::BTRFS_SUPER_MAGIC,
    statfs::F2FS_SUPER_MAGIC,
    statfs::TMPFS_MAGIC,
];

/// Not among the names that nix has with musl.
const XFS: FsType = FsType(0x5846_5342);

thread_local! {
    static KNOWN: RefCell<HashMap<PathBuf, Known>> = RefCell::default();
}

/// A folder that was looked at a moment ago.
struct Known {
    /// None where other threads have to open files.
    root: Option<Root>,
    is_asked_for: bool,
}

/// A folder whose files may be at hand.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    source: Source,
}

/// How a file is read without waiting for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// It may be, as far as the kernel has it in its cache.
    Cache,
    /// It always is: it has no disk.
    Memory,
}

/// Opens a file, if it is at hand; `name` has no `..` and is not absolute.
pub(super) fn open(folder: &Path, name: &Path) -> Option<(File, Source)> {
    // What openat2 says of it is the same as that it has no such flag.
    if name.as_os_str().as_bytes().contains(&0) {
        return None;
    }
    KNOWN.with_borrow_mut(|known| {
        let known = known.get_mut(folder)?;
        known.is_asked_for = true;
        let root = known.root.as_ref()?;
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .resolve(
                ResolveFlag::RESOLVE_BENEATH
                    | ResolveFlag::RESOLVE_NO_XDEV
                    | ResolveFlag::RESOLVE_NO_MAGICLINKS
                    | ResolveFlag::from_bits_retain(libc::RESOLVE_CACHED),
            );
        match openat2(&root.folder, name, how) {
            Ok(file) => Some((File::from(file), root.source)),
            // Kernels before 5.6 and 5.12, and containers that allow no new calls.
            Err(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => {
                known.root = None;
                None
            }
            // Not cached, or not there, or not below the folder: the other thread tells.
            Err(_) => None,
        }
    })
}

/// Whether a folder is to be looked at, by [`look`].
pub(super) fn is_unknown(folder: &Path) -> bool {
    KNOWN.with_borrow(|known| known.len() < FOLDERS && !known.contains_key(folder))
}

/// Looks whether files of a folder may be at hand. It waits for the disk.
pub(super) fn look(folder: &Path) -> Option<Root> {
    let folder = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(folder)
        .ok()?;
    let kind = fstatfs(&folder).ok()?.filesystem_type();
    let source = match kind {
        statfs::TMPFS_MAGIC => Source::Memory,
        _ => Source::Cache,
    };
    LOCAL.contains(&kind).then(|| Root {
        folder: folder.into(),
        source,
    })
}

/// Remembers what [`look`] found, and looks again now and then as long as somebody asks for it.
pub(super) fn remember(folder: &Path, root: Option<Root>) {
    // Of those who looked at once, the first has somebody watch it.
    if !is_unknown(folder) {
        return;
    }
    let name = folder.to_owned();
    let watching = coroutine::spawn_with("folder at hand", coroutine::STACK_BYTES, move || {
        loop {
            coroutine::sleep(BELIEVED);
            let is_asked_for = KNOWN.with_borrow(|known| known.get(&name).is_some_and(|known| known.is_asked_for));
            let place = name.clone();
            let looked = match is_asked_for && !coroutine::is_interrupted() {
                true => offload(Class::Disk, move || look(&place)).ok(),
                false => None,
            };
            let Some(root) = looked else { break };
            keep(&name, root);
        }
        KNOWN.with_borrow_mut(|known| known.remove(&name));
    });
    // Without memory for that nothing is remembered.
    if watching.is_ok() {
        keep(folder, root);
    }
}

fn keep(folder: &Path, root: Option<Root>) {
    let known = Known {
        root,
        is_asked_for: false,
    };
    KNOWN.with_borrow_mut(|all| all.insert(folder.to_owned(), known));
}

/// Reads what is at hand of a file from `offset` on: how many bytes, fewer than asked for where the rest is not at hand or
/// the file ends.
///
/// # Errors
/// `WouldBlock` when nothing is at hand, and others; a read that waits tells what is wrong.
pub(super) fn read(file: &File, source: Source, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    if source == Source::Memory {
        return file.read_at(buffer, offset);
    }
    let part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // The kernel puts both halves together where a word has 32 bits, and takes the first alone where it has 64.
    let (low, high) = (offset as libc::c_ulong, (offset >> 32) as libc::c_ulong);
    // SAFETY: the part is the buffer, which is ours to fill, and outlives the call.
    let count = unsafe {
        libc::syscall(
            libc::SYS_preadv2,
            file.as_raw_fd(),
            &raw const part,
            1 as libc::c_ulong,
            low,
            high,
            libc::RWF_NOWAIT,
        )
    };
    Ok(Errno::result(count)? as usize)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

    use super::super::{Entry, OpenFile};
    use super::*;
    use crate::core::runtime::run;

    fn file(folder: &Path, name: &str) -> OpenFile {
        match super::super::open(folder, name.as_ref()).unwrap() {
            Entry::File(file) => file,
            Entry::Folder => panic!("{name} is a folder"),
        }
    }

    /// The file as one that is at hand, if it ever is: a machine that stands still for a second forgets its folder.
    fn file_at_hand(folder: &Path, name: &str) -> OpenFile {
        let at_hand = (0..20).map(|_| file(folder, name)).find(|file| file.source.is_some());
        at_hand.unwrap_or_else(|| panic!("{name} is not at hand"))
    }

    fn content(file: &OpenFile) -> Vec<u8> {
        let (bytes, count) = file.read_at(0, vec![0; file.size as usize + 1]).unwrap();
        bytes[..count].to_vec()
    }

    fn new_folder(parent: &Path, name: &str) -> PathBuf {
        let folder = parent.join(format!("srs-at-hand-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("live")).unwrap();
        folder
    }

    #[test]
    fn files_in_memory_are_at_hand_from_the_second_on() {
        run(|| {
            let folder = new_folder("/dev/shm".as_ref(), "memory");
            fs::write(folder.join("live/a"), "content").unwrap();
            let first = file(&folder, "live/a");
            assert_eq!((first.source, content(&first)), (None, b"content".to_vec()));
            let second = file_at_hand(&folder, "live/a");
            assert_eq!(
                (second.source, content(&second)),
                (Some(Source::Memory), b"content".to_vec())
            );
            assert_eq!(second.modified, first.modified);
            // Names that are not there, or lead out, are as before.
            fs::write(folder.join("live/b"), "b").unwrap();
            std::os::unix::fs::symlink("/etc/passwd", folder.join("out")).unwrap();
            assert_eq!(content(&file(&folder, "live/b")), b"b");
            for name in ["none", "out", "live/../../x", "/etc/passwd", "live\0/a", "live/a/b"] {
                let error = super::super::open(&folder, name.as_ref()).unwrap_err();
                assert!(
                    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput),
                    "{name}: {error}"
                );
            }
            assert_eq!(file_at_hand(&folder, "live/a").source, Some(Source::Memory));
            fs::remove_dir_all(&folder).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn another_folder_of_the_same_name_is_seen() {
        run(|| {
            let folder = new_folder("/dev/shm".as_ref(), "moved");
            fs::write(folder.join("a"), "old").unwrap();
            let _ = file(&folder, "a");
            assert_eq!(content(&file(&folder, "a")), b"old");
            let moved = folder.with_extension("moved");
            fs::rename(&folder, &moved).unwrap();
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("a"), "new").unwrap();
            // The look may take a while.
            let is_new = (0..50).any(|_| {
                coroutine::sleep(BELIEVED / 5);
                content(&file(&folder, "a")) == b"new"
            });
            assert!(is_new);
            fs::remove_dir_all(&folder).unwrap();
            fs::remove_dir_all(&moved).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn what_nobody_asks_for_is_let_go_of() {
        run(|| {
            let folder = new_folder("/dev/shm".as_ref(), "left");
            fs::write(folder.join("a"), "a").unwrap();
            let is_known = || KNOWN.with_borrow(|known| known.contains_key(&folder));
            for _ in 0..8 {
                let _ = file(&folder, "a");
                assert!(is_known());
                coroutine::sleep(BELIEVED / 5);
            }
            let is_left = (0..50).any(|_| {
                coroutine::sleep(BELIEVED / 5);
                !is_known()
            });
            assert!(is_left);
            fs::remove_dir_all(&folder).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn many_who_ask_at_once_have_one_watch_it() {
        run(|| {
            let folder = new_folder("/dev/shm".as_ref(), "many");
            fs::write(folder.join("a"), "a").unwrap();
            let watching = || {
                let all = coroutine::list();
                all.iter().filter(|each| each.name == "folder at hand").count()
            };
            let before = watching();
            let many: Vec<_> = (0..20)
                .map(|_| {
                    let folder = folder.clone();
                    coroutine::spawn("asks", move || content(&file(&folder, "a")))
                })
                .collect();
            for each in many {
                assert_eq!(each.join().unwrap(), b"a");
            }
            // Other tests of the process have folders of their own.
            assert!(watching() < before + 10);
            fs::remove_dir_all(&folder).unwrap();
        })
        .unwrap();
    }

    /// On whatever file system the folder for temporary files is.
    #[test]
    fn what_the_cache_lacks_comes_from_the_disk() {
        run(|| {
            let folder = new_folder(&std::env::temp_dir(), "disk");
            let expected: Vec<u8> = (0..1_000_003u32).map(|index| (index / 7) as u8).collect();
            fs::write(folder.join("a"), &expected).unwrap();
            let written = File::open(folder.join("a")).unwrap();
            written.sync_all().unwrap();
            let _ = file(&folder, "a");
            for (start, length) in [(0, 0), (300_000, 200_000), (999_000, 0)] {
                posix_fadvise(&written, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
                // Some of it comes back.
                let mut some = vec![0; length];
                written.read_exact_at(&mut some, start).unwrap();
                assert_eq!(content(&file(&folder, "a")), expected, "{start}");
            }
            fs::remove_dir_all(&folder).unwrap();
        })
        .unwrap();
    }
}
