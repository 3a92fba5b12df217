//! Statistics of the machine.

use crate::app::config::scope::Scope;

/// The `stats` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Whether processor, memory, disks and network are sampled.
    pub enabled: bool,
    /// Which address of the machine the heartbeat tells, counted from 0.
    pub network: usize,
    /// The disks whose work is told, such as `sda`; all when empty.
    pub disk: Vec<String>,
}

impl Stats {
    pub(crate) fn read(stats: &Scope<'_>) -> Self {
        Stats {
            enabled: stats.flag("enabled"),
            network: usize::try_from(stats.size("network")).unwrap_or(0),
            disk: stats.texts("disk"),
        }
    }
}
