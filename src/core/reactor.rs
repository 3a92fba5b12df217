//! The reactor: one coroutine that turns readiness of descriptors and the passing of time into wakes.
//!
//! All descriptors of the process stand in one epoll set of our own, edge-triggered; that set is itself a descriptor in
//! may's. So every wait is the same [`park`](super::coroutine::park), a coroutine can wait for several things at once
//! (input, a condition, a deadline), and nothing ever resumes on may's timer thread.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use may::io::{CoIo, WaitIo};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::clock::Moment;
use super::coroutine::{self, Task, Wait, Waker};

/// Events taken from the kernel with one call.
const EVENTS: usize = 1024;
/// Keys of the reactor's own descriptors; registered ones count from [`FIRST_KEY`].
const TIMER_KEY: u64 = 0;
const ALARM_KEY: u64 = 1;
const FIRST_KEY: u64 = 2;

/// The worker's thread, from the first coroutine on.
static WORKER: OnceLock<usize> = OnceLock::new();

thread_local! {
    static REACTOR: RefCell<Option<Rc<Reactor>>> = const { RefCell::new(None) };
}

/// Readiness of one descriptor and who waits for it.
pub(super) struct Slot {
    key: u64,
    pub(super) readable: Cell<bool>,
    pub(super) writable: Cell<bool>,
    /// The peer closed or reset: the end stays readable for ever.
    pub(super) hung_up: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
}

impl Slot {
    fn new(key: u64) -> Self {
        Slot {
            key,
            // Unknown is ready: the first call asks the kernel.
            readable: Cell::new(true),
            writable: Cell::new(true),
            hung_up: Cell::new(false),
            reader: RefCell::new(None),
            writer: RefCell::new(None),
        }
    }

    fn dispatch(&self, events: EpollFlags) {
        let ended = EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        if events.intersects(ended | EpollFlags::EPOLLRDHUP) {
            self.hung_up.set(true);
        }
        if events.intersects(ended | EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLPRI) {
            self.readable.set(true);
            wake(&self.reader);
        }
        if events.intersects(ended | EpollFlags::EPOLLOUT) {
            self.writable.set(true);
            wake(&self.writer);
        }
    }

    /// Waits until readable or `deadline`; gives whether it is readable. Yields.
    pub(super) fn wait_readable(&self, deadline: Moment) -> io::Result<bool> {
        wait(Wait::Read, &self.readable, &self.reader, deadline)
    }

    /// As [`Slot::wait_readable`], for a descriptor that connections come from.
    pub(super) fn wait_acceptable(&self) -> io::Result<bool> {
        wait(Wait::Accept, &self.readable, &self.reader, Moment::NEVER)
    }

    /// Waits until writable or `deadline`; gives whether it is writable. Yields.
    pub(super) fn wait_writable(&self, deadline: Moment) -> io::Result<bool> {
        wait(Wait::Write, &self.writable, &self.writer, deadline)
    }

    /// Has `waker` woken when input comes, until [`Slot::forget_reader`].
    pub(super) fn watch_readable(&self, waker: Waker) {
        self.reader.replace(Some(waker));
    }

    pub(super) fn forget_reader(&self) {
        self.reader.replace(None);
    }
}

fn wake(waiter: &RefCell<Option<Waker>>) {
    if let Some(waker) = &*waiter.borrow() {
        waker.wake();
    }
}

fn wait(reason: Wait, flag: &Cell<bool>, waiter: &RefCell<Option<Waker>>, deadline: Moment) -> io::Result<bool> {
    while !flag.get() {
        if coroutine::is_interrupted() {
            // A caller that tries again and again must not stop the server.
            coroutine::yield_now();
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "interrupted"));
        }
        if Moment::now() >= deadline {
            return Ok(false);
        }
        // One that watches goes on watching.
        let watcher = waiter.replace(Some(Waker::current()));
        coroutine::park_for(reason, deadline);
        waiter.replace(watcher);
        if std::thread::panicking() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "unwinding"));
        }
    }
    Ok(true)
}

/// A descriptor in the reactor's set; leaves it when dropped.
pub(super) struct Registration {
    pub(super) slot: Rc<Slot>,
    fd: RawFd,
}

