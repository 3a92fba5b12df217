//! The options: one table for the command line, job files, the usage text and the documentation.

use std::collections::BTreeMap;
use std::ffi::OsString;

use srs_may::kernel::error::{Error, Result};
use srs_may::kernel::error_code::ErrorCode;

/// The word on the command line between two jobs.
const AND: &str = "and";

/// An option.
pub struct Entry {
    /// Its long name, which is its key in a job file.
    pub name: &'static str,
    /// Its letter.
    pub short: Option<char>,
    /// What its value is; empty for one that is on or off.
    pub value: &'static str,
    /// Whether it is about the whole run and not one job.
    pub is_global: bool,
    /// What it does, with its default.
    pub help: &'static str,
}

const fn job(name: &'static str, value: &'static str, help: &'static str) -> Entry {
    Entry {
        name,
        short: None,
        value,
        is_global: false,
        help,
    }
}

const fn global(name: &'static str, value: &'static str, help: &'static str) -> Entry {
    Entry {
        is_global: true,
        ..job(name, value, help)
    }
}

/// All of them.
// tidy: table
pub const ENTRIES: &[Entry] = &[
    Entry {
        short: Some('n'),
        ..job("clients", "N", "how many players or publishers (1)")
    },
    job(
        "streams",
        "N",
        "how many streams they are spread over; {n} in the URL counts from 0 (players 1, publishers one each)",
    ),
    job("rate", "N", "clients that are started in a second (500)"),
    job("delay", "TIME", "when the job begins (0s)"),
    job(
        "timeout",
        "TIME",
        "for connecting, and for each silence of the server (10s)",
    ),
    job("source", "ADDRESS,…", "addresses of this machine to come from, in turn"),
    job("name", "TEXT", "what reports call the job (its kind)"),
    job("verify", "", "check order, timestamps and payloads of what is played"),
    job(
        "max-gap",
        "TIME",
        "with verify: how far timestamps of one kind may lie apart (2s)",
    ),
    job(
        "read-rate",
        "SIZE",
        "read so many bytes a second only, as a slow network would",
    ),
    job(
        "input",
        "FILE",
        "publish this FLV file, round and round, instead of a made stream",
    ),
    job("bitrate", "SIZE", "bits a second of the made stream (250k)"),
    job("fps", "N", "its pictures a second (25)"),
    job("gop", "N", "its pictures from keyframe to keyframe (50)"),
    job("no-audio", "", "it has no sound"),
    job(
        "each",
        "",
        "of the bare sender: each message by itself, as servers do for low latency, instead of 350 ms together",
    ),
    job(
        "no-stamp",
        "",
        "publish without stamps, so nothing can be verified or timed by them",
    ),
    global(
        "time",
        "TIME",
        "how long to measure once all clients are started; 0 is until Ctrl-C (10s)",
    ),
    global(
        "warm-up",
        "TIME",
        "how long after the last client's start the measuring begins (2s)",
    ),
    global(
        "watch",
        "PID,…",
        "measure these processes of this machine, the server's",
    ),
    global(
        "json",
        "FILE",
        "write the result as JSON too; - is standard output, instead of the table",
    ),
    global(
        "progress",
        "auto|lines|off",
        "what to tell meanwhile on standard error (auto: on a terminal)",
    ),
];
// tidy: end of table

/// Options as they were given: names and texts.
pub type Given = BTreeMap<&'static str, String>;

/// A job as it was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawJob {
    /// `play`, `publish`, `bandcheck`.
    pub kind: String,
    /// The address of the streams.
    pub url: String,
    /// Its options.
    pub given: Given,
}

/// What the command line or a job file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Raw {
    /// About the whole run.
    pub global: Given,
    /// In order.
    pub jobs: Vec<RawJob>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
    /// Run these jobs.
    Run(Raw),
    /// Run the jobs of a file; options given beside it hold instead of its own.
    File(String, Given),
    /// Be the bare sender at this address, with these options.
    Floor(String, Given),
}

/// The option of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

/// An error of the user's.
pub fn wrong(text: String) -> Error {
    Error::new(ErrorCode::ConfigInvalid, text)
}

/// Reads the arguments behind the program's name.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`], which names what is wrong.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut words: Vec<RawJob> = vec![RawJob::default()];
    let mut global = Given::new();
    let mut parser = lexopt::Parser::from_args(arguments);
    let unreadable = |cause: lexopt::Error| wrong(cause.to_string());
    while let Some(argument) = parser.next().map_err(unreadable)? {
        use lexopt::Arg::{Long, Short, Value};
        let entry = match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Value(value) => {
                let word = value.to_string_lossy().into_owned();
                take_word(&mut words, word)?;
                continue;
            }
            Short(letter) => ENTRIES.iter().find(|entry| entry.short == Some(letter)),
            Long(name) => find(name),
        };
        let shown = match argument {
            Short(letter) => format!("-{letter}"),
            Long(name) => format!("--{name}"),
            Value(_) => String::new(),
        };
        let entry = entry.ok_or_else(|| wrong(format!("unknown option {shown}, see srs-bench --help")))?;
        let text = if entry.value.is_empty() {
            "yes".to_owned()
        } else {
            parser.value().map_err(unreadable)?.to_string_lossy().into_owned()
        };
        let job = words.last_mut().map(|job| &mut job.given);
        let place = if entry.is_global { Some(&mut global) } else { job };
        if let Some(place) = place {
            place.insert(entry.name, text);
        }
    }
    finish(words, global)
}

