//! A player: what the source has goes out in batches; what the client says in between is looked at, never waited for.

use std::rc::Rc;
use std::time::Duration;

use super::request::Request;
use super::socket::Socket;
use crate::app::config::section::cluster::Protocol;
use crate::app::config::section::security::Action;
use crate::app::config::section::vhost::Vhost;
use crate::app::edge::cluster;
use crate::app::hooks::Event;
use crate::app::pithy::{self, Progress, Turn};
use crate::app::reload::Followed;
use crate::app::source::{Delivery, MergedWrite, Source};
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtmp::server::{PlayEvent, Server as Session};

/// How long a client may take to say that it goes to another server.
const REDIRECT_ANSWER: Duration = Duration::from_secs(3);

/// Plays until the client leaves, closes the stream, or has had as much as it asked for. Yields.
///
/// # Errors
/// The session's and the socket's; [`ErrorCode::DurationExceed`] when the client has had what it asked for;
/// [`ErrorCode::RtmpRedirect`] when it was sent to another server, and those of [`cluster::find`].
pub(super) fn serve(
    session: &mut Session<Socket>,
    stream: &Rc<Stream>,
    request: &Request,
    source: &Rc<Source>,
    duration_ms: Option<u64>,
    turn: &Turn,
    interval: Duration,
) -> Result<()> {
    session.start_play().wrap("start play")?;
    request.ask(Event::Play)?;
    let admitted = request.admit(Action::Play);
    let ended = admitted.and_then(|()| {
        let cluster = &request.vhost.cluster;
        let is_away = || source.publisher().is_none() && !request.server.workers.has_elsewhere(source.url());
        match cluster.origin_cluster && !cluster.is_remote && is_away() {
            true => send_on(session, stream, request),
            false => join(session, stream, request, source, duration_ms, interval).play(session, turn),
        }
    });
    request.tell(Event::Stop);
    ended
}

/// Tells the player which origin of the cluster has the stream. It always ends with an error: the client goes there.
fn send_on(session: &mut Session<Socket>, stream: &Stream, request: &Request) -> Result<()> {
    let redirect = cluster::find(&request.server, &request.vhost, &request.subject.url)?;
    session.redirect(&redirect)?;
    stream.set_read_timeout(Some(REDIRECT_ANSWER));
    // Most just leave.
    let follows = session.read_redirect_answer().unwrap_or(false);
    let text = format!("the stream is at {}, follows={}", redirect.tc_url, u8::from(follows));
    Err(Error::new(ErrorCode::RtmpRedirect, text))
}

/// Has the stream come, from elsewhere if need be. Not part of its caller, whose stack stays in memory as long as the client
/// plays.
#[inline(never)]
fn join<'a>(
    session: &mut Session<Socket>,
    stream: &'a Rc<Stream>,
    request: &Request,
    source: &Rc<Source>,
    duration_ms: Option<u64>,
    interval: Duration,
) -> Player<'a> {
    stream.set_quick_ack(false);
    let play = &request.vhost.play;
    let merged = merged(&request.vhost);
    log::info!(
        "start play smi={}ms, mw_sleep={}, mw_msgs={}, realtime={}, tcp_nodelay={}",
        play.send_min_interval.as_millis(),
        play.mw_latency.as_millis(),
        play.mw_msgs,
        u8::from(request.vhost.min_latency),
        u8::from(request.vhost.tcp_nodelay),
    );
    session.connection().release_buffers();
    let by_courier = is_sent_by_courier(&request.vhost, stream, duration_ms);
    request.server.edges.watch(
        &request.server,
        &request.vhost,
        &request.subject.url,
        source,
        Protocol::Rtmp,
    );
    request.server.workers.watch(&request.server, source);
    Player {
        delivery: Delivery::join(source, session.connection().chunk_size(), stream, merged, by_courier),
        stream,
        latency: merged.latency,
        pause_between: play.send_min_interval,
        duration_ms,
        paused: false,
        followed: Followed::new(&request.server, &request.vhost.name),
        interval,
    }
}

fn merged(vhost: &Vhost) -> MergedWrite {
    MergedWrite {
        messages: vhost.play.mw_msgs,
        latency: vhost.play.mw_latency,
    }
}

