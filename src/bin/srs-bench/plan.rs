//! From texts to what is to be run, checked.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use srs_may::kernel::error::{Result, Wrap};
use srs_may::protocol::http::client::Url;
use srs_may::protocol::rtmp::url::StreamUrl;

use crate::line::Way;
use crate::options::{Given, Raw, RawJob, wrong};
use crate::reel::Film;
use crate::synthetic::Shape;

/// What stands for a stream's number in a URL.
const NUMBER: &str = "{n}";
/// The most clients of one job; memory and descriptors end before.
const CLIENTS_MAX: usize = 1_000_000;

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order given.
    pub jobs: Vec<Job>,
    /// How long to measure; `None` is until a signal.
    pub time: Option<Duration>,
    /// Between the last client's start and the measuring.
    pub warm_up: Duration,
    /// Processes to measure.
    pub watch: Vec<u32>,
    /// Where JSON goes; `-` is standard output.
    pub json: Option<String>,
    /// What is told meanwhile.
    pub progress: Progress,
}

/// What is told meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A line that is written over, if standard error is a terminal.
    Auto,
    /// A line each time.
    Lines,
    /// Nothing.
    Off,
}

/// Clients of one kind.
#[derive(Clone, Debug)]
pub struct Job {
    /// What reports call it.
    pub name: String,
    /// What its clients do.
    pub role: Role,
    /// Their number.
    pub clients: usize,
    /// The streams that they are spread over.
    pub streams: usize,
    /// Clients started in a second.
    pub rate: u32,
    /// When the first one is started.
    pub delay: Duration,
    /// How they connect.
    pub way: Way,
    /// The URL with [`NUMBER`] in it, perhaps.
    url: String,
}

/// What clients do.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Play from a protocol.
    Play {
        /// How the media comes.
        protocol: Protocol,
        /// Whether it is checked.
        verify: bool,
        /// The largest step of timestamps.
        max_gap: Duration,
    },
    /// Publish over RTMP.
    Publish {
        /// What they send.
        film: Film,
        /// Whether pictures get stamps.
        stamp: bool,
    },
    /// Test the bandwidth.
    Bandcheck,
}

/// How media comes to a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `rtmp://` and `rtmps://`.
    Rtmp,
    /// `http://` with a path that ends in `.flv`, or in anything not named below.
    Flv,
    /// In `.ts`.
    Ts,
    /// In `.m3u8`.
    Hls,
}

/// A client's address.
#[derive(Clone, Debug)]
pub enum Address {
    /// Of RTMP.
    Rtmp(StreamUrl),
    /// Of HTTP.
    Http(Url),
}

impl Job {
    /// The address of client `number`.
    ///
    /// # Errors
    /// Those of the URL.
    pub fn address(&self, number: usize) -> Result<Address> {
        let url = self.url.replace(NUMBER, &(number % self.streams).to_string());
        address(&url)
    }

    /// As it was given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether its clients play.
    pub fn plays(&self) -> bool {
        matches!(self.role, Role::Play { .. })
    }
}

fn address(url: &str) -> Result<Address> {
    let schema = url.split("://").next().unwrap_or_default().to_ascii_lowercase();
    match schema.as_str() {
        "rtmp" | "rtmps" => Ok(Address::Rtmp(crate::rtmp::parse(url)?)),
        "http" | "https" => Ok(Address::Http(Url::parse(url)?)),
        _ => Err(wrong(format!(
            "{url} is neither rtmp://, rtmps://, http:// nor https://"
        ))),
    }
}

impl Plan {
    /// Checks what was given.
    ///
    /// # Errors
    /// `ConfigInvalid`, which names the job and the option.
    pub fn new(raw: &Raw) -> Result<Self> {
        let global = Values(&raw.global);
        let jobs: Result<Vec<Job>> = raw
            .jobs
            .iter()
            .map(|job| read_job(job).wrap_with(|| format!("job {} {}", job.kind, job.url)))
            .collect();
        let time = global.time("time", Duration::from_secs(10))?;
        Ok(Plan {
            jobs: jobs?,
            time: (!time.is_zero()).then_some(time),
            warm_up: global.time("warm-up", Duration::from_secs(2))?,
            watch: global.list("watch")?,
            json: global.text("json").map(str::to_owned),
            progress: match global.text("progress") {
                None | Some("auto") => Progress::Auto,
                Some("lines") => Progress::Lines,
                Some("off") => Progress::Off,
                Some(other) => return Err(wrong(format!("progress {other} is not auto, lines or off"))),
            },
        })
    }
}

