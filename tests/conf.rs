//! The configuration as users meet it: the samples, the table of directives, mistakes and oddities.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use srs_may::app::config::diagnostic::{Fault, Warning};
use srs_may::app::config::directive::{self, Reload, Status, Variables};
use srs_may::app::config::effective::Value;
use srs_may::app::config::load::load;
use srs_may::app::config::place::Place;
use srs_may::app::config::{Host, LoadOptions, Loaded, report};

/// A machine on which no sample fails for want of files.
const HOST: Host = Host {
    open_files: 10_000,
    addresses: 2,
    in_docker: false,
    looks_for_programs: false,
};

fn no_variables(_: &str) -> Option<String> {
    None
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads samples from where they are in the source tree: users have them in `conf`.
fn read_sample(path: &Path) -> io::Result<Vec<u8>> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = path.strip_prefix("conf").unwrap_or(path);
    fs::read(root().join("trunk-conf").join(path))
}

fn sample_options(name: &str, host: Host) -> LoadOptions<'static> {
    LoadOptions {
        path: Some(Path::new("conf").join(name)),
        env_only: false,
        env: &no_variables,
        host,
        read_file: &read_sample,
    }
}

fn samples() -> BTreeSet<String> {
    let names = fs::read_dir(root().join("trunk-conf")).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn every_sample_passes_the_test_without_a_warning() {
    let host = Host {
        open_files: 20_000,
        ..HOST
    };
    let mut tested = 0;
    for name in samples() {
        let report = report::test(&sample_options(&name, host));
        let (_, verdict) = report.lines.last().unwrap();
        match name.as_str() {
            "full.conf" | "include.vhost.conf" => assert_eq!(report.status, 255, "{name}"),
            "https.conf" | "rtmps.conf" if cfg!(not(feature = "tls")) => {
                let lines = format!("{:?}", report.lines);
                assert!(
                    lines.contains("https.enabled is on") || lines.contains("rtmps.enabled is on"),
                    "{name}: {lines}"
                );
                assert!(lines.contains("without the feature tls"), "{name}: {lines}");
                assert_eq!(report.status, 255, "{name}");
            }
            _ => {
                assert_eq!(report.lines.len(), 1, "{name}: {:?}", report.lines);
                assert_eq!(*verdict, format!("config file conf/{name} test is successful"));
                assert_eq!(report.status, 0);
                tested += 1;
            }
        }
    }
    assert!(tested >= 10, "only {tested} samples");
}

#[test]
fn the_reference_is_refused_for_being_the_reference_and_nothing_else() {
    let fault = load(&sample_options("full.conf", HOST))
        .map(drop)
        .expect_err("full.conf is refused");
    assert!(fault.to_string().contains("the reference of all directives"), "{fault}");
    let text = String::from_utf8(read_sample(Path::new("full.conf")).unwrap()).unwrap();
    let text = text.replace("\nis_full                         on;\n", "\n");
    let loaded = load_text(text.into_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    for warning in &loaded.warnings {
        assert!(
            warning.message().contains("not built into this server yet"),
            "{warning}"
        );
    }
}

#[test]
fn the_service_script_finds_its_lines() {
    let text = String::from_utf8(read_sample(Path::new("srs.conf")).unwrap()).unwrap();
    for name in ["pid", "srs_log_file"] {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.split_whitespace().nth(1).unwrap().ends_with(';'), "{line}");
    }
}

/// Old and new names, kinds, defaults, variables: what users of SRS know must not change by accident.
/// The version of directives that SRS does not have.
const ADDED: &str = "-";
/// What takes an address as well, where SRS takes a port.
const ADDRESS: &str = "stream_caster.listen";
/// What takes several values, of which SRS takes the first.
const SEVERAL: [&str; 4] = [
    "http_api.listen",
    "http_api.https.listen",
    "http_server.listen",
    "http_server.https.listen",
];

#[test]
fn the_table_agrees_with_the_contract_both_ways() {
    let text = fs::read_to_string(root().join("tests/fixtures/conf/directives.tsv")).unwrap();
    let mut contract: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        assert!(contract.insert(fields[0], fields).is_none(), "{line}");
    }
    for row in directive::all().filter(|row| row.version != ADDED) {
        let fields = contract
            .remove(row.path)
            .unwrap_or_else(|| panic!("{} is not in the contract", row.path));
        let variables: Vec<String> = row.variables().map(|name| name.into_owned()).collect();
        let variables = if variables.is_empty() {
            "-".to_owned()
        } else {
            variables.join(" ")
        };
        // More may be reloadable here than there.
        let reload = match (row.reload, fields[4]) {
            (Reload::Restart, _) => "no",
            (_, theirs) => theirs,
        };
        let kind = match row.path {
            path if SEVERAL.contains(&path) => "string",
            ADDRESS => "int",
            _ => row.kind.name(),
        };
        let ours = [row.path, kind, row.default, variables.as_str(), reload];
        assert_eq!(fields, ours);
    }
    assert!(contract.is_empty(), "not in the table: {:?}", contract.keys());
}

