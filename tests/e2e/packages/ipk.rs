//! The package for OpenWrt, and its service script, whose wishes to procd a stand-in for OpenWrt's shell library writes down.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use super::{made, make, write_elf};
use crate::support::bystander::Bystander;
use crate::support::port::Port;
use crate::support::program::{Ended, Program, run};
use crate::support::server::PROGRAM;
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

const SCRIPT: &str = "package-ipk.sh";
/// The head of a program for routers of the kind of MT7621.
const MIPSEL: (u8, u8, u16, u32) = (1, 1, 8, 0x7000_1007);

/// What the service script finds on a router: it is called with the script's path and a command, and prints what is asked of
/// procd. `RUNNING` tells whether the service runs.
const RC_COMMON: &str = r#"
set -eu
script=$1 action=$2
procd_open_instance() { echo 'open'; }
procd_close_instance() { echo 'close'; }
procd_set_param() { echo "$*"; }
procd_send_signal() { echo "signal $*"; }
logger() { echo "logger $*"; }
running() { [ "$RUNNING" = yes ]; }
start() { start_service; }
reload() { reload_service; }
. "$script"
[ "$USE_PROCD" = 1 ] && [ "$START" -gt 0 ] && [ "$STOP" -gt 0 ]
case " start reload $EXTRA_COMMANDS " in
    *" $action "*) "$action" ;;
    *) echo "no command $action" && exit 1 ;;
esac
"#;

/// A package, unpacked.
struct Unpacked {
    folder: WorkDir,
}

impl Unpacked {
    #[track_caller]
    fn new() -> Self {
        let folder = WorkDir::new("ipk");
        let program = write_elf(&folder.join("srs"), MIPSEL);
        let package = made(SCRIPT, &folder, &[&program, "--version=1.2.3"]);
        assert!(package.ends_with("srs-may_1.2.3_mipsel_24kc.ipk"), "{package:?}");
        let unpacked = Unpacked { folder };
        unpacked.unpack(&package, "parts");
        for part in ["data", "control"] {
            unpacked.unpack(&unpacked.folder.join(format!("parts/{part}.tar.gz")), part);
        }
        unpacked
    }

    #[track_caller]
    fn unpack(&self, archive: &Path, name: &str) {
        fs::create_dir(self.file(name)).expect("create a folder");
        let mut command = Command::new("tar");
        command.arg("-xzf").arg(archive).arg("-C").arg(self.file(name));
        run("tar", &self.folder, 30, &mut command).ok();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|e| panic!("read {name}: {e}"))
    }

    /// Has the service script name files of the test's: the program under test instead of the router's.
    fn adapt_service(&self) {
        let script = self.read("data/etc/init.d/srs");
        let adapted = script
            .replace("PROGRAM=/usr/bin/srs", &format!("PROGRAM={PROGRAM}"))
            .replace(
                "CONFIG=/etc/srs",
                &format!("CONFIG={}", self.file("data/etc/srs").display()),
            )
            .replace("PAGES=/tmp", &format!("PAGES={}", self.file("memory").display()));
        assert_eq!(adapted.matches(&*self.folder.to_string_lossy()).count(), 2);
        fs::write(self.file("service"), adapted).expect("write the service script");
        fs::write(self.file("rc.common"), RC_COMMON).expect("write the stand-in");
    }

    /// Runs a command of the service by the shell of routers.
    #[track_caller]
    fn service(&self, command: &str, is_running: bool) -> Ended {
        let mut shell = Command::new("busybox");
        shell
            .args(["ash", "rc.common", "./service", command])
            .current_dir(&*self.folder);
        shell.env("RUNNING", if is_running { "yes" } else { "no" });
        run("busybox", &self.folder, 20, &mut shell)
    }

    /// Moves the installed configuration to ports and folders of the test's.
    fn adapt_configuration(&self, rtmp: &Port, http: &Port) {
        let mut text = self.read("data/etc/srs/srs.conf");
        for (from, to) in [
            (
                "listen              1935;",
                format!("listen 127.0.0.1:{};", rtmp.number()),
            ),
            ("listen          8080;", format!("listen 127.0.0.1:{};", http.number())),
            ("/tmp", self.file("memory").display().to_string()),
            ("srs_log_level_v2    warn;", "srs_log_level_v2 info;".to_owned()),
        ] {
            assert!(text.contains(from), "{from} in {text}");
            text = text.replace(from, &to);
        }
        fs::write(self.file("data/etc/srs/srs.conf"), text).expect("write the configuration");
    }
}

#[test]
fn package_ipk_holds_what_a_router_needs() {
    let unpacked = Unpacked::new();
    assert_eq!(unpacked.read("parts/debian-binary"), "2.0\n");
    let control = unpacked.read("control/control");
    for line in ["Package: srs-may", "Version: 1.2.3", "Architecture: mipsel_24kc"] {
        assert!(control.lines().any(|found| found == line), "{line} in {control}");
    }
    // A static program needs no library.
    assert!(!control.contains("Depends"), "{control}");
    assert_eq!(unpacked.read("control/conffiles"), "/etc/srs/srs.conf\n");
    assert!(unpacked.file("data/usr/bin/srs").is_file());
    for script in ["control/postinst", "control/prerm", "data/etc/init.d/srs"] {
        let mut command = Command::new("busybox");
        run(
            "busybox",
            &unpacked.folder,
            10,
            command.args(["ash", "-n"]).arg(unpacked.file(script)),
        )
        .ok();
    }
    assert!(
        unpacked
            .read("data/etc/init.d/srs")
            .starts_with("#!/bin/sh /etc/rc.common\n")
    );
    let mut command = Command::new(PROGRAM);
    command.args(["-t", "-c"]).arg(unpacked.file("data/etc/srs/srs.conf"));
    run("srs", &unpacked.folder, 10, &mut command).ok();
}

