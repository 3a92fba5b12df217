//! Starts `may` with one worker and runs the program's first coroutine on it.

use std::io;
use std::sync::Once;
use std::sync::mpsc;
use std::time::Duration;

use super::coroutine::{self, Panicked};
use super::limits::POOLED_STACKS;
use super::reactor;

/// Runs `main` as the first coroutine and waits for its end; blocks the calling thread, which runs no other code of the
/// application. Other coroutines that still exist then are not waited for. Signals that are to be read with
/// [`super::signal`] must be blocked before.
///
/// # Errors
/// When the system refuses the descriptors of the reactor, or when `main` panics.
pub fn run<T, F>(main: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    configure();
    let (sender, receiver) = mpsc::channel();
    let first = move || {
        if let Err(error) = reactor::start() {
            // The receiver waits below.
            let _ = sender.send(Err(error));
            return;
        }
        coroutine::spawn("main", move || {
            let ended = coroutine::spawn("main body", main).join();
            let _ = sender.send(ended.map_err(|Panicked(text)| io::Error::other(text)));
        });
    };
    let builder = may::coroutine::Builder::new().stack_size(coroutine::stack_words(coroutine::STACK_BYTES));
    // SAFETY: as in `coroutine::spawn_with`; this closure neither blocks nor waits.
    unsafe { builder.spawn(first) }?;
    receiver
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the first coroutine ended early")))
}

/// How late the loop was that serves all coroutines, at most, since this was last called: the time from a timer's end
/// until it was noticed. Somebody has to sleep in the meantime, else nothing is measured.
pub fn take_lag() -> Duration {
    reactor::take_lag()
}

fn configure() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let config = may::config();
        config
            .set_workers(1)
            .set_stack_size(coroutine::stack_words(coroutine::STACK_BYTES))
            .set_pool_capacity(POOLED_STACKS);
        // Otherwise every process on the machine would share CPU 0.
        config.set_worker_pin(false);
    });
}
