//! The client of the bandwidth test (`docs/bandcheck.md`): the server sends for some seconds, then we do.

use std::rc::Rc;

use srs_may::app::rtmp::socket::Line;
use srs_may::core::clock::Moment;
use srs_may::kernel::error::{Error, Result, Wrap};
use srs_may::kernel::error_code::ErrorCode;
use srs_may::protocol::amf0::{Object, Value};
use srs_may::protocol::rtmp::chunk::id;
use srs_may::protocol::rtmp::client::{Client, ConnectOptions};
use srs_may::protocol::rtmp::message::{Command, CommandName, kind};
use srs_may::protocol::rtmp::url::StreamUrl;

use crate::line::Way;
use crate::tally::Tally;

/// Bytes of filler in one message of ours.
const FILLER_BYTES: usize = 16 << 10;

/// Tests once, and prints what the server measured. Yields.
///
/// # Errors
/// A server that refuses, or does not do its part.
pub fn run(way: &Way, url: &str, number: usize, tally: &Rc<Tally>) -> Result<()> {
    let began = Moment::now();
    let place = StreamUrl::connect(url)?;
    let stream = way.connect(
        &place.host,
        place.port,
        place.schema.eq_ignore_ascii_case("rtmps"),
        number,
    )?;
    let mut client = Client::new(Line {
        stream,
        deadline: Moment::NEVER,
    });
    let millis = (Moment::now().as_micros() / 1000) as u32;
    client
        .handshake(millis, &mut |bytes| fastrand::fill(bytes))
        .wrap("shake hands")?;
    let options = ConnectOptions {
        tc_url: url.to_owned(),
        app: place.app.clone(),
        ..ConnectOptions::default()
    };
    client
        .connect(&options)?
        .accepted(ErrorCode::RtmpConnect)
        .wrap("connect")?;
    tally.connect.borrow_mut().record(Moment::now().since(began));
    Tally::add(&tally.served, 1);
    let mut test = Test { client, way, tally };
    let result = test.run()?;
    let number = |name: &str| result.number(name).unwrap_or(0.0);
    println!(
        "bandwidth: play {:.0} kb/s ({:.0} bytes in {:.0} ms), publish {:.0} kb/s ({:.0} bytes in {:.0} ms)",
        number("play_kbps"),
        number("play_bytes"),
        number("play_time"),
        number("publish_kbps"),
        number("publish_bytes"),
        number("publish_time"),
    );
    Ok(())
}

struct Test<'a> {
    client: Client<Line>,
    way: &'a Way,
    tally: &'a Rc<Tally>,
}

impl Test<'_> {
    /// Gives what the server says in the end.
    fn run(&mut self) -> Result<Object> {
        self.expect("onSrsBandCheckStartPlayBytes")?;
        self.tell("onSrsBandCheckStartingPlayBytes", Value::Null)?;
        self.expect("onSrsBandCheckStopPlayBytes")?;
        self.tell("onSrsBandCheckStoppedPlayBytes", Value::Null)?;
        self.expect("onSrsBandCheckStartPublishBytes")?;
        self.tell("onSrsBandCheckStartingPublishBytes", Value::Null)?;
        let filler = Object::new().with("0", "x".repeat(FILLER_BYTES));
        loop {
            self.tell("onSrsBandCheckPublishing", filler.clone().into())?;
            if let Some(message) = self.client.try_read_message()?
                && call(&message.payload, message.kind)
                    .is_some_and(|call| call.name.as_str() == "onSrsBandCheckStopPublishBytes")
            {
                break;
            }
        }
        self.tell("onSrsBandCheckStoppedPublishBytes", Value::Null)?;
        let finished = self.expect("onSrsBandCheckFinished")?;
        self.tell("finalClientPacket", Value::Null)?;
        let result = finished.argument(0).and_then(Value::as_object).cloned();
        result.ok_or_else(|| Error::new(ErrorCode::RtmpDecode, "onSrsBandCheckFinished has no result"))
    }

    fn tell(&mut self, name: &str, data: Value) -> Result<()> {
        let command = Command::new(CommandName::from(name), 0.0, [Value::Null, data]);
        let connection = self.client.connection();
        connection.queue_command(id::STREAM, 0, &command);
        connection.flush()
    }

    fn expect(&mut self, name: &str) -> Result<Command> {
        let before = self.client.connection().received_bytes();
        loop {
            self.client.connection().io_mut().deadline = Moment::after(self.way.timeout);
            let message = self.client.read_message().wrap_with(|| format!("wait for {name}"))?;
            if let Some(command) = call(&message.payload, message.kind)
                && command.name.as_str() == name
            {
                let received = self.client.connection().received_bytes();
                Tally::add(&self.tally.bytes, received - before);
                return Ok(command);
            }
        }
    }
}

fn call(payload: &[u8], message_kind: u8) -> Option<Command> {
    kind::is_command(message_kind)
        .then(|| Command::parse(payload).ok())
        .flatten()
}
