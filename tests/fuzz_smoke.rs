//! Each fuzz target over its corpus and over seeded mutations of it, so that a change that breaks a target, or a law
//! that it asserts, fails the ordinary tests. `scripts/fuzz.sh` looks further.

use std::env;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use fastrand::Rng;
use srs_may::fuzz::{TARGETS, Target};

/// Mutations of each target's corpus, unless `SRS_FUZZ_MUTATIONS` tells another number.
const MUTATIONS: usize = 10_000;
/// The longest mutation, bytes.
const LONGEST: usize = 16 << 10;
/// Values at the edge of what a field can hold.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, 0x03, 0xc3];

fn corpus_folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/fuzz")
        .join(target)
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = corpus_folder(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("read {}: {e}", folder.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("a file of the corpus").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, fs::read(&path).expect("read a file of the corpus"))
        })
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

/// Runs one input; when it breaks a law, keeps it where `scripts/fuzz.sh` would.
fn run(target: &Target, origin: &str, input: &[u8]) {
    if panic::catch_unwind(AssertUnwindSafe(|| (target.body)(input))).is_err() {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", target.name));
        let _ = fs::write(&kept, input);
        panic!(
            "{} breaks on {origin} (see above); the input is kept as {}",
            target.name,
            kept.display()
        );
    }
}

fn mutate(random: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..random.usize(1..8) {
        let at = random.usize(..=bytes.len());
        let end = (at + random.usize(..16)).min(bytes.len());
        match random.u8(..8) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.insert(at, random.u8(..)),
            2 => bytes.truncate(at.max(bytes.len() / 4)),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let from = random.usize(..=other.len());
                let piece = &other[from..(from + random.usize(..200)).min(other.len())];
                bytes.splice(at..end, piece.iter().copied());
            }
            kind => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = match kind {
                        5 => *byte ^ 1 << random.u8(..8),
                        6 => EDGES[random.usize(..EDGES.len())],
                        _ => random.u8(..),
                    };
                }
            }
        }
        bytes.truncate(LONGEST);
    }
}

fn mutations() -> usize {
    let told = env::var("SRS_FUZZ_MUTATIONS").ok();
    told.map_or(MUTATIONS, |number| number.parse().expect("a number of mutations"))
}

fn smoke(target: &Target) {
    let inputs = corpus(target.name);
    for (name, input) in &inputs {
        run(target, name, input);
        // Every cut, of the short ones; some, of the long ones.
        for end in (0..input.len()).step_by(input.len() / 500 + 1) {
            run(target, &format!("the first {end} bytes of {name}"), &input[..end]);
        }
    }
    let mut random = Rng::with_seed(0x5eed);
    for round in 0..mutations() {
        let (name, input) = &inputs[random.usize(..inputs.len())];
        let (_, other) = &inputs[random.usize(..inputs.len())];
        let mut bytes = input.clone();
        mutate(&mut random, &mut bytes, other);
        run(target, &format!("mutation {round}, of {name}"), &bytes);
    }
}

/// A test for each target, so that they run side by side and the failed one has its name.
macro_rules! smoke_tests {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let target = TARGETS.iter().find(|target| target.name == stringify!($name));
            smoke(target.expect("a target of this name"));
        })*

        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

smoke_tests! {
    aac amf0 audio_headers av1 avc bits chunk_decoder config flv_audio flv_demux flv_video handshake hevc http_answer
    http_client_url http_fields http_request message mp4
    nal_units proxy_prefix redis_reply rtsp session_client session_server ts_remux url vpx websocket
}

#[test]
fn every_target_has_its_test_its_program_and_its_corpus() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, TESTED);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).expect("read the manifest of the fuzz package");
    for name in names {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "fuzz/Cargo.toml has no program {name}"
        );
        let program = root.join(format!("fuzz/fuzz_targets/{name}.rs"));
        assert!(program.exists(), "{} is missing", program.display());
    }
    let folders = fs::read_dir(root.join("tests/fixtures/fuzz")).expect("read the corpus");
    for folder in folders.map(|entry| entry.expect("a folder").file_name()) {
        let name = folder.to_string_lossy().into_owned();
        assert!(
            name.contains('.') || TESTED.contains(&name.as_str()),
            "the corpus {name} is of no target"
        );
    }
}
