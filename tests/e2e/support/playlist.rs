//! HLS media playlists as RFC 8216 (and 8216bis for parts) wants them, over all the versions that a player sees.

use std::collections::BTreeMap;

/// One segment as playlists list it.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    pub uri: String,
    pub seconds: f64,
    /// It begins after a discontinuity.
    pub is_discontinuity: bool,
    /// How many discontinuities there were up to its begin.
    pub discontinuities: u64,
    pub map: Option<String>,
}

/// One version of a playlist.
#[derive(Debug, Default)]
struct Version {
    first: u64,
    segments: Vec<Segment>,
}

/// All versions that were seen.
#[derive(Debug, Default)]
pub struct History {
    /// By media sequence number.
    pub segments: BTreeMap<u64, Segment>,
    newest: Version,
    pub versions: usize,
}

impl History {
    /// Looks at the next version; gives the rule that it breaks.
    pub fn see(&mut self, text: &str) -> Result<(), String> {
        let fault = |rule: &str| format!("{rule}\n{text}");
        let version = parse(text).map_err(|rule| fault(&rule))?;
        if version.first < self.newest.first {
            return Err(fault("6.2.2: the media sequence number went back"));
        }
        let (old_end, end) = (end(&self.newest), end(&version));
        if end < old_end {
            return Err(fault("6.2.1: segments at the end were taken back"));
        }
        if self.versions > 0 && version.first > old_end {
            return Err(fault("6.2.2: segments were never listed"));
        }
        for (number, segment) in (version.first..).zip(&version.segments) {
            match self.segments.get(&number) {
                Some(known) if known == segment => {}
                Some(known) => return Err(fault(&format!("6.2.1: segment {number} was {known:?}, is {segment:?}"))),
                None if self.segments.values().any(|known| known.uri == segment.uri) => {
                    return Err(fault(&format!("the name {} comes twice", segment.uri)));
                }
                None => {
                    self.segments.insert(number, segment.clone());
                }
            }
        }
        self.newest = version;
        self.versions += 1;
        Ok(())
    }

    /// The newest segment's name.
    pub fn newest(&self) -> Option<&str> {
        self.newest.segments.last().map(|segment| segment.uri.as_str())
    }
}

fn end(version: &Version) -> u64 {
    version.first + version.segments.len() as u64
}

/// `NAME:VALUE` of the only line of this tag.
fn only<'a>(text: &'a str, tag: &str) -> Result<Option<&'a str>, String> {
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(tag)?.strip_prefix(':'));
    let first = values.next();
    match values.next() {
        Some(_) => Err(format!("4.3.3: {tag} comes more than once")),
        None => Ok(first),
    }
}

fn number(text: &str, tag: &str) -> Result<Option<u64>, String> {
    let value = only(text, tag)?;
    value
        .map(|value| value.parse().map_err(|_| format!("{tag} has no number")))
        .transpose()
}

/// The value of an attribute that stands in the list of a tag, without its quotes.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let list = line.split_once(':')?.1;
    let at = list
        .split(',')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(at.trim_matches('"'))
}

fn parse(text: &str) -> Result<Version, String> {
    if text.lines().next() != Some("#EXTM3U") {
        return Err("4.3.1.1: #EXTM3U is not the first line".to_owned());
    }
    let target = number(text, "#EXT-X-TARGETDURATION")?.ok_or("4.3.3.1: there is no target duration")?;
    let version = number(text, "#EXT-X-VERSION")?.unwrap_or(1);
    let first = number(text, "#EXT-X-MEDIA-SEQUENCE")?.unwrap_or(0);
    let mut discontinuities = number(text, "#EXT-X-DISCONTINUITY-SEQUENCE")?.unwrap_or(0);
    let needed = match (text.contains("#EXT-X-SKIP"), text.contains("#EXT-X-MAP")) {
        (true, _) => 9,
        (_, true) => 6,
        _ => 3,
    };
    if version < needed {
        return Err(format!("7: version {version} where {needed} is needed"));
    }
    check_parts(text)?;
    let (mut segments, mut seconds, mut is_discontinuity, mut map) = (Vec::new(), None, false, None);
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("#EXTINF:") {
            let value = rest.split(',').next().and_then(|value| value.parse::<f64>().ok());
            let value = value.ok_or("4.3.2.1: #EXTINF has no duration")?;
            if value.round() > target as f64 {
                return Err(format!(
                    "4.3.3.1: a segment of {value} s is above the target of {target} s"
                ));
            }
            seconds = Some(value);
        } else if line == "#EXT-X-DISCONTINUITY" {
            is_discontinuity = true;
            discontinuities += 1;
        } else if line.starts_with("#EXT-X-MAP:") {
            map = attribute(line, "URI").map(str::to_owned);
        } else if !line.starts_with('#') {
            segments.push(Segment {
                uri: line.to_owned(),
                seconds: seconds.take().ok_or("4.3.2.1: a segment has no #EXTINF")?,
                is_discontinuity,
                discontinuities,
                map: map.clone(),
            });
            is_discontinuity = false;
        }
    }
    Ok(Version { first, segments })
}

/// 8216bis, 4.4.4.9: parts are no longer than their target.
fn check_parts(text: &str) -> Result<(), String> {
    let target = text
        .lines()
        .find(|line| line.starts_with("#EXT-X-PART-INF:"))
        .and_then(|line| attribute(line, "PART-TARGET")?.parse::<f64>().ok());
    for line in text.lines().filter(|line| line.starts_with("#EXT-X-PART:")) {
        let seconds = attribute(line, "DURATION").and_then(|value| value.parse::<f64>().ok());
        match (target, seconds) {
            (Some(target), Some(seconds)) if seconds <= target + 0.000_5 => {}
            _ => return Err(format!("a part of {seconds:?} s, the target is {target:?}: {line}")),
        }
        if attribute(line, "URI").is_none() {
            return Err(format!("a part without a name: {line}"));
        }
    }
    Ok(())
}

#[test]
fn faults_are_found() {
    let list = |first: u64, discontinuities: u64, names: &[&str]| {
        let segments: String = names
            .iter()
            .map(|name| format!("#EXTINF:1.000, no desc\n{name}\n"))
            .collect();
        format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}\n#EXT-X-TARGETDURATION:1\n{segments}"
        )
    };
    let begun = || {
        let mut history = History::default();
        history.see(&list(3, 0, &["a", "b", "c"])).unwrap();
        history
    };
    begun().see(&list(4, 0, &["b", "c", "d"])).unwrap();
    for (broken, rule) in [
        (list(2, 0, &["z", "a", "b", "c"]), "went back"),
        (list(3, 0, &["a", "b"]), "taken back"),
        (list(7, 0, &["e"]), "never listed"),
        (list(4, 0, &["b", "x"]), "segment 5 was"),
        (list(4, 1, &["b", "c"]), "segment 4 was"),
        (list(4, 0, &["b", "c", "a"]), "comes twice"),
        (
            list(4, 0, &["b", "c"]).replace("TARGETDURATION:1", "TARGETDURATION:0"),
            "above the target",
        ),
        (list(4, 0, &["b", "c"]).replace("VERSION:3", "VERSION:2"), "is needed"),
        (list(4, 0, &["b", "c"]).replace("#EXTM3U\n", ""), "first line"),
        (
            list(4, 0, &["b", "c"]) + "#EXT-X-PART:DURATION=0.5,URI=\"p\"\n",
            "a part",
        ),
    ] {
        let found = begun().see(&broken).unwrap_err();
        assert!(found.contains(rule), "{found}");
    }
}
