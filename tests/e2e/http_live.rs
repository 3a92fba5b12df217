//! Live streams over HTTP: real clients, and a raw socket for what no client does.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::flv::{self, Tag};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::server::{PROGRAM, Server, Setup};
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

pub struct Live {
    pub server: Server,
    port: Port,
}

impl Live {
    /// A server whose streams are FLV.
    fn start() -> Self {
        Live::with("http_remux { enabled on; }")
    }

    /// A server with these directives in its default vhost.
    pub fn with(directives: &str) -> Self {
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

    pub fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port.number())
    }

    pub fn publish(&self, sample: Sample, stream: &str) -> Program {
        publish(&self.server, sample, &self.server.url(stream))
    }

    /// curl of a stream into a file, until the stream ends or the player is stopped.
    pub fn curl(&self, url: &str, file: &Path) -> Program {
        let mut command = Command::new("curl");
        command.args(["-sS", "-N", "-g", "-o"]).arg(file).arg(url);
        Program::start("curl", self.server.folder(), &mut command)
    }

    /// What curl gets within so many seconds.
    pub fn fetch(&self, target: &str, seconds: u32) -> PathBuf {
        let file = self.server.file(&format!("got-{}", file_name(target)));
        let mut command = Command::new("curl");
        command.args(["-sS", "-N", "-o"]).arg(&file);
        command.args(["--max-time", &seconds.to_string(), &self.url(target)]);
        // 28: the time is up, which is how a live stream is left.
        run("curl", self.server.folder(), 20, &mut command).exits_with(28);
        file
    }
}

fn file_name(target: &str) -> String {
    target.replace(['/', '?', '=', '&'], "-")
}

#[track_caller]
fn publish(server: &Server, sample: Sample, url: &str) -> Program {
    let publisher = sample.encoder().publish(server.folder(), &sample.path(), url);
    server.wait_for_line(&["start publish"]);
    // A group of pictures, so that a player starts at once.
    std::thread::sleep(Duration::from_millis(1500));
    publisher
}

#[track_caller]
pub fn wait_for_bytes(file: &Path, bytes: u64) {
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
    let report = probe(live.server.folder(), &url);
    let mut names = codecs(&report);
    names.sort_unstable();
    assert_eq!(names, ["aac", "h264"]);
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
    publisher.signal(Signal::SIGTERM);
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
        player.signal(Signal::SIGTERM);
    }
    let sent = sent(Sample::H264Aac);
    for (player, file) in &mut players {
        player.wait(5);
        flv::assert_same_media(&sent, &flv::read(file), 30);
    }
}

/// The codecs that FFprobe finds, and how many pictures FFmpeg decodes without complaint, in what curl gets.
fn look_at(live: &Live, target: &str, seconds: u32) -> (Vec<String>, usize) {
    let file = live.fetch(target, seconds);
    let report = probe(live.server.folder(), &file.to_string_lossy());
    let names = codecs(&report).into_iter().map(str::to_owned).collect();
    (names, Ffmpeg::Debian.decode(live.server.folder(), &file))
}

#[test]
fn ts_starts_with_its_tables_and_decodes() {
    let live = Live::with("http_remux { enabled on; mount [vhost]/[app]/[stream].ts; }");
    let _publisher = live.publish(Sample::H264Aac, "s");
    let (names, pictures) = look_at(&live, "/live/s.ts", 4);
    assert_eq!(names, ["h264", "aac"]);
    assert!(pictures >= 75, "{pictures} pictures");
    let _hevc = publish(&live.server, Sample::HevcAac, &live.server.url("h"));
    let file = live.fetch("/live/h.ts", 3);
    let bytes = fs::read(&file).expect("what curl got");
    // The PAT is the first packet: PID 0 with the start of a section.
    assert_eq!(bytes[..3], [0x47, 0x40, 0x00]);
    assert!(bytes.chunks(188).all(|packet| packet[0] == 0x47));
    assert_eq!(
        codecs(&probe(live.server.folder(), &file.to_string_lossy())),
        ["hevc", "aac"]
    );
    let url = live.url("/live/s.ts");
    let played = live.server.file("played.flv");
    Ffmpeg::Debian
        .record(live.server.folder(), &[], &url, 3, &played)
        .wait(20)
        .ok();
    assert!(Ffmpeg::Debian.decode(live.server.folder(), &played) >= 70);
}

#[test]
fn aac_comes_in_adts_with_the_seconds_that_are_kept() {
    let live = Live::with("http_remux { enabled on; mount [vhost]/[app]/[stream].aac; fast_cache 3; }");
    let _publisher = live.publish(Sample::H264Aac, "s");
    std::thread::sleep(Duration::from_secs(3));
    let file = live.fetch("/live/s.aac", 1);
    let bytes = fs::read(&file).expect("what curl got");
    let wanted = sent(Sample::H264Aac);
    let wanted: Vec<&[u8]> = flv::media(&wanted, flv::AUDIO)
        .iter()
        .map(|payload| &payload[2..])
        .collect();
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while let Some(header) = rest.get(..7) {
        assert_eq!((header[0], header[1]), (0xff, 0xf1));
        let length = usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5] >> 5);
        let Some(frame) = rest.get(7..length) else { break };
        frames.push(frame);
        rest = &rest[length..];
    }
    // 43 frames make a second.
    flv::assert_stretch("AAC", &wanted, &frames, 43 * 3);
    assert!(frames.len() < 43 * 5, "{} frames", frames.len());
    assert_eq!(codecs(&probe(live.server.folder(), &live.url("/live/s.aac"))), ["aac"]);
}

