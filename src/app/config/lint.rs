//! Warnings about what is accepted: values that are taken for something else than they say, directives that have no
//! effect, features that this server does not have yet.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::diagnostic::Warning;
use super::directive::{self, Kind, Row, Status};
use super::env::Env;
use super::nearest::nearest;
use super::place::Place;
use super::scope::default_text;
use super::section::cluster::Protocol;
use super::section::log::{level_v1, level_v2};
use super::section::play::TimeJitter;
use super::section::security::Rule;
use super::syntax::{Directive, Tree, Word};
use super::{Endpoint, value};
use crate::core::limits;

/// Directives of which a block may hold several; vhosts too, if their names differ.
const REPEATABLE: [&str; 6] = [
    "stream_caster",
    "vhost.exec.publish",
    "vhost.ingest",
    "vhost.security.allow",
    "vhost.security.deny",
    "vhost.transcode.engine",
];

/// Warns about a tree that `check` accepts, and about the environment that goes with it.
pub(super) fn lint(tree: &Tree, env: Env<'_>, warnings: &mut Vec<Warning>) {
    let mut linter = Linter { env, warnings };
    linter.block(&tree.root, "", Features::Watched);
    let mut told = HashSet::new();
    for row in directive::all() {
        linter.variable(row, &mut told);
    }
}

struct Linter<'a> {
    env: Env<'a>,
    warnings: &'a mut Vec<Warning>,
}

/// Whether a missing feature is still to be told, or a block around has told it or is switched off.
#[derive(Clone, Copy, PartialEq)]
enum Features {
    Watched,
    Settled,
}

