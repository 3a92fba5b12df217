//! The messages that RTMP defines beyond media (RTMP specification 1.0, sections 5.4 and 7): protocol control, user
//! control, commands, data, and the status objects that commands carry.

mod command;
mod control;
mod data;
mod status;

pub use command::{Command, CommandName};
pub use control::{Control, Limit, UserControl};
pub use data::Data;
pub use status::{Level, Redirect, Status, StatusCode};

use crate::core::limits::RTMP_COMMAND_BYTES;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::amf0::{Value, read_all};

/// Message type ids.
pub mod kind {
    /// Set Chunk Size.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message.
    pub const ABORT: u8 = 2;
    /// Acknowledgement.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control Message.
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size.
    pub const WINDOW_ACK_SIZE: u8 = 5;
    /// Set Peer Bandwidth.
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio data.
    pub const AUDIO: u8 = 8;
    /// Video data.
    pub const VIDEO: u8 = 9;
    /// Data message in AMF3.
    pub const AMF3_DATA: u8 = 15;
    /// Command message in AMF3.
    pub const AMF3_COMMAND: u8 = 17;
    /// Data message in AMF0, such as metadata.
    pub const AMF0_DATA: u8 = 18;
    /// Command message in AMF0.
    pub const AMF0_COMMAND: u8 = 20;
    /// Aggregate message.
    pub const AGGREGATE: u8 = 22;

    /// Whether it is a command in either encoding.
    pub fn is_command(kind: u8) -> bool {
        matches!(kind, AMF0_COMMAND | AMF3_COMMAND)
    }

    /// Whether it is a data message in either encoding.
    pub fn is_data(kind: u8) -> bool {
        matches!(kind, AMF0_DATA | AMF3_DATA)
    }
}

/// An enum of texts that the wire knows, and `Other` for all the rest.
macro_rules! wire_names {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$inner])* $variant,)*
            /// A text that is not in the list.
            Other(String),
        }

        impl $name {
            /// The text on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $text,)*
                    $name::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => $name::$variant,)*
                    _ => $name::Other(text.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            /// The text, escaped and cut short: it is the peer's.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&super::shown(self.as_str()))
            }
        }
    };
}
use wire_names;

/// A peer's text for an error message or a log line: escaped, and no longer than a line can hold.
pub(in crate::protocol::rtmp) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    text.chars().take(LONGEST).flat_map(char::escape_debug).collect()
}

/// The AMF0 values of a command or data message. AMF3 messages as senders use them are a zero byte, then AMF0; the zero
/// is the marker of a number, which neither kind of message begins with.
fn read_values(payload: &[u8], needed: usize) -> Result<Vec<Value>> {
    if payload.len() > RTMP_COMMAND_BYTES {
        let text = format!("AMF message of {} bytes, {RTMP_COMMAND_BYTES} at most", payload.len());
        return Err(Error::new(ErrorCode::RtmpMsgSize, text));
    }
    read_all(payload.strip_prefix(&[0]).unwrap_or(payload), needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_commands_are_not_even_parsed() {
        let error = read_values(&vec![5; RTMP_COMMAND_BYTES + 1], 1).unwrap_err();
        assert_eq!(error.code(), ErrorCode::RtmpMsgSize);
    }
}
