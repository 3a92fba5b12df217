//! Command messages (section 7.2): calls, their results, and status notices.

use super::{kind, read_values, wire_names};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::amf0::{Object, Value};

wire_names! {
    /// The names of commands.
    CommandName {
        /// Client to server: opens the application.
        Connect = "connect",
        /// Client to server: asks for a message stream.
        CreateStream = "createStream",
        /// Client to server: frees a stream name before publishing (FMLE).
        ReleaseStream = "releaseStream",
        /// Client to server: announces a publish (FMLE).
        FcPublish = "FCPublish",
        /// Client to server: ends a publish (FMLE).
        FcUnpublish = "FCUnpublish",
        /// Client to server: begins to publish.
        Publish = "publish",
        /// Client to server: begins to play.
        Play = "play",
        /// Client to server: pauses or goes on.
        Pause = "pause",
        /// Client to server: ends publish or play, keeps the message stream.
        CloseStream = "closeStream",
        /// Client to server: ends the message stream.
        DeleteStream = "deleteStream",
        /// Server to client: a call succeeded.
        Result = "_result",
        /// Server to client: a call failed.
        Error = "_error",
        /// Server to client: what became of a publish or play.
        OnStatus = "onStatus",
        /// Server to client: no bandwidth test follows.
        OnBwDone = "onBWDone",
        /// Server to client: the answer to a publish of FMLE.
        OnFcPublish = "onFCPublish",
        /// Server to client: the answer to FCUnpublish.
        OnFcUnpublish = "onFCUnpublish",
    }
}

/// A command with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What is called or answered.
    pub name: CommandName,
    /// Ties a result to its call; 0 for commands that want none. Taken as 0 where a peer leaves it out.
    pub transaction_id: f64,
    /// All values after the transaction id: the command object (often null), then the arguments.
    pub values: Vec<Value>,
}

/// Name, transaction id, command object.
const NEEDED: usize = 3;

impl Command {
    /// A command with its values: the command object, then the arguments.
    pub fn new(name: CommandName, transaction_id: f64, values: impl Into<Vec<Value>>) -> Self {
        Command {
            name,
            transaction_id,
            values: values.into(),
        }
    }

    /// The successful answer to a call.
    pub fn result(transaction_id: f64, object: Value, response: Value) -> Self {
        Command::new(CommandName::Result, transaction_id, [object, response])
    }

    /// Parses a message of type 20 or 17; behind its command object, what follows the last readable value is dropped.
    ///
    /// # Errors
    /// [`ErrorCode::Amf0Decode`] or [`ErrorCode::Amf0Invalid`] if there is no name, or no reading what comes next, [`ErrorCode::RtmpMsgSize`] if the
    /// message is longer than any command.
    pub fn parse(payload: &[u8]) -> Result<Command> {
        let mut values = read_values(payload, NEEDED)?.into_iter();
        let Some(Value::String(name)) = values.next() else {
            return Err(Error::new(
                ErrorCode::Amf0Decode,
                "a command does not begin with its name",
            ));
        };
        if name.is_empty() {
            return Err(Error::new(ErrorCode::Amf0Decode, "a command's name is empty"));
        }
        Ok(Command {
            name: CommandName::from(name.as_str()),
            transaction_id: values.next().and_then(|value| value.as_number()).unwrap_or(0.0),
            values: values.collect(),
        })
    }

    /// The message type id to send it with.
    pub fn kind(&self) -> u8 {
        kind::AMF0_COMMAND
    }

    /// The payload, in AMF0.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        Value::from(self.name.as_str()).write(&mut out);
        Value::Number(self.transaction_id).write(&mut out);
        for value in &self.values {
            value.write(&mut out);
        }
        out
    }

    /// The command object, if it is not null.
    pub fn object(&self) -> Option<&Object> {
        self.values.first()?.as_object()
    }

    /// The argument at `index`, from 0, behind the command object.
    pub fn argument(&self, index: usize) -> Option<&Value> {
        self.values.get(index.checked_add(1)?)
    }

    /// The text of an argument; empty if it is missing or no text.
    pub fn text(&self, index: usize) -> &str {
        self.argument(index).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the caller waits for a result.
    pub fn wants_result(&self) -> bool {
        self.transaction_id > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play() -> Command {
        let values = [Value::Null, "live".into(), Value::Number(-2000.0)];
        Command::new(CommandName::Play, 4.0, values)
    }

    #[test]
    fn what_is_written_reads_back_in_both_encodings() {
        let payload = play().encode();
        assert_eq!(Command::parse(&payload).unwrap(), play());
        assert_eq!(Command::parse(&[&[0], &payload[..]].concat()).unwrap(), play());
        assert_eq!(play().text(0), "live");
        assert_eq!(play().argument(1), Some(&Value::Number(-2000.0)));
        assert_eq!((play().text(1), play().object()), ("", None));
        assert!(play().wants_result());
    }

    #[test]
    fn names_map_both_ways() {
        for text in ["connect", "FCPublish", "_result", "onFCUnpublish", "play"] {
            let name = CommandName::from(text);
            assert!(!matches!(name, CommandName::Other(_)));
            assert_eq!(name.as_str(), text);
        }
        assert_eq!(CommandName::from("_checkbw"), CommandName::Other("_checkbw".to_owned()));
        assert_eq!(CommandName::from("a\nb").to_string(), "a\\nb");
    }

    #[test]
    fn a_prefix_loses_values_but_neither_name_nor_object() {
        let payload = play().encode();
        // Name of 4 letters, transaction id, null.
        let needed = 7 + 9 + 1;
        for end in 0..payload.len() {
            match Command::parse(&payload[..end]) {
                Ok(command) => assert_eq!(command.name, CommandName::Play),
                Err(error) => assert!(end < needed, "{error}"),
            }
        }
        let nameless = [2, 0, 0];
        assert_eq!(Command::parse(&nameless).unwrap_err().code(), ErrorCode::Amf0Decode);
        assert!(Command::parse(&[5]).is_err());
    }

    #[test]
    fn mutated_commands_do_not_panic() {
        let mut random = fastrand::Rng::with_seed(2);
        let object = Object::new().with("app", "live").with("tcUrl", "rtmp://h/live");
        let valid = Command::new(CommandName::Connect, 1.0, [object.into()]).encode();
        for _ in 0..3000 {
            let mut bytes = valid.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            if let Ok(command) = Command::parse(&bytes) {
                let again = Command::parse(&command.encode()).unwrap();
                assert_eq!(again.values.len(), command.values.len());
            }
        }
    }
}
