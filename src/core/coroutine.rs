//! Coroutines: spawn, wait, wake, join. Everything that waits in this crate waits in [`park`].
//!
//! # Why this is sound
//! `may` may resume a coroutine on another thread (its own sleep and timed waits do so on its timer thread), therefore it
//! demands `Send` closures. This module runs `may` with one worker, never calls those waits, and compares the thread at
//! every spawn and after every wait; a wrong thread is a panic before any application code runs. So values that are not
//! `Send` never change threads, and the private `AssertSend` states no more than that.

mod list;
mod stack;

use std::any::Any;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use super::clock::Moment;
use super::id::ContextId;
use super::reactor;
use super::sync::Condition;
pub use list::{Doing, Snapshot, Wait, list, live_count};
pub(super) use list::{REACTOR, begin_turn};
pub use stack::trim as trim_stack;

/// Stack of an ordinary coroutine, bytes. Only pages that are touched cost memory (about 8 KB for a player).
pub const STACK_BYTES: usize = 128 << 10;
/// Stack of a coroutine that runs TLS or WebRTC, bytes (a debug build's handshake needs over 128 KB).
pub const LARGE_STACK_BYTES: usize = 512 << 10;
/// Unit tests may be built without optimisation (scripts/test.sh does), where frames are several times larger.
const FRAMES: usize = if cfg!(test) { 4 } else { 1 };

/// How many operations in a row may succeed without waiting before a coroutine lets others run.
const STREAK_MAX: u8 = 64;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Task>>> = const { RefCell::new(None) };
}

/// What the runtime knows of one coroutine.
pub(super) struct Task {
    name: Cow<'static, str>,
    handle: OnceCell<may::coroutine::Coroutine>,
    parked: Cell<bool>,
    interrupted: Cell<bool>,
    streak: Cell<u8>,
    /// What it waits for while parked.
    wait: Cell<Wait>,
    /// Its place in the list of all.
    index: Cell<u32>,
    /// When it was parked, as [`list`] counts.
    since: Cell<u32>,
    stack_bytes: u32,
    /// An address at the stack's upper end, where it begins.
    stack_top: Cell<usize>,
    /// Its context id while it does not run.
    context: Cell<ContextId>,
    /// When the present wait ends at the latest.
    pub(super) deadline: Cell<Moment>,
    /// The entry of the timer heap that stands for this coroutine; never later than `deadline` while waiting.
    pub(super) armed: Cell<Moment>,
}

impl Task {
    pub(super) fn wake(&self) {
        if self.parked.replace(false)
            && let Some(handle) = self.handle.get()
        {
            handle.unpark();
        }
    }
}

/// Wakes one coroutine from its present wait; without effect when it does not wait.
#[derive(Clone)]
pub struct Waker(Rc<Task>);

impl Waker {
    /// The running coroutine's waker.
    ///
    /// # Panics
    /// Outside a coroutine.
    pub fn current() -> Self {
        Waker(current_task())
    }

    /// Makes the coroutine run again soon. A wait may thus end without its reason; waits check theirs in a loop.
    pub fn wake(&self) {
        self.0.wake();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waker({})", self.0.name)
    }
}

/// Why a joined coroutine gave no value: it panicked with this text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked(pub String);

/// A spawned coroutine, to be joined or interrupted; dropping it lets the coroutine go on alone.
pub struct JoinHandle<T> {
    task: Rc<Task>,
    outcome: Rc<Outcome<T>>,
}

struct Outcome<T> {
    value: RefCell<Option<Result<T, Panicked>>>,
    done: Cell<bool>,
    ended: Condition,
}

impl<T> JoinHandle<T> {
    /// Waits for the coroutine's end, whoever interrupts the waiting one; interrupt the other one to hasten it. Yields.
    ///
    /// # Errors
    /// [`Panicked`] when it ended so, or when the waiting coroutine itself unwinds.
    pub fn join(self) -> Result<T, Panicked> {
        while !self.outcome.done.get() {
            if std::thread::panicking() {
                return Err(Panicked("not joined: the joining coroutine unwinds".into()));
            }
            self.outcome.ended.wait_firmly();
        }
        self.outcome
            .value
            .take()
            .unwrap_or_else(|| Err(Panicked("joined twice".into())))
    }

    /// Waits for the end for at most `limit` (less on an interrupt); gives whether it has ended. Yields.
    pub fn wait_for(&self, limit: Duration) -> bool {
        let deadline = Moment::after(limit);
        while !self.outcome.done.get() {
            if !self.outcome.ended.wait_until(deadline) {
                break;
            }
        }
        self.outcome.done.get()
    }

    /// Whether the coroutine has ended.
    pub fn is_done(&self) -> bool {
        self.outcome.done.get()
    }

    /// Asks the coroutine to end: its present and later waits return at once, socket calls with an error of kind
    /// `ConnectionAborted`; [`is_interrupted`] tells it.
    pub fn interrupt(&self) {
        self.task.interrupted.set(true);
        self.task.wake();
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinHandle({})", self.task.name)
    }
}

