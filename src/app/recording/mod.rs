//! What writes a stream to files while it is published: HLS, DASH, HDS, DVR.
//!
//! Each runs in a coroutine of its own that follows the publication, so that a slow disk delays only itself: one that
//! falls behind by more than `queue_length` misses messages and goes on at a keyframe.

pub mod files;
pub mod shelf;
pub mod table;
pub mod template;

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::app::config::section::vhost::Vhost;
use crate::app::hooks::Subject;
use crate::app::server::Server;
use crate::app::source::{Follower, Source, Stop};
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::core::sync::{WaitGroup, channel};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};

/// Stack of a recorder, bytes: they format paths and manifests.
const STACK_BYTES: usize = 128 << 10;

/// Whose stream is recorded.
#[derive(Clone)]
pub struct Publisher {
    /// The server.
    pub server: Weak<Server>,
    /// The client and its stream.
    pub subject: Subject,
    /// The settings when it came.
    pub vhost: Rc<Vhost>,
    /// The client.
    pub id: ContextId,
    /// The stream.
    pub source: Rc<Source>,
}

impl Publisher {
    /// Whether path templates take UTC, as the configuration in force says.
    pub fn is_utc(&self) -> bool {
        let server = self.server.upgrade();
        server.is_some_and(|server| server.config().process.utc_time)
    }

    /// Time between progress lines, as the configuration in force says.
    pub fn pithy_print(&self) -> Duration {
        let server = self.server.upgrade();
        server.map_or(Duration::MAX, |server| server.config().pithy_print)
    }
}

/// What happens to the publication when its recorder fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnError {
    /// It goes on; this recorder stops until the next one.
    Stop,
    /// It goes on, and so does the recorder.
    Continue,
    /// It ends.
    Disconnect,
}

/// Writes one publication to files. All its methods may yield.
pub trait Recorder {
    /// For logs.
    fn name(&self) -> &'static str;

    /// How long media may wait before it is handed over.
    fn latency(&self) -> Duration {
        Duration::from_millis(300)
    }

    /// Before the first message.
    ///
    /// # Errors
    /// The publication is refused with them.
    fn begin(&mut self) -> Result<()> {
        Ok(())
    }

    /// The next message.
    ///
    /// # Errors
    /// What happens then is told by [`Recorder::on_error`].
    fn take(&mut self, frame: &Frame) -> Result<()>;

    /// So many messages were lost before the next one: the disk is slow.
    fn missed(&mut self, count: u64);

    /// After a batch of messages.
    ///
    /// # Errors
    /// As [`Recorder::take`].
    fn batch_ended(&mut self) -> Result<()> {
        Ok(())
    }

    /// After the last message; also after an error that stops it.
    ///
    /// # Errors
    /// They are logged.
    fn finish(&mut self) -> Result<()>;

    /// What an error does.
    fn on_error(&self, error: &Error) -> OnError;
}

/// The recorders that run.
#[derive(Default)]
pub struct Recordings(WaitGroup);

impl Recordings {
    /// Waits until all files are closed, or `deadline`; gives whether they are. Yields.
    pub fn wait_finished(&self, deadline: Moment) -> bool {
        self.0.wait_until(deadline)
    }
}

/// What can record a stream as files that are made as it goes; a recording of the DVR is its own matter.
const FORMATS: [Format; 3] = [Format::Hls, Format::Dash, Format::Hds];

/// A format of files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Hls,
    Dash,
    Hds,
}

impl Format {
    /// What writes a publication, if its vhost asks for it.
    fn recorder(self, server: &Server, publisher: &Publisher) -> Result<Option<Box<dyn Recorder>>> {
        match self {
            Format::Hls => Ok(server.hls.recorder(publisher)),
            Format::Dash => server.dash.recorder(publisher),
            Format::Hds => server.hds.recorder(publisher),
        }
    }

    fn is_wanted(self, vhost: &Vhost) -> bool {
        match self {
            Format::Hls => vhost.hls.enabled,
            Format::Dash => vhost.dash.enabled,
            Format::Hds => vhost.hds.enabled,
        }
    }

    fn is_same(self, old: &Vhost, new: &Vhost) -> bool {
        match self {
            Format::Hls => old.hls == new.hls,
            Format::Dash => old.dash == new.dash,
            Format::Hds => old.hds == new.hds,
        }
    }
}

/// The recorders of one publication.
pub struct Recorders([Option<Running>; FORMATS.len()]);

