//! What a connection does next.

use std::rc::Rc;

use crate::app::config::section::vhost::Vhost;
use crate::app::stat;
use crate::protocol::rtmp::url::StreamUrl;

/// A stream and the settings that hold for it.
pub struct Request {
    /// Where the stream is; its vhost is the one that serves it.
    pub url: StreamUrl,
    /// The settings.
    pub vhost: Rc<Vhost>,
    /// The client in the statistics.
    pub client: stat::Entry,
}
