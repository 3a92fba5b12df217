//! Work that blocks, off the worker's thread: disks, names, child processes.
//!
//! Each [`Class`] has its own threads, so that a hung name server never delays a disk and the other way round. Threads
//! start on demand and end when idle (with one exception). A finished job puts its number in a list and writes an eventfd; one coroutine waits
//! for that and wakes those whose jobs are done.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::SigSet;

use super::clock::Moment;
use super::coroutine::{self, Waker};
use super::id::ContextId;
use super::limits;
use super::reactor::Registration;

/// How long a thread waits for more work before it ends, save those of [`Class::Process`].
const IDLE: Duration = Duration::from_secs(10);
/// What a waiting job costs beside the bytes that it carries, about.
const JOB_BYTES: usize = 256;

/// Which threads do the work. What hangs in one class delays only that class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Files: media segments, recordings, playlists, static files.
    Disk,
    /// Name resolution.
    Resolver,
    /// Starting child processes. Its threads never end: the system takes the end of the thread that started a child
    /// for the end of its parent.
    Process,
    /// Log file and console.
    Log,
    /// Work that keeps a processor busy, such as audio transcoding.
    Compute,
}

static POOLS: [Pool; 5] = [
    Pool::new("disk", 4),
    Pool::new("resolver", 8),
    Pool::lasting("process", 2),
    Pool::new("log", 2),
    Pool::new("compute", 2),
];

/// Why a job gave no value.
#[derive(Debug)]
pub enum Unfinished {
    /// The waiting coroutine was interrupted; the job is done all the same, its value is dropped.
    Interrupted,
    /// The job panicked with this text.
    Panicked(String),
    /// Too much waits already; the job was not taken.
    Full,
    /// No thread could be started; the job was not taken.
    NoThread(io::Error),
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfinished::Interrupted => f.write_str("interrupted"),
            Unfinished::Panicked(text) => write!(f, "panic: {text}"),
            Unfinished::Full => f.write_str("too many jobs wait"),
            Unfinished::NoThread(error) => write!(f, "no thread: {error}"),
        }
    }
}

impl std::error::Error for Unfinished {}

impl From<Unfinished> for io::Error {
    fn from(unfinished: Unfinished) -> Self {
        let kind = match &unfinished {
            Unfinished::Interrupted => io::ErrorKind::ConnectionAborted,
            Unfinished::Panicked(_) => io::ErrorKind::Other,
            Unfinished::Full => io::ErrorKind::ResourceBusy,
            Unfinished::NoThread(error) => error.kind(),
        };
        io::Error::new(kind, unfinished)
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Runs `work` on a thread of the class and gives its value. Jobs of one class run side by side, in no order. Yields.
///
/// # Errors
/// See [`Unfinished`]. `Full` when [`limits::OFFLOAD_JOBS`] jobs of the class wait.
///
/// # Panics
/// Outside a coroutine.
pub fn offload<T, F>(class: Class, work: F) -> Result<T, Unfinished>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (ticket, job) = Ticket::issue(work)?;
    class.pool().push_job(job)?;
    ticket.redeem()
}

/// Runs `work` on a thread of the class; nobody waits for it, and its panic is lost. Any thread may call this.
///
/// # Errors
/// `Full` when [`limits::OFFLOAD_JOBS`] jobs of the class wait, or `NoThread`.
pub fn post(class: Class, work: impl FnOnce() + Send + 'static) -> Result<(), Unfinished> {
    class.pool().push_job(detached(work))
}

/// How many jobs and lanes of the class wait for a thread.
pub fn waiting(class: Class) -> usize {
    lock(&class.pool().state).queue.len()
}

impl Class {
    fn pool(self) -> &'static Pool {
        &POOLS[self as usize]
    }
}

/// Jobs that run one after the other, in the order given; for instance all writes to one file. Clones are the same lane.
/// Dropping it lets the jobs given so far run.
#[derive(Clone)]
pub struct Lane(Arc<LaneState>);

