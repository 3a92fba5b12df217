//! Child processes: FFmpeg that brings streams in or codes them again, and commands of the operator. See `docs/ingest.md`,
//! `docs/transcode.md` and `docs/exec.md`.

mod engine;
mod exec;
mod ingest;
mod supervisor;
mod transcode;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use self::supervisor::{Job, Kept, Nursery, Role, Supervised};
use self::transcode::{Plan, Stream};
use super::config::section::vhost::Vhost;
use super::config::{Config, Endpoint};
use super::recording::Publisher;
use super::recording::template::Opened;
use super::server::Server;
use super::watch::Overload;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::core::limits::CHILD_PROCESSES;
use crate::kernel::error::Result;
use crate::protocol::rtmp::url::{RTMP_PORT, StreamUrl};

/// The longest name of a log file, bytes: file systems allow 255.
const FILE_NAME_BYTES: usize = 240;
/// The least time between the lines that tell which children run.
const REPORT_LEAST: Duration = Duration::from_secs(1);

/// All child processes of the server.
pub struct Children {
    nursery: Rc<Nursery>,
    /// Whether inputs are brought in by this process.
    has_ingests: bool,
    ingests: RefCell<HashMap<String, Running>>,
    /// By number, so that a stream comes before those that are made of it.
    publications: Rc<RefCell<BTreeMap<u64, Publication>>>,
}

/// A child, as it was started.
struct Running {
    job: Job,
    opened: Opened,
    supervised: Supervised,
}

/// A stream that is published.
struct Publication {
    publisher: Publisher,
    opened: Opened,
    children: HashMap<String, Running>,
    /// The streams that its transcoders publish here.
    outputs: Vec<String>,
}

/// A publication whose children run until this is dropped.
pub struct Attended {
    publications: Rc<RefCell<BTreeMap<u64, Publication>>>,
    number: u64,
}

impl Drop for Attended {
    fn drop(&mut self) {
        let ended = self.publications.borrow_mut().remove(&self.number);
        drop(ended);
    }
}

impl Children {
    /// None yet; of the workers of a server the first brings inputs in.
    pub fn new(config: &Config, has_ingests: bool, overload: Rc<Overload>) -> Self {
        Children {
            nursery: Nursery::new(config.ff_log.clone(), CHILD_PROCESSES, overload),
            has_ingests,
            ingests: RefCell::default(),
            publications: Rc::default(),
        }
    }

    /// Starts the children for a publication, before its first message.
    ///
    /// # Errors
    /// The publication is to be refused with them: bad settings of an engine, and
    /// [`crate::kernel::error_code::ErrorCode::HlsCreateDir`] for a name that would lead out of a folder.
    pub fn attend(&self, publisher: &Publisher) -> Result<Option<Attended>> {
        let Some(server) = publisher.server.upgrade() else {
            return Ok(None);
        };
        let config = server.config();
        let opened = Opened::now(config.process.utc_time);
        let plan = self.plan(publisher, &publisher.vhost, &config, &opened)?;
        let mut publication = Publication {
            publisher: publisher.clone(),
            opened,
            children: HashMap::new(),
            outputs: plan.outputs,
        };
        self.reconcile(&mut publication.children, named(plan.jobs), &publication.opened);
        let mut publications = self.publications.borrow_mut();
        let number = publications.last_key_value().map_or(0, |(last, _)| last + 1);
        publications.insert(number, publication);
        server.workers.tell_changes();
        Ok(Some(Attended {
            publications: self.publications.clone(),
            number,
        }))
    }

    /// Makes the children those that the configuration asks for: those that stay the same run on.
    pub fn apply(&self, config: &Config) {
        self.nursery.log.replace(config.ff_log.clone());
        let now = Opened::now(config.process.utc_time);
        let mut ingests = self.ingests.borrow_mut();
        let wanted = ingest::jobs(config, |name| {
            ingests
                .get(name)
                .map_or_else(|| now.clone(), |known| known.opened.clone())
        });
        if self.has_ingests {
            self.reconcile(&mut ingests, wanted, &now);
        }
        drop(ingests);
        let numbers: Vec<u64> = self.publications.borrow().keys().copied().collect();
        for number in numbers {
            self.apply_to(number, config);
        }
    }

    fn apply_to(&self, number: u64, config: &Config) {
        let Some(mut publication) = self.publications.borrow_mut().remove(&number) else {
            return;
        };
        let publisher = &publication.publisher;
        let plan = match config.vhost_named(&publisher.vhost.name) {
            Some(vhost) => self.plan(publisher, &vhost, config, &publication.opened),
            None => Ok(Plan::default()),
        };
        let plan = plan.unwrap_or_else(|error| {
            log::error!("publisher {} has no child processes, {}", publisher.id, error.summary());
            Plan::default()
        });
        publication.outputs = plan.outputs;
        self.reconcile(&mut publication.children, named(plan.jobs), &publication.opened);
        self.publications.borrow_mut().insert(number, publication);
    }

    fn plan(&self, publisher: &Publisher, vhost: &Vhost, config: &Config, opened: &Opened) -> Result<Plan> {
        let url = &publisher.subject.url;
        let stream = Stream {
            url,
            port: own_port(url, config),
            opened,
        };
        let mut plan = match &vhost.transcode {
            Some(settings) => {
                let workers = |stream: &str| {
                    let server = publisher.server.upgrade();
                    server.is_some_and(|server| server.workers.is_output_elsewhere(stream))
                };
                transcode::plan(settings, &stream, config, |stream| {
                    self.is_output(stream) || workers(stream)
                })?
            }
            None => Plan::default(),
        };
        plan.jobs.extend(exec::jobs(&vhost.exec, &publisher.subject, &stream)?);
        Ok(plan)
    }

