//! A publisher that posts its stream over HTTP, as FLV.

use std::io::Write;
use std::net::TcpStream;

use super::bystander::numbered_header;
use super::flv::Tag;

/// A stream that is posted as FLV.
#[derive(Debug)]
pub struct Post(TcpStream);

impl Post {
    /// Begins with the set-up of numbered frames.
    #[track_caller]
    pub fn start(port: u16, path: &str) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        let mut post = Post(socket);
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
        let begin = [head.as_bytes(), b"FLV\x01\x01\0\0\0\x09\0\0\0\0"].concat();
        post.0.write_all(&begin).expect("post");
        post.send(&numbered_header());
        post
    }

    /// Posts one more message; fails the test when the server has cut it off.
    #[track_caller]
    pub fn send(&mut self, tag: &Tag) {
        let (size, time) = (tag.payload.len() as u32, tag.timestamp.to_be_bytes());
        let mut bytes = vec![tag.kind];
        bytes.extend(&size.to_be_bytes()[1..]);
        bytes.extend([time[1], time[2], time[3], time[0], 0, 0, 0]);
        bytes.extend(&tag.payload);
        bytes.extend((size + 11).to_be_bytes());
        self.0.write_all(&bytes).expect("the push goes on");
    }
}