/// Starts the recorders that the vhost's settings ask for. To be called for a publication before its first message.
/// Yields.
///
/// # Errors
/// The publication is to be refused with them: those of [`start`].
pub fn begin(server: &Server, publisher: &Publisher) -> Result<Recorders> {
    let mut recorders = Recorders([const { None }; FORMATS.len()]);
    for (format, running) in FORMATS.into_iter().zip(&mut recorders.0) {
        if let Some(recorder) = format.recorder(server, publisher)? {
            let name = recorder.name();
            *running = start(publisher, recorder, Beginning::First).wrap(name)?;
        }
    }
    Ok(recorders)
}

impl Recorders {
    /// Makes them those that the publisher's new settings ask for, in place of the `old` ones: what is switched on begins
    /// at the next keyframe, what is switched off ends now, and what is changed ends and begins anew at the next
    /// keyframe, without a gap. Failures are told in the log. Yields.
    pub fn apply(&mut self, server: &Server, old: &Vhost, publisher: &Publisher) {
        for (format, running) in FORMATS.into_iter().zip(&mut self.0) {
            if format.is_same(old, &publisher.vhost) {
                continue;
            }
            let is_wanted = format.is_wanted(&publisher.vhost);
            match running.take_if(|_| !is_wanted) {
                Some(ended) => ended.stop(),
                None if !is_wanted => {}
                None => {
                    if let Err(error) = replace_or_start(server, publisher, format, running) {
                        log::error!(
                            "{format:?} of {} does not run, {}",
                            publisher.source.url(),
                            error.summary()
                        );
                    }
                }
            }
        }
    }
}

fn replace_or_start(
    server: &Server,
    publisher: &Publisher,
    format: Format,
    running: &mut Option<Running>,
) -> Result<()> {
    if let Some(running) = running.as_ref().filter(|running| running.is_alive()) {
        let publisher = publisher.clone();
        running.replace(move || match publisher.server.upgrade() {
            Some(server) => format.recorder(&server, &publisher),
            None => Ok(None),
        });
        return Ok(());
    }
    if let Some(recorder) = format.recorder(server, publisher)? {
        *running = start(publisher, recorder, Beginning::Keyframe)?;
    }
    Ok(())
}

/// Where in a publication a recorder begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beginning {
    /// With its first message.
    First,
    /// Where a new player would.
    Late,
    /// With its next keyframe.
    Keyframe,
}

/// Makes the recorder that takes over from another one.
type Successor = Box<dyn FnOnce() -> Result<Option<Box<dyn Recorder>>>>;

/// A recorder that runs.
pub struct Running {
    stop: Stop,
    successor: Rc<RefCell<Option<Successor>>>,
}

impl Running {
    /// It takes what was published until now, and no more.
    pub fn stop(&self) {
        self.successor.take();
        self.stop.stop();
    }

    /// Whether its coroutine has not ended.
    pub fn is_alive(&self) -> bool {
        Rc::strong_count(&self.successor) > 1
    }

    /// At the next keyframe it ends, and what `make` makes goes on.
    pub fn replace(&self, make: impl FnOnce() -> Result<Option<Box<dyn Recorder>>> + 'static) {
        self.successor.replace(Some(Box::new(make)));
    }
}

/// Starts a recorder for the running publication and waits until it has begun. Yields.
///
/// # Errors
/// Those of [`Recorder::begin`], and [`ErrorCode::StThreadCreate`] without memory for it.
pub fn start(publisher: &Publisher, mut recorder: Box<dyn Recorder>, beginning: Beginning) -> Result<Option<Running>> {
    let Some(server) = publisher.server.upgrade() else {
        return Ok(None);
    };
    let name = recorder.name();
    let member = server.recordings.0.enter();
    let (begun, answer) = channel(1);
    let publisher = publisher.clone();
    let body = move || {
        if publisher.source.publisher() != Some(publisher.id) {
            // The publication has ended in the meantime.
            return;
        }
        let join = match beginning {
            Beginning::First => Follower::join,
            Beginning::Late => Follower::join_late,
            Beginning::Keyframe => Follower::join_now,
        };
        let follower = join(&publisher.source, recorder.latency());
        let began = recorder.begin();
        let runs = began.is_ok();
        let successor: Rc<RefCell<Option<Successor>>> = Rc::default();
        let running = Running {
            stop: follower.stopper(),
            successor: successor.clone(),
        };
        let _ = begun.try_send(began.map(|()| running));
        if runs {
            let mut tape = Tape {
                publisher: &publisher,
                follower,
                recorder,
                successor: &successor,
                awaits_keyframe: beginning == Beginning::Keyframe,
            };
            tape.run();
        }
        drop(member);
    };
    if let Err(error) = coroutine::spawn_with(name, STACK_BYTES, body) {
        let text = format!("no memory for the coroutine of {name}: {error}");
        return Err(Error::new(ErrorCode::StThreadCreate, text));
    }
    answer.recv().transpose()
}

