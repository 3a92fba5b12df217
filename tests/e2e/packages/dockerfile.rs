//! What a Dockerfile says, as far as it can be checked without an engine.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::support::program::run;
use crate::support::workdir::{WorkDir, repository};

const PATH: &str = "scripts/packages/docker/Dockerfile";
/// The instructions of the reference of Dockerfiles.
const KNOWN: [&str; 17] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// An instruction: its name, options and the rest.
#[derive(Debug)]
struct Instruction {
    name: String,
    options: BTreeMap<String, String>,
    rest: String,
}

impl Instruction {
    fn read(line: &str) -> Self {
        let (name, mut rest) = line
            .split_once(' ')
            .unwrap_or_else(|| panic!("{PATH}: nothing after {line}"));
        assert!(KNOWN.contains(&name), "{PATH}: unknown instruction {name}");
        let mut options = BTreeMap::new();
        while let Some(option) = rest.strip_prefix("--") {
            let (option, after) = option.split_once(' ').expect("something after an option");
            let (key, value) = option.split_once('=').expect("a value of an option");
            options.insert(key.to_owned(), value.to_owned());
            rest = after.trim_start();
        }
        Instruction {
            name: name.to_owned(),
            options,
            rest: rest.trim().to_owned(),
        }
    }
}

/// The stages of a Dockerfile; the last one is the image.
pub struct Dockerfile {
    stages: Vec<Vec<Instruction>>,
}

impl Dockerfile {
    #[track_caller]
    pub fn read() -> Self {
        let text = fs::read_to_string(repository().join(PATH)).expect("read the Dockerfile");
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
        let whole = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        let mut stages: Vec<Vec<Instruction>> = Vec::new();
        for instruction in whole.lines().map(Instruction::read) {
            if instruction.name == "FROM" {
                stages.push(Vec::new());
            }
            let stage = stages
                .last_mut()
                .unwrap_or_else(|| panic!("{PATH} has to begin with FROM"));
            stage.push(instruction);
        }
        Dockerfile { stages }
    }

    /// The last instruction of this name in the image.
    fn last(&self, name: &str) -> Option<&Instruction> {
        self.stages.last()?.iter().rfind(|instruction| instruction.name == name)
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.last(name).map(|instruction| instruction.rest.as_str())
    }

    /// The words of CMD or ENTRYPOINT. Only a list is started without a shell that would keep the signals.
    #[track_caller]
    pub fn list(&self, name: &str) -> Vec<String> {
        let text = self.value(name).unwrap_or_else(|| panic!("{PATH} has no {name}"));
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{PATH}: {name} is no list: {e}"))
    }

    pub fn environment(&self) -> Vec<(&str, &str)> {
        let pairs = self.value("ENV").unwrap_or_default().split_whitespace();
        pairs.map(|pair| pair.split_once('=').expect("NAME=VALUE")).collect()
    }

    pub fn exposes(&self, port: u16) -> bool {
        let mut exposed = self.value("EXPOSE").unwrap_or_default().split_whitespace();
        exposed.any(|exposed| exposed == format!("{port}/tcp"))
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Instruction> {
        self.stages
            .iter()
            .flatten()
            .filter(move |instruction| instruction.name == name)
    }

    /// Copies what the build is given into a folder.
    #[track_caller]
    fn copy_sources(&self, folder: &WorkDir) {
        let stages: Vec<_> = self
            .named("FROM")
            .filter_map(|from| from.rest.split_once(" AS "))
            .collect();
        let ignored = fs::read_to_string(repository().join(format!("{PATH}.dockerignore")));
        let ignored = ignored.expect("read what is ignored");
        for copy in self.named("COPY") {
            if let Some(stage) = copy.options.get("from") {
                assert!(
                    stages.iter().any(|(_, name)| *name == stage.as_str()),
                    "{PATH}: no stage {stage}"
                );
                continue;
            }
            let mut paths: Vec<_> = copy.rest.split_whitespace().collect();
            let target = folder.join(paths.pop().expect("a target"));
            for path in paths {
                assert!(
                    !ignored.lines().any(|line| line == path),
                    "{path} is copied and ignored"
                );
                let mut command = Command::new("cp");
                command.arg("-a").arg(repository().join(path)).arg(&target);
                run("cp", folder, 60, &mut command).ok();
            }
        }
    }
}

#[test]
fn package_dockerfile_is_complete() {
    let dockerfile = Dockerfile::read();
    let folder = WorkDir::new("source");
    dockerfile.copy_sources(&folder);
    // What was copied is all that Cargo looks for, and all that is installed.
    let mut command = Command::new(env!("CARGO"));
    command.args("metadata --locked --offline --no-deps --format-version 1".split(' '));
    command.current_dir(&*folder).env_remove("CARGO_TARGET_DIR");
    run("cargo", &folder, 60, &mut command).ok();
    let prefix = folder.join("srs");
    let mut command = Command::new(folder.join("scripts/install.sh"));
    command
        .arg(format!("--prefix={}", prefix.display()))
        .arg("--binary=Cargo.toml");
    run("install.sh", &folder, 30, command.current_dir(&*folder)).ok();
    let start = dockerfile.list("CMD");
    assert_eq!(dockerfile.value("WORKDIR"), Some("/usr/local/srs"));
    for path in [&start[0], &start[2]] {
        assert!(prefix.join(path).is_file(), "{path} is not in the image");
    }
    for step in dockerfile.named("RUN") {
        let script = folder.join("run.sh");
        fs::write(&script, &step.rest).expect("write a step");
        let mut command = Command::new("busybox");
        run("busybox", &folder, 10, command.args(["ash", "-n"]).arg(script)).ok();
    }
}