fn take_word(jobs: &mut Vec<RawJob>, word: String) -> Result<()> {
    let Some(job) = jobs.last_mut() else { return Ok(()) };
    if word == AND {
        jobs.push(RawJob::default());
    } else if job.kind.is_empty() {
        job.kind = word;
    } else if job.url.is_empty() {
        job.url = word;
    } else {
        return Err(wrong(format!(
            "{word} is one word too many behind {} {}",
            job.kind, job.url
        )));
    }
    Ok(())
}

fn finish(mut jobs: Vec<RawJob>, global: Given) -> Result<Command> {
    let is_alone = jobs.len() == 1;
    match jobs.first_mut() {
        Some(job) if is_alone && job.kind.is_empty() => Ok(Command::Help),
        Some(job) if is_alone && job.kind == "run" && !job.url.is_empty() => {
            let mut given = std::mem::take(&mut job.given);
            given.extend(global);
            Ok(Command::File(std::mem::take(&mut job.url), given))
        }
        Some(job) if is_alone && job.kind == "floor" && !job.url.is_empty() => Ok(Command::Floor(
            std::mem::take(&mut job.url),
            std::mem::take(&mut job.given),
        )),
        _ => Ok(Command::Run(Raw { global, jobs })),
    }
}

/// The usage text.
pub fn help() -> String {
    let mut text = String::from(
        "srs-bench, a load tool for live media servers\n\
         Usage:\n\
         \x20 srs-bench publish rtmp://HOST/APP/STREAM_{n} [OPTIONS] [and play … [OPTIONS]]…\n\
         \x20 srs-bench play URL [OPTIONS]       URL: rtmp://…, http://….flv, http://….ts, http://….m3u8\n\
         \x20 srs-bench run FILE [OPTIONS]       the jobs of an INI file\n\
         \x20 srs-bench bandcheck rtmp://HOST/APP?key=KEY&vhost=VHOST\n\
         \x20 srs-bench floor ADDRESS:PORT       a bare sender, to compare servers with\n",
    );
    for (title, is_global) in [("Options of a job", false), ("Options of the run", true)] {
        text += &format!("{title}:\n");
        for entry in ENTRIES.iter().filter(|entry| entry.is_global == is_global) {
            let short = entry.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
            let flag = format!("{short}--{} {}", entry.name, entry.value);
            text += &format!("  {flag:<28} {}\n", entry.help);
        }
    }
    text + "TIME is 500ms, 10s, 2m; SIZE is 250k, 8M. Exit status: 1 when clients failed or faults were found, 2 for a mistake here.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn jobs_stand_between_and() {
        let line = "publish rtmp://h/a/s --bitrate 1M --time 5s and play rtmp://h/a/s -n 20 --verify --watch 12";
        let Command::Run(raw) = parsed(line).unwrap() else {
            panic!("no jobs")
        };
        assert_eq!(
            raw.global,
            Given::from([("time", "5s".to_owned()), ("watch", "12".to_owned())])
        );
        assert_eq!(raw.jobs.len(), 2);
        assert_eq!(
            (raw.jobs[1].kind.as_str(), raw.jobs[1].url.as_str()),
            ("play", "rtmp://h/a/s")
        );
        let given = Given::from([("clients", "20".to_owned()), ("verify", "yes".to_owned())]);
        assert_eq!(raw.jobs[1].given, given);
    }

    #[test]
    fn the_other_commands() {
        assert_eq!(parsed("").unwrap(), Command::Help);
        assert_eq!(parsed("play x --help").unwrap(), Command::Help);
        assert_eq!(parsed("-V").unwrap(), Command::Version);
        let given = Given::from([("time", "5s".to_owned())]);
        assert_eq!(
            parsed("run a.ini --time 5s").unwrap(),
            Command::File("a.ini".to_owned(), given)
        );
        let floor = Command::Floor("127.0.0.1:1".to_owned(), Given::from([("bitrate", "1M".to_owned())]));
        assert_eq!(parsed("floor 127.0.0.1:1 --bitrate 1M").unwrap(), floor);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("play x --verfy", "--verfy"),
            ("play x -q", "-q"),
            ("play x y", "y is one word too many"),
            ("play x --clients", "clients"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.message().contains(part), "{line}: {}", error.message());
        }
    }

    #[test]
    fn the_usage_text_and_the_page_name_every_option() {
        let page = include_str!("../../../docs/srs-bench.md");
        for entry in ENTRIES {
            assert!(
                help().contains(&format!("--{} {}", entry.name, entry.value)),
                "{}",
                entry.name
            );
            assert!(
                page.contains(&format!("`{}`", entry.name)),
                "docs/srs-bench.md lacks {}",
                entry.name
            );
        }
    }
}