    /// The streams that transcoders publish.
    pub fn outputs(&self) -> Vec<String> {
        let publications = self.publications.borrow();
        publications
            .values()
            .flat_map(|publication| publication.outputs.clone())
            .collect()
    }

    /// Whether a transcoder publishes this stream.
    fn is_output(&self, stream: &str) -> bool {
        let publications = self.publications.borrow();
        publications
            .values()
            .any(|publication| publication.outputs.iter().any(|output| output == stream))
    }

    fn reconcile(&self, running: &mut HashMap<String, Running>, wanted: Vec<(String, Job)>, opened: &Opened) {
        let mut old = std::mem::take(running);
        for (name, job) in wanted {
            let before = match old.remove(&name) {
                Some(same) if same.job == job => {
                    running.insert(name, same);
                    continue;
                }
                other => other.map(|other| other.supervised),
            };
            match self.nursery.keep(job.clone(), before) {
                Ok(supervised) => {
                    let opened = opened.clone();
                    let child = Running {
                        job,
                        opened,
                        supervised,
                    };
                    running.insert(name, child);
                }
                Err(error) => log::error!("{}", error.summary()),
            }
        }
    }

    /// Ends the children that bring streams in.
    pub fn stop_ingests(&self) {
        let ended = self.ingests.take();
        if !ended.is_empty() {
            log::info!("stop {} ingests", ended.len());
        }
    }

    /// Ends all children at once, as the server ends.
    pub fn stop(&self) {
        self.nursery.hurry();
        self.stop_ingests();
    }

    /// Waits until no child runs, or `deadline`; gives whether none does. Yields.
    pub fn wait_ended(&self, deadline: Moment) -> bool {
        self.nursery.wait_empty(deadline)
    }
}

/// Tells now and then which children run, for as long as the server does.
pub fn report(server: &Server) {
    ContextId::generate().enter();
    let begin = Moment::now();
    loop {
        coroutine::sleep(server.config().pithy_print.max(REPORT_LEAST));
        let age = Moment::now().since(begin).as_millis();
        let nursery = &server.children.nursery;
        if let Some((count, index, kept)) = pick(nursery.of(Role::Ingest)) {
            let alive = Moment::now().since(kept.since).as_secs();
            log::info!(
                "-> IGS time={age}, ingesters={count}, #{index}(alive={alive}s, {})",
                kept.subject()
            );
        }
        if let Some((count, _, kept)) = pick(nursery.of(Role::Transcode)) {
            log::info!("-> ENC time={age}, encoders={count}, input={}", kept.subject());
        }
        if let Some((count, _, kept)) = pick(nursery.of(Role::Exec)) {
            log::info!("-> EXE time={age}, publish={count}, input={}", kept.subject());
        }
    }
}

/// How many there are, and one of them.
fn pick(children: Vec<Rc<Kept>>) -> Option<(usize, usize, Rc<Kept>)> {
    let count = children.len();
    let index = fastrand::usize(..count.max(1));
    children.into_iter().nth(index).map(|kept| (count, index, kept))
}

/// By role and place, so that a reload knows them again.
fn named(jobs: Vec<Job>) -> Vec<(String, Job)> {
    let numbered = jobs.into_iter().enumerate();
    numbered
        .map(|(number, job)| (format!("{:?}#{number} {}", job.role, job.label), job))
        .collect()
}

/// The port of the first `listen`.
fn first_port(config: &Config) -> u16 {
    let first = config.listen.first();
    first
        .and_then(|endpoint| endpoint.port.try_into().ok())
        .unwrap_or(RTMP_PORT)
}

/// The port at which this server has a stream: the one that its publisher used, unless that is none of ours, as behind a
/// proxy, or speaks TLS.
fn own_port(url: &StreamUrl, config: &Config) -> u16 {
    let is_it = |endpoint: &Endpoint| endpoint.port == u32::from(url.port);
    if config.listen.iter().any(is_it) {
        url.port
    } else {
        first_port(config)
    }
}

/// The name of a log file of these parts, which may come from peers.
fn file_name(parts: &[&str]) -> String {
    let mut name = parts.join("-").replace(['/', '\0'], "-");
    let mut end = name.len().min(FILE_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name + ".log"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{Host, load_text};

    /// The configuration of a text.
    pub fn config(text: &str) -> Rc<Config> {
        load_text(text, Host::TEST).unwrap().config
    }

    #[test]
    fn names_of_logs_stay_in_their_folder() {
        assert_eq!(file_name(&["a", "live/x", "../s"]), "a-live-x-..-s.log");
        let long = file_name(&["ffmpeg", &"ä".repeat(300)]);
        assert!(long.len() <= 255 && long.ends_with("ä.log"), "{long}");
    }

    #[test]
    fn ffmpeg_plays_at_a_port_of_ours() {
        let config = config("listen 1936 1937;");
        for (url, port) in [
            ("rtmp://h:1937/live", 1937),
            ("rtmp://h/live", 1936),
            ("rtmps://h/live", 1936),
        ] {
            assert_eq!(own_port(&StreamUrl::parse(url, "s").unwrap(), &config), port, "{url}");
        }
    }
}
