//! Waiting for each other: condition, bounded channel, wait group. All on one thread, so no locks.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::clock::Moment;
use super::coroutine::{self, Wait, Waker};

/// A place to wait until somebody notifies; check the reason in a loop.
#[derive(Default)]
pub struct Condition {
    waiters: RefCell<VecDeque<Rc<Waiter>>>,
    /// How many of them have left.
    left: Cell<usize>,
}

struct Waiter {
    waker: Waker,
    state: Cell<WaiterState>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WaiterState {
    Waiting,
    Notified,
    /// It gave up; its entry is taken out later, since looking for it costs as much as there are waiters.
    Left,
}

impl Condition {
    /// Nobody waits yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for a notification (or an interrupt). Yields.
    pub fn wait(&self) {
        self.wait_until(Moment::NEVER);
    }

    /// Waits for a notification until `deadline` (or an interrupt); gives whether one came. Yields.
    pub fn wait_until(&self, deadline: Moment) -> bool {
        let waiter = self.enter();
        while waiter.state.get() == WaiterState::Waiting {
            coroutine::park_for(Wait::Condition, deadline);
            if Moment::now() >= deadline || coroutine::is_interrupted() || std::thread::panicking() {
                break;
            }
        }
        self.leave(&waiter)
    }

    /// Waits for a notification, whoever interrupts. Yields.
    pub(super) fn wait_firmly(&self) {
        let waiter = self.enter();
        while waiter.state.get() == WaiterState::Waiting && !std::thread::panicking() {
            coroutine::park_firmly(Wait::Condition, Moment::NEVER);
        }
        self.leave(&waiter);
    }

    /// Wakes the one that has waited longest.
    pub fn notify_one(&self) {
        while let Some(waiter) = self.pop() {
            if waiter.notify() {
                return;
            }
            self.left.set(self.left.get().saturating_sub(1));
        }
    }

    /// Wakes all that wait now.
    pub fn notify_all(&self) {
        self.left.set(0);
        for waiter in self.waiters.take() {
            waiter.notify();
        }
    }

    fn enter(&self) -> Rc<Waiter> {
        let waiter = Rc::new(Waiter {
            waker: Waker::current(),
            state: Cell::new(WaiterState::Waiting),
        });
        self.waiters.borrow_mut().push_back(waiter.clone());
        waiter
    }

    /// Gives whether the waiter was notified.
    fn leave(&self, waiter: &Waiter) -> bool {
        if waiter.state.get() == WaiterState::Notified {
            return true;
        }
        waiter.state.set(WaiterState::Left);
        self.left.set(self.left.get() + 1);
        let mut waiters = self.waiters.borrow_mut();
        if self.left.get() > waiters.len() / 2 {
            waiters.retain(|other| other.state.get() == WaiterState::Waiting);
            self.left.set(0);
        }
        false
    }

    fn pop(&self) -> Option<Rc<Waiter>> {
        self.waiters.borrow_mut().pop_front()
    }
}

impl Waiter {
    /// False when it has left.
    fn notify(&self) -> bool {
        let waits = self.state.get() == WaiterState::Waiting;
        if waits {
            self.state.set(WaiterState::Notified);
            self.waker.wake();
        }
        waits
    }
}

/// Why a value could not be sent; gives it back.
#[derive(Debug, PartialEq, Eq)]
pub enum SendError<T> {
    /// The channel holds as many as it may.
    Full(T),
    /// All receivers are gone.
    Closed(T),
}

/// A channel that holds at most `capacity` values (at least one).
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        values: RefCell::new(VecDeque::new()),
        capacity: capacity.max(1),
        senders: Cell::new(1),
        receivers: Cell::new(1),
        filled: Condition::new(),
        drained: Condition::new(),
    });
    (Sender(shared.clone()), Receiver(shared))
}

struct Shared<T> {
    values: RefCell<VecDeque<T>>,
    capacity: usize,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    filled: Condition,
    drained: Condition,
}

/// The sending end; clones share the channel.
pub struct Sender<T>(Rc<Shared<T>>);

/// The receiving end; clones share the channel.
pub struct Receiver<T>(Rc<Shared<T>>);

