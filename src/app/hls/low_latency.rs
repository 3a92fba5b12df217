//! Low-latency HLS (RFC 8216bis, draft 15): segments in parts while they are written, playlists that wait for the next
//! part, and updates without what a player knows.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;

use bytes::Bytes;

use super::playlist::{Segment, Window, put_map};

/// Newest complete segments whose parts stay listed: at least three target durations (4.4.4.9).
const SEGMENTS_WITH_PARTS: usize = 3;
/// Target durations after which segments may be left out of an update (4.4.3.8).
const SKIP_AFTER: u64 = 6;

/// A part of a segment.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name in the playlist's folder.
    pub name: String,
    /// Its media, milliseconds.
    pub duration_ms: i64,
    /// A player may start with it.
    pub independent: bool,
    /// Its media.
    pub bytes: Bytes,
}

/// The parts of a segment.
#[derive(Debug)]
pub struct Parts {
    number: u64,
    discontinuity: bool,
    map: Option<Rc<str>>,
    date_ms: i64,
    parts: Vec<Part>,
}

impl Parts {
    /// A segment that begins.
    pub fn new(number: u64, discontinuity: bool, map: Option<Rc<str>>, date_ms: i64) -> Self {
        Parts {
            number,
            discontinuity,
            map,
            date_ms,
            parts: Vec::new(),
        }
    }
}

/// What a player asks for with `_HLS_msn` and `_HLS_part`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// A segment's number.
    pub segment: u64,
    /// A part of it; without one the segment must be complete.
    pub part: Option<u64>,
}

/// The parts of one stream.
#[derive(Debug)]
pub struct LowLatency {
    /// What a part's name begins with.
    stem: String,
    part_ms: i64,
    /// Oldest first; the last one is being written unless it is in the window.
    segments: VecDeque<Parts>,
    /// The longest part so far, milliseconds.
    longest_ms: i64,
}

impl LowLatency {
    /// A stream without parts; names begin with `stem`, parts are to last `part_ms`.
    pub fn new(stem: String, part_ms: i64) -> Self {
        LowLatency {
            stem,
            part_ms,
            segments: VecDeque::new(),
            longest_ms: 0,
        }
    }

    /// Begins a segment; gives the names of parts that are no longer listed. One of the same number was thrown away.
    pub fn begin(&mut self, parts: Parts) -> Vec<String> {
        let mut dropped: Vec<Parts> = Vec::new();
        while self.segments.back().is_some_and(|last| last.number >= parts.number) {
            dropped.extend(self.segments.pop_back());
        }
        self.segments.push_back(parts);
        while self.segments.len() > SEGMENTS_WITH_PARTS + 1 {
            dropped.extend(self.segments.pop_front());
        }
        let parts = dropped.into_iter().flat_map(|segment| segment.parts);
        parts.map(|part| part.name).collect()
    }

    /// Adds a part to the segment that is being written; gives it.
    pub fn add(&mut self, bytes: Bytes, duration_ms: i64, independent: bool) -> Option<Part> {
        let segment = self.segments.back_mut()?;
        let name = part_name(&self.stem, segment.number, segment.parts.len() as u64);
        let part = Part {
            name,
            duration_ms,
            independent,
            bytes,
        };
        segment.parts.push(part.clone());
        self.longest_ms = self.longest_ms.max(duration_ms);
        Some(part)
    }

    /// The name of the part that comes next.
    pub fn next_name(&self, window: &Window) -> Option<String> {
        let last = self.segments.back()?;
        Some(match is_complete(window, last.number) {
            true => part_name(&self.stem, last.number + 1, 0),
            false => part_name(&self.stem, last.number, last.parts.len() as u64),
        })
    }

