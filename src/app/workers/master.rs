//! The process that the user started, when there are several workers: it starts them, replaces those that die, and hands
//! signals on. It serves nobody itself.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::handover::Office;
use super::seat::Seat;
use super::{MASTER, READY, SOCKETS};
use crate::app::config::Origin;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::inheritance::{self, Bequest};
use crate::core::process::{Child, Command, Signal};
use crate::core::signal::Signals;
use crate::core::sync::Condition;
use crate::core::tcp::TcpStream;
use crate::core::unix;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log as tank;

/// The program that runs, also when its file was replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";
/// How long the first replacement of a worker waits, and the longest pause after replacements that died as well.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A worker that lived for so long was sound.
const SOUND: Duration = Duration::from_secs(10);
/// How long workers may take for a fast quit.
const FAST_QUIT: Duration = Duration::from_secs(30);

/// What a master is to start.
pub struct Plan {
    /// The configuration, for the check before a reload.
    pub origin: Origin,
    /// How the server was started, and how it is handed over.
    pub office: Rc<Office>,
    /// The seat of the first worker.
    pub seat: Seat,
}

/// The master's state.
pub struct Master {
    plan: Plan,
    slots: Vec<Slot>,
    /// Sockets for the workers' first start.
    inherited: RefCell<Vec<Vec<OwnedFd>>>,
    quits: Cell<bool>,
    changed: Condition,
}

/// The place of one worker.
#[derive(Default)]
struct Slot {
    worker: RefCell<Option<Rc<Worker>>>,
    is_ready: Cell<bool>,
    /// Why it ended before it was ready.
    failed: RefCell<Option<String>>,
}

struct Worker {
    child: Child,
    line: TcpStream,
}

impl Worker {
    /// What it listens on.
    fn sockets(&self) -> Result<Vec<OwnedFd>> {
        let what = || format!("ask worker pid={} for its sockets", self.child.id());
        let deadline = Moment::after(MASTER);
        let asked = self.line.write_all(&[SOCKETS]);
        asked.io_wrap(ErrorCode::SocketWrite, what)?;
        let (told, sockets) = unix::receive_descriptors(&self.line, deadline).io_wrap(ErrorCode::SocketRead, what)?;
        match told {
            Some(SOCKETS) => Ok(sockets),
            _ => Err(Error::new(ErrorCode::SocketRead, format!("{}: it is gone", what()))),
        }
    }
}

impl Master {
    /// A master that has started nothing yet. It takes over the sockets that the process has inherited.
    pub fn new(plan: Plan) -> Rc<Self> {
        let count = plan.seat.count;
        Rc::new(Master {
            plan,
            slots: (0..count).map(|_| Slot::default()).collect(),
            inherited: RefCell::new(inheritance::deal(inheritance::take_rest(), count)),
            quits: Cell::new(false),
            changed: Condition::new(),
        })
    }

    /// Starts all workers and waits until they listen. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::StInitialize`] when one ends instead; the others are ended then.
    pub fn start(self: &Rc<Self>) -> Result<()> {
        for number in 0..self.slots.len() {
            let master = self.clone();
            coroutine::spawn(format!("worker {number}"), move || master.keep(number));
        }
        while !self.slots.iter().all(|slot| slot.is_ready.get()) {
            let failed = self.slots.iter().find_map(|slot| slot.failed.take());
            if let Some(failed) = failed {
                self.quit(Signal::SIGTERM);
                self.wait_ended();
                return Err(Error::new(ErrorCode::StInitialize, failed));
            }
            if self.quits.get() {
                break;
            }
            self.changed.wait();
        }
        log::info!("master of {} workers, pids={}", self.slots.len(), self.pids());
        Ok(())
    }

    fn pids(&self) -> String {
        let workers = self.slots.iter().filter_map(|slot| slot.worker.borrow().clone());
        let pids: Vec<String> = workers.map(|worker| worker.child.id().to_string()).collect();
        pids.join(",")
    }

    /// Does what signals say until the workers have ended. Yields.
    pub fn serve(self: &Rc<Self>, signals: Signals) {
        let master = self.clone();
        let steering = coroutine::spawn("signals", move || {
            while let Ok(signal) = signals.recv() {
                log::info!("signal {signal}");
                master.heed(signal);
            }
        });
        self.wait_ended();
        steering.interrupt();
    }

    fn heed(self: &Rc<Self>, signal: Signal) {
        match signal {
            Signal::SIGHUP => match self.plan.origin.load() {
                Ok(loaded) => {
                    if loaded.config.process.workers != self.slots.len() {
                        log::warn!("workers: a reload does not change how many there are");
                    }
                    self.signal_all(signal);
                }
                Err(error) => log::error!("reload failed, the old configuration stays: {error}"),
            },
            Signal::SIGUSR1 => {
                tank::reopen();
                log::info!("log file reopened");
                self.signal_all(signal);
            }
            Signal::SIGUSR2 => {
                let (sockets, retiring) = (self.clone(), self.clone());
                self.plan
                    .office
                    .pass_on(move || sockets.sockets(), move || retiring.quit(Signal::SIGUSR2));
            }
            signal => self.quit(signal),
        }
    }