/// Asserts that a value never leaves the worker thread although `may` wants `Send`; see the module's text.
struct AssertSend<T>(T);

// SAFETY: with one worker, and none of may's timer-thread waits, the closure starts on the worker and stays there;
// `enter_thread` panics before the value is touched anywhere else.
unsafe impl<T> Send for AssertSend<T> {}

impl<T> AssertSend<T> {
    fn into_inner(self) -> T {
        self.0
    }
}

/// Starts a coroutine with the default stack. It inherits the context id and runs after the present one waits.
///
/// # Panics
/// Outside the runtime, or when the system has no memory for its stack.
pub fn spawn<T, F>(name: impl Into<Cow<'static, str>>, body: F) -> JoinHandle<T>
where
    T: 'static,
    F: FnOnce() -> T + 'static,
{
    spawn_with(name, STACK_BYTES, body).expect("no memory for a coroutine's stack")
}

/// Starts a coroutine with a stack of `stack_bytes`.
///
/// # Errors
/// When the system refuses the memory maps of the stack.
pub fn spawn_with<T, F>(name: impl Into<Cow<'static, str>>, stack_bytes: usize, body: F) -> io::Result<JoinHandle<T>>
where
    T: 'static,
    F: FnOnce() -> T + 'static,
{
    reactor::assert_thread();
    let task = Rc::new(Task {
        name: name.into(),
        handle: OnceCell::new(),
        parked: Cell::new(false),
        interrupted: Cell::new(false),
        streak: Cell::new(0),
        wait: Cell::new(Wait::Turn),
        index: Cell::new(0),
        since: Cell::new(list::turn()),
        stack_bytes: u32::try_from(stack_bytes * FRAMES).unwrap_or(u32::MAX),
        stack_top: Cell::new(0),
        context: Cell::new(ContextId::current()),
        deadline: Cell::new(Moment::NEVER),
        armed: Cell::new(Moment::NEVER),
    });
    let outcome = Rc::new(Outcome {
        value: RefCell::new(None),
        done: Cell::new(false),
        ended: Condition::new(),
    });
    let start = AssertSend((task.clone(), outcome.clone(), body));
    let closure = move || {
        reactor::assert_thread();
        let (task, outcome, body) = start.into_inner();
        run_body(task, outcome, body);
    };
    let builder = may::coroutine::Builder::new().stack_size(stack_words(stack_bytes));
    // SAFETY: may asks its callers not to block the thread, not to touch thread locals across a switch and not to
    // overrun the stack. Waits go through `park`, thread locals belong to the one worker, stacks are sized by trial.
    unsafe { builder.spawn(closure) }?;
    list::add(&task);
    Ok(JoinHandle { task, outcome })
}

/// may counts stacks in machine words.
pub(super) fn stack_words(bytes: usize) -> usize {
    bytes * FRAMES / size_of::<usize>()
}

fn run_body<T, F: FnOnce() -> T>(task: Rc<Task>, outcome: Rc<Outcome<T>>, body: F) {
    // The handle is set here and not by the spawner: only inside may tells it.
    let _ = task.handle.set(may::coroutine::current());
    task.context.get().enter();
    task.stack_top.set(stack::depth());
    CURRENT.replace(Some(task));
    let result = catch_unwind(AssertUnwindSafe(body)).map_err(|payload| Panicked(panic_text(&*payload)));
    reactor::stay_on_thread();
    outcome.value.replace(Some(result));
    outcome.done.set(true);
    outcome.ended.notify_all();
    // A value that nobody joins is dropped while there still is a coroutine for it to wait in.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(outcome)));
    if let Some(task) = CURRENT.replace(None) {
        reactor::disarm(&task);
        list::remove(&task);
    }
}

pub(super) fn panic_text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "panic without a text".to_owned()
    }
}

fn current_task() -> Rc<Task> {
    CURRENT
        .with_borrow(|current| current.clone())
        .expect("called outside a coroutine")
}

/// Waits until woken, interrupted, or `deadline`; may also return for no reason. Yields.
///
/// Does not wait while the coroutine is interrupted, it only lets others run: a loop that overlooks the interrupt must not
/// stop the server. Returns at once while the coroutine unwinds from a panic, when it may not be switched.
pub fn park(deadline: Moment) {
    park_for(Wait::Event, deadline);
}

/// As [`park`], for a wait that [`list`] can tell.
pub(super) fn park_for(wait: Wait, deadline: Moment) {
    if is_interrupted() {
        yield_now();
    } else {
        park_firmly(wait, deadline);
    }
}

