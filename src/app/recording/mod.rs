//! What writes a stream to files while it is published: HLS, DASH, HDS, DVR.
//!
//! Each runs in a coroutine of its own that follows the publication, so that a slow disk delays only itself: one that
//! falls behind by more than `queue_length` misses messages and goes on at a keyframe.

pub mod files;
pub mod shelf;
pub mod table;
pub mod template;

use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::app::config::section::vhost::Vhost;
use crate::app::dvr::Enrolled;
use crate::app::hooks::Subject;
use crate::app::server::Server;
use crate::app::source::{Follower, Source, Stop};
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::core::sync::{WaitGroup, channel};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::Frame;

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

/// Starts what the vhost's settings ask for. To be called for a publication before its first message; the result is to be
/// dropped when it ends. Yields.
///
/// # Errors
/// The publication is to be refused with them: those of [`start`].
pub fn begin(publisher: &Publisher) -> Result<Option<Enrolled>> {
    let Some(server) = publisher.server.upgrade() else {
        return Ok(None);
    };
    let wanted = [
        server.hls.recorder(publisher),
        server.dash.recorder(publisher)?,
        server.hds.recorder(publisher)?,
    ];
    for recorder in wanted.into_iter().flatten() {
        let name = recorder.name();
        start(publisher, recorder, Beginning::First).wrap(name)?;
    }
    server.dvr.enroll(publisher).map(Some)
}

/// Where in a publication a recorder begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beginning {
    /// With its first message.
    First,
    /// Where a new player would.
    Late,
}

/// Starts a recorder for the running publication and waits until it has begun. Yields.
///
/// # Errors
/// Those of [`Recorder::begin`], and [`ErrorCode::StThreadCreate`] without memory for it.
pub fn start(publisher: &Publisher, mut recorder: Box<dyn Recorder>, beginning: Beginning) -> Result<Option<Stop>> {
    let Some(server) = publisher.server.upgrade() else {
        return Ok(None);
    };
    let name = recorder.name();
    let member = server.recordings.0.enter();
    let (begun, answer) = channel(1);
    let publisher = publisher.clone();
    let body = move || {
        let join = match beginning {
            Beginning::First => Follower::join,
            Beginning::Late => Follower::join_late,
        };
        let follower = join(&publisher.source, recorder.latency());
        let began = recorder.begin();
        let runs = began.is_ok();
        let _ = begun.try_send(began.map(|()| follower.stopper()));
        if runs {
            record(&publisher, follower, recorder.as_mut());
        }
        drop(member);
    };
    if let Err(error) = coroutine::spawn_with(name, STACK_BYTES, body) {
        let text = format!("no memory for the coroutine of {name}: {error}");
        return Err(Error::new(ErrorCode::StThreadCreate, text));
    }
    answer.recv().transpose()
}

fn record(publisher: &Publisher, mut follower: Follower, recorder: &mut dyn Recorder) {
    let name = recorder.name();
    let mut frames = Vec::new();
    while let Some(missed) = follower.next(&mut frames) {
        if missed > 0 {
            log::warn!("{name} is too slow and loses {missed} messages, is the disk overloaded?");
            recorder.missed(missed);
        }
        let failed = frames
            .iter()
            .find_map(|frame| recorder.take(frame).err().filter(|error| !goes_on(recorder, error)))
            .or_else(|| recorder.batch_ended().err().filter(|error| !goes_on(recorder, error)));
        let Some(error) = failed else { continue };
        log::error!("{name} stops, {}", error.summary());
        if recorder.on_error(&error) == OnError::Disconnect {
            disconnect(publisher, name);
        }
        break;
    }
    if let Err(error) = recorder.finish() {
        log::error!("{name} ends with an error, {}", error.summary());
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
