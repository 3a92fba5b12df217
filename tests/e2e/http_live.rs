//! Live streams over HTTP: real clients, and a raw socket for what no client does.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::flv::{self, Tag};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

struct Live {
    server: Server,
    port: Port,
}

impl Live {
    /// A server whose streams are FLV.
    fn start() -> Self {
        Live::with("http_remux { enabled on; }")
    }

    /// A server with these directives in its default vhost.
    fn with(directives: &str) -> Self {
        Live::at("127.0.0.1", Setup::default().vhost(directives))
    }

    fn at(address: &str, setup: Setup) -> Self {
        let port = Port::free();
        let listen = format!("{address}:{}", port.number());
        let server = setup
            .globals(&format!("http_server {{ enabled on; listen {listen}; dir ./html; }}\n"))
            .start();
        server.wait_for_line(&["HTTP-Server listen at tcp://"]);
        Live { server, port }
    }

    fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port.number())
    }

    fn publish(&self, sample: Sample, stream: &str) -> Program {
        publish(&self.server, sample, &self.server.url(stream))
    }

    /// curl of a stream into a file, until the stream ends or the player is stopped.
    fn curl(&self, url: &str, file: &Path) -> Program {
        let mut command = Command::new("curl");
        command.args(["-sS", "-N", "-g", "-o"]).arg(file).arg(url);
        Program::start("curl", self.server.folder(), &mut command)
    }

    /// What curl gets within so many seconds.
    fn fetch(&self, target: &str, seconds: u32) -> PathBuf {
        let file = self.server.file(&format!("got-{}", fastrand_name(target)));
        let mut command = Command::new("curl");
        command.args(["-sS", "-N", "-o"]).arg(&file);
        command.args(["--max-time", &seconds.to_string(), &self.url(target)]);
        // 28: the time is up, which is how a live stream is left.
        run("curl", self.server.folder(), 20, &mut command).exits_with(28);
        file
    }
}

fn fastrand_name(target: &str) -> String {
    target.replace(['/', '?', '=', '&'], "-")
}

#[track_caller]
fn publish(server: &Server, sample: Sample, url: &str) -> Program {
    let encoder = if sample == Sample::HevcAac {
        Ffmpeg::Eight
    } else {
        Ffmpeg::Debian
    };
    let publisher = encoder.publish(server.folder(), &sample.path(), url);
    server.wait_for_line(&["start publish"]);
    // A group of pictures, so that a player starts at once.
    std::thread::sleep(Duration::from_millis(1500));
    publisher
}

#[track_caller]
fn wait_for_bytes(file: &Path, bytes: u64) {
    wait_for(&format!("{bytes} bytes in {}", file.display()), 20, || {
        (fs::metadata(file).map_or(0, |data| data.len()) >= bytes).then_some(())
    });
}

fn sent(sample: Sample) -> Vec<Tag> {
    flv::read(&sample.path())
}

