//! The samples for containers, without an engine: what they say is taken at its word. The image is laid out as the Dockerfile
//! has it, its command line runs, and the configurations of compose.yaml and of the ConfigMap serve.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::dockerfile::Dockerfile;
use crate::support::bystander::Bystander;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::server::PROGRAM;
use crate::support::wait::wait_for;
use crate::support::workdir::{WorkDir, repository};

const COMPOSE: &str = "scripts/packages/docker/compose.yaml";
const KUBERNETES: &str = "scripts/packages/kubernetes/srs.yaml";

/// The documents of a YAML file.
#[track_caller]
fn yaml(path: &str) -> Vec<Value> {
    const READ: &str = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";
    let folder = WorkDir::new("yaml");
    let mut command = Command::new("python3");
    command.args(["-c", READ]).arg(repository().join(path));
    let output = run("python3", &folder, 30, &mut command).ok().output;
    serde_json::from_str(&output).unwrap_or_else(|e| panic!("{path}: {e}\n{output}"))
}

/// The words of a list.
#[track_caller]
fn words(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap_or_else(|| panic!("{list} is no list"));
    list.iter().map(|word| word.as_str().expect("a word")).collect()
}

/// Ports of the test's in the place of the samples'.
struct Ports([(u16, Port); 3]);

impl Ports {
    fn free() -> Self {
        Ports([1935, 1985, 8080].map(|port| (port, Port::free())))
    }

    fn of(&self, sample: u16) -> u16 {
        let found = self.0.iter().find(|(port, _)| *port == sample);
        found.expect("a port of the samples").1.number()
    }

    #[track_caller]
    fn adapt(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (sample, port)| {
            let (from, to) = (format!(" {sample};"), format!(" 127.0.0.1:{};", port.number()));
            assert_eq!(text.matches(&from).count(), 1, "{from} in {text}");
            text.replace(&from, &to)
        })
    }
}

/// The file system of the image below a folder, and how it starts.
struct Image {
    folder: WorkDir,
    dockerfile: Dockerfile,
}

impl Image {
    #[track_caller]
    fn new() -> Self {
        let image = Image {
            folder: WorkDir::new("image"),
            dockerfile: Dockerfile::read(),
        };
        let mut command = Command::new(repository().join("scripts/install.sh"));
        command.arg(format!("--prefix={}", image.root().display()));
        command.arg(format!("--binary={PROGRAM}"));
        run("install.sh", &image.folder, 30, &mut command).ok();
        image
    }

    fn root(&self) -> PathBuf {
        self.folder.join("srs")
    }

    /// Starts it as an engine does, with these words in the place of those of CMD.
    #[track_caller]
    fn start(&self, words: &[&str]) -> Program {
        let entry = self.dockerfile.list("ENTRYPOINT");
        let mut command = Command::new(&entry[0]);
        command.args(&entry[1..]).args(words).current_dir(self.root());
        command.envs(self.dockerfile.environment());
        Program::start("image", &self.folder, &mut command)
    }
}

/// The status of an answer of the server.
#[track_caller]
fn status(folder: &Path, port: u16, path: &str) -> String {
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}"]);
    command.arg(format!("http://127.0.0.1:{port}{path}"));
    run("curl", folder, 10, &mut command).output
}

fn wait_ready(folder: &Path, port: u16, path: &str) {
    wait_for("the server to be ready", 10, || {
        (status(folder, port, path) == "200").then_some(())
    });
}

#[test]
fn package_image_starts_with_its_own_command() {
    let image = Image::new();
    let port = Port::free();
    let file = image.root().join("conf/docker.conf");
    let text = fs::read_to_string(&file).expect("read the configuration");
    let adapted = text.replace(" 1935;", &format!(" 127.0.0.1:{};", port.number()));
    assert_ne!(text, adapted);
    fs::write(file, adapted).expect("write the configuration");
    let command = image.dockerfile.list("CMD");
    let mut server = image.start(&command.iter().map(String::as_str).collect::<Vec<_>>());
    wait_for("the server", 10, || {
        server.output().contains("RTMP listen at").then_some(())
    });
    Bystander::start(port.number()).finish();
    // The engine's signal comes to the process that it started.
    let ended = server.stop().ok();
    assert!(ended.output.contains("signal SIGTERM"), "{}", ended.output);
    // A configuration for other places runs too: in the foreground, with the log where the engine collects it.
    let text = fs::read_to_string(image.root().join("conf/srs.conf")).expect("read the configuration");
    let text = text.replace(" 1935;", &format!(" 127.0.0.1:{};", port.number()));
    fs::write(
        image.root().join("conf/srs.conf"),
        text.replace("srs_log_tank        file;", ""),
    )
    .expect("write");
    let mut server = image.start(&["./objs/srs", "-c", "conf/srs.conf"]);
    wait_for("the server", 10, || {
        server.output().contains("RTMP listen at").then_some(())
    });
    assert!(server.is_running());
    server.stop().ok();
}

