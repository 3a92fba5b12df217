//! How the last reload of the configuration went.

use std::cell::RefCell;
use std::time::Duration;

use crate::app::config::difference::Change;
use crate::core::clock::{Moment, unix_time};
use crate::core::id::ContextId;
use crate::core::limits::RELOAD_LINES;
use crate::kernel::error::Error;

/// How far a reload is; the numbers are those of the HTTP API.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReloadState {
    /// There was none.
    #[default]
    Init = 0,
    /// The file is read.
    Parsing = 10,
    /// It is checked.
    Transforming = 20,
    /// What runs is changed.
    Applying = 30,
    /// It is in force.
    Done = 90,
}

/// The last reload.
#[derive(Clone, Debug, Default)]
struct Last {
    state: ReloadState,
    id: String,
    code: u16,
    message: Option<String>,
    /// Unix time of its begin, milliseconds.
    time_ms: u64,
    began: Option<Moment>,
    took: Duration,
    changes: Vec<Change>,
    left_out: usize,
}

impl Last {
    fn end(&mut self) {
        self.took = self.began.map_or(Duration::ZERO, |began| Moment::now().since(began));
    }
}

/// Remembers the last reload.
#[derive(Debug, Default)]
pub struct ReloadLog(RefCell<Last>);

impl ReloadLog {
    /// A reload begins.
    pub fn begin(&self) {
        *self.0.borrow_mut() = Last {
            state: ReloadState::Parsing,
            id: ContextId::generate().to_string(),
            time_ms: u64::try_from(unix_time().as_millis()).unwrap_or(u64::MAX),
            began: Some(Moment::now()),
            ..Last::default()
        };
    }

    /// It has got this far.
    pub fn reach(&self, state: ReloadState) {
        self.0.borrow_mut().state = state;
    }

    /// Its configuration is in force; the first of the changes are remembered.
    pub fn finish(&self, changes: &[Change]) {
        let mut last = self.0.borrow_mut();
        last.end();
        last.state = ReloadState::Done;
        last.changes = changes.iter().take(RELOAD_LINES).cloned().collect();
        last.left_out = changes.len().saturating_sub(RELOAD_LINES);
    }

    /// It failed where it is.
    pub fn fail(&self, error: &Error) {
        let mut last = self.0.borrow_mut();
        last.end();
        last.code = error.code().number();
        last.message = Some(error.summary());
    }

    /// Unix time of its begin, milliseconds, and how long it took; zero if there was none.
    pub fn times(&self) -> (u64, Duration) {
        let last = self.0.borrow();
        (last.time_ms, last.took)
    }

    /// What it changed, and how much more than that.
    pub fn changes(&self) -> (Vec<Change>, usize) {
        let last = self.0.borrow();
        (last.changes.clone(), last.left_out)
    }

    /// How far the last one got.
    pub fn state(&self) -> ReloadState {
        self.0.borrow().state
    }

    /// The last one's random id; empty if there was none.
    pub fn id(&self) -> String {
        self.0.borrow().id.clone()
    }

    /// The number of the error that ended it, 0 for none.
    pub fn code(&self) -> u16 {
        self.0.borrow().code
    }

    /// What went wrong, or `Success`.
    pub fn message(&self) -> String {
        self.0.borrow().message.clone().unwrap_or_else(|| "Success".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::error_code::ErrorCode;

    #[test]
    fn a_failure_stays_until_the_next_reload() {
        let log = ReloadLog::default();
        assert_eq!((log.state() as u8, log.code(), log.message()), (0, 0, "Success".into()));
        log.begin();
        let first = log.id();
        log.reach(ReloadState::Transforming);
        log.fail(&Error::new(ErrorCode::ConfigInvalid, "bad"));
        assert_eq!((log.state() as u8, log.code()), (20, 1023));
        assert_eq!(log.message(), "code=1023(ConfigInvalid) : bad");
        log.begin();
        assert_ne!(log.id(), first);
        log.finish(&[]);
        assert_eq!(
            (log.state() as u8, log.code(), log.message()),
            (90, 0, "Success".into())
        );
    }
}
