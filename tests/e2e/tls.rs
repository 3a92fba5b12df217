//! HTTPS and RTMPS: real clients on the same media, certificates that change, callbacks, and clients that mean no good.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::bystander::{Bystander, numbered_frame, numbered_header};
use crate::support::certificate::{self, Form, Tls};
use crate::support::clients::{Ffmpeg, rtmpdump};
use crate::support::flv::{self, assert_same_media};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::rtmp::Rtmp;
use crate::support::server::{PROGRAM, Server, Setup};
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

/// A server with everything behind TLS that can be, and its certificates.
struct Secure {
    server: Server,
    https: Port,
    api: Port,
    rtmps: Port,
    _plain: [Port; 2],
    keys: WorkDir,
}

impl Secure {
    fn start(setup: Setup) -> Self {
        let keys = WorkDir::new("keys");
        for (name, form) in [("media", Form::Pkcs1), ("api", Form::Sec1), ("rtmps", Form::Pkcs8)] {
            certificate::make(&keys, name, form);
        }
        Self::with_keys(setup, keys)
    }

    fn with_keys(setup: Setup, keys: WorkDir) -> Self {
        let (https, api, rtmps) = (Port::free(), Port::free(), Port::free());
        let plain = [Port::free(), Port::free()];
        let files = |name: &str| {
            let file = keys.join(name);
            format!("key {0}.key; cert {0}.crt;", file.display())
        };
        let block = |port: &Port, name: &str| {
            let listen = port.number();
            format!(
                "https {{ enabled on; listen 127.0.0.1:{listen} [::1]:{listen}; {} }}",
                files(name)
            )
        };
        let globals = format!(
            "http_server {{ enabled on; listen {}; dir ./html; {} }}\nhttp_api {{ enabled on; listen 127.0.0.1:{}; {} }}\n\
             rtmps {{ enabled on; listen 127.0.0.1:{}; {} }}\n",
            plain[0].number(),
            block(&https, "media"),
            plain[1].number(),
            block(&api, "api"),
            rtmps.number(),
            files("rtmps")
        );
        let server = setup.globals(&globals).vhost("http_remux { enabled on; }").start();
        server.wait_for_line(&["HTTPS-API listen at tcp://[::1]"]);
        fs::create_dir_all(server.file("html")).expect("create a folder");
        fs::write(server.file("html/index.html"), "the page").expect("write a page");
        Secure {
            server,
            https,
            api,
            rtmps,
            _plain: plain,
            keys,
        }
    }

    fn url(&self, target: &str) -> String {
        format!("https://127.0.0.1:{}{target}", self.https.number())
    }

    fn rtmps_url(&self, stream: &str) -> String {
        format!("rtmps://127.0.0.1:{}/live/{stream}", self.rtmps.number())
    }

    /// What curl gets.
    fn curl(&self, url: &str, options: &[&str]) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "-g", "--max-time", "10"]).args(options).arg(url);
        run("curl", self.server.folder(), 20, command.current_dir(&*self.keys))
            .ok()
            .output
    }

    /// Whether curl believes the server when it trusts only this certificate.
    fn shows(&self, certificate: &str) -> bool {
        let url = format!("https://localhost:{}/", self.https.number());
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "-4",
            "--max-time",
            "10",
            "-o",
            "/dev/null",
            "--cacert",
            certificate,
            &url,
        ]);
        command
            .current_dir(&*self.keys)
            .output()
            .expect("run curl")
            .status
            .success()
    }

    fn publish(&self, url: &str) -> Program {
        let publisher = Ffmpeg::Debian.publish(self.server.folder(), &Sample::H264Aac.path(), url);
        self.server.wait_for_line(&["start publish"]);
        thread::sleep(Duration::from_millis(1500));
        publisher
    }

    /// curl of a live stream into a file, for so many seconds.
    fn watch(&self, seconds: u32, name: &str) -> (Program, PathBuf) {
        let file = self.server.file(name);
        let mut command = Command::new("curl");
        command
            .args(["-sSk", "-N", "--max-time", &seconds.to_string(), "-o"])
            .arg(&file);
        command.arg(self.url("/live/s.flv"));
        (Program::start("curl", self.server.folder(), &mut command), file)
    }

    fn copy(&self, from: &str, to: &str) {
        fs::copy(self.keys.join(from), self.keys.join(to)).expect("copy a key or certificate");
    }
}

fn sent() -> Vec<flv::Tag> {
    flv::read(&Sample::H264Aac.path())
}

fn assert_plays(file: &Path) {
    assert_same_media(&sent(), &flv::read(file), 50);
}

