//! What HDS players read first: the manifest (F4M 1.0), and the bootstrap that lists fragments (Adobe Flash Video File
//! Format Specification 10.1, annex C.4).

use crate::kernel::buf::Put;

/// Ticks a second of all times.
const TIMESCALE: u32 = 1000;
/// Profile 0, live, no update of an earlier one.
const LIVE: u8 = 0x20;

/// A fragment that players may fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Its number, from 1.
    pub number: u32,
    /// Its first time stamp, milliseconds.
    pub begin_ms: i64,
    /// How long it lasts, milliseconds.
    pub duration_ms: i64,
}

/// The manifest of a stream.
pub fn manifest(stream: &str) -> String {
    let stream = escape(stream);
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<manifest xmlns=\"http://ns.adobe.com/f4m/1.0\">\n    \
         <id>{stream}.f4m</id>\n    <streamType>live</streamType>\n    <deliveryType>streaming</deliveryType>\n    \
         <bootstrapInfo profile=\"named\" url=\"{stream}.abst\" id=\"bootstrap0\" />\n    \
         <media bitrate=\"0\" url=\"{stream}\" bootstrapInfoId=\"bootstrap0\"></media>\n</manifest>\n"
    )
}

/// A name as text of XML.
fn escape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            // XML 1.0 has no way to write them.
            control if control.is_control() => text.push('\u{fffd}'),
            plain => text.push(plain),
        }
    }
    text
}

/// The bootstrap (`abst`) that lists these fragments, as version number `version`.
pub fn bootstrap(version: u32, fragments: &[Fragment]) -> Vec<u8> {
    let count = u32::try_from(fragments.len()).unwrap_or(u32::MAX);
    let end = fragments.last();
    let now = end.map_or(0, |last| last.begin_ms + last.duration_ms);
    let mut out = Vec::with_capacity(128 + fragments.len() * 16);
    put_box(&mut out, b"abst", |out| {
        out.put_u32(version);
        out.push(LIVE);
        out.put_u32(TIMESCALE);
        out.put_u64(now as u64);
        // No SMPTE offset, no name, no servers, qualities, DRM data or metadata of their own.
        out.put_u64(0);
        out.extend_from_slice(&[0; 5]);
        out.push(1);
        put_box(out, b"asrt", |out| {
            out.push(0);
            out.put_u32(1);
            out.put_u32(1);
            out.put_u32(count);
        });
        out.push(1);
        put_box(out, b"afrt", |out| {
            out.put_u32(TIMESCALE);
            out.push(0);
            out.put_u32(count);
            for fragment in fragments {
                out.put_u32(fragment.number);
                out.put_u64(fragment.begin_ms as u64);
                // A duration of 0 would announce a discontinuity.
                out.put_u32(u32::try_from(fragment.duration_ms).unwrap_or(1).max(1));
            }
        });
    });
    out
}

/// Appends a box of version 0 without flags.
fn put_box(out: &mut Vec<u8>, kind: &[u8; 4], contents: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.put_u32(0);
    out.extend_from_slice(kind);
    out.put_u32(0);
    contents(out);
    let size = u32::try_from(out.len() - begin).unwrap_or(u32::MAX);
    out[begin..begin + 4].copy_from_slice(&size.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bootstrap_is_that_of_the_specification() {
        let fragments = [1, 2].map(|number| Fragment {
            number,
            begin_ms: i64::from(number) * 10_000,
            duration_ms: 10_000,
        });
        let bytes = bootstrap(7, &fragments);
        let mut expected = Vec::new();
        expected.extend_from_slice(b"\0\0\0\x7aabst\0\0\0\0\0\0\0\x07\x20\0\0\x03\xe8");
        expected.extend_from_slice(&30_000u64.to_be_bytes());
        expected.extend_from_slice(&[0; 13]);
        expected.extend_from_slice(b"\x01\0\0\0\x19asrt\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x02");
        expected.extend_from_slice(b"\x01\0\0\0\x35afrt\0\0\0\0\0\0\x03\xe8\0\0\0\0\x02");
        for fragment in fragments {
            expected.extend_from_slice(&fragment.number.to_be_bytes());
            expected.extend_from_slice(&(fragment.begin_ms as u64).to_be_bytes());
            expected.extend_from_slice(&10_000u32.to_be_bytes());
        }
        assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[test]
    fn names_are_escaped() {
        let text = manifest("a<b>&\"c\n");
        assert!(text.contains("<id>a&lt;b&gt;&amp;&quot;c\u{fffd}.f4m</id>"), "{text}");
    }
}
