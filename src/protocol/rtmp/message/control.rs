//! Protocol control messages (section 5.4) and user control messages (section 7.1.7).

use super::kind;
use crate::kernel::buf::{Put, Reader};
use crate::kernel::error::Result;
use crate::kernel::error_code::ErrorCode;

/// A protocol control message; travels on chunk stream 2, message stream 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// The sender's chunk size from the next chunk on, bytes.
    SetChunkSize(u32),
    /// The receiver drops the unfinished message of this chunk stream.
    Abort {
        /// Chunk stream id.
        chunk_stream: u32,
    },
    /// How many bytes the sender has received so far, modulo 2^32.
    Acknowledgement(u32),
    /// The receiver shall acknowledge after at most this many bytes.
    WindowAckSize(u32),
    /// The receiver shall send at most this many bytes without acknowledgement.
    SetPeerBandwidth {
        /// Bytes.
        window: u32,
        /// How strictly it is meant.
        limit: Limit,
    },
    /// Stream events and pings.
    UserControl(UserControl),
}

/// The limit type of a peer bandwidth (section 5.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The receiver should limit itself to the window.
    Hard,
    /// The smaller of this window and the one in effect.
    Soft,
    /// Hard if the previous limit was hard, else nothing.
    Dynamic,
    /// What the specification does not know.
    Unknown(u8),
}

/// A user control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserControl {
    /// Message stream that became usable.
    StreamBegin(u32),
    /// Message stream whose data is over.
    StreamEof(u32),
    /// Message stream without data for a while.
    StreamDry(u32),
    /// The client's buffer.
    SetBufferLength {
        /// Message stream id.
        stream_id: u32,
        /// Milliseconds.
        millis: u32,
    },
    /// Message stream that is a recording.
    StreamIsRecorded(u32),
    /// To be answered by a response with the same timestamp.
    PingRequest(u32),
    /// The timestamp of the request.
    PingResponse(u32),
    /// An event that we have no use for, such as Flash Media Server's own.
    Unknown {
        /// Event type.
        event: u16,
        /// Event data as it came.
        data: Vec<u8>,
    },
}

impl Control {
    /// Parses a message; `None` if its kind is not one of these. Bytes behind the fields are ignored.
    ///
    /// # Errors
    /// [`ErrorCode::RtmpDecode`] if fields are cut short.
    pub fn parse(message_kind: u8, payload: &[u8]) -> Result<Option<Control>> {
        let mut reader = Reader::new(payload, ErrorCode::RtmpDecode);
        let control = match message_kind {
            kind::SET_CHUNK_SIZE => Control::SetChunkSize(reader.u32("chunk size")?),
            kind::ABORT => Control::Abort {
                chunk_stream: reader.u32("aborted chunk stream")?,
            },
            kind::ACKNOWLEDGEMENT => Control::Acknowledgement(reader.u32("acknowledged sequence number")?),
            kind::WINDOW_ACK_SIZE => Control::WindowAckSize(reader.u32("acknowledgement window")?),
            kind::SET_PEER_BANDWIDTH => Control::SetPeerBandwidth {
                window: reader.u32("peer bandwidth")?,
                // Some senders leave the type out.
                limit: reader.u8("limit type").map_or(Limit::Hard, Limit::from_byte),
            },
            kind::USER_CONTROL => Control::UserControl(UserControl::parse(&mut reader)?),
            _ => return Ok(None),
        };
        Ok(Some(control))
    }

    /// The message type id.
    pub fn kind(&self) -> u8 {
        match self {
            Control::SetChunkSize(_) => kind::SET_CHUNK_SIZE,
            Control::Abort { .. } => kind::ABORT,
            Control::Acknowledgement(_) => kind::ACKNOWLEDGEMENT,
            Control::WindowAckSize(_) => kind::WINDOW_ACK_SIZE,
            Control::SetPeerBandwidth { .. } => kind::SET_PEER_BANDWIDTH,
            Control::UserControl(_) => kind::USER_CONTROL,
        }
    }

    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10);
        match self {
            Control::SetChunkSize(value) | Control::Acknowledgement(value) | Control::WindowAckSize(value) => {
                out.put_u32(*value);
            }
            Control::Abort { chunk_stream } => out.put_u32(*chunk_stream),
            Control::SetPeerBandwidth { window, limit } => {
                out.put_u32(*window);
                out.put_u8(limit.byte());
            }
            Control::UserControl(event) => event.write(&mut out),
        }
        out
    }
}

