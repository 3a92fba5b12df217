//! One that takes a publication's messages from the first to the last: what writes files, and what sends to other servers.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::place::{MergedWrite, Place};
use super::positions::Role;
use super::source::{PublicationEnd, Source, State};
use crate::app::config::section::play::TimeJitter;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine::{self, Waker};
use crate::kernel::frame::{Frame, Kind};

/// Messages given in one go at most, so that one that has fallen behind lets others run.
const BATCH: u64 = 512;

/// Follows the publication that runs when it joins. It is no player: it does not keep the stream alive.
pub struct Follower {
    place: Place,
    end: Rc<PublicationEnd>,
    /// Where it is to stop before that.
    stop_at: Rc<Cell<Option<u64>>>,
    latency: Duration,
    /// Whether timestamps are those of a player.
    as_player: bool,
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

    /// The same where the stream is now: what comes next is its headers, then its next message.
    pub fn join_now(source: &Rc<Source>, latency: Duration) -> Self {
        let (_, end) = source.publication();
        Self::join_at(source, source.end(), end, latency)
    }

    /// A player's beginning for one that hands the stream on to players elsewhere: it counts as somebody who plays.
    pub fn join_for_players(source: &Rc<Source>, latency: Duration) -> Self {
        let (_, end) = source.publication();
        Self::join_as(source, Role::Player, source.start_number(), end, latency)
    }

    fn join_at(source: &Rc<Source>, number: u64, end: Rc<PublicationEnd>, latency: Duration) -> Self {
        Self::join_as(source, Role::Follower, number, end, latency)
    }

    fn join_as(source: &Rc<Source>, role: Role, number: u64, end: Rc<PublicationEnd>, latency: Duration) -> Self {
        Follower {
            place: Place::join_as(source, role, number),
            end,
            stop_at: Rc::default(),
            latency,
            as_player: false,
        }
    }

    /// From now on messages have the timestamps that a new player gets, by `time_jitter`, and not the publisher's.
    pub fn timed_as_player(mut self) -> Self {
        self.as_player = true;
        self
    }

    /// From now on batches span `latency` of media.
    pub fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// The stream's metadata and the headers of all its tracks, with this timestamp.
    pub fn headers(&self, timestamp: u32) -> Vec<Frame> {
        let source = self.source();
        let state = source.state();
        let frames = state.start_headers(u64::MAX).map(|header| Frame {
            timestamp,
            ..header.frame.clone()
        });
        frames.collect()
    }

    /// Whether the stream has pictures, as far as is known.
    pub fn has_video(&self) -> bool {
        let state = self.source().state();
        state
            .start_headers(u64::MAX)
            .any(|header| header.frame.kind == Kind::Video)
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
        while !self.is_due() {
            self.place.enter(self.merged());
            coroutine::park(Moment::NEVER);
            if coroutine::is_interrupted() {
                frames.clear();
                return None;
            }
        }
        self.take(frames)
    }

    /// Waits until [`Follower::take`] has something to give or to tell, the peer sent something, or `deadline`. Yields.
    pub fn wait(&self, stream: &Stream, deadline: Moment) {
        if !self.is_due() {
            self.place.wait(None, self.merged(), stream, deadline);
        }
    }

    /// Whether messages wait, or the end has come.
    pub fn is_due(&self) -> bool {
        self.end().is_some() || self.place.is_due(self.merged())
    }

    /// As [`Follower::next`], when it [is due](Follower::is_due).
    pub fn take(&mut self, frames: &mut Vec<Frame>) -> Option<u64> {
        frames.clear();
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
        let needs_headers = std::mem::take(&mut self.place.needs_headers);
        let base = self.place.advance(&state, to);
        if needs_headers {
            self.take_headers(&state, from, to, frames);
        }
        let entries = state.journal.from(from).take((to - from) as usize);
        frames.extend(entries.map(|(_, entry)| {
            let mut frame = entry.frame.clone();
            if self.as_player {
                frame.timestamp = match (frame.kind, state.clock.jitter()) {
                    (Kind::Data, TimeJitter::Full | TimeJitter::Zero) => 0,
                    // Modulo 2^32, as timestamps are.
                    _ => (entry.clock - base).max(0) as u32,
                };
            }
            frame
        }));
        Some(missed)
    }

    fn take_headers(&self, state: &State, from: u64, to: u64, frames: &mut Vec<Frame>) {
        let first = state.journal.get(from).map(|entry| entry.frame.timestamp);
        let time = match self.as_player {
            true => Some(self.place.header_time(state, from, to)),
            // A header that was not repeated has the time of a publication before.
            false => first,
        };
        frames.extend(state.start_headers(from).map(|header| Frame {
            timestamp: time.unwrap_or(header.frame.timestamp),
            ..header.frame.clone()
        }));
    }

    fn merged(&self) -> MergedWrite {
        MergedWrite {
            messages: 0,
            latency: self.latency,
        }
    }
}
