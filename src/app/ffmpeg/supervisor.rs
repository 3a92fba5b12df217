//! One child process that is kept running: started, watched, started again, ended.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::app::config::section::ff_log::FfLog;
use crate::app::watch::{Overload, Water};
use crate::core::clock::Moment;
use crate::core::coroutine::{self, JoinHandle};
use crate::core::process::{Child, Command, ExitStatus, Signal};
use crate::core::sync::{Member, WaitGroup};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// A child that has ended is started again at the next multiple of this since its start.
const LOOK: Duration = Duration::from_secs(3);
/// A child that has run so long is no failure when it ends.
const STEADY: Duration = Duration::from_secs(30);
/// Of failures in a row every so many is told, once they are past counting in powers of two: once an hour.
const FAILURES_TOLD: u32 = 1200;
/// How long a child may take from SIGTERM to its end, before SIGKILL.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// The same while the server ends.
const QUIT_GRACE: Duration = Duration::from_millis(100);
/// How long a child waits for the end of the one in whose place it comes.
const PREDECESSOR: Duration = Duration::from_secs(4);
/// How long FFmpeg is put off at most while the server is overloaded: one that is always busy has to do its work too.
const PUT_OFF: Duration = Duration::from_secs(30);
/// Stack of a coroutine that watches a child, bytes.
const STACK_BYTES: usize = 64 << 10;

/// What a child is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Bringing a stream in.
    Ingest,
    /// Coding a stream again.
    Transcode,
    /// What the operator wants.
    Exec,
}

/// What is to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// What for.
    pub role: Role,
    /// Its name in logs, such as `ingest __defaultVhost__/cam`.
    pub label: String,
    /// The program: a path, or a name to be looked for in PATH.
    pub program: String,
    /// The words behind it.
    pub arguments: Vec<String>,
    /// Where its words go.
    pub output: Output,
}

/// Where the words of a child go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// To a file of this name in `ff_log_dir`; FFmpeg is also told `ff_log_level`.
    FfLog(String),
    /// To these files, or nowhere: standard output and errors.
    Files(Option<PathBuf>, Option<PathBuf>),
}

impl Job {
    /// The command with the log that is set now, and where that is.
    fn command(&self, log: &FfLog) -> (Command, Option<PathBuf>) {
        let mut command = Command::new(&self.program);
        let (output, errors) = match &self.output {
            Output::FfLog(name) => {
                if !log.level.is_empty() {
                    command = command.args(["-loglevel", &log.level]);
                }
                let file = log.folder.as_ref().map(|folder| folder.join(name));
                (file.clone(), file)
            }
            Output::Files(output, errors) => (output.clone(), errors.clone()),
        };
        command = command.args(&self.arguments);
        let told = errors.clone().or_else(|| output.clone());
        if let Some(file) = output {
            command = command.output(file);
        }
        if let Some(file) = errors {
            command = command.errors(file);
        }
        (command, told)
    }

    fn shown(&self) -> String {
        printable(&format!("{} {}", self.program, self.arguments.join(" ")))
    }
}

/// All children.
pub struct Nursery {
    /// Where FFmpeg's words go, from the next start of each child on.
    pub log: RefCell<FfLog>,
    overload: Rc<Overload>,
    limit: usize,
    /// Those that run or wait to be started again; also those that have been told to end.
    present: WaitGroup,
    kept: RefCell<BTreeMap<u64, Rc<Kept>>>,
    last: Cell<u64>,
    grace: Cell<Duration>,
}

/// What is known of a child that is to run.
#[derive(Debug)]
pub struct Kept {
    /// See [`Job::role`].
    pub role: Role,
    /// See [`Job::label`].
    pub label: String,
    /// Since when it is to run.
    pub since: Moment,
}

impl Kept {
    /// The label without what it is for.
    pub fn subject(&self) -> &str {
        self.label.split_once(' ').map_or(&self.label, |(_, subject)| subject)
    }
}

