//! The table of directives: every name that the language knows, where it is allowed, what it holds, what it is when
//! absent. Names are checked against it, typed values take their defaults from it, and `trunk-conf/full.conf` is made
//! of it (see `tests/conf_reference.rs`).
//!
//! A row is added or changed in the files of `table/`, nowhere else.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use super::table;
use super::value::FlagRule;

/// One directive.
#[derive(Debug)]
pub struct Row {
    /// The names from the outermost block to the directive, joined by dots.
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The value when absent; `-` when that is empty or none.
    pub default: &'static str,
    /// Which environment variables override it.
    pub env: Variables,
    /// What a reload does with a change of it.
    pub reload: Reload,
    /// What became of it.
    pub status: Status,
    /// The major versions of SRS that knew it: `3+`, `1-2`; `-` for what SRS does not have.
    pub version: &'static str,
    /// Whether this server does what the directive says. A change that builds a feature flips this and nothing else.
    pub built: bool,
    /// One phrase for the user.
    pub about: &'static str,
    /// Units, legal values and side effects; empty when there is no more to say.
    pub note: &'static str,
    /// A value to show in the reference where there is no default; empty when none is needed.
    pub example: &'static str,
}

/// What a directive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `on` or `off`; with a text that is neither it keeps its default.
    Flag,
    /// A flag that is off when absent and on with any text but `off`.
    FlagUnlessOff,
    /// A flag that is on when absent and off with any text but `on`.
    FlagOnlyOn,
    /// A whole number.
    Int,
    /// A decimal number.
    Float,
    /// Whole seconds.
    Seconds,
    /// Seconds, with a fraction if need be.
    FractionalSeconds,
    /// Whole milliseconds.
    Millis,
    /// Milliseconds, with a fraction if need be.
    FractionalMillis,
    /// One word.
    Text,
    /// All words.
    List,
    /// Directives in braces, all of which must be known.
    Block,
    /// Directives in braces, where unknown ones have no effect.
    OpenBlock,
    /// Directives in braces whose names are for another program.
    FreeBlock,
}

impl Kind {
    /// The kind's name for users; durations tell their unit.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Flag | Kind::FlagUnlessOff | Kind::FlagOnlyOn => "flag",
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Seconds | Kind::FractionalSeconds => "duration s",
            Kind::Millis | Kind::FractionalMillis => "duration ms",
            Kind::Text => "string",
            Kind::List => "list",
            Kind::Block | Kind::OpenBlock | Kind::FreeBlock => "block",
        }
    }

    /// Whether it is written with braces.
    pub fn is_block(self) -> bool {
        matches!(self, Kind::Block | Kind::OpenBlock | Kind::FreeBlock)
    }

    /// The unit of a duration, `None` for another kind.
    pub fn unit(self) -> Option<Duration> {
        match self {
            Kind::Seconds | Kind::FractionalSeconds => Some(Duration::from_secs(1)),
            Kind::Millis | Kind::FractionalMillis => Some(Duration::from_millis(1)),
            _ => None,
        }
    }

    /// Whether a duration may have a fraction.
    pub fn is_fractional(self) -> bool {
        matches!(self, Kind::FractionalSeconds | Kind::FractionalMillis)
    }
}

/// What a reload does with a changed directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It holds at once, for what runs too.
    Now,
    /// It holds for what begins afterwards: connections, publications, child processes.
    Next,
    /// Nothing: it needs a restart.
    Restart,
}

impl Reload {
    /// The word for users.
    pub fn name(self) -> &'static str {
        match self {
            Reload::Now => "now",
            Reload::Next => "next",
            Reload::Restart => "restart",
        }
    }
}

/// Which environment variables override a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variables {
    /// None.
    None,
    /// The one that its path gives: `SRS_`, then the path in upper case with `_` for dots.
    Own,
    /// These, the first that is set.
    Named(&'static [&'static str]),
}

/// What became of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has an effect.
    Live,
    /// Accepted without effect.
    Ignored,
    /// An old spelling, rewritten or dropped before anything else looks at it.
    Deprecated,
    /// Had an effect in old versions; still accepted.
    Removed,
    /// Had an effect in old versions; refused now.
    Illegal,
}

impl Row {
    /// The directive's name: the path's last part.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The path of the block that it stands in, empty outside all blocks.
    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// Whether the name may stand in a tree whose old spellings are rewritten.
    pub fn is_legal(&self) -> bool {
        matches!(self.status, Status::Live | Status::Ignored | Status::Removed)
    }

    /// When the flag counts as on.
    pub fn flag_rule(&self) -> FlagRule {
        match self.kind {
            Kind::FlagUnlessOff => FlagRule::UnlessOff,
            Kind::Flag if self.default == "on" => FlagRule::UnlessOff,
            _ => FlagRule::OnlyOn,
        }
    }

    /// The names of the environment variables that override it, the strongest first.
    pub fn variables(&self) -> impl Iterator<Item = Cow<'static, str>> {
        let named: &[&str] = match self.env {
            Variables::Named(names) => names,
            Variables::None | Variables::Own => &[],
        };
        let own = matches!(self.env, Variables::Own).then(|| Cow::Owned(own_variable(self.path)));
        own.into_iter().chain(named.iter().map(|name| Cow::Borrowed(*name)))
    }
}

fn own_variable(path: &str) -> String {
    format!("SRS_{}", path.to_ascii_uppercase().replace('.', "_"))
}

/// All rows: each block before its children, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static Row> {
    table::ALL.iter().copied().flatten()
}

/// The row of a path, such as `vhost.play.gop_cache`.
pub fn row(path: &str) -> Option<&'static Row> {
    static INDEX: LazyLock<HashMap<&'static str, &'static Row>> =
        LazyLock::new(|| all().map(|row| (row.path, row)).collect());
    INDEX.get(path).copied()
}

/// The rows that may stand directly in a block; `""` is outside all blocks.
pub fn children(block: &str) -> impl Iterator<Item = &'static Row> {
    static INDEX: LazyLock<HashMap<&'static str, Vec<&'static Row>>> = LazyLock::new(|| {
        let mut index: HashMap<_, Vec<_>> = HashMap::new();
        all().for_each(|row| index.entry(row.parent()).or_default().push(row));
        index
    });
    INDEX.get(block).into_iter().flatten().copied()
}

/// The path of a name inside a block.
pub fn join(block: &str, name: &str) -> String {
    if block.is_empty() {
        name.to_owned()
    } else {
        format!("{block}.{name}")
    }
}
