//! Patterns of stream names, in which `*` stands for any text.

/// Whether a pattern fits all of a text. Takes at most as many steps as the product of both lengths.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut in_text) = (0, 0);
    // Behind the last star, and what of the text it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, in_text));
        } else if pattern.get(at) == text.get(in_text) {
            at += 1;
            in_text += 1;
        } else if let Some((behind, taken)) = star {
            at = behind;
            in_text = taken + 1;
            star = Some((behind, taken + 1));
        } else {
            return false;
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, expected) in [
            ("/live/s", "/live/s", true),
            ("/live/s", "/live/s2", false),
            ("/live/s2", "/live/s", false),
            ("/live/*", "/live/s", true),
            ("/live/*", "/live/", true),
            ("/live/*", "/live", false),
            ("/live/*", "/other/live/s", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*/s", "/live/x/s", true),
            ("/*/cam-*-hd", "/a/b/cam-1-cam-2-hd", true),
            ("/*/cam-*-hd", "/a/cam-1-sd", false),
            ("**a**", "bab", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("ä*", "äö", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        let (pattern, text) = ("*a".repeat(500) + "b", "a".repeat(2000));
        assert!(!fits(&pattern, &text));
    }
}
