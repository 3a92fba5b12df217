//! One stream that is played from elsewhere: an origin of an edge, in most cases.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::add;
use super::upstream::{Pulled, Upstreams};
use crate::app::companions::{self, Companions};
use crate::app::config::section::vhost::Vhost;
use crate::app::hooks::Subject;
use crate::app::pithy::Progress;
use crate::app::recording;
use crate::app::server::Server;
use crate::app::source::{Publication, Source};
use crate::app::stat::{ClientKind, NewClient, Publishing};
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::core::sync::Condition;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::Frame;
use crate::kernel::log::printable;
use crate::protocol::rtmp::url::StreamUrl;

/// The pause when all origins have failed.
const RETRY: Duration = Duration::from_secs(3);
/// Origins of a cluster send us on; one that does it over and over goes round in circles.
const REDIRECTS: u32 = 3;
/// How often a pull looks whether anybody still plays.
const LOOK: Duration = Duration::from_millis(500);
/// For so long without media players wait for another origin; then the stream is over.
const HOLD: Duration = Duration::from_secs(10);

/// A stream of another server, as long as somebody plays it here.
pub struct Pull {
    upstreams: Box<dyn Upstreams>,
    vhost: Rc<Vhost>,
    url: StreamUrl,
    source: Rc<Source>,
    kept_until: Cell<Moment>,
    /// Media came.
    pub progressed: Condition,
}

impl Pull {
    /// Plays the stream of `url` from one of `upstreams` into `source`, at least until `until`.
    pub(super) fn new(
        upstreams: Box<dyn Upstreams>,
        vhost: Rc<Vhost>,
        url: StreamUrl,
        source: Rc<Source>,
        until: Moment,
    ) -> Self {
        Pull {
            upstreams,
            vhost,
            url,
            source,
            kept_until: Cell::new(until),
            progressed: Condition::new(),
        }
    }

    pub(super) fn source(&self) -> &Rc<Source> {
        &self.source
    }

    pub(super) fn keep_until(&self, until: Moment) {
        self.kept_until.set(self.kept_until.get().max(until));
    }

    fn is_wanted(&self) -> bool {
        self.source.consumer_count() > 0 || Moment::now() < self.kept_until.get()
    }

    /// Plays it until nobody wants it any more. Yields.
    pub(super) fn run(&self, server: &Weak<Server>) {
        let mut feed = Feed::default();
        let mut failures = 0;
        while let Some(server) = server.upgrade().filter(|server| !server.cuts_off()) {
            if !self.is_wanted() {
                // To end may wait for files; who comes meanwhile wants it still.
                feed.end();
                if self.is_wanted() {
                    continue;
                }
                break;
            }
            let had = feed.last_media;
            match self.play(&server, &mut feed) {
                Ok(()) if !self.is_wanted() => continue,
                Ok(()) => {
                    log::info!("edge: the stream {} has ended at its origin", self.url.stream_url());
                    feed.end();
                }
                Err(error) => {
                    add(&server.edges.tally.pull_failures, 1);
                    log::warn!("edge: {}", error.summary());
                }
            }
            // One that has played is no failure: the next origin is asked at once.
            failures = if feed.last_media > had { 1 } else { failures + 1 };
            if failures >= self.upstreams.len() {
                drop(server);
                coroutine::sleep(RETRY);
                failures = 0;
            }
            feed.end_after(HOLD);
        }
        log::info!("edge: {} is no longer played from an origin", self.url.stream_url());
    }

    /// From one origin, until it fails, the stream ends, or nobody plays it.
    fn play(&self, server: &Rc<Server>, feed: &mut Feed) -> Result<()> {
        let mut upstream = self.upstreams.open(server)?;
        log::info!("edge: {} is played from {}", self.url.stream_url(), upstream.place());
        let (mut frames, mut progress, mut redirects) = (Vec::new(), Progress::new(), REDIRECTS);
        let (tally, mut counted) = (&server.edges.tally, 0);
        add(&tally.pulls, 1);
        while self.is_wanted() && !server.cuts_off() {
            let pulled = upstream.take(&mut frames, Moment::after(LOOK))?;
            if !frames.is_empty() {
                self.hand_over(server, feed, &mut frames)?;
            }
            let received = upstream.carrier().received_bytes();
            add(&tally.pull_bytes, received.saturating_sub(counted));
            counted = received;
            match pulled {
                Pulled::Live => {}
                Pulled::Ended => return Ok(()),
                Pulled::Elsewhere(url) if redirects > 0 => {
                    redirects -= 1;
                    upstream = self.upstreams.follow(server, &url)?;
                    counted = 0;
                    log::info!(
                        "edge: the origin sends {} to {}",
                        self.url.stream_url(),
                        upstream.place()
                    );
                }
                Pulled::Elsewhere(url) => {
                    let text = format!("{} redirects once more, to {}", upstream.place(), printable(&url));
                    return Err(Error::new(ErrorCode::RtmpRedirect, text));
                }
            }
            feed.end_after(HOLD);
            if server.edges.turn.take(server.config().pithy_print) {
                let (out, input) = progress.sample(upstream.carrier());
                let millis = progress.millis();
                log::info!("<- EIG time={millis}, okbps={out}, ikbps={input}, {}", upstream.place());
            }
        }
        Ok(())
    }

    fn hand_over(&self, server: &Rc<Server>, feed: &mut Feed, frames: &mut Vec<Frame>) -> Result<()> {
        let live = match &mut feed.live {
            Some(live) => live,
            None => feed.live.insert(self.begin(server)?),
        };
        for frame in frames.drain(..) {
            live.publishing.see(&frame);
            live.publication.push(frame);
        }
        feed.last_media = Some(Moment::now());
        self.progressed.notify_all();
        Ok(())
    }

    fn begin(&self, server: &Rc<Server>) -> Result<Live> {
        let publication = self.source.publish()?;
        let id = ContextId::current();
        let subject = Subject {
            url: self.url.clone(),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            page_url: String::new(),
            swf_url: String::new(),
            vhost: self.vhost.clone(),
        };
        let key = self.url.stream_url();
        let new = NewClient {
            id: id.as_str(),
            kind: ClientKind::FmlePublish,
            ip: subject.ip,
            page_url: "",
            swf_url: "",
            tc_url: &self.url.tc_url,
            vhost: &self.url.vhost,
            app: &self.url.app,
            name: &self.url.stream,
            stream: key.rsplit('/').next().unwrap_or_default(),
            url: &key,
            before: (0, 0),
        };
        let publishing = server.stat.publish(new, self.vhost.publish.parse_sps);
        let companions = companions::begin(&recording::Publisher {
            server: Rc::downgrade(server),
            subject,
            vhost: self.vhost.clone(),
            id,
            source: self.source.clone(),
        })?;
        Ok(Live {
            _companions: companions,
            publication,
            publishing,
        })
    }
}

/// What players here have.
#[derive(Default)]
struct Feed {
    live: Option<Live>,
    last_media: Option<Moment>,
}

/// A stream that has begun. Players do not notice a change of origins.
struct Live {
    publication: Publication,
    publishing: Publishing,
    _companions: Option<Companions>,
}

impl Feed {
    fn end(&mut self) {
        self.live = None;
    }

    fn end_after(&mut self, silence: Duration) {
        if self.last_media.is_some_and(|last| Moment::now().since(last) >= silence) {
            self.end();
        }
    }
}
