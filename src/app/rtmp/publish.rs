//! A publisher: its messages become frames of the source.

use std::rc::Rc;
use std::time::Duration;

use super::intake::{self, Sink};
use super::request::Request;
use super::socket::Socket;
use crate::app::companions;
use crate::app::config::section::publish::Publish;
use crate::app::config::section::security::Action;
use crate::app::config::section::vhost::Vhost;
use crate::app::edge::registry::Claimed;
use crate::app::hooks::Event;
use crate::app::pithy::{Progress, Turn};
use crate::app::recording;
use crate::app::reload::Followed;
use crate::app::source::Source;
use crate::app::stat::Publishing;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::Frame;
use crate::protocol::rtmp::chunk::Message;
use crate::protocol::rtmp::message::{Command, StatusCode, kind};
use crate::protocol::rtmp::server::{PublishEvent, PublishKind, Server as Session};

/// What one read of a publisher asks for, bytes.
const READ_BYTES: usize = 16 << 10;
/// The same with merged read.
const MERGED_READ_BYTES: usize = 128 << 10;
/// The longest time that input waits for more; about a picture's.
const LONGEST_GATHERING: Duration = Duration::from_millis(40);
/// Below this, nothing would be gained.
const SHORTEST_GATHERING: Duration = Duration::from_millis(5);

/// Takes what the client publishes until it unpublishes or leaves. Yields.
///
/// # Errors
/// [`ErrorCode::StreamBusy`], [`ErrorCode::KickoffForIdle`], [`ErrorCode::SocketTimeout`] when nothing comes in time;
/// the session's and the socket's otherwise.
pub(super) fn serve(
    session: &mut Session<Socket>,
    stream: &Rc<Stream>,
    request: &Request,
    source: &Rc<Source>,
    kind: PublishKind,
    turn: &Turn,
    interval: Duration,
) -> Result<()> {
    session.start_publish(kind)?;
    let admitted = request.admit(Action::Publish);
    if let Err(refused) = admitted.and_then(|()| request.ask(Event::Publish)) {
        // Encoders show this to their users; SRS just closes. One that has left needs no answer.
        let _ = session.reject(&StatusCode::PublishBadName, "publishing is refused");
        return Err(refused);
    }
    let claimed = request.server.workers.claim(&request.server, source.url(), stream);
    let begun = claimed.and_then(|claim| Ok((source.publish()?, claim)));
    let (publication, claim) = match begun {
        Ok(begun) => begun,
        Err(busy) => {
            // Encoders show this to their users; SRS just closes.
            session.reject(
                &StatusCode::PublishBadName,
                "the stream is busy, another client publishes it",
            )?;
            return Err(busy.wrap("acquire publish"));
        }
    };
    // Bound to a name: the stream is registered as long as it is published.
    let _registered = match register(request) {
        Ok(registered) => registered,
        Err(busy) => {
            drop(publication);
            let text = "the stream is busy, it is published at another server of the cluster";
            session.reject(&StatusCode::PublishBadName, text)?;
            return Err(busy.wrap("acquire publish"));
        }
    };
    let ended = match companions::begin(&publisher(request, source)) {
        // Bound to a name: it lives as long as the publication.
        Ok(_companions) => take(session, stream, request, publication, kind, turn, interval),
        Err(refused) => {
            drop(publication);
            let _ = session.reject(
                &StatusCode::PublishBadName,
                "the stream cannot be recorded, forwarded or transcoded",
            );
            Err(refused)
        }
    };
    drop(claim);
    // The name is free by now: the next publisher does not wait for this call.
    request.tell(Event::Unpublish);
    ended
}

/// Claims the stream for this origin of its cluster, if there is a registry. Yields.
fn register(request: &Request) -> Result<Option<Claimed>> {
    if !request.vhost.cluster.origin_cluster {
        return Ok(None);
    }
    let registry = &request.server.edges.registry;
    let claimed = registry.claim(&request.server, &request.subject.url.stream_url());
    claimed.map(Some)
}

fn publisher(request: &Request, source: &Rc<Source>) -> recording::Publisher {
    recording::Publisher {
        server: Rc::downgrade(&request.server),
        subject: request.subject.clone(),
        vhost: request.vhost.clone(),
        id: ContextId::current(),
        source: source.clone(),
    }
}

/// Hands what the client publishes to `sink`. Yields.
pub(super) fn take(
    session: &mut Session<Socket>,
    stream: &Rc<Stream>,
    request: &Request,
    sink: impl Sink,
    kind: PublishKind,
    turn: &Turn,
    interval: Duration,
) -> Result<()> {
    session.publish_started()?;
    stream.set_quick_ack(false);
    let publish = &request.vhost.publish;
    log::info!(
        "start publish mr={}/{}, p1stpt={}, pnt={}, tcp_nodelay={}",
        u8::from(publish.mr),
        publish.mr_latency.as_millis(),
        publish.firstpkt_timeout.as_millis(),
        publish.normal_timeout.as_millis(),
        u8::from(request.vhost.tcp_nodelay),
    );
    session.connection().set_read_size(read_size(publish));
    stream.set_gathering(gathering(&request.vhost));
    let _ends = Gathers(stream);
    let mut publisher = Publisher {
        sink,
        publishing: request.client.publish(publish.parse_sps),
        vhost: request.vhost.clone(),
        followed: Followed::new(&request.server, &request.vhost.name),
        interval,
        stream,
        messages: 0,
        progress: Progress::new(),
    };
    publisher.take_all(session, kind, turn)
}