impl Registration {
    /// Adds a non-blocking descriptor. The caller keeps it open as long as this lives.
    pub(super) fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let reactor = current();
        let slot = reactor.slots.borrow_mut().insert();
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        if let Err(error) = reactor.epoll.add(fd, EpollEvent::new(flags, slot.key)) {
            reactor.slots.borrow_mut().remove(slot.key);
            return Err(error.into());
        }
        Ok(Registration {
            slot,
            fd: fd.as_raw_fd(),
        })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let reactor = current();
        // SAFETY: the owner of the descriptor holds this registration and drops it before it closes the descriptor.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        // Fails only if the descriptor is gone already, and then the kernel has removed it.
        let _ = reactor.epoll.delete(fd);
        reactor.slots.borrow_mut().remove(self.slot.key);
    }
}

/// Slots by key: the low half is the index, the high half tells apart the users of one index over time.
struct Slots {
    entries: Vec<Option<Rc<Slot>>>,
    free: Vec<usize>,
    generation: u32,
}

impl Slots {
    fn insert(&mut self) -> Rc<Slot> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        self.generation = self.generation.wrapping_add(1);
        let slot = Rc::new(Slot::new(
            (u64::from(self.generation) << 32) | (index as u64 + FIRST_KEY),
        ));
        self.entries[index] = Some(slot.clone());
        slot
    }

    fn index(key: u64) -> usize {
        (key & 0xffff_ffff).saturating_sub(FIRST_KEY) as usize
    }

    fn get(&self, key: u64) -> Option<Rc<Slot>> {
        self.entries
            .get(Self::index(key))?
            .as_ref()
            .filter(|slot| slot.key == key)
            .cloned()
    }

    fn remove(&mut self, key: u64) {
        let index = Self::index(key);
        self.entries[index] = None;
        self.free.push(index);
    }
}

/// One timer: a coroutine to look at when the moment has come. Earliest first in the heap.
struct Timer {
    moment: Moment,
    task: Rc<Task>,
}

impl Timer {
    /// Whether an earlier entry took this one's place.
    fn is_stale(&self) -> bool {
        self.task.armed.get() != self.moment
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.moment == other.moment
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.moment.cmp(&other.moment)
    }
}

struct Reactor {
    epoll: Epoll,
    timer: TimerFd,
    alarm: EventFd,
    slots: RefCell<Slots>,
    timers: RefCell<BinaryHeap<Reverse<Timer>>>,
    stale: Cell<usize>,
    /// What the kernel's timer is set to.
    kernel_alarm: Cell<Moment>,
    /// When it rings: at once if that has passed already.
    rings: Cell<Moment>,
    /// The latest that it was heard since somebody asked.
    lag: Cell<Duration>,
    deferred: RefCell<Vec<Waker>>,
}

