//! The rules of the source tree that a compiler does not check: layers, sizes, names, banned calls, docs that name files.
//!
//! Each message says what is wrong and what to do. Lists of exceptions stand at the top; an entry that is no longer
//! needed is an error too, so they only get shorter.

#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use source::{Function, Source};

/// From the top down: a layer imports from itself and from those after it.
const LAYERS: [&str; 4] = ["app", "protocol", "kernel", "core"];

/// What programs beside the server use of its application: connections, and whom they trust. They stand on the layers
/// below, so that the server can change without them.
const APP_FOR_OTHERS: [&str; 3] = ["app::stream", "app::rtmp::socket", "app::http::trust"];

/// Lines of code in a file: blank lines, comments, tests at its foot and marked tables do not count.
const FILE_LINES: usize = 500;
/// Files above the bound, with the lines that they may have (at most 800).
const LONG_FILES: &[(&str, usize)] = &[];

/// Lines of a function, from its `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Functions above the bound: file, name, and the lines that they may have.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Names that say nothing about what is inside.
const BANNED_NAMES: [&str; 8] = [
    "utils", "util", "common", "define", "defines", "types", "helpers", "misc",
];

/// A path that code must not use, where, and what to do instead.
struct Ban {
    /// The path or its end; everything below it is banned too.
    path: &'static str,
    /// Files or folders that it holds for.
    within: &'static [&'static str],
    /// Files or folders below them that may use it, each with its reason beside it.
    except: &'static [&'static str],
    instead: &'static str,
}

const ABOVE_CORE: &[&str] = &["src/app", "src/protocol", "src/kernel", "src/main.rs", "src/bin"];
const PURE: &[&str] = &["src/protocol", "src/kernel"];

