//! Runs the jobs of a plan: starts the clients, measures, ends them.

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::time::Duration;

use srs_may::core::clock::Moment;
use srs_may::core::coroutine::{self, JoinHandle, spawn};
use srs_may::core::signal::{Blocked, Signals};
use srs_may::kernel::error::{Error, IoWrap, Result, Wrap};
use srs_may::kernel::error_code::ErrorCode;

use crate::histogram::Histogram;
use crate::observer::{Look, Observer};
use crate::plan::{Address, Job, Plan, Progress, Protocol, Role};
use crate::reel::Reel;
use crate::rtmp::{self, Publication};
use crate::tally::Tally;
use crate::usage::Usage;
use crate::{bandcheck, flv, hls, ts};

/// How often the state of the run is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How often the tool measures its own lag: a sleep of this long should end in time.
const LAG_PROBE: Duration = Duration::from_millis(10);
/// How long clients have to leave at the end.
const GOODBYE: Duration = Duration::from_secs(5);

/// What came of a run.
pub struct Outcome {
    /// Job by job.
    pub jobs: Vec<JobOutcome>,
    /// How long was measured.
    pub window: Duration,
    /// The watched processes.
    pub watched: Option<Watched>,
    /// CPU time of this tool while it measured.
    pub own_cpu: Duration,
    /// Resident memory of this tool at the end, bytes.
    pub own_resident: u64,
    /// How late its timers were while it measured.
    pub lag: Histogram,
}

/// What came of one job.
pub struct JobOutcome {
    /// What it was.
    pub job: Job,
    /// All that was counted.
    pub tally: Rc<Tally>,
    /// Bytes while measuring.
    pub bytes: u64,
    /// Messages while measuring.
    pub messages: u64,
    /// Clients that ran at the end of measuring.
    pub clients: u64,
}

/// What the watched processes used.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// While measuring.
    pub cpu: Duration,
    /// Resident memory before the first player, bytes.
    pub resident_before: u64,
    /// And at the end of measuring.
    pub resident: u64,
}

/// What all coroutines of a run share.
struct Board {
    plan: Plan,
    tallies: Vec<Rc<Tally>>,
    clients: RefCell<Vec<(usize, JoinHandle<()>)>>,
    /// Jobs that still start clients.
    starting: Cell<usize>,
    stopping: Cell<bool>,
    lag: RefCell<Histogram>,
    before_players: Cell<Option<Usage>>,
}

/// Runs it. Yields.
///
/// # Errors
/// An input that cannot be read, a watched process that does not exist; what clients meet is in the outcome.
pub fn run(plan: Plan, blocked: Blocked) -> Result<Outcome> {
    let reels = load_reels(&plan)?;
    let board = Rc::new(Board {
        tallies: plan.jobs.iter().map(|_| Rc::default()).collect(),
        clients: RefCell::default(),
        starting: Cell::new(plan.jobs.len()),
        stopping: Cell::new(false),
        lag: RefCell::default(),
        before_players: Cell::new(None),
        plan,
    });
    board.watched()?;
    let signals = Signals::new(blocked).io_wrap(ErrorCode::PipeCreate, || "read signals".to_owned())?;
    let stopped = board.clone();
    spawn("signals", move || {
        if signals.recv().is_ok() {
            stopped.stopping.set(true);
        }
    });
    let measured = board.clone();
    spawn("lag", move || measured.measure_lag());
    let told = board.clone();
    spawn("progress", move || told.tell());
    for (index, reel) in reels.into_iter().enumerate() {
        let board = board.clone();
        spawn("job", move || board.start_clients(index, reel));
    }
    board.wait(None, || board.starting.get() == 0);
    board.wait(Some(board.plan.warm_up), || board.is_idle());
    let outcome = board.measure()?;
    board.end_clients();
    Ok(outcome)
}

