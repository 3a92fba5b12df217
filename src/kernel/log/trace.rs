//! Whose lines are all logged, whatever the level: context ids that somebody looks into.
//!
//! While there is none, the `log` crate's own level turns unwanted lines away before they come here. While there is one,
//! lines of all levels come, and those of others end in [`passes`].

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use log::{Level, LevelFilter};

use crate::core::id::ContextId;

/// How many may be traced at a time.
pub const TRACED_MAX: usize = 16;

static LEVEL: AtomicUsize = AtomicUsize::new(LevelFilter::Info as usize);
/// How many are traced.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static SLOTS: [Slot; TRACED_MAX] = [const { Slot::free() }; TRACED_MAX];

/// Room for an id, in halves: not every machine has atomics of its size. Only the worker changes it; a thread that logs
/// meanwhile may miss a line.
struct Slot([AtomicU32; 2]);

impl Slot {
    /// No id has zeroes: those are text.
    const fn free() -> Self {
        Slot([AtomicU32::new(0), AtomicU32::new(0)])
    }

    fn get(&self) -> [u32; 2] {
        self.0.each_ref().map(|half| half.load(Ordering::Relaxed))
    }

    fn set(&self, halves: [u32; 2]) {
        for (slot, half) in self.0.iter().zip(halves) {
            slot.store(half, Ordering::Relaxed);
        }
    }
}

/// The level for everybody else.
pub(super) fn set_level(level: LevelFilter) {
    LEVEL.store(level as usize, Ordering::Relaxed);
    apply();
}

/// Whether a line of the running coroutine is to be logged.
pub(super) fn passes(level: Level) -> bool {
    level as usize <= LEVEL.load(Ordering::Relaxed)
        || (COUNT.load(Ordering::Relaxed) > 0 && slot_of(ContextId::current().to_halves()).is_some())
}

/// Logs all lines of a context id from now on; false when [`TRACED_MAX`] others are traced.
pub fn trace(id: ContextId) -> bool {
    if slot_of(id.to_halves()).is_some() {
        return true;
    }
    let Some(slot) = slot_of([0; 2]) else { return false };
    slot.set(id.to_halves());
    COUNT.fetch_add(1, Ordering::Relaxed);
    apply();
    true
}

/// Ends that.
pub fn untrace(id: ContextId) {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    if let Some(slot) = slot_of(id.to_halves()) {
        slot.set([0; 2]);
        COUNT.fetch_sub(1, Ordering::Relaxed);
        apply();
    }
}

/// Whose lines are all logged.
pub fn traced() -> Vec<ContextId> {
    let taken = SLOTS.iter().map(Slot::get).filter(|halves| *halves != [0; 2]);
    taken.map(ContextId::from_halves).collect()
}

fn slot_of(halves: [u32; 2]) -> Option<&'static Slot> {
    SLOTS.iter().find(|slot| slot.get() == halves)
}

fn apply() {
    let wanted = match COUNT.load(Ordering::Relaxed) {
        0 => LEVEL.load(Ordering::Relaxed),
        _ => LevelFilter::Trace as usize,
    };
    let level = LevelFilter::iter().find(|level| *level as usize == wanted);
    log::set_max_level(level.unwrap_or(LevelFilter::Trace));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, as the level is the process's.
    #[test]
    fn the_lines_of_one_id_pass() {
        let before = log::max_level();
        let (one, other) = (ContextId::generate(), ContextId::generate());
        set_level(LevelFilter::Warn);
        one.enter();
        assert!(passes(Level::Warn) && !passes(Level::Info));
        assert_eq!((log::max_level(), traced()), (LevelFilter::Warn, Vec::new()));
        assert!(trace(one) && trace(one));
        assert_eq!((log::max_level(), traced()), (LevelFilter::Trace, vec![one]));
        assert!(passes(Level::Trace));
        other.enter();
        assert!(passes(Level::Warn) && !passes(Level::Info));
        untrace(other);
        let many: Vec<_> = (1..TRACED_MAX).map(|_| ContextId::generate()).collect();
        assert!(many.iter().all(|id| trace(*id)));
        assert!(!trace(other), "one too many");
        many.into_iter().chain([one, one]).for_each(untrace);
        assert_eq!((log::max_level(), traced()), (LevelFilter::Warn, Vec::new()));
        set_level(before);
    }
}
