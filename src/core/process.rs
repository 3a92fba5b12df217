//! Child processes: started off the thread, waited for in the reactor, never left as zombies nor as orphans.

mod launch;

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
pub use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::clock::Moment;
use super::coroutine;
use super::offload::{self, Class, offload};
use super::reactor::Registration;
pub use super::signal::Signal;

/// How long a dropped child may take to end after SIGTERM, before SIGKILL.
pub const DROP_GRACE: Duration = Duration::from_millis(100);
/// Where the kernel has no pidfd (before 5.3), how often a child is looked at: first, and at the most.
const LOOK_FIRST: Duration = Duration::from_millis(2);
const LOOK_MAX: Duration = Duration::from_millis(100);
/// Stack of the coroutine that reaps a dropped child, bytes.
const REAPER_STACK_BYTES: usize = 32 << 10;

/// What to start, and how. Standard input is /dev/null; standard output and error go to files, or nowhere. It runs in our
/// working folder.
#[derive(Clone, Debug)]
pub struct Command {
    program: OsString,
    arguments: Vec<OsString>,
    output: Option<PathBuf>,
    errors: Option<PathBuf>,
    own_streams: bool,
    folder: Option<PathBuf>,
    variables: Vec<(OsString, OsString)>,
    kept: Vec<Arc<OwnedFd>>,
    end_with_us: Option<Signal>,
}

impl Command {
    /// Runs `program`, looked for in PATH when it holds no slash. No shell is involved.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Command {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            output: None,
            errors: None,
            own_streams: false,
            folder: None,
            variables: Vec::new(),
            kept: Vec::new(),
            end_with_us: Some(Signal::SIGKILL),
        }
    }

    /// Has it print where this process prints.
    #[must_use]
    pub fn own_streams(mut self) -> Self {
        self.own_streams = true;
        self
    }

    /// Runs it in another folder.
    #[must_use]
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folder = Some(path.into());
        self
    }

    /// Adds a variable to those of our environment.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Leaves it descriptors of ours, under their numbers.
    #[must_use]
    pub fn keep(mut self, descriptors: impl IntoIterator<Item = Arc<OwnedFd>>) -> Self {
        self.kept.extend(descriptors);
        self
    }

    /// The signal that it gets when this process ends in any way, SIGKILL if nothing is said; `None` lets it live on.
    #[must_use]
    pub fn end_with_us(mut self, signal: Option<Signal>) -> Self {
        self.end_with_us = signal;
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Appends what it prints to the file at `path`, which is created if missing, with its folders.
    #[must_use]
    pub fn output(mut self, path: impl Into<PathBuf>) -> Self {
        self.output = Some(path.into());
        self
    }

    /// The same with what it prints as errors.
    #[must_use]
    pub fn errors(mut self, path: impl Into<PathBuf>) -> Self {
        self.errors = Some(path.into());
        self
    }

    /// Starts it, in this process's group, with no signal blocked or ignored (SIGPIPE included) and no descriptor of
    /// ours but the three standard ones and those that it is to keep. It ends with this process. Yields.
    ///
    /// # Errors
    /// The system's: `NotFound` or `PermissionDenied` for the program; with the path in its text for the output
    /// file; see also [`offload::Unfinished`].
    pub fn spawn(self) -> io::Result<Child> {
        self.spawn_watched(Watch::by_descriptor)
    }

    fn spawn_watched(self, watch: fn(Pid) -> io::Result<Watch>) -> io::Result<Child> {
        let process = offload(Class::Process, move || self.start())??.grow_up();
        // The child is not reaped, so the number is its own. No descriptor, no kernel support: look now and then.
        let watch = watch(process).unwrap_or(Watch::ByLooking);
        Ok(Child(Some(Live {
            process,
            watch,
            status: Cell::new(None),
        })))
    }

    /// On the pool's thread.
    fn start(self) -> io::Result<Newborn> {
        let input = File::open("/dev/null")?;
        let [output, errors] = match self.own_streams {
            true => [duplicate(io::stdout().as_fd())?, duplicate(io::stderr().as_fd())?],
            false => [
                open_output(self.output.as_deref())?,
                open_output(self.errors.as_deref())?,
            ],
        };
        let launch = launch::Launch {
            folder: self.folder,
            variables: self.variables,
            kept: self.kept.iter().map(|kept| kept.as_raw_fd()).collect(),
            end_with_us: self.end_with_us,
            streams: [&input, &output, &errors],
        };
        Ok(Newborn(Some(launch.start(self.program, self.arguments)?)))
    }
}

fn duplicate(stream: BorrowedFd<'_>) -> io::Result<File> {
    Ok(File::from(stream.try_clone_to_owned()?))
}

