//! Paths of URLs, made safe: what comes out names nothing above its root, however it was written.

use super::percent;

/// How often an already decoded path is decoded once more to see what it would turn into.
const EXTRA_ROUNDS: usize = 3;

/// Decodes the path of a URL. The result begins with `/`, has no empty segments, no `.` and no `..`, no backslash and
/// no control character, and a `/` at its end only if the URL had one.
///
/// # Errors
/// A phrase for the log: no `/` at the start, a broken escape, bytes that are not UTF-8, a segment `..`, a backslash or
/// a control character; also when only another round of decoding would bring one of the last three to light.
pub fn resolve(raw: &str) -> Result<String, &'static str> {
    if !raw.starts_with('/') {
        return Err("it does not begin with a slash");
    }
    let bytes = percent::decode(raw).ok_or("a percent sign without two hexadecimal digits")?;
    let decoded = String::from_utf8(bytes).map_err(|_| "its bytes are not UTF-8")?;
    refuse_escape(&decoded)?;
    let mut again = decoded.clone();
    for _ in 0..EXTRA_ROUNDS {
        // Software behind us may decode what we hand on.
        let Some(bytes) = percent::decode(&again).filter(|bytes| bytes != again.as_bytes()) else {
            break;
        };
        again = String::from_utf8_lossy(&bytes).into_owned();
        refuse_escape(&again).map_err(|_| "a doubly encoded step out of the root")?;
    }
    Ok(tidy(&decoded))
}

fn refuse_escape(path: &str) -> Result<(), &'static str> {
    if path.chars().any(char::is_control) {
        return Err("a control character");
    }
    if path.contains('\\') {
        return Err("a backslash");
    }
    if path.split('/').any(|segment| segment == "..") {
        return Err("a segment ..");
    }
    Ok(())
}

fn tidy(path: &str) -> String {
    let mut tidied = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty() && *segment != ".") {
        tidied.push('/');
        tidied.push_str(segment);
    }
    if tidied.is_empty() || path.ends_with('/') || path.ends_with("/.") {
        tidied.push('/');
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_come_through() {
        let cases = [
            ("/", "/"),
            ("/live/a.flv", "/live/a.flv"),
            ("//live///a.flv", "/live/a.flv"),
            ("/live/./a/.", "/live/a/"),
            ("/a%20b/%E4%BD%A0.ts", "/a b/你.ts"),
            ("/100%25.flv", "/100%.flv"),
            ("/a..b/...", "/a..b/..."),
            ("/a%2Fb", "/a/b"),
            ("/.", "/"),
        ];
        for (raw, path) in cases {
            assert_eq!(resolve(raw).as_deref(), Ok(path), "{raw}");
        }
    }

    #[test]
    fn steps_out_of_the_root_are_refused_however_written() {
        let cases = [
            "/..",
            "/../etc/passwd",
            "/a/../../etc/passwd",
            "/%2e%2e/etc",
            "/%2E./etc",
            "/..%2fetc",
            "/a%2f..%2f..%2fetc",
            "/%252e%252e/etc",
            "/%25252e%25252e%25252fetc",
            "/..%255cetc",
            "/..\\etc",
            "/a%5c..%5cetc",
            "/a%00.flv",
            "/a%2500.flv",
            "/a%0d%0ab",
            "/a%7f",
            "etc/passwd",
            "",
            "*",
            "/%",
            "/%c0%ae%c0%ae/etc",
        ];
        for raw in cases {
            assert!(resolve(raw).is_err(), "{raw} gave {:?}", resolve(raw));
        }
    }

    #[test]
    fn no_mutation_leaves_the_root() {
        let mut random = fastrand::Rng::with_seed(1);
        let parts = [
            "..", ".", "/", "\\", "%", "2", "5", "e", "f", "c", "0", "a", "%2e", "%2f", "%5c", "%25", "ü",
        ];
        for _ in 0..20_000 {
            let mut raw = String::from("/");
            for _ in 0..random.usize(..12) {
                raw += parts[random.usize(..parts.len())];
            }
            let Ok(path) = resolve(&raw) else { continue };
            assert!(path.starts_with('/') && !path.contains("//"), "{raw} gave {path}");
            let bad = |segment: &str| segment == ".." || segment == "." || segment.contains(['\\', '\0']);
            assert!(!path.split('/').any(bad), "{raw} gave {path}");
        }
    }
}
