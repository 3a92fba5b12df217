//! One that takes a publication's messages as they were published, from the first to the last: what writes files.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::cursor::Cursor;
use super::place::{MergedWrite, Place};
use super::source::{PublicationEnd, Source};
use super::waiters::Waiter;
use crate::core::clock::Moment;
use crate::core::coroutine::{self, Waker};
use crate::kernel::frame::Frame;

/// Messages given in one go at most, so that one that has fallen behind lets others run.
const BATCH: u64 = 512;

/// Follows the publication that runs when it joins. It is no player: it does not keep the stream alive.
pub struct Follower {
    place: Place,
    end: Rc<PublicationEnd>,
    /// Where it is to stop before that.
    stop_at: Rc<Cell<Option<u64>>>,
    latency: Duration,
}

/// Ends one follower before its publication does.
pub struct Stop {
    source: Weak<Source>,
    at: Rc<Cell<Option<u64>>>,
    waker: Waker,
}

impl Stop {
    /// It takes what was published until now, and no more.
    pub fn stop(&self) {
        if let Some(source) = self.source.upgrade() {
            self.at.set(Some(source.end()));
            self.waker.wake();
        }
    }
}

impl Follower {
    /// Joins the source at the beginning of its publication, for the running coroutine. Messages are given in batches
    /// that span `latency` of media; zero gives each as it comes.
    pub fn join(source: &Rc<Source>, latency: Duration) -> Self {
        let (begin, end) = source.publication();
        Self::join_at(source, begin, end, latency)
    }

    /// The same where a new player begins: at the newest keyframe, or now. Headers come first.
    pub fn join_late(source: &Rc<Source>, latency: Duration) -> Self {
        let (_, end) = source.publication();
        Self::join_at(source, source.start_number(), end, latency)
    }

    fn join_at(source: &Rc<Source>, number: u64, end: Rc<PublicationEnd>, latency: Duration) -> Self {
        Follower {
            place: Place::join_as(source, Cursor::following(number), Waiter::new()),
            end,
            stop_at: Rc::default(),
            latency,
        }
    }

    /// What ends it, which is that of the running coroutine.
    pub fn stopper(&self) -> Stop {
        Stop {
            source: Rc::downgrade(self.source()),
            at: self.stop_at.clone(),
            waker: Waker::current(),
        }
    }

    /// The message after the last one that it is to take, if that is known.
    fn end(&self) -> Option<u64> {
        let ends = [self.end.get(), self.stop_at.get()];
        ends.into_iter().flatten().min()
    }

    /// The source.
    pub fn source(&self) -> &Rc<Source> {
        self.place.source()
    }

    /// Waits for the next messages and puts them into `frames`, after headers where it needs them. Gives how many
    /// messages before them were lost, as the source keeps `queue_length` for slow ones; `None` at the publication's
    /// end. Yields.
    pub fn next(&mut self, frames: &mut Vec<Frame>) -> Option<u64> {
        frames.clear();
        let merged = MergedWrite {
            messages: 0,
            latency: self.latency,
        };
        while self.end().is_none() && !self.place.is_due(merged) {
            self.place.enter(merged);
            coroutine::park(Moment::NEVER);
            if coroutine::is_interrupted() {
                return None;
            }
        }
        let dropped = self.place.dropped();
        self.place.jump_if_lost();
        let missed = self.place.dropped() - dropped;
        let source = self.place.source().clone();
        let state = source.state();
        let end = self.end().unwrap_or(u64::MAX).min(state.journal.end());
        let from = self.place.next();
        if from >= end {
            return None;
        }
        let to = end.min(from + BATCH);
        if std::mem::take(&mut self.place.needs_headers) {
            let first = state.journal.get(from).map(|entry| entry.frame.timestamp);
            frames.extend(state.start_headers(from).map(|header| Frame {
                // A header that was not repeated has the time of a publication before.
                timestamp: first.unwrap_or(header.frame.timestamp),
                ..header.frame.clone()
            }));
        }
        frames.extend(
            state
                .journal
                .from(from)
                .take((to - from) as usize)
                .map(|(_, entry)| entry.frame.clone()),
        );
        self.place.advance(&state, to);
        Some(missed)
    }
}
