//! The server's command line: arguments, configuration, process set-up, server, exit status.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;
use srs_may::app::cli::{self, Action, Arguments};
use srs_may::app::config::section::log::Tank;
use srs_may::app::config::section::process::Process;
use srs_may::app::config::{Loaded, Origin};
use srs_may::app::identity::Identity;
use srs_may::app::server::{Quit, Server};
use srs_may::core::account::{self, Account};
use srs_may::core::coroutine;
use srs_may::core::id::ContextId;
use srs_may::core::runtime;
use srs_may::core::setup::{self, PidFile, PidFileStep};
use srs_may::core::signal::{self, Blocked, Signals};
use srs_may::kernel::error::{Error, IoWrap, Result, Wrap};
use srs_may::kernel::error_code::ErrorCode;
use srs_may::kernel::log as tank;

/// The signals that steer the server; SIGUSR2 is left alone and ends the process, as it does with SRS.
const SIGNALS: [Signal; 5] = [
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
];
/// How long the end of the process waits for the disk to take the last log lines.
const LAST_LINES: Duration = Duration::from_secs(2);
/// How often a server that follows its parent looks whether it is still there.
const PARENT_LOOK: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    if tank::install().is_err() {
        return ExitCode::FAILURE;
    }
    ContextId::generate().enter();
    let ended = cli::parse(std::env::args().skip(1)).and_then(act);
    let status = match ended {
        Ok(status) => status,
        Err(error) => {
            log::error!("Failed, {error}");
            error.code().exit_status()
        }
    };
    tank::flush(LAST_LINES);
    ExitCode::from(status)
}

fn act(arguments: Arguments) -> Result<u8> {
    match arguments.action {
        Action::Help => print!("{}", cli::help()),
        Action::Version => println!("{}", cli::VERSION),
        Action::Signature => println!("{}", cli::SIGNATURE),
        Action::Test => return Ok(test(&arguments)),
        Action::Run => return run(&arguments),
    }
    Ok(0)
}

/// `-t`: the last line tells the result.
fn test(arguments: &Arguments) -> u8 {
    let report = origin(arguments).test();
    for (level, line) in &report.lines {
        log::log!(*level, "{line}");
    }
    report.status
}

fn origin(arguments: &Arguments) -> Origin {
    Origin::new(arguments.config.as_ref().map(PathBuf::from), arguments.env_only)
}

fn run(arguments: &Arguments) -> Result<u8> {
    // Before the configuration is checked against it; where it is refused, the check says what that means.
    let _ = setup::raise_file_limit();
    log::info!("XCORE-{}", cli::SIGNATURE);
    let origin = origin(arguments);
    let loaded = origin.load().wrap("load configuration")?;
    let process = &loaded.config.process;
    enter_work_dir(&process.work_dir)?;
    let account = account(process)?;
    open_log(&loaded, account.as_ref())?;
    banner(&process.work_dir);
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let parent = setup::parent_id();
    if process.asprocess && parent == 1 {
        return Err(Error::new(
            ErrorCode::SystemAssert,
            "asprocess is on and the parent is init",
        ));
    }
    let blocked = signal::block(&SIGNALS).io_wrap(ErrorCode::PipeCreate, || "block signals".into())?;
    if process.daemon {
        setup::daemonize().io_wrap(ErrorCode::DaemonWaitPid, || "become a daemon".into())?;
    }
    let _pid_file = acquire_pid_file(process).wrap("run")?;
    let identity = Identity::establish(process);
    log::info!(
        "server cid={}, pid={}, server_id={}, service_id={}",
        ContextId::current(),
        std::process::id(),
        identity.server,
        identity.service
    );
    tank::start_background();

    let context = ContextId::current();
    let follow = process.asprocess.then_some(parent);
    let rights = Rights {
        account,
        root: process.chroot.clone(),
    };
    // Values of the configuration are shared on the worker's thread only, so it is read there once more.
    drop(loaded);
    let ended = runtime::run(move || {
        context.enter();
        serve(origin, identity, blocked, follow, &rights)
    });
    ended.io_wrap(ErrorCode::StInitialize, || "run the coroutines".into())??;
    Ok(0)
}

fn enter_work_dir(folder: &Path) -> Result<()> {
    if folder.as_os_str().is_empty() || folder == Path::new("./") {
        return Ok(());
    }
    setup::change_folder(folder).io_wrap(ErrorCode::ConfigInvalid, || format!("work_dir {}", folder.display()))
}

/// The account to run under, which only root can change to.
fn account(process: &Process) -> Result<Option<Account>> {
    if process.chroot.is_some() && !account::is_root() {
        return Err(Error::new(ErrorCode::ConfigInvalid, "chroot needs a start by root"));
    }
    let Some((user, group)) = &process.user else {
        return Ok(None);
    };
    let found = Account::find(user, group.as_deref());
    let found = found.io_wrap(ErrorCode::ConfigInvalid, || format!("user {user}"))?;
    if !account::is_root() && !found.is_current() {
        let text = format!("user {user} needs a start by root, or by {user}");
        return Err(Error::new(ErrorCode::ConfigInvalid, text));
    }
    Ok(Some(found))
}

