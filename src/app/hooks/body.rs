//! The bodies of callbacks. The order of fields is part of the contract: some receivers do not parse, they compare.

use serde::Serialize;

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

/// The body's bytes.
pub(super) fn json(body: &impl Serialize) -> Vec<u8> {
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