#[test]
fn package_ipk_is_the_same_each_time_and_for_the_right_router() {
    let folder = WorkDir::new("ipk");
    let file = folder.join("srs");
    let program = write_elf(&file, MIPSEL);
    let package = made(SCRIPT, &folder, &[&program]);
    let first = fs::read(&package).expect("read the package");
    fs::remove_file(&package).expect("remove the package");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(first == fs::read(made(SCRIPT, &folder, &[&program])).expect("read the package"));
    for (head, processor) in [
        ((1, 2, 8, 0x7000_1007), "mips_24kc"),
        ((2, 1, 183, 0), "aarch64_generic"),
        ((1, 1, 40, 0x0500_0400), "arm_cortex-a7_neon-vfpv4"),
        ((1, 1, 40, 0x0500_0200), "arm_cortex-a7"),
    ] {
        let package = made(SCRIPT, &folder, &[&write_elf(&file, head)]);
        assert!(
            package.to_string_lossy().ends_with(&format!("_{processor}.ipk")),
            "{package:?}"
        );
    }
    let package = made(SCRIPT, &folder, &[&program, "--arch=mipsel_74kc"]);
    assert!(package.to_string_lossy().ends_with("_mipsel_74kc.ipk"), "{package:?}");
    // The program under test loads libraries that no router has.
    let refused = make(SCRIPT, &folder, &[&format!("--program={PROGRAM}")]).exits_with(1);
    assert!(refused.output.contains("take a static one"), "{}", refused.output);
}

#[test]
fn package_ipk_asks_procd_for_a_server_that_runs_and_reloads() {
    let unpacked = Unpacked::new();
    let (rtmp, http) = (Port::free(), Port::free());
    unpacked.adapt_service();
    unpacked.adapt_configuration(&rtmp, &http);
    let asked = unpacked.service("start", false).ok().output;
    let configuration = unpacked.file("data/etc/srs/srs.conf").display().to_string();
    let wanted = [
        "open".to_owned(),
        format!("command {PROGRAM} -c {configuration}"),
        "env SRS_DAEMON=off SRS_LOG_TANK=console".to_owned(),
        "stdout 1".to_owned(),
        "stderr 1".to_owned(),
        "respawn 3600 5 5".to_owned(),
        "limits core=0 nofile=4096 4096".to_owned(),
        format!("file {configuration}"),
        "reload_signal HUP".to_owned(),
        "term_timeout 10".to_owned(),
        "close".to_owned(),
    ];
    assert_eq!(asked.lines().collect::<Vec<_>>(), wanted);
    assert!(unpacked.file("memory/srs/www").is_dir());

    // What procd does with it.
    let words = |name: &str| {
        wanted
            .iter()
            .find_map(|line| line.strip_prefix(name))
            .expect(name)
            .split(' ')
    };
    let mut command = Command::new(words("command ").next().expect("a program"));
    command.args(words("command ").skip(1)).current_dir("/");
    command.envs(words("env ").filter_map(|pair| pair.split_once('=')));
    let mut server = Program::start("srs", &unpacked.folder, &mut command);
    wait_for("the router's server", 10, || {
        TcpStream::connect(("127.0.0.1", rtmp.number())).ok()
    });
    let bystander = Bystander::start(rtmp.number());
    let asked = unpacked.service("reload", true).ok().output;
    assert_eq!(asked.trim(), "signal srs * HUP");
    server.signal(Signal::SIGHUP);
    wait_for("the reload", 10, || {
        server.output().contains("reload success").then_some(())
    });
    assert!(server.is_running(), "it has left procd");
    bystander.finish();
    let log = server.stop().ok().output;
    assert!(!log.contains("[ERROR]") && !log.contains("panicked"), "{log}");
}

#[test]
fn package_ipk_service_tells_of_a_bad_configuration() {
    let unpacked = Unpacked::new();
    unpacked.adapt_service();
    unpacked.service("check", false).ok();
    assert_eq!(unpacked.service("rotate", true).ok().output.trim(), "signal srs * USR1");
    let started = unpacked.service("reload", false).ok().output;
    assert!(
        started.starts_with("open") && started.trim().ends_with("close"),
        "{started}"
    );
    fs::write(unpacked.file("data/etc/srs/srs.conf"), "nonsense;\n").expect("write the configuration");
    let told = unpacked.service("start", true).ok().output;
    // It is asked for all the same: else procd would end the one that runs.
    assert!(
        told.contains("logger") && told.contains("is not valid") && told.contains("close"),
        "{told}"
    );
    let told = unpacked.service("check", false).exits_with(255).output;
    assert!(told.contains("nonsense"), "{told}");
    unpacked.service("nonsense", false).exits_with(1);
}
