//! Reading values: of a directive in a block, or of the environment variable that overrides it, or the table's default.
//!
//! Nothing here warns or fails: `check` refuses and `lint` warns, over the same tree and table.

use std::time::Duration;

use super::directive::{self, Kind, Row};
use super::env::Env;
use super::place::Place;
use super::syntax::{self, Directive};
use super::value;

/// A block that is being read, which may be absent.
#[derive(Clone)]
pub struct Scope<'a> {
    env: Env<'a>,
    path: String,
    block: &'a [Directive],
}

/// A value that somebody gave, not a default.
#[derive(Clone, Debug)]
pub struct Given {
    /// The value's text, never empty.
    pub text: String,
    /// Who gave it.
    pub place: Place,
}

impl<'a> Scope<'a> {
    /// What stands outside all blocks.
    pub fn root(env: Env<'a>, block: &'a [Directive]) -> Self {
        Scope {
            env,
            path: String::new(),
            block,
        }
    }

    /// A block inside this one; its directives are all absent when the block is.
    pub fn section(&self, name: &str) -> Scope<'a> {
        let block = syntax::find(self.block, name).map_or(&[][..], Directive::children);
        self.inside(name, block)
    }

    /// One of several blocks of the same name inside this one.
    pub fn inside(&self, name: &str, block: &'a [Directive]) -> Scope<'a> {
        Scope {
            env: self.env,
            path: directive::join(&self.path, name),
            block,
        }
    }

    /// All directives of that name, in order.
    pub fn every(&self, name: &str) -> impl Iterator<Item = &'a Directive> {
        let name = name.to_owned();
        self.block.iter().filter(move |directive| directive.name.text == name)
    }

    /// The value that somebody gave, `None` when the default applies.
    pub fn given(&self, name: &str) -> Option<Given> {
        if let Some((text, place)) = self.env.overriding(self.row(name)) {
            return Some(Given { text, place });
        }
        let word = syntax::find(self.block, name)?.arg()?;
        Some(Given {
            text: word.text.clone(),
            place: word.place.clone(),
        })
    }

    /// A flag.
    pub fn flag(&self, name: &str) -> bool {
        let row = self.row(name);
        match self.given(name) {
            Some(given) => value::flag(&given.text, row.flag_rule()).value,
            None => row.default == "on",
        }
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> i32 {
        value::integer(&self.text(name)).value
    }

    /// A whole number that counts or measures something; a negative one is taken as zero.
    pub fn size(&self, name: &str) -> u32 {
        u32::try_from(self.integer(name)).unwrap_or(0)
    }

    /// A number with a fraction.
    pub fn decimal(&self, name: &str) -> f64 {
        value::decimal(&self.text(name)).value
    }

    /// A block of free names as words of a command line: each name with a dash, and its value where it has one.
    pub fn options(&self, name: &str) -> Vec<String> {
        let block = syntax::find(self.block, name).map_or(&[][..], Directive::children);
        let words = block.iter().flat_map(|option| {
            let value = option.arg().filter(|word| !word.text.is_empty());
            let value = value.map(|word| word.text.clone());
            std::iter::once(format!("-{}", option.name.text)).chain(value)
        });
        words.collect()
    }

    /// A span of time, in the unit that the table says.
    pub fn duration(&self, name: &str) -> Duration {
        duration_of(self.row(name), &self.text(name))
    }

    /// A word, empty when it is absent and has no default.
    pub fn text(&self, name: &str) -> String {
        match self.given(name) {
            Some(given) => given.text,
            None => default_text(self.row(name)).to_owned(),
        }
    }

    /// All words, with who gave them; none when absent.
    pub fn list(&self, name: &str) -> Vec<Given> {
        if let Some((text, place)) = self.env.overriding(self.row(name)) {
            let words = text.split(' ').filter(|word| !word.is_empty());
            return words
                .map(|word| Given {
                    text: word.to_owned(),
                    place: place.clone(),
                })
                .collect();
        }
        let args = syntax::find(self.block, name).map_or(&[][..], |directive| &directive.args);
        args.iter()
            .map(|word| Given {
                text: word.text.clone(),
                place: word.place.clone(),
            })
            .collect()
    }

    /// All words as plain text.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).into_iter().map(|given| given.text).collect()
    }

    /// All words as plain text, those of the default when absent.
    pub fn texts_or_default(&self, name: &str) -> Vec<String> {
        let texts = self.texts(name);
        if !texts.is_empty() {
            return texts;
        }
        let words = default_text(self.row(name)).split(' ');
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn row(&self, name: &str) -> &'static Row {
        let path = directive::join(&self.path, name);
        // Names come from this crate's code, never from a file; the tests read every one.
        directive::row(&path).unwrap_or_else(|| panic!("no row for {path} in the directive table"))
    }
}

/// The text that a row's default stands for.
pub fn default_text(row: &Row) -> &'static str {
    if row.default == "-" { "" } else { row.default }
}

/// A duration's text, in the row's unit.
pub fn duration_of(row: &Row, text: &str) -> Duration {
    let unit = row.kind.unit().unwrap_or(Duration::from_millis(1));
    let fractional = matches!(row.kind, Kind::FractionalSeconds | Kind::FractionalMillis);
    if fractional {
        value::fractional_duration(text, unit).value
    } else {
        value::duration(text, unit).value
    }
}
