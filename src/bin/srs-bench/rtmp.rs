//! Players and publishers over RTMP.

use std::rc::Rc;
use std::time::Duration;

use srs_may::app::rtmp::socket::Line;
use srs_may::core::clock::{Moment, unix_time};
use srs_may::core::coroutine;
use srs_may::kernel::error::{Error, Result, Wrap};
use srs_may::kernel::error_code::ErrorCode;
use srs_may::kernel::frame::{Frame, Kind};
use srs_may::protocol::rtmp::chunk::{self, id};
use srs_may::protocol::rtmp::client::{Client, ConnectOptions};
use srs_may::protocol::rtmp::message::{Command, CommandName, Level, Status, StatusCode, kind};
use srs_may::protocol::rtmp::skim::Sink;
use srs_may::protocol::rtmp::url::StreamUrl;

use crate::line::Way;
use crate::observer::{Observer, Part};
use crate::reel::{Reel, Shot};
use crate::stamp::Stamp;
use crate::tally::Tally;

/// The chunk size of publishers, bytes; what encoders use.
const CHUNK_BYTES: u32 = 4096;
/// How encoders begin metadata that they publish, as AMF0.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

/// Connects, shakes hands and says `connect`.
fn open(way: &Way, url: &StreamUrl, number: usize) -> Result<Client<Line>> {
    let is_secure = url.schema.eq_ignore_ascii_case("rtmps");
    let stream = way.connect(&url.host, url.port, is_secure, number)?;
    let mut client = Client::new(Line {
        stream,
        deadline: Moment::after(way.timeout),
    });
    let millis = (Moment::now().as_micros() / 1000) as u32;
    client
        .handshake(millis, &mut |bytes| fastrand::fill(bytes))
        .wrap("shake hands")?;
    let options = ConnectOptions {
        tc_url: url.outgoing_tc_url(),
        app: url.app.clone(),
        ..ConnectOptions::default()
    };
    client
        .connect(&options)?
        .accepted(ErrorCode::RtmpConnect)
        .wrap("connect")?;
    Ok(client)
}

/// Reads an `rtmp://` or `rtmps://` URL.
///
/// # Errors
/// Those of [`StreamUrl::parse_whole`].
pub fn parse(url: &str) -> Result<StreamUrl> {
    StreamUrl::parse_whole(url)
}

/// Plays until interrupted. Yields.
///
/// # Errors
/// Whatever ends it before.
pub fn play(way: &Way, url: &StreamUrl, number: usize, mut observer: Observer) -> Result<()> {
    let mut client = open(way, url, number)?;
    client
        .play(&url.outgoing_stream())?
        .accepted(ErrorCode::RtmpConnect)
        .wrap("play")?;
    observer.accepted();
    let stream = client.connection().io().stream.clone();
    let (_, mut skimmer, mut rest, early) = client.into_skimmer();
    let mut viewer = Viewer(observer);
    Tally::add(&viewer.0.tally().bytes, stream.received_bytes());
    if let Some(message) = early {
        viewer.media(chunk::Part {
            kind: message.kind,
            timestamp: message.timestamp,
            length: message.payload.len(),
            at: 0,
            bytes: &message.payload,
        })?;
    }
    let used = skimmer.take(&rest, 0, &mut viewer)?;
    rest.drain(..used);
    loop {
        let count = way.pump(&stream, &mut rest, |input, fresh| {
            skimmer.take(input, fresh, &mut viewer)
        })?;
        if count == 0 {
            return Err(Error::new(ErrorCode::SocketReadFully, "the server closed"));
        }
        Tally::add(&viewer.0.tally().bytes, count as u64);
        if !skimmer.answers().is_empty() {
            let answers = std::mem::take(skimmer.answers());
            let written = stream.write_all(&answers);
            written.map_err(|cause| Error::io(ErrorCode::SocketWrite, &cause, "answer the server"))?;
        }
    }
}

struct Viewer(Observer);

