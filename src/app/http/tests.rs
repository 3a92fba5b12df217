//! The HTTP server over real sockets, with time limits of the tests' own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::exchange::Exchange;
use super::router::{Handler, Served};
use super::{Timeouts, conn, routes};
use crate::app::config::Origin;
use crate::app::listener::Listener;
use crate::app::server::Server;
use crate::core::clock::Moment;
use crate::core::coroutine::{sleep, spawn};
use crate::core::runtime::run;
use crate::core::tcp::TcpStream;
use crate::kernel::error::Result;
use crate::kernel::flv::mux::{file_start, put_tag};
use crate::kernel::flv::tag::Kind;
use crate::protocol::http::date;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

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
        let server = Server::new(Origin::new(Some(folder.join("srs.conf")), false)).unwrap();
        server.http.timeouts.set(SHORT);
        super::open(&server).unwrap();
        let accepting = server.clone();
        let accept = move |stream, peer| accepting.admit("http", stream, peer, conn::serve);
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
        stream.set_read_timeout(Some(Duration::from_secs(5)));
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

#[test]
fn files_are_served_with_their_types() {
    with_site("types", |site| {
        let answer = site.get("/", "");
        assert_eq!((answer.status, answer.text()), (200, "the index"));
        let names: Vec<&str> = answer
            .head
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split(':').next())
            .collect();
        assert!(
            names.is_sorted() && answer.head.starts_with("HTTP/1.1 200 OK\r\n"),
            "{}",
            answer.head
        );
        assert_eq!(answer.field("Content-Type"), Some("text/html"));
        assert_eq!(answer.field("Server"), Some("SRS/7.0.18(Hang)"));
        assert!(answer.field("Date").and_then(date::parse).is_some());
        let segment = site.get("/live/a.ts?token=x", "");
        assert_eq!(
            (segment.field("Content-Type"), segment.body.len()),
            (Some("video/MP2T"), 376_000)
        );
        assert_eq!(segment.field("Cache-Control"), Some("max-age=60"));
        let playlist = site.get(
            "/live//./a.m3u8",
            "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
        );
        assert_eq!(
            (playlist.status, playlist.field("Cache-Control")),
            (200, Some("no-cache"))
        );
        let missing = site.get("/none", "");
        assert_eq!((missing.status, missing.text()), (404, "Not Found"));
        assert_eq!(missing.field("Content-Type"), Some("text/plain; charset=utf-8"));
        let folder = site.get("/live?a=b", "");
        assert_eq!((folder.status, folder.field("Location")), (302, Some("/live/?a=b")));
        assert_eq!(site.get("/live/", "").status, 404);
        assert_eq!(site.get("/index.html/x", "").status, 404);
        assert_eq!(site.get(&format!("/{}", "x".repeat(5000)), "").status, 404);
    });
}

#[test]
fn nothing_outside_the_root_is_served() {
    with_site("escape", |site| {
        let targets = [
            "/../secret",
            "/%2e%2e/secret",
            "/%2e%2e%2fsecret",
            "/live/..%2f..%2fsecret",
            "/%252e%252e/secret",
            "/..\\secret",
            "/..%5csecret",
            "/secret%00.html",
            "/link",
            "//etc/passwd",
            "/./../secret",
        ];
        for target in targets {
            let answer = site.get(target, "");
            assert!(matches!(answer.status, 400 | 404), "{target}: {answer:?}");
            assert!(!answer.text().contains("secret"), "{target}: {answer:?}");
        }
        let elsewhere = site.get("//live", "").field("Location").unwrap().to_owned();
        assert_eq!(elsewhere, "/live/");
    });
}

