//! The program of a router, emulated by QEMU: `scripts/cross-test.sh TARGET --e2e` builds it and runs this. A native FFmpeg
//! publishes to it and plays from it.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::rtmp::Rtmp;
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

struct Router {
    folder: WorkDir,
    rtmp: Port,
    http: Port,
    server: Program,
}

impl Router {
    fn start() -> Self {
        Self::start_with(&[])
    }

    /// With these variables in the environment, the emulator's too.
    fn start_with(environment: &[(&str, &str)]) -> Self {
        let command = std::env::var("SRS_E2E_ROUTER").expect("SRS_E2E_ROUTER holds the emulator and the program");
        let mut words = command.split_whitespace();
        let (folder, rtmp, http) = (WorkDir::new("router"), Port::free(), Port::free());
        let text = fs::read_to_string("trunk-conf/openwrt.conf").expect("read the sample for routers");
        let text = text
            .replace(
                "listen              1935;",
                &format!("listen 127.0.0.1:{};", rtmp.number()),
            )
            .replace("listen          8080;", &format!("listen 127.0.0.1:{};", http.number()))
            .replace("daemon              on;", "daemon off; srs_log_tank console;")
            .replace("enabled         off;", "enabled         on;")
            .replace("/mnt/sda1/srs", "./srs/dvr")
            .replace("/tmp/srs", "./srs")
            .replace("hls_fragment    4;", "hls_fragment 1;");
        fs::create_dir_all(folder.join("srs")).expect("create the folder of files");
        fs::write(folder.join("srs.conf"), text).expect("write the configuration");
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).args(["-c", "srs.conf"]).current_dir(&*folder);
        command.envs(environment.iter().copied());
        let server = Program::start("srs", &folder, &mut command);
        wait_for("the router's server", 60, || {
            TcpStream::connect(("127.0.0.1", rtmp.number())).ok()
        });
        Router {
            folder,
            rtmp,
            http,
            server,
        }
    }

    /// The most memory that the emulated program and its emulator have held, in kilobytes.
    fn most_kilobytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.pid())).expect("read its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let figure = line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        figure.expect("a figure of VmHWM")
    }

    fn recordings(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.folder.join("srs/dvr/live"));
        let files = folder.into_iter().flatten().flatten().map(|entry| entry.path());
        files
            .filter(|path| path.extension().is_some_and(|ending| ending == "flv"))
            .collect()
    }
}

#[test]
#[ignore = "needs a program for a router, which scripts/cross-test.sh TARGET --e2e builds"]
fn a_router_takes_a_stream_and_gives_it_to_all() {
    let mut router = Router::start();
    let rtmp = format!("rtmp://127.0.0.1:{}/live/s", router.rtmp.number());
    let http = format!("http://127.0.0.1:{}/live/s", router.http.number());
    let mut publisher = Ffmpeg::Debian.publish(&router.folder, &Sample::H264Aac.path(), &rtmp);
    for url in [rtmp, format!("{http}.flv")] {
        assert_eq!(codecs(&probe(&router.folder, &url)).len(), 2, "{url}");
        let played = router.folder.join("played.flv");
        let mut player = Ffmpeg::Debian.record(&router.folder, &[], &url, 4, &played);
        player.wait(40).ok();
        assert!(Ffmpeg::Debian.decode(&router.folder, &played) >= 75, "{url}");
        fs::remove_file(played).expect("remove what was played");
    }
    wait_for("a playlist", 30, || {
        router.folder.join("srs/www/live/s.m3u8").exists().then_some(())
    });
    assert_eq!(codecs(&probe(&router.folder, &format!("{http}.m3u8"))).len(), 2);
    publisher.stop();
    let recording = wait_for("a recording", 20, || router.recordings().pop());
    assert!(Ffmpeg::Debian.decode(&router.folder, &recording) >= 75);
    let ended = router.server.stop().ok();
    assert!(
        !ended.output.contains("[ERROR]") && !ended.output.contains("panicked"),
        "{}",
        ended.output
    );
}

/// Seconds of 32 bits are over in January 2038, and the clock of a router without a battery may begin anywhere.
#[test]
#[ignore = "needs a program for a router, which scripts/cross-test.sh TARGET --e2e builds"]
fn a_router_goes_on_in_the_year_2040() {
    let library = fs::read_dir("/usr/lib").expect("list libraries").flatten();
    let library = library
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.exists())
        .expect("libfaketime, of the package faketime");
    let mut router = Router::start_with(&[
        ("LD_PRELOAD", &library.to_string_lossy()),
        ("FAKETIME", "@2040-02-29 12:00:00"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]);
    let rtmp = format!("rtmp://127.0.0.1:{}/live/s", router.rtmp.number());
    let mut publisher = Ffmpeg::Debian.publish(&router.folder, &Sample::H264Aac.path(), &rtmp);
    let playlist = router.folder.join("srs/www/live/s.m3u8");
    wait_for("a playlist", 30, || playlist.exists().then_some(()));
    let url = format!("http://127.0.0.1:{}/live/s.m3u8", router.http.number());
    assert_eq!(codecs(&probe(&router.folder, &url)).len(), 2);
    // Files are dated by the system, whose year is another one.
    let page = router.folder.join("srs/www/page.html");
    fs::write(&page, "x").expect("write a page");
    let mut touch = Command::new("touch");
    run(
        "touch",
        &router.folder,
        10,
        touch.arg("--date=2040-02-28T12:00:00Z").arg(&page),
    )
    .ok();
    let mut head = Command::new("curl");
    let url = format!("http://127.0.0.1:{}/page.html", router.http.number());
    head.args(["-sSI", "--max-time", "20", &url]);
    let head = run("curl", &router.folder, 30, &mut head).ok().output;
    for line in [
        "Date: Wed, 29 Feb 2040 12:",
        "Last-Modified: Tue, 28 Feb 2040 12:00:00 GMT",
    ] {
        assert!(head.contains(line), "{head}");
    }
    publisher.stop();
    wait_for("a recording", 20, || router.recordings().pop());
    let ended = router.server.stop().ok();
    assert!(
        ended.output.contains("[2040-02-29 ") && !ended.output.contains("panicked"),
        "{}",
        ended.output
    );
}

#[test]
#[ignore = "needs a program for a router, which scripts/cross-test.sh TARGET --e2e builds"]
fn a_publisher_cannot_fill_the_memory_of_a_router() {
    const MESSAGES: usize = 100;
    let router = Router::start();
    let before = router.most_kilobytes();
    let connect = || Rtmp::connect(router.rtmp.number(), "live").expect("connect");
    let mut publisher = connect().publish("live", "fat").expect("publish");
    let _player_that_reads_nothing = connect().play("fat").expect("play");
    publisher.set_chunk_size(1 << 20).expect("send");
    // One keyframe, and no time that goes on: only the bytes tell what is too much.
    let mut payload = vec![1; 1 << 20];
    for number in 0..MESSAGES {
        payload[..5].copy_from_slice(&[if number == 0 { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
        publisher.send(6, 9, 0, 1, &payload).expect("send");
    }
    // The server has them when it answers what comes behind them.
    publisher.command("FCUnpublish", 9.0, 0, &[]).expect("send");
    publisher.answer(9.0).expect("an answer");
    let grown = router.most_kilobytes() - before;
    assert!(
        grown < 56 << 10,
        "{grown} kB more than the {before} before {MESSAGES} MB of a stream were resident, with the emulator's own"
    );
}
