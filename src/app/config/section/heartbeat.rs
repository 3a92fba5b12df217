//! Reports that the server sends home.

use std::time::Duration;

use crate::app::config::scope::Scope;

/// The `heartbeat` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// Whether reports are sent.
    pub enabled: bool,
    /// The time between them, above 0.
    pub interval: Duration,
    /// Who gets them; its query is not sent.
    pub url: String,
    /// The name that they are sent under.
    pub device_id: String,
    /// Whether they hold the summaries of the API.
    pub summaries: bool,
    /// Whether they hold where the server listens.
    pub ports: bool,
}

impl Heartbeat {
    pub(crate) fn read(heartbeat: &Scope<'_>) -> Self {
        Heartbeat {
            enabled: heartbeat.flag("enabled"),
            interval: heartbeat.duration("interval"),
            url: heartbeat.text("url"),
            device_id: heartbeat.text("device_id"),
            summaries: heartbeat.flag("summaries"),
            ports: heartbeat.flag("ports"),
        }
    }
}