#[test]
fn a_connection_serves_several_requests() {
    with_site("alive", |site| {
        let mut client = site.connect();
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /live/a.m3u8 HTTP/1.1\r\n\r\n");
        client.send("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /none HTTP/1.1\r\n\r\n");
        let head = client.answer(true);
        assert_eq!((head.status, head.field("Content-Length")), (200, Some("9")));
        assert_eq!(head.field("Connection"), Some("Keep-Alive"));
        assert_eq!(client.answer(false).text(), "#EXTM3U");
        let post = client.answer(false);
        assert_eq!((post.status, post.field("Allow")), (405, Some("GET, HEAD")));
        assert_eq!(client.answer(false).status, 404);
        client.send("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(client.answer(false).field("Connection"), Some("Close"));
        assert_eq!(client.rest(), b"");
        let closed = site.get("/", "Connection: close\r\n");
        assert_eq!(closed.field("Connection"), Some("Close"));
    });
}

#[test]
fn split_at_every_byte_the_answer_is_the_same() {
    with_site("split", |site| {
        let request = b"GET /live/a.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut client = site.connect();
        for cut in 1..request.len() {
            client.stream.write_all(&request[..cut]).unwrap();
            sleep(Duration::from_millis(1));
            client.stream.write_all(&request[cut..]).unwrap();
            assert_eq!(client.answer(false).text(), "#EXTM3U", "{cut}");
        }
    });
}

#[test]
fn parts_of_files() {
    with_site("parts", |site| {
        let part = |target: &str, field: &str| {
            let answer = site.get(target, field);
            let range = answer.field("Content-Range").map(str::to_owned);
            (answer.status, range, answer.body)
        };
        let expected = |first: u8, last: u8| (206, Some(format!("bytes {first}-{last}/256")), (first..=last).collect());
        assert_eq!(part("/a.mp4", "Range: bytes=10-19\r\n"), expected(10, 19));
        assert_eq!(part("/a.mp4", "Range: bytes=250-\r\n"), expected(250, 255));
        assert_eq!(part("/a.mp4", "Range: bytes=-6\r\n"), expected(250, 255));
        assert_eq!(part("/a.mp4?range=10-19", ""), expected(10, 19));
        assert_eq!(part("/a.mp4?bytes=10-99999999999999999999", ""), expected(10, 255));
        let beyond = part("/a.mp4", "Range: bytes=256-\r\n");
        assert_eq!((beyond.0, beyond.1.as_deref()), (416, Some("bytes */256")));
        assert_eq!(part("/a.mp4", "Range: bytes=0-1,5-6\r\n").0, 200);
        assert_eq!(part("/a.mp4", "Range: bytes=1-2\r\nIf-Range: \"other\"\r\n").0, 200);
        assert_eq!(part("/live/a.ts?range=1-2", "").0, 200);
    });
}

#[test]
fn a_copy_that_is_still_good_is_not_sent_again() {
    with_site("fresh", |site| {
        let first = site.get("/a.mp4", "");
        let (etag, modified) = (first.field("ETag").unwrap(), first.field("Last-Modified").unwrap());
        for field in [
            format!("If-None-Match: {etag}\r\n"),
            format!("If-Modified-Since: {modified}\r\n"),
        ] {
            let answer = site.get("/a.mp4", &field);
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{field}");
            assert_eq!(
                (answer.field("ETag"), answer.field("Content-Length")),
                (Some(etag), None)
            );
        }
        let old = site.get("/a.mp4", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        assert_eq!(old.status, 200);
    });
}

#[test]
fn flv_goes_on_in_the_middle_with_its_sequence_headers() {
    with_site("flv", |site| {
        let file = flv_file();
        let start = file.len() - 21 * 50;
        let answer = site.get(&format!("/a.flv?start={start}"), "");
        let mut expected = file_start(true, true).to_vec();
        put_tag(&mut expected, Kind::Video, 0, b"\x17\x00\x00\x00\x00\x01").unwrap();
        put_tag(&mut expected, Kind::Audio, 0, b"\xaf\x00\x12\x10").unwrap();
        expected.extend_from_slice(&file[start..]);
        assert_eq!(
            (answer.status, answer.field("Content-Type")),
            (200, Some("video/x-flv"))
        );
        assert_eq!(answer.body, expected);
        for start in ["0", "-5", "x", "99999999999999999999", "100000"] {
            assert_eq!(site.get(&format!("/a.flv?start={start}"), "").body, file, "{start}");
        }
        fs::write(site.folder.join("html/b.flv"), "no FLV at all").unwrap();
        assert_eq!(site.get("/b.flv?start=3", "").text(), "no FLV at all");
    });
}

#[test]
fn vhosts_have_files_of_their_own() {
    with_site("vhosts", |site| {
        let ask = |target: &str, host: &str| site.ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(ask("/vod/b.txt", "V.com:8080").text(), "of the vhost");
        assert_eq!(ask("/vod/b.txt?vhost=v.com", "x").text(), "of the vhost");
        assert_eq!(ask("/vod/b.txt?domain=v.com", "x").text(), "of the vhost");
        assert_eq!(ask("/vod", "v.com").field("Location"), Some("/vod/"));
        assert_eq!(ask("/vod/../b.txt", "v.com").status, 400);
        for host in ["x", "off.com", "", "[::1]"] {
            assert_eq!(ask("/vod/b.txt", host).status, 404, "{host}");
            assert_eq!(ask("/", host).status, 200, "{host}");
        }
        assert_eq!(ask("/", "v.com").text(), "the index");
    });
}

#[test]
fn pages_of_other_sites_may_ask() {
    with_site("cors", |site| {
        assert_eq!(site.get("/", "").field("Access-Control-Allow-Origin"), None);
        let answer = site.get("/", "Origin: http://x\r\n");
        assert_eq!(answer.field("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(answer.field("Access-Control-Allow-Credentials"), Some("false"));
        let options = site.ask("OPTIONS /none HTTP/1.1\r\nOrigin: http://x\r\n\r\n");
        assert_eq!((options.status, options.field("Content-Length")), (200, Some("0")));
        assert_eq!(options.field("Access-Control-Allow-Methods"), Some("*"));
        assert_eq!(site.ask("OPTIONS * HTTP/1.1\r\n\r\n").status, 200);
    });
}

#[test]
fn crossdomain_off_is_heard() {
    run(|| {
        let site = Site::new("strict", "127.0.0.1:0", "http_server { dir DIR; crossdomain off; }");
        assert_eq!(
            site.get("/", "Origin: http://x\r\n")
                .field("Access-Control-Allow-Origin"),
            None
        );
        assert_eq!(site.ask("OPTIONS / HTTP/1.1\r\n\r\n").status, 405);
    })
    .unwrap();
}

#[test]
fn slow_peers_are_cut_off() {
    with_site("slow", |site| {
        let begin = Moment::now();
        let mut drip = site.connect();
        drip.send("GET / HTTP/1.1\r\n");
        let mut idle = site.connect();
        idle.send("GET / HTTP/1.1\r\n\r\n");
        assert_eq!(idle.answer(false).status, 200);
        let silent = site.connect();
        for _ in 0..10 {
            sleep(Duration::from_millis(50));
            // A byte now and then does not buy more time.
            let _ = drip.stream.write_all(b"a");
        }
        assert!(String::from_utf8(drip.rest()).unwrap().starts_with("HTTP/1.1 408 "));
        assert_eq!(idle.rest(), b"");
        assert_eq!(silent.rest(), b"");
        assert!(Moment::now().since(begin) < Duration::from_secs(3));
        site.wait_until_empty();
    });
}

#[test]
fn a_peer_that_takes_nothing_is_cut_off() {
    with_site("stuck", |site| {
        fs::write(site.folder.join("html/large.ts"), vec![0; 20 << 20]).unwrap();
        let mut client = site.connect();
        client.send("GET /large.ts HTTP/1.1\r\n\r\n");
        sleep(Duration::from_millis(1200));
        site.wait_until_empty();
        assert!(client.rest().len() < 20 << 20);
    });
}

#[test]
fn hostile_requests_get_a_status() {
    with_site("hostile", |site| {
        let long = "x".repeat(70_000);
        let cases = [
            (format!("GET / HTTP/1.1\r\nA: {long}\r\n\r\n"), 431),
            (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000)), 431),
            (format!("GET /{long} HTTP/1.1\r\n\r\n"), 414),
            (
                "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
                400,
            ),
            (
                "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
                400,
            ),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), 501),
            ("GET / HTTP/3.0\r\n\r\n".to_owned(), 505),
            ("\0\0\0".to_owned(), 400),
        ];
        for (request, status) in cases {
            let mut client = site.connect();
            client.send(&request);
            let answer = client.answer(false);
            assert_eq!(answer.status, status, "{}", &request[..request.len().min(80)]);
            assert_eq!(answer.field("Connection"), Some("Close"));
            assert_eq!(client.rest(), b"");
        }
    });
}

