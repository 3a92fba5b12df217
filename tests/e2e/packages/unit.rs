//! The unit for systemd.

use std::fs;
use std::process::Command;

use crate::support::program::run;
use crate::support::server::PROGRAM;
use crate::support::workdir::{WorkDir, repository};

#[test]
fn package_unit_is_understood_and_calls_the_service_script() {
    let folder = WorkDir::new("unit");
    let mut command = Command::new(repository().join("scripts/install.sh"));
    command.arg(format!("--prefix={}", folder.display()));
    command.arg(format!("--binary={PROGRAM}"));
    run("install.sh", &folder, 30, &mut command).ok();
    let prefix = folder.display().to_string();
    let unit = fs::read_to_string(repository().join("scripts/systemd/srs.service")).expect("read the unit");
    let unit = unit.replace("@PREFIX@", &prefix);
    for line in [
        "Type=forking".to_owned(),
        format!("PIDFile={prefix}/objs/srs.pid"),
        format!("ExecStart={prefix}/etc/init.d/srs start"),
        format!("ExecReload={prefix}/etc/init.d/srs reload"),
        format!("ExecStop={prefix}/etc/init.d/srs stop"),
        "Restart=always".to_owned(),
    ] {
        assert!(unit.lines().any(|found| found == line), "{line} in {unit}");
    }
    fs::write(folder.join("srs.service"), unit).expect("write the unit");
    let mut command = Command::new("systemd-analyze");
    let told = run(
        "systemd-analyze",
        &folder,
        30,
        command.arg("verify").arg(folder.join("srs.service")),
    )
    .ok();
    assert_eq!(told.output, "", "systemd does not understand all of it");
}
