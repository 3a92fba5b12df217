//! The client's side of the handshake.

use super::digest::{PLAYER_KEY, SERVER_KEY};
use super::{C0C1_BYTES, C2_BYTES, PACKET_BYTES, PLAIN_VERSION, Packet, S0S1S2_BYTES, Schema, fill_packet};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The version in C1. Any but zero tells servers to look for the digest.
const C1_VERSION: u32 = 0x8000_0702;

/// What to send after S0S1S2.
pub struct End {
    /// C2; after it both sides speak in chunks.
    pub c2: Box<[u8; C2_BYTES]>,
    /// The order of blocks in the server's signed S1; `None` for a server that knows the simple handshake only.
    pub server_digest: Option<Schema>,
}

/// C0 and C1, with a digest that servers of the simple handshake take for noise.
///
/// `millis` is the client's clock in milliseconds, of any epoch; `fill` fills bytes at random.
pub fn hello(millis: u32, fill: &mut dyn FnMut(&mut [u8])) -> Box<[u8; C0C1_BYTES]> {
    let mut c1: Packet = [0; PACKET_BYTES];
    fill_packet(&mut c1, millis, C1_VERSION, fill);
    // FFmpeg signs in this schema, so every server that lives has met it.
    PLAYER_KEY.sign(&mut c1, Schema::DigestFirst);
    let mut c0c1 = Box::new([PLAIN_VERSION; C0C1_BYTES]);
    c0c1[1..].copy_from_slice(&c1);
    c0c1
}

/// Answers S0S1S2.
///
/// A server that signed S1 gets a signed C2, any other an echo of S1. S2 is not looked at: a server that answers with
/// the wrong bytes there speaks RTMP all the same.
///
/// # Errors
/// [`ErrorCode::RtmpPlainRequired`] if S0 is not 3.
pub fn finish(s0s1s2: &[u8; S0S1S2_BYTES], fill: &mut dyn FnMut(&mut [u8])) -> Result<End> {
    let [s0, rest @ ..] = s0s1s2;
    if *s0 != PLAIN_VERSION {
        return Err(Error::new(
            ErrorCode::RtmpPlainRequired,
            format!("S0 is {s0}, only plain RTMP (3) is spoken"),
        ));
    }
    let mut s1: Packet = [0; PACKET_BYTES];
    s1.copy_from_slice(&rest[..PACKET_BYTES]);
    let challenge = SERVER_KEY.find(&s1);
    let mut c2 = Box::new(s1);
    if let Some((_, digest)) = &challenge {
        fill(&mut *c2);
        PLAYER_KEY.sign_answer(&mut c2, digest);
    }
    Ok(End {
        c2,
        server_digest: challenge.map(|(schema, _)| schema),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_up(bytes: &mut [u8]) {
        bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
    }

    #[test]
    fn hello_is_signed() {
        let c0c1 = hello(0x0102_0304, &mut count_up);
        assert_eq!(c0c1[..9], [3, 1, 2, 3, 4, 0x80, 0, 7, 2]);
        let c1: &Packet = c0c1[1..].try_into().unwrap();
        assert_eq!(PLAYER_KEY.find(c1).unwrap().0, Schema::DigestFirst);
    }

    #[test]
    fn a_simple_server_gets_an_echo_whatever_its_version() {
        for version in [0, 1, 0x0d] {
            let mut s0s1s2 = [version; S0S1S2_BYTES];
            s0s1s2[0] = 3;
            let end = finish(&s0s1s2, &mut count_up).unwrap();
            assert_eq!(end.server_digest, None);
            assert_eq!(end.c2[..], s0s1s2[1..1537]);
        }
    }

    #[test]
    fn a_signed_s1_of_either_schema_gets_a_signed_c2() {
        for schema in [Schema::KeyFirst, Schema::DigestFirst] {
            let mut s1: Packet = [7; PACKET_BYTES];
            SERVER_KEY.sign(&mut s1, schema);
            let mut s0s1s2 = [3; S0S1S2_BYTES];
            s0s1s2[1..1537].copy_from_slice(&s1);
            let end = finish(&s0s1s2, &mut count_up).unwrap();
            assert_eq!(end.server_digest, Some(schema));
            let mut expected: Packet = [0; PACKET_BYTES];
            count_up(&mut expected);
            PLAYER_KEY.sign_answer(&mut expected, &SERVER_KEY.find(&s1).unwrap().1);
            assert_eq!(*end.c2, expected);
        }
    }

    #[test]
    fn s0_must_be_3() {
        let error = finish(&[6; S0S1S2_BYTES], &mut count_up).err().unwrap();
        assert_eq!(error.code(), ErrorCode::RtmpPlainRequired);
    }
}