struct LaneState {
    class: Class,
    backlog_bytes: usize,
    queue: Mutex<LaneQueue>,
}

#[derive(Default)]
struct LaneQueue {
    /// Each with its cost in bytes.
    jobs: VecDeque<(usize, Job)>,
    /// Cost of all jobs that have not ended.
    bytes: usize,
    count: usize,
    /// Whether the pool's queue or a thread holds this lane.
    scheduled: bool,
}

impl Lane {
    /// A lane on the threads of `class` that lets jobs of about `backlog_bytes` wait.
    pub fn new(class: Class, backlog_bytes: usize) -> Self {
        Lane(Arc::new(LaneState {
            class,
            backlog_bytes,
            queue: Mutex::default(),
        }))
    }

    /// Runs `work` after all that the lane was given before, and gives its value. Yields.
    ///
    /// # Errors
    /// See [`Unfinished`].
    ///
    /// # Panics
    /// Outside a coroutine.
    pub fn run<T, F>(&self, work: F) -> Result<T, Unfinished>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (ticket, job) = Ticket::issue(work)?;
        self.push(0, job)?;
        ticket.redeem()
    }

    /// Gives the lane work that nobody waits for and that holds `bytes` bytes of data. Any thread may call this.
    ///
    /// # Errors
    /// `Full` when the bytes would exceed the lane's backlog and it is not empty, or `NoThread`.
    pub fn post(&self, bytes: usize, work: impl FnOnce() + Send + 'static) -> Result<(), Unfinished> {
        self.push(bytes, detached(work))
    }

    /// How many jobs have not ended.
    pub fn waiting(&self) -> usize {
        lock(&self.0.queue).count
    }

    /// How many bytes those jobs hold, about.
    pub fn waiting_bytes(&self) -> usize {
        lock(&self.0.queue).bytes
    }

    fn push(&self, bytes: usize, job: Job) -> Result<(), Unfinished> {
        let cost = bytes.saturating_add(JOB_BYTES);
        let mut queue = lock(&self.0.queue);
        let total = queue.bytes.saturating_add(cost);
        if total > self.0.backlog_bytes && queue.count > 0 {
            return Err(Unfinished::Full);
        }
        if !queue.scheduled {
            // Within the lock: a thread that takes the lane at once waits here until the job is in. The pool's lock is
            // never held while this one is asked for.
            self.0.class.pool().push(Entry::Lane(self.0.clone()))?;
            queue.scheduled = true;
        }
        queue.bytes = total;
        queue.count += 1;
        queue.jobs.push_back((cost, job));
        Ok(())
    }
}

impl LaneState {
    /// Runs the first job; gives whether there are more.
    fn run_one(&self) -> bool {
        let first = lock(&self.queue).jobs.pop_front();
        let cost = first.map(|(cost, job)| {
            job();
            cost
        });
        let mut queue = lock(&self.queue);
        if let Some(cost) = cost {
            queue.bytes = queue.bytes.saturating_sub(cost);
            queue.count = queue.count.saturating_sub(1);
        }
        queue.scheduled = !queue.jobs.is_empty();
        queue.scheduled
    }
}

/// The threads of one class and what waits for them.
struct Pool {
    name: &'static str,
    threads_max: usize,
    keeps_threads: bool,
    state: Mutex<PoolState>,
    filled: Condvar,
}

struct PoolState {
    queue: VecDeque<Entry>,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
}

enum Entry {
    Job(Job),
    Lane(Arc<LaneState>),
}

impl Pool {
    const fn new(name: &'static str, threads_max: usize) -> Self {
        Self::with(name, threads_max, false)
    }

    const fn lasting(name: &'static str, threads_max: usize) -> Self {
        Self::with(name, threads_max, true)
    }