    /// All parts' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments
            .iter()
            .flat_map(|segment| &segment.parts)
            .map(|part| part.name.as_str())
    }

    /// Whether the playlist lists what a player wants; `None` when it asks for something far ahead, which is a mistake.
    pub fn has(&self, window: &Window, wanted: Wanted) -> Option<bool> {
        let last = self.segments.back().map_or(0, |last| last.number);
        if wanted.segment > last + 2 {
            return None;
        }
        if is_complete(window, wanted.segment) || wanted.segment < window.first_number() {
            return Some(true);
        }
        let listed = self.segments.iter().find(|segment| segment.number == wanted.segment);
        let parts = listed.map_or(0, |segment| segment.parts.len() as u64);
        Some(wanted.part.is_some_and(|part| part < parts))
    }

    /// The playlist; with `skips` an update for a player that knows older segments.
    pub fn playlist(&self, window: &Window, target_ms: i64, skips: bool) -> String {
        let target = window.target_seconds(target_ms);
        let part_target = self.part_ms.max(self.longest_ms);
        let total_ms: i64 = window.segments().map(|segment| segment.duration_ms).sum();
        let skip_ms = i64::try_from(target * SKIP_AFTER * 1000).unwrap_or(i64::MAX);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{target}\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={},CAN-SKIP-UNTIL={}\n\
             #EXT-X-PART-INF:PART-TARGET={}\n#EXT-X-MEDIA-SEQUENCE:{}\n",
            seconds(part_target * 3),
            seconds(skip_ms),
            seconds(part_target),
            window.first_number(),
        );
        // Writing into a String cannot fail, here and below.
        if window.discontinuities() > 0 {
            let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", window.discontinuities());
        }
        text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        let mut map = None;
        let is_old = |from_end: i64| skips && from_end > skip_ms;
        let skipped = window
            .segments()
            .scan(total_ms, |left, segment| {
                let old = is_old(*left);
                *left -= segment.duration_ms;
                old.then_some(())
            })
            .count();
        if skipped > 0 {
            let _ = writeln!(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
        }
        for (index, segment) in window.segments().enumerate() {
            if index < skipped {
                map = segment.map.as_deref();
                continue;
            }
            if segment.map.as_deref() != map {
                map = segment.map.as_deref();
                put_map(&mut text, map);
            }
            self.put_segment(segment, &mut text);
        }
        self.put_open(window, map, &mut text);
        text
    }

    fn put_segment(&self, segment: &Segment, text: &mut String) {
        put_begin(text, segment.discontinuity, segment.date_ms);
        if let Some(listed) = self.segments.iter().find(|listed| listed.number == segment.number) {
            listed.parts.iter().for_each(|part| put_part(text, part));
        }
        let _ = writeln!(text, "#EXTINF:{},\n{}", seconds(segment.duration_ms), segment.uri);
    }

    /// The segment that is being written, and what comes next.
    fn put_open(&self, window: &Window, map: Option<&str>, text: &mut String) {
        if let Some(open) = self.segments.back().filter(|last| !is_complete(window, last.number))
            && !open.parts.is_empty()
        {
            if open.map.as_deref() != map {
                put_map(text, open.map.as_deref());
            }
            put_begin(text, open.discontinuity, open.date_ms);
            open.parts.iter().for_each(|part| put_part(text, part));
        }
        if let Some(name) = self.next_name(window) {
            let _ = writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\"");
        }
    }
}

fn is_complete(window: &Window, number: u64) -> bool {
    window.segments().last().is_some_and(|last| number <= last.number)
}

fn part_name(stem: &str, segment: u64, part: u64) -> String {
    format!("{stem}-{segment}.part{part}.m4s")
}

fn put_begin(text: &mut String, discontinuity: bool, date_ms: i64) {
    if discontinuity {
        text.push_str("#EXT-X-DISCONTINUITY\n");
    }
    let date = jiff::Timestamp::from_millisecond(date_ms).unwrap_or_default();
    let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{date:.3}");
}