impl Sink for Viewer {
    fn media(&mut self, part: chunk::Part<'_>) -> Result<()> {
        let kind = match part.kind {
            kind::AUDIO => Kind::Audio,
            kind::VIDEO => Kind::Video,
            _ => Kind::Data,
        };
        self.0.media(Part {
            kind,
            timestamp: part.timestamp,
            length: part.length,
            at: part.at,
            bytes: part.bytes,
        });
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Result<()> {
        let Some(status) = Status::find(command).filter(|_| command.name == CommandName::OnStatus) else {
            return Ok(());
        };
        if status.level == Level::Error || status.code == StatusCode::PlayUnpublishNotify {
            let text = format!("the server ended the stream: {}", status.code.as_str());
            return Err(Error::new(ErrorCode::RtmpConnect, text));
        }
        Ok(())
    }
}

/// What a publisher sends.
pub struct Publication {
    /// The media.
    pub reel: Rc<Reel>,
    /// Whether pictures get stamps.
    pub stamp: bool,
    /// The counts of the job.
    pub tally: Rc<Tally>,
}

/// Publishes until interrupted, each message when it is due. Yields.
///
/// # Errors
/// Whatever ends it before.
pub fn publish(way: &Way, url: &StreamUrl, number: usize, publication: Publication) -> Result<()> {
    let began = Moment::now();
    let mut client = open(way, url, number)?;
    let name = url.outgoing_stream();
    let reply = client.publish(&name, CHUNK_BYTES)?;
    let stream_id = reply.accepted(ErrorCode::RtmpConnect).wrap("publish")?;
    publication
        .tally
        .connect
        .borrow_mut()
        .record(Moment::now().since(began));
    Tally::add(&publication.tally.served, 1);
    let sender = Sender {
        client,
        stream_id,
        publication,
        stream: fastrand::u32(..),
        pictures: 0,
        sounds: 0,
        sound_sum: 0,
        counted: 0,
    };
    sender.run(&name)
}

struct Sender {
    client: Client<Line>,
    stream_id: u32,
    publication: Publication,
    /// The stamps' name of this publication.
    stream: u32,
    pictures: u32,
    sounds: u32,
    sound_sum: u32,
    /// Bytes that the tally has.
    counted: u64,
}

impl Sender {
    fn run(mut self, name: &str) -> Result<()> {
        let reel = self.publication.reel.clone();
        for header in &reel.headers {
            self.queue(header, 0, &header.payload)?;
        }
        self.client.connection().flush()?;
        let start = Moment::now();
        for round in 0u32.. {
            let round_start = reel.duration * round;
            for shot in &reel.shots {
                let timestamp = round_start + Duration::from_millis(shot.frame.timestamp.into());
                self.wait_until(start + timestamp)?;
                if coroutine::is_interrupted() {
                    // Its answer is of no interest any more.
                    return self.client.unpublish(name, self.stream_id);
                }
                self.send(shot, timestamp.as_millis() as u32)?;
            }
        }
        Ok(())
    }

    fn wait_until(&mut self, due: Moment) -> Result<()> {
        while let Some(message) = self.client.try_read_message()? {
            if let Some(status) = Client::<Line>::status_of(&message)?
                && status.level == Level::Error
            {
                let text = format!("the server ended the stream: {}", status.code.as_str());
                return Err(Error::new(ErrorCode::RtmpConnect, text));
            }
        }
        let now = Moment::now();
        if due > now {
            coroutine::sleep(due.since(now));
        }
        let late = Moment::now().since(due);
        self.publication.tally.sent_late.borrow_mut().record(late);
        Ok(())
    }

    fn send(&mut self, shot: &Shot, timestamp: u32) -> Result<()> {
        match shot.stamp_at.filter(|_| self.publication.stamp) {
            Some(at) => {
                let stamp = Stamp {
                    stream: self.stream,
                    number: self.pictures,
                    sent_micros: u64::try_from(unix_time().as_micros()).unwrap_or(u64::MAX),
                    digest: shot.digest,
                    sounds: self.sounds,
                    sound_sum: self.sound_sum,
                };
                let payload = shot.stamped(at, &stamp);
                self.queue(&shot.frame, timestamp, &payload)?;
                self.pictures = self.pictures.wrapping_add(1);
            }
            None => self.queue(&shot.frame, timestamp, &shot.frame.payload)?,
        }
        if shot.is_sound() {
            self.sounds = self.sounds.wrapping_add(1);
            self.sound_sum = self.sound_sum.wrapping_add(shot.digest);
        }
        self.client.connection().flush()?;
        let tally = &self.publication.tally;
        Tally::add(&tally.messages, 1);
        Tally::add(&tally.pictures, u64::from(shot.frame.kind == Kind::Video));
        let sent = self.client.connection().sent_bytes();
        Tally::add(&tally.bytes, sent - self.counted);
        self.counted = sent;
        Ok(())
    }

    fn queue(&mut self, frame: &Frame, timestamp: u32, payload: &[u8]) -> Result<()> {
        let (chunk_stream, kind) = match frame.kind {
            Kind::Audio => (id::AUDIO, kind::AUDIO),
            Kind::Video => (id::VIDEO, kind::VIDEO),
            Kind::Data => (id::METADATA, kind::AMF0_DATA),
        };
        let connection = self.client.connection();
        if frame.kind == Kind::Data && !payload.starts_with(SET_DATA_FRAME) {
            let payload = [SET_DATA_FRAME, payload].concat();
            return connection.queue_message(chunk_stream, kind, timestamp, self.stream_id, &payload);
        }
        connection.queue_message(chunk_stream, kind, timestamp, self.stream_id, payload)
    }
}