#[test]
fn mp3_comes_frame_by_frame() {
    let live = Live::with("http_remux { enabled on; mount [vhost]/[app]/[stream].mp3; }");
    let _publisher = live.publish(Sample::H264Mp3, "s");
    let (names, _) = look_at(&live, "/live/s.mp3", 3);
    assert_eq!(names, ["mp3"]);
}

#[test]
fn a_mount_of_no_known_format_is_refused() {
    let folder = WorkDir::new("server");
    let (port, web) = (Port::free(), Port::free());
    let file = folder.join("srs.conf");
    let text = format!(
        "http_server {{ enabled on; listen {}; }}\nvhost a {{ http_remux {{ enabled on; mount [vhost]/[app]/[stream].mkv; }} }}\n",
        web.number()
    );
    fs::write(
        &file,
        format!(
            "listen 127.0.0.1:{};\ndaemon off;\nsrs_log_tank console;\npid srs.pid;\nmax_connections 100;\n{text}",
            port.number()
        ),
    )
    .expect("write the configuration");
    let mut command = Command::new(PROGRAM);
    command.arg("-c").arg(&file).current_dir(&*folder);
    let ended = run("srs", &folder, 10, &mut command);
    assert!(
        !ended.status.success() && ended.output.contains(".mkv"),
        "{}",
        ended.output
    );
}

/// Sends a masked frame.
fn send_frame(stream: &mut TcpStream, first: u8, payload: &[u8]) {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![first, 0x80 | payload.len() as u8];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    stream.write_all(&frame).expect("send a frame");
}

/// Reads a server's frame: its first byte and its payload.
fn read_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).expect("a frame");
    let mut read = |count: usize| {
        let mut bytes = vec![0; count];
        stream.read_exact(&mut bytes).expect("more of a frame");
        bytes
    };
    let length = match head[1] {
        126 => read(2).iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        127 => read(8).iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        short => usize::from(short),
    };
    (head[0], read(length))
}

fn open_websocket(live: &Live, target: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", live.port.number())).expect("connect");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time limit");
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("ask");
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    (stream, String::from_utf8_lossy(&head).into_owned())
}

#[test]
fn flv_comes_over_websocket() {
    let live = Live::start();
    let _publisher = live.publish(Sample::H264Aac, "s");
    let (mut stream, head) = open_websocket(&live, "/live/s.flv");
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(
        head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{head}"
    );
    send_frame(&mut stream, 0x89, b"are you there");
    let (mut bytes, mut pongs) = (Vec::new(), 0);
    while bytes.len() < 60_000 {
        match read_frame(&mut stream) {
            (0x82, payload) => bytes.extend(payload),
            (0x8a, payload) => {
                assert_eq!(payload, b"are you there");
                pongs += 1;
            }
            (first, payload) => panic!("frame {first:#x} of {} bytes", payload.len()),
        }
    }
    assert_eq!(pongs, 1);
    let file = live.server.file("socket.flv");
    fs::write(&file, &bytes).expect("write what came");
    flv::assert_same_media(&sent(Sample::H264Aac), &flv::read(&file), 20);
    send_frame(&mut stream, 0x88, &1000u16.to_be_bytes());
    while read_frame(&mut stream).0 != 0x88 {}
    assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
}

#[test]
fn websocket_players_end_with_their_publisher() {
    let live = Live::start();
    let (mut stream, _) = open_websocket(&live, "/live/s.flv");
    let mut publisher = live.publish(Sample::H264Aac, "s");
    assert_eq!(read_frame(&mut stream).0, 0x82);
    publisher.signal(Signal::SIGTERM);
    publisher.wait(5);
    let last = std::iter::repeat_with(|| read_frame(&mut stream)).find(|frame| frame.0 != 0x82);
    assert_eq!(last, Some((0x88, 1000u16.to_be_bytes().to_vec())));
}

#[test]
fn old_clients_get_the_bare_bytes() {
    let live = Live::start();
    let _publisher = live.publish(Sample::H264Aac, "s");
    let mut stream = TcpStream::connect(("127.0.0.1", live.port.number())).expect("connect");
    stream.write_all(b"GET /live/s.flv HTTP/1.0\r\n\r\n").expect("ask");
    let mut bytes = vec![0; 30_000];
    stream.read_exact(&mut bytes).expect("an answer");
    let head = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head")
        + 4;
    assert!(!String::from_utf8_lossy(&bytes[..head]).contains("Transfer-Encoding"));
    let file = live.server.file("old.flv");
    fs::write(&file, &bytes[head..]).expect("write what came");
    flv::assert_same_media(&sent(Sample::H264Aac), &flv::read(&file), 5);
}

#[test]
fn clients_that_do_not_listen_but_talk_are_cut_off() {
    let live = Live::start();
    let _publisher = live.publish(Sample::H264Aac, "s");
    let mut stream = TcpStream::connect(("127.0.0.1", live.port.number())).expect("connect");
    stream.write_all(b"GET /live/s.flv HTTP/1.1\r\n\r\n").expect("ask");
    // The server closes while we send.
    let _ = stream.write_all(&vec![b'x'; 1 << 20]);
    live.server.wait_for_line(&["is cut off", "that nobody asked for"]);

    let (mut stream, _) = open_websocket(&live, "/live/s.flv");
    // A frame without a mask.
    stream.write_all(&[0x82, 0]).expect("send a frame");
    live.server.wait_for_line(&["is cut off", "not masked"]);
    let file = live.fetch("/live/s.flv", 3);
    flv::assert_same_media(&sent(Sample::H264Aac), &flv::read(&file), 20);
}