fn open_output(path: Option<&Path>) -> io::Result<File> {
    let Some(path) = path else {
        return OpenOptions::new().write(true).open("/dev/null");
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| named("create folder", folder, &error))?;
    }
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|error| named("open", path, &error))
}

fn named(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

/// A started child that nobody has taken yet: when the starter was interrupted, it ends on the pool's thread.
struct Newborn(Option<Pid>);

impl Newborn {
    fn grow_up(mut self) -> Pid {
        // Only `drop` could have emptied it.
        self.0.take().expect("a newborn child is taken once")
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        if let Some(process) = self.0 {
            kill_and_reap(process);
        }
    }
}

/// Blocks until the process is gone, which SIGKILL makes short.
fn kill_and_reap(process: Pid) {
    // Neither fails for a child that is not reaped.
    let _ = kill(process, Signal::SIGKILL);
    while waitpid(process, None) == Err(Errno::EINTR) {}
}

/// A running or ended child process.
///
/// When dropped while it runs, it gets SIGTERM and after [`DROP_GRACE`] SIGKILL, and is reaped, all in the background.
/// Children that live when this process ends get SIGKILL; [`Child::terminate`] them first.
#[derive(Debug)]
pub struct Child(Option<Live>);

#[derive(Debug)]
struct Live {
    process: Pid,
    watch: Watch,
    status: Cell<Option<ExitStatus>>,
}

impl Child {
    /// Its process number.
    pub fn id(&self) -> u32 {
        // Process numbers are positive.
        self.live().process.as_raw() as u32
    }

    /// Waits for its end; later calls give the same status at once. Yields.
    ///
    /// # Errors
    /// `ConnectionAborted` when the coroutine is interrupted; the process goes on then.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.wait_until(Moment::NEVER)? {
                return Ok(status);
            }
        }
    }

    /// Waits for its end until `deadline`; `None` when it goes on. Yields.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn wait_until(&self, deadline: Moment) -> io::Result<Option<ExitStatus>> {
        self.live().wait_until(deadline)
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// The system's; none is known.
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.live().try_wait()
    }

    /// Sends it a signal; without effect once it has ended.
    ///
    /// # Errors
    /// `PermissionDenied` when it changed its user.
    pub fn kill(&self, signal: Signal) -> io::Result<()> {
        self.live().kill(signal)
    }

    /// Sends SIGTERM, waits for `grace`, then SIGKILL, and waits for its end. Yields.
    ///
    /// # Errors
    /// As [`Child::wait`]; the process is ended in the background then, as if dropped.
    pub fn terminate(self, grace: Duration) -> io::Result<ExitStatus> {
        self.live().terminate(grace)
    }

    /// Leaves it alone from now on: it lives on when this is gone, and its end is not waited for.
    pub fn release(mut self) {
        self.0 = None;
    }

    fn live(&self) -> &Live {
        // Emptied by `drop` and `release` only.
        self.0.as_ref().expect("a child lives until it is dropped")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(live) = self.0.take() else { return };
        if !matches!(live.try_wait(), Ok(None)) {
            return;
        }
        let _ = live.kill(Signal::SIGTERM);
        let process = live.process;
        let reaper = coroutine::spawn_with("reaper", REAPER_STACK_BYTES, move || {
            let _ = live.terminate(DROP_GRACE);
        });
        if reaper.is_err() {
            // No memory for a coroutine; a thread that runs already may do.
            let _ = offload::post(Class::Process, move || kill_and_reap(process));
        }
    }
}

impl Live {
    fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        if self.status.get().is_none() {
            self.status
                .set(match waitpid(self.process, Some(WaitPidFlag::WNOHANG)) {
                    // The raw form that wait(2) describes.
                    Ok(WaitStatus::Exited(_, code)) => Some(ExitStatus::from_raw(code << 8)),
                    Ok(WaitStatus::Signaled(_, signal, core)) => {
                        Some(ExitStatus::from_raw(signal as i32 | if core { 0x80 } else { 0 }))
                    }
                    Ok(_) | Err(Errno::EINTR) => None,
                    Err(error) => return Err(error.into()),
                });
        }
        Ok(self.status.get())
    }

    fn wait_until(&self, deadline: Moment) -> io::Result<Option<ExitStatus>> {
        let mut pause = LOOK_FIRST;
        loop {
            // Before the look: an end after it brings an event.
            self.watch.expect_end();
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            if !self.watch.wait(deadline, &mut pause)? {
                return self.try_wait();
            }
        }
    }

    fn kill(&self, signal: Signal) -> io::Result<()> {
        if self.try_wait()?.is_some() {
            return Ok(());
        }
        // Not reaped, so the number is still its own.
        Ok(kill(self.process, signal)?)
    }

    fn terminate(&self, grace: Duration) -> io::Result<ExitStatus> {
        self.kill(Signal::SIGTERM)?;
        if let Some(status) = self.wait_until(Moment::after(grace))? {
            return Ok(status);
        }
        self.kill(Signal::SIGKILL)?;
        loop {
            if let Some(status) = self.wait_until(Moment::NEVER)? {
                return Ok(status);
            }
        }
    }
}