fn put_part(text: &mut String, part: &Part) {
    let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
    let _ = writeln!(
        text,
        "#EXT-X-PART:DURATION={},URI=\"{}\"{independent}",
        seconds(part.duration_ms),
        part.name
    );
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(number: u64) -> Segment {
        Segment {
            number,
            uri: format!("s-{number}.m4s"),
            file: String::new(),
            duration_ms: 2000,
            bytes: 1000,
            discontinuity: false,
            key: None,
            map: Some("s/init.mp4".into()),
            date_ms: 1_795_375_541_041 + number as i64 * 2000,
        }
    }

    fn begin(low: &mut LowLatency, number: u64) -> Vec<String> {
        low.begin(Parts::new(number, false, Some("s/init.mp4".into()), 1_795_375_541_041))
    }

    fn stream(segments: u64, parts: u64) -> (LowLatency, Window) {
        let (mut low, mut window) = (LowLatency::new("s".into(), 500), Window::default());
        for number in 0..segments {
            begin(&mut low, number);
            for part in 0..4 {
                low.add(Bytes::from_static(b"x"), 500, part == 0);
            }
            window.push(complete(number), 60_000);
        }
        begin(&mut low, segments);
        for part in 0..parts {
            low.add(Bytes::from_static(b"x"), 500, part == 0);
        }
        (low, window)
    }

    #[test]
    fn parts_of_the_newest_segments_and_the_next_one_are_listed() {
        let (low, window) = stream(5, 2);
        let text = low.playlist(&window, 2000, false);
        let head = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.500,CAN-SKIP-UNTIL=12.000\n\
            #EXT-X-PART-INF:PART-TARGET=0.500\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n\
            #EXT-X-MAP:URI=\"s/init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T19:25:41.041Z\n#EXTINF:2.000,\ns-0.m4s\n";
        assert!(text.starts_with(head), "{text}");
        let tail = "#EXTINF:2.000,\ns-4.m4s\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T19:25:41.041Z\n\
            #EXT-X-PART:DURATION=0.500,URI=\"s-5.part0.m4s\",INDEPENDENT=YES\n\
            #EXT-X-PART:DURATION=0.500,URI=\"s-5.part1.m4s\"\n\
            #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s-5.part2.m4s\"\n";
        assert!(text.ends_with(tail), "{text}");
        assert!(!text.contains("s-1.part") && text.contains("s-2.part3.m4s"), "{text}");
        assert_eq!(text.matches("EXT-X-MAP").count(), 1);
    }

    #[test]
    fn an_update_leaves_out_what_is_old() {
        let (low, window) = stream(10, 0);
        let text = low.playlist(&window, 2000, true);
        assert!(text.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n"), "{text}");
        assert!(
            !text.contains("s-3.m4s") && text.contains("s-4.m4s") && !text.contains("EXT-X-MAP"),
            "{text}"
        );
        assert!(text.ends_with("TYPE=PART,URI=\"s-10.part0.m4s\"\n"), "{text}");
    }

    #[test]
    fn players_wait_for_what_is_not_there_yet() {
        let (mut low, mut window) = stream(3, 2);
        let wanted = |segment, part| Wanted { segment, part };
        assert_eq!(low.has(&window, wanted(2, None)), Some(true));
        assert_eq!(low.has(&window, wanted(3, Some(1))), Some(true));
        assert_eq!(low.has(&window, wanted(3, Some(2))), Some(false));
        assert_eq!(low.has(&window, wanted(3, None)), Some(false));
        assert_eq!(low.has(&window, wanted(4, Some(0))), Some(false));
        assert_eq!(low.has(&window, wanted(6, None)), None);
        window.push(complete(3), 60_000);
        assert_eq!(low.has(&window, wanted(3, None)), Some(true));
        assert_eq!(low.has(&window, wanted(3, Some(9))), Some(true));
        assert_eq!(low.next_name(&window).as_deref(), Some("s-4.part0.m4s"));
        let dropped = begin(&mut low, 4);
        assert_eq!(dropped.first().map(String::as_str), Some("s-0.part0.m4s"));
    }
}
