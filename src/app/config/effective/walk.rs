//! The way through the table of directives: what each one amounts to in each block that is there or could be.

use std::ops::Range;

use super::{Block, Effective, Entry, HIDDEN, Provenance, Value};
use crate::app::config::difference::REPEATED;
use crate::app::config::directive::{self, Kind, Row, Status};
use crate::app::config::env::Env;
use crate::app::config::host::Host;
use crate::app::config::place::Place;
use crate::app::config::scope::{Given, Scope, default_text};
use crate::app::config::secret::{is_secret, without_secrets};
use crate::app::config::section::play::MW_MSGS_MAX;
use crate::app::config::section::process::is_in_docker;
use crate::app::config::section::vhost::read_chunk_size;
use crate::app::config::syntax::{Directive, Tree, Word};
use crate::app::config::value;

/// Directives that may stand several times in a block, all of which hold.
const RULES: [&str; 3] = ["vhost.exec.publish", "vhost.security.allow", "vhost.security.deny"];
/// Directives that mean something else when their default is written down.
const TOLD_BY_ABSENCE: [&str; 4] = [
    "vhost.hls.hls_acodec",
    "vhost.hls.hls_vcodec",
    "vhost.hls.hls_key_file_path",
    "vhost.hls.hls_key_url",
];

/// Looks up everything.
pub(super) fn walk(tree: &Tree, env: Env<'_>, host: &Host, vhosts: Range<usize>) -> Effective {
    let root = Scope::root(env, &tree.root);
    let walk = Walk {
        env,
        host,
        root: root.clone(),
        vhosts,
    };
    let here = Here {
        scope: &root,
        around: &root,
        block: &tree.root,
    };
    Effective {
        entries: walk.entries("", here),
        vhosts: vhosts_of(&tree.root).len(),
    }
}

struct Walk<'a> {
    env: Env<'a>,
    host: &'a Host,
    root: Scope<'a>,
    vhosts: Range<usize>,
}

/// The block that is looked at.
#[derive(Clone, Copy)]
struct Here<'h, 'a> {
    scope: &'h Scope<'a>,
    /// The block that it stands in.
    around: &'h Scope<'a>,
    block: &'a [Directive],
}