#[test]
fn package_compose_is_a_server_that_is_healthy() {
    let documents = yaml(COMPOSE);
    let service = &documents[0]["services"]["srs"];
    let beside = repository().join(COMPOSE);
    let beside = beside.parent().expect("a folder");
    let context = beside.join(service["build"]["context"].as_str().expect("a context"));
    assert_eq!(
        context.canonicalize().expect("the context"),
        repository().canonicalize().expect("the repository")
    );
    assert!(
        context
            .join(service["build"]["dockerfile"].as_str().expect("a Dockerfile"))
            .is_file()
    );

    let image = Image::new();
    let ports = Ports::free();
    for port in words(&service["ports"]) {
        let inside = port.rsplit(':').next().and_then(|port| port.parse().ok());
        ports.of(inside.expect("a port"));
        assert!(
            image.dockerfile.exposes(inside.expect("a port")),
            "{port} is not of the image"
        );
    }
    // The folder that is mounted, with ports of the test's.
    let volume = words(&service["volumes"])[0].split(':').collect::<Vec<_>>();
    let mounted = image.root().join(
        volume[1]
            .strip_prefix("/usr/local/srs/")
            .expect("a folder of the server"),
    );
    fs::create_dir(&mounted).expect("create the mounted folder");
    let text = fs::read_to_string(beside.join(volume[0]).join("srs.conf")).expect("read the configuration");
    fs::write(mounted.join("srs.conf"), ports.adapt(&text)).expect("write the configuration");

    let mut server = image.start(&words(&service["command"]));
    wait_ready(&image.folder, ports.of(8080), "/readyz");
    let test = words(&service["healthcheck"]["test"]);
    assert_eq!(test[0], "CMD");
    let check = || {
        let mut command = Command::new(test[1]);
        command.args(
            test[2..]
                .iter()
                .map(|word| word.replace("8080", &ports.of(8080).to_string())),
        );
        run("healthcheck", &image.folder, 10, &mut command).status.success()
    };
    assert!(check());
    Bystander::start(ports.of(1935)).finish();
    server.signal(Signal::SIGTERM);
    server.wait(20).ok();
    assert!(!check(), "the check says that a server is healthy which is gone");
}

/// The documents of the sample for Kubernetes, by kind and name.
#[track_caller]
fn kubernetes(kind: &str, name: &str) -> Value {
    let found = yaml(KUBERNETES);
    let found = found
        .into_iter()
        .find(|document| document["kind"] == kind && document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("{KUBERNETES} has no {kind} {name}"))
}