#[test]
fn bodies_without_end_are_not_read() {
    with_site("endless", |site| {
        let mut client = site.connect();
        client.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        let answer = client.answer(false);
        assert_eq!((answer.status, answer.field("Connection")), (405, Some("Close")));
        while client
            .stream
            .write_all(b"400\r\n")
            .and_then(|()| client.stream.write_all(&[b'x'; 0x400]))
            .is_ok()
        {
            sleep(Duration::from_millis(1));
        }
        let mut broken = site.connect();
        broken.send("GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab");
        assert_eq!(broken.answer(false).status, 200);
        assert_eq!(broken.rest(), b"");
        site.wait_until_empty();
    });
}

#[test]
fn connections_count_as_clients() {
    with_site("clients", |site| {
        let mut all: Vec<Client> = (0..20).map(|_| site.connect()).collect();
        all[19].send("GET / HTTP/1.1\r\n\r\n");
        assert_eq!(all[19].answer(false).status, 200);
        assert_eq!(site.server.clients.len(), 20);
        assert_eq!(site.connect().rest(), b"");
    });
}

#[test]
fn it_listens_where_the_configuration_says() {
    run(|| {
        let port = std::net::TcpListener::bind("[::1]:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let other = std::net::TcpListener::bind("[::1]:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directives = |port: u16| format!("http_server {{ enabled on; listen [::1]:{port}; dir DIR; }}");
        let site = Site::new("listen", "[::1]:0", &directives(port));
        let ask = |port: u16| {
            let mut client = Client::connect(format!("[::1]:{port}").parse().unwrap());
            client.send("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n");
            client.answer(false).status
        };
        assert_eq!(ask(port), 200);
        edit(&site.folder, &port.to_string(), &other.to_string());
        site.server.reload().unwrap();
        assert_eq!(ask(other), 200);
        sleep(Duration::from_millis(10));
        assert!(TcpStream::connect(format!("[::1]:{port}").parse().unwrap(), Duration::from_secs(1)).is_err());
        edit(&site.folder, &format!("[::1]:{other}"), "nowhere");
        assert!(site.server.reload().is_err());
        assert_eq!(ask(other), 200);
        site.server.http.close();
    })
    .unwrap();
}

fn edit(folder: &Path, from: &str, to: &str) {
    let path = folder.join("srs.conf");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn many_at_once_are_served() {
    with_site("many", |site| {
        let address = site.listener.address;
        let asking: Vec<_> = (0..15)
            .map(|_| {
                spawn("ask", move || {
                    let mut client = Client::connect(address);
                    for _ in 0..20 {
                        client.send("GET /live/a.ts HTTP/1.1\r\n\r\n");
                        assert_eq!(client.answer(false).body.len(), 376_000);
                    }
                })
            })
            .collect();
        asking.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

/// Gives the body of a request back, in two chunks.
struct Echo;

impl Handler for Echo {
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served> {
        if exchange.request.query.get("pass").is_some() {
            return Ok(Served::Pass);
        }
        let Some(body) = exchange.read_body(100)? else {
            exchange.reply_status(Status::PAYLOAD_TOO_LARGE)?;
            return Ok(Served::Yes);
        };
        exchange.begin(ResponseHead::new(Status::OK), None);
        exchange.flush()?;
        let (head, tail) = body.split_at(body.len() / 2);
        exchange.write(head)?;
        exchange.write(tail)?;
        exchange.end()?;
        Ok(Served::Yes)
    }
}

fn with_echo(label: &'static str, test: impl FnOnce(&Site) + Send + 'static) {
    with_site(label, move |site| {
        let mut router = routes(&site.server.config());
        router.add(None, "/echo", Rc::new(Echo));
        site.server.http.router.replace(Rc::new(router));
        test(site);
    });
}

#[test]
fn bodies_go_in_and_come_out_in_chunks() {
    with_echo("echo", |site| {
        let mut client = site.connect();
        client.send("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n");
        client.send("HEAD /echo HTTP/1.1\r\nContent-Length: 2\r\n\r\nxy");
        client.send("GET /echo?pass HTTP/1.1\r\n\r\n");
        client.send("POST /echo HTTP/1.0\r\nContent-Length: 4\r\n\r\nwxyz");
        let answers = String::from_utf8(client.rest()).unwrap();
        let bodies: Vec<&str> = answers.split("\r\n\r\n").collect();
        assert!(bodies[0].contains("Transfer-Encoding: chunked"), "{answers}");
        assert!(bodies[1].starts_with("2\r\nab\r\n2\r\ncd\r\n0"), "{answers}");
        assert!(bodies[2].starts_with("HTTP/1.1 200 OK"), "{answers}");
        assert!(bodies[3].starts_with("HTTP/1.1 404 "), "{answers}");
        assert!(
            bodies[4].starts_with("Not FoundHTTP/1.1 200 OK") && !bodies[4].contains("chunked"),
            "{answers}"
        );
        assert_eq!(bodies[5], "wxyz");
    });
}

#[test]
fn a_peer_that_waits_to_be_asked_for_its_body_is_asked() {
    with_echo("expect", |site| {
        let mut client = site.connect();
        client.send("POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer(false).status, 100);
        client.send("ok");
        assert!(client.rest().ends_with(b"\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"));
        let mut large = site.connect();
        large.send("POST /echo HTTP/1.1\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n");
        let answer = large.answer(false);
        assert_eq!((answer.status, answer.field("Connection")), (413, Some("Close")));
        let chunked = format!(
            "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n{}",
            "x".repeat(0x65)
        );
        assert_eq!(site.ask(&chunked).status, 413);
    });
}

#[test]
fn a_body_that_ends_early_gets_no_answer() {
    with_echo("early", |site| {
        let mut client = site.connect();
        client.send("POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
        assert_eq!(client.rest(), b"");
        site.wait_until_empty();
    });
}