fn read_job(raw: &RawJob) -> Result<Job> {
    let values = Values(&raw.given);
    if raw.url.is_empty() {
        return Err(wrong("there is no URL".to_owned()));
    }
    let clients = values.number("clients", 1)?.clamp(1, CLIENTS_MAX as u64) as usize;
    let is_publish = raw.kind == "publish";
    let streams = values
        .number("streams", if is_publish { clients as u64 } else { 1 })?
        .max(1) as usize;
    let job = Job {
        name: values.text("name").unwrap_or(&raw.kind).to_owned(),
        role: read_role(&raw.kind, &raw.url, &values)?,
        clients,
        streams,
        rate: u32::try_from(values.number("rate", 500)?).unwrap_or(u32::MAX).max(1),
        delay: values.time("delay", Duration::ZERO)?,
        way: Way {
            sources: values.list::<IpAddr>("source")?,
            timeout: values
                .time("timeout", Duration::from_secs(10))?
                .max(Duration::from_millis(1)),
            read_rate: values
                .text("read-rate")
                .map(|_| values.size("read-rate", 0))
                .transpose()?,
        },
        url: raw.url.clone(),
    };
    if is_publish && clients > 1 && (streams < clients || !raw.url.contains(NUMBER)) {
        return Err(wrong(
            "publishers of one stream would throw each other out: put {n} into the URL and give each a stream"
                .to_owned(),
        ));
    }
    let address = job.address(0)?;
    let wants_rtmp = !matches!(job.role, Role::Play { protocol, .. } if protocol != Protocol::Rtmp);
    if wants_rtmp != matches!(address, Address::Rtmp(_)) {
        return Err(wrong(format!("{} needs an rtmp:// URL", raw.kind)));
    }
    Ok(job)
}

fn read_role(kind: &str, url: &str, values: &Values<'_>) -> Result<Role> {
    match kind {
        "play" => Ok(Role::Play {
            protocol: protocol(url),
            verify: values.flag("verify")?,
            max_gap: values.time("max-gap", Duration::from_secs(2))?,
        }),
        "publish" => Ok(Role::Publish {
            film: match values.text("input") {
                Some(path) => Film::File(PathBuf::from(path)),
                None => Film::Synthetic(Shape {
                    bitrate: values.size("bitrate", 250_000)?.clamp(16_000, 200_000_000),
                    rate: values.number("fps", 25)?.clamp(1, 240) as u32,
                    gop: values.number("gop", 50)?.clamp(1, 10_000) as u32,
                    sound: !values.flag("no-audio")?,
                }),
            },
            stamp: !values.flag("no-stamp")?,
        }),
        "bandcheck" => Ok(Role::Bandcheck),
        "" => Err(wrong("there is no kind: play, publish or bandcheck".to_owned())),
        other => Err(wrong(format!("{other} is not play, publish or bandcheck"))),
    }
}

fn protocol(url: &str) -> Protocol {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    if url.get(..4).is_some_and(|schema| schema.eq_ignore_ascii_case("rtmp")) {
        Protocol::Rtmp
    } else if path.ends_with(".ts") {
        Protocol::Ts
    } else if path.ends_with(".m3u8") {
        Protocol::Hls
    } else {
        Protocol::Flv
    }
}

/// Options with their types.
pub struct Values<'a>(pub &'a Given);

