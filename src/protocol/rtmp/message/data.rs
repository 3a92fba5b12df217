//! Data messages (section 7.1.2): metadata and other notices in the flow of a stream.

use super::{kind, read_values};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::amf0::Value;

/// The name with which a publisher asks a server to keep the data for players to come.
const SET_DATA_FRAME: &str = "@setDataFrame";

/// A data message: its name and what it tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// Such as `onMetaData`.
    pub name: String,
    /// All values after the name.
    pub values: Vec<Value>,
}

impl Data {
    /// A data message to send.
    pub fn new(name: impl Into<String>, values: impl Into<Vec<Value>>) -> Self {
        Data {
            name: name.into(),
            values: values.into(),
        }
    }

    /// Parses a message of type 18 or 15; a `@setDataFrame` in front of the name is left out.
    ///
    /// # Errors
    /// [`ErrorCode::Amf0Decode`] or [`ErrorCode::Amf0Invalid`] if there is no name (FFmpeg sends such time codes),
    /// [`ErrorCode::RtmpMsgSize`] if the message is too long.
    pub fn parse(payload: &[u8]) -> Result<Data> {
        let mut values = read_values(payload, 1)?;
        if values.first().and_then(Value::as_str) == Some(SET_DATA_FRAME) {
            values.remove(0);
        }
        let mut values = values.into_iter();
        match values.next() {
            Some(Value::String(name)) => Ok(Data {
                name,
                values: values.collect(),
            }),
            _ => Err(Error::new(
                ErrorCode::Amf0Decode,
                "a data message does not begin with its name",
            )),
        }
    }

    /// The message type id to send it with.
    pub fn kind(&self) -> u8 {
        kind::AMF0_DATA
    }

    /// The payload, in AMF0.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        Value::from(self.name.as_str()).write(&mut out);
        for value in &self.values {
            value.write(&mut out);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_data_frame_is_stripped_in_both_encodings() {
        let data = Data::new("onMetaData", [Value::Null]);
        let plain = data.encode();
        let framed = [&b"\x02\x00\x0d@setDataFrame"[..], &plain].concat();
        assert_eq!(Data::parse(&plain).unwrap(), data);
        assert_eq!(Data::parse(&framed).unwrap(), data);
        assert_eq!(Data::parse(&[&[0], &framed[..]].concat()).unwrap(), data);
        assert!(Data::parse(&framed[..16]).is_err());
    }

    #[test]
    fn a_time_code_is_no_data_message() {
        assert!(Data::parse(&[0, 1, 2, 3]).is_err());
        assert!(Data::parse(&[]).is_err());
    }
}
