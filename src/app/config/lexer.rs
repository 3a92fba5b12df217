//! The language's text, cut into words: quotes, comments, blanks and line ends.
//!
//! A directive has to end on the line that it begins on; the one exception is a line end right after the name.

use std::rc::Rc;

use super::diagnostic::Fault;
use super::place::{Place, Source};

/// A name or an argument.
#[derive(Clone, Debug)]
pub struct Word {
    /// The text without its quotes; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// The words up to a semicolon, a brace or the end of the file.
pub(super) struct Statement {
    /// The name and the arguments; none before a closing brace or the end of the file.
    pub(super) words: Vec<Word>,
    /// What ends it.
    pub(super) end: End,
    /// Where the end stands.
    pub(super) place: Place,
}

/// What ends a statement.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// A semicolon.
    Semicolon,
    /// The opening brace of a block.
    Open,
    /// The closing brace of a block.
    Close,
    /// The end of the file.
    File,
}

/// Cuts a file into statements.
pub(super) struct Lexer {
    source: Rc<Source>,
    at: usize,
    line: u32,
    column: u32,
}

/// A spot that a token begins at.
#[derive(Clone, Copy)]
struct Mark {
    at: usize,
    line: u32,
    column: u32,
}

impl Lexer {
    /// A lexer at the beginning of a file.
    pub(super) fn new(source: Rc<Source>) -> Self {
        Lexer {
            source,
            at: 0,
            line: 1,
            column: 1,
        }
    }

    /// The next statement.
    pub(super) fn statement(&mut self) -> Result<Statement, Fault> {
        let mut words = Vec::new();
        loop {
            self.skip_blanks(&words)?;
            let mark = self.mark();
            let Some(byte) = self.peek() else {
                return self.end_of_file(words, mark);
            };
            let end = match byte {
                b';' | b'{' if words.is_empty() => {
                    let message = format!("unexpected \"{}\": a directive needs a name", char::from(byte));
                    return Err(Fault::at(&self.place(mark, 1), message));
                }
                b';' => End::Semicolon,
                b'{' => End::Open,
                b'}' => match words.last() {
                    Some(word) => return Err(Self::unended(&words, word, "\"}\"", self.place(mark, 1))),
                    None => End::Close,
                },
                b'"' | b'\'' => {
                    self.quoted(byte, &mut words)?;
                    continue;
                }
                _ => {
                    self.bare(&mut words)?;
                    continue;
                }
            };
            self.bump();
            let place = self.place(mark, 1);
            return Ok(Statement { words, end, place });
        }
    }

    /// Skips blanks and comments; an end of line is only allowed before the first word.
    fn skip_blanks(&mut self, words: &[Word]) -> Result<(), Fault> {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' => self.bump(),
                b'\r' | b'\n' => {
                    if let Some(word) = words.last() {
                        return Err(Self::unended(words, word, "end of line", Self::after(word)));
                    }
                    self.bump();
                }
                b'#' => {
                    while self.peek().is_some_and(|byte| !is_newline(byte)) {
                        self.bump();
                    }
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn bare(&mut self, words: &mut Vec<Word>) -> Result<(), Fault> {
        let mark = self.mark();
        while let Some(byte) = self.peek() {
            if !is_blank(byte) && byte != b';' && byte != b'{' {
                self.bump();
                continue;
            }
            let is_name = words.is_empty();
            words.push(self.word(mark, self.at));
            // One line end right after the name is read as a blank; any later one is a fault.
            if is_newline(byte) && is_name {
                self.bump();
            }
            return Ok(());
        }
        words.push(self.word(mark, self.at));
        Ok(())
    }

    fn quoted(&mut self, quote: u8, words: &mut Vec<Word>) -> Result<(), Fault> {
        let opening = self.mark();
        self.bump();
        let inside = self.mark();
        loop {
            match self.peek() {
                None => return Err(self.unclosed_quote(quote, opening)),
                Some(byte) if is_newline(byte) && !words.is_empty() => return Err(self.unclosed_quote(quote, opening)),
                Some(byte) if byte == quote => break,
                Some(_) => self.bump(),
            }
        }
        let end = self.at;
        self.bump();
        if end > inside.at {
            let mut word = self.word(inside, end);
            word.place = self.place(opening, self.column.saturating_sub(opening.column));
            words.push(word);
        }
        let mark = self.mark();
        match self.peek() {
            None => Err(Fault::at(
                &self.place(mark, 1),
                "unexpected end of file after a closing quote",
            )),
            Some(byte) if is_blank(byte) || byte == b';' || byte == b'{' => Ok(()),
            Some(_) => {
                let message = format!("unexpected \"{}\" right after a closing quote", self.char_here());
                let hint = "put a blank or \";\" there";
                Err(Fault::at(&self.place(mark, 1), message).with_hint(hint))
            }
        }
    }

    fn unclosed_quote(&self, quote: u8, opening: Mark) -> Fault {
        let quote = char::from(quote);
        let message = format!("the quote {quote} that opens here is not closed on its line");
        Fault::at(&self.place(opening, 1), message)
    }

    fn end_of_file(&self, words: Vec<Word>, mark: Mark) -> Result<Statement, Fault> {
        let place = self.place(mark, 1);
        match words.last() {
            Some(word) => Err(Self::unended(&words, word, "end of file", Self::after(word))),
            None => Ok(Statement {
                words,
                end: End::File,
                place,
            }),
        }
    }

    fn unended(words: &[Word], last: &Word, found: &str, place: Place) -> Fault {
        let name = words.first().unwrap_or(last);
        let message = format!("unexpected {found}: directive \"{}\" is not ended", name.text);
        Fault::at(&place, message).with_hint(format!("put \";\" or \"{{\" after \"{}\"", last.text))
    }

    /// The spot right behind a word, where something is missing.
    fn after(word: &Word) -> Place {
        match &word.place {
            Place::Spot {
                source,
                line,
                column,
                width,
            } => Place::Spot {
                source: source.clone(),
                line: *line,
                column: column.saturating_add(*width),
                width: 1,
            },
            other => other.clone(),
        }
    }

    fn word(&self, mark: Mark, end: usize) -> Word {
        let bytes = self.source.text().get(mark.at..end).unwrap_or_default();
        let width = self.column.saturating_sub(mark.column);
        Word {
            text: String::from_utf8_lossy(bytes).into_owned(),
            place: self.place(mark, width),
        }
    }

    fn char_here(&self) -> char {
        let rest = self.source.text().get(self.at..).unwrap_or_default();
        let head = rest.get(..rest.len().min(4)).unwrap_or_default();
        String::from_utf8_lossy(head).chars().next().unwrap_or('?')
    }

    fn mark(&self) -> Mark {
        Mark {
            at: self.at,
            line: self.line,
            column: self.column,
        }
    }

    fn place(&self, mark: Mark, width: u32) -> Place {
        Place::Spot {
            source: self.source.clone(),
            line: mark.line,
            column: mark.column,
            width: width.max(1),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.source.text().get(self.at).copied()
    }

    fn bump(&mut self) {
        let Some(byte) = self.peek() else { return };
        self.at += 1;
        if byte == b'\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else if !is_continuation(self.peek()) {
            // Columns count characters: a character ends where no continuation byte of UTF-8 follows.
            self.column = self.column.saturating_add(1);
        }
    }
}

fn is_newline(byte: u8) -> bool {
    byte == b'\r' || byte == b'\n'
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t' || is_newline(byte)
}

fn is_continuation(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte & 0xc0 == 0x80)
}
