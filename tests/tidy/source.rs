//! A Rust file as the tidy rules see it: its code without comments and texts, its paths and its functions.

/// A file.
#[derive(Debug)]
pub struct Source {
    /// From the repository's root.
    pub path: String,
    pub text: String,
    /// The text with comments, strings and character literals blanked out; every line stays where it was.
    pub code: String,
    /// Whether the whole file is test code.
    pub is_test: bool,
}

/// A function that has a body.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    /// Where it begins, counted from 1.
    pub line: usize,
    pub lines: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code: blank(text),
            is_test: path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/"),
        }
    }

    /// The code without the test module at its foot.
    fn code_without_tests(&self) -> &str {
        let at = self.code.find("#[cfg(test)]\nmod ").unwrap_or(self.code.len());
        &self.code[..at]
    }

    /// Lines of code: no blank ones, comments, tests at the foot, nor what stands between the lines `// tidy: table`
    /// and `// tidy: end of table`.
    pub fn code_lines(&self) -> usize {
        let mut in_table = false;
        let code = self.code_without_tests().lines();
        let lines = code.zip(self.text.lines()).filter(|(code, text)| {
            match text.trim() {
                "// tidy: table" => in_table = true,
                "// tidy: end of table" => in_table = false,
                _ => {}
            }
            !in_table && !code.trim().is_empty()
        });
        lines.count()
    }

    /// The first line that holds a word as code.
    pub fn line_with_word(&self, word: &str) -> Option<usize> {
        let tokens = tokens(&self.code);
        tokens.iter().find(|token| token.text == word).map(|token| token.line)
    }

    /// Every path in the code (tests at the foot left out), imports spelled out: `use a::{b, c::d}` gives `a::b` and
    /// `a::c::d`. With the line of each.
    pub fn paths(&self) -> Vec<(usize, String)> {
        paths_in(&tokens(self.code_without_tests()))
    }

    /// The first segment after `crate::` of every path, tests included; `super::super::…` is followed up to the crate.
    pub fn crate_paths(&self) -> Vec<(usize, String)> {
        let inside = self
            .path
            .trim_start_matches("src/")
            .trim_end_matches(".rs")
            .trim_end_matches("/mod");
        let depth = inside.split('/').count();
        let paths = paths_in(&tokens(&self.code)).into_iter();
        let firsts = paths.filter_map(|(line, path)| {
            let mut segments = path.split("::").skip_while(|segment| *segment == "self").peekable();
            if segments.peek() == Some(&"crate") {
                return Some((line, segments.nth(1)?.to_owned()));
            }
            let supers = path.split("::").take_while(|segment| *segment == "super").count();
            // A test module inside the file is one level deeper.
            (supers >= depth).then(|| path.split("::").nth(supers).map(|first| (line, first.to_owned())))?
        });
        firsts.collect()
    }

    /// All functions with a body, nested ones too.
    pub fn functions(&self) -> Vec<Function> {
        let tokens = tokens(&self.code);
        let starts = (0..tokens.len()).filter(|&at| tokens[at].text == "fn");
        starts.filter_map(|at| function(&tokens[at..])).collect()
    }
}

#[derive(Debug)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// Words, `::` and single signs.
fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token {
                text: &rest[..length],
                line: index + 1,
            });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

fn is_name(token: &Token<'_>) -> bool {
    token.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn paths_in(tokens: &[Token<'_>]) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_name(&tokens[at]) {
            at = path(tokens, at, "", &mut paths);
        } else {
            at += 1;
        }
    }
    paths
}