/// The media of each publishing job.
fn load_reels(plan: &Plan) -> Result<Vec<Option<Rc<Reel>>>> {
    let load = |job: &Job| match &job.role {
        Role::Publish { film, .. } => Reel::load(film).map(|reel| Some(Rc::new(reel))),
        _ => Ok(None),
    };
    plan.jobs.iter().map(load).collect()
}

impl Board {
    fn watched(&self) -> Result<Option<Usage>> {
        if self.plan.watch.is_empty() {
            return Ok(None);
        }
        let usage = Usage::of(&self.plan.watch);
        let what = || format!("watch {:?}", self.plan.watch);
        usage.io_wrap(ErrorCode::ConfigInvalid, what).map(Some)
    }

    /// Waits until it is so, the run is stopped or the time is over.
    fn wait(&self, limit: Option<Duration>, is_so: impl Fn() -> bool) {
        let end = limit.map_or(Moment::NEVER, Moment::after);
        while !is_so() && !self.stopping.get() && Moment::now() < end {
            coroutine::sleep(LOOK.min(end.since(Moment::now())));
        }
    }

    /// Whether no client is left.
    fn is_idle(&self) -> bool {
        self.starting.get() == 0 && self.tallies.iter().all(|tally| tally.running.get() == 0)
    }

    fn start_clients(self: &Rc<Self>, index: usize, reel: Option<Rc<Reel>>) {
        let job = &self.plan.jobs[index];
        self.wait(Some(job.delay), || false);
        if job.plays() && self.before_players.get().is_none() {
            self.before_players.set(self.watched().ok().flatten());
        }
        let start = Moment::now();
        for number in 0..job.clients {
            let due = Duration::from_secs(number as u64) / job.rate;
            let early = due.saturating_sub(Moment::now().since(start));
            if !early.is_zero() {
                coroutine::sleep(early);
            }
            if self.stopping.get() {
                break;
            }
            let (board, reel) = (self.clone(), reel.clone());
            let client = spawn("client", move || board.be_client(index, number, reel));
            self.clients.borrow_mut().push((index, client));
        }
        self.starting.set(self.starting.get() - 1);
    }

    /// One client's life.
    fn be_client(&self, index: usize, number: usize, reel: Option<Rc<Reel>>) {
        let (job, tally) = (&self.plan.jobs[index], &self.tallies[index]);
        Tally::add(&tally.started, 1);
        Tally::add(&tally.running, 1);
        let ended = job
            .address(number)
            .and_then(|address| serve(job, number, &address, tally, reel));
        tally.running.set(tally.running.get() - 1);
        if let Err(error) = ended
            && !self.stopping.get()
        {
            tally.fail(&error.summary());
        }
    }

    fn measure(&self) -> Result<Outcome> {
        for tally in &self.tallies {
            for histogram in [&tally.latency, &tally.sent_late, &tally.fetch] {
                histogram.take();
            }
            tally.stalled.take();
        }
        self.lag.take();
        let before: Vec<(u64, u64)> = self
            .tallies
            .iter()
            .map(|tally| (tally.bytes.get(), tally.messages.get()))
            .collect();
        let (start, own, watched) = (Moment::now(), Usage::ours(), self.watched()?);
        self.wait(self.plan.time, || self.is_idle());
        let (own_after, watched_after) = (Usage::ours(), self.watched().ok().flatten());
        let window = Moment::now().since(start);
        let jobs = self.plan.jobs.iter().zip(&self.tallies).zip(before);
        Ok(Outcome {
            jobs: jobs
                .map(|((job, tally), (bytes, messages))| JobOutcome {
                    job: job.clone(),
                    tally: tally.clone(),
                    bytes: tally.bytes.get() - bytes,
                    messages: tally.messages.get() - messages,
                    clients: tally.running.get(),
                })
                .collect(),
            window,
            watched: watched.zip(watched_after).map(|(before, after)| Watched {
                cpu: after.cpu.saturating_sub(before.cpu),
                resident_before: self.before_players.get().unwrap_or(before).resident,
                resident: after.resident,
            }),
            own_cpu: own_after.cpu.saturating_sub(own.cpu),
            own_resident: own_after.resident,
            lag: self.lag.take(),
        })
    }

