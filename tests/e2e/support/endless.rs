//! A publisher in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::bystander::numbered_frame;
use super::flv::Tag;
use super::rtmp::Rtmp;

/// A publisher that goes on until it is dropped.
pub struct Endless {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<bool>>,
}

impl Endless {
    /// Numbered frames in real time.
    pub fn start(publisher: Rtmp) -> Self {
        Endless::of(publisher, Duration::from_millis(20), numbered_frame)
    }

    /// Numbered frames ten times as fast as their clock.
    pub fn fast(publisher: Rtmp) -> Self {
        Endless::of(publisher, Duration::from_millis(2), numbered_frame)
    }

    /// A message every `pace`.
    pub fn of(mut publisher: Rtmp, pace: Duration, message: impl Fn(u32) -> Tag + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            for number in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                if publisher.send_tag(&message(number)).is_err() {
                    return false;
                }
                thread::sleep(pace);
            }
            true
        });
        Endless {
            stop,
            thread: Some(thread),
        }
    }

    /// Whether the server has cut it off.
    pub fn is_cut_off(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Ends it; fails when the server did so before.
    #[track_caller]
    pub fn finish(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let lasted = self.thread.take().expect("it runs").join().expect("publish");
        assert!(lasted, "the publisher was cut off");
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
