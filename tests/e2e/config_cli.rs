//! `srs -t`: what it says of good and bad files.

use std::fs;
use std::process::Command;

use crate::support::program::{Ended, run};
use crate::support::server::PROGRAM;
use crate::support::workdir::WorkDir;

fn check(text: &str, arguments: &[&str]) -> Ended {
    let folder = WorkDir::new("conf");
    fs::write(folder.join("my.conf"), text).expect("write a configuration");
    run(
        "srs",
        &folder,
        10,
        Command::new(PROGRAM).args(arguments).current_dir(&*folder),
    )
}

const GOOD: &str = "listen 1935;\nmax_connections 100;\nvhost __defaultVhost__ {\n    play { gop_cache on; }\n}\n";

#[test]
fn a_good_file() {
    for arguments in [
        &["-t", "-c", "my.conf"][..],
        &["-c", "my.conf", "-t"],
        &["-tc", "my.conf"],
        &["-t", "-cmy.conf"],
    ] {
        let output = check(GOOD, arguments).ok().output;
        let last = output.lines().last().unwrap_or_default();
        assert!(
            last.contains("my.conf") && last.contains("test is successful"),
            "{arguments:?}: {output}"
        );
    }
}

#[test]
fn checking_starts_nothing() {
    let folder = WorkDir::new("conf");
    let text = format!("{GOOD}pid ./srs.pid;\nsrs_log_tank file;\nsrs_log_file ./srs.log;\nwork_dir ./missing;\n");
    fs::write(folder.join("my.conf"), text).expect("write a configuration");
    run(
        "srs",
        &folder,
        10,
        Command::new(PROGRAM)
            .args(["-t", "-c", "my.conf"])
            .current_dir(&*folder),
    )
    .ok();
    assert!(!folder.join("srs.pid").exists() && !folder.join("srs.log").exists());
}

/// The file is refused, and the message names the file and all of `parts`.
#[track_caller]
fn assert_refused(text: &str, parts: &[&str]) {
    let output = check(text, &["-t", "-c", "my.conf"]).exits_with(255).output;
    assert!(output.contains("code=1023(ConfigInvalid)"), "{output}");
    let last = output.lines().last().unwrap_or_default();
    assert!(
        last.contains("my.conf") && last.contains("test is failed"),
        "the last line: {output}"
    );
    for part in parts {
        assert!(output.contains(part), "no {part:?} in:\n{output}");
    }
}

#[test]
fn an_unknown_directive_is_named_with_its_place() {
    assert_refused("listen 1935;\nmax_conections 100;\n", &["max_conections", "my.conf:2"]);
    assert_refused(
        "listen 1935;\nvhost a {\n    play {\n        gop_cash on;\n    }\n}\n",
        &["gop_cash", "my.conf:4"],
    );
}

#[test]
fn broken_syntax_is_told_with_its_line() {
    assert_refused("listen 1935\n", &["my.conf:"]);
    assert_refused("listen 1935;\nvhost a {\n", &["my.conf:"]);
    assert_refused("listen 1935;\n}\n", &["my.conf:2"]);
    assert_refused("listen 1935;\nvhost 'a'b { }\n", &["my.conf:2"]);
}

#[test]
fn bad_values_and_clashes() {
    assert_refused("", &[]);
    assert_refused("max_connections 100;\n", &["listen"]);
    assert_refused("listen 1935;\nmax_connections 0;\n", &["max_connections"]);
    assert_refused(
        "listen 1935;\nmax_connections 100;\ndaemon on;\nasprocess on;\n",
        &["asprocess"],
    );
}

#[test]
fn a_file_that_is_not_there() {
    let folder = WorkDir::new("conf");
    let ended = run(
        "srs",
        &folder,
        10,
        Command::new(PROGRAM)
            .args(["-t", "-c", "none.conf"])
            .current_dir(&*folder),
    );
    let output = ended.exits_with(255).output;
    assert!(output.contains("none.conf"), "{output}");
}

#[test]
fn the_effective_configuration() {
    let folder = WorkDir::new("conf");
    let text =
        "listen 1935;\nhttp_api { auth { password topsecret; } }\nvhost v.com {\n    play { gop_cache off; }\n}\n";
    fs::write(folder.join("my.conf"), text).expect("write a configuration");
    let show = |file: &str, arguments: &str| {
        let mut command = Command::new(PROGRAM);
        command.args([arguments, "-c", file]).current_dir(&*folder);
        command.env("SRS_PITHY_PRINT_MS", "700");
        run("srs", &folder, 10, &mut command).ok().output
    };
    let shown = show("my.conf", "-tv");
    let (verdict, effective) = shown.split_once("# The effective configuration\n").expect("both parts");
    assert!(verdict.contains("config file my.conf test is successful"), "{verdict}");
    for line in [
        "listen 1935; # my.conf:1",
        "pithy_print_ms 700; # env SRS_PITHY_PRINT_MS",
        "max_connections 1000; # default",
        "        password ***; # my.conf:2",
        "vhost v.com { # my.conf:3",
        "        gop_cache off; # my.conf:4",
        "        gop_cache_max_frames 2500; # default",
    ] {
        assert!(effective.lines().any(|shown| shown == line), "{line} in {effective}");
    }
    assert!(!shown.contains("topsecret"));
    fs::write(folder.join("again.conf"), effective).expect("write a configuration");
    let again = show("again.conf", "-tv");
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| *line != "# The effective configuration");
        lines
            .map(|line| line.split(" # ").next().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(values(&again), values(&shown));
    assert!(
        !show("my.conf", "-t").contains("max_connections"),
        "only when asked for"
    );
}
