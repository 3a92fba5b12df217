//! The life of an RTMP connection: handshake, connect, who are you, then publish or play, maybe more than once.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use super::dialogue::OnBehalf;
use super::request::Request;
use super::socket::Socket;
use super::who::Who;
use super::{bandcheck, play, proxy, publish};
use crate::app::access::crowd::Guest;
use crate::app::access::{self, Entrance, Gate, Visitor};
use crate::app::clients::Entry;
use crate::app::config::section::bandcheck::Bandcheck;
use crate::app::config::section::security::Action;
use crate::app::config::section::vhost::Vhost;
use crate::app::edge;
use crate::app::hooks::{Caller, Details, Event, Subject, Traffic};
use crate::app::server::Server;
use crate::app::source::Source;
use crate::app::stat::{self, ClientKind, NewClient};
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::rtmp::message::StatusCode;
use crate::protocol::rtmp::server::{ConnectReply, ConnectRequest, PublishKind, Role, Server as Session};
use crate::protocol::rtmp::url::StreamUrl;

/// How long a peer may take for each step before it publishes or plays, and to take what is sent to it.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection that has published or played may take to do so again.
const AGAIN_TIMEOUT: Duration = Duration::from_secs(180);
/// The bandwidth that a client is told it may use, bytes a second.
const PEER_BANDWIDTH: u32 = 2_500_000;
/// How often one connection may publish or play in turn; a client that means it needs two or three.
const ROUNDS_MAX: usize = 10_000;

/// Serves one client until it leaves; logs how it ended. Yields.
pub fn serve(server: &Rc<Server>, stream: &Rc<Stream>, peer: SocketAddr, entry: &Entry) {
    log::info!("RTMP client ip={peer}, fd={}", stream.as_raw_fd());
    let mut conn = Conn {
        server,
        stream,
        entry,
        peer,
        session: Session::new(Socket(stream.clone())),
        caller: Rc::new(Caller::new(server)),
        subject: None,
    };
    if let Err(error) = conn.serve() {
        log_end(&error);
    }
    conn.close();
    log::debug!(
        "RTMP client {peer} sent {} bytes, got {}",
        stream.received_bytes(),
        stream.sent_bytes()
    );
}

fn log_end(error: &Error) {
    let number = error.code().number();
    match error.code() {
        _ if error.is_client_gone() => log::info!("client disconnect peer. ret={number}, {}", error.summary()),
        ErrorCode::SocketTimeout => log::warn!("client timed out. ret={number}, {}", error.summary()),
        ErrorCode::DurationExceed
        | ErrorCode::KickoffForIdle
        | ErrorCode::ConnectionsExceed
        | ErrorCode::StreamBusy
        | ErrorCode::NoVhost
        | ErrorCode::BandwidthKey
        | ErrorCode::BandwidthDenied
        | ErrorCode::RtmpRedirect
        | ErrorCode::OriginClusterRedirect => {
            log::warn!("server disconnect. ret={number}, {}", error.summary());
        }
        _ => log::error!("serve error {error}"),
    }
}

struct Conn<'a> {
    server: &'a Rc<Server>,
    stream: &'a Rc<Stream>,
    entry: &'a Entry,
    peer: SocketAddr,
    session: Session<Socket>,
    caller: Rc<Caller>,
    /// Who it is, as far as it has told.
    subject: Option<Subject>,
}

/// A connection whose connect is accepted.
struct Begun {
    connect: ConnectRequest,
    url: StreamUrl,
    /// It is counted as long as it is there.
    _guest: Option<Guest>,
}

/// A publication or a play that is admitted.
struct Prepared {
    role: Role,
    request: Request,
    source: Rc<Source>,
    duration_ms: Option<u64>,
}

