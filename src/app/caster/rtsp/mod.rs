//! The caster `rtsp`: a publisher announces its media and sends them in RTP, over UDP or between the messages.

mod session;
mod track;
mod transport;

use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;

use self::session::{Media, Session};
use self::track::Track;
use self::transport::{Carrier, Requested, UdpPair};
use super::outlet::Names;
use crate::app::cli::SIGNATURE;
use crate::app::clients::Entry;
use crate::app::config::section::caster::{Caster, CasterKind};
use crate::app::server::Server;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::path;
use crate::protocol::rtsp::{self, Item, Request};
use crate::protocol::sdp::SessionDescription;

/// How long a publisher may say nothing at all.
const SILENCE: Duration = Duration::from_secs(30);
/// How often it gets receiver reports.
const REPORTS: Duration = Duration::from_secs(5);
/// How long it may take to take an answer.
const WRITE: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 16 << 10;
const PUBLIC: &str = "OPTIONS, ANNOUNCE, SETUP, RECORD, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

/// Serves a connection until its end. Yields.
pub fn serve(server: &Rc<Server>, stream: &Rc<Stream>, peer: SocketAddr, _entry: &Entry) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let Some(caster) = server.casters.of_connection(CasterKind::Rtsp, local) else {
        return;
    };
    let _ = stream.set_nodelay(true);
    stream.set_write_timeout(Some(WRITE));
    stream.set_read_timeout(Some(REPORTS));
    let mut connection = Connection {
        server,
        stream,
        caster: &caster,
        local,
        peer,
        id: format!("{:016x}", fastrand::u64(..)),
        ssrc: fastrand::u32(1..),
        announced: None,
        session: None,
        reported: Moment::now(),
    };
    let ended = connection.run();
    if let Some(session) = connection.session.take() {
        session.finish();
    }
    match ended {
        Ok(()) => log::info!("caster rtsp: {peer} finished"),
        Err(error) if error.is_client_gone() => log::info!("caster rtsp: {peer} left, {}", error.summary()),
        Err(error) => log::warn!("caster rtsp: {peer} is cut off, {}", error.summary()),
    }
}

/// What is announced and not yet recorded.
struct Announced {
    names: Names,
    media: Vec<Media>,
}

struct Connection<'s> {
    server: &'s Rc<Server>,
    stream: &'s Rc<Stream>,
    caster: &'s Rc<Caster>,
    local: SocketAddr,
    peer: SocketAddr,
    /// The session's id.
    id: String,
    /// Who we are in reports.
    ssrc: u32,
    announced: Option<Announced>,
    session: Option<Session>,
    reported: Moment,
}

/// What a request comes to: a status with its phrase, and further header fields.
type Answer = (u16, &'static str, Vec<(&'static str, String)>);

const OK: Answer = (200, "OK", Vec::new());

