//! Streams.

use serde::Serialize;

use super::vhosts::Kbps;
use super::{Answer, Call, dvr};
use crate::app::stat::host::wall_ms;
use crate::app::stat::{AudioInfo, Stream, VideoInfo};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::request::Method;
use crate::protocol::http::status::Status;

#[derive(Serialize)]
struct StreamEntry<'a> {
    id: &'a str,
    name: &'a str,
    vhost: &'a str,
    app: &'a str,
    #[serde(rename = "tcUrl")]
    tc_url: &'a str,
    url: &'a str,
    live_ms: u64,
    clients: usize,
    frames: u64,
    send_bytes: u64,
    recv_bytes: u64,
    kbps: Kbps,
    publish: Publish,
    video: Option<Video>,
    audio: Option<Audio>,
}

#[derive(Serialize)]
struct Publish {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<String>,
}

#[derive(Serialize)]
struct Video {
    codec: &'static str,
    profile: &'static str,
    level: &'static str,
    width: u32,
    height: u32,
}

impl From<VideoInfo> for Video {
    fn from(info: VideoInfo) -> Self {
        Video {
            codec: info.codec.name(),
            profile: info.profile,
            level: info.level,
            width: info.width,
            height: info.height,
        }
    }
}

#[derive(Serialize)]
struct Audio {
    codec: &'static str,
    sample_rate: u32,
    channel: u8,
    profile: &'static str,
}

impl From<AudioInfo> for Audio {
    fn from(info: AudioInfo) -> Self {
        Audio {
            codec: info.codec.name(),
            sample_rate: info.sample_rate,
            channel: info.channels,
            profile: info.profile,
        }
    }
}

impl<'a> StreamEntry<'a> {
    fn of(stream: &'a Stream) -> Self {
        StreamEntry {
            id: &stream.id,
            name: &stream.name,
            vhost: &stream.vhost.id,
            app: &stream.app,
            tc_url: &stream.tc_url,
            url: &stream.url,
            live_ms: wall_ms(),
            clients: stream.clients(),
            frames: stream.frames(),
            send_bytes: stream.traffic.sent(),
            recv_bytes: stream.traffic.received(),
            kbps: Kbps::of(&stream.traffic),
            publish: Publish {
                active: stream.is_published(),
                cid: stream.publisher(),
            },
            video: stream.video().map(Video::from),
            audio: stream.audio().map(Audio::from),
        }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    streams: Vec<StreamEntry<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    stream: StreamEntry<'a>,
}

/// `/api/v1/streams/`, `/api/v1/streams/ID` and `/api/v1/streams/ID/dvr`.
pub fn answer(call: &Call<'_>) -> Answer {
    if let Some(id) = call.id.strip_suffix("/dvr") {
        return dvr::answer(call, id);
    }
    if call.method != Method::Get {
        return Answer::Status(Status::METHOD_NOT_ALLOWED);
    }
    let stat = &call.server.stat;
    if call.id.is_empty() {
        let (start, count) = call.page();
        let streams = stat.streams(start, count);
        return call.ok(Page {
            streams: streams.iter().map(|stream| StreamEntry::of(stream)).collect(),
        });
    }
    match stat.stream(call.id) {
        Some(stream) => call.ok(One {
            stream: StreamEntry::of(&stream),
        }),
        None => Answer::error(ErrorCode::StreamNotFound),
    }
}
