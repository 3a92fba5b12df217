//! Commands that run while a stream is published.

use crate::app::config::scope::Scope;

/// The `exec` block of a vhost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exec {
    /// Whether they run.
    pub enabled: bool,
    /// `publish`: the command lines, each with its program first.
    pub publish: Vec<Vec<String>>,
}

impl Exec {
    pub(crate) fn read(exec: &Scope<'_>) -> Self {
        let lines = exec.every("publish");
        let words = lines.map(|line| line.args.iter().map(|word| word.text.clone()).collect::<Vec<_>>());
        Exec {
            enabled: exec.flag("enabled"),
            publish: words.filter(|line| !line.is_empty()).collect(),
        }
    }
}
