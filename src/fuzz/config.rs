//! The configuration's text. No peer's bytes, but operators paste anything.

use std::io;
use std::path::{Path, PathBuf};

use crate::app::config::diagnostic::Fault;
use crate::app::config::endpoint::Endpoint;
use crate::app::config::load::load;
use crate::app::config::syntax::same_blocks;
use crate::app::config::{Host, LoadOptions, Loaded, report};

/// The main file, a zero byte, and the file that each `include` gives.
///
/// Laws: the same text gives the same verdict; a fault stands on a line of its file and can show it; a comment at the end of
/// a good file changes nothing; an address that is accepted reads back as it is shown.
pub fn config(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (main, included) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    with_options(main, included, |options| {
        let (one, other) = (load(options), load(options));
        assert_eq!(report::test(options).status == 0, one.is_ok());
        match (one, other) {
            (Ok(one), Ok(other)) => check_loaded(&one, &other, main, included),
            (Err(one), Err(other)) => {
                assert_eq!(one.explain(), other.explain());
                check_fault(&one, main.len().max(included.len()));
            }
            _ => panic!("two verdicts on one text"),
        }
    });
    if let Ok(endpoint) = Endpoint::parse(&String::from_utf8_lossy(main)) {
        let shown = endpoint.to_string();
        assert_eq!(Endpoint::parse(&shown).map(|again| again.to_string()), Ok(shown));
    }
}

fn with_options(main: &[u8], included: &[u8], look: impl FnOnce(&LoadOptions<'_>)) {
    let read_file = |path: &Path| -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("main.conf") => Ok(main.to_vec()),
            Some("absent.conf") => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(included.to_vec()),
        }
    };
    look(&LoadOptions {
        path: Some(PathBuf::from("main.conf")),
        env_only: false,
        env: &|_| None,
        host: Host {
            open_files: 20_000,
            addresses: 2,
            in_docker: false,
            looks_for_programs: false,
        },
        read_file: &read_file,
    });
}

fn check_loaded(one: &Loaded, other: &Loaded, main: &[u8], included: &[u8]) {
    assert_same(one, other);
    for warning in &one.warnings {
        let _ = (warning.place().excerpt(), warning.message());
    }
    let commented = [main, b"\n# the end"].concat();
    with_options(&commented, included, |options| {
        let loaded = load(options).unwrap_or_else(|fault| panic!("a comment is refused: {fault}"));
        assert_same(one, &loaded);
    });
}

fn assert_same(one: &Loaded, other: &Loaded) {
    assert!(same_blocks(&one.tree.root, &other.tree.root));
    assert_eq!(
        format!("{:?}", one.config.vhosts()),
        format!("{:?}", other.config.vhosts())
    );
    assert_eq!(format!("{:?}", one.warnings), format!("{:?}", other.warnings));
}

fn check_fault(fault: &Fault, bytes: usize) {
    assert!(!fault.explain().is_empty());
    let Some(place) = fault.place() else {
        return;
    };
    let (line, column) = (place.line().unwrap_or(1), place.column().unwrap_or(1));
    assert!(line >= 1 && line as usize <= bytes + 1, "line {line} of {bytes} bytes");
    assert!(
        column >= 1 && column as usize <= bytes + 1,
        "column {column} of {bytes} bytes"
    );
    assert_eq!(place.excerpt().is_some(), place.line().is_some());
}