impl Values<'_> {
    /// As given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn bad(&self, name: &str, what: &str) -> srs_may::kernel::error::Error {
        wrong(format!("{name} {}: not {what}", self.text(name).unwrap_or_default()))
    }

    /// `yes` or `no`.
    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.text(name) {
            None | Some("no" | "off" | "0" | "false") => Ok(false),
            Some("yes" | "on" | "1" | "true" | "") => Ok(true),
            Some(_) => Err(self.bad(name, "yes or no")),
        }
    }

    /// A whole number.
    pub fn number(&self, name: &str, default: u64) -> Result<u64> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        text.parse().map_err(|_| self.bad(name, "a whole number"))
    }

    /// A number with `k`, `M` or `G` behind it.
    pub fn size(&self, name: &str, default: u64) -> Result<u64> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let (digits, factor) = match text.char_indices().last() {
            Some((at, 'k' | 'K')) => (&text[..at], 1_000),
            Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
            Some((at, 'g' | 'G')) => (&text[..at], 1_000_000_000),
            _ => (text, 1),
        };
        let value = digits.parse::<u64>().ok().and_then(|value| value.checked_mul(factor));
        value.ok_or_else(|| self.bad(name, "a size such as 250k"))
    }

    /// A number with `ms`, `s`, `m` or `h` behind it; seconds without.
    pub fn time(&self, name: &str, default: Duration) -> Result<Duration> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(self.bad(name, "a time such as 10s")),
        };
        let seconds = digits.parse::<f64>().ok().map(|value| value * factor);
        let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        time.filter(|time| *time < Duration::from_secs(1 << 31))
            .ok_or_else(|| self.bad(name, "a time such as 10s"))
    }

    /// Values with commas between them.
    pub fn list<T: std::str::FromStr>(&self, name: &str) -> Result<Vec<T>> {
        let Some(text) = self.text(name) else {
            return Ok(Vec::new());
        };
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items
            .map(|item| item.parse().map_err(|_| self.bad(name, "a list of those")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Command, parse};

    fn plan(line: &str) -> Result<Plan> {
        match parse(line.split_whitespace().map(Into::into))? {
            Command::Run(raw) => Plan::new(&raw),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_are_read_and_have_defaults() {
        let plan = plan(
            "play http://h/a/s_{n}.flv?x=.ts -n 7 --streams 3 --max-gap 500ms --timeout 2m --read-rate 8k --time 0",
        )
        .unwrap();
        let job = &plan.jobs[0];
        assert_eq!((job.clients, job.streams, job.rate, plan.time), (7, 3, 500, None));
        assert_eq!(job.way.timeout, Duration::from_secs(120));
        assert_eq!(job.way.read_rate, Some(8000));
        let Role::Play {
            protocol,
            verify,
            max_gap,
        } = job.role.clone()
        else {
            panic!("no player")
        };
        assert_eq!(
            (protocol, verify, max_gap),
            (Protocol::Flv, false, Duration::from_millis(500))
        );
        let Address::Http(url) = job.address(4).unwrap() else {
            panic!("no HTTP")
        };
        assert_eq!(url.target, "/a/s_1.flv?x=.ts");
    }

    #[test]
    fn protocols_show_in_the_url() {
        for (url, expected) in [
            ("rtmp://h/a/s.flv", Protocol::Rtmp),
            ("RTMPS://h/a/s", Protocol::Rtmp),
            ("http://h/a/s.ts?k=v.m3u8", Protocol::Ts),
            ("https://h/a/s.m3u8", Protocol::Hls),
            ("http://h/live", Protocol::Flv),
        ] {
            assert_eq!(protocol(url), expected, "{url}");
        }
    }

    #[test]
    fn mistakes_name_the_job_and_the_option() {
        for (line, part) in [
            ("play rtmp://h/a/s --clients many", "clients many"),
            ("play rtmp://h/a/s --max-gap 5x", "max-gap 5x"),
            ("publish rtmp://h/a/s -n 2", "{n}"),
            ("publish rtmp://h/a/s_{n} -n 2 --streams 1", "{n}"),
            ("publish http://h/a/s.flv", "rtmp://"),
            ("play srt://h/a", "srt://h/a"),
            ("watch rtmp://h/a/s", "watch is not"),
            ("play rtmp://h/a/s and", "no URL"),
            ("play rtmp://h/a/s --progress x", "progress x"),
            ("publish rtmp://h/a/s --bitrate 9999999999999G", "bitrate"),
        ] {
            let error = plan(line).unwrap_err();
            assert!(error.summary().contains(part), "{line}: {}", error.summary());
        }
    }
}
