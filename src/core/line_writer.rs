//! Appends lines to a file or to standard output from a thread of its own, so that a slow disk delays nobody.
//!
//! Before [`LineWriter::go_background`] it writes directly: at start there are no threads yet, and the process may fork.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::limits::LOG_BACKLOG_BYTES;

/// A line sink that may be used from any thread.
#[derive(Clone)]
pub struct LineWriter(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    drained: Condvar,
}

struct State {
    target: Target,
    background: bool,
    pending: Vec<u8>,
    writing: bool,
    reopen: bool,
    dropped: u64,
}

enum Target {
    Stdout,
    File { path: PathBuf, file: Arc<File> },
}

impl LineWriter {
    /// Writes to standard output.
    pub fn stdout() -> Self {
        let state = State {
            target: Target::Stdout,
            background: false,
            pending: Vec::new(),
            writing: false,
            reopen: false,
            dropped: 0,
        };
        LineWriter(Arc::new(Shared { state: Mutex::new(state), filled: Condvar::new(), drained: Condvar::new() }))
    }

    /// Writes to standard output from now on.
    pub fn to_stdout(&self) {
        self.state().target = Target::Stdout;
    }

    /// Appends to this file from now on; it is made with mode 0664 if it does not exist.
    ///
    /// # Errors
    /// The system's; lines then go on to where they went.
    pub fn to_file(&self, path: &Path) -> io::Result<()> {
        let file = Arc::new(open(path)?);
        self.state().target = Target::File { path: path.to_owned(), file };
        Ok(())
    }

    /// Opens the file anew by its path; keeps the old one if that fails.
    pub fn reopen(&self) {
        let mut state = self.state();
        if state.background {
            state.reopen = true;
            self.0.filled.notify_one();
        } else {
            state.open_again();
        }
    }

    /// Writes one or more whole lines, line feeds included. Never waits once in the background: with too much waiting
    /// for the disk, lines are dropped and counted.
    pub fn write(&self, lines: &[u8]) {
        let mut state = self.state();
        if !state.background {
            // There is nowhere to report a log that cannot be written.
            let _ = state.sink().write(lines);
        } else if state.pending.len() + lines.len() > LOG_BACKLOG_BYTES {
            state.dropped += 1;
        } else {
            let idle = state.pending.is_empty();
            state.pending.extend_from_slice(lines);
            drop(state);
            if idle {
                self.0.filled.notify_one();
            }
        }
    }

    /// How many lines were dropped.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// Starts the thread that writes; later calls do nothing.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn go_background(&self) -> io::Result<()> {
        if mem::replace(&mut self.state().background, true) {
            return Ok(());
        }
        let shared = self.0.clone();
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || shared.serve());
        if started.is_err() {
            self.state().background = false;
        }
        started.map(|_| ())
    }

    /// Waits until everything is written, at most for `limit`. Blocks the thread: only for the end of the process.
    pub fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        while state.background && (state.writing || !state.pending.is_empty()) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            state = match self.0.drained.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(_) => return,
            };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held left no half-changed state: every change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        loop {
            let mut state = self.lock();
            state.writing = false;
            if state.pending.is_empty() && !state.reopen {
                self.drained.notify_all();
                drop(self.filled.wait(state));
                continue;
            }
            if mem::take(&mut state.reopen) {
                state.open_again();
            }
            let lines = mem::take(&mut state.pending);
            state.writing = true;
            let sink = state.sink();
            drop(state);
            let _ = sink.write(&lines);
        }
    }
}

impl State {
    fn sink(&self) -> Sink {
        match &self.target {
            Target::Stdout => Sink::Stdout,
            Target::File { file, .. } => Sink::File(file.clone()),
        }
    }

    fn open_again(&mut self) {
        if let Target::File { path, file } = &mut self.target
            && let Ok(opened) = open(path)
        {
            *file = Arc::new(opened);
        }
    }
}

enum Sink {
    Stdout,
    File(Arc<File>),
}

impl Sink {
    fn write(&self, lines: &[u8]) -> io::Result<()> {
        match self {
            Sink::Stdout => io::stdout().write_all(lines).and_then(|()| io::stdout().flush()),
            Sink::File(file) => (&**file).write_all(lines),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o664).open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("srs-line-writer-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder.join("a.log")
    }

    #[test]
    fn lines_go_to_the_file_before_and_after_the_thread_starts() {
        let path = scratch("both");
        let writer = LineWriter::stdout();
        writer.to_file(&path).unwrap();
        writer.write(b"direct\n");
        writer.go_background().unwrap();
        writer.write(b"behind\n");
        writer.flush(Duration::from_secs(5));
        assert_eq!(fs::read_to_string(&path).unwrap(), "direct\nbehind\n");
    }

    #[test]
    fn after_rotation_lines_go_to_a_new_file() {
        let path = scratch("rotate");
        let moved = path.with_extension("old");
        let writer = LineWriter::stdout();
        writer.to_file(&path).unwrap();
        writer.go_background().unwrap();
        writer.write(b"one\n");
        writer.flush(Duration::from_secs(5));
        fs::rename(&path, &moved).unwrap();
        writer.reopen();
        writer.write(b"two\n");
        writer.flush(Duration::from_secs(5));
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn a_disk_that_stalls_costs_lines_and_not_time() {
        let folder = scratch("stall");
        let fifo = folder.with_extension("fifo");
        let _ = fs::remove_file(&fifo);
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // Both ends open and nobody reads: the writer blocks when the pipe is full.
        let _reader = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        let writer = LineWriter::stdout();
        writer.to_file(&fifo).unwrap();
        writer.go_background().unwrap();
        let line = vec![b'x'; 64 << 10];
        for _ in 0..1024 {
            writer.write(&line);
        }
        assert!(writer.dropped() > 0);
    }
}
