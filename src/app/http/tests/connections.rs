//! How connections go on and end, and what becomes of peers that are slow or hostile.

use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::super::Timeouts;
use super::{Client, Site, with_site};
use crate::app::http::exchange::Exchange;
use crate::app::http::router::{Handler, Served};
use crate::app::http::routes;
use crate::core::clock::Moment;
use crate::core::coroutine::{sleep, spawn};
use crate::core::offload::{Class, post};
use crate::core::runtime::run;
use crate::core::tcp::TcpStream;
use crate::kernel::error::Result;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

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
        // A slow machine may take longer than the tests' own limits for a round of all of them.
        site.server.http.timeouts.set(Timeouts::default());
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
        let mut router = routes(&site.server.config(), &[]).unwrap();
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
fn a_body_that_makes_no_sense_or_does_not_come_is_refused() {
    with_echo("refused", |site| {
        let chunked = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(site.ask(&format!("{chunked}x")).status, 408);
        assert_eq!(site.ask(&format!("{chunked}x\r\n")).status, 400);
        assert_eq!(
            site.ask("POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc").status,
            408
        );
        site.wait_until_empty();
    });
}

#[test]
fn a_disk_that_hangs_holds_up_only_those_who_wait_for_it() {
    with_site("disk", |site| {
        for _ in 0..8 {
            post(Class::Disk, || std::thread::sleep(Duration::from_millis(250))).unwrap();
        }
        let mut waiting = site.connect();
        waiting.send("GET / HTTP/1.1\r\n\r\n");
        let begin = Moment::now();
        assert_eq!(site.ask("OPTIONS / HTTP/1.1\r\n\r\n").status, 200);
        assert!(Moment::now().since(begin) < Duration::from_millis(150));
        assert_eq!(waiting.answer(false).status, 200);
        assert!(Moment::now().since(begin) > Duration::from_millis(150));
    });
}
