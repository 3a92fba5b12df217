//! The media playlist (RFC 8216 section 4), as text.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;

/// A segment that players may fetch.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its media sequence number.
    pub number: u64,
    /// Its URI in the playlist.
    pub uri: String,
    /// Its file.
    pub file: String,
    /// Its media, milliseconds.
    pub duration_ms: i64,
    /// Its file's size.
    pub bytes: u64,
    /// Times or codecs do not go on from the segment before.
    pub discontinuity: bool,
    /// What it is encrypted with.
    pub key: Option<Rc<KeyTag>>,
    /// The URI of its initialisation segment, if it is fragmented MP4.
    pub map: Option<Rc<str>>,
    /// When it began, Unix time in milliseconds.
    pub date_ms: i64,
}

/// What tells players how to decrypt.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyTag {
    /// Where the key is.
    pub uri: String,
    /// The initialisation vector.
    pub iv: [u8; 16],
}

/// The segments that the playlist lists.
#[derive(Debug, Default)]
pub struct Window {
    segments: VecDeque<Segment>,
    /// Discontinuities that have left.
    discontinuities: u64,
}

impl Window {
    /// Appends a segment; gives those that leave, as those from the newest one back to the first that makes them longer
    /// than `window_ms` stay.
    pub fn push(&mut self, segment: Segment, window_ms: i64) -> Vec<Segment> {
        self.segments.push_back(segment);
        let mut sum = 0;
        let kept = self.segments.iter().rev().take_while(|segment| {
            let stays = sum <= window_ms;
            sum += segment.duration_ms;
            stays
        });
        let leaving = self.segments.len() - kept.count();
        let left: Vec<Segment> = self.segments.drain(..leaving).collect();
        self.discontinuities += left.iter().filter(|segment| segment.discontinuity).count() as u64;
        left
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter()
    }

    /// Bits a second: the most of a segment, and all segments together.
    pub fn bandwidth(&self) -> (u64, u64) {
        let rate = |bytes: u64, ms: i64| bytes.saturating_mul(8000) / u64::try_from(ms).unwrap_or(0).max(1);
        let peak = self
            .segments
            .iter()
            .map(|segment| rate(segment.bytes, segment.duration_ms))
            .max();
        let (bytes, ms) = self.segments.iter().fold((0, 0), |(bytes, ms), segment| {
            (bytes + segment.bytes, ms + segment.duration_ms)
        });
        (peak.unwrap_or(0), rate(bytes, ms))
    }

    /// The number of the oldest segment, 0 without any.
    pub fn first_number(&self) -> u64 {
        self.segments.front().map_or(0, |segment| segment.number)
    }

    /// Discontinuities that have left.
    pub fn discontinuities(&self) -> u64 {
        self.discontinuities
    }

    /// The target duration: no segment is longer.
    pub fn target_seconds(&self, target_ms: i64) -> u64 {
        let longest = self.segments.iter().map(|segment| segment.duration_ms).max();
        (longest.unwrap_or(0).max(target_ms) as u64).div_ceil(1000).max(1)
    }

    /// The playlist. `target_ms` is what segments are to be: some players take a target that falls for an error.
    pub fn playlist(&self, target_ms: i64) -> String {
        let (first, target) = (self.first_number(), self.target_seconds(target_ms));
        // EXT-X-MAP without I-frames came with 6.
        let version = match self.segments.iter().any(|segment| segment.map.is_some()) {
            true => 6,
            false => 3,
        };
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-TARGETDURATION:{target}\n"
        );
        if self.discontinuities > 0 {
            // Writing into a String cannot fail, here and below.
            let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuities);
        }
        let (mut key, mut map): (Option<&Rc<KeyTag>>, Option<&str>) = (None, None);
        for segment in &self.segments {
            if segment.discontinuity {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            if segment.map.as_deref() != map {
                map = segment.map.as_deref();
                put_map(&mut text, map);
            }
            if segment.key.as_ref() != key {
                write_key(&mut text, segment.key.as_deref());
                key = segment.key.as_ref();
            }
            let (seconds, millis) = (segment.duration_ms / 1000, segment.duration_ms % 1000);
            let _ = writeln!(text, "#EXTINF:{seconds}.{millis:03}, no desc\n{}", segment.uri);
        }
        text
    }
}