#[test]
fn files_and_the_api_come_over_https() {
    let site = Secure::start(Setup::default());
    assert_eq!(site.curl(&site.url("/"), &["-k"]), "the page");
    assert_eq!(site.curl(&site.url("/"), &["-k", "--tls-max", "1.2"]), "the page");
    let ipv6 = format!("https://[::1]:{}/", site.https.number());
    assert_eq!(site.curl(&ipv6, &["-k"]), "the page");
    assert!(site.shows("media.crt") && !site.shows("api.crt"));
    let api = format!("https://127.0.0.1:{}/api/v1/versions", site.api.number());
    assert!(site.curl(&api, &["-k"]).starts_with("{\"code\":0,"));
    // Several requests on one connection.
    let urls = [site.url("/"), site.url("/none")];
    let twice = [
        "-k",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{num_connects}\n",
        "-o",
        "/dev/null",
        &urls[0],
    ];
    assert_eq!(site.curl(&urls[1], &twice), "200 1\n404 0\n");
    let features = site.curl(
        &format!("https://127.0.0.1:{}/api/v1/features", site.api.number()),
        &["-k"],
    );
    assert!(
        features.contains("\"ssl\":true") && features.contains("--tls=on"),
        "{features}"
    );
}

#[test]
fn a_chain_leads_to_its_authority() {
    let keys = WorkDir::new("keys");
    certificate::make(&keys, "api", Form::Sec1);
    certificate::make(&keys, "rtmps", Form::Sec1);
    certificate::make_chain(&keys, "media");
    let site = Secure::with_keys(Setup::default(), keys);
    assert!(site.shows("root.crt"));
}

#[test]
fn one_port_of_each_kind_serves_the_api_and_files() {
    let keys = WorkDir::new("keys");
    certificate::make(&keys, "media", Form::Sec1);
    let (plain, secure) = (Port::free(), Port::free());
    let files = format!("key {0}/media.key; cert {0}/media.crt;", keys.display());
    let globals = format!(
        "http_api {{ enabled on; listen 127.0.0.1:{0}; https {{ enabled on; {files} }} }}\n\
         http_server {{ enabled on; listen 127.0.0.1:{0}; https {{ enabled on; listen 127.0.0.1:{1}; {files} }} }}\n",
        plain.number(),
        secure.number(),
    );
    let server = Setup::default().globals(&globals).start();
    server.wait_for_line(&["HTTPS-Server listen at"]);
    let mut command = Command::new("curl");
    let url = format!("https://127.0.0.1:{}/api/v1/versions", secure.number());
    let answer = run("curl", server.folder(), 20, command.args(["-sSk", &url]))
        .ok()
        .output;
    assert!(answer.starts_with("{\"code\":0,"), "{answer}");
    assert!(!server.log().contains("HTTPS-API"));
}

#[test]
fn what_is_published_over_rtmps_is_what_is_played() {
    let site = Secure::start(Setup::default());
    let url = site.rtmps_url("s");
    let _publisher = site.publish(&url);
    let mut player = Rtmp::connect(site.server.port(), "live")
        .expect("connect")
        .play("s")
        .expect("play");
    player.wait_for_media().expect("media of the publisher");
    assert_same_media(&sent(), &player.collect_media(Duration::from_secs(3)), 50);

    let dumped = site.server.file("dumped.flv");
    let mut player = rtmpdump(site.server.folder(), &url, &dumped, &[]);
    thread::sleep(Duration::from_secs(4));
    assert!(player.is_running(), "rtmpdump complains:\n{}", player.output());
    player.signal(Signal::SIGINT);
    player.wait(5);
    assert_plays(&dumped);

    let played = site.server.file("played.flv");
    let mut player = Ffmpeg::Debian.record(site.server.folder(), &[], &url, 3, &played);
    player.wait(20).ok();
    assert!(Ffmpeg::Debian.decode(site.server.folder(), &played) >= 50);
}

#[test]
fn ffmpeg_8_publishes_and_plays_rtmps() {
    let site = Secure::start(Setup::default());
    let (url, unchecked) = (site.rtmps_url("s"), ["-tls_verify", "0"]);
    let file = Sample::HevcAac.path();
    let _publisher = Ffmpeg::Eight.publish_with(site.server.folder(), &file, &[], &unchecked, &url);
    site.server.wait_for_line(&["start publish"]);
    let played = site.server.file("played.flv");
    let mut player = Ffmpeg::Eight.record(site.server.folder(), &unchecked, &url, 3, &played);
    player.wait(20).ok();
    assert!(Ffmpeg::Eight.decode(site.server.folder(), &played) >= 50);
}

#[test]
fn live_flv_comes_over_https() {
    let site = Secure::start(Setup::default());
    let _publisher = site.publish(&site.server.url("s"));
    let (mut curl, file) = site.watch(4, "curl.flv");
    let played = site.server.file("played.flv");
    let mut player = Ffmpeg::Debian.record(site.server.folder(), &[], &site.url("/live/s.flv"), 3, &played);
    player.wait(20).ok();
    assert!(Ffmpeg::Debian.decode(site.server.folder(), &played) >= 50);
    // 28: the time is up, which is how a live stream is left.
    curl.wait(20).exits_with(28);
    assert_plays(&file);
}

