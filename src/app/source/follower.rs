//! One that takes a publication's messages as they were published, from the first to the last: what writes files.

use std::rc::Rc;
use std::time::Duration;

use super::cursor::Cursor;
use super::place::{MergedWrite, Place};
use super::source::{PublicationEnd, Source};
use super::waiters::Waiter;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::kernel::frame::Frame;

/// Messages given in one go at most, so that one that has fallen behind lets others run.
const BATCH: u64 = 512;

/// Follows the publication that runs when it joins. It is no player: it does not keep the stream alive.
pub struct Follower {
    place: Place,
    end: Rc<PublicationEnd>,
    latency: Duration,
}

impl Follower {
    /// Joins the source at the beginning of its publication, for the running coroutine. Messages are given in batches
    /// that span `latency` of media; zero gives each as it comes.
    pub fn join(source: &Rc<Source>, latency: Duration) -> Self {
        let (begin, end) = source.publication();
        Follower {
            place: Place::join_as(source, Cursor::following(begin), Waiter::new()),
            end,
            latency,
        }
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
        while self.end.get().is_none() && !self.place.is_due(merged) {
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
        let end = self.end.get().unwrap_or(u64::MAX).min(state.journal.end());
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
