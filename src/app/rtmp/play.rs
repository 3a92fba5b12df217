//! A player: what the source has goes out in batches; what the client says in between is looked at, never waited for.

use std::rc::Rc;
use std::time::Duration;

use super::request::Request;
use super::socket::Socket;
use crate::app::hooks::Event;
use crate::app::pithy::{Progress, Turn};
use crate::app::source::{MergedWrite, RtmpConsumer, Source};
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::tcp::TcpStream;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtmp::server::{PlayEvent, Server as Session};

/// How long a player waits at most before it looks whether a short batch is due after all.
const LOOK: Duration = Duration::from_secs(1);

/// Plays until the client leaves, closes the stream, or has had as much as it asked for. Yields.
///
/// # Errors
/// The session's and the socket's; [`ErrorCode::DurationExceed`] when the client has had what it asked for.
pub(super) fn serve(
    session: &mut Session<Socket>,
    stream: &Rc<TcpStream>,
    request: &Request,
    source: &Rc<Source>,
    duration_ms: Option<u64>,
    turn: &Turn,
    interval: Duration,
) -> Result<()> {
    session.start_play().wrap("start play")?;
    request.ask(Event::Play)?;
    let ended = send(session, stream, request, source, duration_ms, turn, interval);
    request.tell(Event::Stop);
    ended
}

fn send(
    session: &mut Session<Socket>,
    stream: &Rc<TcpStream>,
    request: &Request,
    source: &Rc<Source>,
    duration_ms: Option<u64>,
    turn: &Turn,
    interval: Duration,
) -> Result<()> {
    stream.set_quick_ack(false);
    let play = &request.vhost.play;
    let merged = MergedWrite {
        messages: play.mw_msgs,
        latency: play.mw_latency,
    };
    log::info!(
        "start play smi={}ms, mw_sleep={}, mw_msgs={}, realtime={}, tcp_nodelay={}",
        play.send_min_interval.as_millis(),
        play.mw_latency.as_millis(),
        play.mw_msgs,
        u8::from(request.vhost.min_latency),
        u8::from(request.vhost.tcp_nodelay),
    );
    session.connection().release_buffers();
    let mut player = Player {
        consumer: RtmpConsumer::join(source, session.connection().chunk_size()),
        stream,
        merged,
        pause_between: play.send_min_interval,
        duration_ms,
        paused: false,
    };
    player.play(session, turn, interval)
}

struct Player<'a> {
    consumer: RtmpConsumer,
    stream: &'a TcpStream,
    merged: MergedWrite,
    pause_between: Duration,
    duration_ms: Option<u64>,
    paused: bool,
}

impl Player<'_> {
    fn play(&mut self, session: &mut Session<Socket>, turn: &Turn, interval: Duration) -> Result<()> {
        let mut progress = Progress::new();
        let mut sent = 0;
        // The first batch need not wait for a full one.
        let mut due = true;
        loop {
            while let Some(command) = session.try_read_command()? {
                match session.play_command(&command)? {
                    PlayEvent::Ignored => {}
                    PlayEvent::Paused => self.paused = true,
                    PlayEvent::Resumed => self.paused = false,
                    PlayEvent::Closed => return Ok(()),
                }
            }
            if due && !self.paused {
                sent += self.send()?;
            }
            if turn.take(interval) {
                self.report(&mut progress, sent);
            }
            let before = Moment::now();
            self.wait(before + LOOK)?;
            due = self.consumer.place.is_due(self.merged) || Moment::now().since(before) >= LOOK;
        }
    }

    fn send(&mut self) -> Result<u64> {
        let mut total = 0;
        let limit = if self.pause_between.is_zero() { u64::MAX } else { 1 };
        loop {
            let sent = self.consumer.send(self.stream, limit);
            let sent = sent.io_wrap(ErrorCode::SocketWrite, || "send messages".to_owned())?;
            if sent == 0 {
                return Ok(total);
            }
            total += sent;
            if self
                .duration_ms
                .is_some_and(|limit| self.consumer.place.taken_ms() >= limit as i64)
            {
                let text = format!("{} ms of media are sent", self.consumer.place.taken_ms());
                return Err(Error::new(ErrorCode::DurationExceed, text));
            }
            if !self.pause_between.is_zero() {
                coroutine::sleep(self.pause_between);
            }
        }
    }

    fn wait(&self, deadline: Moment) -> Result<()> {
        if self.paused {
            let waited = self.stream.wait_readable(deadline);
            waited.io_wrap(ErrorCode::SocketRead, || "wait for the paused player".to_owned())?;
        } else {
            self.consumer.place.wait(self.merged, self.stream, deadline);
        }
        Ok(())
    }

    fn report(&self, progress: &mut Progress, sent: u64) {
        let (out, input) = progress.sample(self.stream);
        log::info!(
            "-> PLA time={}, msgs={sent}, okbps={out}, ikbps={input}, mw={}, dropped={}",
            progress.millis(),
            self.merged.latency.as_millis(),
            self.consumer.place.dropped(),
        );
    }
}
