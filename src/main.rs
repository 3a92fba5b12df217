//! The server's command line: arguments, configuration, process set-up, server, exit status.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;
use srs_may::app::cli::{self, Action, Arguments};
use srs_may::app::config::section::log::Tank;
use srs_may::app::config::section::process::Process;
use srs_may::app::config::{Loaded, Origin};
use srs_may::app::config_watch;
use srs_may::app::identity::Identity;
use srs_may::app::server::{Quit, Server, secret};
use srs_may::app::steer;
use srs_may::app::workers::handover::{self, Holding, Office, Succession};
use srs_may::app::workers::master::{Master, Plan};
use srs_may::app::workers::seat::Seat;
use srs_may::core::account::{self, Account};
use srs_may::core::coroutine;
use srs_may::core::id::ContextId;
use srs_may::core::inheritance;
use srs_may::core::runtime;
use srs_may::core::setup::{self, PidFile, PidFileStep};
use srs_may::core::signal::{self, Blocked, Signals};
use srs_may::core::unix;
use srs_may::kernel::error::{Error, IoWrap, Result, Wrap};
use srs_may::kernel::error_code::ErrorCode;
use srs_may::kernel::log as tank;

/// The signals that steer the server. SIGUSR2 ends SRS; here it has another program take over.
const SIGNALS: [Signal; 6] = [
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
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
        Action::Test { shows } => return Ok(test(&arguments, shows)),
        Action::Steer(signal) => {
            let process = steer::send(&origin(&arguments), signal)?;
            println!("{signal} is sent to process {process}");
        }
        Action::Run => return run(&arguments),
    }
    Ok(0)
}

/// `-t`: the last line of the log tells the result. With `-v` a good configuration follows.
fn test(arguments: &Arguments, shows: bool) -> u8 {
    let report = origin(arguments).test();
    for (level, line) in &report.lines {
        log::log!(*level, "{line}");
    }
    if let Some(effective) = report.effective.filter(|_| shows) {
        print!("# The effective configuration\n{effective}");
    }
    report.status
}

fn origin(arguments: &Arguments) -> Origin {
    Origin::new(arguments.config.as_ref().map(PathBuf::from), arguments.env_only)
}

fn run(arguments: &Arguments) -> Result<u8> {
    // The environment is read and changed, which no other thread may do meanwhile.
    let mut origins = Origins::of_process()?;
    let started = handover::Start::of_process();
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
    // Those of a worker would be the master's once more.
    for warning in loaded.warnings.iter().filter(|_| origins.seat.is_none()) {
        log::warn!("{warning}");
    }
    let follow = parent_to_follow(process, &origins)?;
    let blocked = signal::block(&SIGNALS).io_wrap(ErrorCode::PipeCreate, || "block signals".into())?;
    // What takes over is nobody's foreground job already, and gets the pid file later.
    let pid_file = match origins.are_users() {
        true => Some(become_server(process)?),
        false => None,
    };
    let pid_path = std::path::absolute(&process.pid).unwrap_or_else(|_| process.pid.clone());
    if let Some(succession) = origins.succession.as_mut().filter(|left| !left.brings(&pid_path)) {
        // One that cannot be the server must know it before it accepts clients.
        succession.hold(acquire_pid_file(process)?);
    }
    let identity = identify(process, origins.seat);
    tank::start_background();
    // The parent of a server that ends with it would lose sight of the next one.
    let bound_by = process
        .asprocess
        .then_some("asprocess is on: the parent would lose the server");
    let start = Start {
        follow,
        rights: Rights {
            account,
            root: process.chroot.clone(),
        },
        line: origins.line,
        auto_reload: process.auto_reload,
        workers: process.workers,
        // What takes over gets the pid file later.
        holding: Holding {
            start: started,
            bound_by,
            pid_file,
        },
        succession: origins.succession,
        origin,
        identity,
        blocked,
    };
    // Values of the configuration are shared on the worker's thread only, so it is read there once more.
    drop(loaded);
    let context = ContextId::current();
    let ended = runtime::run(move || {
        context.enter();
        start.act()
    });
    ended.io_wrap(ErrorCode::StInitialize, || "run the coroutines".into())??;
    Ok(0)
}

/// Who this server is, which it tells.
fn identify(process: &Process, seat: Option<Seat>) -> Identity {
    let identity = match seat {
        None => Identity::establish(process),
        Some(seat) => Identity::of_worker(seat),
    };
    log::info!(
        "server cid={}, pid={}, server_id={}, service_id={}",
        ContextId::current(),
        std::process::id(),
        identity.server,
        identity.service
    );
    identity
}

/// Who started this process, and as what.
struct Origins {
    /// The worker that it is, if a master has started it.
    seat: Option<Seat>,
    /// What the server before this one has left, if that has started it.
    succession: Option<Succession>,
    /// To the master.
    line: Option<OwnedFd>,
}

impl Origins {
    fn of_process() -> Result<Self> {
        let mut inherited = inheritance::take().io_wrap(ErrorCode::ConfigInvalid, || "take over".into())?;
        let succession = Succession::of(&mut inherited);
        let role = inherited.role.filter(|_| succession.is_none());
        let seat = role.as_deref().map(Seat::parse);
        if seat == Some(None) {
            let text = "the master of this worker speaks another language";
            return Err(Error::new(ErrorCode::StInitialize, text));
        }
        Ok(Origins {
            seat: seat.flatten(),
            succession,
            line: inherited.line,
        })
    }

    /// Whether a user, or what stands for one, has started it.
    fn are_users(&self) -> bool {
        self.seat.is_none() && self.succession.is_none()
    }
}

