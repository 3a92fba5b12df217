//! RTMP below its messages: chunks, handshake, proxy prefix.

use bytes::BytesMut;

use super::{Pieces, check_error, checked, split_seed};
use crate::core::limits::RTMP_PROXY_BYTES;
use crate::kernel::error::{Error, Result};
use crate::protocol::rtmp::chunk::{Decoder, Encoder, Message};
use crate::protocol::rtmp::handshake::proxy::{ProxyPrefix, parse_proxy_prefix};
use crate::protocol::rtmp::handshake::{C0C1_BYTES, S0S1S2_BYTES, Schema, client, server};
use crate::protocol::rtmp::message::Control;

/// The longest headers of a chunk: basic header, message header, extended timestamp.
const CHUNK_HEADERS_BYTES: usize = 3 + 11 + 4;

/// Two bytes of seed, then a peer's bytes after its handshake.
///
/// Laws: what is decoded does not depend on how the bytes are cut; no more comes out than went in; what waits for more
/// input is less than a chunk's headers; messages written anew read back the same.
pub fn chunk_decoder(input: &[u8]) {
    let Some((seed, bytes)) = split_seed(input) else {
        return;
    };
    let whole = decode(std::iter::once(bytes));
    let cut = decode(Pieces::new(bytes, seed));
    assert_eq!(whole, cut, "cuts of seed {seed} change what is decoded");
    let total: usize = whole.messages.iter().map(|message| message.payload.len()).sum();
    assert!(total <= bytes.len(), "{total} bytes of {}", bytes.len());
    write_anew(&whole.messages, usize::from(seed).max(1));
}

/// What came of a peer's bytes.
#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    pub messages: Vec<Message>,
    pub fault: Option<String>,
    /// Bytes that wait for more.
    pub waiting: usize,
}

/// Decodes as a connection does: chunk sizes and aborts are obeyed.
pub(super) fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Decoded {
    let (mut decoder, mut buffer) = (Decoder::new(), BytesMut::new());
    let mut decoded = Decoded {
        messages: Vec::new(),
        fault: None,
        waiting: 0,
    };
    for piece in pieces {
        buffer.extend_from_slice(piece);
        match pull(&mut decoder, &mut buffer, &mut decoded.messages) {
            Ok(()) => assert!(buffer.len() < CHUNK_HEADERS_BYTES, "{} bytes wait", buffer.len()),
            Err(error) => {
                check_error(&error);
                decoded.fault = Some(error.summary());
                return decoded;
            }
        }
    }
    decoded.waiting = buffer.len();
    decoded
}

fn pull(decoder: &mut Decoder, buffer: &mut BytesMut, messages: &mut Vec<Message>) -> Result<()> {
    while let Some(message) = decoder.decode(buffer)? {
        if !message.payload.is_empty() {
            match Control::parse(message.kind, &message.payload)? {
                Some(Control::SetChunkSize(size)) => decoder.set_chunk_size(size)?,
                Some(Control::Abort { chunk_stream }) => decoder.abort(chunk_stream),
                _ => {}
            }
        }
        messages.push(message);
    }
    Ok(())
}

fn write_anew(messages: &[Message], chunk_size: usize) {
    let mut encoder = Encoder::new();
    let chunk_size = chunk_size.max(128);
    encoder.set_chunk_size(chunk_size);
    let mut bytes = Vec::new();
    for message in messages {
        let Message {
            kind,
            timestamp,
            stream_id,
            chunk_stream,
            ref payload,
        } = *message;
        let written = encoder.encode(&mut bytes, chunk_stream, kind, timestamp, stream_id, payload);
        written.unwrap_or_else(|error| panic!("{message:?} cannot be written: {error}"));
    }
    let mut decoder = Decoder::new();
    let again = decoder.set_chunk_size(chunk_size as u32).and_then(|()| {
        let (mut buffer, mut again) = (BytesMut::from(&bytes[..]), Vec::new());
        while let Some(message) = decoder.decode(&mut buffer)? {
            again.push(message);
        }
        Ok(again)
    });
    let again = again.unwrap_or_else(|error: Error| panic!("what was written does not read back: {error}"));
    assert_eq!(messages, again, "written with chunks of {chunk_size} bytes");
    assert!(decoder.is_idle());
}

/// C0C1, or S0S1S2, or the noise of both sides; what is missing is zero.
///
/// Laws: an answer always has its length and version; the simple handshake echoes; our two sides always find each other's
/// digest, whatever noise they draw.
pub fn handshake(input: &[u8]) {
    let mut random = fastrand::Rng::with_seed(input.len() as u64);
    let mut fill = |bytes: &mut [u8]| random.fill(bytes);

    let c0c1: [u8; C0C1_BYTES] = padded(input);
    if let Some(answer) = checked(server::respond(&c0c1, 1, &mut fill)) {
        assert_eq!(answer.s0s1s2[0], 3);
        if answer.digest.is_none() {
            assert_eq!(c0c1[0], 3);
            assert_eq!(answer.s0s1s2[C0C1_BYTES..], c0c1[1..], "S2 echoes C1");
        }
    }
    let s0s1s2: [u8; S0S1S2_BYTES] = padded(input);
    if let Some(end) = checked(client::finish(&s0s1s2, &mut fill)) {
        assert_eq!(s0s1s2[0], 3);
        let echoes = end.c2[..] == s0s1s2[1..C0C1_BYTES];
        assert!(echoes || end.server_digest.is_some(), "C2 echoes S1");
    }

    let mut noise = |bytes: &mut [u8]| bytes.copy_from_slice(&padded::<{ C0C1_BYTES - 1 }>(input)[..bytes.len()]);
    let hello = client::hello(7, &mut noise);
    let answer = server::respond(&hello, 8, &mut noise).expect("our own C0C1 is answered");
    assert_eq!(answer.digest, Some(Schema::DigestFirst));
    let end = client::finish(&answer.s0s1s2, &mut noise).expect("our own S0S1S2 is answered");
    assert_eq!(end.server_digest, Some(Schema::DigestFirst));
}

fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let count = bytes.len().min(N);
    array[..count].copy_from_slice(&bytes[..count]);
    array
}

/// The first bytes of a connection.
///
/// Laws: more bytes are asked for only when there are fewer; the verdict on all of the bytes is that on the first ones
/// that were enough; the prefix stays within its bound.
pub fn proxy_prefix(input: &[u8]) {
    let verdict = checked(parse_proxy_prefix(input));
    for have in 0..input.len().min(RTMP_PROXY_BYTES + 8) {
        match checked(parse_proxy_prefix(&input[..have])) {
            Some(ProxyPrefix::Incomplete(needed)) => {
                assert!(
                    needed > have && needed <= 3 + RTMP_PROXY_BYTES,
                    "{have} bytes, {needed} needed"
                );
            }
            early => assert_eq!(early, verdict, "{have} bytes"),
        }
    }
    match verdict {
        Some(ProxyPrefix::Present { length, client }) => {
            assert!(length <= input.len() && length >= 3);
            assert_eq!(client.is_some(), length >= 7);
        }
        Some(ProxyPrefix::Absent) => assert_ne!(input.first(), Some(&0xf3)),
        Some(ProxyPrefix::Incomplete(_)) | None => {}
    }
}