/// As [`park`], but an interrupt only wakes it and does not keep it from waiting.
pub(super) fn park_firmly(wait: Wait, deadline: Moment) {
    if std::thread::panicking() {
        return;
    }
    let task = CURRENT.with_borrow_mut(Option::take).expect("park outside a coroutine");
    task.context.set(ContextId::current());
    task.wait.set(wait);
    task.since.set(list::turn());
    task.deadline.set(deadline);
    reactor::arm(&task);
    task.parked.set(true);
    task.streak.set(0);
    while task.parked.get() {
        may::coroutine::park();
    }
    reactor::assert_thread();
    task.deadline.set(Moment::NEVER);
    task.context.get().enter();
    CURRENT.replace(Some(task));
}

/// Sleeps for `delay`, or until interrupted. Yields.
pub fn sleep(delay: Duration) {
    let deadline = Moment::after(delay);
    while Moment::now() < deadline && !is_interrupted() && !std::thread::panicking() {
        park_for(Wait::Timer, deadline);
    }
}

/// Lets everything else that is ready run first, sockets included. Yields.
pub fn yield_now() {
    if !std::thread::panicking() {
        reactor::defer(Waker::current());
        park_firmly(Wait::Turn, Moment::NEVER);
    }
}

/// Counts an operation that did not wait; now and then yields, so that one busy peer cannot starve the rest.
pub fn tick() {
    let due = CURRENT.with_borrow(|current| {
        current.as_ref().is_some_and(|task| {
            let streak = task.streak.get() + 1;
            task.streak.set(streak);
            streak >= STREAK_MAX
        })
    });
    if due {
        yield_now();
    }
}

/// Shows the running coroutine's name; false outside one. It may be called wherever the thread was interrupted.
pub fn with_current_name(show: impl FnOnce(&str)) -> bool {
    // Elsewhere the first use of the thread local would allocate.
    if !reactor::is_worker() {
        return false;
    }
    let shown = CURRENT.try_with(|current| match current.try_borrow().as_deref() {
        Ok(Some(task)) => {
            show(&task.name);
            true
        }
        _ => false,
    });
    shown.unwrap_or(false)
}

/// Whether somebody asked the running coroutine to end.
pub fn is_interrupted() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(|task| task.interrupted.get()))
}

/// Fails when somebody asked the running coroutine to end.
pub(super) fn check_interrupt() -> io::Result<()> {
    if is_interrupted() {
        return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "interrupted"));
    }
    Ok(())
}

/// The running coroutine's name; empty outside one.
pub fn name() -> String {
    CURRENT
        .with_borrow(|current| current.as_ref().map(|task| task.name.to_string()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::runtime::run;

    #[test]
    fn an_interrupted_coroutine_still_joins() {
        run(|| {
            let joiner = spawn("joiner", || {
                let other = spawn("other", || sleep(Duration::from_millis(30)));
                let started = Moment::now();
                other.join().unwrap();
                Moment::now().since(started)
            });
            sleep(Duration::from_millis(5));
            joiner.interrupt();
            assert!(joiner.join().unwrap() >= Duration::from_millis(30));
        })
        .unwrap();
    }

    #[test]
    fn a_loop_that_overlooks_its_interrupt_stops_nobody() {
        run(|| {
            let stop = Rc::new(Cell::new(false));
            let (seen, condition) = (stop.clone(), Condition::new());
            let blind = spawn("blind", move || {
                while !seen.get() {
                    condition.wait();
                    sleep(Duration::from_secs(1));
                    park(Moment::NEVER);
                }
            });
            yield_now();
            blind.interrupt();
            sleep(Duration::from_millis(10));
            stop.set(true);
            blind.join().unwrap();
        })
        .unwrap();
    }

    #[test]
    fn a_join_while_unwinding_gives_up() {
        struct Joins(Option<JoinHandle<()>>, Rc<Cell<bool>>);
        impl Drop for Joins {
            fn drop(&mut self) {
                self.1.set(self.0.take().unwrap().join().is_err());
            }
        }
        run(|| {
            let gave_up = Rc::new(Cell::new(false));
            let told = gave_up.clone();
            let unwinding = spawn("unwinding", move || {
                let _joins = Joins(Some(spawn("other", || sleep(Duration::from_secs(1)))), told);
                panic!("as wanted");
            });
            assert_eq!(unwinding.join(), Err(Panicked("as wanted".into())));
            assert!(gave_up.get());
        })
        .unwrap();
    }

    #[test]
    fn a_value_that_nobody_joins_may_wait_in_its_drop() {
        struct Waits(Rc<Cell<bool>>);
        impl Drop for Waits {
            fn drop(&mut self) {
                sleep(Duration::from_millis(1));
                self.0.set(true);
            }
        }
        run(|| {
            let dropped = Rc::new(Cell::new(false));
            let told = dropped.clone();
            drop(spawn("unjoined", move || Waits(told)));
            let deadline = Moment::after(Duration::from_secs(10));
            while !dropped.get() && Moment::now() < deadline {
                sleep(Duration::from_millis(1));
            }
            assert!(dropped.get());
        })
        .unwrap();
    }
}
