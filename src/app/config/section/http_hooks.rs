//! Who is called when clients come and go.

use crate::app::config::scope::Scope;
use crate::app::hooks::Event;

/// The `http_hooks` block of a vhost: for each event the URLs that are called, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpHooks {
    /// Whether anybody is called.
    pub enabled: bool,
    on_connect: Vec<String>,
    on_close: Vec<String>,
    on_publish: Vec<String>,
    on_unpublish: Vec<String>,
    on_play: Vec<String>,
    on_stop: Vec<String>,
    on_dvr: Vec<String>,
    on_hls: Vec<String>,
    on_hls_notify: Vec<String>,
}

impl HttpHooks {
    pub(crate) fn read(hooks: &Scope<'_>) -> Self {
        HttpHooks {
            enabled: hooks.flag("enabled"),
            on_connect: hooks.texts("on_connect"),
            on_close: hooks.texts("on_close"),
            on_publish: hooks.texts("on_publish"),
            on_unpublish: hooks.texts("on_unpublish"),
            on_play: hooks.texts("on_play"),
            on_stop: hooks.texts("on_stop"),
            on_dvr: hooks.texts("on_dvr"),
            on_hls: hooks.texts("on_hls"),
            on_hls_notify: hooks.texts("on_hls_notify"),
        }
    }

    /// The templates of what is fetched when an HLS segment is complete; none when callbacks are disabled.
    pub fn notify_urls(&self) -> &[String] {
        match self.enabled {
            true => &self.on_hls_notify,
            false => &[],
        }
    }

    /// Who is called for an event; nobody when callbacks are disabled.
    pub fn urls(&self, event: Event) -> &[String] {
        match event {
            _ if !self.enabled => &[],
            Event::Connect => &self.on_connect,
            Event::Close => &self.on_close,
            Event::Publish => &self.on_publish,
            Event::Unpublish => &self.on_unpublish,
            Event::Play => &self.on_play,
            Event::Stop => &self.on_stop,
            Event::Dvr => &self.on_dvr,
            Event::Hls => &self.on_hls,
        }
    }
}