    /// Players first: a publisher that leaves would end their streams.
    fn end_clients(&self) {
        self.stopping.set(true);
        let clients = self.clients.take();
        let (players, others): (Vec<_>, Vec<_>) = clients
            .into_iter()
            .partition(|(index, _)| self.plan.jobs[*index].plays());
        let deadline = Moment::after(GOODBYE);
        for group in [players, others] {
            group.iter().for_each(|(_, client)| client.interrupt());
            for (_, client) in group {
                client.wait_for(deadline.since(Moment::now()));
            }
        }
    }

    fn measure_lag(&self) {
        while !self.stopping.get() {
            let due = Moment::after(LAG_PROBE);
            coroutine::sleep(LAG_PROBE);
            self.lag.borrow_mut().record(Moment::now().since(due));
        }
    }

    fn tell(&self) {
        let is_line = self.plan.progress == Progress::Lines;
        let is_written_over = self.plan.progress == Progress::Auto && io::stderr().is_terminal();
        if !is_line && !is_written_over {
            return;
        }
        let mut before: Vec<u64> = vec![0; self.tallies.len()];
        let start = Moment::now();
        while !self.stopping.get() {
            coroutine::sleep(Duration::from_secs(1));
            let mut line = format!("{:4} s", Moment::now().since(start).as_secs());
            for ((job, tally), before) in self.plan.jobs.iter().zip(&self.tallies).zip(&mut before) {
                let bytes = tally.bytes.get();
                let rate = (bytes - std::mem::replace(before, bytes)) as f64 * 8.0 / 1e6;
                line += &format!(
                    "  {}: {} of {}, {rate:.1} Mb/s, {} failed",
                    job.name,
                    tally.running.get(),
                    job.clients,
                    tally.failed.get()
                );
                let faults = tally.fault_count();
                if faults > 0 {
                    line += &format!(", {faults} faults");
                }
            }
            let mut out = io::stderr();
            // Nothing is lost if nobody reads it.
            let _ = if is_line {
                writeln!(out, "{line}")
            } else {
                write!(out, "\r\x1b[K{line}")
            };
        }
        if is_written_over {
            eprintln!();
        }
    }
}

fn serve(job: &Job, number: usize, address: &Address, tally: &Rc<Tally>, reel: Option<Rc<Reel>>) -> Result<()> {
    let way = &job.way;
    match (&job.role, address) {
        (Role::Publish { stamp, .. }, Address::Rtmp(url)) => {
            let reel = reel.ok_or_else(|| Error::new(ErrorCode::SystemAssert, "no media to publish"))?;
            let publication = Publication {
                reel,
                stamp: *stamp,
                tally: tally.clone(),
            };
            rtmp::publish(way, url, number, publication)
        }
        (Role::Bandcheck, Address::Rtmp(_)) => bandcheck::run(way, job.url(), number, tally).wrap("bandcheck"),
        (
            Role::Play {
                protocol,
                verify,
                max_gap,
            },
            address,
        ) => {
            let look = Look {
                verify: *verify,
                max_gap: *max_gap,
                in_order: matches!(protocol, Protocol::Rtmp | Protocol::Flv),
            };
            let observer = Observer::new(tally.clone(), look, Moment::now());
            match (protocol, address) {
                (Protocol::Rtmp, Address::Rtmp(url)) => rtmp::play(way, url, number, observer),
                (Protocol::Flv, Address::Http(url)) => flv::play(way, url, number, observer),
                (Protocol::Ts, Address::Http(url)) => ts::play(way, url, number, observer),
                (Protocol::Hls, Address::Http(url)) => hls::play(way, url, number, observer),
                _ => Err(mismatch()),
            }
        }
        _ => Err(mismatch()),
    }
}

fn mismatch() -> Error {
    Error::new(ErrorCode::SystemAssert, "the URL does not fit the protocol")
}