#[test]
fn live_flv_comes_over_websocket_and_tls() {
    let site = Secure::start(Setup::default());
    let _publisher = site.publish(&site.server.url("s"));
    let mut client = Tls::connect(site.https.number(), &[]);
    let request = "GET /live/s.flv HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.input.write_all(request.as_bytes()).expect("ask");
    client.input.flush().expect("ask");
    let mut bytes = vec![0; 60_000];
    client.output.read_exact(&mut bytes).expect("frames");
    let head = b"HTTP/1.1 101 Switching Protocols\r\n";
    assert_eq!(&bytes[..head.len()], head);
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head")
        + 4;
    let (mut rest, mut stream) = (&bytes[end..], Vec::new());
    while rest.len() > 10 {
        assert_eq!(rest[0], 0x82);
        let (length, start) = match rest[1] {
            126 => (usize::from(rest[2]) << 8 | usize::from(rest[3]), 4),
            127 => (
                rest[2..10].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                10,
            ),
            short => (usize::from(short), 2),
        };
        let end = (start + length).min(rest.len());
        stream.extend_from_slice(&rest[start..end]);
        rest = &rest[end..];
    }
    let file = site.server.file("socket.flv");
    fs::write(&file, &stream).expect("write what came");
    assert_same_media(&sent(), &flv::read(&file), 20);
}

#[test]
fn certificates_change_while_players_play() {
    let site = Secure::start(Setup::default());
    certificate::make(&site.keys, "new", Form::Sec1);
    let _publisher = site.publish(&site.server.url("s"));
    let (mut player, file) = site.watch(9, "curl.flv");
    assert!(site.shows("media.crt"));

    // A half of a pair, as for the moment between two copies, or for ever.
    site.copy("media.key", "old.key");
    site.copy("media.crt", "old.crt");
    site.copy("new.crt", "media.crt");
    thread::sleep(Duration::from_millis(1100));
    assert!(site.shows("old.crt"));
    thread::sleep(Duration::from_millis(1100));
    assert!(site.shows("old.crt"));
    let complaint = ["http_server.https.key", "does not belong", "stays in use"];
    site.server.wait_for_line(&complaint);
    site.copy("new.key", "media.key");
    thread::sleep(Duration::from_millis(1100));
    assert!(site.shows("new.crt") && !site.shows("old.crt"));

    // A reload looks too, and says it before anybody connects.
    fs::write(site.keys.join("api.crt"), "nothing").expect("spoil a certificate");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(site.server.pid() as i32), Signal::SIGHUP).expect("reload");
    site.server
        .wait_for_line(&["http_api.https.cert", "CERTIFICATE", "stays in use"]);
    site.server.wait_for_line(&["reload success"]);
    let api = format!("https://127.0.0.1:{}/api/v1/versions", site.api.number());
    assert!(site.curl(&api, &["-k"]).starts_with("{\"code\":0,"));

    player.wait(20).exits_with(28);
    assert_plays(&file);
    let log = site.server.log();
    let complaints = log
        .lines()
        .filter(|line| complaint.iter().all(|part| line.contains(part)));
    assert_eq!(complaints.count(), 1);
}

#[test]
fn a_server_without_its_certificate_says_what_is_missing() {
    let folder = WorkDir::new("conf");
    let port = Port::free();
    let text = format!(
        "listen 127.0.0.1:{};\nmax_connections 100;\ndaemon off;\nsrs_log_tank console;\npid srs.pid;\n\
         rtmps {{ enabled on; }}\nvhost __defaultVhost__ {{ }}\n",
        port.number()
    );
    fs::write(folder.join("my.conf"), text).expect("write a configuration");
    let mut command = Command::new(PROGRAM);
    command.args(["-c", "my.conf"]).current_dir(&*folder);
    // 4045 in one byte.
    let output = run("srs", &folder, 10, &mut command).exits_with(4045 & 255).output;
    for part in ["HttpsSslFile", "rtmps.cert", "./conf/server.crt", "No such file"] {
        assert!(output.contains(part), "{part}: {output}");
    }
}

/// Answers callbacks over TLS, with the certificate of its arguments; writes each body to a file.
const CALLBACKS: &str = "
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        open(sys.argv[4], 'ab').write(self.path.encode() + b' ' + body + b'\\n')
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'0')
server = http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print('ready', flush=True)
server.serve_forever()
";

