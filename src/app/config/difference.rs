//! What two configurations say differently, directive by directive; for who reloads, not for what runs: that compares
//! typed sections.

use super::directive::{self, Kind, Reload, Row};
use super::env::Env;
use super::scope::default_text;
use super::secret::{is_secret, without_secrets};
use super::syntax::{Directive, Tree, find};

/// Blocks of which there may be several, told apart by their argument, or by their place without one.
pub(super) const REPEATED: [&str; 6] = [
    "vhost",
    "stream_caster",
    "vhost.ingest",
    "vhost.ingest.engine",
    "vhost.transcode",
    "vhost.transcode.engine",
];
/// The longest value that is shown, characters.
const VALUE_CHARS: usize = 200;

/// One directive, or one whole block, that the new configuration has otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path in the table of directives.
    pub directive: &'static str,
    /// The blocks that it stands in, such as `vhost v.com`; empty outside of those that have names.
    pub place: String,
    /// The value before, fit to be shown.
    pub old: String,
    /// The value now, fit to be shown.
    pub new: String,
    /// What a reload does with it.
    pub reload: Reload,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{} {} -> {}", self.directive, self.old, self.new)
    }
}

/// What `new` says otherwise than `old`, in the order of the table. What the environment decides is no difference.
pub fn difference(old: &Tree, new: &Tree, env: Env<'_>) -> Vec<Change> {
    let mut comparison = Comparison {
        env,
        changes: Vec::new(),
    };
    comparison.blocks("", "", &old.root, &new.root);
    comparison.changes
}

struct Comparison<'e> {
    env: Env<'e>,
    changes: Vec<Change>,
}

impl Comparison<'_> {
    fn blocks(&mut self, path: &str, place: &str, old: &[Directive], new: &[Directive]) {
        for row in directive::children(path) {
            if REPEATED.contains(&row.path) {
                self.repeated(row, place, old, new);
            } else if matches!(row.kind, Kind::Block | Kind::OpenBlock) {
                let inside = |block| find(block, row.name()).map_or(&[][..], Directive::children);
                self.blocks(row.path, place, inside(old), inside(new));
            } else {
                self.values(row, place, old, new);
            }
        }
    }

    fn repeated(&mut self, row: &'static Row, place: &str, old: &[Directive], new: &[Directive]) {
        let (old, new) = (named(row, old), named(row, new));
        for (name, block) in &old {
            let place = format!("{place}{}{name}", if place.is_empty() { "" } else { " " });
            match new.iter().find(|(other, _)| other == name) {
                Some((_, other)) => self.blocks(row.path, &place, block.children(), other.children()),
                None => self.push(row, &place, "there".to_owned(), "gone".to_owned()),
            }
        }
        for (name, _) in &new {
            if !old.iter().any(|(other, _)| other == name) {
                let place = format!("{place}{}{name}", if place.is_empty() { "" } else { " " });
                self.push(row, &place, "not there".to_owned(), "added".to_owned());
            }
        }
    }

    fn values(&mut self, row: &'static Row, place: &str, old: &[Directive], new: &[Directive]) {
        if !row.is_legal() || row.path == "include" || self.env.overriding(row).is_some() {
            return;
        }
        let (old, new) = (value(row, old), value(row, new));
        if old == new {
            return;
        }
        let (old, new) = match is_secret(row.path) {
            true => ("(hidden)".to_owned(), "(hidden)".to_owned()),
            false => (shown(&old), shown(&new)),
        };
        self.push(row, place, old, new);
    }

    fn push(&mut self, row: &'static Row, place: &str, old: String, new: String) {
        self.changes.push(Change {
            directive: row.path,
            place: place.to_owned(),
            old,
            new,
            reload: row.reload,
        });
    }
}

