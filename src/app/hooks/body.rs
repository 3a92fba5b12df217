//! The bodies of callbacks. The order of fields is part of the contract: some receivers do not parse, they compare.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Details, Event};
use crate::protocol::rtmp::url::StreamUrl;

/// What all bodies begin with.
#[derive(Serialize)]
pub(super) struct Who<'a> {
    pub server_id: &'a str,
    pub service_id: &'a str,
    pub action: &'a str,
    pub client_id: &'a str,
    pub ip: &'a str,
    pub vhost: &'a str,
    pub app: &'a str,
}

/// What is known of every event.
pub(super) struct Said<'a> {
    pub who: Who<'a>,
    pub url: &'a StreamUrl,
    pub page_url: &'a str,
    pub cwd: &'a str,
    pub stream_url: &'a str,
    pub stream_id: Option<&'a str>,
}

impl Said<'_> {
    /// The body of an event's call.
    pub fn body(self, event: Event, details: Details<'_>) -> Vec<u8> {
        let Said {
            who,
            url,
            page_url,
            cwd,
            stream_url,
            stream_id,
        } = self;
        let (tc_url, stream, param) = (&url.tc_url, &url.stream, &url.param);
        match (event, details) {
            (_, Details::Traffic(traffic)) => json(&CloseBody { who, traffic }),
            (_, Details::File(file)) => json(&DvrBody {
                who,
                tc_url,
                stream,
                param,
                cwd,
                file,
                stream_url,
                stream_id,
            }),
            (_, Details::Segment(segment)) => json(&HlsBody {
                who,
                tc_url,
                stream,
                param,
                duration: segment.duration(),
                cwd,
                file: segment.file,
                url: segment.url,
                m3u8: segment.m3u8,
                m3u8_url: segment.m3u8_url,
                seq_no: segment.seq_no,
                stream_url,
                stream_id,
            }),
            (Event::Connect, Details::None) => json(&ConnectBody {
                who,
                stream,
                param,
                tc_url,
                page_url,
            }),
            (Event::Play, Details::None) => json(&PlayBody {
                who,
                stream,
                tc_url,
                param,
                page_url,
                stream_url,
                stream_id,
            }),
            (_, Details::None) => json(&PublishBody {
                who,
                tc_url,
                stream,
                param,
                stream_url,
                stream_id,
            }),
        }
    }
}

/// on_connect.
#[derive(Serialize)]
pub(super) struct ConnectBody<'a> {
    #[serde(flatten)]
    pub who: Who<'a>,
    pub stream: &'a str,
    pub param: &'a str,
    #[serde(rename = "tcUrl")]
    pub tc_url: &'a str,
    #[serde(rename = "pageUrl")]
    pub page_url: &'a str,
}

/// What went over a connection, bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Traffic {
    /// To the client.
    pub send_bytes: u64,
    /// From the client.
    pub recv_bytes: u64,
}

/// on_close.
#[derive(Serialize)]
pub(super) struct CloseBody<'a> {
    #[serde(flatten)]
    pub who: Who<'a>,
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// on_publish, on_unpublish, on_stop.
#[derive(Serialize)]
pub(super) struct PublishBody<'a> {
    #[serde(flatten)]
    pub who: Who<'a>,
    #[serde(rename = "tcUrl")]
    pub tc_url: &'a str,
    pub stream: &'a str,
    pub param: &'a str,
    pub stream_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<&'a str>,
}

/// on_play.
#[derive(Serialize)]
pub(super) struct PlayBody<'a> {
    #[serde(flatten)]
    pub who: Who<'a>,
    pub stream: &'a str,
    #[serde(rename = "tcUrl")]
    pub tc_url: &'a str,
    pub param: &'a str,
    #[serde(rename = "pageUrl")]
    pub page_url: &'a str,
    pub stream_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<&'a str>,
}

/// on_dvr.
#[derive(Serialize)]
pub(super) struct DvrBody<'a> {
    #[serde(flatten)]
    pub who: Who<'a>,
    #[serde(rename = "tcUrl")]
    pub tc_url: &'a str,
    pub stream: &'a str,
    pub param: &'a str,
    pub cwd: &'a str,
    pub file: &'a str,
    pub stream_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<&'a str>,
}

/// An HLS segment that is complete.
#[derive(Clone, Copy, Debug)]
pub struct HlsSegment<'a> {
    /// Its media, milliseconds.
    pub duration_ms: i64,
    /// The path as configured.
    pub file: &'a str,
    /// The URL, relative to `hls_path`, or absolute.
    pub url: &'a str,
    /// The playlist's path.
    pub m3u8: &'a str,
    /// The playlist's path, relative to `hls_path`.
    pub m3u8_url: &'a str,
    /// Its number.
    pub seq_no: u64,
}

impl HlsSegment<'_> {
    /// Seconds with two digits, as receivers that compare texts expect.
    pub(super) fn duration(&self) -> Box<RawValue> {
        let text = format!("{:.2}", self.duration_ms as f64 / 1000.0);
        // A number of digits and a point is JSON.
        RawValue::from_string(text).unwrap_or_default()
    }
}