/// A child that is kept running until this is dropped; then it is told to end, and killed if it does not.
pub struct Supervised {
    watcher: JoinHandle<()>,
    present: WaitGroup,
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.watcher.interrupt();
    }
}

impl Nursery {
    /// For at most `limit` children.
    pub fn new(log: FfLog, limit: usize, overload: Rc<Overload>) -> Rc<Self> {
        Rc::new(Nursery {
            log: RefCell::new(log),
            overload,
            limit,
            present: WaitGroup::new(),
            kept: RefCell::default(),
            last: Cell::new(0),
            grace: Cell::new(STOP_GRACE),
        })
    }

    /// Keeps a child running, once the one in whose place it comes has ended. A program that cannot be run is told in the
    /// log, and tried again.
    ///
    /// # Errors
    /// [`ErrorCode::FFmpegFork`] when too many run already, [`ErrorCode::StThreadCreate`] without memory for a coroutine.
    pub fn keep(self: &Rc<Self>, job: Job, predecessor: Option<Supervised>) -> Result<Supervised> {
        let present = WaitGroup::new();
        let members = [self.present.enter(), present.enter()];
        // This one and the one that is to go count both.
        if self.present.len() > self.limit + usize::from(predecessor.is_some()) {
            let text = format!(
                "{} is not started: {} child processes run, which is as many as this server starts",
                job.label, self.limit
            );
            return Err(Error::new(ErrorCode::FFmpegFork, text));
        }
        let before = predecessor.map(|before| before.present.clone());
        let watch = Watch {
            entry: Entry::new(self, &job),
            nursery: self.clone(),
            job,
            failures: 0,
        };
        let body = move || {
            if let Some(before) = before {
                before.wait_until(Moment::after(PREDECESSOR));
            }
            watch.run(members);
        };
        let watcher = coroutine::spawn_with("child", STACK_BYTES, body).map_err(|error| {
            let text = format!("no memory for the coroutine of a child process: {error}");
            Error::new(ErrorCode::StThreadCreate, text)
        })?;
        Ok(Supervised { watcher, present })
    }

    /// The children of a role, the oldest first.
    pub fn of(&self, role: Role) -> Vec<Rc<Kept>> {
        let kept = self.kept.borrow();
        kept.values().filter(|kept| kept.role == role).cloned().collect()
    }

    /// Gives children less time to end from now on.
    pub fn hurry(&self) {
        self.grace.set(QUIT_GRACE);
    }

    /// Waits until all children have ended that were told to, or `deadline`; gives whether they have. Yields.
    pub fn wait_empty(&self, deadline: Moment) -> bool {
        self.present.wait_until(deadline)
    }
}

/// A line in the list of children.
struct Entry {
    nursery: Rc<Nursery>,
    number: u64,
}

impl Entry {
    fn new(nursery: &Rc<Nursery>, job: &Job) -> Self {
        let number = nursery.last.get() + 1;
        nursery.last.set(number);
        let kept = Kept {
            role: job.role,
            label: job.label.clone(),
            since: Moment::now(),
        };
        nursery.kept.borrow_mut().insert(number, Rc::new(kept));
        Entry {
            nursery: nursery.clone(),
            number,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.nursery.kept.borrow_mut().remove(&self.number);
    }
}

/// The coroutine that watches one child.
struct Watch {
    #[allow(dead_code, reason = "leaves the list when the watch ends")]
    entry: Entry,
    nursery: Rc<Nursery>,
    job: Job,
    /// Short lives in a row.
    failures: u32,
}

impl Watch {
    fn run(mut self, members: [Member; 2]) {
        while !coroutine::is_interrupted() {
            self.wait_for_calm();
            if coroutine::is_interrupted() {
                return;
            }
            let started = Moment::now();
            let (command, log) = self.job.command(&self.nursery.log.borrow());
            match command.spawn() {
                Ok(child) => {
                    self.tell_start(&child, log.as_ref());
                    let Ok(status) = child.wait() else {
                        return self.end(child, members);
                    };
                    self.tell_end(&child, status, Moment::now().since(started), log.as_ref());
                }
                Err(_) if coroutine::is_interrupted() => return,
                Err(error) => self.tell_failure(&error),
            }
            coroutine::sleep(until_next_look(Moment::now().since(started)));
        }
    }

