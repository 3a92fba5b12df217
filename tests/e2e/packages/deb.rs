//! The Debian package: what is in it, and what dpkg does with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::unistd::geteuid;

use super::system::System;
use super::{made, made_of_program, make, write_elf};
use crate::support::clients::Ffmpeg;
use crate::support::hosts::apart;
use crate::support::media::Sample;
use crate::support::program::run;
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

const SCRIPT: &str = "package-deb.sh";
const SERVICE: &str = "/etc/init.d/srs";
const PROGRAM: &str = "/usr/local/srs/objs/srs";
const URL: &str = "rtmp://127.0.0.1/live/s";
const CONFIGURATION: &str = "/usr/local/srs/conf/srs.conf";

/// What dpkg-deb tells of a package.
#[track_caller]
fn told(folder: &Path, arguments: &[&str], package: &Path) -> String {
    let mut command = Command::new("dpkg-deb");
    command.arg(arguments[0]).arg(package).args(&arguments[1..]);
    run("dpkg-deb", folder, 30, &mut command).ok().output
}

/// dpkg with a system that is nothing but a folder.
#[track_caller]
fn dpkg_into(folder: &Path, arguments: &[&str]) {
    // Its files belong to root, whoever runs the tests.
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .arg("dpkg")
        .arg(format!("--root={}", folder.join("root").display()));
    command.args(["--force-script-chrootless", "--force-depends", "--force-not-root"]);
    run("dpkg", folder, 60, command.args(arguments)).ok();
}

#[test]
fn package_deb_has_the_layout_of_an_installation() {
    let folder = WorkDir::new("deb");
    let package = made_of_program(SCRIPT, &folder, &["--version=1.2.3"]);
    let contents = told(&folder, &["--contents"], &package);
    for (rights, path) in [
        ("-rwxr-xr-x", "./usr/local/srs/objs/srs"),
        ("-rwxr-xr-x", "./usr/local/srs/etc/init.d/srs"),
        ("-rw-r--r--", "./usr/local/srs/conf/srs.conf"),
        ("drwxr-xr-x", "./usr/local/srs/objs/nginx/html/"),
        ("lrwxrwxrwx", "./etc/init.d/srs -> /usr/local/srs/etc/init.d/srs"),
        ("-rw-r--r--", "./lib/systemd/system/srs.service"),
        ("-rw-r--r--", "./usr/share/doc/srs-may/copyright"),
        ("-rw-r--r--", "./usr/share/doc/srs-may/docs/service.md"),
    ] {
        let line = contents.lines().find(|line| line.ends_with(&format!(" {path}")));
        let line = line.unwrap_or_else(|| panic!("{path} is not in it:\n{contents}"));
        assert!(line.starts_with(rights), "{line}");
    }
    assert!(contents.lines().all(|line| line.contains(" root/root ")), "{contents}");
    let kept = told(&folder, &["--info", "conffiles"], &package);
    assert!(kept.lines().any(|line| line == CONFIGURATION), "{kept}");
    let field = |name: &str| told(&folder, &["--field", name], &package).trim().to_owned();
    assert_eq!(field("Version"), "1.2.3");
    assert!(field("Depends").contains("libc6 (>= 2."), "{}", field("Depends"));
    let service = told(&folder, &["--fsys-tarfile"], &package);
    assert!(!service.contains("@PREFIX@"), "a place for the prefix was left");
    assert!(
        service.contains("ExecStart=/usr/local/srs/etc/init.d/srs start")
            && service.contains("ROOT=\"/usr/local/srs\"")
    );
}

#[test]
fn package_deb_is_the_same_each_time() {
    let folder = WorkDir::new("deb");
    let program = write_elf(&folder.join("srs"), (2, 1, 62, 0));
    let arguments = [program.as_str(), "--prefix=/opt/srs"];
    let package = made(SCRIPT, &folder, &arguments);
    let first = fs::read(&package).expect("read the package");
    fs::remove_file(&package).expect("remove the package");
    // Packages hold seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(first == fs::read(made(SCRIPT, &folder, &arguments)).expect("read the package"));
    assert!(told(&folder, &["--contents"], &package).contains("./opt/srs/objs/srs"));
}

