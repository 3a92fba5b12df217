//! One player: what its feed has goes out in batches; its connection's end is noticed in between.

use std::rc::Rc;
use std::time::Duration;

use super::feed::Feed;
use crate::app::config::section::http_remux::Mount;
use crate::app::config::section::vhost::Vhost;
use crate::app::http::exchange::Exchange;
use crate::app::pithy::{self, Progress};
use crate::app::reload::Followed;
use crate::app::server::Server;
use crate::app::source::{MergedWrite, Parked, Recipient, Way};
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::core::limits::{HTTP_DRAIN_BYTES, LIVE_SCRATCH_BYTES};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::websocket::{self, Opcode};

/// How long a player waits at most before it looks whether a short batch is due after all.
const LOOK: Duration = Duration::from_secs(1);
/// The same while its file header waits to be told.
const LOOK_FOR_TRACKS: Duration = Duration::from_millis(100);

fn merged(vhost: &Vhost) -> MergedWrite {
    MergedWrite {
        messages: vhost.play.mw_msgs,
        latency: vhost.play.mw_latency,
    }
}

/// One player on its connection.
pub struct Player<'p, 'c, 's> {
    exchange: &'p mut Exchange<'c, 's>,
    server: &'p Rc<Server>,
    feed: Feed,
    merged: MergedWrite,
    /// Who publishes, once somebody does.
    publisher: Option<ContextId>,
    followed: Followed,
    mount: Mount,
    interval: Duration,
    recipient: Rc<Recipient>,
    progress: Progress,
}

impl<'p, 'c, 's> Player<'p, 'c, 's> {
    /// A player whose answer has begun.
    pub fn new(exchange: &'p mut Exchange<'c, 's>, server: &'p Rc<Server>, vhost: &Vhost, feed: Feed) -> Self {
        Player {
            exchange,
            server,
            feed,
            merged: merged(vhost),
            followed: Followed::new(server, &vhost.name),
            mount: vhost.http_remux.mount.clone(),
            interval: server.config().pithy_print,
            publisher: None,
            recipient: Rc::new(Recipient::current()),
            progress: Progress::new(),
        }
    }

    /// Plays until the publisher or the client leaves; waits for a publisher who is not there yet. Yields.
    ///
    /// # Errors
    /// The socket's; [`ErrorCode::SocketClosed`] when the client leaves.
    pub fn play(mut self) -> Result<()> {
        let mut due = true;
        coroutine::trim_stack();
        loop {
            if self.has_left()? {
                return Ok(());
            }
            if !self.is_mounted() {
                return self.finish("its mount is gone");
            }
            let has_ended = self.has_ended();
            let rest = self.recipient.take_turn();
            self.exchange.write_rest(&rest)?;
            if due || has_ended {
                self.send()?;
            }
            if self.feed.is_over() {
                return self.finish("its codec parameters changed");
            }
            if has_ended {
                return self.finish("the stream ended");
            }
            if self.server.http.live.turn.take(self.interval) {
                self.report();
            }
            due = self.wait()?;
        }
    }

    /// Waits for something to do; gives whether a batch is to be sent. Yields.
    fn wait(&self) -> Result<bool> {
        let (before, place) = (Moment::now(), self.feed.place());
        if self.publisher.is_some() && self.publisher != place.source().publisher() {
            // It ended while the last batch was sent; nobody tells again.
            return Ok(true);
        }
        if self.is_undecided() && place.is_due(self.merged) {
            self.exchange.wait_input(before + LOOK_FOR_TRACKS)?;
            return Ok(true);
        }
        let parked = self.parked();
        let look = match (self.is_undecided(), &parked) {
            (true, _) => LOOK_FOR_TRACKS,
            (false, None) => LOOK,
            // What is short goes out with the courier.
            (false, Some(_)) => pithy::look(place.source().consumer_count()),
        };
        place.wait(parked, self.merged, self.exchange.stream(), before + look);
        let is_called = self.recipient.is_called();
        Ok(is_called || place.is_due(self.merged) || Moment::now().since(before) >= look)
    }

