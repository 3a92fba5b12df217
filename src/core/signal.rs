//! Signals as messages: blocked in every thread, read through a signalfd by a coroutine.

use std::io;
use std::os::fd::AsFd;

pub use nix::sys::signal::Signal;
use nix::sys::signal::{self, SigHandler, SigSet};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::clock::Moment;
use super::reactor::Registration;

/// Sends a signal to the process that started this one.
///
/// # Errors
/// `PermissionDenied` when it runs as another user.
pub fn send_to_parent(signal: Signal) -> io::Result<()> {
    Ok(signal::kill(nix::unistd::getppid(), signal)?)
}

/// Sends a signal to this process, which reads it as it does one of a user.
///
/// # Errors
/// The system's; none is known for valid signals.
pub fn send_to_ourselves(signal: Signal) -> io::Result<()> {
    Ok(signal::kill(nix::unistd::getpid(), signal)?)
}

/// Proof that signals were blocked, and which.
#[derive(Clone, Copy, Debug)]
pub struct Blocked(SigSet);

/// Blocks `signals` in the calling thread and all that it starts from now on, and ignores SIGPIPE. Call it before the
/// first thread starts: a thread that does not block a signal dies by it. Child processes that
/// [`super::process`] starts have no signal blocked or ignored.
///
/// # Errors
/// The system's; none is known for valid signals.
pub fn block(signals: &[Signal]) -> io::Result<Blocked> {
    // SAFETY: no handler is installed, the signal is only ignored.
    unsafe { signal::signal(Signal::SIGPIPE, SigHandler::SigIgn) }?;
    // SAFETY: as above. Who started us may have had it ignored, and then the kernel tells nobody how a child ended.
    unsafe { signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    let set: SigSet = signals.iter().copied().collect();
    set.thread_block()?;
    Ok(Blocked(set))
}

/// The blocked signals, one after the other.
pub struct Signals {
    // Leaves the reactor before the descriptor closes: fields drop in this order.
    registration: Registration,
    inner: SignalFd,
}

impl Signals {
    /// Starts to read; signals that came since they were blocked are not lost.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(blocked: Blocked) -> io::Result<Self> {
        let inner = SignalFd::with_flags(&blocked.0, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Signals {
            registration: Registration::new(inner.as_fd())?,
            inner,
        })
    }

    /// The next signal. Equal ones that come before it is read count once. Yields.
    ///
    /// # Errors
    /// `ConnectionAborted` when the coroutine is interrupted.
    pub fn recv(&self) -> io::Result<Signal> {
        loop {
            if let Some(signal) = self.recv_until(Moment::NEVER)? {
                return Ok(signal);
            }
        }
    }

    /// The next signal, `None` when none came until `deadline`. Yields.
    ///
    /// # Errors
    /// `ConnectionAborted` when the coroutine is interrupted.
    pub fn recv_until(&self, deadline: Moment) -> io::Result<Option<Signal>> {
        let slot = &self.registration.slot;
        while slot.wait_readable(deadline)? {
            match self.inner.read_signal() {
                Ok(Some(info)) => {
                    // Only signals of our set come, and those have names.
                    if let Ok(signal) = Signal::try_from(info.ssi_signo as i32) {
                        return Ok(Some(signal));
                    }
                }
                Ok(None) => slot.readable.set(false),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::runtime::run;

    // A signal to the whole process may reach a thread of the test harness; tests/core_setup.rs sends those.
    #[test]
    fn a_signal_of_the_worker_is_read_and_a_wait_times_out() {
        run(|| {
            let signals = Signals::new(block(&[Signal::SIGURG]).unwrap()).unwrap();
            let early = signals.recv_until(Moment::after(Duration::from_millis(5)));
            assert_eq!(early.unwrap(), None);
            signal::raise(Signal::SIGURG).unwrap();
            assert_eq!(signals.recv().unwrap(), Signal::SIGURG);
        })
        .unwrap();
    }
}