/// Not for those that look after each message; and to encrypt for many in a row would hold up everybody else.
fn is_sent_by_courier(vhost: &Vhost, stream: &Stream, duration_ms: Option<u64>) -> bool {
    duration_ms.is_none() && vhost.play.send_min_interval.is_zero() && !stream.is_secure()
}

struct Player<'a> {
    delivery: Rc<Delivery>,
    stream: &'a Stream,
    latency: Duration,
    pause_between: Duration,
    duration_ms: Option<u64>,
    paused: bool,
    followed: Followed,
    interval: Duration,
}

impl Player<'_> {
    fn play(&mut self, session: &mut Session<Socket>, turn: &Turn) -> Result<()> {
        let mut progress = Progress::new();
        coroutine::trim_stack();
        loop {
            while let Some(command) = session.try_read_command()? {
                match session.play_command(&command)? {
                    PlayEvent::Ignored => {}
                    PlayEvent::Paused => self.pause(true),
                    PlayEvent::Resumed => self.pause(false),
                    PlayEvent::Closed => {
                        log::debug!("the player closes its stream");
                        return Ok(());
                    }
                }
            }
            if let Some((config, vhost)) = self.followed.changed() {
                self.interval = config.pithy_print;
                self.adopt(&vhost);
            }
            if !self.paused && self.delivery.is_due() {
                self.send()?;
            }
            if turn.take(self.interval) {
                self.report(&mut progress);
            }
            self.wait(Moment::after(pithy::look(self.delivery.players())))?;
        }
    }

    fn pause(&mut self, paused: bool) {
        log::debug!("the player {}", if paused { "pauses" } else { "goes on" });
        self.paused = paused;
    }

    fn adopt(&mut self, vhost: &Vhost) {
        let merged = merged(vhost);
        let by_courier = is_sent_by_courier(vhost, self.stream, self.duration_ms);
        self.delivery.send_as(merged, by_courier);
        self.latency = merged.latency;
        self.pause_between = vhost.play.send_min_interval;
        // It fails only for one that has gone.
        let _ = self.stream.set_nodelay(vhost.tcp_nodelay || vhost.min_latency);
        log::debug!(
            "play settings have changed, smi={}ms, mw_sleep={}, mw_msgs={}, realtime={}, tcp_nodelay={}, by_courier={by_courier}",
            self.pause_between.as_millis(),
            merged.latency.as_millis(),
            merged.messages,
            u8::from(vhost.min_latency),
            u8::from(vhost.tcp_nodelay),
        );
    }

    fn send(&mut self) -> Result<()> {
        let limit = if self.pause_between.is_zero() { u64::MAX } else { 1 };
        loop {
            let sent = self
                .delivery
                .send(limit)
                .io_wrap(ErrorCode::SocketWrite, || "send messages".to_owned())?;
            if sent == 0 {
                return Ok(());
            }
            self.check_duration()?;
            if !self.pause_between.is_zero() {
                coroutine::sleep(self.pause_between);
            }
        }
    }

    fn check_duration(&self) -> Result<()> {
        let sent = self.delivery.sent_ms();
        match self.duration_ms {
            Some(limit) if sent >= i64::try_from(limit).unwrap_or(i64::MAX) => Err(Error::new(
                ErrorCode::DurationExceed,
                format!("{sent} ms of media are sent"),
            )),
            _ => Ok(()),
        }
    }

    fn wait(&self, deadline: Moment) -> Result<()> {
        if self.paused {
            let waited = self.stream.wait_readable(deadline);
            waited.io_wrap(ErrorCode::SocketRead, || "wait for the paused player".to_owned())?;
        } else {
            self.delivery.wait(deadline);
        }
        Ok(())
    }

    fn report(&self, progress: &mut Progress) {
        let (out, input) = progress.sample(self.stream);
        log::info!(
            "-> PLA time={}, msgs={}, okbps={out}, ikbps={input}, mw={}, dropped={}",
            progress.millis(),
            self.delivery.sent(),
            self.latency.as_millis(),
            self.delivery.dropped(),
        );
    }
}