/// A publication on its way to a recorder.
struct Tape<'a> {
    publisher: &'a Publisher,
    follower: Follower,
    recorder: Box<dyn Recorder>,
    successor: &'a RefCell<Option<Successor>>,
    awaits_keyframe: bool,
}

impl Tape<'_> {
    fn run(&mut self) {
        let mut frames = Vec::new();
        while let Some(missed) = self.follower.next(&mut frames) {
            let name = self.recorder.name();
            if missed > 0 {
                log::warn!("{name} is too slow and loses {missed} messages, is the disk overloaded?");
                self.recorder.missed(missed);
            }
            let Err(error) = self.take(&frames) else { continue };
            log::error!("{name} stops, {}", error.summary());
            if self.recorder.on_error(&error) == OnError::Disconnect {
                disconnect(self.publisher, name);
            }
            break;
        }
        self.finish();
    }

    /// A batch, with the change to another recorder in it if one is due.
    fn take(&mut self, frames: &[Frame]) -> Result<()> {
        let mut rest = frames;
        if self.awaits_keyframe {
            let Some(start) = self.start_in(frames) else {
                let headers = frames.iter().filter(|frame| !frame.facts.coded);
                return headers.into_iter().try_for_each(|frame| self.take_one(frame));
            };
            let headers = frames[..start].iter().filter(|frame| !frame.facts.coded);
            headers.into_iter().try_for_each(|frame| self.take_one(frame))?;
            self.awaits_keyframe = false;
            rest = &frames[start..];
        }
        let has_successor = self.successor.borrow().is_some();
        if has_successor && let Some(start) = self.start_in(rest) {
            rest[..start].iter().try_for_each(|frame| self.take_one(frame))?;
            rest = &rest[start..];
            self.hand_over(rest[0].timestamp)?;
        }
        rest.iter().try_for_each(|frame| self.take_one(frame))?;
        self.recorder.batch_ended().or_else(|error| {
            if goes_on(self.recorder.as_ref(), &error) {
                Ok(())
            } else {
                Err(error)
            }
        })
    }

    /// The first of the messages that files can begin with.
    fn start_in(&self, frames: &[Frame]) -> Option<usize> {
        let has_video = self.follower.has_video();
        frames
            .iter()
            .position(|frame| frame.facts.keyframe || (!has_video && frame.kind == Kind::Audio && frame.facts.coded))
    }

    fn take_one(&mut self, frame: &Frame) -> Result<()> {
        match self.recorder.take(frame) {
            Err(error) if !goes_on(self.recorder.as_ref(), &error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The recorder ends, and its successor begins with the headers that it needs for a message of this time.
    fn hand_over(&mut self, timestamp: u32) -> Result<()> {
        let Some(make) = self.successor.take() else {
            return Ok(());
        };
        // It makes names of files that the old one has to be done with.
        self.finish();
        if let Some(successor) = make()? {
            self.recorder = successor;
            self.follower.set_latency(self.recorder.latency());
            self.recorder.begin()?;
            log::info!(
                "{} of {} begins anew",
                self.recorder.name(),
                self.publisher.source.url()
            );
            let headers = self.follower.headers(timestamp);
            headers.iter().try_for_each(|frame| self.take_one(frame))?;
        }
        Ok(())
    }

    fn finish(&mut self) {
        if let Err(error) = self.recorder.finish() {
            log::error!("{} ends with an error, {}", self.recorder.name(), error.summary());
        }
    }
}

fn goes_on(recorder: &dyn Recorder, error: &Error) -> bool {
    let goes_on = recorder.on_error(error) == OnError::Continue;
    if goes_on {
        log::warn!("{} goes on after an error, {}", recorder.name(), error.summary());
    }
    goes_on
}

fn disconnect(publisher: &Publisher, name: &str) {
    let client = publisher
        .server
        .upgrade()
        .and_then(|server| server.clients.get(publisher.id));
    if let Some(client) = client {
        log::warn!("publisher {} is disconnected, as {name} failed", publisher.id);
        client.kick();
    }
}