/// Reads the path at `at`, which stands below `prefix`, with the group that it may end in. Gives where it ends.
fn path(tokens: &[Token<'_>], mut at: usize, prefix: &str, paths: &mut Vec<(usize, String)>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut path = format!("{prefix}{}", tokens[at].text);
    let line = tokens[at].line;
    at += 1;
    while text(at) == "::" && tokens.get(at + 1).is_some_and(is_name) {
        path = format!("{path}::{}", text(at + 1));
        at += 2;
    }
    if text(at) != "::" || text(at + 1) != "{" {
        paths.push((line, path));
        return at;
    }
    at += 2;
    while at < tokens.len() && text(at) != "}" {
        at = if is_name(&tokens[at]) {
            self::path(tokens, at, &format!("{path}::"), paths)
        } else {
            at + 1
        };
    }
    at + 1
}

/// The function whose `fn` is the first token; `None` for a type (`fn(u8)`) or a declaration without a body.
fn function(tokens: &[Token<'_>]) -> Option<Function> {
    let name = tokens.get(1).filter(|token| is_name(token))?;
    let mut depth = 0_usize;
    for token in &tokens[2..] {
        match token.text {
            ";" if depth == 0 => return None,
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if token.text == "}" && depth == 0 {
            return Some(Function {
                name: name.text.to_owned(),
                line: tokens[0].line,
                lines: token.line - tokens[0].line + 1,
            });
        }
    }
    None
}

/// Replaces comments, strings and character literals by blanks; line ends stay.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let blanked = literal_length(rest, code.chars().next_back());
        let length = if blanked > 0 { blanked } else { first.len_utf8() };
        let (part, after) = rest.split_at(length);
        if blanked > 0 {
            code.extend(part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            code.push(first);
        }
        rest = after;
    }
    code
}

/// How long the comment or literal at the beginning of the text is; 0 if there is none.
fn literal_length(text: &str, before: Option<char>) -> usize {
    let until = |end: Option<usize>, extra: usize| end.map_or(text.len(), |at| at + extra);
    if text.starts_with("//") {
        return until(text.find('\n'), 0);
    }
    if text.starts_with("/*") {
        return until(text.find("*/"), 2);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(length) = raw_string_length(text).filter(|_| !in_word) {
        return length;
    }
    if text.starts_with('"') {
        return quoted_length(text, '"');
    }
    // A lifetime has no closing quote where a character has one.
    let is_character = text.starts_with("'\\") || text.starts_with('\'') && text.chars().nth(2) == Some('\'');
    if is_character { quoted_length(text, '\'') } else { 0 }
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string_length(text: &str) -> Option<usize> {
    let body = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let from = text.len() - body.len() + hashes + 1;
    Some(text[from..].find(&end).map_or(text.len(), |at| from + at + end.len()))
}

#[test]
fn blanking_leaves_code_only() {
    let text = "let a = \"x // {\"; // b\nlet c = '{'; let d: &'a str = r#\"}\"\"#; /* e\n */ f(b'\\'')";
    let code = blank(text);
    assert_eq!(code.len(), text.len());
    assert!(
        !code.contains(['{', '}', 'x', 'e'].as_slice()) || code.contains("let"),
        "{code}"
    );
    let words: Vec<_> = tokens(&code)
        .iter()
        .filter(|token| is_name(token))
        .map(|token| token.text)
        .collect();
    assert_eq!(words, ["let", "a", "let", "c", "let", "d", "a", "str", "f", "b"]);
    assert!(!code.contains(['{', '}']), "{code}");
}

#[test]
fn imports_are_spelled_out() {
    let source = Source::new(
        "src/app/x/y.rs",
        "use std::{fs, sync::{Arc, Mutex as M}};\nlet a = crate::kernel::b::<u8>();\n",
    );
    let paths: Vec<String> = source.paths().into_iter().map(|(_, path)| path).collect();
    for wanted in ["std::fs", "std::sync::Arc", "std::sync::Mutex", "crate::kernel::b"] {
        assert!(paths.iter().any(|path| path == wanted), "no {wanted} in {paths:?}");
    }
    assert_eq!(source.crate_paths(), [(2, "kernel".to_owned())]);
}

#[test]
fn grouped_and_relative_imports_tell_their_layer() {
    let source = Source::new(
        "src/kernel/x.rs",
        "use crate::{\n    app::a,\n    core::b,\n};\nuse super::super::protocol::c;\n",
    );
    let layers: Vec<String> = source.crate_paths().into_iter().map(|(_, layer)| layer).collect();
    assert_eq!(layers, ["app", "core", "protocol"]);
}

#[test]
fn functions_are_measured_to_their_closing_brace() {
    let source = Source::new(
        "src/x.rs",
        "trait T {\n fn a(&self);\n}\nfn b() -> [u8; 2] {\n  {\n  }\n  \"}\"\n}\n",
    );
    let functions = source.functions();
    assert_eq!(functions.len(), 1);
    assert_eq!(
        (functions[0].name.as_str(), functions[0].line, functions[0].lines),
        ("b", 4, 5)
    );
}

#[test]
fn tables_and_tests_do_not_count_as_code() {
    let text = "//! X.\n\nfn a() {}\n// tidy: table\nb\n// tidy: end of table\n// c\nfn d() {}\n#[cfg(test)]\nmod tests {\n}\n";
    assert_eq!(Source::new("src/x.rs", text).code_lines(), 2);
}
