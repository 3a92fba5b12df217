//! What is told to the user about a configuration: the fault that refuses it, and warnings about what is accepted.

use std::fmt;

use super::place::Place;
use crate::kernel::error::Error;
use crate::kernel::error_code::ErrorCode;

/// The fault for which a configuration is refused.
pub struct Fault {
    code: ErrorCode,
    place: Option<Place>,
    message: String,
    hint: Option<String>,
}

impl Fault {
    /// Something illegal in the configuration, at a place.
    pub fn at(place: &Place, message: impl Into<String>) -> Self {
        Fault {
            code: ErrorCode::ConfigInvalid,
            place: Some(place.clone()),
            message: message.into(),
            hint: None,
        }
    }

    /// Something wrong that stands nowhere, such as a missing command line option.
    pub fn nowhere(message: impl Into<String>) -> Self {
        Fault {
            code: ErrorCode::ConfigInvalid,
            place: None,
            message: message.into(),
            hint: None,
        }
    }

    /// Changes the code; without this it is [`ErrorCode::ConfigInvalid`].
    #[must_use]
    pub fn with_code(mut self, code: ErrorCode) -> Self {
        self.code = code;
        self
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The code that the process's exit status is made of.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Where the fault stands.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The full form: the one-line form, then the line of the file with carets under the token.
    pub fn explain(&self) -> String {
        match self.place.as_ref().and_then(Place::excerpt) {
            Some(excerpt) => format!("{self}\n{excerpt}"),
            None => self.to_string(),
        }
    }
}

/// One line: `path:line:column: message; hint`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.explain())
    }
}

impl From<Fault> for Error {
    #[track_caller]
    fn from(fault: Fault) -> Self {
        Error::new(fault.code, fault.to_string())
    }
}

/// Something that is accepted but probably not what the user wants.
#[derive(Clone)]
pub struct Warning {
    place: Place,
    message: String,
}

impl Warning {
    /// A warning about what stands at a place.
    pub fn at(place: &Place, message: impl Into<String>) -> Self {
        Warning {
            place: place.clone(),
            message: message.into(),
        }
    }

    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is odd, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// One line: `path:line:column: message`.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl fmt::Debug for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::Source;
    use super::*;

    #[test]
    fn a_fault_names_the_place_and_the_way_out() {
        let place = Place::File(Source::new("a.conf", Vec::new()));
        let fault = Fault::at(&place, "no listen").with_hint("add one");
        assert_eq!(fault.to_string(), "a.conf: no listen; add one");
        let error = Error::from(fault.with_code(ErrorCode::FileOpen));
        assert_eq!(error.summary(), "code=1042(FileOpen) : a.conf: no listen; add one");
    }
}
