//! A file (or standard output) that lines are appended to without ever waiting for the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use super::clock::Moment;
use super::crash;
use super::limits;
use super::offload::{self, Class};

/// Capacity that an emptied buffer keeps, bytes.
const BUFFER_KEPT_BYTES: usize = 64 << 10;
/// How long lines are gathered for one write. A line alone costs the thread a switch, which is more than writing it.
const GATHERING: Duration = Duration::from_millis(20);
/// So many bytes are not gathered longer.
const PLENTY_BYTES: usize = limits::LOG_BACKLOG_BYTES / 4;
/// How long one write is tried again when the other side of a non-blocking pipe takes nothing.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_STEP: Duration = Duration::from_millis(10);

/// Appends lines; clones are the same file. Any thread may use it.
///
/// It writes directly until [`LogFile::start_background`] (a daemon has no thread before its forks). From then on lines
/// wait in memory, at most [`limits::LOG_BACKLOG_BYTES`], and a thread of [`Class::Log`] writes what has gathered.
#[derive(Clone)]
pub struct LogFile(Arc<Shared>);

struct Shared {
    front: Mutex<Front>,
    /// Notified when all that waited is written.
    drained: Condvar,
    /// Notified when nothing is to be gathered any longer.
    hurried: Condvar,
    /// Locked while writing, after the front, never before it.
    sink: Mutex<Sink>,
    /// The sink's, for whoever cannot wait for the lock.
    descriptor: AtomicI32,
}

#[derive(Default)]
struct Front {
    background: bool,
    /// Whole lines that wait.
    lines: Vec<u8>,
    /// Bytes that the thread is writing.
    written_now: usize,
    /// Whether the thread has work, or is about to start.
    writing: bool,
    /// Whether somebody waits for what is written.
    hurry: bool,
    reopen: bool,
    dropped: u64,
    error: Option<io::Error>,
}

struct Sink {
    /// None is standard output.
    path: Option<PathBuf>,
    file: File,
}