impl Linter<'_> {
    fn block(&mut self, block: &[Directive], path: &str, features: Features) {
        let mut firsts: HashMap<(&str, &str), &Place> = HashMap::new();
        for directive in block {
            let name = directive.name.text.as_str();
            let path_here = directive::join(path, name);
            let argument = if path_here == "vhost" { directive.arg_text() } else { "" };
            let is_single = path_here == "vhost" || !REPEATABLE.contains(&path_here.as_str());
            if let Some(first) = firsts.get(&(name, argument)).filter(|_| is_single) {
                let message = format!("a second \"{name}\" has no effect; the first is at {first}");
                self.warn(&directive.name.place, message);
                continue;
            }
            firsts.insert((name, argument), &directive.name.place);
            match directive::row(&path_here) {
                Some(row) => self.directive(directive, row, features),
                None => self.unknown(&directive.name, path),
            }
        }
    }

    fn directive(&mut self, directive: &Directive, row: &'static Row, features: Features) {
        let place = &directive.name.place;
        if matches!(row.status, Status::Ignored | Status::Removed) {
            self.warn(place, format!("\"{}\" is accepted but has no effect", row.path));
            return;
        }
        if row.kind.is_block() != directive.block.is_some() {
            let (is, should) = if row.kind.is_block() {
                ("has no block", "write it with { }")
            } else {
                ("needs no block; what is inside has no effect", "end it with \";\"")
            };
            self.warn(place, format!("\"{}\" {is}; {should}", row.path));
        }
        let mut features = features;
        if features == Features::Watched && !row.built {
            if self.has_effect(directive, row) {
                self.warn(place, not_built(row));
            }
            features = Features::Settled;
        }
        match row.kind {
            Kind::FreeBlock => {}
            Kind::Block | Kind::OpenBlock => self.block(directive.children(), row.path, features),
            _ => self.leaf(directive, row),
        }
    }

    fn leaf(&mut self, directive: &Directive, row: &Row) {
        let Some(word) = directive.arg() else {
            let taken = match default_text(row) {
                "" => "it has no effect".to_owned(),
                default => format!("its default is used: {default}"),
            };
            return self.warn(&directive.name.place, format!("\"{}\" has no value; {taken}", row.path));
        };
        if row.kind == Kind::List {
            self.list(directive, row);
            return;
        }
        if let Some(message) = oddity(row, &word.text) {
            self.warn(&word.place, message);
        }
        if let Some(extra) = directive.args.get(1) {
            let message = format!("\"{}\" takes one value; \"{}\" is ignored", row.path, extra.text);
            self.warn(&extra.place, message);
        }
    }

    fn list(&mut self, directive: &Directive, row: &Row) {
        match row.path {
            "listen" => {
                for word in &directive.args {
                    self.port(&word.text, &word.place);
                }
            }
            "vhost.security.allow" | "vhost.security.deny" => self.rule(directive, row),
            _ => {}
        }
    }

    fn rule(&mut self, directive: &Directive, row: &Row) {
        let text = |index: usize| directive.args.get(index).map_or("", |word| word.text.as_str());
        let rule = Rule::parse(text(0), text(1));
        let (index, wanted) = match (rule.action, rule.from) {
            (None, _) => (0, "play or publish"),
            (_, None) => (1, "all, an IP address or a network such as 192.0.2.0/24"),
            _ => return,
        };
        let place = directive
            .args
            .get(index)
            .map_or(&directive.name.place, |word| &word.place);
        let message = format!(
            "this rule matches nobody: {} wants {wanted} here, not \"{}\"",
            row.path,
            text(index)
        );
        self.warn(place, message);
    }

    fn port(&mut self, text: &str, place: &Place) {
        if Endpoint::parse(text).is_ok_and(|endpoint| endpoint.port > u32::from(u16::MAX)) {
            self.warn(
                place,
                format!("the port of \"{text}\" is above 65535 and will fail to open"),
            );
        }
    }

    fn unknown(&mut self, name: &Word, block: &str) {
        let known = directive::children(block).map(Row::name);
        let hint = match nearest(&name.text, known) {
            Some(meant) => format!("; did you mean \"{meant}\"?"),
            None => String::new(),
        };
        self.warn(
            &name.place,
            format!("unknown directive \"{}\" in {block} has no effect{hint}", name.text),
        );
    }

    /// Whether a directive makes the server do something that it would not do without it. Where a variable overrides
    /// a switch, `variable` speaks of it.
    fn has_effect(&self, directive: &Directive, row: &Row) -> bool {
        if !row.kind.is_block() {
            return !is_default(row, &directive.args);
        }
        if let Some(switch) = switch_of(row.path) {
            let word = directive.get("enabled").and_then(Directive::arg);
            let on = match word {
                Some(word) => value::flag(&word.text, switch.flag_rule()).value,
                None => switch.default == "on",
            };
            return on && self.env.overriding(switch).is_none();
        }
        directive.children().iter().any(|child| {
            let path = directive::join(row.path, &child.name.text);
            directive::row(&path).is_some_and(|row| self.has_effect(child, row))
        })
    }

    /// Warns about the environment variable of a row, if it is set.
    fn variable(&mut self, row: &'static Row, told: &mut HashSet<String>) {
        let found = row.variables().find_map(|name| Some((self.env.var(&name)?, name)));
        let Some((text, name)) = found else { return };
        // Two directives share a variable.
        if !told.insert(name.to_string()) {
            return;
        }
        let place = Place::environment(&name);
        if matches!(row.status, Status::Ignored | Status::Removed) {
            return self.warn(&place, format!("\"{}\" is accepted but has no effect", row.path));
        }
        let is_switch = row.name() == "enabled";
        let differs = !is_default(
            row,
            &[Word {
                text: text.clone(),
                place: place.clone(),
            }],
        );
        if !row.built && differs && (is_switch || switch_of(row.parent()).is_none()) {
            self.warn(&place, not_built(row));
        }
        match row.path {
            "listen" => text.split(' ').for_each(|word| self.port(word, &place)),
            _ if row.kind == Kind::List => {}
            _ => {
                if let Some(message) = oddity(row, &text) {
                    self.warn(&place, message);
                }
            }
        }
    }

    fn warn(&mut self, place: &Place, message: String) {
        self.warnings.push(Warning::at(place, message));
    }
}

/// The row that switches a block on and off, if the block has one.
fn switch_of(block: &str) -> Option<&'static Row> {
    if block.is_empty() {
        return None;
    }
    directive::row(&directive::join(block, "enabled"))
}

fn not_built(row: &Row) -> String {
    let feature = match row.name() {
        "enabled" => row.parent(),
        _ => row.path,
    };
    format!("\"{feature}\" is not built into this server yet and has no effect")
}