#[test]
fn the_table_is_in_order() {
    let mut seen = BTreeSet::new();
    for row in directive::all() {
        assert!(seen.insert(row.path), "{} twice", row.path);
        let parent = row.parent();
        assert!(
            parent.is_empty() || seen.contains(parent),
            "{} stands before its block",
            row.path
        );
        assert!(
            parent.is_empty() || directive::row(parent).unwrap().kind.is_block(),
            "{}",
            row.path
        );
        assert!(!row.about.is_empty() && !row.about.ends_with('.'), "{}", row.path);
        assert!(!row.kind.is_block() || row.env == Variables::None, "{}", row.path);
        if row.status == Status::Live && !row.kind.is_block() && row.default == "-" {
            let bare = row.parent().ends_with("perfile");
            assert!(bare || !row.example.is_empty(), "{} has nothing to show", row.path);
        }
    }
}

/// The files that the texts of the fixtures may include.
fn read_included(path: &Path) -> io::Result<Vec<u8>> {
    let text = match path.to_str().unwrap_or_default() {
        "empty.conf" => "",
        "comment.conf" => "# nothing but a comment",
        "listen.conf" => "listen 1935;",
        "play.conf" => "gop_cache off;\nqueue_length 5;\n",
        "nested.conf" => "include listen.conf;",
        "loop_a.conf" => "include loop_b.conf;",
        "loop_b.conf" => "include loop_a.conf;",
        "brace.conf" => "}",
        "open.conf" => "vhost b {\n",
        "typo.conf" => "gop_cash on;",
        _ => return Err(io::ErrorKind::NotFound.into()),
    };
    Ok(text.as_bytes().to_vec())
}

fn load_text(text: Vec<u8>) -> Result<Loaded, Fault> {
    let read = |path: &Path| match path.to_str() {
        Some("main.conf") => Ok(text.clone()),
        _ => read_included(path),
    };
    load(&LoadOptions {
        path: Some("main.conf".into()),
        env_only: false,
        env: &no_variables,
        host: HOST,
        read_file: &read,
    })
}

/// One entry of a fixture: its line there, what is expected, the configuration.
struct Case {
    line: usize,
    expected: Vec<(String, String)>,
    text: Vec<u8>,
}

fn cases(name: &str) -> Vec<Case> {
    let fixture = fs::read_to_string(root().join("tests/fixtures/conf").join(name)).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut in_header = false;
    for (index, line) in fixture.lines().enumerate() {
        if let Some(header) = line.strip_prefix("### ") {
            // Headers in a row belong together, but an empty configuration stands between two of "mistakes.txt".
            if !in_header || name == "mistakes.txt" {
                cases.push(Case {
                    line: index + 1,
                    expected: Vec::new(),
                    text: Vec::new(),
                });
            }
            if let Some((place, cause)) = header.split_once(" | ") {
                let expected = (unescape_text(place), unescape_text(cause));
                cases.last_mut().unwrap().expected.push(expected);
            }
            in_header = true;
        } else if let Some(case) = cases.last_mut() {
            case.text.extend(unescape(line));
            case.text.push(b'\n');
            if case.text.ends_with(b"\\e\n") {
                case.text.truncate(case.text.len() - 3);
            }
            in_header = false;
        }
    }
    cases
}

fn unescape_text(text: &str) -> String {
    String::from_utf8(unescape(text)).unwrap()
}

fn unescape(text: &str) -> Vec<u8> {
    let text = text
        .replace("\\r", "\r")
        .replace("\\t", "\t")
        .replace("\\n", "\n")
        .replace("\\0", "\0");
    let text = text.replace("\\u{feff}", "\u{feff}").replace("\\u{e9}", "\u{e9}");
    let mut bytes = text.into_bytes();
    while let Some(at) = bytes.windows(4).position(|window| window == b"\\xff") {
        bytes.splice(at..at + 4, [0xff]);
    }
    bytes
}

