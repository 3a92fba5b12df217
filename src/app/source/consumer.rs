//! A player's place in a stream: a cursor into the journal, its own timeline, and what it starts with.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use super::cursor::Cursor;
use super::rtmp_view::{InStep, RtmpView, encode_absolute};
use super::source::Source;
use super::waiters::{Target, Waiter};
use crate::app::config::section::play::TimeJitter;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::tcp::TcpStream;
use crate::kernel::frame::Kind;

/// Bytes sent with one system call at most; what a slow socket does not take of it is kept for that player alone.
const BATCH_BYTES: usize = 128 << 10;
/// Pieces of one system call: slabs are at least half as large as a batch.
const BATCH_SLICES: usize = 8;
/// Time between the last message before a gap and the first one after it on a corrected timeline, ms.
const GAP_MS: i64 = 10;

/// When a player is sent what has come in: `mw_msgs` and `mw_latency`.
#[derive(Clone, Copy, Debug)]
pub struct MergedWrite {
    /// More messages than this must wait.
    pub messages: u32,
    /// They must span more than this.
    pub latency: Duration,
}

/// One player of one source.
pub struct Consumer {
    source: Rc<Source>,
    cursor: Rc<Cursor>,
    waiter: Rc<Waiter>,
    view: Rc<RefCell<RtmpView>>,
    in_step: InStep,
    /// The source's clock at the player's time 0, ms; unknown until its first message.
    base: Option<i64>,
    /// The player's time after a gap, ms.
    resume_at: i64,
    /// The source's clock of the last message sent, ms.
    sent_clock: Option<i64>,
    /// Headers that must go out before the next message.
    needs_headers: bool,
    dropped: u64,
}

impl Consumer {
    /// Joins the source: what comes next is the stream's metadata, its sequence headers and its newest GOP.
    pub fn join(source: &Rc<Source>, chunk_bytes: usize) -> Self {
        let start = source.start_number();
        let cursor = Rc::new(Cursor::at(start));
        source.add_cursor(&cursor);
        Consumer {
            view: source.rtmp_view(chunk_bytes, start),
            source: source.clone(),
            cursor,
            waiter: Waiter::new(),
            in_step: InStep::default(),
            base: None,
            resume_at: 0,
            sent_clock: None,
            needs_headers: true,
            dropped: 0,
        }
    }

    /// Messages that were passed over because the player was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Milliseconds of media sent, on the player's timeline.
    pub fn sent_ms(&self) -> i64 {
        match (self.base, self.sent_clock) {
            (Some(base), Some(clock)) => (clock - base).max(0),
            _ => 0,
        }
    }

    /// Whether a batch is due.
    pub fn is_due(&self, merged: MergedWrite) -> bool {
        let state = self.source.state();
        let end = state.journal.end();
        let next = self.cursor.next.get();
        if next >= end {
            return false;
        }
        let target = self.target(merged);
        let clock = state.clock.now();
        end > target.number && (clock > target.clock || self.sent_clock.is_none_or(|sent| clock < sent))
    }

    fn target(&self, merged: MergedWrite) -> Target {
        let next = self.cursor.next.get();
        match self.sent_clock {
            Some(sent) if !merged.latency.is_zero() => Target {
                clock: sent + merged.latency.as_millis() as i64,
                number: next + u64::from(merged.messages),
            },
            _ => Target {
                clock: i64::MIN,
                number: next,
            },
        }
    }

    /// Waits until a batch is due, the peer sent something, or `deadline`. Yields.
    pub fn wait(&self, merged: MergedWrite, stream: &TcpStream, deadline: Moment) {
        if self.is_due(merged) || stream.is_readable() {
            return;
        }
        self.source.state_mut().waiters.enter(&self.waiter, self.target(merged));
        stream.watch_readable(coroutine::Waker::current());
        coroutine::park(deadline);
        stream.forget_reader();
    }

