//! The digests of the complex handshake: where they stand, and how they are made.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{PACKET_BYTES, Packet};

/// Bytes of an HMAC-SHA256 digest.
pub(super) const DIGEST_BYTES: usize = 32;

/// An HMAC-SHA256 digest.
pub(super) type Digest = [u8; DIGEST_BYTES];

/// C1 and S1 hold time and version (4 bytes each), then two blocks of this size.
const BLOCK_BYTES: usize = 764;
const FIRST_BLOCK: usize = 8;
const SECOND_BLOCK: usize = FIRST_BLOCK + BLOCK_BYTES;
/// A digest block begins with four bytes whose sum, modulo the places left, tells how far behind them the digest is.
const OFFSET_BYTES: usize = 4;
const PLACES: usize = BLOCK_BYTES - OFFSET_BYTES - DIGEST_BYTES;

const _: () = assert!(SECOND_BLOCK + BLOCK_BYTES == PACKET_BYTES);

/// The order of the two blocks in C1 and S1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Known as schema 0: the block with the Diffie-Hellman key, then the one with the digest.
    KeyFirst,
    /// Known as schema 1: the block with the digest, then the one with the Diffie-Hellman key.
    DigestFirst,
}

impl Schema {
    /// Both, in the order in which a packet is tried.
    const ALL: [Schema; 2] = [Schema::KeyFirst, Schema::DigestFirst];

    /// Where the digest of `packet` stands in this schema.
    fn digest_at(self, packet: &Packet) -> usize {
        let block = match self {
            Schema::KeyFirst => SECOND_BLOCK,
            Schema::DigestFirst => FIRST_BLOCK,
        };
        let digests = block + OFFSET_BYTES;
        let sum: usize = packet[block..digests].iter().map(|&byte| usize::from(byte)).sum();
        digests + sum % PLACES
    }
}

/// The keys of one side. They are constants of the protocol, known to everyone, and protect nothing.
pub(super) struct SideKey {
    /// A text, then 32 bytes that both sides share; signs S2 and C2.
    whole: &'static [u8],
    /// The text alone; signs S1 and C1.
    text: &'static [u8],
}

/// The client's key.
pub(super) const PLAYER_KEY: SideKey = SideKey {
    whole: b"Genuine Adobe Flash Player 001\
    \xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57\
    \x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae",
    text: b"Genuine Adobe Flash Player 001",
};

/// The server's key.
pub(super) const SERVER_KEY: SideKey = SideKey {
    whole: b"Genuine Adobe Flash Media Server 001\
    \xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57\
    \x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae",
    text: b"Genuine Adobe Flash Media Server 001",
};

impl SideKey {
    /// Puts the digest of C1 or S1 in its place, over the noise there.
    pub(super) fn sign(&self, packet: &mut Packet, schema: Schema) {
        let at = schema.digest_at(packet);
        let digest = self.digest_around(packet, at);
        packet[at..at + DIGEST_BYTES].copy_from_slice(&digest);
    }

    /// The schema and digest of a C1 or S1 that this side signed; `None` if there is no valid digest, as in a simple
    /// handshake.
    pub(super) fn find(&self, packet: &Packet) -> Option<(Schema, Digest)> {
        Schema::ALL.into_iter().find_map(|schema| {
            let at = schema.digest_at(packet);
            let digest = self.digest_around(packet, at);
            (packet[at..at + DIGEST_BYTES] == digest).then_some((schema, digest))
        })
    }

    /// Signs S2 or C2 in its last bytes, as the answer to the other side's digest.
    pub(super) fn sign_answer(&self, packet: &mut Packet, challenge: &Digest) {
        let (noise, signature) = packet.split_at_mut(PACKET_BYTES - DIGEST_BYTES);
        let key = hmac_sha256(self.whole, &[challenge]);
        signature.copy_from_slice(&hmac_sha256(&key, &[noise]));
    }

