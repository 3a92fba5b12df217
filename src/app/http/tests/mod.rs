//! The HTTP server over real sockets, with time limits of the tests' own.

mod api;
mod connections;
mod files;
mod live;
mod pages;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::{Timeouts, conn};
use crate::app::config::Origin;
use crate::app::identity::Identity;
use crate::app::listener::Listener;
use crate::app::server::{Door, Server};
use crate::core::clock::Moment;
use crate::core::runtime::run;
use crate::core::tcp::TcpStream;
use crate::kernel::flv::mux::{file_start, put_tag};
use crate::kernel::flv::tag::Kind;

const SHORT: Timeouts = Timeouts {
    request: Duration::from_millis(300),
    write: Duration::from_millis(300),
    linger: Duration::from_millis(300),
};

/// A server with some files; its folder goes with it.
struct Site {
    server: Rc<Server>,
    listener: Listener,
    folder: PathBuf,
}

impl Site {
    fn new(label: &str, address: &str, directives: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("srs-http-{label}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let root = folder.join("html");
        fs::create_dir_all(root.join("live")).unwrap();
        fs::create_dir_all(folder.join("vod")).unwrap();
        fs::write(root.join("index.html"), "the index").unwrap();
        fs::write(root.join("live/a.m3u8"), "#EXTM3U").unwrap();
        fs::write(root.join("live/a.ts"), vec![0x47; 188 * 2000]).unwrap();
        fs::write(root.join("a.mp4"), (0..=255).collect::<Vec<u8>>()).unwrap();
        fs::write(root.join("a.flv"), flv_file()).unwrap();
        fs::write(folder.join("vod/b.txt"), "of the vhost").unwrap();
        fs::write(folder.join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        let text = format!(
            "listen 1935;\nmax_connections 20;\n{}\nvhost v.com {{ http_static {{ enabled on; mount [vhost]/vod; \
             dir {}; }} }}\nvhost off.com {{ enabled off; }}\n",
            directives.replace("DIR", &root.display().to_string()),
            folder.join("vod").display()
        );
        fs::write(folder.join("srs.conf"), text).unwrap();
        let origin = Origin::new(Some(folder.join("srs.conf")), false);
        let server = Server::new(origin, Identity::of_server("vid-0000000".to_owned())).unwrap();
        server.http.timeouts.set(SHORT);
        super::open(&server).unwrap();
        let accepting = server.clone();
        let accept = move |stream, peer| accepting.admit(Door::plain("http", conn::serve), stream, peer);
        let listener = Listener::open("test", address.parse().unwrap(), accept).unwrap();
        Site {
            server,
            listener,
            folder,
        }
    }

    fn files(label: &str) -> Self {
        Self::new(label, "127.0.0.1:0", "http_server { dir DIR; }")
    }

    fn connect(&self) -> Client {
        Client::connect(self.listener.address)
    }

    fn wait_until_empty(&self) {
        assert!(self.server.clients.wait_empty(Moment::after(Duration::from_secs(3))));
    }

    /// The answer to one request on a connection of its own.
    fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect();
        client.send(request);
        client.answer(request.starts_with("HEAD"))
    }

    fn get(&self, target: &str, fields: &str) -> Answer {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn flv_file() -> Vec<u8> {
    let mut file = file_start(true, true).to_vec();
    put_tag(&mut file, Kind::Data, 0, b"\x02\x00\x0aonMetaData\x05").unwrap();
    put_tag(&mut file, Kind::Video, 0, b"\x17\x00\x00\x00\x00\x01").unwrap();
    put_tag(&mut file, Kind::Audio, 0, b"\xaf\x00\x12\x10").unwrap();
    for time in 0..100 {
        put_tag(&mut file, Kind::Video, time * 40, &[0x17, 1, 0, 0, 0, time as u8]).unwrap();
    }
    file
}

struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ str| line.split_once(": ").filter(|(found, _)| *found == name).is_some();
        self.head
            .lines()
            .find(|line| named(line))
            .and_then(|line| line.split_once(": "))
            .map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address, Duration::from_secs(5)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30)));
        Client {
            stream,
            unread: Vec::new(),
        }
    }

    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn fill(&mut self) -> usize {
        let mut buffer = [0; 16_384];
        let count = self.stream.read(&mut buffer).unwrap();
        self.unread.extend_from_slice(&buffer[..count]);
        count
    }

    fn answer(&mut self, is_head: bool) -> Answer {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert_ne!(self.fill(), 0, "ended inside a head: {}", self.unread.escape_ascii());
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        let length = answer.field("Content-Length").map_or(0, |text| text.parse().unwrap());
        while !is_head && self.unread.len() < length {
            assert_ne!(self.fill(), 0, "ended inside a body");
        }
        answer.body = self.unread.drain(..if is_head { 0 } else { length }).collect();
        answer
    }

    /// Waits for the server to end the connection; gives what it sent until then.
    fn rest(mut self) -> Vec<u8> {
        while self.fill() > 0 {}
        self.unread
    }
}

fn with_site(label: &'static str, test: impl FnOnce(&Site) + Send + 'static) {
    run(move || test(&Site::files(label))).unwrap();
}