impl Reactor {
    fn new() -> io::Result<Rc<Self>> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        let alarm = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(timer.as_fd(), EpollEvent::new(flags, TIMER_KEY))?;
        epoll.add(alarm.as_fd(), EpollEvent::new(flags, ALARM_KEY))?;
        Ok(Rc::new(Reactor {
            epoll,
            timer,
            alarm,
            slots: RefCell::new(Slots {
                entries: Vec::new(),
                free: Vec::new(),
                generation: 0,
            }),
            timers: RefCell::new(BinaryHeap::new()),
            stale: Cell::new(0),
            kernel_alarm: Cell::new(Moment::NEVER),
            rings: Cell::new(Moment::NEVER),
            lag: Cell::default(),
            deferred: RefCell::new(Vec::new()),
        }))
    }

    /// The reactor coroutine's life. Its own wait is may's, on the worker.
    fn serve(&self, wait: &CoIo<OwnedFd>) {
        let mut events = vec![EpollEvent::empty(); EVENTS];
        loop {
            wait.wait_io();
            assert_thread();
            coroutine::begin_turn();
            loop {
                let count = match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
                    Ok(count) => count,
                    // Events may be there, and nothing would tell of them again.
                    Err(Errno::EINTR) => continue,
                    Err(error) => panic!("the epoll set failed: {error}"),
                };
                for event in &events[..count] {
                    self.dispatch(event);
                }
                if count < EVENTS {
                    break;
                }
            }
            let deferred = self.deferred.take();
            for waker in deferred {
                waker.wake();
            }
        }
    }

    fn dispatch(&self, event: &EpollEvent) {
        match event.data() {
            TIMER_KEY => self.fire(),
            // Edge-triggered: each write of the alarm is a new event, so its count need not be read.
            ALARM_KEY => {}
            key => {
                let slot = self.slots.borrow().get(key);
                if let Some(slot) = slot {
                    slot.dispatch(event.events());
                }
            }
        }
    }

    fn fire(&self) {
        self.kernel_alarm.set(Moment::NEVER);
        let now = Moment::now();
        self.lag.set(self.lag.get().max(now.since(self.rings.get())));
        let mut timers = self.timers.borrow_mut();
        while let Some(Reverse(timer)) = timers.peek() {
            if timer.moment > now {
                break;
            }
            let Some(Reverse(timer)) = timers.pop() else { break };
            if timer.is_stale() {
                self.stale.set(self.stale.get().saturating_sub(1));
                continue;
            }
            let wanted = timer.task.deadline.get();
            if wanted <= now {
                timer.task.armed.set(Moment::NEVER);
                timer.task.wake();
            } else {
                // The wait that armed it is over; a later one, if any, has its own deadline.
                timer.task.armed.set(wanted);
                if wanted != Moment::NEVER {
                    timers.push(Reverse(Timer {
                        moment: wanted,
                        task: timer.task,
                    }));
                }
            }
        }
        if let Some(Reverse(next)) = timers.peek() {
            self.set_kernel_alarm(next.moment);
        }
    }

    fn arm(&self, task: &Rc<Task>) {
        let deadline = task.deadline.get();
        if deadline >= task.armed.get() {
            return;
        }
        let mut timers = self.timers.borrow_mut();
        if task.armed.get() != Moment::NEVER {
            self.stale.set(self.stale.get() + 1);
        }
        task.armed.set(deadline);
        timers.push(Reverse(Timer {
            moment: deadline,
            task: task.clone(),
        }));
        if self.stale.get() > 64 && self.stale.get() > timers.len() / 2 {
            timers.retain(|Reverse(timer)| !timer.is_stale());
            self.stale.set(0);
        }
        drop(timers);
        if deadline < self.kernel_alarm.get() {
            self.set_kernel_alarm(deadline);
        }
    }

    fn set_kernel_alarm(&self, moment: Moment) {
        self.kernel_alarm.set(moment);
        let now = Moment::now();
        self.rings.set(moment.max(now));
        // Zero would disarm the timer.
        let delay = moment.since(now).max(Duration::from_micros(1));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(delay));
        // Cannot fail for a valid descriptor and a positive time.
        let _ = self.timer.set(expiration, TimerSetTimeFlags::empty());
    }
}

/// Records the worker's thread and starts its reactor; later calls do nothing. Called by the first coroutine.
pub(super) fn start() -> io::Result<()> {
    WORKER.get_or_init(thread_id);
    assert_thread();
    if REACTOR.with_borrow(Option::is_some) {
        return Ok(());
    }
    let reactor = Reactor::new()?;
    REACTOR.replace(Some(reactor.clone()));
    // A duplicate, so that may's registration and ours each own a descriptor.
    let epoll = reactor.epoll.0.try_clone()?;
    coroutine::spawn(coroutine::REACTOR, move || match CoIo::new(epoll) {
        Ok(wait) => reactor.serve(&wait),
        Err(_) => panic!("the epoll set cannot be waited for"),
    });
    Ok(())
}

/// The calling thread; asked of the C library each time, since a thread local may be cached over a switch.
#[inline]
fn thread_id() -> usize {
    // SAFETY: no preconditions. The type is a pointer with some C libraries.
    unsafe { libc::pthread_self() as usize }
}

/// Whether the calling thread is the worker.
#[inline]
pub(super) fn is_worker() -> bool {
    WORKER.get() == Some(&thread_id())
}

/// # Panics
/// On any thread but the worker.
#[inline]
pub(super) fn assert_thread() {
    assert!(
        is_worker(),
        "coroutine code runs outside the worker thread: a wait of may's own was called"
    );
}

/// As [`assert_thread`], for where a panic would unwind through values of the worker: ends the process.
pub(super) fn stay_on_thread() {
    if !is_worker() {
        eprintln!("a coroutine left the worker thread: a wait of may's own was called");
        std::process::abort();
    }
}

fn current() -> Rc<Reactor> {
    REACTOR
        .with_borrow(|reactor| reactor.clone())
        .expect("used outside core::runtime::run")
}

/// Sees to it that the task's wait ends at its deadline.
pub(super) fn arm(task: &Rc<Task>) {
    if task.deadline.get() < task.armed.get() {
        current().arm(task);
    }
}