/// on_hls.
#[derive(Serialize)]
pub(super) struct HlsBody<'a> {
    #[serde(flatten)]
    pub who: Who<'a>,
    #[serde(rename = "tcUrl")]
    pub tc_url: &'a str,
    pub stream: &'a str,
    pub param: &'a str,
    pub duration: Box<RawValue>,
    pub cwd: &'a str,
    pub file: &'a str,
    pub url: &'a str,
    pub m3u8: &'a str,
    pub m3u8_url: &'a str,
    pub seq_no: u64,
    pub stream_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<&'a str>,
}

/// The body's bytes.
fn json(body: &impl Serialize) -> Vec<u8> {
    // Texts and numbers into memory cannot fail.
    serde_json::to_vec(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: &str = r#""server_id":"vid-1","service_id":"s","action":"a","client_id":"c","ip":"127.0.0.1","vhost":"__defaultVhost__","app":"live","#;

    fn who() -> Who<'static> {
        Who {
            server_id: "vid-1",
            service_id: "s",
            action: "a",
            client_id: "c",
            ip: "127.0.0.1",
            vhost: "__defaultVhost__",
            app: "live",
        }
    }

    fn text(body: &impl Serialize) -> String {
        let text = String::from_utf8(json(body)).unwrap();
        text.strip_prefix(&format!("{{{WHO}")).expect(&text).to_owned()
    }

    #[test]
    fn fields_stand_in_the_order_of_the_contract() {
        let (stream, param, tc_url, page_url) = ("s", "?x=1", "rtmp://h/live", "p");
        let connect = ConnectBody {
            who: who(),
            stream,
            param,
            tc_url,
            page_url,
        };
        assert_eq!(
            text(&connect),
            r#""stream":"s","param":"?x=1","tcUrl":"rtmp://h/live","pageUrl":"p"}"#
        );
        let traffic = Traffic {
            send_bytes: 1,
            recv_bytes: 2,
        };
        assert_eq!(
            text(&CloseBody { who: who(), traffic }),
            r#""send_bytes":1,"recv_bytes":2}"#
        );
        let (stream_url, stream_id) = ("/live/s", Some("vid-2"));
        let publish = PublishBody {
            who: who(),
            tc_url,
            stream,
            param,
            stream_url,
            stream_id: None,
        };
        assert_eq!(
            text(&publish),
            r#""tcUrl":"rtmp://h/live","stream":"s","param":"?x=1","stream_url":"/live/s"}"#
        );
        let play = PlayBody {
            who: who(),
            stream,
            tc_url,
            param,
            page_url,
            stream_url,
            stream_id,
        };
        assert_eq!(
            text(&play),
            r#""stream":"s","tcUrl":"rtmp://h/live","param":"?x=1","pageUrl":"p","stream_url":"/live/s","stream_id":"vid-2"}"#
        );
    }

    #[test]
    fn files_are_told_in_the_order_of_the_contract() {
        let (stream, param, tc_url, cwd) = ("s", "?x=1", "rtmp://h/live", "/usr/local/srs");
        let dvr = DvrBody {
            who: who(),
            tc_url,
            stream,
            param,
            cwd,
            file: "./a.flv",
            stream_url: "/live/s",
            stream_id: Some("vid-2"),
        };
        assert_eq!(
            text(&dvr),
            r#""tcUrl":"rtmp://h/live","stream":"s","param":"?x=1","cwd":"/usr/local/srs","file":"./a.flv","stream_url":"/live/s","stream_id":"vid-2"}"#
        );
        let segment = HlsSegment {
            duration_ms: 2004,
            file: "./a-0.ts",
            url: "live/a-0.ts",
            m3u8: "./a.m3u8",
            m3u8_url: "live/a.m3u8",
            seq_no: 0,
        };
        let hls = HlsBody {
            who: who(),
            tc_url,
            stream,
            param,
            duration: segment.duration(),
            cwd,
            file: segment.file,
            url: segment.url,
            m3u8: segment.m3u8,
            m3u8_url: segment.m3u8_url,
            seq_no: segment.seq_no,
            stream_url: "/live/s",
            stream_id: None,
        };
        assert_eq!(
            text(&hls),
            r#""tcUrl":"rtmp://h/live","stream":"s","param":"?x=1","duration":2.00,"cwd":"/usr/local/srs","file":"./a-0.ts","url":"live/a-0.ts","m3u8":"./a.m3u8","m3u8_url":"live/a.m3u8","seq_no":0,"stream_url":"/live/s"}"#
        );
    }

    #[test]
    fn hostile_names_stay_inside_their_text() {
        let stream = "a\",\"x\":\"\n\0\u{7f}`$()\\";
        let connect = ConnectBody {
            who: who(),
            stream,
            param: "",
            tc_url: "",
            page_url: "",
        };
        let value: serde_json::Value = serde_json::from_slice(&json(&connect)).unwrap();
        assert_eq!(value["stream"], stream);
        assert_eq!(value.as_object().unwrap().len(), 11);
    }
}