#[test]
fn payloads_arrive_as_they_were_published() {
    let live = Live::start();
    let _publisher = live.publish(Sample::H264Aac, "s");
    let file = live.fetch("/live/s.flv", 4);
    let bytes = fs::read(&file).expect("what curl got");
    assert_eq!(&bytes[..13], b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
    let got = flv::read(&file);
    flv::assert_same_media(&sent(Sample::H264Aac), &got, 50);
    assert!(got[..3].iter().all(Tag::is_header), "metadata and headers come first");
    let first = got.iter().find(|tag| tag.kind == flv::VIDEO && !tag.is_header());
    assert!(first.is_some_and(|tag| tag.payload[0] == 0x17 && tag.timestamp < 100));
}

#[test]
fn ffmpeg_plays_flv() {
    let live = Live::start();
    let _publisher = live.publish(Sample::H264Aac, "s");
    let (url, file) = (live.url("/live/s.flv?token=1"), live.server.file("played.flv"));
    let mut player = Ffmpeg::Debian.record(live.server.folder(), &[], &url, 3, &file);
    player.wait(20).ok();
    assert!(Ffmpeg::Debian.decode(live.server.folder(), &file) >= 70);
    assert_eq!(codecs(&probe(live.server.folder(), &url)), ["h264", "aac"]);
}

#[test]
fn the_head_is_that_of_a_live_stream() {
    let live = Live::start();
    let mut stream = TcpStream::connect(("127.0.0.1", live.port.number())).expect("connect");
    stream
        .write_all(b"GET /live/none.flv HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n")
        .expect("ask");
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a time limit");
    let mut head = Vec::new();
    // Nobody publishes: the head comes at once, and nothing behind it.
    let _ = stream.read_to_end(&mut head);
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    for line in [
        "Connection: Close",
        "Content-Type: video/x-flv",
        "Transfer-Encoding: chunked",
        "Access-Control-Allow-Origin: *",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    assert!(!head.contains("Content-Length"), "{head}");
}

#[test]
fn a_player_waits_for_its_publisher_and_ends_with_it() {
    let live = Live::start();
    let file = live.server.file("early.flv");
    let mut player = live.curl(&live.url("/live/later.flv"), &file);
    live.server.wait_for_line(&["http Flv player", "stream=later"]);
    std::thread::sleep(Duration::from_secs(1));
    let mut publisher = live.publish(Sample::H264Aac, "later");
    wait_for_bytes(&file, 20_000);
    publisher.signal(nix::sys::signal::Signal::SIGTERM);
    publisher.wait(5);
    // With the end of the body, so curl does not complain.
    player.wait(5).ok();
    let got = flv::read(&file);
    assert_eq!(fs::read(&file).expect("what curl got")[4], 5, "both tracks are told");
    let first = flv::media(&sent(Sample::H264Aac), flv::VIDEO)[0].to_vec();
    assert_eq!(
        flv::media(&got, flv::VIDEO)[0],
        first,
        "the very first picture is there"
    );
    flv::assert_same_media(&sent(Sample::H264Aac), &got, 20);

    // The next publisher has players of its own.
    let again = live.server.file("again.flv");
    let mut player = live.curl(&live.url("/live/later.flv"), &again);
    let _publisher = Ffmpeg::Debian.publish(live.server.folder(), &Sample::H264Aac.path(), &live.server.url("later"));
    wait_for_bytes(&again, 20_000);
    assert!(player.is_running());
}

#[test]
fn the_file_header_tells_the_tracks_that_there_are() {
    let live = Live::start();
    let _video = live.publish(Sample::H264, "v");
    let _audio = live.publish(Sample::Aac, "a");
    for (target, flags, sample) in [("/live/v.flv", 1, Sample::H264), ("/live/a.flv", 4, Sample::Aac)] {
        let file = live.fetch(target, 3);
        assert_eq!(fs::read(&file).expect("what curl got")[4], flags, "{target}");
        flv::assert_same_media(&sent(sample), &flv::read(&file), 20);
    }
}

#[test]
fn tracks_that_are_not_told_are_dropped() {
    let live = Live::with("http_remux { enabled on; guess_has_av off; has_audio off; }");
    let _publisher = live.publish(Sample::H264Aac, "s");
    let file = live.fetch("/live/s.flv", 3);
    assert_eq!(fs::read(&file).expect("what curl got")[4], 1);
    let got = flv::read(&file);
    assert!(got.iter().all(|tag| tag.kind != flv::AUDIO));
    assert!(flv::media(&got, flv::VIDEO).len() >= 25);
}

#[test]
fn vhosts_are_told_apart() {
    let blocks = "vhost a.com { http_remux { enabled on; } }\n\
                  vhost b.com { http_remux { enabled on; mount [vhost]/tv/[app]/[stream].flv; } }\n\
                  vhost c.com { }\n";
    let live = Live::at("127.0.0.1", Setup::default().vhosts(blocks));
    let rtmp = |vhost| format!("{}?vhost={vhost}", live.server.url("s"));
    let _a = publish(&live.server, Sample::H264, &rtmp("a.com"));
    let _b = publish(&live.server, Sample::Aac, &rtmp("b.com"));
    let a = live.fetch("/live/s.flv?vhost=a.com", 3);
    flv::assert_same_media(&sent(Sample::H264), &flv::read(&a), 20);
    let b = live.fetch("/tv/live/s.flv?vhost=b.com", 3);
    flv::assert_same_media(&sent(Sample::Aac), &flv::read(&b), 20);
    for target in [
        "/live/s.flv?vhost=b.com",
        "/live/s.flv?vhost=c.com",
        "/a/live/s.flv?vhost=a.com",
    ] {
        let mut command = Command::new("curl");
        command.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", &live.url(target)]);
        let status = run("curl", live.server.folder(), 10, &mut command).ok().output;
        assert_eq!(status, "404", "{target}");
    }
}

#[test]
fn ipv6_players_are_served() {
    let live = Live::at("[::1]", Setup::default().vhost("http_remux { enabled on; }"));
    let _publisher = live.publish(Sample::H264Aac, "s");
    let file = live.server.file("six.flv");
    let _player = live.curl(&format!("http://[::1]:{}/live/s.flv", live.port.number()), &file);
    wait_for_bytes(&file, 20_000);
    assert!(flv::media(&flv::read(&file), flv::VIDEO).len() >= 10);
}

#[test]
fn hevc_goes_in_enhanced_flv() {
    let live = Live::start();
    let _publisher = live.publish(Sample::HevcAac, "s");
    let file = live.fetch("/live/s.flv", 3);
    flv::assert_same_media(&sent(Sample::HevcAac), &flv::read(&file), 20);
    assert!(Ffmpeg::Eight.decode(live.server.folder(), &file) >= 25);
}

#[test]
fn two_hundred_players_get_the_same_bytes() {
    let live = Live::start();
    let _publisher = live.publish(Sample::H264Aac, "s");
    let mut players: Vec<_> = (0..200)
        .map(|number| {
            let file = live.server.file(&format!("p{number}.flv"));
            (live.curl(&live.url("/live/s.flv"), &file), file)
        })
        .collect();
    std::thread::sleep(Duration::from_secs(5));
    for (player, _) in &mut players {
        assert!(player.is_running());
        player.signal(nix::sys::signal::Signal::SIGTERM);
    }
    let sent = sent(Sample::H264Aac);
    for (player, file) in &mut players {
        player.wait(5);
        flv::assert_same_media(&sent, &flv::read(file), 30);
    }
}
