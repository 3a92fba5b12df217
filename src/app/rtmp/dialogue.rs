//! The way to a stream at another server: connection, handshake, `connect` and what is wanted then, with one redirect on
//! the way.

use std::rc::Rc;
use std::time::Duration;

use super::socket::Line;
use super::who::Who;
use crate::app::dial::{Peer, dial};
use crate::app::http::trust::Trust;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::rtmp::client::{Client, ConnectOptions, Reply};
use crate::protocol::rtmp::message::{Redirect, Status};
use crate::protocol::rtmp::url::StreamUrl;

/// How to get there.
#[derive(Clone, Copy)]
pub struct Approach<'a> {
    /// Which servers are believed behind `rtmps://`.
    pub trust: &'a Trust,
    /// How long finding the address, connecting and agreeing on TLS may take.
    pub connect_timeout: Duration,
    /// How long the server may take from then on until it lets us.
    pub dialogue_timeout: Duration,
    /// Whether the server is told who we are (`debug_srs_upnode`).
    pub tells_who: bool,
    /// On whose behalf we come, if the server is to decide about somebody.
    pub client: Option<OnBehalf<'a>>,
}

/// A client of ours, as it told about itself.
#[derive(Clone, Copy, Debug)]
pub struct OnBehalf<'a> {
    /// Where it connected to.
    pub tc_url: &'a str,
    /// Its web page.
    pub page_url: &'a str,
    /// Its Flash program.
    pub swf_url: &'a str,
}

/// A session that publishes or plays a stream at another server.
pub struct Session {
    /// What is said and sent.
    pub client: Client<Line>,
    /// The connection.
    pub stream: Rc<Stream>,
    /// For errors and logs; without parameters, which may hold secrets.
    pub place: String,
    /// The stream's name there, with parameters.
    pub name: String,
}

impl Approach<'_> {
    /// Connects to the server of a URL such as `rtmp://host:1936/live/s?vhost=v&token=t`, or `rtmps://`, and begins with its
    /// stream what errors call `aim`. Where that server says that another one is right, it goes there, once. Yields.
    ///
    /// # Errors
    /// Those of [`StreamUrl::parse_whole`] and [`dial`]; [`ErrorCode::RtmpConnect`] when the server refuses, and
    /// [`ErrorCode::RtmpRedirect`] when it sends us on a second time; [`ErrorCode::SocketTimeout`], and those of
    /// [`Client`].
    pub fn open<T>(
        &self,
        url: &str,
        aim: &str,
        begin: impl Fn(&mut Client<Line>, &str) -> Result<Reply<T>>,
    ) -> Result<(Session, T)> {
        let target = Target::parse(url)?;
        let redirect = match target.open(self, aim, &begin)? {
            Ok(opened) => return Ok(opened),
            Err(redirect) => redirect,
        };
        let target = target.redirected(&redirect)?;
        log::info!("{aim} is redirected to {}", target.place);
        match target.open(self, aim, &begin)? {
            Ok(opened) => Ok(opened),
            Err(redirect) => {
                let text = format!(
                    "{} redirects once more, to {}",
                    target.place,
                    printable(&redirect.tc_url)
                );
                Err(Error::new(ErrorCode::RtmpRedirect, text))
            }
        }
    }
}

/// A stream at a server.
struct Target {
    url: StreamUrl,
    place: String,
}

/// A session, or where the server says that it belongs.
type Opened<T> = std::result::Result<T, Redirect>;

impl Target {
    fn parse(url: &str) -> Result<Self> {
        let url = StreamUrl::parse_whole(url)?;
        let is_rtmp = ["rtmp", "rtmps"]
            .iter()
            .any(|schema| url.schema.eq_ignore_ascii_case(schema));
        if !is_rtmp {
            let text = format!("{}:// is not rtmp:// or rtmps://", printable(&url.schema));
            return Err(Error::new(ErrorCode::RtmpTcUrl, text));
        }
        let brackets = if url.host.contains(':') { ["[", "]"] } else { ["", ""] };
        let place = format!(
            "{}://{}{}{}:{}/{}/{}",
            url.schema, brackets[0], url.host, brackets[1], url.port, url.app, url.stream
        );
        Ok(Target {
            place: printable(&place).to_string(),
            url,
        })
    }

    /// Where the server says that it is; the stream is the same unless it names another.
    fn redirected(&self, redirect: &Redirect) -> Result<Self> {
        let stream = self.url.outgoing_stream();
        let whole = match &redirect.url {
            Some(url) => url.clone(),
            None => format!("{}/{stream}", redirect.tc_url),
        };
        Target::parse(&whole).wrap_with(|| format!("redirect from {}", self.place))
    }

    fn open<T>(
        &self,
        approach: &Approach<'_>,
        aim: &str,
        begin: impl Fn(&mut Client<Line>, &str) -> Result<Reply<T>>,
    ) -> Result<Opened<(Session, T)>> {
        let is_secure = self.url.schema.eq_ignore_ascii_case("rtmps");
        let peer = Peer {
            what: if is_secure { "rtmps server" } else { "rtmp server" },
            host: &self.url.host,
            port: self.url.port,
        };
        let stream = dial(peer, is_secure.then_some(approach.trust), approach.connect_timeout)?;
        self.converse(&stream, approach, aim, begin)
            .wrap_with(|| format!("{aim} at {}", self.place))
    }

    fn converse<T>(
        &self,
        stream: &Rc<Stream>,
        approach: &Approach<'_>,
        aim: &str,
        begin: impl Fn(&mut Client<Line>, &str) -> Result<Reply<T>>,
    ) -> Result<Opened<(Session, T)>> {
        stream.set_write_timeout(Some(approach.dialogue_timeout));
        // Writes are gathered here, and each step of the dialogue is waited for.
        let _ = stream.set_nodelay(true);
        // A stream may be silent for long, and its server gone.
        let _ = stream.set_keepalive(true);
        let mut client = Client::new(Line {
            stream: stream.clone(),
            deadline: Moment::after(approach.dialogue_timeout),
        });
        // Noise of the handshake; it hides nothing.
        let millis = (Moment::now().as_micros() / 1000) as u32;
        let mut random = fastrand::Rng::new();
        client
            .handshake(millis, &mut |bytes| random.fill(bytes))
            .wrap("shake hands")?;
        if let Reply::Refused(status) = client.connect(&self.connect_options(stream, approach))? {
            return refused(status).wrap("connect");
        }
        let name = self.url.outgoing_stream();
        match begin(&mut client, &name)? {
            Reply::Refused(status) => refused(status).wrap_with(|| aim.to_owned()),
            Reply::Accepted(begun) => {
                let session = Session {
                    client,
                    stream: stream.clone(),
                    place: self.place.clone(),
                    name,
                };
                Ok(Ok((session, begun)))
            }
        }
    }

    fn connect_options(&self, stream: &Stream, approach: &Approach<'_>) -> ConnectOptions {
        let mut options = ConnectOptions {
            tc_url: self.url.outgoing_tc_url(),
            app: self.url.app.clone(),
            args: approach.tells_who.then(|| Who::on(stream).args()),
            ..ConnectOptions::default()
        };
        if let Some(client) = approach.client {
            client.tc_url.clone_into(&mut options.tc_url);
            client.page_url.clone_into(&mut options.page_url);
            client.swf_url.clone_into(&mut options.swf_url);
        }
        options
    }
}

fn refused<T>(status: Status) -> Result<Opened<T>> {
    match status.redirect {
        Some(redirect) => Ok(Err(redirect)),
        None => Reply::Refused(status).accepted(ErrorCode::RtmpConnect),
    }
}
