//! Which coroutines exist, and what each of them does now.
//!
//! It costs a coroutine 16 bytes in its [`Task`](super::Task) and an entry here, and each wait two stores: why it waits is
//! told by who parks, since when by the turn of the reactor's loop that led to it.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::{CURRENT, Task};
use crate::core::clock::Moment;
use crate::core::id::ContextId;

thread_local! {
    static LIST: RefCell<Vec<Rc<Task>>> = const { RefCell::new(Vec::new()) };
    /// When the reactor last had something to do, ms of the monotonic clock, modulo 2^32.
    static TURN: Cell<u32> = const { Cell::new(0) };
}

/// The name of the reactor's coroutine.
pub(in crate::core) const REACTOR: &str = "reactor";

/// What a coroutine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// What another coroutine tells it, such as media for a player, or input of its peer.
    Event,
    /// Input.
    Read,
    /// Room for output.
    Write,
    /// A connection.
    Accept,
    /// A time.
    Timer,
    /// A condition, a value of a channel, or the end of another coroutine.
    Condition,
    /// A thread that does something for it.
    Offload,
    /// The others: it lets them run first.
    Turn,
}

impl Wait {
    /// The words for users.
    pub fn name(self) -> &'static str {
        match self {
            Wait::Event => "event",
            Wait::Read => "socket read",
            Wait::Write => "socket write",
            Wait::Accept => "accept",
            Wait::Timer => "timer",
            Wait::Condition => "condition",
            Wait::Offload => "offload",
            Wait::Turn => "turn",
        }
    }
}

/// What a coroutine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It runs: it is the one that asks.
    Runs,
    /// It has been woken, or was just spawned, and will run soon.
    Ready,
    /// It waits, since that long; short of the time that a turn of the loop takes.
    Waits(Wait, Duration),
}

/// One coroutine.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its context id; that of the coroutine that spawned it until it has run.
    pub context: ContextId,
    /// What it does.
    pub doing: Doing,
    /// The size of its stack, bytes.
    pub stack_bytes: usize,
    /// Whether somebody has asked it to end.
    pub is_interrupted: bool,
}

/// All coroutines of [`spawn`](super::spawn), in no order.
pub fn list() -> Vec<Snapshot> {
    let now = milliseconds(Moment::now());
    LIST.with_borrow(|list| list.iter().map(|task| snapshot(task, now)).collect())
}

/// How many coroutines exist.
pub fn live_count() -> usize {
    LIST.with_borrow(Vec::len)
}

fn snapshot(task: &Rc<Task>, now: u32) -> Snapshot {
    let runs = CURRENT.with_borrow(|current| current.as_ref().is_some_and(|current| Rc::ptr_eq(current, task)));
    let waited = Duration::from_millis(u64::from(now.wrapping_sub(task.since.get())));
    Snapshot {
        name: task.name.clone(),
        context: if runs { ContextId::current() } else { task.context.get() },
        doing: match (runs, task.parked.get()) {
            (true, _) => Doing::Runs,
            // It waits as may has it, and the one that asks is what it has woken.
            (false, false) if task.name == REACTOR => Doing::Waits(Wait::Event, Duration::ZERO),
            (false, false) => Doing::Ready,
            (false, true) => Doing::Waits(task.wait.get(), waited),
        },
        stack_bytes: task.stack_bytes as usize,
        is_interrupted: task.interrupted.get(),
    }
}

pub(super) fn add(task: &Rc<Task>) {
    LIST.with_borrow_mut(|list| {
        // Every coroutine has memory maps, of which there are fewer.
        task.index.set(u32::try_from(list.len()).unwrap_or(u32::MAX));
        list.push(task.clone());
    });
}

pub(super) fn remove(task: &Task) {
    // What is taken out is dropped after the list is free again.
    let _removed = LIST.with_borrow_mut(|list| {
        let index = task.index.get();
        let removed = list.swap_remove(index as usize);
        if let Some(moved) = list.get(index as usize) {
            moved.index.set(index);
        }
        removed
    });
}

/// The reactor's loop begins a turn.
pub(in crate::core) fn begin_turn() {
    TURN.set(milliseconds(Moment::now()));
}

/// When the present turn began.
pub(super) fn turn() -> u32 {
    TURN.get()
}

fn milliseconds(moment: Moment) -> u32 {
    // The truncation is the documented one.
    (moment.as_micros() / 1000) as u32
}

#[cfg(test)]
mod tests {
    use super::super::{FRAMES, STACK_BYTES, sleep, spawn, yield_now};
    use super::*;
    use crate::core::runtime::run;
    use crate::core::sync::Condition;

    fn found(name: &str) -> Option<Snapshot> {
        list().into_iter().find(|snapshot| snapshot.name == name)
    }

    fn waits_for(name: &str) -> Option<Wait> {
        match found(name)?.doing {
            Doing::Waits(wait, _) => Some(wait),
            _ => None,
        }
    }

    #[test]
    fn everybody_is_listed_with_what_it_waits_for() {
        run(|| {
            let mine = ContextId::generate();
            mine.enter();
            let condition = Rc::new(Condition::new());
            let (waited, theirs) = (condition.clone(), ContextId::generate());
            let sleeper = spawn("sleeper", || sleep(Duration::from_secs(60)));
            let waiter = spawn("waiter", move || {
                theirs.enter();
                waited.wait();
            });
            assert_eq!(
                found("waiter").map(|waiter| (waiter.doing, waiter.context)),
                Some((Doing::Ready, mine))
            );
            // Both wait after the first, and have for a while after the second, on whatever machine.
            sleep(Duration::from_millis(20));
            sleep(Duration::from_millis(20));
            assert_eq!(
                (waits_for("sleeper"), waits_for("waiter")),
                (Some(Wait::Timer), Some(Wait::Condition))
            );
            let waiting = found("waiter").unwrap();
            assert_eq!((waiting.context, waiting.stack_bytes), (theirs, STACK_BYTES * FRAMES));
            assert!(matches!(waiting.doing, Doing::Waits(_, since) if since >= Duration::from_millis(10)));
            let own = list()
                .into_iter()
                .find(|snapshot| snapshot.doing == Doing::Runs)
                .unwrap();
            assert_eq!((&*own.name, own.context), ("main body", mine));
            sleeper.interrupt();
            assert!(found("sleeper").unwrap().is_interrupted);
            condition.notify_all();
            sleeper.join().unwrap();
            waiter.join().unwrap();
            yield_now();
            assert!(found("sleeper").is_none() && found("waiter").is_none());
        })
        .unwrap();
    }

    #[test]
    fn those_that_end_in_any_order_leave_no_entry() {
        run(|| {
            let before = live_count();
            let mut random = fastrand::Rng::with_seed(7);
            let all: Vec<_> = (0..200)
                .map(|_| {
                    let delay = Duration::from_millis(random.u64(0..20));
                    spawn("brief", move || sleep(delay))
                })
                .collect();
            assert_eq!(live_count(), before + 200);
            all.into_iter().for_each(|brief| brief.join().unwrap());
            assert!(list().iter().all(|snapshot| snapshot.name != "brief"));
        })
        .unwrap();
    }

    #[test]
    fn it_costs_a_coroutine_little() {
        // A name, may's handle, two deadlines, the stack's begin and four flags take 64; an entry of the list takes 16 at the
        // most.
        assert!(size_of::<Task>() <= 64 + 16, "{}", size_of::<Task>());
    }
}