/// Takes an ended task out of the timers' sight, so that it does not stay in memory until its last deadline.
pub(super) fn disarm(task: &Task) {
    if task.armed.replace(Moment::NEVER) != Moment::NEVER {
        let reactor = current();
        reactor.stale.set(reactor.stale.get() + 1);
    }
}

/// See [`super::runtime::take_lag`].
pub(super) fn take_lag() -> Duration {
    current().lag.take()
}

/// Wakes the coroutine after the kernel has been asked for events once more.
pub(super) fn defer(waker: Waker) {
    let reactor = current();
    let mut deferred = reactor.deferred.borrow_mut();
    if deferred.is_empty() {
        // Fails only when the count would overflow, and then the event stands already.
        let _ = reactor.alarm.write(1);
    }
    deferred.push(waker);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::coroutine::{sleep, spawn};
    use crate::core::runtime::run;
    use crate::core::sync::Condition;

    #[test]
    fn no_timer_is_early_or_lost_and_stale_ones_do_not_pile_up() {
        run(|| {
            let sleepers: Vec<_> = (0..2000)
                .map(|seed| {
                    spawn("sleeper", move || {
                        let mut random = fastrand::Rng::with_seed(seed);
                        let never = Condition::new();
                        for _ in 0..10 {
                            let delay = Duration::from_micros(random.u64(..20_000));
                            let started = Moment::now();
                            if random.bool() {
                                sleep(delay);
                            } else {
                                assert!(!never.wait_until(started + delay));
                            }
                            assert!(Moment::now().since(started) >= delay);
                        }
                    })
                })
                .collect();
            for sleeper in sleepers {
                sleeper.join().unwrap();
            }
            // Long deadlines that are never reached, each followed by a short one that needs an entry of its own.
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    spawn("short and long", || {
                        for _ in 0..50 {
                            let condition = Rc::new(Condition::new());
                            let notified = condition.clone();
                            spawn("notifier", move || notified.notify_all());
                            assert!(condition.wait_until(Moment::after(Duration::from_secs(3600))));
                            sleep(Duration::from_micros(100));
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.join().unwrap();
            }
            // 5,000 hour-long entries were made; other tests may have some dozens.
            let count = current().timers.borrow().len();
            assert!(count < 400, "{count} timers");
        })
        .unwrap();
    }

    #[test]
    fn a_watcher_survives_a_wait_on_the_same_slot() {
        run(|| {
            let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
            let registration = Registration::new(event.as_fd()).unwrap();
            let slot = &registration.slot;
            // The first event tells that it is writable.
            coroutine::yield_now();
            slot.watch_readable(Waker::current());
            slot.readable.set(false);
            let soon = Moment::after(Duration::from_millis(2));
            assert!(!slot.wait_readable(soon).unwrap());
            event.write(1).unwrap();
            let late = Moment::after(Duration::from_secs(10));
            coroutine::park(late);
            assert!(slot.readable.get() && Moment::now() < late);
            slot.forget_reader();
        })
        .unwrap();
    }

    #[test]
    fn a_loop_that_is_kept_busy_is_late() {
        run(|| {
            const BUSY: Duration = Duration::from_millis(60);
            spawn("sleeper", || sleep(Duration::from_millis(10)));
            // It has begun to sleep.
            coroutine::yield_now();
            take_lag();
            let until = Moment::after(BUSY);
            while Moment::now() < until {}
            sleep(Duration::from_millis(1));
            let lag = take_lag();
            assert!(lag >= BUSY - Duration::from_millis(11), "{lag:?}");
            // A deadline that has long passed is no lateness of ours.
            Condition::new().wait_until(Moment::default());
            assert!(take_lag() < Moment::now().since(Moment::default()));
        })
        .unwrap();
    }

    #[test]
    fn keys_of_reused_slots_differ() {
        let mut slots = Slots {
            entries: Vec::new(),
            free: Vec::new(),
            generation: u32::MAX - 1,
        };
        let old = slots.insert();
        slots.remove(old.key);
        // The generation wraps here.
        let new = slots.insert();
        assert!(slots.get(old.key).is_none());
        assert_eq!(slots.get(new.key).unwrap().key, new.key);
        assert!(slots.get(TIMER_KEY).is_none() && slots.get(u64::MAX).is_none());
        assert!(new.key >= FIRST_KEY);
    }
}