    const fn with(name: &'static str, threads_max: usize, keeps_threads: bool) -> Self {
        Pool {
            name,
            threads_max,
            keeps_threads,
            state: Mutex::new(PoolState {
                queue: VecDeque::new(),
                threads: 0,
                idle: 0,
            }),
            filled: Condvar::new(),
        }
    }

    fn push_job(&'static self, job: Job) -> Result<(), Unfinished> {
        if lock(&self.state).queue.len() >= limits::OFFLOAD_JOBS {
            return Err(Unfinished::Full);
        }
        self.push(Entry::Job(job))
    }

    fn push(&'static self, entry: Entry) -> Result<(), Unfinished> {
        let mut state = lock(&self.state);
        state.queue.push_back(entry);
        if state.queue.len() > state.idle && state.threads < self.threads_max {
            let thread = std::thread::Builder::new()
                .name(self.name.into())
                .stack_size(limits::THREAD_STACK_BYTES);
            match thread.spawn(|| self.serve()) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    let entry = state.queue.pop_back();
                    drop(state);
                    drop(entry);
                    return Err(Unfinished::NoThread(error));
                }
                // The others get to it.
                Err(_) => {}
            }
        }
        self.filled.notify_one();
        Ok(())
    }

    /// A thread's life.
    fn serve(&'static self) {
        // Signals are for the worker's signalfd. Fails only for an invalid operation.
        let _ = SigSet::all().thread_block();
        let mut state = lock(&self.state);
        loop {
            if let Some(entry) = state.queue.pop_front() {
                drop(state);
                let again = run_entry(entry);
                state = lock(&self.state);
                // At the end, so that one busy lane does not hold up the others.
                state.queue.extend(again);
                continue;
            }
            state.idle += 1;
            let (woken, timeout) = self
                .filled
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.queue.is_empty() && !self.keeps_threads {
                state.threads -= 1;
                return;
            }
        }
    }
}

/// Gives the lane back when it has more jobs.
fn run_entry(entry: Entry) -> Option<Entry> {
    match entry {
        Entry::Job(job) => {
            job();
            None
        }
        Entry::Lane(lane) => lane.run_one().then_some(Entry::Lane(lane)),
    }
}

/// A job must never unwind into its thread.
fn detached(work: impl FnOnce() + Send + 'static) -> Job {
    let context = ContextId::current();
    Box::new(move || {
        context.enter();
        let _ = catch_unwind(AssertUnwindSafe(work));
    })
}

/// A job that somebody waits for: what he holds.
struct Ticket<T> {
    number: u64,
    stage: Arc<Mutex<Stage<T>>>,
}

enum Stage<T> {
    Pending,
    Done(Result<T, String>),
    /// Nobody waits any more: the value is dropped on the pool's thread.
    Abandoned,
}

impl<T: Send + 'static> Ticket<T> {
    fn issue(work: impl FnOnce() -> T + Send + 'static) -> Result<(Self, Job), Unfinished> {
        let finished = start_completions().map_err(Unfinished::NoThread)?;
        let number = WAITERS.with_borrow_mut(|waiters| {
            waiters.last += 1;
            waiters.by_number.insert(waiters.last, Waker::current());
            waiters.last
        });
        let stage = Arc::new(Mutex::new(Stage::Pending));
        let ticket = Ticket {
            number,
            stage: stage.clone(),
        };
        let context = ContextId::current();
        let job = move || {
            context.enter();
            let result = catch_unwind(AssertUnwindSafe(work)).map_err(|payload| coroutine::panic_text(&*payload));
            let mut present = lock(&stage);
            if matches!(*present, Stage::Abandoned) {
                drop(present);
                let _ = catch_unwind(AssertUnwindSafe(|| drop(result)));
                return;
            }
            *present = Stage::Done(result);
            drop(present);
            finished.report(number);
        };
        Ok((ticket, Box::new(job)))
    }

    fn redeem(self) -> Result<T, Unfinished> {
        loop {
            {
                let mut stage = lock(&self.stage);
                if let Stage::Done(result) = std::mem::replace(&mut *stage, Stage::Pending) {
                    return result.map_err(Unfinished::Panicked);
                }
                if coroutine::is_interrupted() || std::thread::panicking() {
                    *stage = Stage::Abandoned;
                    return Err(Unfinished::Interrupted);
                }
            }
            coroutine::park_for(coroutine::Wait::Offload, Moment::NEVER);
        }
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        WAITERS.with_borrow_mut(|waiters| waiters.by_number.remove(&self.number));
    }
}

