//! `trunk-conf/full.conf` is the directive table in writing; neither may say more than the other.
//!
//! `UPDATE_FULL_CONF=1 cargo test --test conf_reference` writes the file anew from the table.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use srs_may::app::config::directive::{self, Kind, Reload, Row, Status};
use srs_may::app::config::syntax::{self, Directive};

fn no_files(_: &Path) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::NotFound.into())
}

#[test]
fn the_reference_agrees_with_the_table_both_ways() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("trunk-conf/full.conf");
    let expected = reference();
    if std::env::var_os("UPDATE_FULL_CONF").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    for (number, (ours, wanted)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(ours, wanted, "full.conf:{}", number + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count());
    let (tree, _) = syntax::parse("full.conf", text.into_bytes(), &no_files).unwrap();
    let mut written = BTreeSet::new();
    collect(&tree.root, "", &mut written);
    let live = directive::all().filter(|row| row.status == Status::Live && row.path != "include");
    assert_eq!(written, live.map(|row| row.path.to_owned()).collect());
}

fn collect(block: &[Directive], path: &str, into: &mut BTreeSet<String>) {
    for directive in block {
        let path = directive::join(path, &directive.name.text);
        collect(directive.children(), &path, into);
        into.insert(path);
    }
}

/// What `full.conf` has to be.
fn reference() -> String {
    let mut text = String::from(
        "# The reference: every directive with its default, or with an example where it has none.\n\
         # It is made from the server's own table and is not meant to be run: copy what you need.\n\
         #\n\
         # Above each directive: what it is for; its kind and default; whether a reload changes it, for all or for what\n\
         # begins then, or only a restart; the environment variable that overrides it; what else there is to know.\n\
         # docs/config.md explains the language.\n",
    );
    write_block(&mut text, "", 0);
    text
}

fn write_block(text: &mut String, block: &str, depth: usize) {
    let indent = "    ".repeat(depth);
    for row in directive::children(block).filter(|row| row.status == Status::Live) {
        text.push('\n');
        for line in describe(row) {
            writeln!(text, "{indent}# {line}").unwrap();
        }
        if row.kind.is_block() {
            let argument = match row.name() {
                "vhost" => " __defaultVhost__",
                "ingest" => " livestream",
                "engine" => " ff",
                _ => "",
            };
            writeln!(text, "{indent}{}{argument} {{", row.name()).unwrap();
            write_block(text, row.path, depth + 1);
            writeln!(text, "{indent}}}").unwrap();
        } else if row.path == "include" {
            writeln!(text, "{indent}#include {};", row.example).unwrap();
        } else {
            let value = match row.path {
                "is_full" => "on",
                _ if !row.example.is_empty() => row.example,
                _ if row.default == "-" => "",
                _ => row.default,
            };
            let line = format!("{indent}{:<31} {value}", row.name());
            writeln!(text, "{};", line.trim_end()).unwrap();
        }
    }
}

fn describe(row: &Row) -> Vec<String> {
    let mut facts = vec![row.kind.name().to_owned()];
    if !row.kind.is_block() {
        facts.push(match row.default {
            "-" => "no default".to_owned(),
            "(required)" => "required".to_owned(),
            default => format!("default {default}"),
        });
    }
    facts.push(match row.reload {
        Reload::Now => "reload".to_owned(),
        Reload::Next => "reload for what begins then".to_owned(),
        Reload::Restart => "restart".to_owned(),
    });
    facts.extend(row.variables().map(|name| name.into_owned()));
    if row.kind.is_fractional() {
        facts.push("fractions allowed".to_owned());
    }
    if matches!(row.kind, Kind::OpenBlock | Kind::FreeBlock) {
        facts.push("unknown names are accepted inside".to_owned());
    }
    if !row.built {
        facts.push("not built yet".to_owned());
    }
    let mut words = vec![format!("{}.", row.about), format!("{}.", facts.join(", "))];
    if !row.note.is_empty() {
        words.push(row.note.to_owned());
    }
    words.iter().flat_map(|sentence| wrap(sentence, 100)).collect()
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}
