//! The hand-over to a new program (SIGUSR2): it inherits the listening sockets and the pid file, so that no connection is
//! refused, and this process ends when its clients have left. See `docs/service.md`.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::READY;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::inheritance::{Bequest, Inheritance};
use crate::core::process::{Child, Command, Signal};
use crate::core::setup::PidFile;
use crate::core::tcp::TcpStream;
use crate::core::unix;
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;

/// How long a new program may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one that did not may take to end.
const GRACE: Duration = Duration::from_secs(5);
/// How long each of the two may take for its part of passing the pid file on.
const RELEASE: Duration = Duration::from_secs(10);
/// What a role begins with that is a successor's.
const SUCCESSOR: &str = "successor ";

/// How the server was started, and so how the next one is.
#[derive(Clone, Debug)]
pub struct Start {
    /// The program.
    pub program: PathBuf,
    /// The arguments of the command line.
    pub arguments: Vec<OsString>,
    /// Where it was started.
    pub folder: PathBuf,
}

impl Start {
    /// How this process was started; to be called before it changes its folder.
    pub fn of_process() -> Self {
        let mut arguments = std::env::args_os();
        let folder = std::env::current_dir().unwrap_or_default();
        let name = PathBuf::from(arguments.next().unwrap_or_default());
        Start {
            // A name without a folder was found by the shell; the path of the running program tells where.
            program: match name.components().count() > 1 {
                true => folder.join(name),
                false => std::env::current_exe().unwrap_or(name),
            },
            arguments: arguments.collect(),
            folder,
        }
    }

    fn command(&self) -> Command {
        Command::new(&self.program)
            .args(&self.arguments)
            .folder(&self.folder)
            .own_streams()
            .end_with_us(None)
    }
}

/// What makes a process the server.
#[derive(Debug)]
pub struct Holding {
    /// How it was started.
    pub start: Start,
    /// Why another one can never take its place.
    pub bound_by: Option<&'static str>,
    /// Locked as long as it is the server.
    pub pid_file: Option<PidFile>,
}

/// The place of the server, which this process holds and may pass on.
pub struct Office {
    start: Start,
    bound_by: Option<&'static str>,
    pid_file: RefCell<Option<PidFile>>,
    /// From the moment when a hand-over begins, before there is a program, until it ends.
    is_passing: Cell<bool>,
    /// The next program, until it is the server.
    successor: RefCell<Option<Rc<Child>>>,
    is_leaving: Cell<bool>,
}

impl Office {
    /// The place of a server that holds what is said.
    pub fn new(holding: Holding) -> Rc<Self> {
        Rc::new(Office {
            start: holding.start,
            bound_by: holding.bound_by,
            pid_file: RefCell::new(holding.pid_file),
            is_passing: Cell::new(false),
            successor: RefCell::new(None),
            is_leaving: Cell::new(false),
        })
    }

    /// How the server was started.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// Holds the pid file that the server before this one has left.
    pub fn hold(&self, pid_file: PidFile) {
        self.pid_file.replace(Some(pid_file));
    }

    /// Hands over in a coroutine of its own: starts the next program with `sockets`, and once that is the server, has
    /// this one `retire`. Whatever fails is logged, and all is as it was.
    pub fn pass_on(
        self: &Rc<Self>,
        sockets: impl FnOnce() -> Result<Vec<OwnedFd>> + 'static,
        retire: impl FnOnce() + 'static,
    ) {
        let office = self.clone();
        coroutine::spawn("hand-over", move || {
            let passed =
                Passing::begin(&office).and_then(|_passing| sockets().and_then(|sockets| office.hand_over(sockets)));
            match passed {
                Ok(()) => retire(),
                Err(error) => log::error!("hand-over failed, this server goes on: {error}"),
            }
        });
    }

