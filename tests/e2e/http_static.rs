//! Files over HTTP: real clients, and a raw socket for what no client does.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::run;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

struct Site {
    server: Server,
    port: Port,
}

impl Site {
    /// A server with some files, at `127.0.0.1` or `[::1]`.
    fn start(address: &str) -> Self {
        let port = Port::free();
        let listen = format!("{address}:{}", port.number());
        let server = Setup::default()
            .globals(&format!("http_server {{ enabled on; listen {listen}; dir ./html; }}\n"))
            .vhost("http_static { enabled on; mount [vhost]/vod; dir ./vod; }")
            .start();
        server.wait_for_line(&["HTTP-Server listen at tcp://"]);
        for folder in ["html/live", "vod"] {
            fs::create_dir_all(server.file(folder)).expect("make a folder");
        }
        fs::write(server.file("html/index.html"), "the index").expect("write a page");
        fs::write(server.file("html/live/a.bin"), (0..=255).collect::<Vec<u8>>()).expect("write a file");
        fs::write(server.file("vod/b.txt"), "on demand").expect("write a file");
        Site { server, port }
    }

    fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port.number())
    }

    fn curl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "10"]).args(arguments);
        run("curl", self.server.folder(), 15, &mut command).ok().output
    }

    /// The status of a path that curl must not tidy up.
    fn status(&self, target: &str) -> String {
        self.curl(&[
            "--path-as-is",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &self.url(target),
        ])
    }

    /// Everything that the server sends for these bytes until it closes.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port.number())).expect("connect");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a time limit");
        stream.write_all(bytes).expect("send");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an end");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[test]
