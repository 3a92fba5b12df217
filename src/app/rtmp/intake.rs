//! Messages of a publisher, or of a server that we play from, become frames.

use bytes::Bytes;

use crate::app::cli;
use crate::app::source::Publication;
use crate::core::clock::Moment;
use crate::kernel::error::Result;
use crate::kernel::frame::{Frame, Kind};
use crate::protocol::rtmp::aggregate::Aggregate;
use crate::protocol::rtmp::chunk::Message;
use crate::protocol::rtmp::message::{Data, kind};
use crate::protocol::rtmp::metadata::Metadata;

/// Where frames go.
pub(super) trait Sink {
    /// Takes a frame. May yield.
    ///
    /// # Errors
    /// The publish ends with them.
    fn push(&mut self, frame: Frame) -> Result<()>;

    /// The metadata asks for `atc`.
    fn request_atc(&self) {}

    /// Since when it has had no player, if that is known.
    fn unwatched_since(&self) -> Option<Moment> {
        None
    }
}

impl Sink for Publication {
    fn push(&mut self, frame: Frame) -> Result<()> {
        Publication::push(self, frame);
        Ok(())
    }

    fn request_atc(&self) {
        Publication::request_atc(self);
    }

    fn unwatched_since(&self) -> Option<Moment> {
        self.source().unwatched_since()
    }
}

/// Hands over what a message holds; what is no media is passed over.
///
/// # Errors
/// Those of [`Aggregate`] and of the sink.
pub(super) fn take(message: Message, sink: &mut impl Sink) -> Result<()> {
    match message.kind {
        kind::AUDIO => sink.push(Frame::new(Kind::Audio, message.timestamp, message.payload)),
        kind::VIDEO => sink.push(Frame::new(Kind::Video, message.timestamp, message.payload)),
        kind::AGGREGATE => Aggregate::new(message).try_for_each(|part| take(part?, sink)),
        data if kind::is_data(data) => take_data(&message, sink),
        _ => Ok(()),
    }
}

/// Metadata is kept for players to come; other data messages pass as they are. What cannot be read is no reason to end a
/// publish.
fn take_data(message: &Message, sink: &mut impl Sink) -> Result<()> {
    let Some(read) = read_data(&message.payload) else {
        return Ok(());
    };
    if read.wants_atc {
        sink.request_atc();
    }
    sink.push(Frame::new(Kind::Data, message.timestamp, read.payload))
}

/// A data message, or the body of a script tag of FLV, as it is published; `None` for what cannot be read.
pub fn data_frame(timestamp: u32, payload: &[u8]) -> Option<Frame> {
    read_data(payload).map(|read| Frame::new(Kind::Data, timestamp, read.payload))
}

/// A data message as players get it.
struct ReadData {
    payload: Bytes,
    wants_atc: bool,
}

fn read_data(payload: &[u8]) -> Option<ReadData> {
    let data = match Data::parse(payload) {
        Ok(data) => data,
        Err(error) => {
            log::debug!("data message is dropped: {}", error.summary());
            return None;
        }
    };
    Some(match Metadata::parse(payload) {
        Ok(Some(mut metadata)) => {
            metadata.adopt(cli::SIGNATURE, cli::VERSION);
            ReadData {
                wants_atc: metadata.properties.string("bravo_atc") == Some("true"),
                payload: metadata.encode().into(),
            }
        }
        _ => ReadData {
            wants_atc: false,
            payload: data.encode().into(),
        },
    })
}