    /// The digest over all of `packet` but the digest's own place.
    fn digest_around(&self, packet: &Packet, at: usize) -> Digest {
        hmac_sha256(self.text, &[&packet[..at], &packet[at + DIGEST_BYTES..]])
    }
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern() -> Packet {
        std::array::from_fn(|at| (at * 7 % 251) as u8)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn keys_have_their_lengths() {
        for (key, bytes) in [(PLAYER_KEY, 62), (SERVER_KEY, 68)] {
            assert_eq!(key.whole.len(), bytes);
            assert_eq!(key.whole.strip_prefix(key.text).unwrap().len(), 32);
        }
    }

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_matches_the_rfc() {
        assert_eq!(
            hex(&hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn the_digest_stands_where_the_sum_tells() {
        let cases: [([u8; 4], usize); 7] = [
            ([0, 0, 0, 0], 0),
            ([1, 0, 0, 0], 1),
            ([255, 255, 217, 0], 727),
            ([255, 255, 218, 0], 0),
            ([0, 218, 255, 255], 0),
            ([255, 255, 255, 0], 37),
            ([255, 255, 255, 255], 292),
        ];
        for (offset, places) in cases {
            let mut packet = pattern();
            packet[772..776].copy_from_slice(&offset);
            assert_eq!(Schema::KeyFirst.digest_at(&packet), 776 + places);
            packet[8..12].copy_from_slice(&offset);
            assert_eq!(Schema::DigestFirst.digest_at(&packet), 12 + places);
            for schema in Schema::ALL {
                PLAYER_KEY.sign(&mut packet, schema);
                assert_eq!(PLAYER_KEY.find(&packet).map(|found| found.0), Some(schema));
                assert!(SERVER_KEY.find(&packet).is_none());
            }
        }
    }

    /// Computed with another implementation of HMAC over the same pattern.
    #[test]
    fn signatures_match_another_implementation() {
        let signed = |key: &SideKey, schema: Schema| {
            let mut packet = pattern();
            key.sign(&mut packet, schema);
            let (_, digest) = key.find(&packet).unwrap();
            hex(&digest)
        };
        assert_eq!(
            signed(&PLAYER_KEY, Schema::KeyFirst),
            "a608ce1f0fece42e79eaf2bf474f05edb004fffec4dc30ea48b2b6bdeb9bdae4"
        );
        assert_eq!(
            signed(&PLAYER_KEY, Schema::DigestFirst),
            "043c48a656b74dfbb0b2f019c99c24655a14f06be57b01fa458f547bfeefc4e0"
        );
        assert_eq!(
            signed(&SERVER_KEY, Schema::KeyFirst),
            "bc2860aec942183a537acb759732337a0e82f20565b6914a05082b1c7d616bfc"
        );
        assert_eq!(
            signed(&SERVER_KEY, Schema::DigestFirst),
            "d9746645c654529b6662f4c9f6117ba8b60ea50f39ee7f1fe0f053ca5453d26c"
        );
        let challenge: Digest = std::array::from_fn(|at| at as u8);
        for (key, expected) in [
            (
                PLAYER_KEY,
                "2ecf43a646ff3dff49aaa43605d7adf86ffff2de44c3659119a738feb5e7783f",
            ),
            (
                SERVER_KEY,
                "0cdd83b122cd63d7a9286bee91fc1c5f034153525a43b6891ba9a6481d6dd67c",
            ),
        ] {
            let mut packet = pattern();
            key.sign_answer(&mut packet, &challenge);
            assert_eq!(packet[..1504], pattern()[..1504]);
            assert_eq!(hex(&packet[1504..]), expected);
        }
    }

    #[test]
    fn one_changed_bit_spoils_the_digest() {
        let mut packet = pattern();
        SERVER_KEY.sign(&mut packet, Schema::DigestFirst);
        for at in (0..PACKET_BYTES).step_by(61) {
            packet[at] ^= 0x10;
            assert!(SERVER_KEY.find(&packet).is_none(), "byte {at}");
            packet[at] ^= 0x10;
        }
        assert!(SERVER_KEY.find(&packet).is_some());
    }
}
