//! When the server is overloaded.

use crate::app::config::scope::Scope;

/// The `circuit_breaker` block; see `docs/operations.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct CircuitBreaker {
    /// Whether load is looked at.
    pub enabled: bool,
    /// What is not urgent waits.
    pub high: Mark,
    /// New players are refused.
    pub critical: Mark,
    /// All new clients are refused.
    pub dying: Mark,
}

/// How high the load must be, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// `*_threshold`: percent of one processor; only what is above counts.
    pub threshold: u32,
    /// `*_pulse`: seconds, at least 1.
    pub pulse: u32,
}

impl CircuitBreaker {
    pub(crate) fn read(block: &Scope<'_>) -> Self {
        let mark = |name: &str| Mark {
            threshold: block.size(&format!("{name}_threshold")),
            pulse: block.size(&format!("{name}_pulse")).max(1),
        };
        CircuitBreaker {
            enabled: block.flag("enabled"),
            high: mark("high"),
            critical: mark("critical"),
            dying: mark("dying"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{Host, load_text};

    fn read(block: &str) -> CircuitBreaker {
        let text = format!("listen 1935; circuit_breaker {{ {block} }}");
        load_text(&text, Host::TEST).unwrap().config.circuit_breaker.clone()
    }

    #[test]
    fn defaults_are_those_of_srs() {
        let marks = |settings: &CircuitBreaker| {
            [settings.high, settings.critical, settings.dying].map(|mark| (mark.threshold, mark.pulse))
        };
        let settings = read("");
        assert!(settings.enabled);
        assert_eq!(marks(&settings), [(90, 2), (95, 1), (99, 5)]);
        let settings = read("enabled off; high_threshold 1; high_pulse 3; dying_threshold 200; dying_pulse 0;");
        assert!(!settings.enabled);
        assert_eq!(marks(&settings), [(1, 3), (95, 1), (200, 1)]);
    }
}
