//! How the server watches itself.

use std::time::Duration;

use crate::app::config::scope::Scope;

/// The period for a setting that is none.
const DEFAULT: Duration = Duration::from_secs(5);

/// The `threads` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Threads {
    /// `interval`: the period of the lines that tell how the process does, above 0.
    pub interval: Duration,
}

impl Threads {
    pub(crate) fn read(threads: &Scope<'_>) -> Self {
        let interval = threads.duration("interval");
        Threads {
            interval: if interval.is_zero() { DEFAULT } else { interval },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{Host, load_text};

    #[test]
    fn no_period_is_the_default() {
        for (block, seconds) in [("", 5), ("interval 7;", 7), ("interval 0;", 5), ("interval -3;", 5)] {
            let text = format!("listen 1935; threads {{ {block} }}");
            let loaded = load_text(&text, Host::TEST).unwrap();
            assert_eq!(loaded.config.threads.interval, Duration::from_secs(seconds), "{block}");
        }
    }
}
