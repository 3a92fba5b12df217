//! nginx with its RTMP module: a peer server, and a stand-in that tells a client's fault from ours.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use super::port::Port;
use super::program::Program;
use super::wait::wait_for;

/// A running nginx with one application, `live`.
#[derive(Debug)]
pub struct Nginx {
    port: Port,
    // Ends before the port is free again.
    program: Program,
}

impl Nginx {
    /// Starts it; `directives` go into `application live`, for example `push rtmp://127.0.0.1:1935/live;`.
    #[track_caller]
    pub fn start(folder: &Path, directives: &str) -> Self {
        Self::start_on(Port::free(), folder, directives)
    }

    #[track_caller]
    pub fn start_on(port: Port, folder: &Path, directives: &str) -> Self {
        let home = folder.join(format!("nginx-{}", port.number()));
        fs::create_dir_all(home.join("logs")).expect("create nginx's folder");
        fs::write(home.join("nginx.conf"), configuration(&home, port.number(), directives)).expect("write nginx.conf");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&home).arg("-c").arg(home.join("nginx.conf"));
        command.arg("-e").arg(home.join("error.log"));
        let mut program = Program::start("nginx", folder, &mut command);
        wait_for("nginx to listen", 10, || {
            assert!(program.is_running(), "nginx ended:\n{}", program.output());
            TcpStream::connect(("127.0.0.1", port.number())).ok()
        });
        Nginx { port, program }
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    pub fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}", self.port())
    }

    pub fn pid(&self) -> u32 {
        self.program.pid()
    }
}

fn configuration(home: &Path, port: u16, directives: &str) -> String {
    // Only root may and must name the workers' user.
    let user = if nix::unistd::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let home = home.display();
    format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
         {user} daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log info;
         events {{ worker_connections 512; }}
         rtmp {{ access_log off; server {{ listen 127.0.0.1:{port};
             application live {{ live on; {directives} }}
         }} }}\n"
    )
}