const BANS: &[Ban] = &[
    Ban {
        path: "may",
        within: ABOVE_CORE,
        except: &[],
        instead: "the coroutine library is core's business (its sleep resumes on another thread); use crate::core",
    },
    Ban {
        path: "may::coroutine::sleep",
        within: &["src/core"],
        except: &[],
        instead: "it resumes on another thread; use core's own sleep",
    },
    Ban {
        path: "park_timeout",
        within: &["src/core"],
        except: &[],
        instead: "it resumes on another thread; use core's own timed waits",
    },
    Ban {
        path: "std::thread",
        within: ABOVE_CORE,
        except: &[],
        instead: "all code above core runs on one thread; use crate::core::offload for what blocks",
    },
    Ban {
        path: "std::sync::Mutex",
        within: ABOVE_CORE,
        except: &[],
        instead: "one thread needs no lock; use Cell or RefCell, or crate::core::sync to wait",
    },
    Ban {
        path: "std::sync::RwLock",
        within: ABOVE_CORE,
        except: &[],
        instead: "one thread needs no lock; use Cell or RefCell",
    },
    Ban {
        path: "std::sync::Condvar",
        within: ABOVE_CORE,
        except: &[],
        instead: "it blocks the only thread; use crate::core::sync",
    },
    Ban {
        path: "std::sync::mpsc",
        within: ABOVE_CORE,
        except: &[],
        instead: "it blocks the only thread; use crate::core::sync",
    },
    Ban {
        path: "std::fs",
        within: ABOVE_CORE,
        except: &[
            // Configuration is read before the server serves, or off the thread on reload.
            "src/app/config",
            // The server's id, read and written at start.
            "src/app/identity.rs",
            // The kernel's own figures under /proc, which never wait for a disk.
            "src/app/stat/host",
            // Job files, media and results, before and after the load; the kernel's own figures.
            "src/bin/srs-bench/main.rs",
            "src/bin/srs-bench/reel.rs",
        ],
        instead: "a slow disk would stop every stream; use crate::core::offload",
    },
    Ban {
        path: "std::process::Command",
        within: ABOVE_CORE,
        except: &[],
        instead: "starting a program blocks; use crate::core",
    },
    Ban {
        path: "TcpStream",
        within: PURE,
        except: &[],
        instead: "the socket is a parameter here; app opens it through crate::core::tcp",
    },
    Ban {
        path: "UdpSocket",
        within: PURE,
        except: &[],
        instead: "the socket is app's; a protocol takes bytes and gives bytes",
    },
    Ban {
        path: "Instant::now",
        within: PURE,
        except: &[],
        instead: "the time is a parameter here",
    },
    Ban {
        path: "SystemTime::now",
        within: PURE,
        except: &[],
        instead: "the time is a parameter here",
    },
    Ban {
        path: "std::env",
        within: PURE,
        except: &[],
        instead: "settings are parameters here",
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of a folder and below it whose names end like this, with paths from the repository's root.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.expect("read a folder").path()) {
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() && !name.ends_with("/target") {
                folders.push(path);
            } else if name.ends_with(ending) {
                let relative = path.strip_prefix(root()).expect("a path below the root");
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn text_of(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("read {path}: {e}"))
}

fn sources(folder: &str) -> Vec<Source> {
    let paths = files(folder, ".rs").into_iter();
    paths.map(|path| Source::new(&path, &text_of(&path))).collect()
}

fn all_sources() -> Vec<Source> {
    ["src", "tests", "benches", "fuzz"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

#[track_caller]
fn assert_none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn layers_import_downward_only() {
    let mut problems = Vec::new();
    for source in sources("src") {
        let Some(own) = LAYERS
            .iter()
            .position(|layer| source.path.starts_with(&format!("src/{layer}/")))
        else {
            continue;
        };
        for (line, path) in source.crate_paths() {
            let target = LAYERS.iter().position(|layer| path == *layer);
            if target.is_some_and(|target| target < own) {
                let (path_of, own) = (&source.path, LAYERS[own]);
                problems.push(format!(
                    "{path_of}:{line}: {own} imports from {path}, which is above it; turn it round"
                ));
            }
        }
    }
    assert_none(problems);
}

#[test]
fn other_programs_stand_on_the_layers_below_the_application() {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources("src/bin") {
        for (line, path) in source.paths() {
            let Some(path) = path.strip_prefix("srs_may::").filter(|path| path.starts_with("app::")) else {
                continue;
            };
            match APP_FOR_OTHERS.iter().find(|part| path.starts_with(**part)) {
                Some(part) => drop(used.insert(*part)),
                None => problems.push(format!(
                    "{}:{line}: {path} is the server's; move what both need below app",
                    source.path
                )),
            }
        }
    }
    let unused = APP_FOR_OTHERS.iter().filter(|part| !used.contains(**part));
    problems.extend(unused.map(|part| format!("tests/tidy.rs: no program uses {part}; take it from APP_FOR_OTHERS")));
    assert_none(problems);
}

#[test]
fn banned_calls() {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources("src").iter().filter(|source| !source.is_test) {
        for ban in BANS.iter().filter(|ban| is_within(&source.path, ban.within)) {
            let Some((line, path)) = source.paths().into_iter().find(|(_, path)| names(path, ban.path)) else {
                continue;
            };
            match ban.except.iter().find(|except| is_within(&source.path, &[except])) {
                Some(except) => drop(used.insert((ban.path, *except))),
                None => problems.push(format!("{}:{line}: {path}: {}", source.path, ban.instead)),
            }
        }
    }
    for (path, except) in BANS
        .iter()
        .flat_map(|ban| ban.except.iter().map(|except| (ban.path, *except)))
    {
        if root().join(except).exists() && !used.contains(&(path, except)) {
            problems.push(format!(
                "tests/tidy.rs: {except} no longer uses {path}; take it from the exceptions"
            ));
        }
    }
    assert_none(problems);
}

fn is_within(path: &str, places: &[&str]) -> bool {
    places
        .iter()
        .any(|place| path == *place || path.starts_with(&format!("{place}/")))
}

/// Whether a path in the code is the banned one: `std::thread::spawn` and `thread::spawn` (imported) are of `std::thread`.
fn names(path: &str, banned: &str) -> bool {
    let (path, banned): (Vec<&str>, Vec<&str>) = (path.split("::").collect(), banned.split("::").collect());
    if matches!(banned[0], "std" | "may") {
        path.starts_with(&banned)
    } else {
        path[0] != "crate" && path.windows(banned.len()).any(|part| part == banned)
    }
}

#[test]
fn unsafe_code_is_in_core_only() {
    let outside = sources("src")
        .into_iter()
        .filter(|source| !source.path.starts_with("src/core/"));
    let problems = outside.filter_map(|source| {
        let line = source.line_with_word("unsafe")?;
        Some(format!(
            "{}:{line}: unsafe code outside core; wrap it in a safe function there",
            source.path
        ))
    });
    assert_none(problems.collect());
}

#[test]
fn every_file_says_what_it_is() {
    let silent = all_sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"));
    let problem = |source: Source| format!("{}: begin with //! and a line on what lives here", source.path);
    assert_none(silent.map(problem).collect());
}

#[test]
fn every_file_is_part_of_the_program() {
    let sources = sources("src");
    let mut problems = Vec::new();
    for source in &sources {
        let path = PathBuf::from(&source.path);
        let (stem, folder) = (path.file_stem().expect("a name"), path.parent().expect("a folder"));
        let (name, parent) = match stem.to_str() {
            Some("main" | "lib") => continue,
            Some("mod") => (
                folder.file_name().expect("a folder"),
                folder.parent().expect("a folder"),
            ),
            _ => (stem, folder),
        };
        if parent == Path::new("src/bin") {
            continue;
        }
        let declaration = format!("mod {};", name.to_string_lossy());
        let owners = [
            parent.join("mod.rs"),
            parent.join("lib.rs"),
            parent.join("main.rs"),
            parent.with_extension("rs"),
        ];
        let is_declared = sources
            .iter()
            .filter(|owner| owners.iter().any(|path| path == Path::new(&owner.path)))
            .any(|owner| owner.code.contains(&declaration));
        if !is_declared {
            problems.push(format!(
                "{}: no `{declaration}` declares it; delete it or declare it",
                source.path
            ));
        }
    }
    assert_none(problems);
}

#[test]
fn names_say_what_is_inside() {
    let is_banned = |path: &String| {
        let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
        parts.iter().any(|part| BANNED_NAMES.contains(part))
    };
    let banned = ["src", "tests", "benches", "fuzz"]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .filter(is_banned);
    assert_none(
        banned
            .map(|path| format!("{path}: name the file after what is inside"))
            .collect(),
    );
}

#[test]
fn files_stay_short() {
    let mut problems = Vec::new();
    let sources = all_sources();
    for source in &sources {
        let listed = LONG_FILES
            .iter()
            .find(|(path, _)| *path == source.path)
            .map(|(_, lines)| *lines);
        let (bound, lines) = (listed.unwrap_or(FILE_LINES), source.code_lines());
        if lines > bound {
            problems.push(format!(
                "{}: {lines} lines of code, {bound} at most; it holds two ideas, split it",
                source.path
            ));
        } else if listed.is_some() && lines <= FILE_LINES {
            problems.push(format!(
                "tests/tidy.rs: {} is short now; take it from LONG_FILES",
                source.path
            ));
        }
    }
    for (path, lines) in LONG_FILES {
        let exists = sources.iter().any(|source| source.path == *path);
        if !exists || *lines > 800 {
            problems.push(format!(
                "tests/tidy.rs: the entry {path} {lines} of LONG_FILES is wrong (gone, or above 800)"
            ));
        }
    }
    assert_none(problems);
}

#[test]
fn functions_stay_short() {
    let mut problems = Vec::new();
    let mut needed: BTreeSet<&(&str, &str, usize)> = BTreeSet::new();
    for source in all_sources() {
        for Function { name, line, lines } in source.functions() {
            let listed = LONG_FUNCTIONS
                .iter()
                .find(|entry| (entry.0, entry.1) == (source.path.as_str(), name.as_str()));
            if lines > FUNCTION_LINES {
                needed.extend(listed);
            }
            let bound = listed.map_or(FUNCTION_LINES, |entry| entry.2);
            if lines > bound {
                let path = &source.path;
                problems.push(format!(
                    "{path}:{line}: {name} has {lines} lines, {bound} at most; name its parts"
                ));
            }
        }
    }
    let stale = LONG_FUNCTIONS.iter().filter(|entry| !needed.contains(entry));
    problems.extend(stale.map(|entry| format!("tests/tidy.rs: {entry:?} is not needed any more in LONG_FUNCTIONS")));
    assert_none(problems);
}

/// README and all pages under docs.
fn pages() -> Vec<(String, String)> {
    let mut paths = files("docs", ".md");
    paths.push("README.md".to_owned());
    paths.into_iter().map(|path| (path.clone(), text_of(&path))).collect()
}

#[test]
fn every_sample_configuration_is_explained_somewhere() {
    let pages = pages();
    let unnamed = files("trunk-conf", ".conf").into_iter().filter(|path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        !pages.iter().any(|(_, text)| text.contains(name))
    });
    assert_none(
        unnamed
            .map(|path| format!("{path}: no page under docs says what it is for"))
            .collect(),
    );
}

#[test]
fn files_that_the_pages_name_exist() {
    let mut problems = Vec::new();
    for (page, text) in pages() {
        let separators = |c: char| c.is_whitespace() || "`()[]\"'<>,;|=".contains(c);
        for word in text.split(separators).map(|word| word.trim_end_matches(['.', ':'])) {
            let word = word.split('#').next().unwrap_or(word).trim_start_matches("./");
            let is_ours = ["src/", "docs/", "scripts/", "trunk-conf/", "etc/init.d/", "tests/"]
                .iter()
                .any(|folder| word.starts_with(folder));
            let is_pattern = word.contains(['*', '{', '…', '$']);
            if is_ours && !is_pattern && !root().join(word).exists() {
                problems.push(format!("{page}: {word} does not exist"));
            }
        }
    }
    assert_none(problems);
}

#[test]
fn names_of_machines_stay_out_of_the_tree() {
    let endings = [".rs", ".md", ".sh", ".toml", ".conf"];
    let folders = ["src", "tests", "docs", "scripts", "trunk-conf", "benches", "etc"];
    let paths = folders
        .iter()
        .flat_map(|folder| endings.iter().flat_map(|ending| files(folder, ending)));
    let named = paths.filter(|path| path != "tests/tidy.rs").filter_map(|path| {
        let text = text_of(&path);
        let line = text
            .lines()
            .position(|line| ["/home/", "/root/"].iter().any(|home| line.contains(home)))?;
        Some(format!("{path}:{}: a folder of somebody's machine", line + 1))
    });
    assert_none(named.collect());
}
