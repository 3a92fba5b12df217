//! `on_hls_notify`: segments are fetched through caches before players ask for them.

use super::{Caller, Subject};
use crate::app::http::client::{self, Timeouts};
use crate::app::http::trust::Trust;
use crate::core::coroutine;
use crate::core::limits::HOOK_NOTICES;
use crate::kernel::log::printable;
use crate::protocol::rtmp::url::StreamUrl;

impl Caller {
    /// Has the vhost's caches fetch a segment that the playlist lists as `uri`; nobody waits for that. Of each answer's
    /// body so many bytes are read.
    pub fn notify_segment(&self, subject: &Subject, uri: &str, answer_bytes: usize) {
        let Some(server) = self.server.upgrade() else {
            return;
        };
        let now = server.config().vhost(&subject.url.vhost);
        let templates = now.as_ref().unwrap_or(&subject.vhost).http_hooks.notify_urls().to_vec();
        if templates.is_empty() || server.hooks.notices.len() >= HOOK_NOTICES {
            return;
        }
        let names = Names {
            server: &server.identity.server,
            service: &server.identity.service,
            url: &subject.url,
            uri,
        };
        let urls: Vec<String> = templates.iter().map(|template| names.fill(template)).collect();
        let trust = server.trust.clone();
        let (timeouts, member) = (server.hooks.timeouts.get(), server.hooks.notices.enter());
        let body = move || {
            urls.iter().for_each(|url| warm(&trust, url, answer_bytes, timeouts));
            drop(member);
        };
        if let Err(error) = coroutine::spawn_with("on_hls_notify", coroutine::STACK_BYTES, body) {
            log::warn!("on_hls_notify is not called, no memory for a coroutine: {error}");
        }
    }
}

fn warm(trust: &Trust, url: &str, answer_bytes: usize, timeouts: Timeouts) {
    let name = printable(url);
    match client::fetch_start(trust, url, answer_bytes, timeouts) {
        Ok(()) => log::debug!("http hook on_hls_notify {name} ok"),
        Err(error) => log::warn!("http hook on_hls_notify {name} is ignored: {}", error.summary()),
    }
}

struct Names<'a> {
    server: &'a str,
    service: &'a str,
    url: &'a StreamUrl,
    uri: &'a str,
}

impl Names<'_> {
    fn fill(&self, template: &str) -> String {
        let is_absolute = self.uri.starts_with("http://") || self.uri.starts_with("https://");
        let template = if is_absolute { self.uri } else { template };
        template
            .replace("[server_id]", self.server)
            .replace("[service_id]", self.service)
            .replace("[app]", &self.url.app)
            .replace("[stream]", &self.url.stream)
            .replace("[ts_url]", self.uri)
            .replace("[param]", &self.url.param)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_that_of_the_contract() {
        let url = StreamUrl::parse("rtmp://127.0.0.1/live", "livestream?token=abc&x=1").unwrap();
        let fill = |uri| {
            Names {
                server: "vid-a931414",
                service: "s",
                url: &url,
                uri,
            }
            .fill("http://127.0.0.1:8085/notify/[server_id]/[app]/[stream]/[ts_url][param]")
        };
        assert_eq!(
            fill("livestream-0.ts"),
            "http://127.0.0.1:8085/notify/vid-a931414/live/livestream/livestream-0.ts?token=abc&x=1"
        );
        assert_eq!(
            fill("http://cdn/live/livestream-0.ts"),
            "http://cdn/live/livestream-0.ts"
        );
    }
}
