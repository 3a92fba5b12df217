//! A server that is reloaded while streams are live, and the clients that must not notice.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::bystander::{number_of, numbered_frame, numbered_header};
pub use crate::support::endless::Endless;
use crate::support::flv::{self, Tag};
use crate::support::port::Port;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;
pub use crate::support::web::get;

/// A server whose API tells of its reloads.
pub struct Site {
    pub server: Server,
    pub http: Port,
    /// The directives that the site itself needs.
    pub globals: String,
}

impl Site {
    /// With these directives outside and inside of the default vhost.
    #[track_caller]
    pub fn start(globals: &str, vhost: &str) -> Self {
        Site::start_with(Setup::default(), globals, vhost)
    }

    #[track_caller]
    pub fn start_with(setup: Setup, globals: &str, vhost: &str) -> Self {
        let http = Port::free();
        let base = format!(
            "http_server {{ enabled on; listen 127.0.0.1:{0}; dir ./html; }}
            http_api {{ enabled on; listen 127.0.0.1:{0}; raw_api {{ enabled on; allow_reload on; }} }}\n",
            http.number()
        );
        let server = setup.globals(&base).globals(globals).vhost(vhost).start();
        server.wait_for_line(&["HTTP-Server listen at"]);
        Site {
            server,
            http,
            globals: base,
        }
    }

    /// Reloads with these directives in place of those of the start. It must succeed, and leave all publishers alone.
    #[track_caller]
    pub fn reload(&self, globals: &str, vhost: &str) -> Value {
        self.reload_vhosts(globals, &format!("vhost __defaultVhost__ {{ {vhost} }}"))
    }

    /// The same with whole vhosts.
    #[track_caller]
    pub fn reload_vhosts(&self, globals: &str, vhosts: &str) -> Value {
        let before = self.publishers();
        let reloaded = self.try_reload(globals, vhosts);
        assert_eq!(
            (&reloaded["err"], &reloaded["state"]),
            (&0.into(), &90.into()),
            "{reloaded}"
        );
        let after = self.publishers();
        let lost: Vec<_> = before.iter().filter(|id| !after.contains(id)).collect();
        assert!(lost.is_empty(), "publishers {lost:?} are gone after {reloaded}");
        reloaded
    }

    /// The ids of all who publish.
    #[track_caller]
    pub fn publishers(&self) -> Vec<String> {
        let (_, body) = get(self.http.number(), "/api/v1/clients/?count=1000");
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
        let clients = answer["clients"].as_array().expect("clients").iter();
        let publishers = clients.filter(|client| client["publish"] == true);
        publishers
            .filter_map(|client| Some(client["id"].as_str()?.to_owned()))
            .collect()
    }

    /// Reloads with whole vhosts, whatever comes of it.
    #[track_caller]
    pub fn try_reload(&self, globals: &str, vhosts: &str) -> Value {
        let text = Setup::default()
            .globals(&self.globals)
            .globals(globals)
            .vhosts(vhosts)
            .configuration(self.server.port());
        self.try_reload_text(&text)
    }

    /// Reloads with a whole configuration that leaves the API where it is. It must succeed.
    #[track_caller]
    pub fn reload_text(&self, text: &str) -> Value {
        let reloaded = self.try_reload_text(text);
        assert_eq!(reloaded["err"], 0, "{reloaded}");
        reloaded
    }

    /// The same, whatever comes of it.
    #[track_caller]
    pub fn try_reload_text(&self, text: &str) -> Value {
        self.write(text);
        let before = self.last()["rid"].clone();
        self.server.signal(Signal::SIGHUP);
        wait_for("the reload", 10, || {
            // A port that changes hands may answer by its old role once more.
            let last = self.try_last()?;
            let has_ended = last["state"] == 90 || last["err"] != 0;
            (last["rid"] != before && has_ended).then_some(last)
        })
    }