/// How the end of a child is noticed.
enum Watch {
    /// Readable when it has ended. The registration leaves the reactor before the descriptor closes.
    ByDescriptor(
        Registration,
        #[allow(dead_code, reason = "kept open for the reactor")] OwnedFd,
    ),
    /// Kernels before 5.3: by looking now and then. SIGCHLD would tell, but not every child's user may own it.
    ByLooking,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Watch::ByDescriptor(..) => "ByDescriptor",
            Watch::ByLooking => "ByLooking",
        })
    }
}

impl Watch {
    fn by_descriptor(process: Pid) -> io::Result<Self> {
        // SAFETY: takes two integers and touches no memory.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, process.as_raw(), 0 as libc::c_uint) })?;
        // SAFETY: a new descriptor (close-on-exec by definition) that nothing else owns; descriptors fit their type.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
        Ok(Watch::ByDescriptor(Registration::new(fd.as_fd())?, fd))
    }

    fn expect_end(&self) {
        if let Watch::ByDescriptor(registration, _) = self {
            registration.slot.readable.set(false);
        }
    }

    /// Waits for a hint that the child has ended; false at the deadline.
    fn wait(&self, deadline: Moment, pause: &mut Duration) -> io::Result<bool> {
        if let Watch::ByDescriptor(registration, _) = self {
            return registration.slot.wait_readable(deadline);
        }
        if coroutine::is_interrupted() || std::thread::panicking() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "interrupted"));
        }
        let left = deadline.since(Moment::now());
        coroutine::sleep(left.min(*pause));
        *pause = (*pause * 2).min(LOOK_MAX);
        Ok(!left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::coroutine::{sleep, spawn};
    use crate::core::runtime::run;

    fn shell(script: &str) -> Command {
        Command::new("sh").args(["-c", script])
    }

    fn logged(script: &str, log: &Path) -> Command {
        shell(script).output(log).errors(log)
    }

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("srs-process-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn exit_codes_and_signals_are_told_by_both_ways_of_watching() {
        for watch in [Watch::by_descriptor, |_| Ok(Watch::ByLooking)] {
            run(move || {
                let child = shell("exit 7").spawn_watched(watch).unwrap();
                assert_eq!(child.wait().unwrap().code(), Some(7));
                assert_eq!(child.wait().unwrap().code(), Some(7));
                child.kill(Signal::SIGKILL).unwrap();
                let child = shell("exec sleep 60").spawn_watched(watch).unwrap();
                let early = child.wait_until(Moment::after(Duration::from_millis(20)));
                assert_eq!(early.unwrap(), None);
                child.kill(Signal::SIGINT).unwrap();
                assert_eq!(child.wait().unwrap().signal(), Some(2));
            })
            .unwrap();
        }
    }

    #[test]
    fn a_missing_program_or_folder_of_output_is_an_error() {
        run(|| {
            let error = Command::new("/nonexistent/ffmpeg").spawn().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
            let error = shell("true").output("/proc/none/ffmpeg.log").spawn().unwrap_err();
            assert!(error.to_string().contains("/proc/none"));
        })
        .unwrap();
    }

    #[test]
    fn output_and_errors_are_appended() {
        run(|| {
            let folder = folder("output");
            let log = folder.join("made/child.log");
            for _ in 0..2 {
                let child = logged("pwd; echo oops >&2; cat", &log).spawn();
                assert!(child.unwrap().wait().unwrap().success());
            }
            let line = format!("{}\noops\n", std::env::current_dir().unwrap().display());
            assert_eq!(std::fs::read_to_string(&log).unwrap(), line.repeat(2));
            std::fs::remove_dir_all(&folder).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn output_and_errors_part() {
        run(|| {
            let folder = folder("parted");
            let (output, errors) = (folder.join("out"), folder.join("err"));
            let child = shell("echo said; echo oops >&2")
                .output(&output)
                .errors(&errors)
                .spawn();
            assert!(child.unwrap().wait().unwrap().success());
            assert_eq!(fs::read_to_string(&output).unwrap(), "said\n");
            assert_eq!(fs::read_to_string(&errors).unwrap(), "oops\n");
            fs::remove_dir_all(&folder).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn a_child_inherits_no_descriptor_and_no_signal_state() {
        run(|| {
            super::super::signal::block(&[Signal::SIGURG, Signal::SIGUSR1]).unwrap();
            let folder = folder("state");
            let log = folder.join("child.log");
            // Whoever started the tests may have left files and pipes open; none of our kinds.
            let script = "ls -l /proc/self/fd; exec cat /proc/self/status";
            let child = shell(script).output(&log).spawn().unwrap();
            assert!(child.wait().unwrap().success());
            let text = std::fs::read_to_string(&log).unwrap();
            assert!(
                text.contains(" 2 -> ") && !text.contains("anon_inode") && !text.contains("socket:"),
                "{text}"
            );
            for field in ["SigBlk:", "SigIgn:"] {
                let mask = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
                // Signals 1 to 31; the C library keeps the next two for itself.
                let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
                assert_eq!(mask & 0x7fff_ffff, 0, "{field} {mask:x}");
            }
            let group = |id: u32| nix::unistd::getpgid(Some(Pid::from_raw(id as i32)));
            let child = shell("exec sleep 60").spawn().unwrap();
            assert_eq!(group(child.id()).unwrap(), group(std::process::id()).unwrap());
            std::fs::remove_dir_all(&folder).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn terminate_asks_first_and_kills_after() {
        run(|| {
            let folder = folder("terminate");
            let start = |name: &str, trap: &str| {
                let log = folder.join(name);
                let script = format!("trap '{trap}' TERM; echo ready; while :; do sleep 0.01; done");
                let child = shell(&script).output(&log).spawn().unwrap();
                while std::fs::read(&log).unwrap().is_empty() {
                    sleep(Duration::from_millis(5));
                }
                child
            };
            let polite = start("polite", "exit 3").terminate(Duration::from_secs(10));
            assert_eq!(polite.unwrap().code(), Some(3));
            let stubborn = start("stubborn", "").terminate(Duration::from_millis(50));
            assert_eq!(stubborn.unwrap().signal(), Some(9));
            std::fs::remove_dir_all(&folder).unwrap();
        })
        .unwrap();
    }

    fn is_gone(id: u32) -> bool {
        !std::path::Path::new(&format!("/proc/{id}")).exists()
    }

    #[test]
    fn a_dropped_child_ends_and_is_reaped() {
        run(|| {
            let children: Vec<Child> = (0..3)
                .map(|_| shell("trap '' TERM; while :; do sleep 0.01; done").spawn().unwrap())
                .collect();
            let ids: Vec<u32> = children.iter().map(Child::id).collect();
            drop(children);
            let deadline = Moment::after(Duration::from_secs(10));
            while !ids.iter().copied().all(is_gone) {
                assert!(Moment::now() < deadline, "children live on");
                sleep(Duration::from_millis(10));
            }
        })
        .unwrap();
    }

    /// The system takes the end of the thread that started it for the end of its parent.
    #[test]
    fn a_child_outlives_the_idle_time_of_the_threads_that_start_children() {
        run(|| {
            let child = shell("exec sleep 60").spawn().unwrap();
            let later = child.wait_until(Moment::after(Duration::from_secs(12)));
            assert_eq!(later.unwrap(), None);
        })
        .unwrap();
    }

    #[test]
    fn a_newborn_that_nobody_takes_is_reaped() {
        let newborn = shell("exec sleep 60").start().unwrap();
        let id = newborn.0.unwrap().as_raw() as u32;
        assert!(!is_gone(id));
        drop(newborn);
        assert!(is_gone(id));
    }

    #[test]
    fn an_interrupt_ends_the_wait_for_a_child_and_for_its_start() {
        run(|| {
            let child = shell("exec sleep 60").spawn().unwrap();
            let id = child.id();
            let waiter = spawn("waiter", move || child.wait().map_err(|error| error.kind()));
            // No thread is free to start another, so neither has what it waits for.
            let gates: Vec<_> = (0..2)
                .map(|_| {
                    let (release, gate) = std::sync::mpsc::channel::<()>();
                    offload::post(Class::Process, move || {
                        let _ = gate.recv();
                    })
                    .unwrap();
                    release
                })
                .collect();
            let starter = spawn("starter", || shell("true").spawn().err().map(|error| error.kind()));
            sleep(Duration::from_millis(5));
            starter.interrupt();
            waiter.interrupt();
            assert_eq!(waiter.join().unwrap(), Err(io::ErrorKind::ConnectionAborted));
            assert_eq!(starter.join().unwrap(), Some(io::ErrorKind::ConnectionAborted));
            drop(gates);
            let deadline = Moment::after(Duration::from_secs(10));
            while !is_gone(id) {
                assert!(Moment::now() < deadline, "the child lives on");
                sleep(Duration::from_millis(10));
            }
        })
        .unwrap();
    }
}
