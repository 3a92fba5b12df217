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
}

#[test]
fn package_dockerfile_is_complete() {
    let dockerfile = Dockerfile::read();
    let name = |stage: &[Instruction]| stage[0].rest.split_once(" AS ").map(|(_, name)| name.to_owned());
    let names: Vec<_> = dockerfile.stages.iter().filter_map(|stage| name(stage)).collect();
    let copies = dockerfile
        .stages
        .iter()
        .flatten()
        .filter(|instruction| instruction.name == "COPY");
    let ignored = fs::read_to_string(repository().join(format!("{PATH}.dockerignore"))).expect("read what is ignored");
    let folder = WorkDir::new("source");
    for copy in copies {
        if let Some(stage) = copy.options.get("from") {
            assert!(names.contains(stage), "{PATH}: no stage {stage}");
            continue;
        }
        let mut paths: Vec<_> = copy.rest.split_whitespace().collect();
        let target = folder.join(paths.pop().expect("a target"));
        for path in paths {
            assert!(
                !ignored.lines().any(|line| line == path),
                "{path} is copied and ignored"
            );
            let source = repository().join(path);
            let mut command = Command::new("cp");
            run("cp", &folder, 60, command.arg("-a").arg(source).arg(&target)).ok();
        }
    }
    // What was copied is all that Cargo wants, in the very versions, and all that is installed.
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "metadata",
        "--locked",
        "--offline",
        "--no-deps",
        "--format-version",
        "1",
    ]);
    command.current_dir(&*folder).env_remove("CARGO_TARGET_DIR");
    run("cargo", &folder, 60, &mut command).ok();
    let mut command = Command::new(folder.join("scripts/install.sh"));
    command
        .arg(format!("--prefix={}", folder.join("srs").display()))
        .arg("--binary=Cargo.toml");
    run("install.sh", &folder, 30, command.current_dir(&*folder)).ok();
    let start = dockerfile.list("CMD");
    assert_eq!(dockerfile.value("WORKDIR"), Some("/usr/local/srs"));
    for path in [&start[0], &start[2]] {
        assert!(folder.join("srs").join(path).is_file(), "{path} is not in the image");
    }
    let mut command = Command::new("busybox");
    for instruction in dockerfile
        .stages
        .iter()
        .flatten()
        .filter(|instruction| instruction.name == "RUN")
    {
        fs::write(folder.join("run.sh"), &instruction.rest).expect("write a step");
        run(
            "busybox",
            &folder,
            10,
            command.args(["ash", "-n"]).arg(folder.join("run.sh")),
        )
        .ok();
        command = Command::new("busybox");
    }
}
