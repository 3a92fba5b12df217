//! The bandwidth test over RTMP of SRS 1 to 4: the server sends for three seconds, then the client does, and both learn what
//! went through. See `docs/bandcheck.md`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::socket::Socket;
use crate::app::config::section::bandcheck::Bandcheck;
use crate::app::stream::Stream;
use crate::core::clock::{Moment, unix_time};
use crate::core::coroutine;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::amf0::{Object, Value};
use crate::protocol::rtmp::chunk::id;
use crate::protocol::rtmp::message::{Command, CommandName, StatusCode, kind};
use crate::protocol::rtmp::server::{ConnectRequest, Server as Session};

/// How long each direction is measured.
const SAMPLE: Duration = Duration::from_secs(3);
/// How long the client may take for each step.
const STEP_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a direction that is above the limit pauses before it looks again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the client has to close when all is said.
const LAST_WAIT: Duration = Duration::from_millis(600);
/// What the test's messages are filled with.
const FILLER: &str = "SRS band check data from server's playing......";
/// How many pieces of that one message may hold; what comes after has as many.
const PIECES_MAX: usize = 1001;

/// When the server tested last.
#[derive(Default)]
pub struct Bandchecks {
    last: Cell<Option<Moment>>,
}

impl Bandchecks {
    /// Whether a test may begin now; then it counts as the last one.
    fn admit(&self, interval: Duration) -> bool {
        let now = Moment::now();
        let is_early = self.last.get().is_some_and(|last| now.since(last) < interval);
        if !is_early {
            self.last.set(Some(now));
        }
        !is_early
    }
}

/// Sees whether a client of `connect` may have a test, and counts it; a client that comes too early is told.
///
/// # Errors
/// [`ErrorCode::BandwidthKey`] without the key, [`ErrorCode::BandwidthDenied`] too soon after the last test; those of
/// [`Session::reject`].
pub(super) fn admit(
    session: &mut Session<Socket>,
    connect: &ConnectRequest,
    settings: &Bandcheck,
    checks: &Bandchecks,
) -> Result<()> {
    if !connect.tc_url.contains(&format!("key={}", settings.key)) {
        let text = "the tcUrl of a bandwidth test does not hold the key";
        return Err(Error::new(ErrorCode::BandwidthKey, text));
    }
    if !checks.admit(settings.interval) {
        session.reject(&StatusCode::ConnectRejected, "bandcheck rejected")?;
        let text = format!(
            "a bandwidth test in less than {} s after the last",
            settings.interval.as_secs_f64()
        );
        return Err(Error::new(ErrorCode::BandwidthDenied, text));
    }
    Ok(())
}

/// Tests a client whose connect has been accepted. Yields.
///
/// # Errors
/// [`ErrorCode::SocketTimeout`] when the client does not do its part; those of the session and the socket.
pub(super) fn serve(
    session: &mut Session<Socket>,
    stream: &Rc<Stream>,
    connect: &ConnectRequest,
    settings: &Bandcheck,
) -> Result<()> {
    stream.set_write_timeout(Some(STEP_TIMEOUT));
    let mut test = Test {
        session,
        stream,
        limit_kbps: settings.limit_kbps,
        // Flash players close their side once they have heard the result.
        is_flash: !connect.swf_url.is_empty(),
    };
    test.run()
}

struct Test<'a> {
    session: &'a mut Session<Socket>,
    stream: &'a Rc<Stream>,
    limit_kbps: u32,
    is_flash: bool,
}

/// What went through in one direction.
#[derive(Clone, Copy, Debug)]
struct Measured {
    time: Duration,
    bytes: u64,
}

impl Measured {
    fn kbps(self) -> u64 {
        let millis = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX);
        self.bytes.saturating_mul(8) / millis.max(1)
    }
}

/// Bytes of one direction since its start.
struct Meter<'a> {
    began: Moment,
    stream: &'a Stream,
    count: fn(&Stream) -> u64,
    before: u64,
}

impl<'a> Meter<'a> {
    fn begin(stream: &'a Stream, count: fn(&Stream) -> u64) -> Self {
        Meter {
            began: Moment::now(),
            stream,
            count,
            before: count(stream),
        }
    }

    fn measured(&self) -> Measured {
        Measured {
            time: Moment::now().since(self.began),
            bytes: (self.count)(self.stream) - self.before,
        }
    }

    fn is_over(&self) -> bool {
        self.measured().time >= SAMPLE || coroutine::is_interrupted()
    }

    /// Waits while more went through than the limit allows.
    fn hold(&self, limit_kbps: u32) {
        while self.measured().kbps() > u64::from(limit_kbps) && !self.is_over() {
            coroutine::sleep(PAUSE);
        }
    }
}