/// The process that this one is to end with.
fn parent_to_follow(process: &Process, origins: &Origins) -> Result<Option<u32>> {
    let parent = setup::parent_id();
    match process.asprocess && origins.seat.is_none() {
        true if parent == 1 => Err(Error::new(
            ErrorCode::SystemAssert,
            "asprocess is on and the parent is init",
        )),
        follows => Ok(follows.then_some(parent)),
    }
}

/// Leaves the terminal if wanted, and takes the pid file.
fn become_server(process: &Process) -> Result<PidFile> {
    if process.daemon {
        setup::daemonize().io_wrap(ErrorCode::DaemonWaitPid, || "become a daemon".into())?;
    }
    acquire_pid_file(process).wrap("run")
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

/// What the first coroutine begins with.
struct Start {
    origin: Origin,
    identity: Identity,
    blocked: Blocked,
    /// The process to end with.
    follow: Option<u32>,
    rights: Rights,
    /// To the process that started this one.
    line: Option<OwnedFd>,
    workers: usize,
    holding: Holding,
    /// Whether a changed configuration is a reload.
    auto_reload: bool,
    /// What the server before this one has left.
    succession: Option<Succession>,
}

impl Start {
    /// What the first coroutine does.
    fn act(self) -> Result<()> {
        if let Err(error) = tank::report_crashes() {
            log::warn!("fatal signals will not be reported: {error}");
        }
        self.watch_configuration();
        match self.workers > 1 && self.identity.seat.is_none() {
            true => self.lead(),
            false => self.serve(),
        }
    }

    /// Has this process get SIGHUP when the configuration changes, if it is the one that the user sees.
    fn watch_configuration(&self) {
        if !self.auto_reload || self.identity.seat.is_some() {
            return;
        }
        let origin = self.origin.clone();
        coroutine::spawn("configuration watch", move || {
            let reload = || {
                // A process may send a signal to itself.
                let _ = signal::send_to_ourselves(Signal::SIGHUP);
            };
            if let Err(error) = config_watch::run(&origin, reload) {
                log::error!("changes of the configuration are not noticed: {error}");
            }
        });
    }

    /// The life of a server.
    fn serve(self) -> Result<()> {
        let signals = Signals::new(self.blocked).io_wrap(ErrorCode::PipeCreate, || "read signals".into())?;
        let line = self.line.map(unix::connection).transpose();
        let line = line.io_wrap(ErrorCode::PipeCreate, || "line to the master".into())?;
        let server = Server::new(self.origin, self.identity)?;
        server.listen()?;
        self.rights.give_up(&server)?;
        log::info!("signal installed, reload=1, reopen=10, fast_quit=15, grace_quit=3");
        // Inherited sockets that this configuration has no use for.
        drop(inheritance::take_rest());
        let office = Office::new(self.holding);
        if let Some(succession) = self.succession {
            office.hold(succession.complete()?);
        }
        let steering = Steering {
            server: server.clone(),
            office,
        };
        coroutine::spawn("signals", move || steering.steer(&signals));
        if let Some(parent) = self.follow {
            let following = server.clone();
            coroutine::spawn("asprocess", move || {
                wait_for_end_of(parent);
                following.quit(Quit::Fast);
            });
        }
        server.workers.begin(&server, line)?;
        server.run()
    }

    /// The life of a master.
    fn lead(self) -> Result<()> {
        let signals = Signals::new(self.blocked).io_wrap(ErrorCode::PipeCreate, || "read signals".into())?;
        let seat = Seat {
            number: 0,
            count: self.workers,
            master: std::process::id(),
            server: self.identity.server,
            service: self.identity.service,
            secret: secret()?,
        };
        let office = Office::new(self.holding);
        let master = Master::new(Plan {
            origin: self.origin,
            office: office.clone(),
            seat,
        });
        if let Some(parent) = self.follow {
            let following = master.clone();
            coroutine::spawn("asprocess", move || {
                wait_for_end_of(parent);
                following.quit(Signal::SIGTERM);
            });
        }
        master.start()?;
        if let Some(succession) = self.succession {
            office.hold(succession.complete()?);
        }
        master.serve(signals);
        Ok(())
    }
}

/// What signals do to a server.
struct Steering {
    server: Rc<Server>,
    office: Rc<Office>,
}

impl Steering {
    fn steer(self, signals: &Signals) {
        while let Ok(signal) = signals.recv() {
            log::info!("signal {signal}");
            self.heed(signal);
        }
    }

    fn heed(&self, signal: Signal) {
        let server = self.server.clone();
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
            // The master's word: it has handed over.
            Signal::SIGUSR2 if server.workers.are_several() => server.retire(),
            Signal::SIGUSR2 => self.office.pass_on(listening_sockets, move || server.retire()),
            Signal::SIGTERM if server.config().process.force_grace_quit => self.quit(Quit::Graceful),
            Signal::SIGQUIT => self.quit(Quit::Graceful),
            _ => self.quit(Quit::Fast),
        }
    }

    fn quit(&self, how: Quit) {
        self.office.leave();
        self.server.quit(how);
    }
}

fn listening_sockets() -> Result<Vec<OwnedFd>> {
    let sockets = inheritance::open_sockets();
    sockets.io_wrap(ErrorCode::SocketBind, || "duplicate the listening sockets".into())
}

fn wait_for_end_of(parent: u32) {
    while setup::parent_id() == parent {
        coroutine::sleep(PARENT_LOOK);
    }
    let text = format!("parent {parent} is gone, now {}", setup::parent_id());
    log::error!("{}", Error::new(ErrorCode::SystemAsProcess, text));
}
