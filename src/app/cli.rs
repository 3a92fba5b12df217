//! The command line, as scripts that start SRS use it.

use nix::sys::signal::Signal;

use super::steer;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The version that `-v` prints: the one whose behaviour this server keeps.
pub const VERSION: &str = "7.0.18";
/// The signature that `-g` prints and that the log begins with.
pub const SIGNATURE: &str = "SRS/7.0.18(Hang)";

/// What the process is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
    /// Print the signature.
    Signature,
    /// Test the configuration.
    Test {
        /// Whether to show what it amounts to, `-v`.
        shows: bool,
    },
    /// Steer the server that runs: the signal to send.
    Steer(Signal),
    /// Serve.
    Run,
}

/// The parsed command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arguments {
    /// What to do.
    pub action: Action,
    /// The configuration file of `-c`.
    pub config: Option<String>,
    /// `-e`: the environment alone is the configuration.
    pub env_only: bool,
}

#[derive(Default)]
struct Seen {
    help: bool,
    version: bool,
    signature: bool,
    test: bool,
    env_only: bool,
    config: Option<String>,
    steer: Option<Signal>,
}

/// Reads the arguments that follow the program's name. Short options may be glued (`-tc FILE`); of a long one only the
/// first letter counts; a word without a dash asks for help unless an option follows.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] for an option that does not exist, or `-c` without a file.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Arguments> {
    let mut arguments = arguments.into_iter();
    let mut seen = Seen::default();
    let mut any = false;
    while let Some(argument) = arguments.next() {
        any = true;
        match argument.strip_prefix('-') {
            None => seen.help = true,
            Some(rest) => match rest.strip_prefix('-') {
                Some(long) => {
                    let first = long
                        .get(..long.chars().next().map_or(0, char::len_utf8))
                        .unwrap_or_default();
                    read_letters(first, &argument, &mut arguments, &mut seen)?;
                }
                None => read_letters(rest, &argument, &mut arguments, &mut seen)?,
            },
        }
    }
    let action = match seen {
        _ if !any => Action::Help,
        Seen { help: true, .. } => Action::Help,
        // SRS prints its version here; what is tested is not asked for its version.
        Seen {
            test: true,
            version: true,
            ..
        } => Action::Test { shows: true },
        Seen { version: true, .. } => Action::Version,
        Seen { signature: true, .. } => Action::Signature,
        Seen { test: true, .. } => Action::Test { shows: false },
        Seen {
            steer: Some(signal), ..
        } => Action::Steer(signal),
        _ => Action::Run,
    };
    Ok(Arguments {
        action,
        config: seen.config,
        env_only: seen.env_only,
    })
}

fn read_letters(letters: &str, argument: &str, rest: &mut impl Iterator<Item = String>, seen: &mut Seen) -> Result<()> {
    for (index, letter) in letters.char_indices() {
        match letter {
            'h' | '?' => {
                seen.help = true;
                continue;
            }
            'v' | 'V' => seen.version = true,
            'g' | 'G' => seen.signature = true,
            't' => seen.test = true,
            'e' => seen.env_only = true,
            'c' | 's' => {
                let glued = &letters[index + 1..];
                let value = if glued.is_empty() {
                    rest.next()
                } else {
                    Some(glued.to_owned())
                };
                read_value(letter, value, seen)?;
                seen.help = false;
                return Ok(());
            }
            _ => {
                let text = format!("unknown option '{letter}' in '{argument}', see {} -h", program());
                return Err(Error::new(ErrorCode::ConfigInvalid, text));
            }
        }
        seen.help = false;
    }
    Ok(())
}

fn read_value(letter: char, value: Option<String>, seen: &mut Seen) -> Result<()> {
    let fault = |text: String| Error::new(ErrorCode::ConfigInvalid, text);
    if letter == 'c' {
        seen.config = Some(value.ok_or_else(|| fault("option -c needs a file name".to_owned()))?);
        return Ok(());
    }
    let signal = value.as_deref().and_then(steer::signal_of);
    let needs = || fault(format!("option -s needs one of {}", steer::words()));
    seen.steer = Some(signal.ok_or_else(needs)?);
    Ok(())
}

fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "srs".to_owned())
}

/// The parts that a build may leave out, and whether this one has them.
pub const OPTIONAL_PARTS: [(&str, bool); 5] = [
    ("tls", cfg!(feature = "tls")),
    ("jwt", cfg!(feature = "jwt")),
    ("rtc", cfg!(feature = "rtc")),
    ("srt", cfg!(feature = "srt")),
    ("gb28181", cfg!(feature = "gb28181")),
];

/// The usage text.
pub fn help() -> String {
    let program = program();
    let parts: Vec<&str> = OPTIONAL_PARTS.iter().filter(|part| part.1).map(|part| part.0).collect();
    let parts = if parts.is_empty() {
        "no optional parts".to_owned()
    } else {
        parts.join(" ")
    };
    format!(
        "{SIGNATURE}, a live media server; this is srs-may {}, MIT licence.\n\
         Usage: {program} <-h?vVgGe>|<[-t [-v]|-s WORD] -c FILE>\n\
         Options:\n\
         \x20 -?, -h, --help      Show this help and exit\n\
         \x20 -v, -V, --version   Show the version and exit\n\
         \x20 -g, -G              Show the server's signature and exit\n\
         \x20 -t                  Test the configuration file and exit\n\
         \x20 -t -v               The same, and show every directive with its value and who gave it\n\
         \x20 -s WORD             Steer the server that runs with the file: {words}\n\
         \x20 -e                  Take the configuration from the environment only\n\
         \x20 -c FILE             The configuration file\n\
         Built with: {parts}\n\
         For example:\n\
         \x20 {program} -v\n\
         \x20 {program} -t -c conf/srs.conf\n\
         \x20 {program} -t -v -c conf/srs.conf\n\
         \x20 {program} -c conf/srs.conf\n\
         \x20 {program} -s reload -c conf/srs.conf\n\
         \x20 env SRS_LISTEN=1935 {program} -e\n",
        env!("CARGO_PKG_VERSION"),
        words = steer::words(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Arguments {
        parse(line.split_whitespace().map(str::to_owned)).unwrap()
    }

    #[test]
    fn actions_by_precedence() {
        for (line, action) in [
            ("", Action::Help),
            ("-h", Action::Help),
            ("-?", Action::Help),
            ("--help", Action::Help),
            ("word", Action::Help),
            ("-v", Action::Version),
            ("-V", Action::Version),
            ("--version", Action::Version),
            ("-g", Action::Signature),
            ("-G -t -c a", Action::Signature),
            ("-t -c a", Action::Test { shows: false }),
            ("-t -v -c a", Action::Test { shows: true }),
            ("-vtc a", Action::Test { shows: true }),
            ("-h -tv -c a", Action::Test { shows: true }),
            ("-tv word", Action::Help),
            ("-s reload -c a", Action::Steer(Signal::SIGHUP)),
            ("-c a -squit", Action::Steer(Signal::SIGQUIT)),
            ("-c a", Action::Run),
            ("word -c a", Action::Run),
            ("-e", Action::Run),
        ] {
            assert_eq!(parsed(line).action, action, "{line:?}");
        }
    }

    #[test]
    fn files_are_glued_or_follow() {
        for line in ["-c conf/a.conf", "-cconf/a.conf", "-tc conf/a.conf", "-tcconf/a.conf"] {
            assert_eq!(parsed(line).config.as_deref(), Some("conf/a.conf"), "{line:?}");
        }
        assert!(parsed("-tc a").action == Action::Test { shows: false });
        assert!(parsed("-e").env_only);
    }

    #[test]
    fn what_is_unknown_is_named() {
        for line in ["-x", "-tx", "--xyz", "-c", "-s", "-s kill -c a"] {
            let error = parse(line.split_whitespace().map(str::to_owned)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::ConfigInvalid, "{line}");
        }
        assert!(
            parse(["-tx".to_owned()])
                .unwrap_err()
                .message()
                .contains("'x' in '-tx'")
        );
    }
}