impl Connection<'_> {
    fn run(&mut self) -> Result<()> {
        let mut buffer = BytesMut::new();
        let mut heard = Moment::now();
        let mut scratch = vec![0; READ_BYTES];
        loop {
            while let Some(item) = rtsp::pull(&mut buffer)? {
                match item {
                    Item::Request(request) if !self.answer(&request)? => return Ok(()),
                    Item::Request(_) => {}
                    Item::Packet { channel, data } => {
                        if let Some(session) = &self.session {
                            session.take(channel, data)?;
                        }
                    }
                }
            }
            self.report()?;
            let read = self.stream.read(&mut scratch);
            match read.io_wrap(ErrorCode::SocketRead, || "read RTSP".into()) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    heard = Moment::now();
                    buffer.extend_from_slice(&scratch[..count]);
                }
                Err(error) if error.code() == ErrorCode::SocketTimeout => {
                    let media = self.session.as_ref().map(Session::heard);
                    if Moment::now().since(media.unwrap_or(heard).max(heard)) >= SILENCE {
                        return Err(error.wrap(format!("nothing came for {SILENCE:?}")));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers a request; false when the connection is to end.
    fn answer(&mut self, request: &Request) -> Result<bool> {
        log::debug!("caster rtsp: {} asks for {}", self.peer, request.method);
        let answered = match request.method.as_str() {
            "OPTIONS" => Ok((200, "OK", vec![("Public", PUBLIC.to_owned())])),
            "ANNOUNCE" => self.announce(request),
            "SETUP" => self.setup(request),
            "RECORD" => self.record(),
            "GET_PARAMETER" | "SET_PARAMETER" | "TEARDOWN" => Ok(OK),
            _ => Ok((405, "Method Not Allowed", vec![("Allow", PUBLIC.to_owned())])),
        };
        let ((status, reason, mut headers), fault) = match answered {
            Ok(answer) => (answer, None),
            Err(error) => ((400, "Bad Request", Vec::new()), Some(error)),
        };
        headers.push(("Server", SIGNATURE.to_owned()));
        headers.push(("Session", format!("{};timeout={}", self.id, SILENCE.as_secs())));
        let sequence = request.headers.get("CSeq").unwrap_or("0");
        let bytes = rtsp::answer(status, reason, sequence, &headers);
        let sent = self.stream.write_all(&bytes);
        sent.io_wrap(ErrorCode::SocketWrite, || "answer RTSP".into())?;
        if let Some(error) = fault {
            let _ = self.stream.shutdown(Shutdown::Write);
            return Err(error.wrap(format!("RTSP {status}")));
        }
        Ok(request.method != "TEARDOWN")
    }

    fn announce(&mut self, request: &Request) -> Result<Answer> {
        if self.announced.is_some() || self.session.is_some() {
            return Ok((455, "Method Not Valid in This State", Vec::new()));
        }
        let path = path::resolve(request.path())
            .map_err(|cause| Error::new(ErrorCode::RtmpTcUrl, format!("path of the announced stream: {cause}")))?;
        let names = Names::of_path(request.host(), &path, ".sdp")?;
        let text = String::from_utf8_lossy(&request.body);
        let description = SessionDescription::parse(&text)?;
        let tracks = description.media.iter().map(Track::new).collect::<Result<Vec<_>>>()?;
        if !tracks.iter().any(Track::is_understood) {
            return Ok((415, "Unsupported Media Type", Vec::new()));
        }
        for track in &tracks {
            let verdict = if track.is_understood() {
                "is announced"
            } else {
                "is left out"
            };
            log::info!("caster rtsp: {} {verdict} by {}", track.name, self.peer);
        }
        let media = tracks.into_iter().map(Media::new).collect();
        self.announced = Some(Announced { names, media });
        Ok(OK)
    }

    fn setup(&mut self, request: &Request) -> Result<Answer> {
        let requested = request.headers.get("Transport").and_then(Requested::parse);
        let Some(announced) = &mut self.announced else {
            return Ok((455, "Method Not Valid in This State", Vec::new()));
        };
        let named = |media: &&mut Media| {
            let control = &media.track.control;
            media.carrier.is_none() && (!control.is_empty() && request.uri.ends_with(control.as_str()))
        };
        let Some(media) = announced.media.iter_mut().find(named) else {
            return Ok((404, "Not Found", Vec::new()));
        };
        let Some(requested) = requested else {
            return Ok((461, "Unsupported Transport", Vec::new()));
        };
        let carrier = match requested {
            Requested::Interleaved(channel) => Carrier::Interleaved(channel),
            Requested::Udp(port) => {
                let pair = UdpPair::open(self.local.ip(), self.caster.rtp_ports)?;
                Carrier::Udp(Rc::new(pair), SocketAddr::new(self.peer.ip(), port))
            }
        };
        let transport = carrier.describe();
        media.carrier = Some(carrier);
        Ok((200, "OK", vec![("Transport", transport)]))
    }

    fn record(&mut self) -> Result<Answer> {
        let Some(announced) = self.announced.take() else {
            return Ok((455, "Method Not Valid in This State", Vec::new()));
        };
        let url = announced.names.fill(&self.caster.output);
        let session = Session::start(self.server, self.stream, announced.media, url, self.peer);
        self.session = Some(session);
        Ok(OK)
    }

    /// Tells the publisher how its media arrive, when it is time.
    fn report(&mut self) -> Result<()> {
        let Some(session) = &self.session else {
            return Ok(());
        };
        if Moment::now().since(self.reported) < REPORTS {
            return Ok(());
        }
        self.reported = Moment::now();
        session.report(self.ssrc).wrap("report")
    }
}