impl LogFile {
    /// Opens the file at `path`, created (0664 less the umask) if missing; its folder is not.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let file = open(&path)?;
        Ok(Self::with_sink(Sink { path: Some(path), file }))
    }

    /// Standard output.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn stdout() -> io::Result<Self> {
        let file = io::stdout().as_fd().try_clone_to_owned()?.into();
        Ok(Self::with_sink(Sink { path: None, file }))
    }

    fn with_sink(sink: Sink) -> Self {
        LogFile(Arc::new(Shared {
            front: Mutex::default(),
            drained: Condvar::new(),
            hurried: Condvar::new(),
            descriptor: AtomicI32::new(sink.file.as_raw_fd()),
            sink: Mutex::new(sink),
        }))
    }

    /// Goes on in the file at `path`; lines that wait go to where they went, if that takes them in time. Blocks the thread.
    ///
    /// # Errors
    /// The system's; lines then go on to where they went.
    pub fn switch_to_file(&self, path: impl Into<PathBuf>) -> io::Result<()> {
        let path = path.into();
        let file = open(&path)?;
        self.flush(PATIENCE);
        self.0.replace(&mut lock(&self.0.sink), Sink { path: Some(path), file });
        Ok(())
    }

    /// Goes on with standard output, as [`LogFile::switch_to_file`] does.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn switch_to_stdout(&self) -> io::Result<()> {
        let file = io::stdout().as_fd().try_clone_to_owned()?.into();
        self.flush(PATIENCE);
        self.0.replace(&mut lock(&self.0.sink), Sink { path: None, file });
        Ok(())
    }

    /// From now on writing does not wait for the disk, and lines are written together with those of the next moment;
    /// threads may be started.
    pub fn start_background(&self) {
        lock(&self.0.front).background = true;
    }

    /// Appends `line`, which brings its own newline. What does not fit the backlog is dropped and counted.
    pub fn write(&self, line: &[u8]) {
        let mut front = lock(&self.0.front);
        if !front.background {
            drop(front);
            return self.0.write_now(line);
        }
        if front.lines.len() + front.written_now + line.len() > limits::LOG_BACKLOG_BYTES {
            front.dropped += 1;
            return;
        }
        front.lines.extend_from_slice(line);
        if front.is_gathered() {
            self.0.hurried.notify_one();
        }
        self.start_writing(&mut front);
    }

    /// Appends `line` at once, after those that wait if they can be had. For the handler of a fatal signal: it waits for
    /// nobody and allocates nothing.
    pub(super) fn write_at_crash(&self, line: &[u8]) {
        let front = match self.0.front.try_lock() {
            Ok(front) => Some(front),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(mut front) = front {
            crash::write_all(self.descriptor(), &front.lines);
            front.lines.clear();
        }
        crash::write_all(self.descriptor(), line);
    }

    /// Where lines go now.
    pub(super) fn descriptor(&self) -> RawFd {
        self.0.descriptor.load(Ordering::Relaxed)
    }

    /// Closes the file and opens its path anew, for rotation; if that fails, the old file stays in use. Lines that still
    /// wait go to the new file.
    pub fn reopen(&self) {
        let mut front = lock(&self.0.front);
        if front.background {
            front.reopen = true;
            self.0.hurried.notify_one();
            self.start_writing(&mut front);
        } else {
            drop(front);
            self.0.reopen_now();
        }
    }

    /// Waits until all is written, at most `limit`; gives whether it is. Blocks the thread: for the end of the process.
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = Moment::after(limit);
        let mut front = lock(&self.0.front);
        front.hurry = true;
        self.0.hurried.notify_one();
        loop {
            if !front.lines.is_empty() {
                // Only if no thread could be started before.
                self.start_writing(&mut front);
            }
            let left = deadline.since(Moment::now());
            if !front.writing || left.is_zero() {
                front.hurry = false;
                return front.lines.is_empty() && !front.writing;
            }
            let waited = self.0.drained.wait_timeout(front, left);
            front = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many lines were lost, because the disk was too slow or full.
    pub fn dropped(&self) -> u64 {
        lock(&self.0.front).dropped
    }

    /// The latest failure to write or open, told once.
    pub fn take_error(&self) -> Option<io::Error> {
        lock(&self.0.front).error.take()
    }

    fn start_writing(&self, front: &mut Front) {
        if !front.writing {
            let shared = self.0.clone();
            // Without a thread the lines wait for the next try.
            front.writing = offload::post(Class::Log, move || shared.write_all()).is_ok();
        }
    }
}

impl Front {
    /// Whether what waits is to be written without waiting for more.
    fn is_gathered(&self) -> bool {
        self.hurry || self.reopen || self.lines.len() >= PLENTY_BYTES
    }
}

impl Shared {
    /// The thread's part: writes until nothing waits.
    fn write_all(&self) {
        let mut chunk = Vec::new();
        loop {
            chunk.clear();
            chunk.shrink_to(BUFFER_KEPT_BYTES);
            let reopen = {
                let mut front = lock(&self.front);
                let end = Moment::after(GATHERING);
                while !front.lines.is_empty() && !front.is_gathered() {
                    let left = end.since(Moment::now());
                    if left.is_zero() {
                        break;
                    }
                    let waited = self.hurried.wait_timeout(front, left);
                    front = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                front.written_now = 0;
                if front.lines.is_empty() && !front.reopen {
                    front.writing = false;
                    if front.lines.capacity() < chunk.capacity() {
                        front.lines = chunk;
                    }
                    self.drained.notify_all();
                    return;
                }
                std::mem::swap(&mut chunk, &mut front.lines);
                front.written_now = chunk.len();
                std::mem::take(&mut front.reopen)
            };
            if reopen {
                self.reopen_now();
            }
            self.write_now(&chunk);
        }
    }

    fn write_now(&self, lines: &[u8]) {
        let written = write_patiently(&lock(&self.sink).file, lines);
        if let Err((error, rest)) = written {
            let lost = rest.iter().filter(|byte| **byte == b'\n').count();
            let mut front = lock(&self.front);
            front.dropped += lost as u64;
            front.error = Some(error);
        }
    }

    fn replace(&self, sink: &mut Sink, new: Sink) {
        self.descriptor.store(new.file.as_raw_fd(), Ordering::Relaxed);
        *sink = new;
    }

    fn reopen_now(&self) {
        let mut sink = lock(&self.sink);
        let Some(path) = &sink.path else { return };
        match open(path) {
            Ok(file) => {
                let path = sink.path.clone();
                self.replace(&mut sink, Sink { path, file });
            }
            Err(error) => {
                drop(sink);
                lock(&self.front).error = Some(error);
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o664).open(path)
}

/// Writes all; on failure gives what is left.
fn write_patiently<'a>(mut file: &File, lines: &'a [u8]) -> Result<(), (io::Error, &'a [u8])> {
    let mut rest = lines;
    let mut patience = PATIENCE;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err((io::ErrorKind::WriteZero.into(), rest)),
            Ok(count) => {
                rest = &rest[count..];
                patience = PATIENCE;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !patience.is_zero() => {
                std::thread::sleep(PATIENCE_STEP);
                patience = patience.saturating_sub(PATIENCE_STEP);
            }
            Err(error) => return Err((error, rest)),
        }
    }
    Ok(())
}

/// A panic leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn temporary(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("srs-log-{name}-{}.log", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn lines_arrive_in_order_before_and_after_the_background_starts() {
        let path = temporary("order");
        let log = LogFile::open(&path).unwrap();
        log.write(b"line 0\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"line 0\n");
        log.start_background();
        for index in 1..5000 {
            log.write(format!("line {index}\n").as_bytes());
        }
        assert!(log.flush(LONG));
        let text = std::fs::read_to_string(&path).unwrap();
        let expected: String = (0..5000).map(|index| format!("line {index}\n")).collect();
        assert!(text == expected);
        assert_eq!(log.dropped(), 0);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn reopening_follows_a_rename_and_keeps_the_old_file_on_failure() {
        for background in [false, true] {
            let folder = temporary(&format!("rotate-{background}"));
            std::fs::create_dir(&folder).unwrap();
            let (path, moved) = (folder.join("a.log"), folder.join("a.log.1"));
            let log = LogFile::open(&path).unwrap();
            if background {
                log.start_background();
            }
            log.write(b"old\n");
            assert!(log.flush(LONG));
            std::fs::rename(&path, &moved).unwrap();
            log.reopen();
            log.write(b"new\n");
            assert!(log.flush(LONG));
            assert_eq!(std::fs::read(&moved).unwrap(), b"old\n");
            assert_eq!(std::fs::read(&path).unwrap(), b"new\n");
            std::fs::remove_dir_all(&folder).unwrap();
            log.reopen();
            log.write(b"goes on\n");
            assert!(log.flush(LONG));
            assert_eq!(log.take_error().unwrap().kind(), io::ErrorKind::NotFound);
            assert_eq!((log.dropped(), log.take_error().is_none()), (0, true));
        }
    }

    #[test]
    fn lines_go_to_the_file_of_their_time() {
        let (old, new) = (temporary("switch-old"), temporary("switch-new"));
        let log = LogFile::open(&old).unwrap();
        log.start_background();
        for (path, number) in [(&new, 1), (&old, 2), (&new, 3)] {
            log.write(format!("before {number}\n").as_bytes());
            log.switch_to_file(path).unwrap();
        }
        log.write(b"end\n");
        assert!(log.flush(LONG));
        assert_eq!(std::fs::read(&old).unwrap(), b"before 1\nbefore 3\n");
        assert_eq!(std::fs::read(&new).unwrap(), b"before 2\nend\n");
        std::fs::remove_file(&old).unwrap();
        std::fs::remove_file(&new).unwrap();
    }

    #[test]
    fn lines_of_one_moment_are_one_write() {
        let (read, write) = nix::unistd::pipe().unwrap();
        let log = LogFile::with_sink(Sink {
            path: None,
            file: write.into(),
        });
        log.start_background();
        let mut read = File::from(read);
        // This thread may be held up between its lines.
        let are_together = (0..100).any(|_| {
            for line in [b"a\n", b"b\n", b"c\n"] {
                log.write(line);
            }
            let mut piece = [0; 16];
            let mut left = 6 - read.read(&mut piece).unwrap();
            let was_one = left == 0;
            while left > 0 {
                left -= read.read(&mut piece[..left]).unwrap();
            }
            was_one
        });
        assert!(are_together);
    }

    #[test]
    fn a_full_disk_is_counted() {
        let log = LogFile::open("/dev/full").unwrap();
        log.start_background();
        log.write(b"one\ntwo\n");
        assert!(log.flush(LONG));
        assert_eq!(log.dropped(), 2);
        assert_eq!(log.take_error().unwrap().raw_os_error(), Some(libc::ENOSPC));
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_never_the_writer() {
        let (read, write) = nix::unistd::pipe().unwrap();
        let log = LogFile::with_sink(Sink {
            path: None,
            file: write.into(),
        });
        log.start_background();
        let line = [b'x'; 1023];
        let lines = limits::LOG_BACKLOG_BYTES / 1024 + 100;
        let started = Moment::now();
        for _ in 0..lines {
            log.write(&[&line[..], b"\n"].concat());
        }
        assert!(Moment::now().since(started) < Duration::from_secs(5));
        let dropped = log.dropped();
        assert!(dropped > 0);
        assert!(!log.flush(Duration::from_millis(10)));
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            File::from(read).read_to_end(&mut all).unwrap();
            all.len()
        });
        assert!(log.flush(LONG));
        drop(log);
        assert_eq!(reader.join().unwrap(), (lines - dropped as usize) * 1024);
    }
}
