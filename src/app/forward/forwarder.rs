//! One stream on its way to one other server.

use std::rc::Rc;
use std::time::Duration;

use super::{End, Running};
use crate::app::http::trust::Trust;
use crate::app::pithy::Progress;
use crate::app::recording::{Beginning, Publisher};
use crate::app::rtmp::dialogue::Approach;
use crate::app::rtmp::push::{PushOptions, Pusher};
use crate::app::server::Server;
use crate::app::source::Follower;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::sync::{Member, WaitGroup};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// Between two attempts.
const RETRY: Duration = Duration::from_secs(3);
/// To find the other server and connect to it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For it to let us publish; it may ask servers of its own first.
const DIALOGUE_TIMEOUT: Duration = Duration::from_secs(10);
/// For it to take anything of what we send, as `queue_length` bounds what waits meanwhile.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// A connection that lasted as long was a good one: what comes then is news again.
const LASTING: Duration = Duration::from_secs(10);
/// How often a forward without messages looks whose turn it is to print.
const LOOK: Duration = Duration::from_secs(1);

/// Publishes a stream elsewhere, and again whenever that breaks, until its publication ends.
pub(super) struct Forwarder {
    publisher: Publisher,
    url: String,
    end: Rc<End>,
    running: Rc<Running>,
    trust: Rc<Trust>,
    latency: Duration,
    /// Counts among those that run, in all and to this URL.
    members: [Member; 2],
    /// The one to this URL before, that of the publication before this one.
    before: Option<WaitGroup>,
    beginning: Beginning,
}

impl Forwarder {
    pub fn new(server: &Rc<Server>, publisher: &Publisher, url: String, end: &Rc<End>, beginning: Beginning) -> Self {
        let running = server.forwards.0.clone();
        let here = WaitGroup::new();
        let members = [running.all.enter(), here.enter()];
        let before = running.by_url.borrow_mut().insert(url.clone(), here);
        Forwarder {
            publisher: publisher.clone(),
            url,
            end: end.clone(),
            running,
            trust: server.trust.clone(),
            latency: publisher.vhost.play.mw_latency,
            members,
            before,
            beginning,
        }
    }

    pub fn run(mut self) {
        if self.end.has_come.get() {
            return self.leave();
        }
        let source = &self.publisher.source;
        let join = match self.beginning {
            Beginning::First => Follower::join,
            Beginning::Late | Beginning::Keyframe => Follower::join_late,
        };
        let mut first = Some(join(source, self.latency).timed_as_player());
        if let Some(before) = self.before.take() {
            // It must have left for us to be let in.
            before.wait_until(Moment::after(RETRY));
        }
        let mut failures = Rarely::default();
        while first.is_some() || !self.end.has_come.get() {
            let began = Moment::now();
            let Err(error) = self.forward(first.take()) else { break };
            if self.end.has_come.get() || coroutine::is_interrupted() {
                log::info!("forward ends with its stream, {}", error.summary());
                break;
            }
            if Moment::now().since(began) >= LASTING {
                failures = Rarely::default();
            }
            if failures.is_turn() {
                let (count, seconds) = (failures.count, RETRY.as_secs());
                log::warn!(
                    "forward tries again every {seconds} s, failure {count}, {}",
                    error.summary()
                );
            }
            let next = Moment::after(RETRY);
            while !self.end.has_come.get() && Moment::now() < next && !coroutine::is_interrupted() {
                self.end.changed.wait_until(next);
            }
        }
        self.leave();
    }

    /// One connection, to the publication's end; `first` is what has followed it from its beginning.
    fn forward(&self, first: Option<Follower>) -> Result<()> {
        let options = PushOptions {
            approach: Approach {
                trust: &self.trust,
                connect_timeout: CONNECT_TIMEOUT,
                dialogue_timeout: DIALOGUE_TIMEOUT,
                tells_who: self.publisher.vhost.cluster.debug_srs_upnode,
                client: None,
            },
            chunk_size: self.publisher.vhost.chunk_size,
            send_timeout: SEND_TIMEOUT,
        };
        let pusher = Pusher::open(&self.url, options)?;
        let follower = match first {
            Some(first) => first,
            // The source may have another publication by now.
            None if self.end.has_come.get() => return pusher.finish(),
            None => Follower::join_late(&self.publisher.source, self.latency).timed_as_player(),
        };
        log::info!("forward {} to {}", self.publisher.source.url(), pusher.place());
        self.send(pusher, follower)
    }

    fn send(&self, mut pusher: Pusher, mut follower: Follower) -> Result<()> {
        let mut frames = Vec::new();
        let mut sent = Sent::new();
        loop {
            follower.wait(pusher.stream(), Moment::after(LOOK));
            if coroutine::is_interrupted() {
                return Err(Error::new(ErrorCode::StThreadInterrupt, "forward is interrupted"));
            }
            if self.end.is_early.get() {
                break;
            } else if !follower.is_due() {
                pusher.obey()?;
            } else if let Some(missed) = follower.take(&mut frames) {
                sent.count(frames.len(), missed, &pusher);
                pusher.push(&frames)?;
                frames.clear();
            } else {
                break;
            }
            if self.running.turn.take(self.publisher.pithy_print()) {
                sent.report(&pusher);
            }
            // A peer that always has something to say would hold up everybody else.
            coroutine::tick();
        }
        log::info!("forward to {} ends, {} messages", pusher.place(), sent.messages);
        pusher.finish()
    }

    fn leave(self) {
        drop(self.members);
        self.running.by_url.borrow_mut().retain(|_, group| !group.is_empty());
    }
}

/// What one connection has got.
struct Sent {
    progress: Progress,
    messages: u64,
    dropped: u64,
    losses: Rarely,
}

impl Sent {
    fn new() -> Self {
        Sent {
            progress: Progress::new(),
            messages: 0,
            dropped: 0,
            losses: Rarely::default(),
        }
    }

    fn count(&mut self, messages: usize, missed: u64, pusher: &Pusher) {
        self.messages += messages as u64;
        self.dropped += missed;
        if missed > 0 && self.losses.is_turn() {
            let place = pusher.place();
            log::warn!(
                "forward to {place} is too slow and loses {missed} messages, {} so far",
                self.dropped
            );
        }
    }

    fn report(&mut self, pusher: &Pusher) {
        let (out, input) = self.progress.sample(pusher.stream().as_ref());
        log::info!(
            "-> FWR time={}, msgs={}, okbps={out}, ikbps={input}, dropped={}, url={}",
            self.progress.millis(),
            self.messages,
            self.dropped,
            pusher.place(),
        );
    }
}

/// What happens again and again: it is told at first, and then rarely.
#[derive(Default)]
struct Rarely {
    count: u64,
}

impl Rarely {
    const EVERY: u64 = 100;

    /// Counts one more; gives whether it is to be told.
    fn is_turn(&mut self) -> bool {
        self.count += 1;
        self.count.is_power_of_two() || self.count.is_multiple_of(Self::EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_for_ever_is_told_rarely() {
        let mut failures = Rarely::default();
        let told: Vec<u64> = (0..=500)
            .filter(|_| failures.is_turn())
            .map(|index| index + 1)
            .collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64, 100, 128, 200, 256, 300, 400, 500]);
    }
}
