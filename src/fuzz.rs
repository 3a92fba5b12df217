//! Bodies of the fuzz targets: each takes any bytes and asserts laws of one parser of peers' bytes.
//!
//! They live in the library so that a change that breaks one fails the ordinary tests: `tests/fuzz_smoke.rs` runs each
//! over its corpus and some mutations of it. `scripts/fuzz.sh` fuzzes one for as long as one likes.

mod codec;
mod config;
mod flv;
mod http;
mod message;
mod mp4;
mod redis;
mod rtmp;
mod rtsp;
mod session;
mod ts;

use crate::core::limits::LOG_LINE_BYTES;
use crate::kernel::error::Error;

/// A parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its program in `fuzz/` and of its folder of inputs.
    pub name: &'static str,
    /// Panics when a law is broken, whatever the bytes are.
    pub body: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("aac", codec::aac),
    target("amf0", message::amf0),
    target("audio_headers", codec::audio_headers),
    target("av1", codec::av1),
    target("avc", codec::avc),
    target("bits", codec::bits),
    target("chunk_decoder", rtmp::chunk_decoder),
    target("config", config::config),
    target("flv_audio", flv::audio),
    target("flv_demux", flv::demux),
    target("flv_video", flv::video),
    target("handshake", rtmp::handshake),
    target("hevc", codec::hevc),
    target("http_answer", http::answer),
    target("http_client_url", http::client_url),
    target("http_fields", http::fields),
    target("http_request", http::request),
    target("message", message::message),
    target("mp4", mp4::mp4),
    target("nal_units", codec::nal_units),
    target("proxy_prefix", rtmp::proxy_prefix),
    target("redis_reply", redis::reply),
    target("rtsp", rtsp::publisher),
    target("session_client", session::client),
    target("session_server", session::server),
    target("ts_remux", ts::remux),
    target("url", message::url),
    target("vpx", codec::vpx),
    target("websocket", http::websocket),
];

const fn target(name: &'static str, body: fn(&[u8])) -> Target {
    Target { name, body }
}

/// Runs a target.
///
/// # Panics
/// When the bytes break a law, or when there is no target of this name.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("there is no fuzz target {name}"));
    (target.body)(bytes);
}

/// Pieces of some bytes, cut at random: many short ones, a few long ones, now and then the rest as a whole.
struct Pieces<'a> {
    rest: &'a [u8],
    random: fastrand::Rng,
}

impl<'a> Pieces<'a> {
    fn new(bytes: &'a [u8], seed: u16) -> Self {
        Pieces {
            rest: bytes,
            random: fastrand::Rng::with_seed(seed.into()),
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let size = match self.random.u8(..16) {
            0..=7 => self.random.usize(1..4),
            8..=11 => self.random.usize(1..40),
            12..=14 => self.random.usize(1..600),
            _ => self.rest.len(),
        };
        let (piece, rest) = self.rest.split_at(size.min(self.rest.len()));
        self.rest = rest;
        Some(piece)
    }
}

/// Takes the seed of the cuts off the front of an input.
fn split_seed(input: &[u8]) -> Option<(u16, &[u8])> {
    let (seed, bytes) = input.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*seed), bytes))
}

/// What an error says goes to the log: one line of bounded length, on which a peer can forge nothing.
fn check_error(error: &Error) {
    let text = error.summary();
    assert!(!text.contains(char::is_control), "a peer's control character: {text:?}");
    assert!(text.len() < LOG_LINE_BYTES / 2, "{} bytes: {text}", text.len());
}

/// The value of a result whose error is one for the log.
fn checked<T>(result: Result<T, Error>) -> Option<T> {
    result.inspect_err(check_error).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_whole() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3000).collect();
        for seed in 0..50 {
            let pieces: Vec<&[u8]> = Pieces::new(&bytes, seed).collect();
            assert_eq!(pieces.concat(), bytes);
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
        }
    }

    #[test]
    fn targets_are_in_order_and_differ() {
        assert!(TARGETS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    #[should_panic(expected = "control character")]
    fn a_forged_log_line_is_seen() {
        use crate::kernel::error_code::ErrorCode;
        check_error(&Error::new(ErrorCode::RtmpTcUrl, "vhost a\n[ERROR] forged"));
    }
}