    /// How the courier sends for it, once it plays.
    fn parked(&self) -> Option<Parked> {
        self.feed.parked(&Way {
            stream: self.exchange.stream(),
            envelope: self.exchange.envelope().filter(|_| self.publisher.is_some())?,
            merged: self.merged,
            recipient: &self.recipient,
        })
    }

    /// Whether messages are there, but nothing can be sent yet.
    fn is_undecided(&self) -> bool {
        self.feed.place().taken() == 0 && self.publisher.is_some()
    }

    /// Whether the publisher who was seen is gone. Another one may have come since; its players are those who ask again.
    fn has_ended(&mut self) -> bool {
        let publisher = self.feed.place().source().publisher();
        let known = self.publisher;
        if known.is_none() {
            self.publisher = publisher;
            return false;
        }
        known != publisher
    }

    fn send(&mut self) -> Result<()> {
        if self.publisher.is_none() {
            return Ok(());
        }
        loop {
            let (taken, rest) = {
                let mut scratch = self.server.http.live.scratch.borrow_mut();
                scratch.clear();
                let taken = self.feed.take_batch(&mut scratch);
                let rest = self.exchange.offer(&scratch)?;
                if scratch.capacity() > LIVE_SCRATCH_BYTES {
                    *scratch = Vec::new();
                }
                (taken, rest)
            };
            self.exchange.write_rest(&rest)?;
            if taken == 0 {
                return Ok(());
            }
        }
    }

    /// Takes what a reload has changed; gives whether the stream is still served where the player has found it.
    fn is_mounted(&mut self) -> bool {
        let Some((config, vhost)) = self.followed.changed() else {
            return true;
        };
        self.interval = config.pithy_print;
        self.merged = merged(&vhost);
        // It fails only for one that has gone.
        let _ = self
            .exchange
            .stream()
            .set_nodelay(vhost.tcp_nodelay || vhost.min_latency);
        vhost.http_remux.enabled && vhost.http_remux.mount == self.mount
    }

    /// Sends what the format held back.
    fn finish(&mut self, why: &str) -> Result<()> {
        if !self.feed.is_over() {
            let mut rest = Vec::new();
            self.feed.finish(&mut rest);
            let unsent = self.exchange.offer(&rest)?;
            self.exchange.write_rest(&unsent)?;
        }
        let taken = self.feed.place().taken();
        log::info!("http player is closed, {why} after {taken} messages");
        Ok(())
    }

    /// Looks at what the client sent; gives whether it said goodbye.
    fn has_left(&mut self) -> Result<bool> {
        if self.exchange.is_websocket() {
            return self.answer_frames();
        }
        self.check_silence().map(|()| false)
    }

    /// Answers pings; other messages are none of ours. Gives whether the client closes.
    fn answer_frames(&mut self) -> Result<bool> {
        let input = self.exchange.try_input()?;
        let is_idle = input.is_empty();
        while let Some(frame) = websocket::take_frame(self.exchange.unread())? {
            match frame.opcode {
                Opcode::Close => return Ok(true),
                Opcode::Ping => {
                    let pong = websocket::control_frame(Opcode::Pong, &frame.payload);
                    self.exchange.write_rest(&pong)?;
                }
                Opcode::Pong | Opcode::Text | Opcode::Binary | Opcode::Continuation => {}
            }
        }
        if !is_idle {
            // A client that always has another frame shall not keep the others from their turn.
            coroutine::yield_now();
        }
        Ok(false)
    }

    /// Players have nothing to say over plain HTTP: a client that sends and sends is none.
    fn check_silence(&mut self) -> Result<()> {
        let input = self.exchange.try_input()?;
        if input.len() > HTTP_DRAIN_BYTES {
            let text = format!("player sent {} bytes that nobody asked for", input.len());
            return Err(Error::new(ErrorCode::HttpWithBody, text));
        }
        Ok(())
    }

    fn report(&mut self) {
        let (out, input) = self.progress.sample(self.exchange.stream().as_ref());
        log::info!(
            "-> HTS http: time={}, msgs={}, okbps={out}, ikbps={input}, mw={}, dropped={}",
            self.progress.millis(),
            self.feed.place().taken(),
            self.merged.latency.as_millis(),
            self.feed.place().dropped(),
        );
    }
}