impl Test<'_> {
    fn run(&mut self) -> Result<()> {
        let began = unix_time();
        let play = self.play().wrap("bandwidth test, play")?;
        let publish = self.publish().wrap("bandwidth test, publish")?;
        let result = Object::new()
            .with("start_time", began.as_millis() as f64)
            .with("end_time", unix_time().as_millis() as f64)
            .with("play_kbps", play.kbps() as f64)
            .with("publish_kbps", publish.kbps() as f64)
            .with("play_bytes", play.bytes as f64)
            .with("publish_bytes", publish.bytes as f64)
            .with("play_time", play.time.as_millis() as f64)
            .with("publish_time", publish.time.as_millis() as f64);
        self.tell("onSrsBandCheckFinished", result)?;
        log::info!(
            "bandwidth test ok, play={}kbps, publish={}kbps",
            play.kbps(),
            publish.kbps()
        );
        if !self.is_flash {
            self.expect("finalClientPacket").wrap("bandwidth test, end")?;
        }
        coroutine::sleep(LAST_WAIT);
        Ok(())
    }

    fn play(&mut self) -> Result<Measured> {
        self.tell("onSrsBandCheckStartPlayBytes", self.plan())?;
        self.expect("onSrsBandCheckStartingPlayBytes")?;
        let meter = Meter::begin(self.stream, Stream::sent_bytes);
        let (mut data, mut pieces) = (Object::new(), 0);
        while !meter.is_over() {
            // One, three, five and so on: small steps for slow links, large ones for fast links.
            let wanted = (pieces + if pieces == 0 { 1 } else { 2 }).min(PIECES_MAX);
            (pieces..wanted).for_each(|piece| data.insert(piece.to_string(), FILLER));
            pieces = wanted;
            self.tell("onSrsBandCheckPlaying", data.clone())?;
            meter.hold(self.limit_kbps);
            coroutine::tick();
        }
        let measured = meter.measured();
        self.tell("onSrsBandCheckStopPlayBytes", summary(measured))?;
        self.expect("onSrsBandCheckStoppedPlayBytes")?;
        Ok(measured)
    }

    fn publish(&mut self) -> Result<Measured> {
        self.tell("onSrsBandCheckStartPublishBytes", self.plan())?;
        self.expect("onSrsBandCheckStartingPublishBytes")?;
        let meter = Meter::begin(self.stream, Stream::received_bytes);
        self.stream.set_read_timeout(Some(STEP_TIMEOUT));
        while !meter.is_over() {
            self.session.connection().read_message()?;
            meter.hold(self.limit_kbps);
        }
        let measured = meter.measured();
        self.tell("onSrsBandCheckStopPublishBytes", summary(measured))?;
        if !self.is_flash {
            self.expect("onSrsBandCheckStoppedPublishBytes")?;
        }
        Ok(measured)
    }

    fn plan(&self) -> Object {
        Object::new()
            .with("limit_kbps", f64::from(self.limit_kbps))
            .with("duration_ms", SAMPLE.as_millis() as f64)
            .with("interval_ms", 0.0)
    }

    fn tell(&mut self, name: &str, data: Object) -> Result<()> {
        let command = Command::new(CommandName::from(name), 0.0, [Value::Null, data.into()]);
        let connection = self.session.connection();
        connection.queue_command(id::STREAM, 0, &command);
        connection.flush()
    }

    /// Waits for a call of the client; what else it sends, filler that is still on its way, is passed over.
    fn expect(&mut self, name: &'static str) -> Result<()> {
        let deadline = Moment::after(STEP_TIMEOUT);
        loop {
            let rest = deadline.since(Moment::now());
            if rest.is_zero() {
                let text = format!("{name} has not come in {} s", STEP_TIMEOUT.as_secs());
                return Err(Error::new(ErrorCode::SocketTimeout, text));
            }
            self.stream.set_read_timeout(Some(rest));
            let message = self.session.connection().read_message().wrap(name)?;
            let is_call = kind::is_command(message.kind)
                && Command::parse(&message.payload).is_ok_and(|command| command.name.as_str() == name);
            if is_call {
                return Ok(());
            }
        }
    }
}

fn summary(measured: Measured) -> Object {
    Object::new()
        .with("duration_ms", SAMPLE.as_millis() as f64)
        .with("interval_ms", 0.0)
        .with("duration_delta", measured.time.as_millis() as f64)
        .with("bytes_delta", measured.bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_kilobits_a_second() {
        let measured = |millis, bytes| Measured {
            time: Duration::from_millis(millis),
            bytes,
        };
        assert_eq!(measured(3000, 375_000).kbps(), 1000);
        assert_eq!(measured(0, 1000).kbps(), 8000);
        assert_eq!(measured(1, u64::MAX).kbps(), u64::MAX);
    }

    #[test]
    fn the_interval_counts_from_the_last_test_that_was_let_in() {
        let checks = Bandchecks::default();
        assert!(checks.admit(Duration::from_secs(60)));
        assert!(!checks.admit(Duration::from_secs(60)));
        assert!(checks.admit(Duration::ZERO));
        assert!(!checks.admit(Duration::from_secs(60)));
    }
}
