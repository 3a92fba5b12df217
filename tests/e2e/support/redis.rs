//! A Redis server for tests.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::port::Port;
use super::program::Program;
use super::wait::wait_for;

/// A running redis-server, without files, whose port outlives it.
pub struct Redis {
    // Ends before the port is free again.
    program: Option<Program>,
    port: Port,
    password: String,
}

impl Redis {
    /// Starts it; it asks for `password` unless that is empty.
    #[track_caller]
    pub fn start(folder: &Path, password: &str) -> Self {
        let mut redis = Redis {
            program: None,
            port: Port::free(),
            password: password.to_owned(),
        };
        redis.start_again(folder);
        redis
    }

    /// Starts it on the same port, without what it knew.
    #[track_caller]
    pub fn start_again(&mut self, folder: &Path) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
        command.arg(self.port.number().to_string());
        if !self.password.is_empty() {
            command.args(["--requirepass", &self.password]);
        }
        let mut program = Program::start("redis-server", folder, command.current_dir(folder));
        wait_for("redis-server to listen", 10, || {
            assert!(program.is_running(), "redis-server ended:\n{}", program.output());
            TcpStream::connect(("127.0.0.1", self.port.number())).ok()
        });
        self.program = Some(program);
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.program = None;
    }

    /// Has it sleep while its connections stay open.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        self.program.as_ref().expect("a running redis-server").signal(signal);
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// What it answers to a command on one line, without the line's end; of a byte string the text.
    #[track_caller]
    pub fn ask(&self, command: &str) -> String {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).expect("connect to redis-server");
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
        let mut say = |text: &str| {
            (&stream).write_all(format!("{text}\r\n").as_bytes()).expect("ask");
            let first = lines.next().expect("an answer").expect("an answer");
            match first.strip_prefix('$') {
                Some("-1") => String::new(),
                Some(_) => lines.next().expect("a text").expect("a text"),
                None => first,
            }
        };
        if !self.password.is_empty() {
            assert_eq!(say(&format!("AUTH {}", self.password)), "+OK");
        }
        say(command)
    }
}