impl<T> Sender<T> {
    /// Sends, waiting for room. Yields.
    ///
    /// # Errors
    /// Gives the value back when all receivers are gone or the coroutine is interrupted.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut value = value;
        loop {
            match self.try_send(value) {
                Err(SendError::Full(back)) if !coroutine::is_interrupted() => value = back,
                result => return result,
            }
            self.0.drained.wait();
        }
    }

    /// Sends if there is room.
    ///
    /// # Errors
    /// Gives the value back when the channel is full or closed.
    pub fn try_send(&self, value: T) -> Result<(), SendError<T>> {
        if self.0.receivers.get() == 0 {
            return Err(SendError::Closed(value));
        }
        let mut values = self.0.values.borrow_mut();
        if values.len() >= self.0.capacity {
            return Err(SendError::Full(value));
        }
        values.push_back(value);
        self.0.filled.notify_one();
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// The next value; `None` when the channel is empty and all senders are gone, or on an interrupt. Yields.
    pub fn recv(&self) -> Option<T> {
        self.recv_until(Moment::NEVER)
    }

    /// The next value; `None` also when none came until `deadline`. Yields.
    pub fn recv_until(&self, deadline: Moment) -> Option<T> {
        loop {
            if let Some(value) = self.try_recv() {
                return Some(value);
            }
            if self.is_closed() || coroutine::is_interrupted() || Moment::now() >= deadline {
                return None;
            }
            self.0.filled.wait_until(deadline);
        }
    }

    /// The next value if there is one.
    pub fn try_recv(&self) -> Option<T> {
        let value = self.0.values.borrow_mut().pop_front();
        if value.is_some() {
            self.0.drained.notify_one();
        }
        value
    }

    /// Whether all senders are gone; values may still wait.
    pub fn is_closed(&self) -> bool {
        self.0.senders.get() == 0
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.set(self.0.senders.get() + 1);
        Sender(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.senders.set(self.0.senders.get() - 1);
        if self.0.senders.get() == 0 {
            self.0.filled.notify_all();
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.receivers.set(self.0.receivers.get() + 1);
        Receiver(self.0.clone())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.receivers.set(self.0.receivers.get() - 1);
        if self.0.receivers.get() == 0 {
            self.0.drained.notify_all();
        }
    }
}

/// Waits until all of its members are gone.
#[derive(Clone, Default)]
pub struct WaitGroup(Rc<Group>);

#[derive(Default)]
struct Group {
    members: Cell<usize>,
    emptied: Condition,
}

/// Counts in its group until dropped.
pub struct Member(Rc<Group>);

impl WaitGroup {
    /// A group without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member.
    pub fn enter(&self) -> Member {
        self.0.members.set(self.0.members.get() + 1);
        Member(self.0.clone())
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.members.get()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until there are none or `deadline`; gives whether there are none. Yields.
    pub fn wait_until(&self, deadline: Moment) -> bool {
        while !self.is_empty() && Moment::now() < deadline && !coroutine::is_interrupted() {
            self.0.emptied.wait_until(deadline);
        }
        self.is_empty()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.members.set(self.0.members.get() - 1);
        if self.0.members.get() == 0 {
            self.0.emptied.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::coroutine::{sleep, spawn};
    use crate::core::runtime::run;

    #[test]
    fn a_wait_ends_by_notification_or_deadline() {
        let (notified, late) = run(|| {
            let condition = Rc::new(Condition::new());
            let waiting = condition.clone();
            let waiter = spawn("waiter", move || {
                waiting.wait_until(Moment::after(Duration::from_secs(5)))
            });
            sleep(Duration::from_millis(5));
            condition.notify_all();
            let late = condition.wait_until(Moment::after(Duration::from_millis(5)));
            (waiter.join().unwrap(), late)
        })
        .unwrap();
        assert!(notified);
        assert!(!late);
    }

    #[test]
    fn notifications_pass_over_those_who_left() {
        run(|| {
            let condition = Rc::new(Condition::new());
            let waiters: Vec<_> = (0..100u64)
                .map(|index| {
                    let condition = condition.clone();
                    // Every third is patient.
                    let limit = Duration::from_millis(if index % 3 == 0 { 10_000 } else { 1 + index % 7 });
                    spawn("waiter", move || condition.wait_until(Moment::after(limit)))
                })
                .collect();
            // All enter before this comes back; the others leave, on whatever machine.
            sleep(Duration::from_millis(30));
            while condition.waiters.borrow().len() - condition.left.get() > 34 {
                sleep(Duration::from_millis(10));
            }
            assert!(condition.waiters.borrow().len() < 100);
            for _ in 0..34 {
                condition.notify_one();
            }
            let notified: Vec<bool> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
            assert!((0..100).all(|index| notified[index] == (index % 3 == 0)));
            assert_eq!((condition.waiters.borrow().len(), condition.left.get()), (0, 0));
        })
        .unwrap();
    }

    #[test]
    fn a_full_channel_holds_its_sender_back() {
        let received = run(|| {
            let (sender, receiver) = channel(2);
            spawn("sender", move || {
                for value in 0..100 {
                    sender.send(value).unwrap();
                }
            });
            let mut received = Vec::new();
            while let Some(value) = receiver.recv() {
                received.push(value);
            }
            received
        })
        .unwrap();
        assert_eq!(received, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn sending_to_nobody_gives_the_value_back() {
        run(|| {
            let (sender, receiver) = channel(1);
            assert_eq!(sender.try_send(1), Ok(()));
            assert_eq!(sender.try_send(2), Err(SendError::Full(2)));
            drop(receiver);
            assert_eq!(sender.send(3), Err(SendError::Closed(3)));
        })
        .unwrap();
    }

    #[test]
    fn a_group_waits_for_its_last_member() {
        run(|| {
            let group = WaitGroup::new();
            for index in 0..10 {
                let member = group.enter();
                spawn("member", move || {
                    sleep(Duration::from_millis(index));
                    drop(member);
                });
            }
            assert!(!group.wait_until(Moment::now()));
            assert!(group.wait_until(Moment::after(Duration::from_secs(5))));
        })
        .unwrap();
    }
}