/// The worker's side: who waits for which job.
#[derive(Default)]
struct Waiters {
    last: u64,
    by_number: HashMap<u64, Waker>,
}

thread_local! {
    static WAITERS: RefCell<Waiters> = RefCell::default();
    static STARTED: Cell<bool> = const { Cell::new(false) };
}

/// The threads' side: which jobs have ended.
struct Finished {
    numbers: Mutex<Vec<u64>>,
    event: EventFd,
}

impl Finished {
    fn report(&self, number: u64) {
        let mut numbers = lock(&self.numbers);
        numbers.push(number);
        if numbers.len() == 1 {
            // Fails only when the counter would overflow, and then the event stands already.
            let _ = self.event.write(1);
        }
    }
}

/// Starts the coroutine that wakes waiters, at the first job.
fn start_completions() -> io::Result<&'static Finished> {
    static FINISHED: OnceLock<Finished> = OnceLock::new();
    let finished = match FINISHED.get() {
        Some(finished) => finished,
        None => {
            let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
            let numbers = Mutex::default();
            FINISHED.get_or_init(|| Finished { numbers, event })
        }
    };
    if !STARTED.get() {
        let registration = Registration::new(finished.event.as_fd())?;
        coroutine::spawn("offload", move || wake_finished(finished, &registration));
        STARTED.set(true);
    }
    Ok(finished)
}

fn wake_finished(finished: &Finished, registration: &Registration) {
    loop {
        // Edge-triggered: each write is a new event, so the count need not be read. Cleared before the list is taken:
        // what is added after that brings an event.
        registration.slot.readable.set(false);
        let numbers = std::mem::take(&mut *lock(&finished.numbers));
        WAITERS.with_borrow(|waiters| {
            for number in numbers {
                if let Some(waker) = waiters.by_number.get(&number) {
                    waker.wake();
                }
            }
        });
        if registration.slot.wait_readable(Moment::NEVER).is_err() {
            return;
        }
    }
}

