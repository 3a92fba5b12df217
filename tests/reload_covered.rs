//! Each directive that a reload changes has a test that sees it happen: `tests/e2e/reload/covered.txt` says which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use srs_may::app::config::directive::{self, Reload, Row, Status};

/// The heading of those that no test can bring about; each has its reason behind a colon.
const NOT_TESTED: &str = "not tested";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e")
}

/// What the list says: the directives of each test, with what stands behind their colon.
fn list() -> BTreeMap<String, Vec<(String, String)>> {
    let text = fs::read_to_string(folder().join("reload/covered.txt")).expect("read covered.txt");
    let mut list: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut test = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("    ") {
            // The names of some FFmpeg options end in `:a`, so a reason has a blank before it.
            Some(entry) => {
                let (directive, reason) = entry.split_once(": ").unwrap_or((entry, ""));
                let entry = (directive.to_owned(), reason.to_owned());
                list.entry(test.clone()).or_default().push(entry);
            }
            None => line.clone_into(&mut test),
        }
    }
    list
}

/// What a reload changes for all, or for what begins then. A block is covered by what is in it.
fn is_reloaded(row: &Row) -> bool {
    row.built && row.status == Status::Live && row.reload != Reload::Restart && !row.kind.is_block()
}

#[test]
fn each_reloaded_directive_is_covered() {
    let list = list();
    let listed: Vec<&str> = list
        .values()
        .flatten()
        .map(|(directive, _)| directive.as_str())
        .collect();
    let known: BTreeSet<&str> = listed.iter().copied().collect();
    let wanted: BTreeSet<&str> = directive::all()
        .filter(|row| is_reloaded(row))
        .map(|row| row.path)
        .collect();
    let missing: Vec<_> = wanted.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "no test sees a reload change {missing:?}; write one in tests/e2e/reload and name it in covered.txt"
    );
    // An included file is no setting of its own.
    let unknown: Vec<_> = known.difference(&wanted).filter(|name| **name != "include").collect();
    assert!(
        unknown.is_empty(),
        "covered.txt names {unknown:?}, which a reload does not change"
    );
    assert_eq!(listed.len(), known.len(), "covered.txt names a directive twice");
    for (directive, reason) in &list[NOT_TESTED] {
        assert!(!reason.is_empty(), "covered.txt: {directive} wants a reason");
    }
}

#[test]
fn each_test_that_is_named_is_there_and_names_its_directives() {
    for (test, directives) in list().iter().filter(|(test, _)| *test != NOT_TESTED) {
        let (module, function) = test.rsplit_once("::").expect("a module and a function");
        let file = folder().join(format!("{}.rs", module.replace("::", "/")));
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{test}: {}: {e}", file.display()));
        assert!(
            text.contains(&format!("#[test]\nfn {function}(")),
            "{} has no test {function}",
            file.display()
        );
        for (directive, _) in directives {
            let name = directive.rsplit('.').next().unwrap_or(directive);
            assert!(text.contains(name), "{test} does not name {directive}");
        }
    }
}