fn curl_gets_pages_parts_and_heads() {
    let site = Site::start("127.0.0.1");
    let page = site.curl(&["-i", &site.url("/")]);
    assert!(
        page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("\r\n\r\nthe index"),
        "{page}"
    );
    assert!(page.contains("\r\nServer: SRS/7.0.18(Hang)\r\n"), "{page}");
    let head = site.curl(&["-I", &site.url("/live/a.bin")]);
    assert!(
        head.contains("Content-Length: 256\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let part = site.server.file("part");
    let name = part.to_string_lossy().into_owned();
    let status = site.curl(&[
        "-r",
        "100-199",
        "-o",
        &name,
        "-w",
        "%{http_code}",
        &site.url("/live/a.bin"),
    ]);
    assert_eq!(
        (status.as_str(), fs::read(&part).expect("the part")),
        ("206", (100..200).collect::<Vec<u8>>())
    );
    assert_eq!(site.curl(&[&site.url("/vod/b.txt")]), "on demand");
    assert_eq!(site.curl(&["-L", &site.url("/vod/../")]), "the index");
    let missing = site.curl(&["-i", &site.url("/none")]);
    assert!(
        missing.starts_with("HTTP/1.1 404 Not Found\r\n") && missing.ends_with("\r\n\r\nNot Found"),
        "{missing}"
    );
}

#[test]
fn curl_uses_one_connection_for_several_requests() {
    let site = Site::start("127.0.0.1");
    let url = site.url("/");
    let counts = site.curl(&["-w", " %{num_connects}\n", &url, &url, &url]);
    assert_eq!(counts, "the index 1\nthe index 0\nthe index 0\n");
}

#[test]
fn curl_does_not_fetch_what_it_has() {
    let site = Site::start("127.0.0.1");
    let copy = site.server.file("copy").to_string_lossy().into_owned();
    let (url, status) = (site.url("/live/a.bin"), "%{http_code}");
    assert_eq!(site.curl(&["-R", "-o", &copy, "-w", status, &url]), "200");
    assert_eq!(site.curl(&["-z", &copy, "-o", "/dev/null", "-w", status, &url]), "304");
    let tag = site.server.file("tag").to_string_lossy().into_owned();
    assert_eq!(
        site.curl(&["--etag-save", &tag, "-o", &copy, "-w", status, &url]),
        "200"
    );
    assert_eq!(
        site.curl(&["--etag-compare", &tag, "-o", "/dev/null", "-w", status, &url]),
        "304"
    );
}

#[test]
fn nothing_outside_the_folders_is_reached() {
    let site = Site::start("127.0.0.1");
    let conf = site.server.file("srs.conf");
    assert!(conf.exists());
    std::os::unix::fs::symlink(&conf, site.server.file("html/link.conf")).expect("a link");
    for target in [
        "/../srs.conf",
        "/live/../../srs.conf",
        "/%2e%2e/srs.conf",
        "/%252e%252e%252fsrs.conf",
        "/..%5csrs.conf",
        "/..\\srs.conf",
        "/vod/../../srs.conf",
        "/vod/..%2f..%2fsrs.conf",
        "/live%00/../../srs.conf",
    ] {
        assert_eq!(site.status(target), "400", "{target}");
    }
    assert_eq!(site.status("/link.conf"), "404");
    assert_eq!(site.status("//etc/passwd"), "404");
    let absolute = format!("GET {} HTTP/1.0\r\n\r\n", conf.display());
    assert!(site.raw(absolute.as_bytes()).starts_with("HTTP/1.1 404 "));
}

#[test]
fn requests_may_be_sent_before_the_answers_come() {
    let site = Site::start("127.0.0.1");
    let mut requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50);
    requests += "GET /none HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answers = site.raw(requests.as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 50);
    assert_eq!(answers.matches("\r\n\r\nthe index").count(), 50);
    assert!(answers.ends_with("\r\n\r\nNot Found"));
}

#[test]
fn hostile_requests_are_refused_and_the_server_goes_on() {
    let site = Site::start("127.0.0.1");
    let before = site.server.resident_kilobytes();
    let long = "x".repeat(70_000);
    let cases = [
        (format!("GET / HTTP/1.1\r\nA: {long}\r\n\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000)), "431"),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), "414"),
        (
            "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            "400",
        ),
        ("\x16\x03\x01\x02".to_owned(), "400"),
    ];
    for (request, status) in &cases {
        for _ in 0..20 {
            let answer = site.raw(request.as_bytes());
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
        }
    }
    let after = site.server.resident_kilobytes();
    assert!(after < before + 8192, "{before} kB grew to {after} kB");
    assert_eq!(site.curl(&[&site.url("/")]), "the index");
}

#[test]
fn a_slow_request_is_cut_off_after_fifteen_seconds() {
    let site = Site::start("127.0.0.1");
    let begin = Instant::now();
    let answer = site.raw(b"GET / HTTP/1.1\r\nHos");
    let waited = begin.elapsed();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!((14..18).contains(&waited.as_secs()), "{waited:?}");
}

#[test]
fn ipv6_is_served() {
    let site = Site::start("[::1]");
    let url = format!("http://[::1]:{}/", site.port.number());
    assert_eq!(site.curl(&["-g", &url]), "the index");
    assert!(TcpStream::connect(("127.0.0.1", site.port.number())).is_err());
}

#[test]
fn players_seek_in_recordings() {
    let site = Site::start("127.0.0.1");
    let flv = Sample::H264Aac.path();
    fs::copy(&flv, site.server.file("html/a.flv")).expect("copy a sample");
    let mut make = Command::new("ffmpeg");
    make.args(["-v", "error", "-y", "-i"])
        .arg(&flv)
        .args(["-c", "copy"])
        .arg(site.server.file("html/a.mp4"));
    run("ffmpeg", site.server.folder(), 20, &mut make).ok();
    let whole = pictures(site.server.folder(), &[], &site.url("/a.flv"));
    assert!(whole >= 50, "{whole} pictures");
    assert_eq!(pictures(site.server.folder(), &[], &site.url("/a.mp4")), whole);
    let seeked = pictures(site.server.folder(), &["-ss", "1"], &site.url("/a.mp4"));
    assert!(
        seeked > 0 && seeked < whole,
        "{seeked} of {whole} pictures after a seek"
    );
    // The first keyframe after the middle, as a player finds it in an index.
    let bytes = fs::read(&flv).expect("the sample");
    let start = keyframes(&bytes)
        .find(|at| *at > bytes.len() / 2)
        .expect("a keyframe in the second half");
    let rest = pictures(site.server.folder(), &[], &site.url(&format!("/a.flv?start={start}")));
    assert!(rest > 0 && rest < whole, "{rest} of {whole} pictures from byte {start}");
}

/// How many pictures FFmpeg decodes without a complaint.
fn pictures(folder: &Path, seek: &[&str], url: &str) -> usize {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-nostdin"])
        .args(seek)
        .args(["-i", url, "-map", "0:v", "-f", "framecrc", "-"]);
    let output = run("ffmpeg", folder, 20, &mut command).ok().output;
    assert!(!output.contains("rror"), "{url}: {output}");
    output.lines().filter(|line| line.starts_with("0,")).count()
}

/// Where the tags of H.264 keyframes stand in an FLV file.
fn keyframes(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 13;
    std::iter::from_fn(move || {
        let tag = at;
        let header = bytes.get(tag..tag + 13)?;
        at += 15 + (usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]));
        Some((tag, header[0] == 9 && header[11] == 0x17 && header[12] == 1))
    })
    .filter_map(|(tag, is_key)| is_key.then_some(tag))
}

#[test]
fn a_reload_changes_what_is_served() {
    let site = Site::start("127.0.0.1");
    let conf = site.server.file("srs.conf");
    let text = fs::read_to_string(&conf).expect("the configuration");
    fs::write(&conf, text.replace("mount [vhost]/vod;", "mount [vhost]/demand;")).expect("change it");
    let mut hangup = Command::new("kill");
    hangup.args(["-HUP", &site.server.pid().to_string()]);
    run("kill", site.server.folder(), 5, &mut hangup).ok();
    wait_for("the new mount", 5, || {
        (site.status("/demand/b.txt") == "200").then_some(())
    });
    assert_eq!(site.status("/vod/b.txt"), "404");
}