/// The log is opened anew for rotation, so the account must be able to, and own what is created.
fn open_log(loaded: &Loaded, account: Option<&Account>) -> Result<()> {
    let log = &loaded.config.log;
    let file = match &log.tank {
        Tank::Console => None,
        Tank::File(path) => Some(path.as_path()),
    };
    let name = || format!("open log {}", file.unwrap_or(Path::new("")).display());
    let open = || tank::open(file, log.level, log.utc);
    let opened = match account {
        None => open(),
        Some(account) => account.act(open).and_then(|opened| opened),
    };
    opened.io_wrap(ErrorCode::FileOpen, name)
}

fn banner(work_dir: &Path) {
    log::info!("{}, srs-may {}, MIT licence", cli::SIGNATURE, env!("CARGO_PKG_VERSION"));
    let folder = std::env::current_dir().unwrap_or_default();
    log::info!("cwd={}, work_dir={}", folder.display(), work_dir.display());
}

fn acquire_pid_file(process: &Process) -> Result<PidFile> {
    PidFile::acquire(&process.pid).map_err(|failed| {
        let (code, text) = match failed.step {
            PidFileStep::Open => (ErrorCode::PidFileAcquire, "cannot be opened"),
            PidFileStep::Lock => (ErrorCode::PidFileLock, "cannot be locked"),
            PidFileStep::AlreadyRunning => (ErrorCode::PidFileProcessExists, "is locked, srs is already running!"),
            PidFileStep::Truncate => (ErrorCode::PidFileTruncate, "cannot be emptied"),
            PidFileStep::Write => (ErrorCode::PidFileWrite, "cannot be written"),
        };
        Error::io(
            code,
            &failed.cause,
            format!("pid file {} {text}", process.pid.display()),
        )
    })
}

/// What is given up once the server listens.
struct Rights {
    account: Option<Account>,
    root: Option<PathBuf>,
}

impl Rights {
    fn give_up(&self, server: &Server) -> Result<()> {
        if let Some(folder) = &self.root {
            let name = || format!("chroot {}", folder.display());
            let root = account::change_root(folder).io_wrap(ErrorCode::ConfigInvalid, name)?;
            log::info!("chroot {}, all paths are below it from now on", root.display());
            if !server.move_root(&root) {
                log::warn!(
                    "the configuration is not below {}, so no reload will find it",
                    root.display()
                );
            }
        }
        if let Some(account) = &self.account {
            let name = || format!("user {}", account.name);
            account.take_over().io_wrap(ErrorCode::ConfigInvalid, name)?;
            log::info!(
                "runs as user {}, uid={}, gid={}",
                account.name,
                account.uid(),
                account.gid()
            );
        }
        Ok(())
    }
}

/// The first coroutine's life.
fn serve(origin: Origin, identity: Identity, blocked: Blocked, follow: Option<u32>, rights: &Rights) -> Result<()> {
    let signals = Signals::new(blocked).io_wrap(ErrorCode::PipeCreate, || "read signals".into())?;
    let server = Server::new(origin, identity)?;
    server.listen()?;
    rights.give_up(&server)?;
    log::info!("signal installed, reload=1, reopen=10, fast_quit=15, grace_quit=3");
    let steered = server.clone();
    coroutine::spawn("signals", move || steer(&steered, &signals));
    if let Some(parent) = follow {
        let following = server.clone();
        coroutine::spawn("asprocess", move || follow_parent(&following, parent));
    }
    server.run()
}

fn steer(server: &Rc<Server>, signals: &Signals) {
    while let Ok(signal) = signals.recv() {
        log::info!("signal {signal}");
        match signal {
            Signal::SIGHUP => {
                if let Err(error) = server.reload() {
                    log::error!("reload failed, the old configuration stays: {error}");
                }
            }
            Signal::SIGUSR1 => {
                tank::reopen();
                log::info!("log file reopened");
            }
            Signal::SIGTERM if server.config().process.force_grace_quit => server.quit(Quit::Graceful),
            Signal::SIGQUIT => server.quit(Quit::Graceful),
            _ => server.quit(Quit::Fast),
        }
    }
}

fn follow_parent(server: &Server, parent: u32) {
    while setup::parent_id() == parent {
        coroutine::sleep(PARENT_LOOK);
    }
    let text = format!("parent {parent} is gone, now {}", setup::parent_id());
    log::error!("{}", Error::new(ErrorCode::SystemAsProcess, text));
    server.quit(Quit::Fast);
}
