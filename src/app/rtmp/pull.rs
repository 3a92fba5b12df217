//! A stream played from another server: what an edge has its streams from.

use std::time::Duration;

use super::dialogue::{Approach, Session};
use super::intake::{self, Sink};
use super::socket::Line;
use crate::app::edge::upstream::{Pulled, Upstream};
use crate::app::stat::Carrier;
use crate::core::clock::Moment;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::Frame;
use crate::protocol::rtmp::client::Client;
use crate::protocol::rtmp::message::{Level, Status, StatusCode};

/// Messages taken in one go, so that others run in between.
const BATCH: usize = 64;

/// The player of one stream at one server. Dropping it cuts the connection.
pub struct Puller {
    session: Session,
    receive_timeout: Duration,
    heard: Moment,
}

impl Puller {
    /// Plays the stream of a URL, as [`Approach::open`] gets there. Yields.
    ///
    /// # Errors
    /// As there.
    pub fn open(url: &str, approach: Approach<'_>) -> Result<Self> {
        let play = |client: &mut Client<Line>, name: &str| client.play(name);
        let (session, _) = approach.open(url, "play", play)?;
        session.stream.set_write_timeout(Some(approach.dialogue_timeout));
        Ok(Puller {
            session,
            receive_timeout: approach.dialogue_timeout,
            heard: Moment::now(),
        })
    }

    /// Gives whether something came.
    fn wait(&self, deadline: Moment) -> Result<bool> {
        let silent_at = self.heard + self.receive_timeout;
        let what = || format!("play from {}", self.session.place);
        let came = self.session.stream.wait_readable(deadline.min(silent_at));
        if came.io_wrap(ErrorCode::SocketRead, what)? {
            return Ok(true);
        }
        if Moment::now() >= silent_at {
            let text = format!("{}: nothing for {} s", what(), self.receive_timeout.as_secs_f64());
            return Err(Error::new(ErrorCode::SocketTimeout, text));
        }
        Ok(false)
    }
}

impl Upstream for Puller {
    fn place(&self) -> &str {
        &self.session.place
    }

    fn carrier(&self) -> &dyn Carrier {
        &*self.session.stream
    }

    /// Fails with [`ErrorCode::SocketTimeout`] when the server was silent for too long, [`ErrorCode::SocketRead`], those of
    /// the chunk stream, and [`ErrorCode::RtmpConnect`] with the server's words when it ends the stream. Yields.
    fn take(&mut self, frames: &mut Vec<Frame>, deadline: Moment) -> Result<Pulled> {
        let mut sink = Frames(frames);
        for round in 0..BATCH {
            let read = self.session.client.try_read_message();
            let Some(message) = read.wrap_with(|| format!("play from {}", self.session.place))? else {
                if round > 0 || !self.wait(deadline)? {
                    break;
                }
                continue;
            };
            self.heard = Moment::now();
            match Client::<Line>::status_of(&message).unwrap_or_default() {
                None => intake::take(message, &mut sink)?,
                Some(status) if status.code == StatusCode::PlayUnpublishNotify => return Ok(Pulled::Ended),
                Some(Status {
                    redirect: Some(redirect),
                    ..
                }) => {
                    let whole = || format!("{}/{}", redirect.tc_url, self.session.name);
                    return Ok(Pulled::Elsewhere(redirect.url.clone().unwrap_or_else(whole)));
                }
                Some(status) if status.level == Level::Error => {
                    let text = format!("{} ends the stream: {}", self.session.place, status.code.as_str());
                    return Err(Error::new(ErrorCode::RtmpConnect, text));
                }
                Some(_) => {}
            }
        }
        Ok(Pulled::Live)
    }
}

struct Frames<'a>(&'a mut Vec<Frame>);

impl Sink for Frames<'_> {
    fn push(&mut self, frame: Frame) -> Result<()> {
        self.0.push(frame);
        Ok(())
    }
}