    /// Ends the server by the workers' own way to end at this signal.
    pub fn quit(self: &Rc<Self>, signal: Signal) {
        self.quits.set(true);
        self.changed.notify_all();
        self.plan.office.leave();
        self.signal_all(signal);
        let is_fast = !matches!(signal, Signal::SIGQUIT | Signal::SIGUSR2) && !self.ends_gracefully();
        if is_fast {
            let master = self.clone();
            coroutine::spawn("fast quit", move || {
                coroutine::sleep(FAST_QUIT);
                log::warn!("workers have not ended after {FAST_QUIT:?}");
                master.signal_all(Signal::SIGKILL);
            });
        }
    }

    /// The listening sockets of all workers.
    fn sockets(&self) -> Result<Vec<OwnedFd>> {
        let mut sockets = Vec::new();
        for worker in self.slots.iter().filter_map(|slot| slot.worker.borrow().clone()) {
            sockets.extend(worker.sockets()?);
        }
        Ok(sockets)
    }

    fn ends_gracefully(&self) -> bool {
        let loaded = self.plan.origin.load();
        loaded.is_ok_and(|loaded| loaded.config.process.force_grace_quit)
    }

    fn signal_all(&self, signal: Signal) {
        for slot in &self.slots {
            let worker = slot.worker.borrow().clone();
            if let Some(Err(error)) = worker.map(|worker| worker.child.kill(signal)) {
                log::warn!("{signal} does not reach a worker: {error}");
            }
        }
    }

    fn wait_ended(&self) {
        let is_left = |slot: &Slot| slot.worker.borrow().is_some();
        while !self.quits.get() || self.slots.iter().any(is_left) {
            self.changed.wait();
        }
    }

    /// One worker after the other in a place, until the server quits.
    fn keep(&self, number: usize) {
        let slot = &self.slots[number];
        let mut pause = PAUSE;
        while !self.quits.get() {
            let begun = Moment::now();
            let ended = match self.run(number) {
                Ok(how) => how,
                Err(error) => error.summary().to_string(),
            };
            let text = format!("worker {number} has ended, {ended}");
            if !slot.is_ready.get() {
                slot.failed.replace(Some(text.clone()));
            }
            self.changed.notify_all();
            // A signal to all processes of a terminal reaches workers first.
            let deadline = Moment::after(PAUSE);
            while !self.quits.get() && self.changed.wait_until(deadline) {}
            if self.quits.get() {
                break;
            }
            if Moment::now().since(begun) >= SOUND {
                pause = PAUSE;
            }
            log::error!("{text}; the next one starts in {pause:?}");
            let deadline = Moment::after(pause);
            while !self.quits.get() && self.changed.wait_until(deadline) {}
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One worker's life; gives how it ended.
    fn run(&self, number: usize) -> Result<String> {
        let (line, theirs) = unix::pair().io_wrap(ErrorCode::PipeCreate, || "line to a worker".into())?;
        let mut inherited = self.inherited.borrow_mut();
        let sockets = inherited.get_mut(number).map(std::mem::take).unwrap_or_default();
        drop(inherited);
        let seat = Seat {
            number,
            ..self.plan.seat.clone()
        };
        let bequest = Bequest {
            sockets: sockets.into_iter().map(Arc::new).collect(),
            line: Some(Arc::new(theirs)),
            pid_file: None,
            role: Some(seat.to_text()),
        };
        let start = self.plan.office.start();
        let command = Command::new(PROGRAM)
            .args(&start.arguments)
            .folder(&start.folder)
            .own_streams()
            .end_with_us(Some(Signal::SIGTERM));
        let child = bequest.to(command).spawn();
        let child = child.io_wrap(ErrorCode::DaemonWaitPid, || format!("start worker {number}"))?;
        let worker = Rc::new(Worker { child, line });
        let slot = &self.slots[number];
        slot.worker.replace(Some(worker.clone()));
        if self.quits.get() {
            let _ = worker.child.kill(Signal::SIGTERM);
        }
        let mut told = [0];
        if matches!(worker.line.read(&mut told), Ok(1..)) && told[0] == READY {
            slot.is_ready.set(true);
            self.changed.notify_all();
            log::info!("worker {number} is ready, pid={}", worker.child.id());
        }
        let ended = worker.child.wait();
        slot.worker.replace(None);
        let status = ended.io_wrap(ErrorCode::DaemonWaitPid, || format!("wait for worker {number}"));
        Ok(format!("pid={}, {}", worker.child.id(), status.wrap("worker")?))
    }
}
