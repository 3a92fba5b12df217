//! Two hundred reloads at random while fifty publish and five hundred play: nobody is cut, and every frame arrives as it was.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Usage, allow_files};
use crate::support::bystander::{number_of, numbered_frame, numbered_header};
use crate::support::flv::{Tag, VIDEO};
use crate::support::port::Port;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

const PUBLISHERS: usize = 50;
/// Of each stream, half of them over HTTP.
const PLAYERS: usize = 10;
const RELOADS: usize = 200;
/// The pause between two reloads, so that all of it takes half a minute.
const PAUSE: Duration = Duration::from_millis(100);
const FRAME: Duration = Duration::from_millis(40);
/// A player's thread needs little.
const STACK_BYTES: usize = 128 << 10;
/// What the second half of the reloads may add, kilobytes: caches that fill and the allocator's reserve.
const GROWTH_KILOBYTES: u64 = 12 << 10;

struct Site {
    server: Server,
    http: Port,
    more: [Port; 3],
    base: String,
}

impl Site {
    fn start() -> Self {
        let (http, more) = (Port::free(), [(); 3].map(|()| Port::free()));
        let base = format!(
            "max_connections 1500;\nsrs_log_level_v2 warn;\n\
             http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n",
            http.number()
        );
        let setup = Setup::default().globals(&base.replace("warn", "info"));
        let server = setup.vhosts(&vhosts("", "")).start();
        server.wait_for_line(&["HTTP-Server listen at"]);
        Site {
            server,
            http,
            more,
            base,
        }
    }

    /// A configuration that keeps all streams and mounts, and has the rest at random.
    fn random(&self, random: &mut Random) -> String {
        let [rtmp, api, exporter] = self.more.each_ref().map(Port::number);
        let globals = [
            format!("pithy_print_ms {};", 1000 + random.below(9000)),
            format!("http_api {{ enabled on; listen 127.0.0.1:{api}; }}"),
            format!("exporter {{ enabled on; listen 127.0.0.1:{exporter}; }}"),
            "limits { connections_per_ip 100000; }".to_owned(),
            "heartbeat { enabled on; interval 1; url http://127.0.0.1:1/; }".to_owned(),
            "chunk_size 4096;".to_owned(),
        ];
        let play = format!(
            "play {{ gop_cache {}; mw_latency {}; mw_msgs {}; queue_length {}; }} tcp_nodelay {};",
            random.flag(),
            random.below(500),
            random.below(16),
            10 + random.below(20),
            random.flag(),
        );
        let more = [
            play,
            "min_latency on;".to_owned(),
            "publish { normal_timeout 20000; mr on; mr_latency 50; }".to_owned(),
            "security { enabled on; deny play 192.0.2.1; }".to_owned(),
            "http_hooks { enabled on; on_close http://127.0.0.1:1/; }".to_owned(),
        ];
        let files = [
            format!(
                "hls {{ enabled on; hls_path ./html; hls_fragment {}; hls_dispose 1; }}",
                1 + random.below(3)
            ),
            "dash { enabled on; dash_path ./html; dash_fragment 1; }".to_owned(),
            format!(
                "dvr {{ enabled on; dvr_path ./dvr/[stream].[timestamp].flv; dvr_plan {}; }}",
                if random.below(2) == 0 { "session" } else { "segment" }
            ),
        ];
        let text = Setup::default()
            .globals(&self.base)
            .globals(&random.some_of(&globals))
            .vhosts(&vhosts(&random.some_of(&more), &random.some_of(&files)))
            .vhosts(if random.below(2) == 0 {
                "vhost extra.com { }\n"
            } else {
                ""
            })
            .configuration(self.server.port());
        let listen = format!("listen 127.0.0.1:{}", self.server.port());
        match random.below(2) {
            0 => text,
            _ => text.replace(&format!("{listen};"), &format!("{listen} 127.0.0.1:{rtmp};")),
        }
    }

    fn reload(&self, text: &str) {
        fs::write(self.server.file("srs.conf"), text).expect("write the configuration");
        self.server.signal(Signal::SIGHUP);
    }
}

/// The default vhost, and one whose streams are recorded.
fn vhosts(more: &str, files: &str) -> String {
    let remux = "http_remux { enabled on; mount [vhost]/[app]/[stream].flv; }";
    format!("vhost __defaultVhost__ {{ {remux} {more} }}\nvhost rec.com {{ {remux} {files} }}\n")
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn flag(&mut self) -> &'static str {
        if self.below(2) == 0 { "on" } else { "off" }
    }

    fn some_of(&mut self, texts: &[String]) -> String {
        let some: Vec<&str> = texts
            .iter()
            .filter(|_| self.below(2) == 0)
            .map(String::as_str)
            .collect();
        some.join("\n") + "\n"
    }
}

/// One stream in ten is recorded.
fn tc_url(stream: usize) -> &'static str {
    if stream.is_multiple_of(10) {
        "rtmp://rec.com/live"
    } else {
        "rtmp://127.0.0.1/live"
    }
}

/// How it goes, for all threads.
#[derive(Default)]
struct State {
    is_over: AtomicBool,
    ready: AtomicUsize,
    frames: AtomicUsize,
}

