//! The information object of `onStatus`, `_result` and `_error` (section 7.2): level, code and description.

use super::{Command, CommandName, wire_names};
use crate::protocol::amf0::{Object, Value};

wire_names! {
    /// The level of a status.
    Level {
        /// It worked.
        Status = "status",
        /// Something is odd.
        Warning = "warning",
        /// It did not work.
        Error = "error",
    }
}

wire_names! {
    /// The code of a status.
    StatusCode {
        /// connect was accepted.
        ConnectSuccess = "NetConnection.Connect.Success",
        /// connect, or what followed, was refused.
        ConnectRejected = "NetConnection.Connect.Rejected",
        /// The publisher may send.
        PublishStart = "NetStream.Publish.Start",
        /// The stream name is in use or not allowed.
        PublishBadName = "NetStream.Publish.BadName",
        /// The publish is over.
        UnpublishSuccess = "NetStream.Unpublish.Success",
        /// The player's playlist was emptied.
        PlayReset = "NetStream.Play.Reset",
        /// Media follows.
        PlayStart = "NetStream.Play.Start",
        /// The stream cannot be played.
        PlayFailed = "NetStream.Play.Failed",
        /// No such stream.
        PlayStreamNotFound = "NetStream.Play.StreamNotFound",
        /// The publisher has left.
        PlayUnpublishNotify = "NetStream.Play.UnpublishNotify",
        /// Delivery stops.
        PauseNotify = "NetStream.Pause.Notify",
        /// Delivery goes on.
        UnpauseNotify = "NetStream.Unpause.Notify",
    }
}

/// Where else a stream is, as the `ex` object of a rejection tells (code 302).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The tcUrl to connect to.
    pub tc_url: String,
    /// The whole URL with the stream; servers other than SRS do not tell it.
    pub url: Option<String>,
}

/// A status that a peer sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// How bad it is.
    pub level: Level,
    /// What it is.
    pub code: StatusCode,
    /// The same for humans.
    pub description: String,
    /// Where to go instead.
    pub redirect: Option<Redirect>,
}

impl Status {
    /// The status in a command's information object: its first argument, or a later one that is an object. A status
    /// without level is an error if it came in an `_error`.
    pub fn find(command: &Command) -> Option<Status> {
        let info = command.values.iter().skip(1).find_map(Value::as_object)?;
        let level = match info.string("level") {
            Some(level) => Level::from(level),
            None if command.name == CommandName::Error => Level::Error,
            None => Level::Status,
        };
        let redirect = info.object("ex").filter(|ex| ex.number("code") == Some(302.0));
        let redirect = redirect.and_then(|ex| {
            Some(Redirect {
                tc_url: ex.string("redirect")?.to_owned(),
                url: ex.string("redirect2").map(str::to_owned),
            })
        });
        Some(Status {
            level,
            code: StatusCode::from(info.string("code").unwrap_or_default()),
            description: info.string("description").unwrap_or_default().to_owned(),
            redirect,
        })
    }

    /// An information object without level, as `onFCPublish` carries it.
    pub fn notice(code: &StatusCode, description: &str) -> Object {
        Object::new()
            .with("code", code.as_str())
            .with("description", description)
    }

    /// An information object.
    pub fn object(level: &Level, code: &StatusCode, description: &str) -> Object {
        Object::new()
            .with("level", level.as_str())
            .with("code", code.as_str())
            .with("description", description)
    }
}

impl Redirect {
    /// The `ex` object.
    pub fn to_object(&self) -> Object {
        let mut ex = Object::new().with("code", 302.0).with("redirect", self.tc_url.as_str());
        if let Some(url) = &self.url {
            ex.insert("redirect2", url.as_str());
        }
        ex
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_reads_back() {
        let redirect = Redirect {
            tc_url: "rtmp://b/live".to_owned(),
            url: Some("rtmp://b/live/s".to_owned()),
        };
        let info = Status::object(&Level::Error, &StatusCode::ConnectRejected, "RTMP 302 Redirect");
        let info = info.with("ex", redirect.to_object());
        let command = Command::new(CommandName::OnStatus, 0.0, [Value::Null, info.into()]);
        let status = Status::find(&Command::parse(&command.encode()).unwrap()).unwrap();
        assert_eq!((status.level, status.code), (Level::Error, StatusCode::ConnectRejected));
        assert_eq!(status.redirect, Some(redirect));
    }

    #[test]
    fn missing_fields_have_defaults() {
        let command = Command::new(CommandName::Error, 1.0, [Value::Null, Object::new().into()]);
        let status = Status::find(&command).unwrap();
        assert_eq!((status.level, status.code.as_str()), (Level::Error, ""));
        assert_eq!(Status::find(&Command::new(CommandName::OnStatus, 0.0, [])), None);
    }
}
