//! What a process does for itself before the first thread: descriptor limit, folder, daemon, pid file.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::uio::pwrite;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork, ftruncate};

/// The limit of open descriptors before and after it was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimit {
    /// What it was.
    pub before: u64,
    /// What it is now; the hard limit.
    pub after: u64,
}

/// Raises the number of descriptors that the process may open (RLIMIT_NOFILE) to its hard limit.
///
/// # Errors
/// The system's; none is known.
pub fn raise_file_limit() -> io::Result<FileLimit> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    // The width of the type differs between C libraries.
    #[allow(clippy::useless_conversion)]
    Ok(FileLimit {
        before: soft.into(),
        after: hard.into(),
    })
}

/// How many processors this process may use, at least 1.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Makes `path` the process's working folder.
///
/// # Errors
/// The system's, such as `NotFound`.
pub fn change_folder(path: impl AsRef<Path>) -> io::Result<()> {
    std::env::set_current_dir(path)
}

/// The process that started this one; 1 when that has ended (or was init).
pub fn parent_id() -> u32 {
    std::os::unix::process::parent_id()
}

/// Goes on as a daemon: the process forks, the child forks again and exits, the grandchild returns from here. The first
/// process waits for the child and exits with 0. Standard streams, folder and session stay as they are, descriptors stay
/// open; locks by fcntl do not pass on, so take the pid file after this.
///
/// # Errors
/// When a fork is refused, or when the process has threads already, which a fork would lose.
pub fn daemonize() -> io::Result<()> {
    if thread_count()? > 1 {
        return Err(io::Error::other(
            "threads run already; a daemon forks before its first thread",
        ));
    }
    // What is buffered would be written by each process.
    io::stdout().flush()?;
    // SAFETY: the process has one thread, so the child holds no lock of another one.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            while waitpid(child, None) == Err(Errno::EINTR) {}
            exit_now();
        }
        // SAFETY: as above.
        ForkResult::Child => match unsafe { fork() }? {
            ForkResult::Parent { .. } => exit_now(),
            ForkResult::Child => Ok(()),
        },
    }
}

/// Ends a process that another one carries on: nothing of its state may be flushed or cleaned up a second time.
fn exit_now() -> ! {
    // SAFETY: ends the process at once, touching nothing of ours.
    unsafe { libc::_exit(0) }
}

fn thread_count() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// What went wrong with a pid file.
#[derive(Debug)]
pub struct PidFileError {
    /// What was being done.
    pub step: PidFileStep,
    /// The system's answer.
    pub cause: io::Error,
}

/// The steps of taking a pid file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PidFileStep {
    /// Opening or creating it.
    Open,
    /// Locking it, for another reason than that it is locked.
    Lock,
    /// It is locked: the server runs already.
    AlreadyRunning,
    /// Emptying it.
    Truncate,
    /// Writing the number.
    Write,
}

impl PidFileStep {
    fn failed(self, cause: impl Into<io::Error>) -> PidFileError {
        PidFileError {
            step: self,
            cause: cause.into(),
        }
    }
}

impl fmt::Display for PidFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            PidFileStep::Open => "open pid file",
            PidFileStep::Lock => "lock pid file",
            PidFileStep::AlreadyRunning => "pid file is locked by a running server",
            PidFileStep::Truncate => "truncate pid file",
            PidFileStep::Write => "write pid file",
        };
        write!(f, "{step}: {}", self.cause)
    }
}

impl std::error::Error for PidFileError {}

/// The file that holds this process's number, locked as long as this value lives. It is not removed at the end: the
/// service script does that.
///
/// The lock is fcntl's: closing any other descriptor of the same file in this process gives it up, so nothing else here
/// may open the file.
#[derive(Debug)]
pub struct PidFile {
    file: Arc<OwnedFd>,
    path: PathBuf,
}

impl PidFile {
    /// Creates (0644) or opens `path`, locks it, and writes the process's number without a newline.
    ///
    /// # Errors
    /// Tells the step that failed; [`PidFileStep::AlreadyRunning`] when another process holds the lock.
    pub fn acquire(path: impl AsRef<OsStr>) -> Result<Self, PidFileError> {
        // Truncated only under the lock: the number of a running server must stay.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path.as_ref())
            .map_err(|cause| PidFileStep::Open.failed(cause))?;
        Self::take_over(file.into(), path.as_ref())
    }

    /// The same for a file that is open already, such as one that another process has left.
    ///
    /// # Errors
    /// As [`PidFile::acquire`].
    pub fn take_over(file: OwnedFd, path: impl AsRef<OsStr>) -> Result<Self, PidFileError> {
        let path = Path::new(path.as_ref());
        let file = PidFile {
            file: Arc::new(file),
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        };
        file.lock()?;
        Ok(file)
    }

    /// Locks it and writes the process's number, once more after [`PidFile::unlock`].
    ///
    /// # Errors
    /// As [`PidFile::acquire`].
    pub fn lock(&self) -> Result<(), PidFileError> {
        set_lock(&self.file, libc::F_WRLCK).map_err(|errno| match errno {
            Errno::EACCES | Errno::EAGAIN => PidFileStep::AlreadyRunning.failed(errno),
            _ => PidFileStep::Lock.failed(errno),
        })?;
        ftruncate(&self.file, 0).map_err(|errno| PidFileStep::Truncate.failed(errno))?;
        // At the begin: another process may have written with the same descriptor.
        let written = pwrite(&self.file, std::process::id().to_string().as_bytes(), 0);
        written.map(drop).map_err(|errno| PidFileStep::Write.failed(errno))
    }

    /// Lets another process lock it; the number in it stays until that one writes.
    ///
    /// # Errors
    /// The system's; none is known.
    pub fn unlock(&self) -> io::Result<()> {
        Ok(set_lock(&self.file, libc::F_UNLCK)?)
    }

    /// Where it is, from the root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for a process that is to go on with it. The lock ends when the last owner of this is gone.
    pub fn descriptor(&self) -> Arc<OwnedFd> {
        self.file.clone()
    }
}

/// Changes the lock over the whole file, not waiting for it.
fn set_lock(file: &OwnedFd, kind: libc::c_int) -> nix::Result<()> {
    // SAFETY: a plain C struct of integers; zero is valid, and its padding differs between targets.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    fcntl(file.as_fd(), FcntlArg::F_SETLK(&lock)).map(drop)
}

/// The process that has locked a pid file; `None` when nobody has.
///
/// # Errors
/// The system's, such as `NotFound`.
pub fn lock_holder(path: &Path) -> io::Result<Option<i32>> {
    let file = File::open(path)?;
    // SAFETY: a plain C struct of integers; zero is valid, and its padding differs between targets.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    fcntl(file.as_fd(), FcntlArg::F_GETLK(&mut lock))?;
    let is_locked = i32::from(lock.l_type) != libc::F_UNLCK;
    Ok(is_locked.then_some(lock.l_pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_limit_is_raised_once() {
        let first = raise_file_limit().unwrap();
        let second = raise_file_limit().unwrap();
        assert!(first.before <= first.after);
        assert_eq!((second.before, second.after), (first.after, first.after));
    }

    #[test]
    fn a_pid_file_in_a_missing_folder_fails_to_open() {
        let error = PidFile::acquire("/nonexistent/folder/srs.pid").unwrap_err();
        assert_eq!(error.step, PidFileStep::Open);
        assert_eq!(error.cause.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn a_process_with_threads_does_not_fork() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || held.recv());
        assert!(daemonize().is_err());
        drop(release);
        thread.join().unwrap().unwrap_err();
    }
}