/// `LINE:COLUMN`, with the file before it when it is an included one; `-` for a file as a whole.
fn shown_place(place: Option<&Place>) -> String {
    match place {
        Some(place @ Place::Spot { source, .. }) => {
            let shown = place.to_string();
            let position = shown.strip_prefix("main.conf:").unwrap_or(&shown);
            assert!(!source.text().is_empty());
            position.to_owned()
        }
        _ => "-".to_owned(),
    }
}

#[test]
fn every_mistake_is_refused_where_it_stands() {
    let cases = cases("mistakes.txt");
    assert!(cases.len() >= 60, "only {} mistakes", cases.len());
    let wrong: Vec<String> = cases.into_iter().filter_map(|case| wrong_refusal(case).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn wrong_refusal(case: Case) -> Result<(), String> {
    let at = format!("mistakes.txt:{}", case.line);
    let Err(fault) = load_text(case.text) else {
        return Err(format!("{at}: accepted"));
    };
    let (place, cause) = &case.expected[0];
    let spot = matches!(fault.place(), Some(Place::Spot { .. }));
    let right = fault.to_string().contains(cause)
        && shown_place(fault.place()) == *place
        && fault.explain().contains('^') == spot;
    if right {
        Ok(())
    } else {
        Err(format!("{at}: {}", fault.explain()))
    }
}

#[test]
fn every_oddity_is_accepted_with_its_warnings() {
    let wrong: Vec<String> = cases("accepted.txt")
        .into_iter()
        .filter_map(|case| wrong_warnings(case).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn wrong_warnings(case: Case) -> Result<(), String> {
    let at = format!("accepted.txt:{}", case.line);
    let loaded = load_text(case.text).map_err(|fault| format!("{at}: {}", fault.explain()))?;
    let right = |(warning, (place, cause)): (&Warning, &(String, String))| {
        warning.to_string().contains(cause) && shown_place(Some(warning.place())) == *place
    };
    let same_number = loaded.warnings.len() == case.expected.len();
    if same_number && loaded.warnings.iter().zip(&case.expected).all(right) {
        Ok(())
    } else {
        Err(format!("{at}: {:#?}", loaded.warnings))
    }
}

#[test]
fn variables_are_warned_about_once() {
    let variables = [
        ("SRS_VHOST_HLS_ENABLED", "on"),
        ("SRS_VHOST_HLS_HLS_FRAGMENT", "5s"),
        ("SRS_VHOST_CHUNK_SIZE", "64"),
        ("SRS_VHOST_PLAY_GOP_CACHE", "no"),
        ("SRS_HTTP_API_ENABLED", "off"),
        ("SRS_LISTEN", "1935 99999"),
        ("SRS_MAX_CONNECTIONS", "500"),
    ];
    let env = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let text = b"listen 1; http_api { enabled on; } vhost a { } vhost b { hls { enabled off; } }";
    let loaded = load(&LoadOptions {
        path: Some("main.conf".into()),
        env_only: false,
        env: &env,
        host: HOST,
        read_file: &|_| Ok(text.to_vec()),
    });
    let loaded = loaded.unwrap_or_else(|fault| panic!("{fault}"));
    let warnings: Vec<String> = loaded.warnings.iter().map(Warning::to_string).collect();
    let expected = [
        "environment variable SRS_LISTEN: the port of \"99999\" is above 65535 and will fail to open",
        "environment variable SRS_VHOST_CHUNK_SIZE: chunk_size 64 is below 128 and taken as that",
        "environment variable SRS_VHOST_PLAY_GOP_CACHE: \"no\" is neither on nor off; vhost.play.gop_cache is taken as on",
        "environment variable SRS_VHOST_HLS_HLS_FRAGMENT: \"5s\" is not a plain number of seconds; \
         vhost.hls.hls_fragment is taken as 5",
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn a_fault_of_a_variable_names_it() {
    let env = |name: &str| (name == "SRS_MAX_CONNECTIONS").then(|| "many".to_owned());
    let report = report::test(&LoadOptions {
        path: None,
        env_only: true,
        env: &env,
        host: HOST,
        read_file: &|_| panic!("no file is read without one"),
    });
    assert_eq!(report.status, 255);
    let expected = "code=1023(ConfigInvalid) : environment variable SRS_MAX_CONNECTIONS: illegal max_connections \
                    \"many\": not a number above 0";
    assert_eq!(report.lines[0].1, expected);
    assert_eq!(report.lines[1].1, "config file (environment) test is failed");
}

/// Samples with bytes changed, cut out and put in: whatever becomes of them, there is an answer, and a fault stands
/// somewhere in a file.
#[test]
fn mutated_samples_never_panic() {
    let mut random = fastrand::Rng::with_seed(1935);
    let names: Vec<String> = samples().into_iter().filter(|name| name != "full.conf").collect();
    let mut texts: Vec<Vec<u8>> = names.iter().map(|name| read_sample(Path::new(name)).unwrap()).collect();
    texts.extend(cases("mistakes.txt").into_iter().map(|case| case.text));
    texts.extend(cases("accepted.txt").into_iter().map(|case| case.text));
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..4000 {
        let mut text = texts[random.usize(..texts.len())].clone();
        for _ in 0..random.usize(1..6) {
            mutate(&mut text, &mut random);
        }
        match load_text(text.clone()) {
            Ok(_) => accepted += 1,
            Err(fault) => {
                refused += 1;
                assert!(!fault.explain().is_empty());
                if let Some(Place::Spot { source, line, .. }) = fault.place() {
                    let lines = source.text().iter().filter(|byte| **byte == b'\n').count() + 1;
                    assert!(*line >= 1 && *line as usize <= lines, "{fault}");
                }
            }
        }
    }
    assert!(
        accepted > 100 && refused > 100,
        "{accepted} accepted, {refused} refused"
    );
}

fn mutate(text: &mut Vec<u8>, random: &mut fastrand::Rng) {
    const BYTES: &[u8] = b";{}\"'# \t\r\n\0\xff\xe2\x829-.:[]ao";
    let at = random.usize(..=text.len());
    let end = (at + random.usize(..12)).min(text.len());
    match random.u8(..5) {
        0 => text.insert(at, BYTES[random.usize(..BYTES.len())]),
        1 => drop(text.drain(at..end)),
        2 => {
            let piece = text[at..end].to_vec();
            let to = random.usize(..=text.len());
            text.splice(to..to, piece);
        }
        3 if at < text.len() => text[at] = random.u8(..),
        _ => text.truncate(text.len() - random.usize(..=text.len().min(8))),
    }
}

/// What `-t -v` prints is a configuration that says the same, without a warning that the first one did not give.
#[test]
fn the_effective_configuration_is_one_that_says_the_same() {
    let host = Host {
        open_files: 20_000,
        ..HOST
    };
    let reference = String::from_utf8(read_sample(Path::new("full.conf")).unwrap()).unwrap();
    let reference = reference.replace("\nis_full                         on;\n", "\n");
    let mut tested = 0;
    for name in samples() {
        let read = |path: &Path| match path == Path::new("conf/full.conf") {
            true => Ok(reference.clone().into_bytes()),
            false => read_sample(path),
        };
        let options = LoadOptions {
            read_file: &read,
            ..sample_options(&name, host)
        };
        let Ok(first) = load(&options) else { continue };
        let first_report = report::test(&options);
        let effective = first_report.effective.expect("what is loaded is shown");
        let text = effective.to_string();
        // What is hidden cannot be taken over; keys of tokens have to be long.
        let (is_whole, text) = (!text.contains("***"), text.replace("***", "hidden-hidden-hidden"));
        let read_again = |path: &Path| match path == Path::new("again.conf") {
            true => Ok(text.clone().into_bytes()),
            false => read_sample(path),
        };
        let options = LoadOptions {
            path: Some("again.conf".into()),
            read_file: &read_again,
            ..options
        };
        let again = load(&options).unwrap_or_else(|fault| panic!("{name}: {fault}\n{text}"));
        let messages = |loaded: &Loaded| -> Vec<String> {
            let mut messages: Vec<_> = loaded
                .warnings
                .iter()
                .map(|warning| warning.message().to_owned())
                .collect();
            messages.sort();
            messages.dedup();
            messages
        };
        if is_whole {
            assert_eq!(messages(&again), messages(&first), "{name}\n{text}");
            let typed = |loaded: &Loaded| {
                let text = format!("{:#?}", loaded.config);
                text.split("by_name").next().unwrap_or_default().to_owned()
            };
            assert_eq!(typed(&again), typed(&first), "{name}\n{text}");
        }
        let second = report::test(&options).effective.expect("what is loaded is shown");
        let plain = |(place, value): &(String, &Value)| {
            let words: Vec<String> = value
                .words
                .iter()
                .map(|word| word.replace("hidden-hidden-hidden", "***"))
                .collect();
            (place.clone(), value.path(), words)
        };
        let (before, after) = (effective.values(), second.values());
        assert_eq!(
            before.iter().map(plain).collect::<Vec<_>>(),
            after.iter().map(plain).collect::<Vec<_>>(),
            "{name}"
        );
        tested += 1;
    }
    assert!(tested >= samples().len() - 3, "only {tested} samples");
}