/// A value that is not the one that stands there, or not the table's, and why.
type Derived = (Vec<String>, &'static str);

impl<'a> Walk<'a> {
    fn entries(&self, path: &'static str, here: Here<'_, 'a>) -> Vec<Entry> {
        let mut entries = Vec::new();
        let rows = directive::children(path).filter(|row| row.is_legal() && row.path != "include");
        for row in rows.filter(|row| self.counts(row, here)) {
            match row.kind {
                Kind::FreeBlock => entries.extend(self.options(row, here.block).map(Entry::Block)),
                Kind::Block | Kind::OpenBlock => entries.extend(self.blocks(row, here).map(Entry::Block)),
                _ => entries.extend(self.values(row, here).map(Entry::Value)),
            }
        }
        entries
    }

    /// Whether a directive is there, or would have an effect if it were.
    fn counts(&self, row: &Row, here: Here<'_, 'a>) -> bool {
        let is_for_rtsp = row.path.starts_with("stream_caster.rtp_port_");
        if is_for_rtsp && here.scope.text("caster") != "rtsp" {
            return false;
        }
        let is_there = here.block.iter().any(|directive| directive.name.text == row.name());
        is_there || (row.built && row.status == Status::Live) || self.is_in_environment(row)
    }

    fn is_in_environment(&self, row: &Row) -> bool {
        match row.kind {
            Kind::Block | Kind::OpenBlock => directive::children(row.path).any(|child| self.is_in_environment(child)),
            _ => self.env.overriding(row).is_some(),
        }
    }

    fn blocks(&self, row: &'static Row, here: Here<'_, 'a>) -> impl Iterator<Item = Block> {
        let named = here.block.iter().filter(|directive| directive.name.text == row.name());
        let found: Vec<(usize, Option<&'a Directive>)> = match row.path {
            "vhost" => {
                let vhosts = vhosts_of(here.block).into_iter().map(Some).enumerate();
                vhosts.filter(|(index, _)| self.vhosts.contains(index)).collect()
            }
            // As in SRS only the first one counts.
            "vhost.transcode" => named.map(Some).enumerate().take(1).collect(),
            path if REPEATED.contains(&path) => named.map(Some).enumerate().collect(),
            _ => vec![(0, named.into_iter().next())],
        };
        found
            .into_iter()
            .map(move |(index, directive)| self.block(row, here, index, directive))
    }

    fn block(&self, row: &'static Row, here: Here<'_, 'a>, index: usize, directive: Option<&'a Directive>) -> Block {
        let block = directive.map_or(&[][..], Directive::children);
        let scope = here.scope.inside(row.name(), block);
        let inside = Here {
            scope: &scope,
            around: here.scope,
            block,
        };
        Block {
            path: row.path,
            arguments: directive.map_or_else(Vec::new, |directive| texts(&directive.args)),
            number: REPEATED.contains(&row.path).then_some(index + 1),
            origin: Provenance {
                place: directive.map(|directive| directive.name.place.clone()),
                reason: "",
            },
            entries: self.entries(row.path, inside),
        }
    }

    /// A block whose names are for another program, if it is there.
    fn options(&self, row: &'static Row, block: &'a [Directive]) -> Option<Block> {
        let found = block.iter().find(|directive| directive.name.text == row.name())?;
        let options = found.children().iter().map(|option| {
            Entry::Value(Value {
                block: row.path,
                name: option.name.text.clone(),
                words: shown(row, texts(&option.args)),
                origin: at(&option.name.place),
                can_be_written: true,
            })
        });
        Some(Block {
            path: row.path,
            arguments: texts(&found.args),
            number: None,
            origin: at(&found.name.place),
            entries: options.collect(),
        })
    }

    fn values(&self, row: &'static Row, here: Here<'_, 'a>) -> impl Iterator<Item = Value> {
        let rules: Vec<&Directive> = match RULES.contains(&row.path) {
            true => here.scope.every(row.name()).collect(),
            false => Vec::new(),
        };
        if rules.is_empty() {
            return vec![self.value(row, here)].into_iter();
        }
        let values = rules.into_iter().map(|rule| Value {
            block: row.parent(),
            name: row.name().to_owned(),
            words: shown(row, texts(&rule.args)),
            origin: at(&rule.name.place),
            can_be_written: true,
        });
        values.collect::<Vec<_>>().into_iter()
    }

    fn value(&self, row: &'static Row, here: Here<'_, 'a>) -> Value {
        let given = here.scope.given(row.name());
        let derived = self.derived(row, here, given.as_ref());
        let (words, reason) = derived.unwrap_or_else(|| (plain(row, here.scope, given.as_ref()), ""));
        let is_told_by_absence = given.is_none() && TOLD_BY_ABSENCE.contains(&row.path);
        Value {
            block: row.parent(),
            name: row.name().to_owned(),
            can_be_written: !words.is_empty() && !is_told_by_absence,
            words: match given {
                Some(_) => shown(row, words),
                None => words,
            },
            origin: Provenance {
                place: given.map(|given| given.place),
                reason,
            },
        }
    }

    /// What other directives or the machine make of one.
    fn derived(&self, row: &Row, here: Here<'_, 'a>, given: Option<&Given>) -> Option<Derived> {
        let (scope, name) = (here.scope, row.name());
        let one = |word: String, reason| Some((vec![word], reason));
        match (row.path, given) {
            ("daemon", _) if is_in_docker(&self.root, self.host) && scope.flag("disable_daemon_for_docker") => {
                one("off".to_owned(), "in a container").filter(|_| scope.flag(name))
            }
            ("in_docker", _) if self.host.in_docker => one("on".to_owned(), "in a container"),
            ("srs_log_tank", None) if is_in_docker(&self.root, self.host) => {
                one("console".to_owned(), "in a container")
            }
            ("chunk_size" | "vhost.chunk_size", Some(_)) => {
                let (said, size) = (scope.integer(name), read_chunk_size(scope));
                one(size.to_string(), "held to what RTMP allows").filter(|_| i64::from(said) != i64::from(size))
            }
            ("vhost.chunk_size", None) => one(read_chunk_size(&self.root).to_string(), "chunk_size"),
            ("vhost.play.mw_latency" | "vhost.play.mw_msgs", None) if here.around.flag("min_latency") => {
                one("0".to_owned(), "min_latency")
            }
            ("vhost.play.mw_msgs", Some(_)) if scope.size(name) > MW_MSGS_MAX => {
                one(MW_MSGS_MAX.to_string(), "the most that is allowed")
            }
            ("vhost.hls.hls_td_ratio" | "vhost.hls.hls_aof_ratio", Some(given)) => {
                let is_number = given.text.parse::<f64>().is_ok_and(f64::is_finite);
                one(default_text(row).to_owned(), "no number").filter(|_| !is_number)
            }
            ("vhost.hls.hls_key_file_path", None) => one(scope.text("hls_path"), "hls_path"),
            ("vhost.hls.hls_key_url", None) => Some((Vec::new(), "relative to the playlist")),
            ("http_api.https.listen", None) => {
                let server = self.root.section("http_server");
                let is_shared = here.around.texts_or_default("listen") == server.texts_or_default("listen");
                let listen = server.section("https").texts_or_default("listen");
                Some((listen, "http_server.https.listen")).filter(|_| is_shared)
            }
            // Its default in the table says that there is none.
            ("listen", None) => Some((Vec::new(), "")),
            _ => None,
        }
    }
}

/// What a directive says, as a configuration would say it that means nothing else.
fn plain(row: &Row, scope: &Scope<'_>, given: Option<&Given>) -> Vec<String> {
    if row.kind == Kind::List {
        return scope.texts_or_default(row.name());
    }
    let Some(given) = given else {
        let default = default_text(row);
        return Some(default.to_owned())
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect();
    };
    let text = given.text.as_str();
    let exact = |exact: bool, taken: String| if exact { text.to_owned() } else { taken };
    let flag = |on: bool| if on { "on" } else { "off" }.to_owned();
    let taken = match row.kind {
        Kind::Flag | Kind::FlagUnlessOff | Kind::FlagOnlyOn => flag(value::flag(text, row.flag_rule()).value),
        Kind::Int => {
            let taken = value::integer(text);
            exact(taken.exact, taken.value.to_string())
        }
        Kind::Seconds | Kind::Millis => {
            let taken = value::integer(text);
            exact(taken.exact && taken.value >= 0, taken.value.max(0).to_string())
        }
        Kind::Float => {
            let taken = value::decimal(text);
            exact(taken.exact, taken.value.to_string())
        }
        Kind::FractionalSeconds | Kind::FractionalMillis => {
            let taken = value::decimal(text);
            exact(taken.exact && taken.value >= 0.0, taken.value.max(0.0).to_string())
        }
        Kind::Text | Kind::List | Kind::Block | Kind::OpenBlock | Kind::FreeBlock => text.to_owned(),
    };
    vec![taken]
}

/// Words as they may be shown.
fn shown(row: &Row, words: Vec<String>) -> Vec<String> {
    match is_secret(row.path) {
        true => vec![HIDDEN.to_owned()],
        false => words.iter().map(|word| without_secrets(word, HIDDEN)).collect(),
    }
}

/// The vhosts of a tree; of two with one name the first.
fn vhosts_of(block: &[Directive]) -> Vec<&Directive> {
    let mut names = std::collections::HashSet::new();
    let vhosts = block.iter().filter(|directive| directive.name.text == "vhost");
    vhosts.filter(|vhost| names.insert(vhost.arg_text())).collect()
}

fn texts(words: &[Word]) -> Vec<String> {
    words.iter().map(|word| word.text.clone()).collect()
}

fn at(place: &Place) -> Provenance {
    Provenance {
        place: Some(place.clone()),
        reason: "",
    }
}