/// The blocks of a row, with what they are called.
fn named<'a>(row: &Row, block: &'a [Directive]) -> Vec<(String, &'a Directive)> {
    let blocks = block.iter().filter(|directive| directive.name.text == row.name());
    let named = blocks
        .enumerate()
        .map(|(number, directive)| match directive.arg_text() {
            "" => (format!("{} #{}", row.name(), number + 1), directive),
            argument => (format!("{} {argument}", row.name()), directive),
        });
    named.collect()
}

/// What a directive says in a block: all its words, those of each line if it may be repeated; the default when absent.
fn value(row: &Row, block: &[Directive]) -> String {
    let written: Vec<String> = block
        .iter()
        .filter(|directive| directive.name.text == row.name())
        .map(words)
        .collect();
    match written.is_empty() {
        true => default_text(row).to_owned(),
        false => written.join("; "),
    }
}

fn words(directive: &Directive) -> String {
    let mut words: Vec<String> = directive.args.iter().map(|word| word.text.clone()).collect();
    words.extend(
        directive
            .children()
            .iter()
            .map(|child| format!("{} {}", child.name.text, words_of(child))),
    );
    words.join(" ")
}

fn words_of(directive: &Directive) -> String {
    let words: Vec<&str> = directive.args.iter().map(|word| word.text.as_str()).collect();
    words.join(" ")
}

/// A value as it may be shown: without names, passwords and parameters in URLs, and not too long.
fn shown(value: &str) -> String {
    if value.is_empty() {
        return "(none)".to_owned();
    }
    let words: Vec<String> = value.split(' ').map(|word| without_secrets(word, "…")).collect();
    let text = words.join(" ");
    match text.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{Host, load_text};

    fn changes(old: &str, new: &str) -> Vec<String> {
        let tree = |text: &str| load_text(&format!("listen 1935; {text}"), Host::TEST).unwrap().tree;
        let env = Env::new(&|name| (name == "SRS_PITHY_PRINT_MS").then(|| "1".to_owned()), false);
        let found = difference(&tree(old), &tree(new), env);
        found
            .iter()
            .map(|change| format!("{change} [{}]", change.reload.name()))
            .collect()
    }

    #[test]
    fn changes_are_named_with_both_values() {
        let old = "vhost a { hls { enabled on; hls_fragment 2; } } vhost b { } work_dir ./x;";
        let new = "vhost a { hls { enabled on; } chunk_size 4096; cluster { mode remote; origin h; } } vhost c { }";
        assert_eq!(
            changes(old, new),
            [
                "work_dir ./x -> ./ [restart]",
                "vhost a: vhost.chunk_size 60000 -> 4096 [next]",
                "vhost a: vhost.cluster.mode local -> remote [restart]",
                "vhost a: vhost.cluster.origin (none) -> h [next]",
                "vhost a: vhost.hls.hls_fragment 2 -> 10 [now]",
                "vhost b: vhost there -> gone [now]",
                "vhost c: vhost not there -> added [now]",
            ]
        );
    }

    #[test]
    fn the_same_in_other_words_is_no_change() {
        assert_eq!(changes("", "max_connections 1000; http_api { }"), [""; 0]);
        assert_eq!(changes("", "pithy_print_ms 500;"), [""; 0], "the environment decides");
        let block = "stream_caster { enabled off; caster flv; listen 8936; output rtmp://a/[app]/[stream]; }";
        assert_eq!(changes(block, block), [""; 0]);
    }

    #[test]
    fn secrets_are_not_shown() {
        let forward = |url: &str| format!("vhost a {{ forward {{ enabled on; destination {url}; }} }}");
        assert_eq!(
            changes(&forward("rtmp://me:pw@h/live?key=1"), &forward("h:1936")),
            ["vhost a: vhost.forward.destination rtmp://…@h/live?key=… -> h:1936 [now]"]
        );
        let auth = |word: &str| format!("http_api {{ auth {{ password {word}; }} }}");
        assert_eq!(
            changes(&auth("one"), &auth("two")),
            ["http_api.auth.password (hidden) -> (hidden) [now]"]
        );
    }
}
