//! Where a piece of configuration stands: a spot in a file, or an environment variable.

use std::fmt;
use std::rc::Rc;

/// A configuration file as it was read; places keep it alive so that a message can show the line it talks about.
pub struct Source {
    path: String,
    text: Vec<u8>,
}

impl Source {
    /// A file's bytes under the name that messages use for it.
    pub fn new(path: impl Into<String>, text: Vec<u8>) -> Rc<Self> {
        Rc::new(Source {
            path: path.into(),
            text,
        })
    }

    /// The path as the user wrote it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file's bytes, in whatever encoding.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    fn line(&self, line: u32) -> String {
        let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
        let bytes = self.text.split(|byte| *byte == b'\n').nth(index).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// Where a piece of configuration stands.
#[derive(Clone)]
pub enum Place {
    /// A file as a whole, when what is wrong is what it lacks.
    File(Rc<Source>),
    /// A token of a file.
    Spot {
        /// The file.
        source: Rc<Source>,
        /// The line, from 1.
        line: u32,
        /// The column, from 1, in characters.
        column: u32,
        /// The token's length, in characters.
        width: u32,
    },
    /// A variable of the process's environment, by name.
    Environment(Rc<str>),
}

impl Place {
    /// The place of an environment variable.
    pub fn environment(name: &str) -> Self {
        Place::Environment(name.into())
    }

    /// The line from 1, `None` unless the place is a token of a file.
    pub fn line(&self) -> Option<u32> {
        match self {
            Place::Spot { line, .. } => Some(*line),
            _ => None,
        }
    }

    /// The column from 1, `None` unless the place is a token of a file.
    pub fn column(&self) -> Option<u32> {
        match self {
            Place::Spot { column, .. } => Some(*column),
            _ => None,
        }
    }

    /// The line of the file with carets under the token, as two lines; `None` unless the place is a token of a file.
    pub fn excerpt(&self) -> Option<String> {
        /// What a terminal shows comfortably; longer lines are cut around the token.
        const SHOWN: usize = 160;
        let Place::Spot {
            source,
            line,
            column,
            width,
        } = self
        else {
            return None;
        };
        let text: Vec<char> = source.line(*line).chars().collect();
        let start = usize::try_from(*column).ok()?.saturating_sub(1).min(text.len());
        let from = start.saturating_sub(SHOWN / 2);
        let shown: String = text.iter().skip(from).take(SHOWN).map(|c| printable(*c)).collect();
        // A tab stays a tab, so that the carets stand under the token however wide the terminal makes it.
        let pad: String = text[from..start]
            .iter()
            .map(|c| if *c == '\t' { '\t' } else { ' ' })
            .collect();
        let room = (SHOWN - (start - from)).max(1);
        let carets = usize::try_from(*width).unwrap_or(1).clamp(1, room);
        Some(format!("    {shown}\n    {pad}{}", "^".repeat(carets)))
    }
}

fn printable(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

/// `path:line:column`, `path`, or the environment variable's name.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(source) => f.write_str(&source.path),
            Place::Spot {
                source, line, column, ..
            } => write!(f, "{}:{line}:{column}", source.path),
            Place::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(text: &str, line: u32, column: u32, width: u32) -> Place {
        let source = Source::new("a.conf", text.as_bytes().to_vec());
        Place::Spot {
            source,
            line,
            column,
            width,
        }
    }

    #[test]
    fn excerpt_puts_carets_under_the_token() {
        let place = spot("listen 1;\n\tlissten 2;\r\n", 2, 2, 7);
        assert_eq!(place.excerpt().unwrap(), "    \tlissten 2;\n    \t^^^^^^^");
        assert_eq!(place.to_string(), "a.conf:2:2");
    }

    #[test]
    fn excerpt_survives_places_outside_the_text() {
        for (line, column, width) in [(0, 0, 0), (9, 9, 9), (1, u32::MAX, u32::MAX)] {
            let text = spot("ab", line, column, width).excerpt().unwrap();
            assert!(text.contains('^'), "{text}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_token() {
        let text = format!("{}bad{}", "x".repeat(5000), "y".repeat(5000));
        let excerpt = spot(&text, 1, 5001, 3).excerpt().unwrap();
        assert!(excerpt.len() < 400, "{}", excerpt.len());
        assert!(excerpt.contains("bad"));
    }
}
