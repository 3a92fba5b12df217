//! Signed URLs: `?expires=UNIX&sign=HEX`.
//!
//! What is signed is the text `EXPIRES ACTION IP STREAM`, parted by single blanks: the Unix time as the URL tells it,
//! `play` or `publish`, the client's address or `-` where any may use the URL, and `/APP/STREAM`. None of the first three
//! can hold a blank, so no two wishes share a text. The signature is its HMAC-SHA256 (RFC 2104) in hexadecimal digits.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Now, Wish};

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 32;

/// What a URL brings.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The parameter `expires`.
    pub expires: &'a str,
    /// The parameter `sign`.
    pub sign: &'a str,
}

/// Whether one of the keys has signed this wish and its time is not over; with `bind_ip` only a signature over the
/// client's address counts.
///
/// # Errors
/// What is wrong, for the log.
pub fn verify(keys: &[Vec<u8>], shown: Shown<'_>, wish: Wish<'_>, now: Now, bind_ip: bool) -> Result<(), &'static str> {
    let is_number = !shown.expires.is_empty() && shown.expires.bytes().all(|byte| byte.is_ascii_digit());
    let expires = is_number.then(|| shown.expires.parse::<u64>().ok()).flatten();
    let expires = expires.ok_or("expires is no Unix time")?;
    let sign = bytes_of(shown.sign).ok_or("sign is no HMAC-SHA256 in hexadecimal digits")?;
    let bound = text(shown.expires, wish, Some(wish.client));
    let free = (!bind_ip).then(|| text(shown.expires, wish, None));
    let texts = [Some(bound), free];
    let mut texts = texts.iter().flatten();
    if !texts.any(|text| keys.iter().any(|key| is_signed(key, text, &sign))) {
        return Err("no key has signed this URL for this action, stream and client");
    }
    match now.is_past(expires) {
        true => Err("the URL has expired"),
        false => Ok(()),
    }
}

fn text(expires: &str, wish: Wish<'_>, client: Option<IpAddr>) -> String {
    let client = client.map_or_else(|| "-".to_owned(), |client| client.to_canonical().to_string());
    format!("{expires} {} {client} {}", wish.action, wish.stream)
}

/// The comparison takes the same time wherever the two differ.
fn is_signed(key: &[u8], text: &str, sign: &[u8; SIGNATURE_BYTES]) -> bool {
    mac(key, text).verify_slice(sign).is_ok()
}

/// The signature's state over a text; keys may have any length.
pub(super) fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac
}

/// The bytes of 64 hexadecimal digits of either case.
pub(super) fn bytes_of(digits: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let digits = digits.as_bytes();
    if digits.len() != SIGNATURE_BYTES * 2 {
        return None;
    }
    let mut bytes = [0; SIGNATURE_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        unix_seconds: 1_000,
        skew: 5,
    };
    /// `printf '%s' '2000 play - /live/s' | openssl dgst -sha256 -hmac secret`
    const OPENSSL: &str = "b9549290f9a9cb611346e937b7a15c3c181b833e90dece46f1845c5227047977";

    fn sign(key: &str, text: &str) -> String {
        let bytes = mac(key.as_bytes(), text).finalize().into_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn check(text: &str, expires: &str, bind_ip: bool) -> Result<(), &'static str> {
        let wish = Wish {
            action: "play",
            stream: "/live/s",
            client: [192, 0, 2, 1].into(),
        };
        let keys = [b"new".to_vec(), b"secret".to_vec()];
        let sign = sign("secret", text);
        verify(&keys, Shown { expires, sign: &sign }, wish, NOW, bind_ip)
    }

    #[test]
    fn openssl_signs_the_same_text() {
        assert_eq!(sign("secret", "2000 play - /live/s"), OPENSSL);
    }

    #[test]
    fn the_text_is_all_of_the_wish() {
        for (text, expires, bind_ip, expected) in [
            ("2000 play - /live/s", "2000", false, true),
            ("2000 play 192.0.2.1 /live/s", "2000", false, true),
            ("2000 play 192.0.2.1 /live/s", "2000", true, true),
            ("2000 play - /live/s", "2000", true, false),
            ("2000 play 192.0.2.2 /live/s", "2000", false, false),
            ("2000 publish - /live/s", "2000", false, false),
            ("2000 play - /live/s2", "2000", false, false),
            ("2000 play - /live2/s", "2000", false, false),
            ("3000 play - /live/s", "2000", false, false),
            ("02000 play - /live/s", "2000", false, false),
            ("-1 play - /live/s", "-1", false, false),
            ("+2000 play - /live/s", "+2000", false, false),
            (" play - /live/s", "", false, false),
            (
                "99999999999999999999 play - /live/s",
                "99999999999999999999",
                false,
                false,
            ),
            (
                "18446744073709551615 play - /live/s",
                "18446744073709551615",
                false,
                true,
            ),
        ] {
            assert_eq!(
                check(text, expires, bind_ip).is_ok(),
                expected,
                "{text} bound: {bind_ip}"
            );
        }
    }

    #[test]
    fn time_passes_with_patience_for_clocks() {
        for (expires, expected) in [("1000", true), ("995", true), ("994", false), ("0", false)] {
            let text = format!("{expires} play - /live/s");
            assert_eq!(check(&text, expires, false).is_ok(), expected, "{expires}");
        }
        assert_eq!(check("1 play - /live/s", "1", false), Err("the URL has expired"));
    }

    #[test]
    fn whatever_is_no_signature_is_refused() {
        let good = sign("secret", "2000 play - /live/s");
        assert_eq!(bytes_of(&good), bytes_of(&good.to_uppercase()));
        for end in 0..good.len() {
            assert_eq!(bytes_of(&good[..end]), None);
        }
        for bad in [
            "",
            &format!("{good}0"),
            &"g".repeat(64),
            &"ä".repeat(32),
            &format!("+{}", &good[1..]),
        ] {
            assert_eq!(bytes_of(bad), None, "{bad}");
        }
    }
}
