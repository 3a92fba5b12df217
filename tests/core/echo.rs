//! An echo server and its client, of several tests of the runtime.

use std::net::SocketAddr;

use srs_may::core::coroutine::spawn;
use srs_may::core::tcp::{ListenOptions, TcpListener, TcpStream};

/// An echo server; its coroutines end with their connections.
pub fn start_echo() -> SocketAddr {
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = TcpListener::bind(any, ListenOptions::default()).unwrap();
    let address = listener.local_addr().unwrap();
    spawn("echo listener", move || {
        while let Ok((stream, _)) = listener.accept() {
            spawn("echo", move || {
                let mut buffer = [0; 1024];
                while let Ok(count) = stream.read(&mut buffer) {
                    if count == 0 || stream.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// Sends `bytes` and waits for the same to come back.
pub fn echo(stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    let mut filled = 0;
    while filled < back.len() {
        let count = stream.read(&mut back[filled..]).unwrap();
        assert!(count > 0, "closed early");
        filled += count;
    }
    assert_eq!(back, bytes);
}
