//! Set-ups that the documents of SRS describe, as their users have them.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::support::clients::Ffmpeg;
use crate::support::flv::{self, assert_same_media};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;
use crate::support::web::Web;

/// A cache for HLS: playlists for a second, segments for long.
fn nginx_cache(origin: &Web) -> (Program, Port) {
    let (port, home) = (Port::free(), origin.server.folder().join("nginx-cache"));
    fs::create_dir_all(home.join("logs")).expect("create nginx's folder");
    let user = if nix::unistd::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let place = |name: &str, seconds: u32| {
        format!(
            "location ~ \\.{name}$ {{ proxy_pass {}; proxy_cache hls; proxy_cache_valid 200 302 {seconds}s;
                 add_header X-Cache $upstream_cache_status; }}",
            origin.url("")
        )
    };
    let text = format!(
        "{user} daemon off; worker_processes 1; pid {0}/nginx.pid; error_log {0}/error.log;
         events {{ worker_connections 128; }}
         http {{ access_log off; client_body_temp_path {0}/body; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u;
             scgi_temp_path {0}/s; proxy_temp_path {0}/temp; proxy_cache_path {0}/cache keys_zone=hls:1m;
             server {{ listen 127.0.0.1:{1}; {2} {3} }} }}\n",
        home.display(),
        port.number(),
        place("m3u8", 1),
        place("ts", 60)
    );
    fs::write(home.join("nginx.conf"), text).expect("write nginx.conf");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&home).arg("-c").arg(home.join("nginx.conf"));
    let mut nginx = Program::start(
        "nginx",
        origin.server.folder(),
        command.arg("-e").arg(home.join("error.log")),
    );
    wait_for("nginx to listen", 10, || {
        assert!(nginx.is_running(), "nginx ended:\n{}", nginx.output());
        TcpStream::connect(("127.0.0.1", port.number())).ok()
    });
    (nginx, port)
}

#[test]
fn nginx_is_an_edge_for_hls() {
    let origin = Web::start(
        Setup::default().vhost("hls { enabled on; hls_path ./html; hls_fragment 1; hls_window 10; hls_ctx off; }"),
    );
    let _publisher = origin.publish(Sample::H264Aac);
    wait_for("a playlist", 15, || origin.file("s.m3u8").exists().then_some(()));
    let (_nginx, port) = nginx_cache(&origin);
    let url = format!("http://127.0.0.1:{}/live/", port.number());
    let file = origin.server.file("played.flv");
    let mut player = Ffmpeg::Debian.record(origin.server.folder(), &[], &format!("{url}s.m3u8"), 3, &file);
    player.wait(30).ok();
    assert!(Ffmpeg::Debian.decode(origin.server.folder(), &file) >= 70);
    let curl = |name: &str, options: &[&str]| {
        let mut command = Command::new("curl");
        command
            .args(["-sSf", "--max-time", "5"])
            .args(options)
            .arg(format!("{url}{name}"));
        run("curl", origin.server.folder(), 10, &mut command).ok().output
    };
    let playlist = curl("s.m3u8", &[]);
    let segment = playlist.lines().find(|line| line.ends_with(".ts")).expect("a segment");
    curl(segment, &["-o", "/dev/null"]);
    let again = curl(segment, &["-o", "/dev/null", "-D", "-"]);
    assert!(again.contains("X-Cache: HIT"), "{again}");
}

#[test]
fn one_server_is_the_edge_of_its_own_vhost() {
    let port = Port::free();
    let server = Setup::default()
        .vhosts(&format!(
            "vhost __defaultVhost__ {{ }} vhost source.example {{ }}
             vhost edge.example {{ cluster {{ mode remote; origin 127.0.0.1:{}; vhost source.example; }} }}",
            port.number()
        ))
        .port(&port)
        .start();
    let url = server.url("s?vhost=source.example");
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &url);
    server.wait_for_line(&["start publish"]);
    let session = Rtmp::connect_as(server.port(), "live", "rtmp://edge.example/live").expect("connect");
    let mut player = session.play("s").expect("play");
    player.wait_for_media().expect("media");
    let played = player.collect_media(Duration::from_secs(2));
    assert_same_media(&flv::read(&Sample::H264Aac.path()), &played, 30);
}

#[test]
fn edges_of_old_files_serve_flv() {
    let origin = Server::start();
    let _publisher = Ffmpeg::Debian.publish(origin.folder(), &Sample::H264Aac.path(), &origin.url("s"));
    origin.wait_for_line(&["start publish"]);
    let mut above = origin.port();
    let edges = [(); 2].map(|()| {
        let edge = Web::start(Setup::default().vhost(&format!(
            "mode remote; origin 127.0.0.1:{above}; http_remux {{ enabled on; mount [vhost]/[app]/[stream].flv; hstrs on; }}"
        )));
        above = edge.server.port();
        edge
    });
    for edge in &edges {
        let file = edge.server.file("played.flv");
        let mut player = Ffmpeg::Debian.record(edge.server.folder(), &[], &edge.url("/live/s.flv"), 2, &file);
        player.wait(30).ok();
        assert!(Ffmpeg::Debian.decode(edge.server.folder(), &file) >= 45);
    }
}