/// Tells where the initialisation segment is; before a key, as it is not encrypted.
pub(super) fn put_map(text: &mut String, uri: Option<&str>) {
    if let Some(uri) = uri {
        let uri = uri.replace('"', "%22");
        let _ = writeln!(text, "#EXT-X-MAP:URI=\"{uri}\"");
    }
}

fn write_key(text: &mut String, key: Option<&KeyTag>) {
    let Some(key) = key else {
        text.push_str("#EXT-X-KEY:METHOD=NONE\n");
        return;
    };
    // A quote cannot be written inside a quoted string (RFC 8216 section 4.2).
    let uri = key.uri.replace('"', "%22");
    let _ = write!(text, "#EXT-X-KEY:METHOD=AES-128,URI=\"{uri}\",IV=0x");
    for byte in key.iv {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(number: u64, duration_ms: i64) -> Segment {
        Segment {
            number,
            uri: format!("s-{number}.ts"),
            file: format!("./live/s-{number}.ts"),
            duration_ms,
            bytes: 1000,
            discontinuity: false,
            key: None,
            map: None,
            date_ms: 0,
        }
    }

    #[test]
    fn one_segment_more_than_the_window_stays() {
        let mut window = Window::default();
        for number in 0..6 {
            assert!(window.push(segment(number, 10_000), 60_000).is_empty());
        }
        assert!(window.push(segment(6, 10_000), 60_000).is_empty());
        let left = window.push(segment(7, 10_000), 60_000);
        assert_eq!(left.iter().map(|segment| segment.number).collect::<Vec<_>>(), [0]);
        let left = window.push(segment(8, 61_000), 60_000);
        assert_eq!(left.len(), 7);
        assert_eq!(window.segments().count(), 1);
    }

    #[test]
    fn the_text_is_that_of_the_contract() {
        let mut window = Window::default();
        window.push(segment(3, 9_960), 60_000);
        let mut second = segment(4, 10_001);
        second.discontinuity = true;
        window.push(second, 60_000);
        let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-TARGETDURATION:11\n\
            #EXTINF:9.960, no desc\ns-3.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:10.001, no desc\ns-4.ts\n";
        assert_eq!(window.playlist(10_000), expected);
        window.push(segment(5, 70_000), 60_000);
        assert!(window.playlist(10_000).contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
    }

    #[test]
    fn fragmented_segments_tell_their_initialisation_segment() {
        let mut window = Window::default();
        for (number, map) in ["init.mp4", "init.mp4", "init-1.mp4"].into_iter().enumerate() {
            let mut segment = segment(number as u64, 10_000);
            segment.map = Some(map.into());
            window.push(segment, 60_000);
        }
        let text = window.playlist(10_000);
        assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:6\n"));
        let expected = "#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:10.000, no desc\ns-0.ts\n#EXTINF:10.000, no desc\ns-1.ts\n\
            #EXT-X-MAP:URI=\"init-1.mp4\"\n#EXTINF:10.000, no desc\ns-2.ts\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_player_that_comes_late_finds_the_key() {
        let key = |byte| {
            Some(Rc::new(KeyTag {
                uri: format!("http://h/{byte}.key"),
                iv: [byte; 16],
            }))
        };
        let (first, second) = (key(1), key(0xab));
        let mut window = Window::default();
        for (number, key) in [&first, &first, &second, &second, &None].into_iter().enumerate() {
            let mut segment = segment(number as u64, 10_000);
            segment.key = key.clone();
            window.push(segment, 35_000);
        }
        let text = window.playlist(10_000);
        let expected = "#EXT-X-KEY:METHOD=AES-128,URI=\"http://h/1.key\",IV=0x01010101010101010101010101010101\n\
            #EXTINF:10.000, no desc\ns-1.ts\n\
            #EXT-X-KEY:METHOD=AES-128,URI=\"http://h/171.key\",IV=0xabababababababababababababababab\n\
            #EXTINF:10.000, no desc\ns-2.ts\n#EXTINF:10.000, no desc\ns-3.ts\n\
            #EXT-X-KEY:METHOD=NONE\n#EXTINF:10.000, no desc\ns-4.ts\n";
        assert!(text.ends_with(expected), "{text}");
    }
}
