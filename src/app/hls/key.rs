//! AES-128 for segments (RFC 8216 section 5.2): the whole segment in CBC with PKCS7 padding.

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeEncrypt, KeyIvInit};

/// Bytes of a block, a key and an initialisation vector.
const BLOCK: usize = 16;

/// A key that some segments share.
#[derive(Clone, Copy)]
pub struct Key {
    key: [u8; BLOCK],
    /// The initialisation vector of each of those segments.
    pub iv: [u8; BLOCK],
}

impl Key {
    /// A new, secret one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> std::io::Result<Self> {
        let (mut key, mut iv) = ([0; BLOCK], [0; BLOCK]);
        getrandom::fill(&mut key)
            .and_then(|()| getrandom::fill(&mut iv))
            .map_err(std::io::Error::other)?;
        Ok(Key { key, iv })
    }

    /// What the key's file holds.
    pub fn bytes(&self) -> &[u8] {
        &self.key
    }

    /// Encrypts one segment.
    pub fn encryptor(&self) -> Encryptor {
        Encryptor {
            cipher: cbc::Encryptor::new(&self.key.into(), &self.iv.into()),
            rest: Vec::with_capacity(BLOCK),
        }
    }
}

/// Encrypts a segment piece by piece.
pub struct Encryptor {
    cipher: cbc::Encryptor<Aes128>,
    /// What is not a whole block yet.
    rest: Vec<u8>,
}

impl Encryptor {
    /// Appends what can be encrypted of a piece to `out`.
    pub fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        if !self.rest.is_empty() {
            let missing = (BLOCK - self.rest.len()).min(piece.len());
            let (head, tail) = piece.split_at(missing);
            self.rest.extend_from_slice(head);
            piece = tail;
            if self.rest.len() < BLOCK {
                return;
            }
            let first = std::mem::take(&mut self.rest);
            self.blocks(&first, out);
        }
        let whole = piece.len() - piece.len() % BLOCK;
        let (blocks, rest) = piece.split_at(whole);
        self.blocks(blocks, out);
        self.rest.extend_from_slice(rest);
    }

    fn blocks(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(bytes);
        for block in out[begin..].as_chunks_mut::<BLOCK>().0 {
            self.cipher.encrypt_block(block.into());
        }
    }

    /// Appends the last block with its padding to `out`.
    pub fn finish(self, out: &mut Vec<u8>) {
        let mut last = [0; BLOCK];
        last[..self.rest.len()].copy_from_slice(&self.rest);
        // Less than a block always fits with its padding.
        if let Ok(block) = self.cipher.encrypt_padded::<Pkcs7>(&mut last, self.rest.len()) {
            out.extend_from_slice(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use aes::cipher::BlockModeDecrypt;

    use super::*;

    #[test]
    fn any_pieces_give_what_one_piece_gives() {
        let key = Key::generate().unwrap();
        for length in [0, 1, 15, 16, 17, 188, 1000] {
            let plain: Vec<u8> = (0..length).map(|index| index as u8).collect();
            for piece in [1, 7, 16, 33, 1000] {
                let (mut encryptor, mut out) = (key.encryptor(), Vec::new());
                for piece in plain.chunks(piece) {
                    encryptor.push(piece, &mut out);
                }
                encryptor.finish(&mut out);
                let decryptor = cbc::Decryptor::<Aes128>::new(&key.key.into(), &key.iv.into());
                assert_eq!(decryptor.decrypt_padded::<Pkcs7>(&mut out).unwrap(), plain);
            }
        }
    }

    #[test]
    fn a_known_vector() {
        // NIST SP 800-38A F.2.1, the first block; padding adds one more.
        let key = Key {
            key: 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes(),
            iv: 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f_u128.to_be_bytes(),
        };
        let (mut encryptor, mut out) = (key.encryptor(), Vec::new());
        encryptor.push(&0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a_u128.to_be_bytes(), &mut out);
        encryptor.finish(&mut out);
        assert_eq!(out[..16], 0x7649_abac_8119_b246_cee9_8e9b_12e9_197d_u128.to_be_bytes());
        assert_eq!(out.len(), 32);
    }
}