    /// Sends what there is, at most `limit` messages; gives how many. A new player gets the stream's headers even while
    /// there is no message for it. Yields.
    ///
    /// # Errors
    /// The stream's: the peer left, or took nothing for the write timeout.
    pub fn send(&mut self, stream: &TcpStream, limit: u64) -> io::Result<u64> {
        if self.cursor.next.get() < self.source.state().journal.first() {
            self.jump();
        }
        let from = self.cursor.next.get();
        let Some((to, rest)) = self.send_ready(stream, from, limit)? else {
            return Ok(0);
        };
        self.cursor.next.set(to);
        stream.write_all(&rest)?;
        Ok(to - from)
    }

    /// Sends as much as the socket takes at once; gives the batch's end and what is left of it.
    fn send_ready(&mut self, stream: &TcpStream, from: u64, limit: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
        let state = self.source.state();
        let mut view = self.view.borrow_mut();
        let jitter = state.clock.jitter();
        view.extend(&state.journal, jitter);
        let to = view.batch_end(from, BATCH_BYTES).min(from.saturating_add(limit));
        let last = to
            .checked_sub(1)
            .filter(|_| to > from)
            .and_then(|last| state.journal.get(last));
        if let Some(last) = last {
            self.base.get_or_insert_with(|| match jitter {
                TimeJitter::Off => 0,
                TimeJitter::Full | TimeJitter::Zero => state.earliest_clock(from, to) - self.resume_at,
            });
            self.sent_clock = Some(last.clock);
            if !self.needs_headers && view.is_shared_from(from, self.in_step) {
                return Ok(Some((to, try_send(stream, &view, from, to)?)));
            }
        }
        let mut bytes = Vec::new();
        if self.needs_headers {
            let clock = state.journal.get(from).map_or(state.clock.now(), |entry| entry.clock);
            let time = match (jitter, self.base) {
                (TimeJitter::Off, _) => clock as u32,
                (_, Some(base)) => (clock - base).max(0) as u32,
                (_, None) => self.resume_at as u32,
            };
            for header in state.start_headers(from) {
                let is_data = header.frame.kind == Kind::Data && jitter != TimeJitter::Off;
                encode_absolute(&mut bytes, header, if is_data { 0 } else { time }, view.chunk_bytes());
            }
            self.needs_headers = last.is_none() && bytes.is_empty();
        }
        if last.is_some() {
            let base = self.base.unwrap_or(0);
            view.copy(&state.journal, from, to, base, &mut self.in_step, &mut bytes);
        }
        Ok((!bytes.is_empty()).then_some((to.max(from), bytes)))
    }

    /// Goes on at the newest keyframe: the source no longer has what would come next.
    fn jump(&mut self) {
        let start = self.source.start_number();
        self.dropped += start - self.cursor.next.get();
        self.skip_to(start);
    }

    fn skip_to(&mut self, number: u64) {
        self.cursor.next.set(number);
        self.needs_headers = true;
        self.in_step = InStep::default();
        if self.source.state().clock.jitter() == TimeJitter::Full && self.sent_clock.is_some() {
            self.resume_at = self.sent_ms() + GAP_MS;
            self.base = None;
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.source.remove_cursor(&self.cursor);
    }
}

/// Offers the shared bytes to the socket without waiting; gives a copy of what it did not take.
fn try_send(stream: &TcpStream, view: &RtmpView, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut slices = [IoSlice::new(&[]); BATCH_SLICES];
    let mut count = 0;
    let mut total = 0;
    for (slot, piece) in slices.iter_mut().zip(view.slices(from, to)) {
        *slot = IoSlice::new(piece);
        total += piece.len();
        count += 1;
    }
    let all: usize = if count == BATCH_SLICES {
        view.slices(from, to).map(<[u8]>::len).sum()
    } else {
        total
    };
    let taken = stream.try_write_vectored(&slices[..count])?;
    if taken == all {
        return Ok(Vec::new());
    }
    let mut rest = Vec::with_capacity(all - taken);
    let mut skip = taken;
    for piece in view.slices(from, to) {
        let skipped = skip.min(piece.len());
        rest.extend_from_slice(&piece[skipped..]);
        skip -= skipped;
    }
    Ok(rest)
}