fn read_size(publish: &Publish) -> usize {
    if publish.mr { MERGED_READ_BYTES } else { READ_BYTES }
}

/// How long what a publisher sends may wait to be read together with what follows: a small part of what players wait for
/// theirs anyway. Merged read has its own way.
fn gathering(vhost: &Vhost) -> Option<Duration> {
    let interval = (vhost.play.mw_latency / 8).min(LONGEST_GATHERING);
    let wanted = !vhost.publish.mr && !vhost.min_latency && interval >= SHORTEST_GATHERING;
    wanted.then_some(interval)
}

/// Ends the gathering with the publish: the commands that follow are read at once.
struct Gathers<'a>(&'a Stream);

impl Drop for Gathers<'_> {
    fn drop(&mut self) {
        self.0.set_gathering(None);
    }
}

struct Publisher<'a, S> {
    sink: S,
    publishing: Publishing,
    vhost: Rc<Vhost>,
    followed: Followed,
    interval: Duration,
    stream: &'a Stream,
    messages: u64,
    progress: Progress,
}

impl<S: Sink> Sink for Publisher<'_, S> {
    fn push(&mut self, frame: Frame) -> Result<()> {
        if self.messages == 0 {
            self.stream.set_read_timeout(Some(self.vhost.publish.normal_timeout));
        }
        self.messages += 1;
        self.publishing.see(&frame);
        self.sink.push(frame)
    }

    fn request_atc(&self) {
        self.sink.request_atc();
    }
}

impl<S: Sink> Publisher<'_, S> {
    fn take_all(&mut self, session: &mut Session<Socket>, kind: PublishKind, turn: &Turn) -> Result<()> {
        self.stream.set_read_timeout(Some(self.vhost.publish.firstpkt_timeout));
        coroutine::trim_stack();
        loop {
            let message = self.next_message(session)?;
            self.follow(session);
            if kind::is_command(message.kind) {
                let command = Command::parse(&message.payload)?;
                if session.publish_command(kind, &command)? == PublishEvent::Unpublished {
                    log::debug!("the publisher ends its stream after {} messages", self.messages);
                    return Ok(());
                }
                continue;
            }
            intake::take(message, self)?;
            self.check_idle()?;
            if turn.take(self.interval) {
                self.report();
            }
        }
    }

    /// Takes what a reload has changed.
    fn follow(&mut self, session: &mut Session<Socket>) {
        let Some((config, vhost)) = self.followed.changed() else {
            return;
        };
        let publish = &vhost.publish;
        session.connection().set_read_size(read_size(publish));
        let timeout = match self.messages {
            0 => publish.firstpkt_timeout,
            _ => publish.normal_timeout,
        };
        self.stream.set_read_timeout(Some(timeout));
        self.stream.set_gathering(gathering(&vhost));
        log::debug!("the publisher takes on the settings of a reload");
        self.interval = config.pithy_print;
        self.publishing.set_parse_config(publish.parse_sps);
        self.vhost = vhost;
    }

    /// With merged read, waits a little so that one read brings many messages.
    fn next_message(&self, session: &mut Session<Socket>) -> Result<Message> {
        if self.vhost.publish.mr && self.messages > 0 {
            if let Some(message) = session.connection().try_read_message()? {
                return Ok(message);
            }
            coroutine::sleep(self.vhost.publish.mr_latency);
        }
        session.connection().read_message().wrap("receive publish message")
    }

    fn check_idle(&self) -> Result<()> {
        let Some(limit) = self.vhost.publish.kickoff_for_idle else {
            return Ok(());
        };
        match self.sink.unwatched_since() {
            Some(since) if Moment::now().since(since) >= limit => {
                let text = format!("nobody has watched for {} s", limit.as_secs_f64());
                Err(Error::new(ErrorCode::KickoffForIdle, text))
            }
            _ => Ok(()),
        }
    }

    fn report(&mut self) {
        let (out, input) = self.progress.sample(self.stream);
        log::info!(
            "<- CPB time={}, msgs={}, okbps={out}, ikbps={input}, mr={}/{}, p1stpt={}, pnt={}",
            self.progress.millis(),
            self.messages,
            u8::from(self.vhost.publish.mr),
            self.vhost.publish.mr_latency.as_millis(),
            self.vhost.publish.firstpkt_timeout.as_millis(),
            self.vhost.publish.normal_timeout.as_millis(),
        );
    }
}
