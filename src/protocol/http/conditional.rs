//! Conditional requests (RFC 9110 section 13): whether a peer's copy is still good.

use super::date;
use super::headers::Headers;

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// A strong entity tag with its quotes.
    pub etag: String,
    /// The last change, seconds since 1970.
    pub modified: u64,
}

impl Validators {
    /// Those of a file that was changed at `modified_nanos` since 1970 and has `size` bytes.
    pub fn of_file(modified_nanos: u128, size: u64) -> Self {
        let seconds = u64::try_from(modified_nanos / 1_000_000_000).unwrap_or(u64::MAX);
        Validators {
            etag: format!("\"{modified_nanos:x}-{size:x}\""),
            modified: seconds,
        }
    }

    /// Whether the peer has this state already, so that status 304 is the answer.
    pub fn not_modified(&self, headers: &Headers) -> bool {
        if headers.get("If-None-Match").is_some() {
            let mut tags = headers.all("If-None-Match").flat_map(|value| value.split(','));
            return tags.any(|tag| {
                let tag = tag.trim();
                tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag
            });
        }
        let since = headers.get("If-Modified-Since").and_then(date::parse);
        since.is_some_and(|since| self.modified <= since)
    }

    /// Whether a `Range` field counts: one with a condition does so only for the state that the peer has.
    pub fn range_counts(&self, headers: &Headers) -> bool {
        match headers.get("If-Range") {
            None => true,
            Some(tag) if tag.starts_with('"') => tag == self.etag,
            Some(text) => date::parse(text) == Some(self.modified),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &str, value: &str) -> Headers {
        let mut headers = Headers::default();
        headers.push(name, value);
        headers
    }

    #[test]
    fn a_copy_is_good_until_the_file_changes() {
        let validators = Validators::of_file(784_111_777_250_000_000, 10);
        let not_modified = |name, value: &str| validators.not_modified(&headers(name, value));
        assert!(not_modified("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(not_modified("If-Modified-Since", "Sun, 06 Nov 1994 08:49:38 GMT"));
        assert!(!not_modified("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"));
        assert!(!not_modified("If-Modified-Since", "yesterday"));
        assert!(not_modified("If-None-Match", &format!("\"x\", W/{}", validators.etag)));
        assert!(not_modified("If-None-Match", "*"));
        assert!(!not_modified("If-None-Match", "\"x\""));
        assert!(!validators.not_modified(&Headers::default()));
    }

    #[test]
    fn a_tag_beats_a_date() {
        let validators = Validators::of_file(784_111_777_000_000_000, 10);
        let mut both = headers("If-None-Match", "\"x\"");
        both.push("If-Modified-Since", "Sun, 06 Nov 1994 08:49:38 GMT");
        assert!(!validators.not_modified(&both));
    }

    #[test]
    fn a_part_of_another_state_is_no_use() {
        let validators = Validators::of_file(784_111_777_000_000_000, 10);
        let counts = |value: &str| validators.range_counts(&headers("If-Range", value));
        assert!(counts(&validators.etag));
        assert!(!counts(&format!("W/{}", validators.etag)));
        assert!(counts("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(!counts("Sun, 06 Nov 1994 08:49:38 GMT"));
        assert!(validators.range_counts(&Headers::default()));
    }
}