#[test]
fn package_kubernetes_holds_together() {
    let deployment = kubernetes("Deployment", "srs");
    let (spec, pod) = (&deployment["spec"], &deployment["spec"]["template"]);
    assert_eq!(spec["selector"]["matchLabels"], pod["metadata"]["labels"]);
    let container = &pod["spec"]["containers"][0];
    let ports = container["ports"].as_array().expect("ports");
    let is_port = |name: &Value| ports.iter().any(|port| port["name"] == *name);
    for service in ["srs", "srs-api"] {
        let service = kubernetes("Service", service);
        assert_eq!(service["spec"]["selector"], pod["metadata"]["labels"]);
        for port in service["spec"]["ports"].as_array().expect("ports") {
            assert!(is_port(&port["targetPort"]), "{port} leads nowhere");
        }
    }
    for probe in ["readinessProbe", "livenessProbe"] {
        assert!(is_port(&container[probe]["httpGet"]["port"]), "{probe} leads nowhere");
    }
    let dockerfile = Dockerfile::read();
    for port in ports {
        let number = port["containerPort"].as_u64().and_then(|port| u16::try_from(port).ok());
        assert!(
            dockerfile.exposes(number.expect("a port")),
            "{port} is not of the image"
        );
    }
    for mount in container["volumeMounts"].as_array().expect("mounts") {
        let volumes = pod["spec"]["volumes"].as_array().expect("volumes");
        assert!(
            volumes.iter().any(|volume| volume["name"] == mount["name"]),
            "{mount} mounts nothing"
        );
        // A file mounted by subPath never changes.
        assert!(mount["subPath"].is_null(), "{mount}");
    }
    assert!(
        container["command"].is_null(),
        "it would take the place of the image's entry point"
    );
    let account = pod["spec"]["securityContext"]["runAsUser"].as_u64();
    assert_eq!(
        account.map(|id| format!("{id}:{id}")).as_deref(),
        dockerfile.value("USER")
    );

    let text = kubernetes("ConfigMap", "srs")["data"]["srs.conf"]
        .as_str()
        .expect("a configuration")
        .to_owned();
    let milliseconds = |name: &str| -> u64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{name} in {text}"));
        line.trim().trim_end_matches(';').parse().expect("a number")
    };
    let grace = pod["spec"]["terminationGracePeriodSeconds"]
        .as_u64()
        .expect("a grace period")
        * 1000;
    assert!(grace > milliseconds("grace_start_wait") + milliseconds("grace_final_wait"));
}

/// Writes a configuration as Kubernetes mounts a ConfigMap: the files are links through a link that is replaced.
fn mount_config_map(folder: &Path, generation: &str, text: &str) {
    let version = folder.join(generation);
    fs::create_dir_all(&version).expect("create the folder of a version");
    fs::write(version.join("srs.conf"), text).expect("write the configuration");
    symlink(generation, folder.join("..data_tmp")).expect("link the version");
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("replace the link");
    if !folder.join("srs.conf").exists() {
        symlink("..data/srs.conf", folder.join("srs.conf")).expect("link the file");
    }
}

#[test]
fn package_kubernetes_serves_reloads_and_ends_in_grace() {
    let (image, ports) = (Image::new(), Ports::free());
    let container = kubernetes("Deployment", "srs")["spec"]["template"]["spec"]["containers"][0].take();
    let mounted = |name: &str| {
        let mounts = container["volumeMounts"].as_array().expect("mounts");
        let mount = mounts.iter().find(|mount| mount["name"] == name).expect("a mount");
        mount["mountPath"].as_str().expect("a path").to_owned()
    };
    let data = image.folder.join("data");
    fs::create_dir(&data).expect("create the folder of data");
    let text = kubernetes("ConfigMap", "srs")["data"]["srs.conf"]
        .as_str()
        .expect("a configuration")
        .to_owned();
    let text = ports.adapt(&text).replace(&mounted("data"), &data.to_string_lossy());
    // Half a second is long enough to see it.
    let text = text.replace("grace_start_wait    5000;", "grace_start_wait    1000;");
    let conf = mounted("conf");
    let conf = image
        .root()
        .join(conf.strip_prefix("/usr/local/srs/").expect("a folder of the server"));
    mount_config_map(&conf, "..first", &text);

    let mut server = image.start(&words(&container["args"]));
    let probe = |name: &str| {
        let path = container[name]["httpGet"]["path"].as_str().expect("a path");
        status(&image.folder, ports.of(8080), path)
    };
    wait_for("the server to be ready", 10, || {
        (probe("readinessProbe") == "200").then_some(())
    });
    assert_eq!(probe("livenessProbe"), "200");
    wait_for("the watch", 10, || {
        server.output().contains("are watched").then_some(())
    });
    mount_config_map(
        &conf,
        "..second",
        &text.replace("max_connections     1000", "max_connections     900"),
    );
    wait_for("the reload", 10, || {
        server.output().contains("reload success").then_some(())
    });

    let bystander = Bystander::start(ports.of(1935));
    server.signal(Signal::SIGTERM);
    wait_for("the readiness to end", 5, || {
        (probe("readinessProbe") == "503").then_some(())
    });
    wait_for("the listeners to close", 10, || {
        (probe("readinessProbe") == "000").then_some(())
    });
    bystander.assert_flows();
    assert!(server.is_running());
    bystander.finish();
    server.wait(20).ok();
    assert!(
        data.join("html").is_dir() || data.join("srs.pid").is_file(),
        "it wrote elsewhere"
    );
}