    /// Only FFmpeg costs so much that it is put off.
    fn wait_for_calm(&self) {
        let overload = &self.nursery.overload;
        if self.job.role == Role::Exec || overload.water() < Water::High {
            return;
        }
        log::info!(
            "{}: its start is put off, the server is overloaded ({} water)",
            self.job.label,
            overload.water().name()
        );
        overload.wait_for_calm(Moment::after(PUT_OFF));
    }

    /// Whether the next start and its end are told: each, of many failures in a row some.
    fn tells(&self) -> bool {
        let attempt = self.failures.saturating_add(1);
        attempt.is_power_of_two() || attempt.is_multiple_of(FAILURES_TOLD)
    }

    fn tell_start(&self, child: &Child, log: Option<&PathBuf>) {
        if self.tells() {
            let (pid, line) = (child.id(), self.job.shown());
            let log = log.map_or_else(|| "/dev/null".to_owned(), |log| printable(&log.to_string_lossy()));
            log::info!("{}: started pid={pid}, log={log}, {line}", self.job.label);
        }
    }

    fn tell_end(&mut self, child: &Child, status: ExitStatus, lived: Duration, log: Option<&PathBuf>) {
        if lived >= STEADY {
            self.failures = 0;
        }
        let (label, pid, seconds) = (&self.job.label, child.id(), lived.as_secs_f32());
        let times = self.times();
        if status.success() && self.tells() {
            log::info!("{label}: pid={pid} ended after {seconds:.1} s{times}, it starts again");
        } else if self.tells() {
            let reason = log.map_or_else(
                || "no log tells why, ff_log_dir is /dev/null".to_owned(),
                |log| format!("{} should tell why", printable(&log.to_string_lossy())),
            );
            log::warn!("{label}: pid={pid} failed after {seconds:.1} s{times}, {status}; {reason}; it starts again");
        }
        if lived < STEADY {
            self.failures = self.failures.saturating_add(1);
        }
    }

    fn tell_failure(&mut self, error: &io::Error) {
        let program = printable(&self.job.program);
        // Of the program the system tells just a number; what is wrong with a log file has its own text.
        let is_program = error.raw_os_error().is_some();
        let (code, advice) = match error.kind() {
            io::ErrorKind::NotFound if is_program => (
                ErrorCode::FFmpegFork,
                format!("there is no program {program}; install it, or put its path into the configuration"),
            ),
            io::ErrorKind::PermissionDenied if is_program => (
                ErrorCode::FFmpegFork,
                format!("{program} may not be run by this user; see its owner and mode (chmod +x)"),
            ),
            _ if is_program => (ErrorCode::FFmpegFork, format!("{program} cannot be run: {error}")),
            io::ErrorKind::InvalidInput => (ErrorCode::FFmpegFork, "a word of the command holds a NUL".into()),
            _ => (ErrorCode::FFmpegLog, format!("its log cannot be written: {error}")),
        };
        if self.tells() {
            let text = format!("{}: {advice}{}", self.job.label, self.times());
            log::error!("{}", Error::new(code, text).summary());
        }
        self.failures = self.failures.saturating_add(1);
    }

    fn times(&self) -> String {
        match self.failures {
            0 => String::new(),
            before => format!(" ({} times in a row)", before.saturating_add(1)),
        }
    }

