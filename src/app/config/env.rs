//! Environment variables that override directives, as the process was given them.

use super::directive::Row;
use super::place::Place;

/// How a variable is looked up: its value, `None` when it is not set.
pub type GetVar<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment that one configuration is read with.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    get: GetVar<'a>,
    env_only: bool,
}

impl<'a> Env<'a> {
    /// An environment; `env_only` when there is no file and the environment is all there is.
    pub fn new(get: GetVar<'a>, env_only: bool) -> Self {
        Env { get, env_only }
    }

    /// Whether there is no file.
    pub fn is_only(&self) -> bool {
        self.env_only
    }

    /// A variable's value; an empty one counts as not set.
    pub fn var(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|value| !value.is_empty())
    }

    /// The value that overrides a directive, with the variable that holds it: the first of its variables that is set.
    pub fn overriding(&self, row: &Row) -> Option<(String, Place)> {
        let given = row.variables().find_map(|name| {
            let value = self.var(&name)?;
            Some((value, Place::environment(&name)))
        });
        given.or_else(|| {
            let value = self.implied(row.path)?;
            Some((value.to_owned(), Place::environment("SRS_ENV_ONLY")))
        })
    }

    /// Without a file the server stays in the foreground and logs there, unless told otherwise.
    fn implied(&self, path: &str) -> Option<&'static str> {
        match path {
            "daemon" if self.env_only => Some("off"),
            "srs_log_tank" if self.env_only => Some("console"),
            _ => None,
        }
    }
}
