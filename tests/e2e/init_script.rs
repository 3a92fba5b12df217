//! `etc/init.d/srs` and `scripts/install.sh` with the real program.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::bystander::Bystander;
use crate::support::port::Port;
use crate::support::program::{Ended, Program, run, run_starter};
use crate::support::server::{PROGRAM, Setup};
use crate::support::wait::wait_for;
use crate::support::workdir::{WorkDir, repository};

/// An installation under a prefix of the test's; ended with the test.
struct Installed {
    prefix: WorkDir,
    port: Port,
}

impl Installed {
    #[track_caller]
    fn new() -> Self {
        let installed = Installed {
            prefix: WorkDir::new("installed"),
            port: Port::free(),
        };
        installed.install(&[]).ok();
        let text = Setup::default()
            .configuration(installed.port.number())
            .replace("daemon off;", "daemon on;");
        let text = text.replace(
            "srs_log_tank console;",
            "srs_log_tank file;\nsrs_log_file ./objs/srs.log;",
        );
        fs::write(
            installed.prefix.join("conf/srs.conf"),
            text.replace("pid srs.pid;", "pid ./objs/srs.pid;"),
        )
        .expect("write the configuration");
        installed
    }

    fn install(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(repository().join("scripts/install.sh"));
        command
            .arg(format!("--prefix={}", self.prefix.display()))
            .arg(format!("--binary={PROGRAM}"));
        run("install.sh", &self.prefix, 30, command.args(arguments))
    }

    fn script(&self, argument: &str) -> Ended {
        let mut command = Command::new(self.prefix.join("etc/init.d/srs"));
        // From anywhere, as the system calls it.
        run_starter("init-script", &self.prefix, 45, command.arg(argument).current_dir("/"))
    }

    fn pid(&self) -> Option<String> {
        fs::read_to_string(self.prefix.join("objs/srs.pid"))
            .ok()
            .filter(|pid| !pid.is_empty())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.prefix.join("objs/srs.log")).unwrap_or_default()
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some(pid) = self.pid().and_then(|pid| pid.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[test]
fn start_status_restart_and_stop() {
    let installed = Installed::new();
    installed.script("status").exits_with(1);
    installed.script("stop").ok();
    let started = installed.script("start").ok();
    assert!(started.output.contains("OK"), "{}", started.output);
    installed.script("status").ok();
    let first = installed.pid();
    installed.script("start").exits_with(1);
    assert_eq!(installed.pid(), first, "a second start changed what runs");
    installed.script("restart").ok();
    assert_ne!(installed.pid(), first);
    installed.script("status").ok();
    installed.script("stop").ok();
    assert_eq!(installed.pid(), None, "the pid file is removed");
    installed.script("status").exits_with(1);
    installed.script("nonsense").exits_with(1);
}

#[test]
fn a_bad_configuration_does_not_start() {
    let installed = Installed::new();
    fs::write(installed.prefix.join("conf/srs.conf"), "nonsense;\n").expect("write");
    let failed = installed.script("start");
    assert!(matches!(failed.status.code(), Some(1 | 2)), "{failed:?}");
    assert!(failed.output.contains("FAILED"), "{}", failed.output);
}

#[test]
fn reload_rotate_and_grace() {
    let installed = Installed::new();
    installed.script("start").ok();
    let bystander = Bystander::start(installed.port.number());
    installed.script("reload").ok();
    fs::rename(
        installed.prefix.join("objs/srs.log"),
        installed.prefix.join("objs/srs.log.1"),
    )
    .expect("rename the log");
    installed.script("rotate").ok();
    wait_for("a new log file", 5, || {
        installed.prefix.join("objs/srs.log").exists().then_some(())
    });
    bystander.finish();
    installed.script("grace").ok();
    wait_for("the server to end", 20, || {
        (installed.script("status").status.code() == Some(1)).then_some(())
    });
    assert!(!installed.log().contains("panicked"));
}

#[test]
fn upgrade_hands_over_or_changes_nothing() {
    let installed = Installed::new();
    installed.script("upgrade").exits_with(1);
    installed.script("start").ok();
    let (first, conf) = (installed.pid(), installed.prefix.join("conf/srs.conf"));
    let good = fs::read_to_string(&conf).expect("read");
    fs::write(&conf, good.clone() + "nonsense;\n").expect("write");
    let refused = installed.script("upgrade").exits_with(1);
    assert!(refused.output.contains("not valid"), "{}", refused.output);
    assert_eq!(installed.pid(), first);
    fs::write(&conf, good).expect("write");
    let bystander = Bystander::start(installed.port.number());
    installed.install(&[]).ok();
    installed.script("upgrade").ok();
    assert_ne!(installed.pid(), first);
    bystander.finish();
    let first = first.and_then(|pid| pid.parse().ok()).expect("a number");
    wait_for("the old server to end", 20, || {
        kill(Pid::from_raw(first), None).is_err().then_some(())
    });
    installed.script("stop").ok();
}

#[test]
fn upgrade_spares_a_program_that_would_die_of_it() {
    let installed = Installed::new();
    // SRS does not catch the signal, and neither does this.
    let mut other = Command::new("sh");
    other.args(["-c", "while sleep 1; do :; done # srs"]);
    let mut other = Program::start("other", &installed.prefix, &mut other);
    fs::write(installed.prefix.join("objs/srs.pid"), other.pid().to_string()).expect("write");
    let refused = installed.script("upgrade").exits_with(1);
    assert!(refused.output.contains("cannot"), "{}", refused.output);
    assert!(other.is_running());
}

#[test]
fn installing_again_keeps_changed_files() {
    let installed = Installed::new();
    let conf = installed.prefix.join("conf/srs.conf");
    let mine = fs::read_to_string(&conf).expect("read");
    installed.install(&[]).ok();
    assert_eq!(
        fs::read_to_string(&conf).expect("read"),
        mine,
        "a changed file was overwritten"
    );
    assert!(
        installed.prefix.join("conf/srs.conf.new").exists(),
        "the new file beside it"
    );
    assert!(is_executable(&installed.prefix.join("objs/srs")));
    assert!(installed.prefix.join("objs/nginx/html").is_dir());
    installed.install(&["--uninstall"]).ok();
    assert!(!installed.prefix.join("objs/srs").exists() && !installed.prefix.join("etc/init.d/srs").exists());
    assert_eq!(
        fs::read_to_string(&conf).expect("read"),
        mine,
        "uninstalling removed a changed file"
    );
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o111 != 0)
}
