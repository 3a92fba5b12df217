//! The exporter's small HTTP server against clients that mean harm: it answers, forgets them, and stops nobody.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use srs_may::core::coroutine::{sleep, spawn};
use srs_may::core::mini_http::{Answer, MiniHttp};
use srs_may::core::offload::{Class, offload};
use srs_may::core::runtime::run;

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn start(address: SocketAddr) -> MiniHttp {
    // What it shares with the server is not Send.
    let body = Rc::new(b"the body".to_vec());
    let answer = move |method: &str, target: &str| match (method, target) {
        ("GET", "/metrics") => Answer::Text(body.to_vec()),
        _ => Answer::NotFound,
    };
    MiniHttp::start(address, answer).unwrap()
}

/// Runs a client that blocks, beside the worker.
fn client<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    offload(Class::Disk, body).unwrap()
}

fn ask(address: SocketAddr, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for part in parts {
        // A refused client may be cut off while it sends.
        if stream.write_all(part).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    // A reset after the answer counts as its end.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_request_is_answered_and_the_connection_ends() {
    run(|| {
        let address = free_address();
        let server = start(address);
        let started = Instant::now();
        let answer = client(move || ask(address, &[GET]));
        assert!(answer.starts_with("HTTP/1.1 200 Ok\r\n"), "{answer}");
        assert!(
            answer.contains("\r\nConnection: Close\r\n") && answer.ends_with("\r\n\r\nthe body"),
            "{answer}"
        );
        let answer = client(move || ask(address, &[b"GET / HTTP/1.1\r\n\r\n"]));
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(4));
        assert!(server.is_running());
    })
    .unwrap();
}

#[test]
fn it_listens_at_addresses_of_all_kinds() {
    run(|| {
        for (listen, connect) in [("0.0.0.0", "127.0.0.1"), ("::1", "::1"), ("::", "::1")] {
            let port = free_address().port();
            let _server = start(SocketAddr::new(listen.parse().unwrap(), port));
            let address = SocketAddr::new(connect.parse().unwrap(), port);
            assert!(client(move || ask(address, &[GET])).ends_with("the body"), "{listen}");
        }
    })
    .unwrap();
}

#[test]
fn what_is_no_whole_head_is_refused() {
    run(|| {
        let address = free_address();
        let _server = start(address);
        let large = [
            b"GET /metrics HTTP/1.1\r\nX: ".to_vec(),
            vec![b'a'; 9000],
            b"\r\n\r\n".to_vec(),
        ]
        .concat();
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(17)).into_bytes();
        for bad in [
            b"GET /metrics".to_vec(),
            b"\r\n\r\n".to_vec(),
            b"\x16\x03\x01".to_vec(),
            large,
            many,
        ] {
            let shown = String::from_utf8_lossy(&bad[..bad.len().min(20)]).into_owned();
            let answer = client(move || ask(address, &[&bad]));
            // One that still sends is reset, and may miss the answer.
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
                "{shown}: {answer}"
            );
        }
        assert!(client(move || ask(address, &[GET])).ends_with("the body"));
    })
    .unwrap();
}

#[test]
fn requests_in_one_piece_get_one_answer() {
    run(|| {
        let address = free_address();
        let _server = start(address);
        let answer = client(move || ask(address, &[&GET.repeat(200)]));
        assert_eq!(answer.matches("the body").count(), 1, "{answer}");
    })
    .unwrap();
}

#[test]
fn an_endless_sender_stops_nobody() {
    run(|| {
        let address = free_address();
        let _server = start(address);
        for first in [GET, b"GET /metrics HTTP/1.1\r\nX: "] {
            // They send as fast as they can, until others have had their turn or they are cut off.
            let enough = Arc::new(AtomicBool::new(false));
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    let enough = enough.clone();
                    thread::spawn(move || {
                        let mut stream = TcpStream::connect(address).unwrap();
                        stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
                        stream.write_all(first).unwrap();
                        let ends = Instant::now() + Duration::from_secs(20);
                        let mut sent = 0;
                        while !enough.load(Ordering::Relaxed) && Instant::now() < ends {
                            match stream.write(&[b'a'; 65_536]) {
                                Ok(count) => sent += count,
                                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                                Err(_) => break,
                            }
                        }
                        (sent, Instant::now() < ends)
                    })
                })
                .collect();
            for _ in 0..50 {
                sleep(Duration::from_millis(10));
            }
            assert!(client(move || ask(address, &[GET])).ends_with("the body"));
            enough.store(true, Ordering::Relaxed);
            for sender in senders {
                let (sent, others_ran) = sender.join().unwrap();
                assert!(others_ran, "others waited until it stopped sending");
                assert!(sent < 16 << 20, "{sent} bytes were taken");
            }
        }
    })
    .unwrap();
}

#[test]
fn silent_clients_cost_no_descriptor() {
    run(|| {
        let address = free_address();
        let _server = start(address);
        let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = count();
        let silent = client(move || {
            let all: Vec<_> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
            thread::sleep(Duration::from_millis(300));
            all
        });
        // Their own ends are of this process too.
        assert!(count() <= before + silent.len() + 5, "{} {before}", count());
        assert!(client(move || ask(address, &[GET])).ends_with("the body"));
    })
    .unwrap();
}

#[test]
fn a_dropped_server_listens_no_more_and_another_may() {
    run(|| {
        let address = free_address();
        for _ in 0..3 {
            let server = start(address);
            assert!(client(move || ask(address, &[GET])).ends_with("the body"));
            drop(server);
            sleep(Duration::from_millis(50));
            assert!(client(move || TcpStream::connect(address).is_err()));
        }
        spawn("goes on", || sleep(Duration::from_millis(1))).join().unwrap();
    })
    .unwrap();
}