fn is_default(row: &Row, args: &[Word]) -> bool {
    let Some(first) = args.first() else { return true };
    let default = default_text(row);
    match row.kind {
        Kind::Flag | Kind::FlagUnlessOff | Kind::FlagOnlyOn => {
            value::flag(&first.text, row.flag_rule()).value == (default == "on")
        }
        Kind::Int => value::integer(&first.text).value == value::integer(default).value,
        Kind::Float => value::decimal(&first.text).value == value::decimal(default).value,
        _ => args
            .iter()
            .map(|word| word.text.as_str())
            .eq(default.split(' ').filter(|word| !word.is_empty())),
    }
}

/// What is odd about a value, `None` when it says what it is taken for.
fn oddity(row: &Row, text: &str) -> Option<String> {
    match row.kind {
        Kind::Flag | Kind::FlagUnlessOff | Kind::FlagOnlyOn => odd_flag(row, text),
        Kind::Int => odd_integer(row, text),
        Kind::Float => {
            let taken = value::decimal(text);
            let message = format!("\"{text}\" is not a number; {} is taken as {}", row.path, taken.value);
            (!taken.exact).then_some(message)
        }
        Kind::Seconds | Kind::FractionalSeconds | Kind::Millis | Kind::FractionalMillis => odd_duration(row, text),
        _ => odd_word(row, text),
    }
}

fn odd_flag(row: &Row, text: &str) -> Option<String> {
    let taken = value::flag(text, row.flag_rule());
    let word = if taken.value { "on" } else { "off" };
    (!taken.exact).then(|| format!("\"{text}\" is neither on nor off; {} is taken as {word}", row.path))
}

fn odd_integer(row: &Row, text: &str) -> Option<String> {
    /// Above this SRS warns too, though the protocol allows more.
    const CHUNK_BYTES_USUAL: i32 = 65_536;
    const CHUNK_BYTES_LEAST: i32 = limits::RTMP_CHUNK_BYTES_MIN as i32;
    let taken = value::integer(text);
    if !taken.exact {
        let message = format!(
            "\"{text}\" is not a whole number; {} is taken as {}",
            row.path, taken.value
        );
        return Some(message);
    }
    match (row.name(), taken.value) {
        ("chunk_size", ..CHUNK_BYTES_LEAST) => Some(format!(
            "{} {text} is below {CHUNK_BYTES_LEAST} and taken as that",
            row.path
        )),
        ("chunk_size", CHUNK_BYTES_USUAL..) if taken.value > CHUNK_BYTES_USUAL => Some(format!(
            "{} {text} is above {CHUNK_BYTES_USUAL}, which some peers refuse",
            row.path
        )),
        ("mw_msgs", 129..) => Some(format!("{} {text} is above 128 and taken as that", row.path)),
        (_, ..0) if row.built => Some(format!("{} {text} is negative and taken as 0", row.path)),
        _ => None,
    }
}

fn odd_duration(row: &Row, text: &str) -> Option<String> {
    let unit = row.kind.unit()?;
    let taken = if row.kind.is_fractional() {
        value::fractional_duration(text, unit)
    } else {
        value::duration(text, unit)
    };
    let (number, name) = match unit == Duration::from_secs(1) {
        true => (taken.value.as_secs_f64(), "seconds"),
        false => (taken.value.as_secs_f64() * 1000.0, "milliseconds"),
    };
    let wanted = if row.kind.is_fractional() {
        "number"
    } else {
        "whole number"
    };
    let message = format!(
        "\"{text}\" is not a plain {wanted} of {name}; {} is taken as {number}",
        row.path
    );
    (!taken.exact).then_some(message)
}

fn odd_word(row: &Row, text: &str) -> Option<String> {
    let (fits, wanted, taken) = match row.path {
        "vhost.play.time_jitter" => (TimeJitter::parse(text).is_some(), "full, zero or off", "off"),
        "vhost.cluster.protocol" => (Protocol::parse(text).is_some(), "rtmp, flv or flvs", "rtmp"),
        "srs_log_level" => (
            level_v1(text).is_some() || text == "off",
            "verbose, info, trace, warn or error",
            "off: nothing is logged",
        ),
        "srs_log_level_v2" => (
            level_v2(text).is_some() || text == "off",
            "trace, debug, info, warn or error",
            "off: nothing is logged",
        ),
        "srs_log_tank" => (matches!(text, "file" | "console"), "file or console", "file"),
        _ => return None,
    };
    (!fits).then(|| format!("{} wants {wanted}, not \"{text}\"; it is taken as {taken}", row.path))
}
