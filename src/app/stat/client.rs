//! A client that publishes or plays.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::stream::Stream;
use super::traffic::{Carrier, Traffic};
use crate::core::clock::Moment;

/// What a client does, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientKind {
    /// Plays over RTMP.
    RtmpPlay,
    /// Plays over HTTP: FLV, TS, AAC or MP3.
    FlvPlay,
    /// Plays HLS.
    HlsPlay,
    /// Plays over WebRTC.
    RtcPlay,
    /// Plays over SRT.
    SrtPlay,
    /// Publishes over RTMP as FMLE and FFmpeg do.
    FmlePublish,
    /// Publishes over RTMP as Flash does.
    FlashPublish,
    /// Publishes over RTMP as Haivision's encoders do.
    HaivisionPublish,
    /// Publishes over WebRTC.
    RtcPublish,
    /// Publishes over SRT.
    SrtPublish,
}

impl ClientKind {
    /// The name in the HTTP API and in logs.
    pub fn name(self) -> &'static str {
        match self {
            ClientKind::RtmpPlay => "rtmp-play",
            ClientKind::FlvPlay => "flv-play",
            ClientKind::HlsPlay => "hls-play",
            ClientKind::RtcPlay => "rtc-play",
            ClientKind::SrtPlay => "srt-play",
            ClientKind::FmlePublish => "fmle-publish",
            ClientKind::FlashPublish => "flash-publish",
            ClientKind::HaivisionPublish => "haivision-publish",
            ClientKind::RtcPublish => "rtc-publish",
            ClientKind::SrtPublish => "srt-publish",
        }
    }

    /// Whether it publishes.
    pub fn is_publish(self) -> bool {
        !matches!(
            self,
            ClientKind::RtmpPlay
                | ClientKind::FlvPlay
                | ClientKind::HlsPlay
                | ClientKind::RtcPlay
                | ClientKind::SrtPlay
        )
    }
}

/// What a client tells when it begins to publish or play.
#[derive(Clone, Copy, Debug)]
pub struct NewClient<'a> {
    /// The context id of its connection, or the id of its session.
    pub id: &'a str,
    /// What it does.
    pub kind: ClientKind,
    /// Its address.
    pub ip: IpAddr,
    /// The web page that it is on; empty if it told none.
    pub page_url: &'a str,
    /// The Flash program that it is; empty if it told none.
    pub swf_url: &'a str,
    /// The URL that it connected to.
    pub tc_url: &'a str,
    /// The vhost that serves it.
    pub vhost: &'a str,
    /// The app.
    pub app: &'a str,
    /// The stream as the client asked for it, over HTTP with its extension.
    pub name: &'a str,
    /// The stream without extension.
    pub stream: &'a str,
    /// The stream's key, which is its source's too.
    pub url: &'a str,
    /// Bytes that the connection carried for an earlier client: received, sent.
    pub before: (u64, u64),
}

/// A client's figures.
pub struct Client {
    /// The context id of its connection, or the id of its session.
    pub id: String,
    /// What it does.
    pub kind: ClientKind,
    /// Its address.
    pub ip: IpAddr,
    /// The web page that it is on, or empty.
    pub page_url: String,
    /// The Flash program that it is, or empty.
    pub swf_url: String,
    /// The URL that it connected to.
    pub tc_url: String,
    /// The stream as it asked for it.
    pub name: String,
    /// The stream.
    pub stream: Rc<Stream>,
    /// Its bytes.
    pub traffic: Traffic,
    since: Moment,
    carrier: Rc<dyn Carrier>,
    seen: Cell<(u64, u64)>,
}

impl Client {
    pub(super) fn new(new: &NewClient<'_>, stream: Rc<Stream>, carrier: Rc<dyn Carrier>) -> Self {
        Client {
            id: new.id.to_owned(),
            kind: new.kind,
            ip: new.ip,
            page_url: new.page_url.to_owned(),
            swf_url: new.swf_url.to_owned(),
            tc_url: new.tc_url.to_owned(),
            name: new.name.to_owned(),
            stream,
            traffic: Traffic::new(),
            since: Moment::now(),
            carrier,
            seen: Cell::new(new.before),
        }
    }

    /// How long it has been publishing or playing.
    pub fn alive(&self) -> Duration {
        Moment::now().since(self.since)
    }

    /// Ends the client soon; `false` when that cannot be done from outside.
    pub fn kick(&self) -> bool {
        self.carrier.kick()
    }

    /// Bytes received and sent since the last call.
    pub(super) fn carried(&self) -> (u64, u64) {
        let now = (self.carrier.received_bytes(), self.carrier.sent_bytes());
        let before = self.seen.replace(now);
        (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1))
    }
}
