//! The HTTP API of a server, asked with curl.

use std::process::Command;

use serde_json::Value;

use super::clients::Ffmpeg;
use super::media::Sample;
use super::port::Port;
use super::program::{Program, run};
use super::server::{Server, Setup};

pub struct Api {
    pub server: Server,
    pub port: Port,
}

impl Api {
    /// A server with the API, whose block has these further directives.
    #[track_caller]
    pub fn start(directives: &str, setup: Setup) -> Self {
        let port = Port::free();
        let listen = format!("127.0.0.1:{}", port.number());
        let server = setup
            .globals(&format!("http_api {{ enabled on; listen {listen}; {directives} }}\n"))
            .start();
        server.wait_for_line(&["HTTP-API listen at"]);
        Api { server, port }
    }

    /// What curl prints for a path, with further options.
    #[track_caller]
    pub fn curl(&self, path: &str, options: &[&str]) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.port.number());
        let mut command = Command::new("curl");
        command.args(["-sS", "-g", "--max-time", "5"]).args(options).arg(url);
        run("curl", self.server.folder(), 10, &mut command).ok().output
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let text = self.curl(path, &[]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// Publishes the stream `livestream`.
    pub fn publish(&self) -> Program {
        Ffmpeg::Debian.publish(
            self.server.folder(),
            &Sample::H264Aac.path(),
            &self.server.url("livestream"),
        )
    }
}
