//! FLV files as the tests need them: a list of tags. Written apart from the server's own code on purpose.

use std::path::Path;

pub const AUDIO: u8 = 8;
pub const VIDEO: u8 = 9;
pub const DATA: u8 = 18;

/// One tag of a file, or one media message of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub kind: u8,
    /// Milliseconds.
    pub timestamp: u32,
    pub payload: Vec<u8>,
}

impl Tag {
    /// The sound of AAC with this number, from 0, which is its header; they are so many milliseconds apart.
    pub fn sound(number: u32, apart: u32) -> Self {
        let payload = match number {
            0 => b"\xaf\x00\x12\x10".to_vec(),
            _ => [&b"\xaf\x01"[..], &[0x21; 60]].concat(),
        };
        Tag {
            kind: AUDIO,
            timestamp: number * apart,
            payload,
        }
    }

    /// Whether the payload sets a decoder up (or, in enhanced FLV, tells colours or ends a sequence) instead of being media.
    pub fn is_header(&self) -> bool {
        let [first, rest @ ..] = self.payload.as_slice() else {
            return true;
        };
        match self.kind {
            VIDEO if first & 0x80 != 0 => !matches!(first & 0x0f, 1 | 3),
            VIDEO => matches!(first & 0x0f, 7 | 12) && rest.first() != Some(&1),
            AUDIO if first >> 4 == 9 => first & 0x0f != 1,
            AUDIO => first >> 4 == 10 && rest.first() != Some(&1),
            _ => true,
        }
    }
}

/// Reads a file; fails the test when it is no FLV. A tag that is cut at the end is left out.
#[track_caller]
pub fn read(path: &Path) -> Vec<Tag> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
    parse(&bytes).unwrap_or_else(|| panic!("{} is no FLV file ({} bytes)", path.display(), bytes.len()))
}

fn parse(bytes: &[u8]) -> Option<Vec<Tag>> {
    let (header, mut rest) = (bytes.get(..9)?, bytes.get(13..)?);
    if !header.starts_with(b"FLV\x01") {
        return None;
    }
    let mut tags = Vec::new();
    while let Some(header) = rest.get(..11) {
        let size = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let Some(payload) = rest.get(11..11 + size) else {
            break;
        };
        tags.push(Tag {
            kind: header[0] & 0x1f,
            timestamp: u32::from_be_bytes([header[7], header[4], header[5], header[6]]),
            payload: payload.to_vec(),
        });
        rest = rest.get(11 + size + 4..).unwrap_or_default();
    }
    Some(tags)
}

/// The payloads of one kind without headers, in order.
pub fn media(tags: &[Tag], kind: u8) -> Vec<&[u8]> {
    tags.iter()
        .filter(|tag| tag.kind == kind && !tag.is_header())
        .map(|tag| tag.payload.as_slice())
        .collect()
}

/// The times of the pictures of a file, milliseconds.
#[track_caller]
pub fn picture_times(path: &Path) -> Vec<u32> {
    read(path)
        .iter()
        .filter(|tag| tag.kind == VIDEO && !tag.is_header())
        .map(|tag| tag.timestamp)
        .collect()
}

/// Fails the test unless what was received is, byte for byte, a stretch of what was sent. What was sent may repeat
/// (a publisher that loops a file). At least `least` payloads must have come.
#[track_caller]
pub fn assert_stretch(what: &str, sent: &[&[u8]], received: &[&[u8]], least: usize) {
    assert!(
        received.len() >= least,
        "{what}: {} payloads came, wanted at least {least}",
        received.len()
    );
    let Some(first) = received.first() else {
        return;
    };
    let mut best = 0;
    for start in (0..sent.len()).filter(|&at| sent[at] == *first) {
        let same = sent[start..].iter().chain(sent.iter().cycle()).zip(received);
        let length = same.take_while(|(sent, received)| sent == received).count();
        if length == received.len() {
            return;
        }
        best = best.max(length);
    }
    panic!(
        "{what}: payload {best} of {} ({} bytes) is not what the publisher sent after the ones before it",
        received.len(),
        received[best].len()
    );
}

/// [`assert_stretch`] for each kind of media that was sent.
#[track_caller]
pub fn assert_same_media(sent: &[Tag], received: &[Tag], least: usize) {
    for (kind, name) in [(VIDEO, "video"), (AUDIO, "audio")] {
        let (sent, received) = (media(sent, kind), media(received, kind));
        if sent.is_empty() {
            assert!(received.is_empty(), "{name} came that nobody sent");
        } else {
            assert_stretch(name, &sent, &received, least);
        }
    }
}

/// The comparison itself has to be able to fail.
#[cfg(test)]
mod tests {
    use super::*;

    const SENT: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"b"];

    #[test]
    fn a_stretch_may_begin_anywhere_and_go_round() {
        assert_stretch("x", &SENT, &[b"b", b"c", b"d"], 3);
        assert_stretch("x", &SENT, &[b"d", b"b", b"a", b"b", b"c", b"d", b"b", b"a"], 3);
    }

    #[test]
    #[should_panic(expected = "payload 1 of 2")]
    fn a_lost_payload_is_seen() {
        assert_stretch("x", &SENT, &[b"a", b"c"], 1);
    }

    #[test]
    #[should_panic(expected = "payload 2 of 3")]
    fn a_changed_byte_is_seen() {
        assert_stretch("x", &SENT, &[b"b", b"c", b"e"], 1);
    }

    #[test]
    #[should_panic(expected = "wanted at least 2")]
    fn too_few_payloads_are_seen() {
        assert_stretch("x", &SENT, &[b"a"], 2);
    }

    #[test]
    fn headers_are_told_from_media() {
        let is_header = |kind, payload: &[u8]| {
            Tag {
                kind,
                timestamp: 0,
                payload: payload.to_vec(),
            }
            .is_header()
        };
        assert!(is_header(VIDEO, &[0x17, 0]) && !is_header(VIDEO, &[0x27, 1]));
        assert!(is_header(AUDIO, &[0xaf, 0]) && !is_header(AUDIO, &[0xaf, 1]) && !is_header(AUDIO, &[0x2f, 0xff]));
        // Enhanced: sequence start, metadata; coded frames with and without composition time.
        assert!(is_header(VIDEO, b"\x90hvc1") && is_header(VIDEO, b"\xd4hvc1") && is_header(AUDIO, b"\x90Opus"));
        assert!(!is_header(VIDEO, b"\x91hvc1") && !is_header(VIDEO, b"\xa3av01") && !is_header(AUDIO, b"\x91Opus"));
        assert!(is_header(DATA, &[2]));
    }
}
