//! Tokens of clients, without a server to ask.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::security::Action;
use crate::app::config::diagnostic::Fault;
use crate::app::config::scope::{Given, Scope};
use crate::app::config::syntax::ReadFile;
use crate::protocol::token::jwt::PublicKey;

/// A shared key that is shorter than this can be guessed, bytes.
const KEY_BYTES_MIN: usize = 16;

/// The `token` block of a vhost; see `docs/security.md`.
#[derive(Clone, PartialEq)]
pub struct Token {
    /// Whether clients need one.
    pub enabled: bool,
    /// `need`: what they need one for.
    pub need: Vec<Action>,
    /// `key` and what is in the `key_file`: the shared keys, each of which may have signed.
    pub keys: Vec<Vec<u8>>,
    /// What is in the `public_key_file`.
    pub public_keys: Vec<PublicKey>,
    /// `clock_skew`: what the clock of whoever signs may differ.
    pub clock_skew: Duration,
    /// `bind_ip`: whether a token must name the client's address.
    pub bind_ip: bool,
}

/// Without the keys: what is printed may be logged.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("enabled", &self.enabled)
            .field("need", &self.need)
            .field("keys", &self.keys.len())
            .field("public_keys", &self.public_keys)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// Whether a client needs one for this.
    pub fn is_needed(&self, action: Action) -> bool {
        self.enabled && self.need.contains(&action)
    }

    /// Reads the block, and the files that it names where it is enabled.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is none or too short, no key at all, an unknown action.
    pub(crate) fn read(token: &Scope<'_>, read_file: ReadFile<'_>) -> Result<Self, Fault> {
        let mut settings = Token {
            enabled: token.flag("enabled"),
            need: Vec::new(),
            keys: Vec::new(),
            public_keys: Vec::new(),
            clock_skew: token.duration("clock_skew"),
            bind_ip: token.flag("bind_ip"),
        };
        if !settings.enabled {
            return Ok(settings);
        }
        settings.need = read_need(token)?;
        for given in token.list("key") {
            settings.keys.push(checked(&given, given.text.as_bytes())?);
        }
        for given in token.list("key_file") {
            let text = read(&given, "key_file", read_file)?;
            let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            for line in lines.filter(|line| !line.is_empty()) {
                settings.keys.push(checked(&given, line)?);
            }
        }
        for given in token.list("public_key_file") {
            let pem = read(&given, "public_key_file", read_file)?;
            let key = PublicKey::parse(&pem);
            let fault = |cause| {
                Fault::at(
                    &given.place,
                    format!("token.public_key_file \"{}\": {cause}", given.text),
                )
            };
            settings.public_keys.push(key.map_err(fault)?);
        }
        match (
            settings.keys.is_empty(),
            settings.public_keys.is_empty(),
            token.given("enabled"),
        ) {
            (true, true, Some(given)) => {
                let fault = Fault::at(
                    &given.place,
                    "token is enabled without a key, so nobody could have a token",
                );
                Err(fault.with_hint("name a key_file, or a public_key_file"))
            }
            _ => Ok(settings),
        }
    }
}

fn read_need(token: &Scope<'_>) -> Result<Vec<Action>, Fault> {
    let parse = |given: &Given| match given.text.as_str() {
        "play" => Ok(Action::Play),
        "publish" => Ok(Action::Publish),
        other => {
            Err(Fault::at(&given.place, format!("illegal token.need \"{other}\"")).with_hint("write play publish"))
        }
    };
    let given = token.list("need");
    match given.is_empty() {
        true => Ok(vec![Action::Play, Action::Publish]),
        false => given.iter().map(parse).collect(),
    }
}

fn read(given: &Given, name: &str, read_file: ReadFile<'_>) -> Result<Vec<u8>, Fault> {
    read_file(Path::new(&given.text)).map_err(|cause| {
        let message = format!("token.{name} \"{}\" cannot be read: {cause}", given.text);
        Fault::at(&given.place, message)
    })
}

fn checked(given: &Given, key: &[u8]) -> Result<Vec<u8>, Fault> {
    if key.len() >= KEY_BYTES_MIN {
        return Ok(key.to_vec());
    }
    // The key itself is not shown: messages are logged.
    let message = format!("a token key of {} characters can be guessed", key.len());
    let hint = format!("take at least {KEY_BYTES_MIN}, such as \"openssl rand -hex 32\" makes");
    Err(Fault::at(&given.place, message).with_hint(hint))
}