    /// The server ends: the program that is about to take over ends as well.
    pub fn leave(&self) {
        self.is_leaving.set(true);
        if let Some(successor) = &*self.successor.borrow() {
            log::info!("the new program, pid={}, ends too", successor.id());
            let _ = successor.kill(Signal::SIGTERM);
        }
    }

    fn hand_over(&self, sockets: Vec<OwnedFd>) -> Result<()> {
        let (line, theirs) = unix::pair().io_wrap(ErrorCode::PipeCreate, || "line to the new program".into())?;
        log::info!(
            "hand over to {}, {} sockets",
            self.start.program.display(),
            sockets.len()
        );
        let child = self.bequest(sockets, theirs).to(self.start.command()).spawn();
        let child = child.io_wrap(ErrorCode::DaemonWaitPid, || {
            format!("start {}", self.start.program.display())
        })?;
        let child = Rc::new(child);
        self.successor.replace(Some(child.clone()));
        let handed = self
            .stay()
            .and_then(|()| hear(&line, &child, PATIENCE, "does not listen"))
            .and_then(|()| self.yield_to(&line, &child));
        self.successor.replace(None);
        // Nobody else keeps a child that is no successor any more.
        let child = Rc::into_inner(child).expect("the successor is let go of before");
        if let Err(error) = handed {
            let _ = child.terminate(GRACE);
            self.reclaim();
            return Err(error);
        }
        log::info!(
            "the new program is the server, pid={}; this one ends when its clients have left",
            child.id()
        );
        child.release();
        self.pid_file.replace(None);
        Ok(())
    }

    fn bequest(&self, sockets: Vec<OwnedFd>, line: OwnedFd) -> Bequest {
        let pid_file = self.pid_file.borrow();
        let path = pid_file.as_ref().map(|file| file.path().display().to_string());
        Bequest {
            sockets: sockets.into_iter().map(Arc::new).collect(),
            line: Some(Arc::new(line)),
            pid_file: pid_file.as_ref().map(PidFile::descriptor),
            role: Some(format!("{SUCCESSOR}{}", path.unwrap_or_default())),
        }
    }

    /// Nobody takes the place of a server that has begun to end, maybe while the program was being started.
    fn stay(&self) -> Result<()> {
        match self.is_leaving.get() {
            true => Err(Error::new(ErrorCode::StInitialize, "the server ends already")),
            false => Ok(()),
        }
    }

    /// Lets the program that listens have the pid file, and waits until it holds it.
    fn yield_to(&self, line: &TcpStream, child: &Child) -> Result<()> {
        self.stay()?;
        if let Some(file) = &*self.pid_file.borrow() {
            let unlocked = file.unlock();
            unlocked.io_wrap(ErrorCode::PidFileLock, || "unlock the pid file".into())?;
        }
        let granted = line.write_all(&[READY]);
        granted.io_wrap(ErrorCode::SocketWrite, || "let the new program take over".into())?;
        hear(line, child, RELEASE, "does not take the pid file")
    }

    /// Is the server again after a hand-over that failed.
    fn reclaim(&self) {
        if let Some(Err(error)) = self.pid_file.borrow().as_ref().map(PidFile::lock) {
            log::error!("pid file: {error}");
        }
    }
}

/// A hand-over that goes on. However it ends, by a panic too, another one may begin then.
struct Passing<'a>(&'a Office);

impl<'a> Passing<'a> {
    fn begin(office: &'a Office) -> Result<Self> {
        office.stay()?;
        let why = match office.bound_by {
            Some(why) => why,
            None if office.is_passing.get() => "a new program is being started already",
            None => {
                office.is_passing.set(true);
                return Ok(Passing(office));
            }
        };
        Err(Error::new(ErrorCode::StInitialize, why))
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.0.is_passing.set(false);
    }
}