impl Limit {
    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Limit::Hard,
            1 => Limit::Soft,
            2 => Limit::Dynamic,
            other => Limit::Unknown(other),
        }
    }

    fn byte(self) -> u8 {
        match self {
            Limit::Hard => 0,
            Limit::Soft => 1,
            Limit::Dynamic => 2,
            Limit::Unknown(other) => other,
        }
    }
}

impl UserControl {
    fn parse(reader: &mut Reader) -> Result<Self> {
        Ok(match reader.u16("event type")? {
            0 => UserControl::StreamBegin(reader.u32("begun stream")?),
            1 => UserControl::StreamEof(reader.u32("ended stream")?),
            2 => UserControl::StreamDry(reader.u32("dry stream")?),
            3 => UserControl::SetBufferLength {
                stream_id: reader.u32("buffered stream")?,
                millis: reader.u32("buffer length")?,
            },
            4 => UserControl::StreamIsRecorded(reader.u32("recorded stream")?),
            6 => UserControl::PingRequest(reader.u32("ping timestamp")?),
            7 => UserControl::PingResponse(reader.u32("ping timestamp")?),
            event => UserControl::Unknown {
                event,
                data: reader.rest().iter().copied().take(UNKNOWN_EVENT_BYTES).collect(),
            },
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (event, value) = match self {
            UserControl::StreamBegin(stream_id) => (0, *stream_id),
            UserControl::StreamEof(stream_id) => (1, *stream_id),
            UserControl::StreamDry(stream_id) => (2, *stream_id),
            UserControl::SetBufferLength { stream_id, .. } => (3, *stream_id),
            UserControl::StreamIsRecorded(stream_id) => (4, *stream_id),
            UserControl::PingRequest(timestamp) => (6, *timestamp),
            UserControl::PingResponse(timestamp) => (7, *timestamp),
            UserControl::Unknown { event, data } => {
                out.put_u16(*event);
                out.put_slice(data);
                return;
            }
        };
        out.put_u16(event);
        out.put_u32(value);
        if let UserControl::SetBufferLength { millis, .. } = self {
            out.put_u32(*millis);
        }
    }
}

/// How much of an unknown event's data is kept.
const UNKNOWN_EVENT_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Control> {
        vec![
            Control::SetChunkSize(60_000),
            Control::Abort { chunk_stream: 6 },
            Control::Acknowledgement(0xffff_fff0),
            Control::WindowAckSize(2_500_000),
            Control::SetPeerBandwidth {
                window: 2_500_000,
                limit: Limit::Dynamic,
            },
            Control::UserControl(UserControl::StreamBegin(1)),
            Control::UserControl(UserControl::StreamEof(1)),
            Control::UserControl(UserControl::StreamDry(1)),
            Control::UserControl(UserControl::SetBufferLength {
                stream_id: 1,
                millis: 3000,
            }),
            Control::UserControl(UserControl::StreamIsRecorded(1)),
            Control::UserControl(UserControl::PingRequest(7)),
            Control::UserControl(UserControl::PingResponse(7)),
            Control::UserControl(UserControl::Unknown {
                event: 26,
                data: vec![1],
            }),
        ]
    }

    #[test]
    fn what_is_written_reads_back_and_what_is_cut_is_an_error() {
        for control in all() {
            let payload = control.encode();
            assert_eq!(Control::parse(control.kind(), &payload).unwrap(), Some(control.clone()));
            for end in 0..payload.len() {
                match Control::parse(control.kind(), &payload[..end]) {
                    Ok(Some(Control::UserControl(UserControl::Unknown { .. }))) => {}
                    Ok(Some(Control::SetPeerBandwidth { limit, .. })) => assert_eq!((end, limit), (4, Limit::Hard)),
                    Ok(other) => panic!("{other:?} from {end} bytes"),
                    Err(error) => assert_eq!(error.code(), ErrorCode::RtmpDecode),
                }
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let bandwidth = Control::SetPeerBandwidth {
            window: 2_500_000,
            limit: Limit::Dynamic,
        };
        assert_eq!(bandwidth.encode(), [0x00, 0x26, 0x25, 0xa0, 2]);
        let begin = Control::UserControl(UserControl::StreamBegin(1));
        assert_eq!(begin.encode(), [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn other_kinds_are_no_control_messages() {
        assert_eq!(Control::parse(kind::VIDEO, &[0; 4]).unwrap(), None);
    }
}
