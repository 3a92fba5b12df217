//! The effective configuration in its own language, the origin behind each directive.

use std::fmt::{self, Write};

use super::{Block, Effective, Entry, Value};

/// A configuration that says the same. What cannot be written, or only hides the value, is a comment.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        entries(f, &self.entries, 0)
    }
}

fn entries(f: &mut fmt::Formatter<'_>, all: &[Entry], depth: usize) -> fmt::Result {
    for entry in all {
        for _ in 0..depth {
            f.write_str("    ")?;
        }
        match entry {
            Entry::Value(value) => self::value(f, value)?,
            Entry::Block(block) => self::block(f, block, depth)?,
        }
    }
    Ok(())
}

fn value(f: &mut fmt::Formatter<'_>, value: &Value) -> fmt::Result {
    let words = std::iter::once(&value.name).chain(&value.words).map(String::as_str);
    let written: Option<Vec<String>> = words.clone().map(word).collect();
    let line = match written {
        Some(written) if value.can_be_written => written.join(" "),
        _ => format!("#{}", on_one_line(&words.collect::<Vec<_>>().join(" "))),
    };
    writeln!(f, "{line}; # {}", on_one_line(&value.origin.to_string()))
}

fn block(f: &mut fmt::Formatter<'_>, block: &Block, depth: usize) -> fmt::Result {
    f.write_str(block.name())?;
    // They come from a file, so that there is a way to write them.
    for argument in block.arguments.iter().filter_map(|argument| word(argument)) {
        write!(f, " {argument}")?;
    }
    writeln!(f, " {{ # {}", on_one_line(&block.origin.to_string()))?;
    entries(f, &block.entries, depth + 1)?;
    for _ in 0..depth {
        f.write_str("    ")?;
    }
    f.write_char('}')?;
    f.write_char('\n')
}

fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

/// A word as the language writes it, in quotes where it needs them; `None` for one that it cannot write.
fn word(text: &str) -> Option<String> {
    if text.is_empty() || text.contains(['\n', '\r']) {
        return None;
    }
    if !text.starts_with(['"', '\'', '#', '}']) && !text.contains([' ', '\t', ';', '{']) {
        return Some(text.to_owned());
    }
    let quote = ['"', '\''].into_iter().find(|quote| !text.contains(*quote))?;
    Some(format!("{quote}{text}{quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_get_quotes_where_they_need_them() {
        for (text, written) in [
            ("on", Some("on")),
            ("a\"b", Some("a\"b")),
            ("a b", Some("\"a b\"")),
            ("a;\"b\"", Some("'a;\"b\"'")),
            ("{", Some("\"{\"")),
            ("#x", Some("\"#x\"")),
            ("}", Some("\"}\"")),
            ("a \"b' c", None),
            ("a\nb", None),
            ("", None),
        ] {
            assert_eq!(word(text).as_deref(), written, "{text:?}");
        }
    }
}
