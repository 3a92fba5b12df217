//! Percent-encoding of URLs (RFC 3986 section 2.1).

use std::fmt::Write as _;

/// The bytes that a text stands for; `None` when a `%` is not followed by two hexadecimal digits.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (&[high, low], tail) = rest.split_first_chunk::<2>()?;
        decoded.push((hex(high)? << 4) | hex(low)?);
        rest = tail;
    }
    Some(decoded)
}

/// A path as it stands in a URL: everything but unreserved characters and those that mean nothing in a path's middle is
/// encoded.
pub fn encode_path(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn hex(digit: u8) -> Option<u8> {
    // Below 16, so it fits.
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_back() {
        let text = "/a b/ü?#%&\n\0\"<>/..";
        let encoded = encode_path(text);
        assert_eq!(encoded, "/a%20b/%C3%BC%3F%23%25&%0A%00%22%3C%3E/..");
        assert_eq!(decode(&encoded).unwrap(), text.as_bytes());
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["%", "a%", "%2", "%zz", "%2g", "%+1", "%%41", "100%"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode("%41%7a%ff").unwrap(), b"Az\xff");
    }
}
