//! A server with an HTTP server for the files that it writes below `html`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::clients::Ffmpeg;
use super::media::Sample;
use super::port::Port;
use super::program::{Program, run};
use super::server::{Server, Setup};

/// The server and its HTTP port.
pub struct Web {
    pub server: Server,
    port: Port,
}

impl Web {
    #[track_caller]
    pub fn start(setup: Setup) -> Self {
        let port = Port::free();
        let server = setup
            .globals(&format!(
                "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n",
                port.number()
            ))
            .start();
        server.wait_for_line(&["HTTP-Server listen at tcp://"]);
        Web { server, port }
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port.number())
    }

    /// A file below `html/live`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.server.file(&format!("html/live/{name}"))
    }

    /// Publishes the stream `s`.
    pub fn publish(&self, sample: Sample) -> Program {
        let encoder = match sample {
            Sample::HevcAac | Sample::Av1Opus | Sample::Vp9Opus => Ffmpeg::Eight,
            _ => Ffmpeg::Debian,
        };
        encoder.publish(self.server.folder(), &sample.path(), &self.server.url("s"))
    }

    /// The status of an answer, whose body may be anything.
    #[track_caller]
    pub fn status(&self, target: &str) -> u16 {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}"]);
        command.arg(self.url(target));
        let output = run("curl", self.server.folder(), 30, &mut command).ok().output;
        output.trim().parse().expect("a status")
    }

    /// The status and the body of an answer.
    #[track_caller]
    pub fn get(&self, target: &str) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "20", "-w", "\n%{http_code}"]);
        command.arg(self.url(target));
        let output = run("curl", self.server.folder(), 30, &mut command).ok().output;
        let (body, status) = output.trim_end().rsplit_once('\n').expect("a status");
        (status.parse().expect("a status"), body.to_owned())
    }

    /// The body of an answer, which is no text.
    #[track_caller]
    pub fn get_bytes(&self, target: &str) -> Vec<u8> {
        let file = self.server.file("got");
        let mut command = Command::new("curl");
        command
            .args(["-sSf", "--max-time", "20", "-o"])
            .arg(&file)
            .arg(self.url(target));
        run("curl", self.server.folder(), 30, &mut command).ok();
        std::fs::read(&file).expect("read what curl got")
    }
}

/// The status and the body of an answer of any port; the status is 0 where there is none.
#[track_caller]
pub fn get(port: u16, target: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set a time limit");
    // In one piece: the exporter refuses heads that come in several.
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("ask");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), body.to_owned())
}