/// A server that publishers are told of at a callback server behind TLS.
fn called(setup: Setup, keys: &WorkDir) -> (Server, Program, PathBuf, Port) {
    let (port, asked) = (Port::free(), keys.join("asked"));
    certificate::make_chain(keys, "hooks");
    let mut command = Command::new("python3");
    command.args(["-c", CALLBACKS, &port.number().to_string(), "hooks.crt", "hooks.key"]);
    let python = Program::start("python3", keys, command.arg(&asked).current_dir(&**keys));
    wait_for("the callback server", 10, || {
        python.output().contains("ready").then_some(())
    });
    let block = format!(
        "http_hooks {{ enabled on; on_publish https://localhost:{}/pub; }}",
        port.number()
    );
    (setup.vhost(&block).start(), python, asked, port)
}

fn publish(server: &Server) -> std::io::Result<Rtmp> {
    Rtmp::connect(server.port(), "live")?.publish("live", "s")
}

#[test]
fn callbacks_go_to_servers_behind_tls() {
    let keys = WorkDir::new("keys");
    let (server, _python, asked, _port) = called(Setup::default(), &keys);
    publish(&server).expect("publish");
    let told = fs::read_to_string(asked).expect("what was asked");
    assert!(told.starts_with("/pub {") && told.contains("\"on_publish\""), "{told}");
    server.wait_for_line(&["tls_verify is off"]);
}

#[test]
fn callbacks_may_be_kept_from_strangers() {
    let keys = WorkDir::new("keys");
    let setup = Setup::default().globals("tls_verify on;\n").allow_error("serve error");
    let (server, _python, asked, _port) = called(setup, &keys);
    assert!(publish(&server).is_err());
    server.wait_for_line(&["https server localhost", "invalid peer certificate"]);
    assert!(!asked.exists() && !server.log().contains("tls_verify is off"));

    let keys = WorkDir::new("keys");
    let trusted = keys.join("root.crt").display().to_string();
    let setup = Setup::default()
        .globals("tls_verify on;\n")
        .environment("SSL_CERT_FILE", &trusted);
    let (server, _python, asked, _port) = called(setup, &keys);
    publish(&server).expect("publish");
    assert!(asked.exists());
}

#[test]
fn clients_that_mean_no_good_disturb_nobody() {
    let site = Secure::start(Setup::default().allow_error("RTMP version byte is not 3"));
    let _publisher = site.publish(&site.server.url("s"));
    let other = Bystander::start(site.server.port());
    let (mut player, file) = site.watch(8, "curl.flv");
    let connect = |port: &Port| TcpStream::connect(("127.0.0.1", port.number())).expect("connect");
    let stalled: Vec<TcpStream> = (0..100)
        .map(|index| {
            let mut client = connect(if index % 2 == 0 { &site.https } else { &site.rtmps });
            // Some begin a record that never ends.
            let _ = client.write_all(&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..index % 12]);
            client
        })
        .collect();
    let mut plain = connect(&site.https);
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("ask");
    // An alert, then the end.
    let _ = plain.read_to_end(&mut Vec::new());
    other.assert_flows();
    for _ in 0..20 {
        let mut client = connect(&site.https);
        let garbage: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(2000).collect();
        let _ = client.write_all(&garbage);
    }
    let mut client = Tls::connect(site.rtmps.number(), &[]);
    // Over TLS, but no RTMP.
    let _ = client.input.write_all(&[0x80; 4000]);
    let _ = client.input.flush();
    other.assert_flows();
    player.wait(20).exits_with(28);
    assert_plays(&file);
    site.server.wait_for_line(&["is cut off", "peer speaks plain HTTP"]);
    // Ten seconds after they came.
    wait_for("stalled handshakes to be cut", 15, || {
        let log = site.server.log();
        let cut = |line: &&str| {
            line.contains("is cut off") && line.contains("TLS handshake") && line.contains("SocketTimeout")
        };
        (log.lines().filter(cut).count() >= 100).then_some(())
    });
    drop(stalled);
    other.finish();
}

#[test]
fn a_player_that_stops_reading_delays_nobody() {
    let site = Secure::start(Setup::default());
    let _publisher = site.publish(&site.server.url("s"));
    let other = Bystander::start(site.server.port());
    let mut player = rtmpdump(
        site.server.folder(),
        &site.rtmps_url("s"),
        &site.server.file("dumped.flv"),
        &[],
    );
    let (mut good, file) = site.watch(7, "curl.flv");
    thread::sleep(Duration::from_secs(2));
    player.signal(Signal::SIGSTOP);
    let mut publisher = Rtmp::connect(site.server.port(), "live")
        .expect("connect")
        .publish("live", "t")
        .expect("publish");
    publisher.send_tag(&numbered_header()).expect("send a header");
    for number in 0..500 {
        publisher.send_tag(&numbered_frame(number)).expect("send a frame");
    }
    other.assert_flows();
    good.wait(20).exits_with(28);
    assert_plays(&file);
    player.signal(Signal::SIGCONT);
    player.signal(Signal::SIGINT);
    player.wait(5);
    other.finish();
}
