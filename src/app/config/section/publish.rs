//! What a vhost expects of its publishers.

use std::time::Duration;

use crate::app::config::scope::Scope;

/// The `publish` block of a vhost.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// Whether reads are merged: many small chunks for one wake-up.
    pub mr: bool,
    /// How long data is gathered into one read when `mr` is on.
    pub mr_latency: Duration,
    /// How long a publisher may take until its first message.
    pub firstpkt_timeout: Duration,
    /// How long a publisher may be silent after that.
    pub normal_timeout: Duration,
    /// Whether size and profile are read from the video's parameter sets.
    pub parse_sps: bool,
    /// How long a publisher may go without a player before it is dropped; `None` is for ever.
    pub kickoff_for_idle: Option<Duration>,
}

impl Publish {
    pub(crate) fn read(publish: &Scope<'_>) -> Self {
        let idle = publish.duration("kickoff_for_idle");
        Publish {
            mr: publish.flag("mr"),
            mr_latency: publish.duration("mr_latency"),
            firstpkt_timeout: publish.duration("firstpkt_timeout"),
            normal_timeout: publish.duration("normal_timeout"),
            parse_sps: publish.flag("parse_sps"),
            kickoff_for_idle: (!idle.is_zero()).then_some(idle),
        }
    }
}
