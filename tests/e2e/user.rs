//! A server that root starts, and that gives root's rights up. Started by somebody else these tests only look at the
//! refusal, and say so.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Group, Pid, User, geteuid};

use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::media::Sample;
use crate::support::program::{Program, run};
use crate::support::server::PROGRAM;
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

/// An account that every system has.
const USER: &str = "nobody";

/// The numbers of the account.
fn ids() -> (u32, u32) {
    let user = User::from_name(USER).expect("ask for the account").expect("an account");
    (user.uid.as_raw(), user.gid.as_raw())
}

/// Another group than the account's own.
fn other_group() -> Group {
    let group = Group::from_name("www-data").expect("ask for the group");
    group
        .or_else(|| Group::from_name("daemon").ok().flatten())
        .expect("a group")
}

struct Site {
    folder: WorkDir,
    /// A loopback address of its own, where ports below 1024 are free.
    address: String,
}

impl Site {
    fn new(number: u8) -> Self {
        let folder = WorkDir::new("user");
        let (uid, gid) = ids();
        if geteuid().is_root() {
            chown(&*folder, Some(uid), Some(gid)).expect("give the folder to the account");
        }
        Site {
            folder,
            address: format!("127.77.{}.{number}", std::process::id() % 250 + 1),
        }
    }

    fn configure(&self, rights: &str, more: &str) {
        let address = &self.address;
        let text = format!(
            "listen {address}:535;\n{rights}\nmax_connections 100;\ndaemon off;\nsrs_log_tank file;\nsrs_log_file ./srs.log;\n\
             pid ./srs.pid;\n{more}\nhttp_server {{ enabled on; listen {address}:536; dir ./html; }}\n\
             vhost __defaultVhost__ {{ hls {{ enabled on; hls_path ./html; hls_fragment 1; }} }}\n"
        );
        fs::write(self.folder.join("srs.conf"), text).expect("write the configuration");
    }

    fn start(&self) -> Program {
        let mut command = Command::new(PROGRAM);
        command.args(["-c", "srs.conf"]).current_dir(&*self.folder);
        Program::start("srs", &self.folder, &mut command)
    }

    #[track_caller]
    fn wait_for_line(&self, part: &str) {
        wait_for(part, 10, || self.read("srs.log").contains(part).then_some(()));
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    fn owner(&self, name: &str) -> (u32, u32) {
        let known = fs::metadata(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        (known.uid(), known.gid())
    }

    /// What the kernel says of the process, by the name of the line.
    fn status(&self, program: &Program, name: &str) -> Vec<String> {
        let text = fs::read_to_string(format!("/proc/{}/status", program.pid())).expect("the process's status");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("a line of the status");
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    }

    fn publish(&self) -> Program {
        let url = format!("rtmp://{}:535/live/s", self.address);
        Ffmpeg::Debian.publish(&self.folder, &Sample::H264Aac.path(), &url)
    }
}

fn is_root() -> bool {
    if !geteuid().is_root() {
        eprintln!("not started by root: only the refusal is tested");
    }
    geteuid().is_root()
}

#[test]
fn the_server_listens_as_root_and_works_as_somebody_else() {
    if !is_root() {
        return;
    }
    let site = Site::new(1);
    let group = other_group();
    site.configure(&format!("user {USER} {};", group.name), "");
    let mut server = site.start();
    site.wait_for_line("runs as user nobody");
    site.wait_for_line("signal installed");
    let ((uid, _), gid) = (ids(), group.gid.as_raw());
    let four = |id: u32| vec![id.to_string(); 4];
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid()))
        .expect("the threads")
        .count();
    assert!(tasks > 1, "there are several threads, all of which must have changed");
    for task in fs::read_dir(format!("/proc/{}/task", server.pid()))
        .expect("the threads")
        .flatten()
    {
        let text = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let line = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((line("Uid:"), line("Gid:")), (four(uid), four(gid)));
        assert_eq!(line("Groups:"), [gid.to_string()]);
        assert!(line("CapEff:").concat().bytes().all(|digit| digit == b'0'));
        assert!(line("CapPrm:").concat().bytes().all(|digit| digit == b'0'));
    }

    let _publisher = site.publish();
    wait_for("a segment", 20, || {
        site.folder.join("html/live/s.m3u8").exists().then_some(())
    });
    for file in ["html", "html/live", "html/live/s-0.ts", "html/live/s.m3u8", "srs.log"] {
        assert_eq!(site.owner(file), (uid, gid), "{file}");
    }
    // Whoever takes the server over must not tell the service script whom to end.
    assert_eq!(site.owner("srs.pid").0, 0);
    assert_eq!(site.read("srs.pid"), server.pid().to_string());
    let report = probe(&site.folder, &format!("http://{}:536/live/s.m3u8", site.address));
    assert_eq!(codecs(&report).len(), 2);
    let report = probe(&site.folder, &format!("rtmp://{}:535/live/s", site.address));
    assert_eq!(codecs(&report).len(), 2);
    assert!(!site.read("srs.log").contains("[ERROR]"), "{}", site.read("srs.log"));
    server.stop().ok();
}

