//! The URIs of a playlist (RFC 8216, 4.1): lines of their own, and `URI` attributes of tags.

/// The attribute that names a URI.
const ATTRIBUTE: &str = "URI=\"";

/// A playlist whose URIs got a parameter more, where `parameter` has one for them.
pub fn with_parameter(playlist: &str, mut parameter: impl FnMut(&str) -> Option<String>) -> String {
    let mut text = String::with_capacity(playlist.len() * 2);
    for line in playlist.split_inclusive('\n') {
        let bare = line.trim_end();
        let (before, uri) = match bare.strip_prefix('#') {
            None => ("", bare),
            Some(_) => {
                let at = attribute(bare).unwrap_or(bare.len());
                let (before, rest) = bare.split_at(at);
                (before, rest.split('"').next().unwrap_or_default())
            }
        };
        text.push_str(before);
        text.push_str(uri);
        if let Some(added) = (!uri.is_empty()).then(|| parameter(uri)).flatten() {
            text.push(if uri.contains('?') { '&' } else { '?' });
            text.push_str(&added);
        }
        text.push_str(&line[before.len() + uri.len()..]);
    }
    text
}

/// Where the value of a tag's URI attribute begins.
fn attribute(line: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = line[from..].find(ATTRIBUTE) {
        let at = from + at;
        // The end of another attribute's name, such as X-URI, does not count.
        if line[..at].ends_with([':', ',']) {
            return Some(at + ATTRIBUTE.len());
        }
        from = at + ATTRIBUTE.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uri_gets_its_parameter() {
        let playlist = "#EXTM3U\n#EXT-X-MAP:URI=\"a.mp4\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"/k?x=1\",IV=0x01\n#EXTINF:1.0,URI\n\
                        a-0.ts\nb-1.ts?x=1\r\n\n#EXT-X-PART:DURATION=1,X-URI=\"q\",URI=\"p.m4s\",INDEPENDENT=YES\nd.m3u8";
        let expected = "#EXTM3U\n#EXT-X-MAP:URI=\"a.mp4?t=5\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"/k?x=1&t=6\",IV=0x01\n\
                        #EXTINF:1.0,URI\na-0.ts?t=6\nb-1.ts?x=1&t=10\r\n\n\
                        #EXT-X-PART:DURATION=1,X-URI=\"q\",URI=\"p.m4s?t=5\",INDEPENDENT=YES\nd.m3u8?t=6";
        assert_eq!(
            with_parameter(playlist, |uri| Some(format!("t={}", uri.len()))),
            expected
        );
        assert_eq!(with_parameter(playlist, |_| None), playlist);
    }

    #[test]
    fn cut_playlists_pass() {
        let playlist = "#EXT-X-KEY:URI=\"ä\",IV=0\r\na\n#,URI=\"";
        for end in (0..=playlist.len()).filter(|end| playlist.is_char_boundary(*end)) {
            assert_eq!(with_parameter(&playlist[..end], |_| None), playlist[..end]);
        }
    }
}
