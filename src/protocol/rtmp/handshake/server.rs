//! The server's side of the handshake.

use super::digest::{PLAYER_KEY, SERVER_KEY};
use super::{C0C1_BYTES, PACKET_BYTES, PLAIN_VERSION, Packet, S0S1S2_BYTES, Schema, fill_packet};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The version in a signed S1. Any but zero does; this is the one that users of SRS have met.
const S1_VERSION: u32 = 0x0100_0504;

/// What to send after C0C1.
pub struct Answer {
    /// S0, S1 and S2, for one write. After it the client's C2 follows, whose content does not matter.
    pub s0s1s2: Box<[u8; S0S1S2_BYTES]>,
    /// The order of blocks in the client's signed C1; `None` for a simple handshake.
    pub digest: Option<Schema>,
}

/// Answers C0C1.
///
/// C1 with a valid digest gets the complex handshake in the same schema, whatever C0 is; S0 always tells plain RTMP.
/// `millis` is the server's clock in milliseconds, of any epoch; `fill` fills bytes at random.
///
/// # Errors
/// [`ErrorCode::RtmpPlainRequired`] if C1 has no digest and C0 is not 3.
pub fn respond(c0c1: &[u8; C0C1_BYTES], millis: u32, fill: &mut dyn FnMut(&mut [u8])) -> Result<Answer> {
    let [c0, c1 @ ..] = c0c1;
    let challenge = PLAYER_KEY.find(c1);
    if challenge.is_none() && *c0 != PLAIN_VERSION {
        return Err(Error::new(
            ErrorCode::RtmpPlainRequired,
            format!("C0 is {c0} and C1 has no digest, only plain RTMP (3) is spoken"),
        ));
    }
    let mut s1: Packet = [0; PACKET_BYTES];
    let mut s2: Packet = *c1;
    match challenge {
        Some((schema, digest)) => {
            fill_packet(&mut s1, millis, S1_VERSION, fill);
            SERVER_KEY.sign(&mut s1, schema);
            fill(&mut s2);
            SERVER_KEY.sign_answer(&mut s2, &digest);
        }
        // Version zero tells the client not to look for a digest.
        None => fill_packet(&mut s1, millis, 0, fill),
    }
    let mut s0s1s2 = Box::new([PLAIN_VERSION; S0S1S2_BYTES]);
    s0s1s2[1..=PACKET_BYTES].copy_from_slice(&s1);
    s0s1s2[1 + PACKET_BYTES..].copy_from_slice(&s2);
    Ok(Answer {
        s0s1s2,
        digest: challenge.map(|(schema, _)| schema),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_up(bytes: &mut [u8]) {
        bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
    }

    fn c0c1(c0: u8, signed: Option<Schema>) -> [u8; C0C1_BYTES] {
        let mut c1: Packet = [0; PACKET_BYTES];
        fill_packet(&mut c1, 1, 0x0900_7c02, &mut count_up);
        if let Some(schema) = signed {
            PLAYER_KEY.sign(&mut c1, schema);
        }
        let mut bytes = [c0; C0C1_BYTES];
        bytes[1..].copy_from_slice(&c1);
        bytes
    }

    #[test]
    fn a_signed_c1_gets_a_signed_answer_in_its_schema() {
        for schema in [Schema::KeyFirst, Schema::DigestFirst] {
            for c0 in [3, 6, 0] {
                let c0c1 = c0c1(c0, Some(schema));
                let answer = respond(&c0c1, 0x0102_0304, &mut count_up).unwrap();
                assert_eq!(answer.digest, Some(schema));
                assert_eq!(answer.s0s1s2[..9], [3, 1, 2, 3, 4, 1, 0, 5, 4]);
                let s1: &Packet = answer.s0s1s2[1..1537].try_into().unwrap();
                assert_eq!(SERVER_KEY.find(s1).unwrap().0, schema);
                let mut s2: Packet = answer.s0s1s2[1537..].try_into().unwrap();
                let sent = s2;
                let (_, digest) = PLAYER_KEY.find(c0c1[1..].try_into().unwrap()).unwrap();
                s2[1504..].fill(0);
                SERVER_KEY.sign_answer(&mut s2, &digest);
                assert_eq!(s2, sent);
            }
        }
    }

    #[test]
    fn an_unsigned_c1_is_echoed() {
        let c0c1 = c0c1(3, None);
        let answer = respond(&c0c1, 9, &mut count_up).unwrap();
        assert_eq!(answer.digest, None);
        assert_eq!(answer.s0s1s2[..10], [3, 0, 0, 0, 9, 0, 0, 0, 0, 8]);
        assert_eq!(answer.s0s1s2[1537..], c0c1[1..]);
    }

    #[test]
    fn zeros_are_a_simple_c1() {
        let mut c0c1 = [0; C0C1_BYTES];
        c0c1[0] = 3;
        assert_eq!(respond(&c0c1, 0, &mut count_up).unwrap().digest, None);
    }

    #[test]
    fn without_a_digest_c0_must_be_3() {
        for c0 in [0, 2, 6, b'G', 0xff] {
            let error = respond(&c0c1(c0, None), 0, &mut count_up).err().unwrap();
            assert_eq!(error.code(), ErrorCode::RtmpPlainRequired);
        }
    }
}