/// No lock here guards anything that a panic could leave half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::core::coroutine::{sleep, spawn};
    use crate::core::runtime::run;

    #[test]
    fn the_value_comes_back_to_the_worker() {
        run(|| {
            let (here, name) = (
                std::thread::current().id(),
                offload(Class::Disk, || std::thread::current().name().map(str::to_owned)).unwrap(),
            );
            assert_eq!(name.as_deref(), Some("disk"));
            assert_eq!(std::thread::current().id(), here);
        })
        .unwrap();
    }

    #[test]
    fn a_panic_reaches_the_waiter_and_the_pool_lives() {
        run(|| {
            for _ in 0..20 {
                let result = offload(Class::Compute, || -> () { panic!("job {}", 7) });
                assert!(matches!(result, Err(Unfinished::Panicked(text)) if text == "job 7"));
                post(Class::Compute, || panic!("nobody hears")).unwrap();
            }
            assert_eq!(offload(Class::Compute, || 5).unwrap(), 5);
        })
        .unwrap();
    }

    #[test]
    fn an_interrupt_ends_the_wait_and_not_the_job() {
        run(|| {
            let (release, gate) = mpsc::channel::<()>();
            let (done, ended) = mpsc::channel();
            let waiter = spawn("waiter", move || {
                offload(Class::Disk, move || {
                    let _ = gate.recv();
                    done.send(()).unwrap();
                })
            });
            sleep(Duration::from_millis(5));
            waiter.interrupt();
            assert!(matches!(waiter.join().unwrap(), Err(Unfinished::Interrupted)));
            drop(release);
            offload(Class::Compute, move || ended.recv()).unwrap().unwrap();
        })
        .unwrap();
    }

    #[test]
    fn a_lane_keeps_its_order_among_many() {
        run(|| {
            let lanes: Vec<(Lane, Arc<Mutex<Vec<u32>>>)> = (0..20)
                .map(|_| (Lane::new(Class::Disk, 1 << 20), Arc::default()))
                .collect();
            for value in 0..200 {
                for (lane, seen) in &lanes {
                    let seen = seen.clone();
                    lane.post(0, move || lock(&seen).push(value)).unwrap();
                }
            }
            for (lane, seen) in &lanes {
                let seen = seen.clone();
                let seen = lane.run(move || lock(&seen).clone()).unwrap();
                assert_eq!(seen, (0..200).collect::<Vec<_>>());
            }
            // The last job's end is counted just after its value is told.
            let deadline = Moment::after(Duration::from_secs(10));
            while lanes.iter().any(|(lane, _)| lane.waiting() > 0) && Moment::now() < deadline {
                sleep(Duration::from_millis(1));
            }
            assert!(
                lanes
                    .iter()
                    .all(|(lane, _)| (lane.waiting(), lane.waiting_bytes()) == (0, 0))
            );
        })
        .unwrap();
    }

    #[test]
    fn a_lane_refuses_what_exceeds_its_backlog() {
        run(|| {
            let lane = Lane::new(Class::Disk, 10_000);
            let (release, gate) = mpsc::channel::<()>();
            // Larger than the backlog, but nothing else waits.
            lane.post(20_000, move || {
                let _ = gate.recv();
            })
            .unwrap();
            assert!(matches!(lane.post(1, || {}), Err(Unfinished::Full)));
            assert!(matches!(lane.run(|| ()), Err(Unfinished::Full)));
            assert_eq!((lane.waiting(), lane.waiting_bytes()), (1, 20_000 + JOB_BYTES));
            drop(release);
            while lane.waiting() > 0 {
                sleep(Duration::from_millis(1));
            }
            lane.run(|| ()).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn a_hung_class_delays_no_other() {
        run(|| {
            let gates: Vec<mpsc::Sender<()>> = (0..20)
                .map(|_| {
                    let (release, gate) = mpsc::channel();
                    post(Class::Resolver, move || {
                        let _ = gate.recv();
                    })
                    .unwrap();
                    release
                })
                .collect();
            let started = Moment::now();
            for _ in 0..100 {
                offload(Class::Disk, || ()).unwrap();
            }
            assert!(Moment::now().since(started) < Duration::from_secs(2));
            assert!(waiting(Class::Resolver) >= 12);
            drop(gates);
            offload(Class::Resolver, || ()).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn a_job_carries_the_context_id() {
        run(|| {
            let context = ContextId::generate();
            context.enter();
            assert_eq!(offload(Class::Disk, ContextId::current).unwrap(), context);
            assert_eq!(ContextId::current(), context);
        })
        .unwrap();
    }

    #[test]
    fn the_value_of_an_abandoned_job_is_dropped_off_the_worker() {
        struct Tells(mpsc::Sender<std::thread::ThreadId>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.send(std::thread::current().id());
            }
        }
        run(|| {
            let (sender, receiver) = mpsc::channel();
            let (release, gate) = mpsc::channel::<()>();
            let waiter = spawn("waiter", move || {
                offload(Class::Disk, move || {
                    let _ = gate.recv();
                    Tells(sender)
                })
                .is_ok()
            });
            sleep(Duration::from_millis(5));
            waiter.interrupt();
            assert!(!waiter.join().unwrap());
            drop(release);
            let dropper = offload(Class::Compute, move || receiver.recv()).unwrap().unwrap();
            assert_ne!(dropper, std::thread::current().id());
        })
        .unwrap();
    }
}
