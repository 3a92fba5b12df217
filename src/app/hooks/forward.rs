//! The forward backend: asked for each publication where it shall go.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Caller, Subject, answer};
use crate::app::http::client;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// What the backend is asked; the order of fields is part of the contract.
#[derive(Serialize)]
struct ForwardBody<'a> {
    action: &'static str,
    server_id: &'a str,
    service_id: &'a str,
    client_id: &'a str,
    ip: &'a str,
    vhost: &'a str,
    app: &'a str,
    #[serde(rename = "tcUrl")]
    tc_url: &'a str,
    stream: &'a str,
    param: &'a str,
}

impl Caller {
    /// Asks the backend for the URLs to publish the client's stream at; none when it shall stay here. Yields.
    ///
    /// # Errors
    /// As [`Caller::ask`], and [`ErrorCode::RtmpForwardLoop`] (1030, as SRS has it) for an answer without URLs. The
    /// publication is to be refused with them.
    pub fn ask_forward(&self, subject: &Subject, backend: &str) -> Result<Vec<String>> {
        let Some(server) = self.server.upgrade() else {
            return Ok(Vec::new());
        };
        let url = &subject.url;
        let body = ForwardBody {
            action: "on_forward",
            server_id: &server.identity.server,
            service_id: &server.identity.service,
            client_id: &self.client,
            ip: &subject.ip.to_canonical().to_string(),
            vhost: &url.vhost,
            app: &url.app,
            tc_url: &url.tc_url,
            stream: &url.stream,
            param: &url.param,
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let (trust, timeouts) = (server.trust.clone(), server.hooks.timeouts.get());
        drop(server);
        let name = || format!("http hook on_forward {}", printable(backend));
        let answer = client::fetch(&trust, "POST", backend, &body, timeouts).wrap_with(name)?;
        answer::check(&answer).wrap_with(name)?;
        let urls = urls(&answer.body).wrap_with(name)?;
        log::info!("{} ok, {} urls", name(), urls.len());
        Ok(urls)
    }
}

/// The texts of `data.urls`, without empty ones.
fn urls(body: &[u8]) -> Result<Vec<String>> {
    let missing = |what: &str| Error::new(ErrorCode::RtmpForwardLoop, format!("answer has no {what}"));
    // Values stay text until they are wanted, as in `answer`.
    type Fields = BTreeMap<String, Box<RawValue>>;
    let fields = |json: &[u8]| serde_json::from_slice::<Fields>(json).ok();
    let data = fields(body).and_then(|mut answer| answer.remove("data"));
    let data = data.ok_or_else(|| missing("data"))?;
    let urls = fields(data.get().as_bytes()).and_then(|mut data| data.remove("urls"));
    let urls = urls.ok_or_else(|| missing("data.urls"))?;
    let urls: Vec<String> =
        serde_json::from_str(urls.get()).map_err(|_| missing("data.urls that is a list of texts"))?;
    Ok(urls.into_iter().filter(|url| !url.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_found_or_missed() {
        let found = |body: &str| urls(body.as_bytes()).map_err(|error| error.code().number());
        let two = r#"{"code":0,"data":{"x":[[1]],"urls":["rtmp://a/b/c","","rtmp://d/e/f"]}}"#;
        assert_eq!(
            found(two),
            Ok(vec!["rtmp://a/b/c".to_owned(), "rtmp://d/e/f".to_owned()])
        );
        assert_eq!(found(r#"{"code":0,"data":{"urls":[]}}"#), Ok(vec![]));
        for body in [
            "0",
            "",
            r#"{"code":0}"#,
            r#"{"code":0,"data":null}"#,
            r#"{"code":0,"data":[]}"#,
            r#"{"code":0,"data":{}}"#,
            r#"{"code":0,"data":{"urls":"rtmp://a/b/c"}}"#,
            r#"{"code":0,"data":{"urls":[1]}}"#,
            &format!(r#"{{"data":{{"urls":{}}}}}"#, "[".repeat(100_000)),
            &format!(
                r#"{{"data":{{"urls":{}{}}}}}"#,
                "[".repeat(100_000),
                "]".repeat(100_000)
            ),
        ] {
            assert_eq!(found(body), Err(1030), "{}", &body[..body.len().min(50)]);
        }
        for end in 0..two.len() {
            assert!(found(&two[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn the_body_is_that_of_the_contract() {
        let body = ForwardBody {
            action: "on_forward",
            server_id: "vid-a931414",
            service_id: "i1gh93tv",
            client_id: "1978fhct",
            ip: "127.0.0.1",
            vhost: "__defaultVhost__",
            app: "live",
            tc_url: "rtmp://127.0.0.1:1935/live",
            stream: "livestream",
            param: "?token=abc&x=1",
        };
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"action":"on_forward","server_id":"vid-a931414","service_id":"i1gh93tv","client_id":"1978fhct","ip":"127.0.0.1","vhost":"__defaultVhost__","app":"live","tcUrl":"rtmp://127.0.0.1:1935/live","stream":"livestream","param":"?token=abc&x=1"}"#
        );
    }
}
