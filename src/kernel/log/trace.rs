//! Whose lines are all logged, whatever the level: context ids that somebody looks into.
//!
//! While there is none, the `log` crate's own level turns unwanted lines away before they come here. While there is one,
//! lines of all levels come, and those of others end in [`passes`].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter};

use crate::core::id::ContextId;

/// How many may be traced at a time.
pub const TRACED_MAX: usize = 16;

static LEVEL: AtomicUsize = AtomicUsize::new(LevelFilter::Info as usize);
/// How many are traced: so that nobody asks for the lock while there is none.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static TRACED: Mutex<Vec<ContextId>> = Mutex::new(Vec::new());

/// The level for everybody else.
pub(super) fn set_level(level: LevelFilter) {
    LEVEL.store(level as usize, Ordering::Relaxed);
    apply();
}

/// Whether a line of the running coroutine is to be logged.
pub(super) fn passes(level: Level) -> bool {
    level as usize <= LEVEL.load(Ordering::Relaxed)
        || (COUNT.load(Ordering::Relaxed) > 0 && ids().contains(&ContextId::current()))
}

/// Logs all lines of a context id from now on; false when [`TRACED_MAX`] others are traced.
pub fn trace(id: ContextId) -> bool {
    let mut ids = ids();
    if !ids.contains(&id) {
        if ids.len() >= TRACED_MAX {
            return false;
        }
        ids.push(id);
        COUNT.store(ids.len(), Ordering::Relaxed);
        apply();
    }
    true
}

/// Ends that.
pub fn untrace(id: ContextId) {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    let mut ids = ids();
    ids.retain(|traced| *traced != id);
    COUNT.store(ids.len(), Ordering::Relaxed);
    apply();
}

/// Whose lines are all logged.
pub fn traced() -> Vec<ContextId> {
    ids().clone()
}

/// A panic leaves nothing half done here.
fn ids() -> MutexGuard<'static, Vec<ContextId>> {
    TRACED.lock().unwrap_or_else(PoisonError::into_inner)
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
