//! What a configuration amounts to: every directive with the value that holds and with who gave it, for `srs -t -v` and
//! the API. Values are shown as a configuration would have to say them; those that are secret are hidden.

mod text;
mod walk;

use std::fmt;
use std::ops::Range;

use super::directive;
use super::env::Env;
use super::host::Host;
use super::place::Place;
use super::syntax::Tree;

/// What stands for what is not shown.
pub const HIDDEN: &str = "***";

/// All directives of a configuration that has been checked.
#[derive(Debug)]
pub struct Effective {
    /// What stands outside all blocks, in the order of the table.
    pub entries: Vec<Entry>,
    /// How many vhosts there are, whether shown or not.
    pub vhosts: usize,
}

/// A directive or a block.
#[derive(Debug)]
pub enum Entry {
    /// A directive.
    Value(Value),
    /// A block.
    Block(Block),
}

/// A directive and the value that holds.
#[derive(Debug)]
pub struct Value {
    /// The path of the block that it stands in, as in the table of directives; empty outside all blocks.
    pub block: &'static str,
    /// Its name.
    pub name: String,
    /// The value, fit to be shown; none when there is none.
    pub words: Vec<String>,
    /// Who says so.
    pub origin: Provenance,
    /// Whether the same holds when it is written down: the absence of some directives says what no value can.
    pub can_be_written: bool,
}

/// A block and what is in it.
#[derive(Debug)]
pub struct Block {
    /// Its path, as in the table of directives.
    pub path: &'static str,
    /// What follows the name, such as the name of a vhost.
    pub arguments: Vec<String>,
    /// Its number among those of its kind in the block around it, from 1; `None` for a block that stands there once.
    pub number: Option<usize>,
    /// Who says so.
    pub origin: Provenance,
    /// What is in it, in the order of the table.
    pub entries: Vec<Entry>,
}

/// Who gave a value.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// Where; `None` for a default.
    pub place: Option<Place>,
    /// Why it is not the value that stands there, or not the one of the table; empty when there is no more to say.
    pub reason: &'static str,
}

/// `file:line`, `env NAME` or `default`, and the reason after a colon.
impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            None => f.write_str("default")?,
            Some(Place::File(source)) => f.write_str(source.path())?,
            Some(Place::Spot { source, line, .. }) => write!(f, "{}:{line}", source.path())?,
            Some(Place::Environment(name)) => write!(f, "env {name}")?,
        }
        match self.reason {
            "" => Ok(()),
            reason => write!(f, ": {reason}"),
        }
    }
}

impl Effective {
    /// What a tree amounts to in an environment and on a machine, with the vhosts of that range in the order of the file.
    pub(super) fn of(tree: &Tree, env: Env<'_>, host: &Host, vhosts: Range<usize>) -> Self {
        walk::walk(tree, env, host, vhosts)
    }

    /// All directives without their blocks, each with the named blocks that it stands in, such as `vhost v.com`.
    pub fn values(&self) -> Vec<(String, &Value)> {
        let mut values = Vec::new();
        flatten(&self.entries, "", &mut values);
        values
    }
}

fn flatten<'e>(entries: &'e [Entry], place: &str, into: &mut Vec<(String, &'e Value)>) {
    for entry in entries {
        match entry {
            Entry::Value(value) => into.push((place.to_owned(), value)),
            Entry::Block(block) => {
                let inside = match block.title() {
                    Some(title) if place.is_empty() => title,
                    Some(title) => format!("{place} {title}"),
                    None => place.to_owned(),
                };
                flatten(&block.entries, &inside, into);
            }
        }
    }
}

impl Block {
    /// Its name, the path's last part.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// What tells it from others of its kind, `None` for a block that stands there once.
    fn title(&self) -> Option<String> {
        let number = self.number?;
        Some(match self.arguments.first() {
            Some(argument) => format!("{} {argument}", self.name()),
            None => format!("{} #{number}", self.name()),
        })
    }
}

impl Value {
    /// Its path, as in the table of directives.
    pub fn path(&self) -> String {
        directive::join(self.block, &self.name)
    }
}

#[cfg(test)]
mod tests;