#[test]
fn package_deb_is_for_the_machine_of_its_program() {
    let folder = WorkDir::new("deb");
    let file = folder.join("srs");
    for (head, machine) in [
        ((2, 1, 62, 0), "amd64"),
        ((2, 1, 183, 0), "arm64"),
        ((1, 1, 40, 0x0500_0400), "armhf"),
        ((1, 1, 40, 0x0500_0200), "armel"),
        ((1, 1, 8, 0x7000_1007), "mipsel"),
        ((1, 2, 8, 0x7000_1007), "mips"),
    ] {
        let program = write_elf(&file, head);
        let package = made(SCRIPT, &folder, &[&program, "--compress=none"]);
        assert!(
            package.to_string_lossy().ends_with(&format!("_{machine}.deb")),
            "{package:?}"
        );
        // A static program needs no library.
        assert_eq!(told(&folder, &["--field", "Depends"], &package).trim(), "passwd");
    }
    let program = write_elf(&file, (2, 2, 22, 0));
    let refused = make(SCRIPT, &folder, &[&program]).exits_with(1);
    assert!(refused.output.contains("--arch"), "{}", refused.output);
    made(SCRIPT, &folder, &[&program, "--arch=s390x", "--compress=none"]);
    let text = format!("--program={}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
    for (bad, why) in [
        (text.as_str(), "no ELF header"),
        ("--version=-1", "begin with a digit"),
        ("--prefix=/opt/a b", "letters"),
    ] {
        let refused = make(SCRIPT, &folder, &[&program, "--arch=s390x", bad]).exits_with(1);
        assert!(refused.output.contains(why), "{}", refused.output);
    }
}

#[test]
fn package_deb_installs_into_a_folder_and_leaves_nothing() {
    let folder = WorkDir::new("deb");
    let program = write_elf(&folder.join("srs"), (2, 1, 62, 0));
    let package = made(SCRIPT, &folder, &[&program, "--compress=none"]);
    let root = folder.join("root");
    for name in ["var/lib/dpkg/info", "var/lib/dpkg/updates"] {
        fs::create_dir_all(root.join(name)).expect("create a folder of dpkg");
    }
    fs::write(root.join("var/lib/dpkg/status"), "").expect("write dpkg's list");
    dpkg_into(&folder, &["--install", &package.to_string_lossy()]);
    let configuration = root.join(&CONFIGURATION[1..]);
    assert!(configuration.is_file() && root.join("usr/local/srs/objs/srs").is_file());
    fs::write(root.join("usr/local/srs/objs/srs.log"), "a log").expect("write a log");
    dpkg_into(&folder, &["--remove", "srs-may"]);
    assert!(configuration.is_file(), "configuration goes with --purge only");
    dpkg_into(&folder, &["--purge", "srs-may"]);
    for name in [
        "usr/local/srs",
        "etc/init.d/srs",
        "lib/systemd/system/srs.service",
        "usr/share/doc/srs-may",
    ] {
        assert!(root.join(name).symlink_metadata().is_err(), "{name} was left");
    }
}

#[test]
fn package_deb_serves_and_is_upgraded_without_a_gap() {
    if !geteuid().is_root() {
        println!(
            "only root can make a copy of this system to install on; the other tests of the package did what they can"
        );
        return;
    }
    apart(
        "packages::deb::package_deb_serves_and_is_upgraded_without_a_gap",
        install_upgrade_remove,
    );
}

/// Installs a version of the package there.
#[track_caller]
fn install(system: &System, version: &str, more: &[&str]) {
    let package = made_of_program(SCRIPT, system.folder(), &[&format!("--version={version}")]);
    fs::copy(package, system.file("/tmp/srs.deb")).expect("copy the package");
    let ended = system
        .run("dpkg", &[more, &["--install", "/tmp/srs.deb"]].concat())
        .ok();
    assert!(!ended.output.contains("srs-may: the server"), "{}", ended.output);
}

/// The number of the server that runs there, by its pid file.
fn server(system: &System) -> i32 {
    let pid = system.read("/usr/local/srs/objs/srs.pid");
    let log = || system.read("/usr/local/srs/objs/srs.log");
    pid.parse()
        .unwrap_or_else(|e| panic!("pid file {pid:?}: {e}; {}", log()))
}

#[track_caller]
fn assert_nothing_left(system: &System) {
    for left in ["/usr/local/srs", SERVICE, "/lib/systemd/system/srs.service"] {
        assert!(system.file(left).symlink_metadata().is_err(), "{left} was left");
    }
}

fn install_upgrade_remove() {
    let system = System::new();
    let folder = system.folder();
    install(&system, "1.0", &[]);
    system.run(SERVICE, &["status"]).ok();
    system.run("id", &["srs"]).ok();
    let first = server(&system);

    // A stream goes on while a new version comes, and so does what was changed in the configuration.
    let changed = system.read(CONFIGURATION) + "# of mine\n";
    fs::write(system.file(CONFIGURATION), &changed).expect("change the configuration");
    let mut publisher = Ffmpeg::Debian.publish(folder, &Sample::H264Aac.path(), URL);
    let played = folder.join("played.flv");
    let mut player = Ffmpeg::Debian.record(folder, &[], URL, 5, &played);
    wait_for("the player to get media", 20, || {
        fs::metadata(&played)
            .is_ok_and(|file| file.len() > 10_000)
            .then_some(())
    });
    install(&system, "1.1", &["--force-confold"]);
    assert_ne!(server(&system), first);
    assert_eq!(system.read(CONFIGURATION), changed);
    player.wait(20).ok();
    assert!(Ffmpeg::Debian.decode(folder, &played) >= 100);
    publisher.stop();
    wait_for("the first server to end", 20, || {
        (system.processes(PROGRAM) == [server(&system)]).then_some(())
    });

    // One that was stopped is not started by an upgrade.
    system.run(SERVICE, &["stop"]).ok();
    install(&system, "1.2", &["--force-confold"]);
    system.run(SERVICE, &["status"]).exits_with(1);
    system.run(SERVICE, &["start"]).ok();
    system.run("dpkg", &["--purge", "srs-may"]).ok();
    assert!(system.processes(PROGRAM).is_empty(), "the server outlived its package");
    assert_nothing_left(&system);
}

/// What systemd says of a property of the service.
#[track_caller]
fn property(system: &System, name: &str) -> String {
    let shown = system.run("systemctl", &["show", "--value", "-p", name, "srs.service"]);
    shown.ok().output.trim().to_owned()
}

#[test]
#[ignore = "boots a copy of this system, as root: cargo test --test e2e package_deb_on_systemd -- --ignored"]
fn package_deb_on_systemd_follows_the_server() {
    let system = System::boot();
    install(&system, "1.0", &[]);
    assert_eq!(property(&system, "ActiveState"), "active");
    let first = property(&system, "MainPID");
    assert_eq!(first, server(&system).to_string());
    let sample = Sample::H264Aac.path();
    fs::copy(sample, system.file("/tmp/sample.flv")).expect("copy the sample");
    let publish = [
        "-nostdin",
        "-v",
        "error",
        "-re",
        "-i",
        "/tmp/sample.flv",
        "-c",
        "copy",
        "-f",
        "flv",
        URL,
    ];
    let mut publisher = system.start("ffmpeg", &publish);
    wait_for("the stream", 20, || {
        system
            .read("/usr/local/srs/objs/srs.log")
            .contains("start publish")
            .then_some(())
    });

    // The old program stays the service while it has clients; then it is the new one.
    install(&system, "1.1", &[]);
    assert_ne!(server(&system).to_string(), first);
    assert_eq!(property(&system, "MainPID"), first);
    publisher.wait(20).ok();
    let second = server(&system).to_string();
    wait_for("systemd to follow", 20, || {
        (property(&system, "MainPID") == second).then_some(())
    });
    assert_eq!(property(&system, "NRestarts"), "0");
    system.run("systemctl", &["reload", "srs"]).ok();
    wait_for("the reload", 10, || {
        system
            .read("/usr/local/srs/objs/srs.log")
            .contains("reload success")
            .then_some(())
    });

    // One that dies comes again.
    system.run("kill", &["-KILL", &second]).ok();
    wait_for("a new server", 20, || {
        let state = (property(&system, "NRestarts"), property(&system, "ActiveState"));
        (state == ("1".to_owned(), "active".to_owned())).then_some(())
    });
    assert_ne!(server(&system).to_string(), second);
    system.run("dpkg", &["--purge", "srs-may"]).ok();
    assert_eq!(property(&system, "MainPID"), "0");
    assert_nothing_left(&system);
}
