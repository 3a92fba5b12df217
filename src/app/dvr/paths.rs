//! Which files are being written: no two recordings share one.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use crate::core::clock::Moment;
use crate::core::sync::Condition;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// How long a publisher that comes back waits for its last file to be closed.
const PATIENCE: Duration = Duration::from_secs(3);

/// All files that are being written.
#[derive(Clone, Default)]
pub struct Paths(Rc<Open>);

struct Open {
    paths: RefCell<HashSet<String>>,
    closed: Condition,
}

impl Default for Open {
    fn default() -> Self {
        Open {
            paths: RefCell::default(),
            closed: Condition::new(),
        }
    }
}

/// The right to write a file.
pub struct Claim {
    open: Rc<Open>,
    path: String,
}

impl Paths {
    /// Claims a file; waits a little where another recording still has it. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::DvrAppend`] when it is not given free.
    pub fn claim(&self, path: &str) -> Result<Claim> {
        let deadline = Moment::after(PATIENCE);
        while self.0.paths.borrow().contains(path) {
            if !self.0.closed.wait_until(deadline) {
                let text = format!("dvr: file {path} is being recorded already");
                return Err(Error::new(ErrorCode::DvrAppend, text));
            }
        }
        self.0.paths.borrow_mut().insert(path.to_owned());
        Ok(Claim {
            open: self.0.clone(),
            path: path.to_owned(),
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.open.paths.borrow_mut().remove(&self.path);
        self.open.closed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::coroutine;
    use crate::core::runtime::run;

    #[test]
    fn a_file_has_one_writer() {
        run(|| {
            let paths = Paths::default();
            let first = paths.claim("a.flv").unwrap();
            let _other = paths.claim("b.flv").unwrap();
            let waiting = paths.clone();
            let second = coroutine::spawn("second", move || waiting.claim("a.flv").is_ok());
            coroutine::sleep(Duration::from_millis(50));
            assert!(!second.is_done());
            drop(first);
            assert!(second.join().unwrap());
            let _third = paths.claim("a.flv").unwrap();
        })
        .unwrap();
    }
}