    /// In a coroutine that nobody interrupts.
    fn end(self, child: Child, members: [Member; 2]) {
        let grace = self.nursery.grace.get();
        let label = self.job.label.clone();
        drop(self);
        let body = move || {
            let pid = child.id();
            match stop(child, grace) {
                Ok(status) if is_killed(status) => {
                    log::warn!("{label}: pid={pid} did not end within {grace:?} after SIGTERM and was killed");
                }
                Ok(status) => log::info!("{label}: pid={pid} is stopped, {status}"),
                Err(error) => log::warn!("{label}: pid={pid} is not stopped: {error}"),
            }
            drop(members);
        };
        // Without memory for it the child is dropped, which ends it too.
        if let Err(error) = coroutine::spawn_with("child's end", STACK_BYTES, body) {
            log::warn!("no memory for the coroutine that ends a child: {error}");
        }
    }
}

/// SIGTERM, a second one, and SIGKILL. FFmpeg writes the end of its file after the first one if it gets more media; one that
/// waits for its input overlooks it, and leaves at the second one without writing what it has in its buffer.
fn stop(child: Child, grace: Duration) -> io::Result<ExitStatus> {
    let patience = grace / 4;
    child.kill(Signal::SIGTERM)?;
    if let Some(status) = child.wait_until(Moment::after(patience))? {
        return Ok(status);
    }
    child.terminate(grace.saturating_sub(patience))
}

fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::SIGKILL as i32)
}

/// How long after its start's `lived` a child is started again.
fn until_next_look(lived: Duration) -> Duration {
    let look = LOOK.as_micros();
    let late = lived.as_micros() % look;
    Duration::from_micros((look - late).try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::runtime::run;

    fn log() -> FfLog {
        FfLog {
            folder: Some("/logs".into()),
            level: "warning".into(),
        }
    }

    fn job(output: Output) -> Job {
        Job {
            role: Role::Exec,
            label: "test".into(),
            program: "sleep".into(),
            arguments: vec!["60".into()],
            output,
        }
    }

    #[test]
    fn the_log_level_comes_first_and_the_log_is_in_its_folder() {
        let ffmpeg = job(Output::FfLog("a.log".into()));
        let (command, told) = ffmpeg.command(&log());
        assert_eq!(told, Some("/logs/a.log".into()));
        let expected = Command::new("sleep").args(["-loglevel", "warning", "60"]);
        let expected = expected.output("/logs/a.log").errors("/logs/a.log");
        assert_eq!(format!("{command:?}"), format!("{expected:?}"));
        let silent = FfLog {
            folder: None,
            level: String::new(),
        };
        let (command, told) = ffmpeg.command(&silent);
        assert_eq!(told, None);
        assert_eq!(
            format!("{command:?}"),
            format!("{:?}", Command::new("sleep").args(["60"]))
        );
        let (command, told) = job(Output::Files(Some("o".into()), None)).command(&log());
        assert_eq!(told, Some("o".into()));
        let expected = Command::new("sleep").args(["60"]).output("o");
        assert_eq!(format!("{command:?}"), format!("{expected:?}"));
    }

    #[test]
    fn a_child_is_started_again_on_the_next_look() {
        let millis = |lived| until_next_look(Duration::from_millis(lived)).as_millis();
        assert_eq!([millis(0), millis(1), millis(2999)], [3000, 2999, 1]);
        assert_eq!([millis(3000), millis(7000)], [3000, 2000]);
    }

    #[test]
    fn only_so_many_children_run_and_one_makes_room_for_its_successor() {
        run(|| {
            let nursery = Nursery::new(log(), 2, Rc::default());
            let keep = |before| nursery.keep(job(Output::Files(None, None)), before);
            let (first, _second) = (keep(None).unwrap(), keep(None).unwrap());
            let refused = keep(None).err().unwrap();
            assert_eq!(refused.code(), ErrorCode::FFmpegFork);
            assert!(refused.to_string().contains("2 child processes run"), "{refused}");
            let third = keep(Some(first)).unwrap();
            assert!(keep(None).is_err());
            assert_eq!(nursery.of(Role::Exec).len(), 3);
            coroutine::sleep(Duration::from_millis(200));
            assert_eq!(nursery.of(Role::Exec).len(), 2);
            drop((third, _second));
            assert!(nursery.wait_empty(Moment::after(Duration::from_secs(5))));
            assert!(nursery.of(Role::Exec).is_empty());
        })
        .unwrap();
    }
}
