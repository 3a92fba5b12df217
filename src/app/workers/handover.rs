//! The hand-over to a new program (SIGUSR2): it inherits the listening sockets and the pid file, so that no connection is
//! refused, and this process ends when its clients have left. See `docs/service.md`.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::READY;
use crate::core::clock::Moment;
use crate::core::inheritance::{Bequest, Inheritance};
use crate::core::process::{Child, Command};
use crate::core::setup::PidFile;
use crate::core::tcp::TcpStream;
use crate::core::unix;
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;

/// How long a new program may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one that did not may take to end.
const GRACE: Duration = Duration::from_secs(5);
/// How long the old process may take to let go of the pid file.
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

/// Why a hand-over cannot be.
///
/// # Errors
/// If it cannot: somebody else watches over this process, or it ends already.
pub fn refuse_hand_over(hands_over: bool, is_quitting: bool) -> Result<()> {
    let why = match (hands_over, is_quitting) {
        (false, _) => "asprocess is on: the parent would lose the server",
        (_, true) => "the server ends already",
        (true, false) => return Ok(()),
    };
    Err(Error::new(ErrorCode::StInitialize, why))
}

/// Starts the next program with `sockets` and waits until it listens; then it gets the pid file. Yields.
///
/// # Errors
/// When it cannot be started, or ends or takes too long instead; then all is as it was.
pub fn hand_over(start: &Start, sockets: Vec<OwnedFd>, pid_file: &mut Option<PidFile>) -> Result<u32> {
    let (line, theirs) = unix::pair().io_wrap(ErrorCode::PipeCreate, || "line to the new program".into())?;
    let path = pid_file
        .as_ref()
        .map(|file| file.path().display().to_string())
        .unwrap_or_default();
    let bequest = Bequest {
        sockets: sockets.into_iter().map(Arc::new).collect(),
        line: Some(Arc::new(theirs)),
        pid_file: pid_file.as_ref().map(PidFile::descriptor),
        role: Some(format!("{SUCCESSOR}{path}")),
    };
    log::info!(
        "hand over to {}, {} sockets",
        start.program.display(),
        bequest.sockets.len()
    );
    let child = bequest.to(start.command()).spawn();
    let child = child.io_wrap(ErrorCode::DaemonWaitPid, || {
        format!("start {}", start.program.display())
    })?;
    match wait_ready(&line, &child) {
        Ok(()) => {
            let id = child.id();
            // Closing it gives up the lock.
            drop(pid_file.take());
            // One that has gone since then cannot be helped.
            let _ = line.write_all(&[READY]);
            child.release();
            log::info!("the new program listens, pid={id}; this one ends when its clients have left");
            Ok(id)
        }
        Err(error) => {
            let _ = child.terminate(GRACE);
            Err(error)
        }
    }
}

fn wait_ready(line: &TcpStream, child: &Child) -> Result<()> {
    line.set_read_timeout(Some(PATIENCE));
    let mut told = [0];
    match line.read(&mut told) {
        Ok(1) if told[0] == READY => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            let text = format!("the new program does not listen after {PATIENCE:?}");
            Err(Error::new(ErrorCode::SocketTimeout, text))
        }
        _ => {
            let status = child.wait_until(Moment::after(GRACE));
            let how = match status {
                Ok(Some(status)) => status.to_string(),
                _ => "without a word".to_owned(),
            };
            let text = format!("the new program ended instead of listening, {how}; its own lines in the log tell why");
            Err(Error::new(ErrorCode::DaemonWaitPid, text))
        }
    }
}

/// What a process takes over from the one before it.
#[derive(Debug)]
pub struct Succession {
    line: OwnedFd,
    pid_file: Option<(OwnedFd, PathBuf)>,
}

impl Succession {
    /// What the predecessor has left besides sockets, if there is one.
    pub fn of(inherited: &mut Inheritance) -> Option<Self> {
        let path = inherited.role.as_deref()?.strip_prefix(SUCCESSOR)?;
        Some(Succession {
            pid_file: inherited.pid_file.take().zip(Some(path.into())),
            line: inherited.line.take()?,
        })
    }

    /// Tells the predecessor that this process listens, and takes the pid file once it is free. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketRead`] when the predecessor is gone before that.
    pub fn complete(self, pid_path: PathBuf) -> Result<Option<PidFile>> {
        let what = || "take over from the server before this one".to_owned();
        let line = unix::connection(self.line).io_wrap(ErrorCode::SocketRead, what)?;
        line.set_read_timeout(Some(RELEASE));
        line.write_all(&[READY]).io_wrap(ErrorCode::SocketRead, what)?;
        let mut told = [0];
        line.read(&mut told).io_wrap(ErrorCode::SocketRead, what)?;
        let acquired = match self.pid_file {
            Some((file, path)) if path == pid_path => PidFile::take_over(file, path),
            _ => PidFile::acquire(pid_path),
        };
        match acquired {
            Ok(file) => {
                log::info!("took over from the server before this one");
                Ok(Some(file))
            }
            Err(error) => {
                // It serves all the same; nobody finds it by its pid file.
                log::error!("pid file: {error}");
                Ok(None)
            }
        }
    }
}