#[test]
fn reload_and_rotation_go_on_without_root() {
    if !is_root() {
        return;
    }
    let site = Site::new(2);
    site.configure("user nobody;", "");
    let mut server = site.start();
    site.wait_for_line("signal installed");
    assert_eq!(site.status(&server, "Groups"), [ids().1.to_string()]);

    site.configure("user nobody;", "pithy_print_ms 5000;");
    server.signal(Signal::SIGHUP);
    site.wait_for_line("reload success");
    // A port that is left open needs no rights, a new one does.
    let address = &site.address;
    let text = site.read("srs.conf").replace(
        &format!("listen {address}:535;"),
        &format!("listen {address}:535 {address}:537;"),
    );
    fs::write(site.folder.join("srs.conf"), text).expect("write the configuration");
    server.signal(Signal::SIGHUP);
    site.wait_for_line("reload failed, the old configuration stays");
    site.wait_for_line("which needs root's rights");

    fs::rename(site.folder.join("srs.log"), site.folder.join("srs.log.1")).expect("move the log away");
    server.signal(Signal::SIGUSR1);
    site.wait_for_line("log file reopened");
    assert_eq!(site.owner("srs.log"), ids());
    let _publisher = site.publish();
    site.wait_for_line("start publish");
    server.stop().ok();
}

/// A port below 1024 passes on although nobody of these could bind it.
#[test]
fn a_new_program_takes_over_without_root() {
    if !is_root() {
        return;
    }
    for (number, workers) in [(6, ""), (7, "workers 2;")] {
        let site = Site::new(number);
        let waits = "grace_start_wait 50; grace_final_wait 50;";
        site.configure(&format!("user {USER};"), &format!("{waits}\n{workers}"));
        let mut server = site.start();
        site.wait_for_line("signal installed");
        if !workers.is_empty() {
            site.wait_for_line("master of 2 workers");
        }
        let old = server.pid();
        server.signal(Signal::SIGUSR2);
        assert!(server.wait(20).status.success(), "{workers}: {}", site.read("srs.log"));
        let new: i32 = site.read("srs.pid").parse().expect("a number in the pid file");
        assert_ne!(new.cast_unsigned(), old);
        let _publisher = site.publish();
        let report = probe(&site.folder, &format!("rtmp://{}:535/live/s", site.address));
        assert_eq!(codecs(&report).len(), 2);
        kill(Pid::from_raw(new), Signal::SIGTERM).expect("end the new program");
        wait_for("the new program's end", 20, || {
            let is_there = std::net::TcpStream::connect((site.address.as_str(), 535)).is_ok();
            (!is_there).then_some(())
        });
    }
}

#[test]
fn another_root_of_the_file_system() {
    if !is_root() {
        return;
    }
    let site = Site::new(3);
    let folder = site.folder.display();
    site.configure(&format!("user nobody;\nchroot {folder};"), "");
    let mut server = site.start();
    site.wait_for_line("signal installed");
    let root = fs::read_link(format!("/proc/{}/root", server.pid())).expect("the root of the process");
    assert_eq!(root, *site.folder);
    let _publisher = site.publish();
    wait_for("a segment", 20, || {
        site.folder.join("html/live/s.m3u8").exists().then_some(())
    });
    let report = probe(&site.folder, &format!("http://{}:536/live/s.m3u8", site.address));
    assert_eq!(codecs(&report).len(), 2);
    server.signal(Signal::SIGHUP);
    site.wait_for_line("reload success");
    assert!(!site.read("srs.log").contains("[ERROR]"), "{}", site.read("srs.log"));
    server.stop().ok();
}

/// Starts the server, with what `setpriv` is told if root has to become somebody else first, and gives what it says.
#[track_caller]
fn fails(site: &Site, status: i32) -> String {
    // The program itself may lie where only root may go.
    let program = site.folder.join("srs");
    fs::copy(PROGRAM, &program).expect("copy the program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("make it runnable");
    let mut command = match geteuid().is_root() {
        true => {
            let (uid, gid) = ids();
            let mut command = Command::new("setpriv");
            command.args([
                &format!("--reuid={uid}"),
                &format!("--regid={gid}"),
                "--clear-groups",
                "./srs",
            ]);
            command
        }
        false => Command::new("./srs"),
    };
    command.args(["-c", "srs.conf"]).current_dir(&*site.folder);
    run("srs", &site.folder, 10, &mut command).exits_with(status).output
}

#[test]
fn only_root_can_become_somebody_else() {
    let site = Site::new(4);
    for (rights, expected) in [
        ("user root;", "user root needs a start by root"),
        ("chroot .;", "chroot needs a start by root"),
        ("user no-such-user;", "user no-such-user: no user no-such-user"),
        ("user root no-such-group;", "no group no-such-group"),
        ("user a b c;", "\"c\" is too much in user"),
    ] {
        site.configure(rights, "");
        let said = fails(&site, 255);
        assert!(said.contains(expected), "{rights} brings\n{said}");
    }
    assert!(!Path::new(&*site.folder).join("srs.pid").exists());
}
