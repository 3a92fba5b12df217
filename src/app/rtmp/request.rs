//! What a connection does next.

use std::rc::Rc;

use crate::app::config::section::vhost::Vhost;
use crate::protocol::rtmp::url::StreamUrl;

/// A stream and the settings that hold for it.
pub struct Request {
    /// Where the stream is; its vhost is the one that serves it.
    pub url: StreamUrl,
    /// The settings.
    pub vhost: Rc<Vhost>,
}
