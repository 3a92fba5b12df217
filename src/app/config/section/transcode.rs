//! Streams that are coded again while they are published.

use super::engine::{self, Engine};
use crate::app::config::scope::Scope;

/// The `transcode` block of a vhost; as in SRS only the first one counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcode {
    /// The block's argument, which says for which streams: empty for all, `app`, or `app/stream`.
    pub scope: String,
    /// Whether it runs.
    pub enabled: bool,
    /// The program.
    pub ffmpeg: String,
    /// `engine`: each is a process of its own.
    pub engines: Vec<Engine>,
}

impl Transcode {
    pub(crate) fn read(scope: &str, transcode: &Scope<'_>) -> Self {
        Transcode {
            scope: scope.to_owned(),
            enabled: transcode.flag("enabled"),
            ffmpeg: transcode.text("ffmpeg"),
            engines: engine::read_all(transcode),
        }
    }

    /// Whether it is meant for this stream.
    pub fn applies_to(&self, app: &str, stream: &str) -> bool {
        self.scope.is_empty()
            || self.scope == app
            || self
                .scope
                .strip_prefix(app)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|rest| rest == stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_vhost_an_app_or_a_stream() {
        let applies = |scope: &str, app: &str, stream: &str| {
            let transcode = Transcode {
                scope: scope.into(),
                enabled: true,
                ffmpeg: String::new(),
                engines: Vec::new(),
            };
            transcode.applies_to(app, stream)
        };
        assert!(applies("", "live", "s") && applies("live", "live", "s") && applies("live/s", "live", "s"));
        assert!(applies("a/b", "a/b", "s") && applies("a/b/s", "a/b", "s"));
        for (app, stream) in [("liv", "s"), ("live2", "s"), ("live", "t"), ("s", "live")] {
            assert!(!applies("live/s", app, stream), "{app}/{stream}");
        }
        assert!(!applies("live/", "live", "s") && !applies("live", "live/x", "s"));
    }
}
