//! The RTMP handshake of both sides, over bytes that the caller reads and writes (Adobe RTMP specification 1.0,
//! section 5.2; the digests of Flash Player 9 and later are not part of it, but are public knowledge).
//!
//! A client sends C0C1, the server answers S0S1S2, the client ends with C2. Two forms exist. In the simple one each
//! side echoes what the other sent. In the complex one C1 and S1 carry an HMAC-SHA256 digest, and S2 and C2 are signed
//! with a key made of the other's digest; Flash Player plays H.264 only from a server that does this. C1 and S1 have
//! room for a Diffie-Hellman key too. RTMPE alone uses it, and is not spoken here, so noise stands there.
//!
//! The caller passes in the time and a source of random bytes. They only have to be hard to confuse with a digest,
//! nothing secret is made of them.

pub mod client;
mod digest;
pub mod proxy;
pub mod server;

pub use digest::Schema;

/// Bytes of C0 and C1, what a client sends first.
pub const C0C1_BYTES: usize = 1 + PACKET_BYTES;
/// Bytes of S0, S1 and S2, the server's whole answer.
pub const S0S1S2_BYTES: usize = 1 + 2 * PACKET_BYTES;
/// Bytes of C2, the client's last part.
pub const C2_BYTES: usize = PACKET_BYTES;

/// Bytes of each of C1, S1, C2 and S2.
const PACKET_BYTES: usize = 1536;
/// C0 and S0: RTMP without encryption.
const PLAIN_VERSION: u8 = 3;

/// C1, S1, C2 or S2.
type Packet = [u8; PACKET_BYTES];

/// Fills a packet with noise behind its time and version (both big-endian).
fn fill_packet(packet: &mut Packet, millis: u32, version: u32, fill: &mut dyn FnMut(&mut [u8])) {
    fill(packet);
    packet[..4].copy_from_slice(&millis.to_be_bytes());
    packet[4..8].copy_from_slice(&version.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::error_code::ErrorCode;

    fn noise(seed: u64) -> impl FnMut(&mut [u8]) {
        let mut random = fastrand::Rng::with_seed(seed);
        move |bytes| random.fill(bytes)
    }

    #[test]
    fn our_client_and_our_server_shake_hands() {
        for seed in 0..200 {
            let c0c1 = client::hello(seed as u32, &mut noise(seed));
            let answer = server::respond(&c0c1, 7, &mut noise(!seed)).unwrap();
            assert_eq!(answer.digest, Some(Schema::DigestFirst));
            let end = client::finish(&answer.s0s1s2, &mut noise(seed + 1000)).unwrap();
            assert!(end.server_digest.is_some());
        }
    }

    #[test]
    fn any_bytes_give_an_answer_or_an_error() {
        for seed in 0..300 {
            let mut c0c1 = [0; C0C1_BYTES];
            let mut s0s1s2 = [0; S0S1S2_BYTES];
            noise(seed)(&mut c0c1);
            noise(seed)(&mut s0s1s2);
            match server::respond(&c0c1, 0, &mut noise(1)) {
                Ok(answer) => assert!(c0c1[0] == 3 && answer.digest.is_none()),
                Err(error) => assert_eq!(error.code(), ErrorCode::RtmpPlainRequired),
            }
            match client::finish(&s0s1s2, &mut noise(1)) {
                Ok(end) => assert!(s0s1s2[0] == 3 && end.server_digest.is_none()),
                Err(error) => assert_eq!(error.code(), ErrorCode::RtmpPlainRequired),
            }
        }
    }
}
