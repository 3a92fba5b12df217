//! A callback server that records what it is asked, and answers as the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::wait::wait_for;

/// The plainest answer that accepts.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0";
const EVENTS: [&str; 6] = [
    "on_connect",
    "on_close",
    "on_publish",
    "on_unpublish",
    "on_play",
    "on_stop",
];

/// What is answered to a call of this target; `None` is nothing, for ever.
pub type Answer = fn(&str) -> Option<String>;

/// What was asked: the target and the body as text.
pub type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A callback server. Its answers are chosen by target: `None` never answers.
pub struct Callbacks {
    pub port: u16,
    pub asked: Asked,
}

impl Callbacks {
    pub fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen for callbacks");
        let port = listener.local_addr().expect("the port of callbacks").port();
        let asked = Asked::default();
        let record = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let record = record.clone();
                thread::spawn(move || serve(stream, &record, answer));
            }
        });
        Callbacks { port, asked }
    }

    /// An `http_hooks` block that calls this server for all events, at `/EVENT`.
    pub fn block(&self) -> String {
        let lines = EVENTS.map(|event| format!("{event} http://127.0.0.1:{}/{event}?from=srs;", self.port));
        format!("http_hooks {{ enabled on; {} }}", lines.join(" "))
    }

    /// The bodies of all calls that have one.
    pub fn bodies(&self) -> Vec<Value> {
        let asked = self.asked.lock().expect("the record");
        asked
            .iter()
            .filter(|(_, body)| !body.is_empty())
            .map(|(_, body)| serde_json::from_str(body).expect("a JSON body"))
            .collect()
    }

    pub fn actions(&self) -> Vec<String> {
        let bodies = self.bodies();
        bodies
            .iter()
            .map(|body| body["action"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    #[track_caller]
    pub fn wait_for(&self, actions: &[&str]) {
        wait_for(&format!("callbacks {actions:?}"), 15, || {
            (self.actions().len() >= actions.len()).then_some(())
        });
        thread::sleep(Duration::from_millis(100));
        assert_eq!(self.actions(), actions);
    }
}

fn serve(mut stream: TcpStream, asked: &Asked, answer: Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).expect("a request line");
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    assert!(line.starts_with("POST ") || line.starts_with("GET "), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a header line");
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().expect("a length");
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let body = String::from_utf8(body).expect("a text");
    asked.lock().expect("the record").push((target.clone(), body));
    match answer(&target) {
        // The server may give up meanwhile.
        Some(answer) => drop(stream.write_all(answer.as_bytes())),
        None => drop(reader.read(&mut [0])),
    }
}

/// Accepts everything.
pub fn yes(_: &str) -> Option<String> {
    Some(OK.to_owned())
}

/// An answer with this body.
pub fn body(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}