impl Conn<'_> {
    fn serve(&mut self) -> Result<()> {
        let Some(begun) = self.begin()? else { return Ok(()) };
        let mut before = (0, 0);
        for round in 0..ROUNDS_MAX {
            if round > 0 {
                self.stream.set_read_timeout(Some(AGAIN_TIMEOUT));
            }
            self.serve_stream(&begun, before).wrap("service cycle")?;
            before = (self.stream.received_bytes(), self.stream.sent_bytes());
            log::debug!("the connection may be used again, round {round}");
        }
        Ok(())
    }

    /// All until the connect is accepted; `None` for a bandwidth test, which is over then. Not part of its caller, whose
    /// stack stays in memory as long as the client plays.
    #[inline(never)]
    fn begin(&mut self) -> Result<Option<Begun>> {
        self.stream.set_read_timeout(Some(STEP_TIMEOUT));
        self.stream.set_write_timeout(Some(STEP_TIMEOUT));
        // The answers before the media are small and each is waited for.
        let _ = self.stream.set_nodelay(true);
        self.stream.set_quick_ack(true);
        let _ = self.stream.set_keepalive(true);
        // Noise of the handshake; it hides nothing.
        let millis = (Moment::now().as_micros() / 1000) as u32;
        let mut random = fastrand::Rng::new();
        let shaken = self
            .session
            .handshake(millis, &mut |bytes| random.fill(bytes))
            .wrap("rtmp handshake")?;
        if let Some(client) = shaken.client {
            self.entry.client.ip.set(IpAddr::V4(client));
            log::info!("proxy real client ip={client}");
        }
        log::debug!("handshake done, digest={:?}", shaken.digest);
        let guest = self.server.welcome(self.peer.ip(), self.entry.client.ip.get())?;
        let connect = self.session.read_connect().wrap("rtmp connect tcUrl")?;
        let url = StreamUrl::connect(&connect.tc_url)?;
        self.subject = self.subject_of(url.clone(), &connect).ok();
        let vhost = self.server.config().vhost(&url.vhost);
        if let Some(vhost) = vhost.filter(|vhost| vhost.bandcheck.enabled) {
            self.check_bandwidth(&connect, &url, &vhost.bandcheck)?;
            return Ok(None);
        }
        self.accept(&connect, &url)?;
        Ok(Some(Begun {
            connect,
            url,
            _guest: guest,
        }))
    }

    fn check_bandwidth(&mut self, connect: &ConnectRequest, url: &StreamUrl, settings: &Bandcheck) -> Result<()> {
        bandcheck::admit(&mut self.session, connect, settings, &self.server.bandchecks)?;
        self.accept(connect, url)?;
        bandcheck::serve(&mut self.session, self.stream, connect, settings)
    }

    /// Accepts every connect: only the stream's name tells for sure which vhost is meant.
    fn accept(&mut self, connect: &ConnectRequest, url: &StreamUrl) -> Result<()> {
        let config = self.server.config();
        let vhost = config.vhost(&url.vhost);
        let vhost = vhost.as_deref();
        let who = Who::on(self.stream);
        let reply = ConnectReply {
            out_ack_size: vhost.map_or(PEER_BANDWIDTH, |vhost| vhost.out_ack_size),
            in_ack_size: vhost.map_or(0, |vhost| vhost.in_ack_size),
            peer_bandwidth: PEER_BANDWIDTH,
            chunk_size: vhost.map_or(config.chunk_size, |vhost| vhost.chunk_size),
            identity: who.identity(),
        };
        self.session
            .accept_connect(connect, &reply)
            .wrap("response connect app")
    }

    /// One publication or play; `before` is what the connection received and sent for others.
    fn serve_stream(&mut self, begun: &Begun, before: (u64, u64)) -> Result<()> {
        let prepared = self.prepare(begun, before)?;
        let served = self.serve_role(&prepared);
        prepared.request.client.leave(&served);
        served
    }

    /// Hears what the client wants, and whether it may. Not part of its caller, as [`Conn::begin`].
    #[inline(never)]
    fn prepare(&mut self, begun: &Begun, before: (u64, u64)) -> Result<Prepared> {
        let Begun { connect, url, .. } = begun;
        let role = self.session.identify().wrap("identify client")?;
        self.stream.set_read_timeout(Some(STEP_TIMEOUT));
        let (kind, stream, duration_ms) = match &role {
            Role::Publish { kind, stream } => (client_type(*kind), stream, None),
            Role::Play { stream, duration_ms } => (ClientKind::RtmpPlay, stream, *duration_ms),
        };
        let url = url.with_stream(stream).wrap("discover stream")?;
        log::info!(
            "client identified, type={}, vhost={}, app={}, stream={}, param={}, duration={}ms",
            kind.name(),
            printable(&url.vhost),
            printable(&url.app),
            printable(&url.stream),
            printable(&url.param),
            duration_ms.unwrap_or(0),
        );
        let subject = self.subject_of(url, connect)?;
        self.subject = Some(subject.clone());
        if matches!(role, Role::Play { .. })
            && let Err(refused) = self.server.overload.admit_player()
        {
            // One that has left needs no answer.
            let _ = self
                .session
                .reject(&StatusCode::PlayFailed, "the server is overloaded, try again later");
            return Err(refused);
        }
        log_connected(connect, &subject.url);
        let visitor = Visitor {
            subject: &subject,
            action: match &role {
                Role::Publish { .. } => Action::Publish,
                Role::Play { .. } => Action::Play,
            },
            entrance: Entrance::Rtmp,
        };
        access::admit(visitor, Gate::Vhost)?;
        self.caller.ask(Event::Connect, &subject)?;
        if subject.vhost.cluster.is_remote && subject.vhost.cluster.token_traverse {
            let client = OnBehalf {
                tc_url: &connect.tc_url,
                page_url: &connect.page_url,
                swf_url: &connect.swf_url,
            };
            edge::traverse(self.server, visitor, client)?;
        }
        access::admit(visitor, Gate::Stream)?;
        log::debug!("admitted to {}", printable(&subject.url.stream_url()));
        let request = Request {
            vhost: subject.vhost.clone(),
            client: self.enter(connect, &subject.url, kind, before),
            subject,
            server: self.server.clone(),
            caller: self.caller.clone(),
        };
        let source = self
            .server
            .sources
            .fetch_or_create(&request.subject.url.stream_url(), &request.vhost);
        self.log_source(&source, &request.vhost);
        Ok(Prepared {
            role,
            request,
            source,
            duration_ms,
        })
    }

    fn enter(&self, connect: &ConnectRequest, url: &StreamUrl, kind: ClientKind, before: (u64, u64)) -> stat::Entry {
        let key = url.stream_url();
        let new = NewClient {
            id: self.entry.client.id.as_str(),
            kind,
            ip: self.entry.client.ip.get(),
            page_url: &connect.page_url,
            swf_url: &connect.swf_url,
            tc_url: &connect.tc_url,
            vhost: &url.vhost,
            app: &url.app,
            name: &url.stream,
            stream: key.rsplit('/').next().unwrap_or_default(),
            url: &key,
            before,
        };
        self.server.stat.enter(new, self.stream.clone())
    }

    fn serve_role(&mut self, prepared: &Prepared) -> Result<()> {
        let Prepared { request, source, .. } = prepared;
        let interval = self.server.config().pithy_print;
        match prepared.role {
            Role::Publish { kind, .. } if request.vhost.cluster.is_remote => proxy::serve(
                &mut self.session,
                self.stream,
                request,
                kind,
                &self.server.turns.publish,
                interval,
            ),
            Role::Publish { kind, .. } => publish::serve(
                &mut self.session,
                self.stream,
                request,
                source,
                kind,
                &self.server.turns.publish,
                interval,
            ),
            Role::Play { .. } => {
                let _ = self
                    .stream
                    .set_nodelay(request.vhost.tcp_nodelay || request.vhost.min_latency);
                play::serve(
                    &mut self.session,
                    self.stream,
                    request,
                    source,
                    prepared.duration_ms,
                    &self.server.turns.play,
                    interval,
                )
            }
        }
    }

    /// The client, with the vhost that serves it.
    fn subject_of(&self, mut url: StreamUrl, connect: &ConnectRequest) -> Result<Subject> {
        let vhost = self.server.vhost(&url.vhost)?;
        url.vhost.clone_from(&vhost.name);
        Ok(Subject {
            url,
            ip: self.entry.client.ip.get(),
            page_url: connect.page_url.clone(),
            swf_url: connect.swf_url.clone(),
            vhost,
        })
    }

    /// The end, also of a client that was refused.
    fn close(&self) {
        // The peer need not wait for callback servers.
        self.entry.client.kick();
        if let Some(subject) = &self.subject {
            let traffic = Traffic {
                send_bytes: self.stream.sent_bytes(),
                recv_bytes: self.stream.received_bytes(),
            };
            self.caller.tell(Event::Close, subject, Details::Traffic(traffic));
        }
    }

    fn log_source(&self, source: &Source, vhost: &Vhost) {
        let id = source.publisher().map(|id| id.to_string()).unwrap_or_default();
        log::info!(
            "source url={}, ip={}, cache={}/{}, is_edge={}, source_id={id}",
            printable(source.url()),
            self.entry.client.ip.get(),
            u8::from(source.gop_messages() > 0),
            source.gop_messages(),
            u8::from(vhost.cluster.is_remote),
        );
    }
}

/// The role's name in logs and in the API.
fn client_type(kind: PublishKind) -> ClientKind {
    match kind {
        PublishKind::Fmle => ClientKind::FmlePublish,
        PublishKind::Haivision => ClientKind::HaivisionPublish,
        PublishKind::Flash => ClientKind::FlashPublish,
    }
}

fn log_connected(connect: &ConnectRequest, url: &StreamUrl) {
    log::info!(
        "connected stream, tcUrl={}, pageUrl={}, swfUrl={}, schema={}, vhost={}, port={}, app={}, stream={}, param={}, args={}",
        printable(&connect.tc_url),
        printable(&connect.page_url),
        printable(&connect.swf_url),
        printable(&url.schema),
        printable(&url.vhost),
        url.port,
        printable(&url.app),
        printable(&url.stream),
        printable(&url.param),
        if connect.args.is_some() { "(obj)" } else { "null" },
    );
}