    /// Reloads with a whole configuration that may take the API away. It must succeed, as the log tells.
    #[track_caller]
    pub fn reload_unseen(&self, text: &str) {
        self.write(text);
        let before = self.server.log().matches("reload success").count();
        self.server.signal(Signal::SIGHUP);
        self.server.wait_for_lines(before + 1, &["reload success"]);
    }

    pub fn write(&self, text: &str) {
        fs::write(self.server.file("srs.conf"), text).expect("write the configuration");
    }

    /// What the API tells of the last reload.
    #[track_caller]
    pub fn last(&self) -> Value {
        self.try_last().expect("the API")
    }

    fn try_last(&self) -> Option<Value> {
        let (status, body) = get(self.http.number(), "/api/v1/raw?rpc=reload-fetch");
        let mut answer: Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
        Some(answer["data"].take())
    }

    pub fn exists(&self, name: &str) -> bool {
        self.server.file(name).exists()
    }

    #[track_caller]
    pub fn wait_for_text(&self, name: &str, parts: &[&str]) -> String {
        wait_for(&format!("{parts:?} in {name}"), 15, || {
            let text = fs::read_to_string(self.server.file(name)).ok()?;
            parts.iter().all(|part| text.contains(part)).then_some(text)
        })
    }

    /// A publisher that has sent nothing.
    #[track_caller]
    pub fn publish_bare(&self, stream: &str) -> Rtmp {
        Rtmp::connect(self.server.port(), "live")
            .and_then(|client| client.publish("live", stream))
            .unwrap_or_else(|e| panic!("publish {stream}: {e}"))
    }

    /// A publisher that has sent the header of its pictures.
    #[track_caller]
    pub fn publish(&self, stream: &str) -> Rtmp {
        let mut client = self.publish_bare(stream);
        client.send_tag(&numbered_header()).expect("send the header");
        client
    }

    #[track_caller]
    pub fn play(&self, stream: &str) -> Rtmp {
        let client = Rtmp::connect(self.server.port(), "live").and_then(|client| client.play(stream));
        client.unwrap_or_else(|e| panic!("play {stream}: {e}"))
    }

    /// Whether the bystander's stream can be played.
    pub fn may_play(&self) -> bool {
        self.play_if_it_may("bystander")
    }

    /// Whether a stream can be played.
    pub fn play_if_it_may(&self, stream: &str) -> bool {
        let client = Rtmp::connect(self.server.port(), "live").and_then(|client| client.play(stream));
        client.is_ok_and(|mut client| client.wait_for_media().is_ok())
    }

    /// Whether a stream can be published.
    pub fn may_publish(&self, stream: &str) -> bool {
        let client = Rtmp::connect(self.server.port(), "live").and_then(|client| client.publish("live", stream));
        client.is_ok()
    }
}

/// The head of an answer, whose body may never end; `fields` are more lines of the request.
#[track_caller]
pub fn head(port: u16, target: &str, fields: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set a time limit");
    write!(socket, "GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").expect("ask");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && socket.read(&mut byte).expect("a head") == 1 {
        answer.extend(byte);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends the frames of these numbers at once.
pub fn send(publisher: &mut Rtmp, numbers: std::ops::Range<u32>) {
    for number in numbers {
        publisher.send_tag(&numbered_frame(number)).expect("send a frame");
    }
}

/// A frame with another time than its number has, ms.
pub fn frame_at(number: u32, timestamp: u32) -> Tag {
    Tag {
        timestamp,
        ..numbered_frame(number)
    }
}

/// The next frame of a player: its number and its time.
#[track_caller]
pub fn next_frame(player: &mut Rtmp) -> (u32, u32) {
    loop {
        let message = player.receive().expect("a frame");
        if message.is_media() {
            let tag = message.into_tag();
            if let Some(number) = number_of(&tag) {
                return (number, tag.timestamp);
            }
        }
    }
}

/// The numbers of the frames of a recording.
pub fn numbers_in(site: &Site, name: &str) -> Vec<u32> {
    let tags = flv::read(&site.server.file(name));
    let pictures = tags.iter().filter(|tag| tag.kind == flv::VIDEO);
    pictures.filter_map(number_of).collect()
}