impl State {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

fn publish_all(port: u16, state: &State) {
    let mut clients: Vec<Rtmp> = (0..PUBLISHERS)
        .map(|stream| {
            let client = Rtmp::connect_as(port, "live", tc_url(stream)).expect("connect");
            let mut client = client.publish("live", &format!("s{stream}")).expect("publish");
            client.send_tag(&numbered_header()).expect("send the header");
            client
        })
        .collect();
    for number in 0.. {
        if state.is_over() {
            return;
        }
        let tag = numbered_frame(number);
        for (stream, client) in clients.iter_mut().enumerate() {
            client
                .send_tag(&tag)
                .unwrap_or_else(|e| panic!("publisher {stream} was cut off: {e}"));
        }
        thread::sleep(FRAME);
    }
}

/// Checks frame after frame until all is over.
fn check_all(state: &State, mut next: impl FnMut() -> io::Result<Tag>) {
    let mut last = None;
    while !state.is_over() {
        let tag = match next() {
            Ok(tag) => tag,
            Err(_) if state.is_over() => return,
            Err(error) => panic!("a player was cut off after frame {last:?}: {error}"),
        };
        let Some(number) = number_of(&tag).filter(|_| tag.kind == VIDEO) else {
            continue;
        };
        assert_eq!(
            tag.payload,
            numbered_frame(number).payload,
            "frame {number} came changed"
        );
        match last {
            None => drop(state.ready.fetch_add(1, Ordering::Relaxed)),
            Some(last) => assert_eq!(number, last + 1, "a frame is lost"),
        }
        last = Some(number);
        state.frames.fetch_add(1, Ordering::Relaxed);
    }
}

fn play_rtmp(port: u16, stream: usize, state: &State) {
    let client = Rtmp::connect_as(port, "live", tc_url(stream)).expect("connect");
    let mut client = client.play(&format!("s{stream}")).expect("play");
    check_all(state, || client.receive().map(|message| message.into_tag()));
}

fn play_flv(http: u16, stream: usize, state: &State) {
    let socket = TcpStream::connect(("127.0.0.1", http)).expect("connect");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("set a time limit");
    let host = tc_url(stream).trim_start_matches("rtmp://").trim_end_matches("/live");
    write!(&socket, "GET /live/s{stream}.flv HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("ask");
    let mut body = Chunks {
        socket: BufReader::with_capacity(4096, socket),
        left: 0,
    };
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert!(body.socket.read_line(&mut line).expect("a head") > 0, "no head");
        assert!(!line.starts_with("HTTP/1.1") || line.contains("200"), "{line}");
    }
    let begin = body.read_exact(&mut [0; 13]);
    begin.expect("the file header");
    check_all(state, || {
        let mut head = [0; 11];
        body.read_exact(&mut head)?;
        let size = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
        let mut payload = vec![0; size + 4];
        body.read_exact(&mut payload)?;
        payload.truncate(size);
        Ok(Tag {
            kind: head[0],
            timestamp: u32::from_be_bytes([head[7], head[4], head[5], head[6]]),
            payload,
        })
    });
}

/// A body in chunks.
struct Chunks {
    socket: BufReader<TcpStream>,
    left: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let mut line = String::new();
            self.socket.read_line(&mut line)?;
            match line.trim() {
                "" if line.is_empty() => return Ok(0),
                "" => {}
                size => {
                    self.left = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
                    if self.left == 0 {
                        return Ok(0);
                    }
                }
            }
        }
        let most = buffer.len().min(self.left);
        let count = self.socket.read(&mut buffer[..most])?;
        self.left -= count;
        Ok(count)
    }
}

#[test]
fn two_hundred_reloads_disturb_nobody() {
    allow_files((PUBLISHERS * (PLAYERS + 1)) as u64 * 2 + 300);
    let site = Site::start();
    let (rtmp, http) = (site.server.port(), site.http.number());
    let state = State::default();
    thread::scope(|scope| {
        scope.spawn(|| publish_all(rtmp, &state));
        for player in 0..PUBLISHERS * PLAYERS {
            let (stream, state) = (player / PLAYERS, &state);
            let body = move || match player % 2 {
                0 => play_rtmp(rtmp, stream, state),
                _ => play_flv(http, stream, state),
            };
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            thread.spawn_scoped(scope, body).expect("a player's thread");
        }
        // Whatever fails here, the threads must end.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reload_all(&site, &state)));
        state.is_over.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

fn reload_all(site: &Site, state: &State) {
    wait_for("all to play", 40, || {
        (state.ready.load(Ordering::Relaxed) == PUBLISHERS * PLAYERS).then_some(())
    });
    let base = Setup::default()
        .globals(&site.base.replace("warn", "info"))
        .vhosts(&vhosts("", ""))
        .configuration(site.server.port());
    let (mut random, start) = (Random(7), Usage::of(&site.server));
    let mut half = start;
    for number in 0..RELOADS {
        site.reload(&site.random(&mut random));
        if number == RELOADS / 2 {
            half = Usage::of(&site.server);
        }
        thread::sleep(PAUSE);
    }
    site.reload(&base);
    site.server.wait_for_line(&["reload success"]);
    let frames = state.frames.load(Ordering::Relaxed);
    wait_for("all to play on", 20, || {
        (state.frames.load(Ordering::Relaxed) > frames + PUBLISHERS * PLAYERS * 25).then_some(())
    });
    wait_for("descriptors to be given back", 20, || {
        (site.server.open_files() <= start.files + 4).then_some(())
    });
    let end = Usage::of(&site.server);
    println!(
        "resident at the start {} kB, after {} reloads {} kB, after {RELOADS} {} kB; CPU {:.1} s; files {} and {}",
        start.kilobytes,
        RELOADS / 2,
        half.kilobytes,
        end.kilobytes,
        end.cpu - start.cpu,
        start.files,
        end.files,
    );
    assert!(
        end.kilobytes <= half.kilobytes + GROWTH_KILOBYTES,
        "memory grows: {half:?}, then {end:?}"
    );
    let log = site.server.log();
    let failed = log
        .lines()
        .find(|line| line.contains("reload failed") || line.contains("[ERROR]"));
    assert_eq!(failed, None, "a reload failed");
}