/// Waits until the new program says that it is as far as it should be.
fn hear(line: &TcpStream, child: &Child, patience: Duration, lack: &str) -> Result<()> {
    line.set_read_timeout(Some(patience));
    let mut told = [0];
    match line.read(&mut told) {
        Ok(1) if told[0] == READY => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            let text = format!("the new program {lack} after {patience:?}");
            Err(Error::new(ErrorCode::SocketTimeout, text))
        }
        _ => {
            let status = child.wait_until(Moment::after(GRACE));
            let how = match status {
                Ok(Some(status)) => status.to_string(),
                _ => "without a word".to_owned(),
            };
            let text = format!("the new program {lack}, it ended, {how}; its own lines in the log tell why");
            Err(Error::new(ErrorCode::DaemonWaitPid, text))
        }
    }
}

/// What a process takes over from the one before it.
#[derive(Debug)]
pub struct Succession {
    line: OwnedFd,
    pid_file: Option<Claim>,
}

/// The pid file that a successor is to hold.
#[derive(Debug)]
enum Claim {
    /// The predecessor's, which it has locked.
    Left(OwnedFd, PathBuf),
    /// Another one, which is ours already.
    Held(PidFile),
}

impl Succession {
    /// What the predecessor has left besides sockets, if there is one.
    pub fn of(inherited: &mut Inheritance) -> Option<Self> {
        let path = inherited.role.as_deref()?.strip_prefix(SUCCESSOR)?;
        Some(Succession {
            pid_file: inherited.pid_file.take().map(|file| Claim::Left(file, path.into())),
            line: inherited.line.take()?,
        })
    }

    /// Whether the predecessor has left the pid file at this path, which [`Succession::complete`] takes.
    pub fn brings(&self, pid_path: &Path) -> bool {
        matches!(&self.pid_file, Some(Claim::Left(_, path)) if path == pid_path)
    }

    /// Holds another pid file than that of the predecessor.
    pub fn hold(&mut self, pid_file: PidFile) {
        self.pid_file = Some(Claim::Held(pid_file));
    }

    /// Tells the predecessor that this process listens, takes the pid file once it is free, and tells that too. A
    /// predecessor that is gone by then, however it ended, has left its place free. Yields.
    ///
    /// # Errors
    /// When it does not make way, or the pid file cannot be taken; then the predecessor goes on, and this process ends.
    pub fn complete(self) -> Result<PidFile> {
        let what = || "take over from the server before this one".to_owned();
        let line = unix::connection(self.line).io_wrap(ErrorCode::SocketRead, what)?;
        line.set_read_timeout(Some(RELEASE));
        let mut told = [0];
        match line.write_all(&[READY]).and_then(|()| line.read(&mut told)) {
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                return Err(error).io_wrap(ErrorCode::SocketRead, what);
            }
            Ok(1..) => {}
            Ok(0) | Err(_) => log::warn!("the server before this one is gone"),
        }
        let failed = |why: String| Error::new(ErrorCode::PidFileAcquire, why);
        let acquired = match self.pid_file {
            Some(Claim::Held(file)) => file,
            Some(Claim::Left(file, path)) => {
                PidFile::take_over(file, path).map_err(|error| failed(error.to_string()))?
            }
            None => return Err(failed("there is no pid file to take over".to_owned())),
        };
        let _ = line.write_all(&[READY]);
        log::info!("took over from the server before this one");
        Ok(acquired)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn refusal(office: &Office) -> Option<String> {
        Passing::begin(office).err().map(|error| error.to_string())
    }

    #[test]
    fn one_hand_over_at_a_time_and_another_one_after_a_panic() {
        let office = Office::new(Holding {
            start: Start {
                program: PathBuf::from("srs"),
                arguments: Vec::new(),
                folder: PathBuf::from("."),
            },
            bound_by: None,
            pid_file: None,
        });
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _passing = Passing::begin(&office).expect("the first");
            assert!(refusal(&office).is_some_and(|why| why.contains("being started already")));
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        assert_eq!(refusal(&office), None);
        office.leave();
        assert!(refusal(&office).is_some_and(|why| why.contains("the server ends already")));
    }
}
